//! The engine's face: takes requests, keeps their tasks, answers who waits.

use crate::{
    admission::{Admission, Admitted},
    legality::{self, Operation},
    live::{Live, LiveTask},
    perform::{Performer, Stopped},
    plan,
    queues::{Hold, Place, Queues, Resource},
    reconcile::{self, Noticed},
    request::{Accepted, AddImage, Caller, PowerVerb, Request, STOP_TIMEOUT},
    reservations::{Reservation, Reservations},
    steps::{Hands, PlanStep, blocking},
};
use innkeeper_driver::{ByteStream, Driver, Found, Launch};
use innkeeper_model::{
    Code, ImageName, IncarnationId, MachineFiles, MachineState, ProjectName, Refusal, Revision,
    Spec, Task, TaskId, TaskState, Timestamp, Vm, VmConfig, VmId, VmName, VmState, Want,
    config::{Autostart, Boot, Firmware},
};
use innkeeper_network::{LoopbackGuard, UidRange};
use innkeeper_storage::Storage;
use innkeeper_store::{SpecStore, StoredSpec};
use innkeeper_view::{Record, Update, View};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::sync::watch;
use tracing::{Instrument, info, info_span, warn};

/// What an engine is made of.
pub struct EngineOptions {
    /// Where facts, wishes and deeds are told.
    pub view: View,
    /// The hypervisor.
    pub driver: Arc<dyn Driver>,
    /// What the driver was told to tell.
    pub noticed: Noticed,
    /// Where specs are kept.
    pub specs: SpecStore,
    /// Where images and volumes are kept.
    pub storage: Arc<Storage>,
    /// The user ids that VMs run as; `None` where the daemon is not root.
    pub uids: Option<UidRange>,
    /// How many VMs are started at once after the host was.
    pub autostart_parallel: usize,
}

/// The engine. Clones are one engine.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    view: View,
    performer: Performer,
    noticed: Noticed,
    uids: Option<UidRange>,
    queues: Queues,
    live: Live,
    reservations: Reservations,
    /// Whether what ran before this daemon has been found; nothing is done to a VM before.
    recovered: watch::Sender<bool>,
    stopping: tokio_util::sync::CancellationToken,
    autostart_parallel: usize,
}

/// What an accepted operation is done from.
enum Work {
    Create { admitted: Admitted },
    Clone { from: VmId, admitted: Admitted },
    Edit { vm: VmId, config: Box<VmConfig>, expected: Option<Revision> },
    Delete { vm: VmId },
    Power { vm: VmId, operation: Operation, timeout: Duration },
    AddImage(Box<AddImage>),
    RemoveImage(ImageName),
}

impl Engine {
    /// Loads the stored specs into the view, and begins. What ran before is found by
    /// [`Engine::recover`], which must follow.
    ///
    /// # Errors
    /// The stored specs or images cannot be listed.
    pub async fn open(options: EngineOptions) -> Result<Self, Refusal> {
        let EngineOptions { view, driver, noticed, specs, storage, uids, autostart_parallel } =
            options;
        let specs = Arc::new(specs);
        let (updates, specs) = {
            let storage = storage.clone();
            blocking(move || Ok((load(&specs, &storage)?, specs))).await?
        };
        let told = view.barrier(updates).await;
        told.map_err(|_| stopping())?;
        let root = uids.is_some();
        let guard = LoopbackGuard::new(uids.clone().unwrap_or_default(), root);
        let hands = Hands { view: view.clone(), specs, storage, guard };
        let engine = Self {
            shared: Arc::new(Shared {
                view,
                performer: Performer { hands, driver },
                noticed: noticed.clone(),
                uids,
                queues: Queues::default(),
                live: Live::default(),
                reservations: Reservations::default(),
                recovered: watch::channel(false).0,
                stopping: tokio_util::sync::CancellationToken::new(),
                autostart_parallel: autostart_parallel.max(1),
            }),
        };
        tokio::spawn(reconcile::run(engine.clone(), noticed));
        Ok(engine)
    }

    /// Finds the machines that an earlier daemon left running, then starts what should run and does
    /// not. Requests that came before are done after.
    pub async fn recover(&self) {
        let found = self.shared.performer.driver.recover().await;
        let snapshot = self.view().snapshot();
        for Found { vm, .. } in found.iter().filter(|found| !snapshot.vms.contains_key(&found.vm)) {
            // Its spec is gone, so nobody can ask for anything to be done to it; it is left alone.
            warn!(%vm, "a machine runs of which there is no VM");
        }
        let known: HashSet<VmId> = found.iter().map(|found| found.vm).collect();
        let _ = self.view().barrier(Vec::new()).await;
        self.shared.recovered.send_replace(true);
        for vm in &known {
            self.shared.noticed.mark(*vm);
        }
        self.autostart(&known).await;
    }

