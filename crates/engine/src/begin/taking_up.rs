//! Takes up what an earlier daemon had begun: forward or back, as its plan says; or stops, where this
//! version cannot tell, and leaves it to a person.

use crate::{
    accept::request::Caller,
    engine::Engine,
    journal::{Mark, Way, unfinished::Unfinished},
    perform::{Ended, Outcome, deed::Deed},
    plan::steps::{OwnStep, PlanStep},
    turn::{live::LiveTask, queues::Place},
};
use innkeeper_model::{Code, Refusal, Task, TaskId, TaskState, VmId};
use innkeeper_view::Update;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tracing::{Instrument, info, info_span, warn};

/// Operations that stopped halfway and wait for a person.
#[derive(Debug, Default)]
pub(crate) struct Interrupted(Mutex<BTreeMap<TaskId, (Arc<Deed>, Place)>>);

impl Interrupted {
    fn deeds(&self) -> MutexGuard<'_, BTreeMap<TaskId, (Arc<Deed>, Place)>> {
        // Only map operations happen under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Deed>> {
        self.deeds().values().map(|(deed, _)| deed.clone()).collect()
    }
}

/// Which way a person wants an interrupted operation to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// On, from where it stopped.
    Resume,
    /// Back.
    Undo,
}

impl Engine {
    /// Puts what had not ended in its place, before anything else can be asked for, and shows it.
    pub(crate) fn place_unfinished(&self, unfinished: Vec<Unfinished>) -> Vec<(Arc<Deed>, Place)> {
        let mut placed = Vec::new();
        for mut one in unfinished {
            let same_boot = one.begun.boot_id == self.shared.boot_id;
            let task = Task { taken_up: one.begun.task.taken_up + 1, ..one.begun.task.clone() };
            let (owed, operation) = (one.begun.owed, one.begun.operation);
            one.note_crash(same_boot);
            let Unfinished { begun, held } = one;
            let live = LiveTask::new(task, operation, self.view().clone());
            let recorder = self.shared.recorder.clone();
            let deed = Arc::new(Deed::taken_up(live.clone(), begun, recorder, held));
            self.take_again(&deed);
            if owed {
                self.shared.owing.insert(deed);
                continue;
            }
            live.taken_up(&deed.paths, &deed.marks(), deed.way() == Way::Forward);
            self.shared.live.insert(&live);
            let mine = live.vm.map(|id| Update::VmTask { id, task: Some(live.id) });
            self.view().post_all(mine.into_iter().collect());
            let place = self.shared.queues.enter(deed.resources().to_vec());
            live.takes(&place);
            placed.push((deed, place));
        }
        placed
    }

    /// Takes again what an operation had taken of the host: the accounts ended with the daemon.
    fn take_again(&self, deed: &Deed) {
        let accountant = &self.shared.performer.hands.accountant;
        for (_, placed) in deed.steps().filter(|(index, _)| deed.mark(*index) == Mark::Done) {
            match placed.step {
                PlanStep::Own(OwnStep::Reserve { vm, project, share }) => {
                    accountant.found(*vm, project, *share);
                }
                PlanStep::Own(OwnStep::ReserveDisk { vm, project, size, .. }) => {
                    accountant.put_disk(*vm, project, *size);
                }
                _ => {}
            }
        }
    }

    /// Goes on with what was put in its place.
    pub(crate) async fn take_up(
        &self,
        deed: Arc<Deed>,
        mut place: Place,
        by_person: Option<Resolution>,
    ) {
        let span = info_span!("task", id = %deed.task.id, operation = deed.task.kind());
        async {
            place.granted().await;
            info!(way = ?deed.way(), "taken up");
            if by_person.is_none() {
                deed.task.log("taken up after the daemon had ended".into());
            }
            let same_boot = deed.boot_id() == self.shared.boot_id;
            let way_on = match by_person {
                // What is not known cannot be asked after, and whoever says so knows that.
                Some(Resolution::Undo) => {
                    self.shared.performer.name_all_unknown(&deed);
                    Ok(())
                }
                _ => self.way_on(&deed, same_boot).await,
            };
            let ended = match way_on {
                Ok(()) => self.shared.performer.go(&deed).await,
                Err(refusal) if refusal.code == Code::Interrupted => {
                    Ended { outcome: Outcome::Interrupted(refusal), leftovers: Vec::new() }
                }
                Err(refusal) => {
                    let _ = deed.turn(Way::Back).await;
                    let Ended { leftovers, .. } = self.shared.performer.go(&deed).await;
                    Ended { outcome: Outcome::Failed(refusal), leftovers }
                }
            };
            if matches!(ended.outcome, Outcome::Interrupted(_)) {
                // Whoever is told that it is interrupted can say at once how it goes on.
                self.shared.interrupted.deeds().insert(deed.task.id, (deed.clone(), place));
                self.finish(&deed, ended).await;
                deed.task.wake();
                return;
            }
            self.finish(&deed, ended).await;
            self.let_go(&deed.task, (place, None, None));
            self.start_if_wanted(&deed.task).await;
        }
        .instrument(span)
        .await;
    }

    /// Finds out what can be known of the step that the daemon ended in.
    ///
    /// # Errors
    /// `interrupted`: a person must say. Anything else: it goes back, for that reason.
    async fn way_on(&self, deed: &Deed, same_boot: bool) -> Result<(), Refusal> {
        if !same_boot && deed.plan_is_a_machines() && deed.way() == Way::Forward {
            deed.keep_wants();
            let message = "the host was restarted while it was done";
            return Err(Refusal::new(Code::Cancelled, message));
        }
        self.shared.performer.find_out(deed).await
    }

    /// Stops an operation halfway, and leaves its VM to a person.
    pub(crate) async fn interrupt(&self, deed: &Arc<Deed>, refusal: Refusal) {
        warn!(task = %deed.task.id, %refusal, "interrupted");
        deed.task.update(|task| {
            task.state = TaskState::Interrupted;
            task.error = Some(refusal);
            task.cancellable = false;
        });
        if let Some(id) = deed.task.vm {
            let task = Some(deed.task.id);
            let _ = self.view().barrier(vec![Update::VmInterrupted { id, task }]).await;
        }
    }

    /// Has an interrupted operation go on or back, by a person's word.
    ///
    /// # Errors
    /// There is no such task, or it is not interrupted.
    pub fn resolve(
        &self,
        caller: &Caller,
        task: TaskId,
        resolution: Resolution,
    ) -> Result<Option<VmId>, Refusal> {
        let Some((deed, place)) = self.shared.interrupted.deeds().remove(&task) else {
            return Err(match self.known_task(task) {
                None => Refusal::not_found("task", task),
                Some(known) => {
                    let state = format!("{:?}", known.state).to_lowercase();
                    let message = format!("task {task} is not interrupted: it is {state}");
                    Refusal::new(Code::WrongState, message)
                }
            });
        };
        info!(%task, caller = caller.name, ?resolution, "resolved");
        let vm = deed.task.vm;
        deed.task.resumed();
        let engine = self.clone();
        let by = caller.name.clone();
        self.look_after(async move {
            deed.task.log(format!("{} by {by}", resolution.word()));
            if let Some(id) = vm {
                engine.view().post(Update::VmInterrupted { id, task: None });
            }
            if resolution == Resolution::Undo {
                let _ = deed.turn(Way::Back).await;
            }
            engine.take_up(deed, place, Some(resolution)).await;
        });
        Ok(vm)
    }
}

impl Resolution {
    const fn word(self) -> &'static str {
        match self {
            Self::Resume => "resumed",
            Self::Undo => "undone",
        }
    }
}
