//! A task's turn: from its place in the queue, through its plan, to its end.

use crate::{
    admission::Admitted,
    engine::{Engine, stopping},
    legality::{self, Operation},
    live::LiveTask,
    perform::Stopped,
    plan,
    queues::Place,
    request::Accepted,
    reservations::Reservation,
    steps::{PlanStep, blocking},
    work::{Work, check_revision, has_machine, spec_of, spec_or_stand_in},
};
use innkeeper_driver::Launch;
use innkeeper_model::{
    Code, IncarnationId, MachineFiles, Refusal, Spec, TaskState, Timestamp, Vm, VmId,
    config::{Boot, Firmware},
};
use innkeeper_storage::Storage;
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
        let trouble = (task.operation == Some(Operation::PutAway)).then(|| {
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
                let runs = has_machine(&record);
                let Admitted { spec, seed } = self
                    .admit(hypervisor.clone(), move |admission| admission.edit(&spec, config, runs))
                    .await?;
                Ok(plan::edit(before, spec, seed, &hypervisor))
            }
            Work::Delete { vm } => {
                let record = self.still_legal(task, *vm)?;
                plan::delete(&self.context(&record, false).await?, record.spec.is_none())
            }
            Work::Power { vm, operation, timeout } => {
                self.plan_power(task, *vm, *operation, *timeout).await
            }
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
        operation: Operation,
        timeout: Duration,
    ) -> Result<Vec<PlanStep>, Refusal> {
        // A kill whose machine has ended meanwhile has nothing left to do, and does that.
        let record = match operation {
            Operation::Kill => self.vm(vm)?,
            _ => self.still_legal(task, vm)?,
        };
        let makes =
            matches!(operation, Operation::Start | Operation::Reboot | Operation::ForcedReboot);
        let context = self.context(&record, makes).await?;
        match operation {
            Operation::Start => plan::start(&context),
            Operation::Stop => plan::stop(&context, timeout),
            Operation::Kill => plan::kill(&context),
            Operation::Reboot => plan::reboot(&context, timeout, false),
            Operation::ForcedReboot => plan::reboot(&context, timeout, true),
            Operation::Reset => plan::reset(&context),
            Operation::Pause => plan::pause(&context),
            Operation::Resume => plan::resume(&context),
            Operation::PutAway => plan::put_away(&context),
            Operation::Edit | Operation::Clone | Operation::Delete | Operation::ForcedDelete => {
                Err(Refusal::new(Code::Internal, "not an operation on a machine"))
            }
        }
    }

    /// Asks the table once more, with the state that the VM has now that its turn has come.
    fn still_legal(&self, task: &LiveTask, vm: VmId) -> Result<Arc<Record<Vm>>, Refusal> {
        let record = self.vm(vm)?;
        match task.operation {
            Some(operation) if legality::after(operation, record.state).is_none() => {
                Err(legality::refuse(operation, record.state, &record.name))
            }
            _ => Ok(record),
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
            let (storage, spec) = (self.shared.performer.hands.storage.clone(), spec.clone());
            let files = blocking(move || machine_files(&storage, &spec)).await?;
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

/// Resolves the host files that a machine is made of.
fn machine_files(storage: &Storage, spec: &Spec) -> Result<MachineFiles, Refusal> {
    let mut files = MachineFiles::default();
    for disk in &spec.config.disks {
        files.disks.insert(disk.name.to_string(), storage.disk_layers(spec.id, disk)?);
    }
    if let Boot::Kernel(boot) = &spec.config.boot {
        files.kernel = Some(storage.kernel_files(boot)?);
    }
    if spec.config.boot == Boot::Firmware(Firmware::Uefi) {
        files.nvram = Some(storage.nvram(spec.id).path().into());
    }
    if spec.config.cloud_init.is_some() {
        files.seed = Some(storage.seed(spec.id).path().into());
    }
    Ok(files)
}