    /// Starts, in the order they were made, the VMs that are wanted running and of which no machine
    /// was found: the host was restarted, or the daemon died before it had made one.
    async fn autostart(&self, found: &HashSet<VmId>) {
        let snapshot = self.view().snapshot();
        let wanted = snapshot.vms.values().filter(|vm| {
            vm.spec.as_ref().is_some_and(|spec| {
                spec.want == Want::Running && spec.config.autostart == Autostart::Auto
            }) && !found.contains(&vm.id)
        });
        let starts = wanted.map(|vm| async move {
            let caller = Caller::innkeeper();
            match self.submit_power(&caller, vm.id, Operation::Start).await {
                Ok(accepted) => drop(self.wait(accepted.task, Duration::MAX).await),
                Err(refusal) => warn!(vm = %vm.name, %refusal, "not started with the host"),
            }
        });
        use futures_util::StreamExt;
        futures_util::stream::iter(starts)
            .buffer_unordered(self.shared.autostart_parallel)
            .collect::<()>()
            .await;
    }

    /// The view that everything is told to.
    pub fn view(&self) -> &View {
        &self.shared.view
    }

    /// What stands between guests and this host.
    pub fn safeguards(&self) -> Vec<innkeeper_model::host::Safeguard> {
        let mut safeguards = self.shared.performer.driver.safeguards();
        safeguards.push(self.shared.performer.hands.guard.safeguard());
        safeguards
    }

    /// What the hypervisor is; asks it, the first time.
    ///
    /// # Errors
    /// There is none that could be used.
    pub async fn hypervisor(&self) -> Result<Arc<innkeeper_model::host::Hypervisor>, Refusal> {
        self.shared.performer.driver.hypervisor().await
    }

