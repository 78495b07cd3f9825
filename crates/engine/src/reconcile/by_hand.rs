//! Specs that a person changed in their files. What they wrote is asked for like any other edit, and until
//! that is done, or where it is refused, what was in force stays so.
//!
//! So the file is put back at once, and what was written is kept beside it until it is in force. Of a spec
//! that was changed while no daemon ran, nobody knows what it was: it is taken as it is, but for devices for
//! which no place was ever chosen, which are asked for.

use crate::{
    accept::request::Accepted,
    engine::Engine,
    journal::wishes::Wishes,
    perform::hands::blocking,
    turn::{
        planning::disk_size,
        queues::{Hold, Resource},
    },
};
use innkeeper_model::{Code, DeviceName, Refusal, Spec, TaskState, VmConfig, VmId, VmName};
use innkeeper_store::StoredSpec;
use innkeeper_view::Update;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::oneshot, time::timeout};
use tracing::{info, warn};

/// How a VM's problem begins whose file says what is refused.
const REFUSED: &str = "its file was changed by hand, and that is refused";

/// How long a turn is waited for before it is left to the next survey, and an edit's end before the survey
/// goes on without it.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was in force of VMs whose files were found damaged since.
#[derive(Debug, Default)]
pub(crate) struct Displaced(Mutex<HashMap<VmId, Arc<Spec>>>);

impl Displaced {
    fn specs(&self) -> MutexGuard<'_, HashMap<VmId, Arc<Spec>>> {
        // Only map operations happen under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Has what persons wrote into the files of these VMs' specs asked for.
    ///
    /// # Errors
    /// The folder of the specs cannot be listed.
    pub(crate) async fn look_for_edited_specs(
        &self,
        of: impl Fn(VmId) -> bool + Send + 'static,
    ) -> Result<(), Refusal> {
        let (engine, wishes) = (self.clone(), self.wishes().clone());
        // One of a busy VM is left to a later survey, where whoever works on it does not store it again.
        let changed = move || wishes.changed_by_hand(|vm| !of(vm) || engine.is_busy(vm));
        for changed in blocking(changed).await? {
            match changed {
                StoredSpec::Whole(written) => self.take_over(*written).await,
                StoredSpec::Damaged { id, file, reason } => {
                    self.displace(id, format!("{} is damaged: {reason}", file.display()));
                }
            }
        }
        let snapshot = self.view().snapshot();
        let is_quarantined = |vm: &VmId| snapshot.vms.get(vm).is_some_and(|vm| vm.spec.is_none());
        self.shared.displaced.specs().retain(|vm, _| is_quarantined(vm));
        Ok(())
    }

    fn wishes(&self) -> &Wishes {
        &self.shared.performer.hands.wishes
    }

    /// Leaves a VM alone whose file was damaged, and keeps what it was.
    fn displace(&self, id: VmId, problem: String) {
        if self.is_busy(id) {
            // Since it was looked at.
            return self.wishes().look_again(id);
        }
        let snapshot = self.view().snapshot();
        let Some(known) = snapshot.vms.get(&id) else { return };
        warn!(vm = %id, problem, "quarantined");
        if let Some(spec) = &known.spec {
            self.shared.displaced.specs().insert(id, spec.clone());
        }
        let (name, project): (VmName, _) = (known.name.clone(), known.project.clone());
        self.view().post(Update::VmQuarantined { id, name, project, problem });
    }

    /// Has what was written asked for, in place of what is in force.
    async fn take_over(&self, written: Spec) {
        let id = written.id;
        if self.shared.unreadable.iter().any(|one| one.vm == Some(id)) {
            // A spec that is whole says nothing of what is unreadable; the next daemon takes it as it is.
            return;
        }
        let mut place = self.shared.queues.enter(vec![(Resource::Vm(id), Hold::Exclusive)]);
        if timeout(PATIENCE, place.granted()).await.is_err() {
            return self.wishes().look_again(id);
        }
        let Some(before) = self.in_force(&written).await else { return };
        let asked = match as_edit(&before, &written) {
            Ok(None) => return,
            Ok(Some(config)) => Ok(config),
            Err(refusal) => Err(refusal),
        };
        let is_draft = written.draft;
        info!(vm = %id, "its spec was changed by hand");
        if let Err(error) = self.put_back(before, written).await {
            self.refuse_by_hand(id, &error);
            return self.wishes().look_again(id);
        }
        let accepted = match asked {
            Ok(config) => self.submit_written(id, config, is_draft).await,
            Err(refusal) => Err(refusal),
        };
        // Next in the queue is the edit.
        drop(place);
        match accepted {
            Ok(accepted) => self.see_taken_over(id, accepted).await,
            Err(refusal) => self.refuse_by_hand(id, &refusal),
        }
    }

