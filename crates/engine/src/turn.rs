//! A task's turn: from its place in the queue, through its plan, to its end.

use crate::{
    admission::Admitted,
    engine::{Engine, stopping},
    legality::{self, MachineVerb, Operation},
    live::LiveTask,
    perform::Stopped,
    plan,
    queues::Place,
    request::Accepted,
    reservations::Reservation,
    steps::{PlanStep, blocking},
    work::{Work, check_revision, spec_of, spec_or_stand_in},
};
use innkeeper_driver::Launch;
use innkeeper_model::{Code, IncarnationId, Refusal, Spec, TaskState, Timestamp, Vm, VmId};
use innkeeper_view::{Record, Update};
use std::{sync::Arc, time::Duration};
use tracing::{Instrument, info, info_span, warn};

impl Engine {
    pub(crate) async fn begin(
        &self,
        task: Arc<LiveTask>,
        work: Work,
        reservation: Option<Reservation>,
    ) -> Result<Accepted, Refusal> {
        let place = self.shared.queues.enter(work.resources());
        let record = task.snapshot();
        let (id, vm) = (record.id, record.vm);
        // Told before it can begin, or its beginning would be overwritten by its being queued.
        self.view().post(Update::Task(record));
        let engine = self.clone();
        let span = info_span!("task", id = %id, operation = work.name());
        // From here on it is done, whether the caller waits or not.
        tokio::spawn(
            async move { engine.see_through(task, work, place, reservation).await }
                .instrument(span),
        );
        let revision = self.view().barrier(Vec::new()).await.map_err(|_| stopping())?;
        Ok(Accepted { task: id, vm, revision })
    }

    /// Does a task from its place in the queue to its end.
    async fn see_through(
        &self,
        task: Arc<LiveTask>,
        work: Work,
        mut place: Place,
        reservation: Option<Reservation>,
    ) {
        let outcome = tokio::select! {
            biased;
            () = task.cancel.cancelled() => Err(Stopped::Cancelled),
            () = place.granted() => Ok(()),
        };
        let outcome = match outcome {
            Ok(()) => self.carry_out(&task, &work).await,
            cancelled => cancelled,
        };
        let (state, error) = match outcome {
            Ok(()) => (TaskState::Done, None),
            Err(Stopped::Cancelled) => {
                let refusal = Refusal::new(Code::Cancelled, "the task was cancelled");
                (TaskState::Cancelled, Some(refusal))
            }
            Err(Stopped::Failed(refusal)) => {
                warn!(error = %refusal, causes = ?refusal.causes, "failed");
                (TaskState::Failed, Some(refusal))
            }
        };
        info!(?state, "ended");
        // Nobody waits for this one, so what keeps it from being done is shown with the VM.
        let trouble =
            (task.operation == Some(Operation::Machine(MachineVerb::PutAway))).then(|| {
                error.as_ref().map(|error| format!("what is left of its machine stays: {error}"))
            });
        // The next in the queue begins when readers can see the end. Who waits is woken after all of
        // it, so that what they ask for next is not refused for the sake of this task.
        task.end(state, error).await;
        self.shared.live.remove(&task);
        drop((reservation, place));
        task.wake();
        if let Some(vm) = task.vm {
            if let Some(problem) = trouble {
                self.view().post(Update::VmProblem { id: vm, problem });
            }
            // Facts that came while it was busy were left to it.
            self.shared.noticed.mark(vm);
        }
    }

    async fn carry_out(&self, task: &Arc<LiveTask>, work: &Work) -> Result<(), Stopped> {
        let mine = task.vm.map(|id| Update::VmTask { id, task: Some(task.id) });
        // What was told before this turn began is in the snapshot that it is planned from.
        self.view()
            .barrier(mine.into_iter().collect())
            .await
            .map_err(|_| Stopped::Failed(stopping()))?;
        let plan = self.plan(task, work).await.map_err(Stopped::Failed)?;
        task.begin(plan.iter().map(PlanStep::name).collect());
        self.shared.performer.run(task, &plan).await
    }