    /// Accepts a request, or refuses it without having changed anything. What is accepted is done in
    /// its turn, whether anybody waits or not; dropping the future before it is accepted leaves
    /// nothing.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn submit(&self, caller: &Caller, request: Request) -> Result<Accepted, Refusal> {
        self.ready().await?;
        match request {
            Request::Create { config, id } => self.submit_create(caller, *config, id).await,
            Request::Clone { vm, name } => self.submit_clone(caller, vm, name).await,
            Request::Edit { vm, config, expected } => {
                self.submit_edit(caller, vm, config, expected).await
            }
            Request::Delete { vm, force } => {
                let record = self.vm(vm)?;
                if record.spec.as_ref().is_some_and(|spec| spec.config.protected) {
                    let message = format!("VM {} is protected against deletion", record.name);
                    return Err(Refusal::new(Code::Protected, message)
                        .with_hint("set protected: false with `inn edit` first"));
                }
                let operation = if force { Operation::ForcedDelete } else { Operation::Delete };
                self.accept(caller, Some((&record, operation)), Work::Delete { vm }, None).await
            }
            Request::Power { vm, verb } => self.submit_verb(caller, vm, verb).await,
            Request::AddImage(image) => {
                if self.view().snapshot().images.contains_key(&image.name) {
                    let message = format!("there is an image named {}", image.name);
                    return Err(Refusal::new(Code::NameTaken, message).at("name"));
                }
                self.accept(caller, None, Work::AddImage(image), None).await
            }
            Request::RemoveImage { name } => {
                self.image_is_free(&name)?;
                self.accept(caller, None, Work::RemoveImage(name), None).await
            }
        }
    }

    async fn ready(&self) -> Result<(), Refusal> {
        if self.shared.stopping.is_cancelled() {
            return Err(stopping());
        }
        let mut recovered = self.shared.recovered.subscribe();
        recovered.wait_for(|recovered| *recovered).await.map_err(|_| stopping())?;
        Ok(())
    }

    async fn submit_verb(
        &self,
        caller: &Caller,
        vm: VmId,
        verb: PowerVerb,
    ) -> Result<Accepted, Refusal> {
        let (operation, timeout) = match verb {
            PowerVerb::Start => (Operation::Start, STOP_TIMEOUT),
            PowerVerb::Stop { timeout } => (Operation::Stop, timeout),
            PowerVerb::Kill => return self.submit_kill(caller, vm).await,
            PowerVerb::Reboot { timeout, force: false } => (Operation::Reboot, timeout),
            PowerVerb::Reboot { timeout, force: true } => (Operation::ForcedReboot, timeout),
            PowerVerb::Reset => (Operation::Reset, STOP_TIMEOUT),
            PowerVerb::Pause => (Operation::Pause, STOP_TIMEOUT),
            PowerVerb::Resume => (Operation::Resume, STOP_TIMEOUT),
        };
        let record = self.vm(vm)?;
        let work = Work::Power { vm, operation, timeout };
        self.accept(caller, Some((&record, operation)), work, None).await
    }

    pub(crate) async fn submit_power(
        &self,
        caller: &Caller,
        vm: VmId,
        operation: Operation,
    ) -> Result<Accepted, Refusal> {
        let record = self.vm(vm)?;
        let work = Work::Power { vm, operation, timeout: STOP_TIMEOUT };
        self.accept(caller, Some((&record, operation)), work, None).await
    }

    /// Kill does not wait its turn: what is done to the machine, or waits to be, is cancelled.
    async fn submit_kill(&self, caller: &Caller, vm: VmId) -> Result<Accepted, Refusal> {
        let record = self.vm(vm)?;
        let in_its_way = self.shared.live.of_vm(vm);
        let power = in_its_way.iter().filter(|task| {
            task.operation
                .is_some_and(|operation| operation.is_power() && operation != Operation::Kill)
        });
        let mut cancelled = false;
        for task in power {
            task.cancel.cancel();
            cancelled = true;
        }
        if !cancelled && legality::after(Operation::Kill, record.state).is_none() {
            return Err(legality::refuse(Operation::Kill, record.state, &record.name));
        }
        let work = Work::Power { vm, operation: Operation::Kill, timeout: STOP_TIMEOUT };
        self.accept_unasked(caller, &record, Operation::Kill, work).await
    }

    async fn submit_create(
        &self,
        caller: &Caller,
        config: VmConfig,
        id: Option<VmId>,
    ) -> Result<Accepted, Refusal> {
        config.validate()?;
        let id = id.unwrap_or_else(VmId::new);
        let hypervisor = self.hypervisor().await?;
        let reservation = self.reserve(id, &config.project, &config.name)?;
        let uid = reservation.uid();
        let admitted =
            self.admit(hypervisor, move |admission| admission.create(id, config, uid)).await?;
        self.accept(caller, None, Work::Create { admitted }, Some(reservation)).await
    }

    async fn submit_clone(
        &self,
        caller: &Caller,
        from: VmId,
        name: VmName,
    ) -> Result<Accepted, Refusal> {
        let record = self.vm(from)?;
        let spec = spec_of(&record)?;
        let id = VmId::new();
        let hypervisor = self.hypervisor().await?;
        let reservation = self.reserve(id, &record.project, &name)?;
        let uid = reservation.uid();
        let admitted =
            self.admit(hypervisor, move |admission| admission.clone(&spec, id, name, uid)).await?;
        let work = Work::Clone { from, admitted };
        let subject = Some((&record, Operation::Clone));
        self.accept(caller, subject, work, Some(reservation)).await
    }

    async fn submit_edit(
        &self,
        caller: &Caller,
        vm: VmId,
        config: Box<VmConfig>,
        expected: Option<Revision>,
    ) -> Result<Accepted, Refusal> {
        let record = self.vm(vm)?;
        let spec = spec_of(&record)?;
        check_revision(&spec, expected)?;
        let renamed = (&config.project, &config.name) != (&record.project, &record.name);
        let reservation = renamed
            .then(|| {
                let name = (config.project.clone(), config.name.clone());
                self.shared.reservations.for_name(&self.view().snapshot(), name)
            })
            .transpose()?;
        // Admitted now so that the caller hears at once what is wrong; and once more in its turn.
        let (hypervisor, runs) = (self.hypervisor().await?, has_machine(&record));
        let tried = (*config).clone();
        self.admit(hypervisor, move |admission| admission.edit(&spec, tried, runs)).await?;
        let work = Work::Edit { vm, config, expected };
        self.accept(caller, Some((&record, Operation::Edit)), work, reservation).await
    }

    /// Promises a new VM its id, name and user id.
    fn reserve(
        &self,
        id: VmId,
        project: &ProjectName,
        name: &VmName,
    ) -> Result<Reservation, Refusal> {
        let uids = self.shared.uids.as_ref().map(UidRange::ids);
        let name = (project.clone(), name.clone());
        self.shared.reservations.for_new_vm(&self.view().snapshot(), id, name, uids)
    }

    /// Runs an admission, which looks at files, on a thread that may wait for them.
    async fn admit(
        &self,
        hypervisor: Arc<innkeeper_model::host::Hypervisor>,
        decide: impl FnOnce(&Admission<'_>) -> Result<Admitted, Refusal> + Send + 'static,
    ) -> Result<Admitted, Refusal> {
        let engine = self.clone();
        blocking(move || {
            let snapshot = engine.view().snapshot();
            decide(&Admission {
                driver: &*engine.shared.performer.driver,
                hypervisor: &hypervisor,
                storage: &engine.shared.performer.hands.storage,
                host: snapshot.host.value(),
            })
        })
        .await
    }

    /// Makes a task of accepted work and lets it take its turn.
    async fn accept(
        &self,
        caller: &Caller,
        subject: Option<(&Arc<Record<Vm>>, Operation)>,
        work: Work,
        reservation: Option<Reservation>,
    ) -> Result<Accepted, Refusal> {
        let operation = subject.map(|(_, operation)| operation);
        let task = self.new_task(caller, &work, subject.map(|(vm, _)| vm), operation);
        let standing = subject.map(|(vm, _)| (vm.state, &vm.name));
        self.shared.live.admit(&task, standing)?;
        self.begin(task, work, reservation).await
    }

    /// As [`Engine::accept`], for what is legal whatever is queued.
    async fn accept_unasked(
        &self,
        caller: &Caller,
        record: &Arc<Record<Vm>>,
        operation: Operation,
        work: Work,
    ) -> Result<Accepted, Refusal> {
        let task = self.new_task(caller, &work, Some(record), Some(operation));
        self.shared.live.admit(&task, None)?;
        self.begin(task, work, None).await
    }

    fn new_task(
        &self,
        caller: &Caller,
        work: &Work,
        record: Option<&Arc<Record<Vm>>>,
        operation: Option<Operation>,
    ) -> Arc<LiveTask> {
        let task = Task {
            id: TaskId::new(),
            operation: work.name().into(),
            vm: work.vm(),
            subject: work.subject(record),
            caller: caller.name.clone(),
            request_id: caller.request_id.clone(),
            state: TaskState::Queued,
            cancellable: true,
            created: Timestamp::now(),
            started: None,
            ended: None,
            steps: Vec::new(),
            percent: None,
            error: None,
            warnings: Vec::new(),
            settled_at: None,
            revision: Revision::default(),
        };
        LiveTask::new(task, operation, self.view().clone())
    }

    async fn begin(
        &self,
        task: Arc<LiveTask>,
        work: Work,
        reservation: Option<Reservation>,
    ) -> Result<Accepted, Refusal> {
        let place = self.shared.queues.enter(work.resources());
        let record = task.snapshot();
        let (id, vm) = (record.id, record.vm);
        let mut updates = vec![Update::Task(record)];
        updates.extend(vm.map(|vm| Update::VmTask { id: vm, task: Some(id) }));
        let engine = self.clone();
        let span = info_span!("task", id = %id, operation = work.name());
        // From here on it is done, whether the caller waits or not.
        tokio::spawn(
            async move { engine.see_through(task, work, place, reservation).await }
                .instrument(span),
        );
        let revision = self.view().barrier(updates).await.map_err(|_| stopping())?;
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
        // The next in the queue may begin; readers of the view see this one's end before it does
        // anything, because it asks the view first.
        self.shared.live.remove(&task);
        drop(reservation);
        task.end(state, error).await;
        drop(place);
        if let Some(vm) = task.vm {
            let next = self.shared.live.of_vm(vm).first().map(|task| task.id);
            self.view().post(Update::VmTask { id: vm, task: next });
            // Facts that came while it was busy were left to it.
            self.shared.noticed.mark(vm);
        }
    }

    async fn carry_out(&self, task: &Arc<LiveTask>, work: &Work) -> Result<(), Stopped> {
        // What was told before this turn began is in the snapshot that it is planned from.
        self.view().barrier(Vec::new()).await.map_err(|_| Stopped::Failed(stopping()))?;
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
                plan::delete(&self.context(&record, false).await?)
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
        let spec = spec_of(record)?;
        let hypervisor = self.hypervisor().await?;
        let files = if makes {
            let (storage, spec) = (self.shared.performer.hands.storage.clone(), spec.clone());
            blocking(move || machine_files(&storage, &spec)).await?
        } else {
            MachineFiles::default()
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

    fn vm(&self, vm: VmId) -> Result<Arc<Record<Vm>>, Refusal> {
        let found = self.view().snapshot().vms.get(&vm).cloned();
        found.ok_or_else(|| Refusal::not_found("VM", vm))
    }

    fn image_is_free(&self, name: &ImageName) -> Result<(), Refusal> {
        let snapshot = self.view().snapshot();
        if !snapshot.images.contains_key(name) {
            return Err(Refusal::not_found("image", name));
        }
        let uses = |vm: &&Arc<Record<Vm>>| vm.spec.as_ref().is_some_and(|spec| names(spec, name));
        let users: Vec<&str> =
            snapshot.vms.values().filter(uses).take(5).map(|vm| vm.name.as_str()).collect();
        if users.is_empty() {
            return Ok(());
        }
        let message = format!("image {name} is in use by {}", users.join(", "));
        Err(Refusal::new(Code::InUse, message).with_hint("delete those VMs first"))
    }

    /// Whether a task of this VM has not ended.
    pub(crate) fn is_busy(&self, vm: VmId) -> bool {
        !self.shared.live.of_vm(vm).is_empty()
    }

    /// Waits until a task has ended, at most so long, and says how it is then; `None` for a task that
    /// is not known. Dropping the future changes nothing.
    pub async fn wait(&self, task: TaskId, at_most: Duration) -> Option<Task> {
        if let Some(live) = self.shared.live.get(task) {
            let _ = tokio::time::timeout(at_most, live.ended()).await;
            return Some(live.snapshot());
        }
        self.view().snapshot().tasks.get(&task).map(|task| task.value().as_ref().clone())
    }

    /// Asks a task to stop and undo what it did.
    ///
    /// # Errors
    /// There is no such task, or it has ended.
    pub fn cancel(&self, caller: &Caller, task: TaskId) -> Result<(), Refusal> {
        if let Some(live) = self.shared.live.get(task) {
            info!(%task, caller = caller.name, "cancelled");
            live.cancel.cancel();
            return Ok(());
        }
        match self.view().snapshot().tasks.get(&task) {
            None => Err(Refusal::not_found("task", task)),
            Some(ended) => {
                let message = format!("task {task} has ended: {:?}", ended.value().state);
                Err(Refusal::new(Code::WrongState, message.to_lowercase()))
            }
        }
    }

    /// Stops accepting requests and cancels what is being done, then waits for it. Machines are left
    /// as they are.
    pub async fn stop(&self) {
        self.shared.stopping.cancel();
        for task in self.shared.live.all() {
            task.cancel.cancel();
        }
        for task in self.shared.live.all() {
            task.ended().await;
        }
    }

    /// Opens a VM's serial console.
    ///
    /// # Errors
    /// There is no such VM, or it does not run.
    pub async fn open_console(&self, vm: VmId) -> Result<Box<dyn ByteStream>, Refusal> {
        let record = self.vm(vm)?;
        let opened = self.shared.performer.driver.open_console(vm).await;
        opened.map_err(|refusal| match refusal.code {
            Code::WrongState => {
                let message = format!("VM {} has no console: it is {}", record.name, record.state);
                Refusal::new(Code::WrongState, message).with_hint("`inn start` it first")
            }
            _ => refusal,
        })
    }

    /// The last of what a VM wrote to its serial console, at most 64 KiB.
    ///
    /// # Errors
    /// There is no such VM, or the host refused.
    pub async fn serial_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        self.vm(vm)?;
        self.shared.performer.driver.serial_log(vm).await
    }

    /// The last of what a VM's hypervisor wrote, at most 64 KiB.
    ///
    /// # Errors
    /// There is no such VM, or the host refused.
    pub async fn hypervisor_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        self.vm(vm)?;
        self.shared.performer.driver.hypervisor_log(vm).await
    }
}