    /// What is in force of a VM; in whose turn this must be. One that was quarantined, and whose file has
    /// been mended, is what it was again.
    async fn in_force(&self, written: &Spec) -> Option<Arc<Spec>> {
        // What was told before this turn began is in the snapshot.
        self.view().barrier(Vec::new()).await.ok()?;
        let known = self.view().snapshot().vms.get(&written.id)?.spec.clone();
        if known.is_some() {
            return known;
        }
        let displaced = self.shared.displaced.specs().remove(&written.id);
        let before = displaced.unwrap_or_else(|| Arc::new(with_places(written)));
        self.view().barrier(vec![Update::VmSpec(before.clone())]).await.ok()?;
        let size = disk_size(&before.config, &self.view().snapshot());
        let accountant = &self.shared.performer.hands.accountant;
        accountant.put_disk(before.id, &before.config.project, size);
        self.settle_claims(before.id);
        Some(before)
    }

    /// Stores what is in force again, and keeps what was written beside it.
    async fn put_back(&self, before: Arc<Spec>, written: Spec) -> Result<(), Refusal> {
        let wishes = self.wishes().clone();
        blocking(move || wishes.keep_rejected(&written)).await?;
        self.wishes().save(before).await
    }

    /// Waits for an edit's end, but not for ever.
    async fn see_taken_over(&self, id: VmId, accepted: Accepted) {
        let (ended, seen) = oneshot::channel();
        let engine = self.clone();
        self.look_after(async move {
            let task = engine.wait(accepted.task, Duration::MAX).await;
            match task {
                Some(task) if task.state == TaskState::Done => engine.forget_rejected(id).await,
                task => {
                    let error = task.and_then(|task| task.error);
                    let unknown = || Refusal::new(Code::Cancelled, "its edit was not done");
                    engine.refuse_by_hand(id, &error.unwrap_or_else(unknown));
                }
            }
            let _ = ended.send(());
        });
        let _ = timeout(PATIENCE, seen).await;
    }

    /// What was written is in force.
    async fn forget_rejected(&self, id: VmId) {
        let wishes = self.wishes().clone();
        if let Err(error) = blocking(move || wishes.forget_rejected(id)).await {
            warn!(vm = %id, %error, "what was written by hand stays beside its file");
        }
    }

    fn refuse_by_hand(&self, id: VmId, refusal: &Refusal) {
        warn!(vm = %id, %refusal, "its spec was changed by hand, and is not taken over");
        let file = self.wishes().rejected(id);
        let hint = refusal.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        let problem =
            format!("{REFUSED}: {refusal}{hint}; what was written is in {}", file.display());
        self.tell_problem(id, Some(problem));
    }

    /// Whether what is wrong with a VM is that what was written by hand is refused; an edit mends that.
    pub(crate) fn is_refused_by_hand(&self, vm: VmId) -> bool {
        let problem = self.vm(vm).ok().and_then(|vm| vm.problem.clone());
        problem.is_some_and(|problem| problem.starts_with(REFUSED))
    }
}

/// What a person asks for who wrote this; nothing, where nothing changes. Pure.
///
/// # Errors
/// It is not asked for so.
fn as_edit(before: &Spec, written: &Spec) -> Result<Option<VmConfig>, Refusal> {
    if written.want != before.want {
        let problem = "is not changed in its file";
        let want = format!("{:?}", written.want).to_lowercase();
        return Err(Refusal::invalid("want", want, problem)
            .with_hint("`inn start`, `inn stop`, `inn pause` and `inn suspend` change it"));
    }
    if written.assigned != before.assigned || written.driver != before.driver {
        let message = "`assigned` and `driver` are chosen by Innkeeper, and not changed in a file";
        return Err(Refusal::new(Code::InvalidField, message).at("assigned"));
    }
    let confirms = before.draft && !written.draft;
    let changes = written.config != before.config || confirms;
    Ok(changes.then(|| written.config.clone()))
}

/// A spec with those devices only for which a place was chosen: the others were never asked for. Where
/// another manager has the machine, places are that one's business. Pure.
pub(crate) fn with_places(spec: &Spec) -> Spec {
    if spec.driver.is_some() {
        return spec.clone();
    }
    let has_place = |kind: &str, name: &DeviceName| {
        spec.assigned.devices.get(format!("{kind}/{name}").as_str()).is_some()
    };
    let mut placed = spec.clone();
    placed.config.disks.retain(|disk| has_place("disk", &disk.name));
    placed.config.nics.retain(|nic| has_place("nic", &nic.name));
    placed
}