    async fn plan(&self, task: &LiveTask, work: &Work) -> Result<Vec<PlanStep>, Refusal> {
        match work {
            Work::Create { admitted } => {
                let hypervisor = self.hypervisor().await?;
                Ok(plan::create(admitted.spec.clone(), admitted.seed.clone(), &hypervisor))
            }
            Work::Clone { from, admitted } => {
                self.still_legal(task, *from)?;
                Ok(plan::clone(*from, admitted.spec.clone()))
            }
            Work::Edit { vm, config, expected } => {
                let record = self.still_legal(task, *vm)?;
                let before = spec_of(&record)?;
                check_revision(&before, *expected)?;
                let hypervisor = self.hypervisor().await?;
                let (spec, config) = (before.clone(), (**config).clone());
                let runs = record.is_on();
                let Admitted { spec, seed } = self
                    .admit(hypervisor.clone(), move |admission| admission.edit(&spec, config, runs))
                    .await?;
                Ok(plan::edit(before, spec, seed, &hypervisor))
            }
            Work::Delete { vm } => {
                let record = self.still_legal(task, *vm)?;
                plan::delete(&self.context(&record, false).await?, record.spec.is_none())
            }
            Work::Power { vm, verb, timeout } => self.plan_power(task, *vm, *verb, *timeout).await,
            Work::AddImage(image) => Ok(plan::add_image((**image).clone())),
            Work::RemoveImage(name) => {
                self.image_is_free(name)?;
                Ok(plan::remove_image(name.clone()))
            }
        }
    }

    async fn plan_power(
        &self,
        task: &LiveTask,
        vm: VmId,
        verb: MachineVerb,
        timeout: Duration,
    ) -> Result<Vec<PlanStep>, Refusal> {
        // A kill whose machine has ended meanwhile has nothing left to do, and does that.
        let record = match verb {
            MachineVerb::Kill => self.vm(vm)?,
            _ => self.still_legal(task, vm)?,
        };
        let context = self.context(&record, verb.makes()).await?;
        match verb {
            MachineVerb::Start => plan::start(&context),
            MachineVerb::Stop => plan::stop(&context, timeout),
            MachineVerb::Kill => plan::kill(&context),
            MachineVerb::Reboot => plan::reboot(&context, timeout, false),
            MachineVerb::ForcedReboot => plan::reboot(&context, timeout, true),
            MachineVerb::Reset => plan::reset(&context),
            MachineVerb::Pause => plan::pause(&context),
            MachineVerb::Resume => plan::resume(&context),
            MachineVerb::PutAway => plan::put_away(&context),
        }
    }

    /// Asks the table once more, with the state that the VM has now that its turn has come.
    fn still_legal(&self, task: &LiveTask, vm: VmId) -> Result<Arc<Record<Vm>>, Refusal> {
        let record = self.vm(vm)?;
        match task.operation {
            Some(operation) if legality::after(operation, record.state).is_none() => {
                Err(legality::refuse(operation, record.state, record.state, &record.name))
            }
            _ => Ok(record),
        }
    }

    /// A machine must not run as a user that the guard on its network does not know, least of all root.
    fn check_user(&self, spec: &Spec) -> Result<(), Refusal> {
        let name = &spec.config.name;
        match (&self.shared.uids, spec.assigned.uid) {
            (None, None) => Ok(()),
            (Some(uids), Some(uid)) if uids.ids().contains(&uid) => Ok(()),
            (Some(uids), uid) => {
                let uid =
                    uid.map_or_else(|| "no user of its own".into(), |uid| format!("user {uid}"));
                let message = format!("VM {name} has {uid}, which is not among vm_uids ({uids})");
                Err(Refusal::new(Code::WrongState, message).with_hint(
                    "set vm_uids to a range with that user in it, or start a copy: `inn clone`",
                ))
            }
            (None, Some(uid)) => {
                let message = format!("VM {name} runs as user {uid}, which only root can become");
                Err(Refusal::new(Code::WrongState, message)
                    .with_hint("run the daemon as root, or start a copy: `inn clone`"))
            }
        }
    }

    async fn context(
        &self,
        record: &Arc<Record<Vm>>,
        makes: bool,
    ) -> Result<plan::Context, Refusal> {
        // Legality lets only what needs no spec be done to a VM that has none.
        let spec = if makes { spec_of(record)? } else { spec_or_stand_in(record) };
        let (hypervisor, files) = if makes {
            self.check_user(&spec)?;
            let (storage, spec) = (self.shared.performer.hands.storage.clone(), spec.clone());
            let files = blocking(move || plan::machine_files(&storage, &spec)).await?;
            (self.hypervisor().await?, files)
        } else {
            // What ends a machine does not ask whether another could be made.
            Default::default()
        };
        Ok(plan::Context {
            driver: self.shared.performer.driver.clone(),
            hypervisor,
            spec,
            incarnation: record.incarnation.clone(),
            facts: record.facts.clone(),
            files,
            launch: Launch { incarnation: IncarnationId::new(), now: Timestamp::now() },
        })
    }
}