impl Work {
    fn name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Clone { .. } => "clone",
            Self::Edit { .. } => "edit",
            Self::Delete { .. } => "delete",
            Self::Power { operation, .. } => operation.name(),
            Self::AddImage(_) => "image-add",
            Self::RemoveImage(_) => "image-remove",
        }
    }

    fn vm(&self) -> Option<VmId> {
        match self {
            Self::Create { admitted } | Self::Clone { admitted, .. } => Some(admitted.spec.id),
            Self::Edit { vm, .. } | Self::Delete { vm } | Self::Power { vm, .. } => Some(*vm),
            Self::AddImage(_) | Self::RemoveImage(_) => None,
        }
    }

    fn subject(&self, record: Option<&Arc<Record<Vm>>>) -> String {
        match (self, record) {
            (Self::Create { admitted } | Self::Clone { admitted, .. }, _) => {
                admitted.spec.config.name.to_string()
            }
            (Self::AddImage(image), _) => image.name.to_string(),
            (Self::RemoveImage(name), _) => name.to_string(),
            (_, Some(record)) => record.name.to_string(),
            (_, None) => String::new(),
        }
    }

    fn resources(&self) -> Vec<(Resource, Hold)> {
        let images = |spec: &Spec| {
            let disks = spec.config.disks.iter().filter_map(|disk| disk.image.clone());
            let kernel = match &spec.config.boot {
                Boot::Kernel(kernel) => kernel.image.clone(),
                Boot::Firmware(_) => None,
            };
            let unique: HashSet<ImageName> = disks.chain(kernel).collect();
            unique.into_iter().map(|name| (Resource::Image(name), Hold::Shared))
        };
        match self {
            Self::Create { admitted } => {
                let own = (Resource::Vm(admitted.spec.id), Hold::Exclusive);
                std::iter::once(own).chain(images(&admitted.spec)).collect()
            }
            Self::Clone { from, admitted } => {
                let both = [
                    (Resource::Vm(*from), Hold::Shared),
                    (Resource::Vm(admitted.spec.id), Hold::Exclusive),
                ];
                both.into_iter().chain(images(&admitted.spec)).collect()
            }
            Self::Edit { vm, .. } | Self::Delete { vm } | Self::Power { vm, .. } => {
                vec![(Resource::Vm(*vm), Hold::Exclusive)]
            }
            Self::AddImage(image) => vec![(Resource::Image(image.name.clone()), Hold::Exclusive)],
            Self::RemoveImage(name) => vec![(Resource::Image(name.clone()), Hold::Exclusive)],
        }
    }
}

fn stopping() -> Refusal {
    Refusal::new(Code::ShuttingDown, "the daemon is stopping")
        .with_hint("try again when it is back")
}

fn spec_of(record: &Vm) -> Result<Arc<Spec>, Refusal> {
    record.spec.clone().ok_or_else(|| {
        let problem = record.problem.clone().unwrap_or_default();
        let message = format!("VM {} is quarantined: {problem}", record.name);
        Refusal::new(Code::Quarantined, message)
    })
}

fn check_revision(spec: &Spec, expected: Option<Revision>) -> Result<(), Refusal> {
    match expected {
        Some(expected) if expected != spec.revision => {
            let message = format!(
                "the VM was changed meanwhile: its spec has revision {}, not {expected}",
                spec.revision
            );
            Err(Refusal::new(Code::RevisionConflict, message)
                .with_hint("read it again, then repeat"))
        }
        _ => Ok(()),
    }
}

fn has_machine(vm: &Vm) -> bool {
    vm.facts.machine != MachineState::Absent || vm.state == VmState::Starting
}

/// Whether a spec needs an image.
fn names(spec: &Spec, image: &ImageName) -> bool {
    let kernel =
        matches!(&spec.config.boot, Boot::Kernel(kernel) if kernel.image.as_ref() == Some(image));
    kernel || spec.config.disks.iter().any(|disk| disk.image.as_ref() == Some(image))
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

/// Everything that is stored, as updates of the view.
fn load(specs: &SpecStore, storage: &Storage) -> Result<Vec<Update>, Refusal> {
    let mut updates = Vec::new();
    for stored in specs.load()? {
        updates.push(match stored {
            StoredSpec::Whole(spec) => Update::VmSpec(Arc::from(spec)),
            StoredSpec::Damaged { id, file, reason } => {
                let problem = format!("{} is damaged: {reason}", file.display());
                warn!(%id, problem, "quarantined");
                let name = format!("damaged-{}", &id.to_string()[..8]);
                let name = name
                    .parse()
                    .map_err(|error| Refusal::new(Code::Internal, format!("{error}")))?;
                let project = ProjectName::default();
                Update::VmQuarantined { id, name, project, problem }
            }
        });
    }
    let catalogue = storage.images()?;
    for damaged in catalogue.damaged {
        warn!(image = damaged.name, reason = damaged.reason, "an image cannot be read");
    }
    updates.extend(catalogue.images.into_iter().map(Update::Image));
    Ok(updates)
}
