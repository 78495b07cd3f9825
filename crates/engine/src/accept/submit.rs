//! From a request to an accepted task, or to the reason why not.

use crate::{
    accept::{
        admission::{Admission, Admitted},
        legality::{self, MachineVerb, Operation},
        request::{Accepted, Caller, NetworkRequest, NicChange, PowerVerb, Request, STOP_TIMEOUT},
        reservations::Reservation,
        work::{Work, check_revision, spec_of},
    },
    engine::{Engine, stopping},
    networks::{
        changes::{self, with_ids},
        nics, wiring,
    },
    perform::hands::{blocking, import_request},
    turn::live::LiveTask,
};
use innkeeper_model::{
    Code, ImageName, ProjectName, Refusal, Revision, Spec, Task, TaskId, TaskState, Timestamp, Vm,
    VmConfig, VmId, VmName, VmState, Want, config::Boot, host::Hypervisor, task::PlannedOperation,
};
use innkeeper_network::UidRange;
use innkeeper_view::Record;
use std::{sync::Arc, time::Duration};

impl Engine {
    async fn ready(&self) -> Result<(), Refusal> {
        if self.shared.stopping.is_cancelled() {
            return Err(stopping());
        }
        self.recovered().await
    }

    /// Waits until it is known what runs: from then on the view says what there is, and requests are
    /// accepted. Takes as long as the hypervisors need to answer, a few seconds at most; the engine must
    /// have been told to [`recover`](Self::recover).
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn recovered(&self) -> Result<(), Refusal> {
        let mut recovered = self.shared.recovered.subscribe();
        recovered.wait_for(|recovered| *recovered).await.map_err(|_| stopping())?;
        Ok(())
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
            Request::Nic { vm, change } => self.submit_nic(caller, vm, change).await,
            Request::Delete { vm, force } => {
                let record = self.vm(vm)?;
                if record.spec.as_ref().is_some_and(|spec| spec.config.protected) {
                    let message = format!("VM {} is protected against deletion", record.name);
                    return Err(Refusal::new(Code::Protected, message)
                        .with_hint("set protected: false with `inn edit` first"));
                }
                let operation = if force { Operation::ForcedDelete } else { Operation::Delete };
                self.accept(
                    caller,
                    Some(Subject::of(&record, operation)),
                    Work::Delete { vm },
                    None,
                )
                .await
            }
            Request::Power { vm, verb } => self.submit_verb(caller, vm, verb).await,
            Request::Adopt { pid, name } => self.submit_adopt(caller, pid, name).await,
            Request::Network(request) => self.submit_network(caller, request).await,
            Request::AddImage(image) => {
                self.image_name_is_free(&image.name)?;
                let storage = self.shared.performer.hands.storage.clone();
                let import = import_request(&image)?;
                blocking(move || storage.check_import(&import)).await?;
                self.accept(caller, None, Work::AddImage(image), None).await
            }
            Request::RemoveImage { name } => {
                self.image_is_free(&name)?;
                self.accept(caller, None, Work::RemoveImage(name), None).await
            }
        }
    }

    async fn submit_verb(
        &self,
        caller: &Caller,
        vm: VmId,
        verb: PowerVerb,
    ) -> Result<Accepted, Refusal> {
        self.check_legible(vm, verb).await?;
        let (verb, timeout) = self.machine_verb(vm, verb);
        if verb == MachineVerb::Kill {
            return self.submit_kill(caller, vm).await;
        }
        self.submit_machine(caller, vm, verb, timeout).await
    }

    /// What is done to a machine for a verb, and how long its guest may take.
    fn machine_verb(&self, vm: VmId, verb: PowerVerb) -> (MachineVerb, Duration) {
        match verb {
            PowerVerb::Start { discard_memory: false } => (MachineVerb::Start, STOP_TIMEOUT),
            PowerVerb::Start { discard_memory: true } => (MachineVerb::StartAfresh, STOP_TIMEOUT),
            PowerVerb::Suspend => (MachineVerb::Suspend, STOP_TIMEOUT),
            PowerVerb::Resume if self.will_be_suspended(vm) => (MachineVerb::Restore, STOP_TIMEOUT),
            PowerVerb::Stop { timeout } => (MachineVerb::Stop, timeout),
            PowerVerb::Kill => (MachineVerb::Kill, STOP_TIMEOUT),
            PowerVerb::Reboot { timeout, force: false } => (MachineVerb::Reboot, timeout),
            PowerVerb::Reboot { timeout, force: true } => (MachineVerb::ForcedReboot, timeout),
            PowerVerb::Reset => (MachineVerb::Reset, STOP_TIMEOUT),
            PowerVerb::Pause => (MachineVerb::Pause, STOP_TIMEOUT),
            PowerVerb::Resume => (MachineVerb::Resume, STOP_TIMEOUT),
        }
    }

    fn will_be_suspended(&self, vm: VmId) -> bool {
        self.will_be(vm, VmState::Suspended)
    }

    fn will_be(&self, vm: VmId, wanted: VmState) -> bool {
        let state = self.vm(vm).map(|record| record.state);
        state.is_ok_and(|state| self.shared.live.expected(vm, state) == wanted)
    }

    /// A VM whose memory image cannot be read is stopped to all who ask. Who wants it to go on is told why
    /// it cannot, and not that it is stopped.
    async fn check_legible(&self, vm: VmId, verb: PowerVerb) -> Result<(), Refusal> {
        if verb == PowerVerb::Resume && self.will_be(vm, VmState::Stopped) {
            self.shared.performer.hands.storage.memory(vm).await?;
        }
        Ok(())
    }

    /// What the engine itself has done to a machine.
    pub(crate) async fn submit_power(
        &self,
        caller: &Caller,
        vm: VmId,
        verb: MachineVerb,
    ) -> Result<Accepted, Refusal> {
        self.submit_machine(caller, vm, verb, STOP_TIMEOUT).await
    }

    async fn submit_machine(
        &self,
        caller: &Caller,
        vm: VmId,
        verb: MachineVerb,
        timeout: Duration,
    ) -> Result<Accepted, Refusal> {
        let subject = self.subject(vm, Operation::Machine(verb))?;
        self.accept(caller, Some(subject), Work::Power { vm, verb, timeout }, None).await
    }

    /// What legality is asked with. A VM that is still being made will be stopped when its turn comes.
    fn subject(&self, vm: VmId, operation: Operation) -> Result<Subject, Refusal> {
        if self.vm(vm).is_err()
            && let Some(name) = self.shared.live.being_made(vm)
        {
            return Ok(Subject { name, state: VmState::Stopped, operation });
        }
        // Asked again, because it may have been finished between the two questions.
        Ok(Subject::of(&*self.vm(vm)?, operation))
    }

    /// Kill does not wait its turn: what is done to the machine, or waits to be, is cancelled.
    async fn submit_kill(&self, caller: &Caller, vm: VmId) -> Result<Accepted, Refusal> {
        let record = self.vm(vm)?;
        let kill = Operation::Machine(MachineVerb::Kill);
        let in_its_way = self.shared.live.of_vm(vm);
        let cut_short = |task: &&Arc<LiveTask>| task.operation.is_some_and(gives_way_to_kill);
        let of_machine =
            |task: &Arc<LiveTask>| matches!(task.operation, Some(Operation::Machine(_)));
        let illegal = legality::after(kill, record.state).is_none() || !record.is_on();
        if illegal && !in_its_way.iter().filter(cut_short).any(of_machine) {
            return Err(legality::refuse(kill, record.state, record.state, &record.name));
        }
        for task in in_its_way.iter().filter(cut_short) {
            // One that is past its point of no return ends soon, and the kill comes next.
            let _ = task.try_cancel();
        }
        let work = Work::Power { vm, verb: MachineVerb::Kill, timeout: STOP_TIMEOUT };
        let subject = Subject::of(&record, kill);
        let task = self.new_task(caller, &work, Some(&subject));
        // Whatever is queued, a kill is legal after it.
        self.shared.live.insert(&task);
        self.shared.owing.give_way();
        // What is interrupted keeps its place until a person decides, and a kill does not wait for that.
        let resources = if record.interrupted.is_some() { Vec::new() } else { work.resources() };
        self.begin_holding(task, resources, work, None).await
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
        self.check_published(&admitted.spec, None).await?;
        // From here to the task nothing is waited for, so what is taken is the task's to give back.
        let admitted = self.with_addresses(admitted, None)?;
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
        let admitted = self.with_addresses(admitted, None)?;
        let work = Work::Clone { from, admitted };
        let subject = Some(Subject::of(&record, Operation::Clone));
        let accepted = self.accept(caller, subject, work, Some(reservation)).await;
        if accepted.is_err() {
            self.settle_claims(id);
        }
        accepted
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
        let in_use = record.is_on() || record.memory.is_some();
        let hypervisor = self.hypervisor().await?;
        let tried = (*config).clone();
        let before = spec.clone();
        let admitted =
            self.admit(hypervisor, move |admission| admission.edit(&spec, tried, in_use)).await?;
        self.check_published(&admitted.spec, Some(&before)).await?;
        let networks = self.with_addresses(admitted, Some(&before))?.networks;
        let work = Work::Edit { vm, config, expected, networks };
        let subject = Some(Subject::of(&record, Operation::Edit));
        let accepted = self.accept(caller, subject, work, reservation).await;
        if accepted.is_err() {
            self.settle_claims(vm);
        }
        accepted
    }

    async fn submit_nic(
        &self,
        caller: &Caller,
        vm: VmId,
        change: NicChange,
    ) -> Result<Accepted, Refusal> {
        let record = self.vm(vm)?;
        let before = spec_of(&record)?;
        let admitted = self.admit_nic(&before, &change).await?;
        nics::check_room(record.incarnation.as_deref(), &admitted.spec, &change)?;
        self.check_published(&admitted.spec, Some(&before)).await?;
        let networks = self.with_addresses(admitted, Some(&before))?.networks;
        let work = Work::Nic { vm, change, networks };
        let subject = Some(Subject::of(&record, Operation::ChangeNics));
        let accepted = self.accept(caller, subject, work, None).await;
        if accepted.is_err() {
            self.settle_claims(vm);
        }
        accepted
    }

    /// The spec with a NIC more, less or other.
    pub(crate) async fn admit_nic(
        &self,
        before: &Arc<Spec>,
        change: &NicChange,
    ) -> Result<Admitted, Refusal> {
        let config = nics::changed(&before.config, change)?;
        let hypervisor = self.hypervisor().await?;
        let before = before.clone();
        // Not as an edit of a running VM: nothing of its disks is touched.
        self.admit(hypervisor, move |admission| admission.edit(&before, config, false)).await
    }

    /// Makes a VM of a foreign machine, with a draft of a spec.
    async fn submit_adopt(
        &self,
        caller: &Caller,
        pid: u32,
        name: Option<VmName>,
    ) -> Result<Accepted, Refusal> {
        let driver = self.shared.performer.driver.clone();
        let machine = driver.foreign().await.into_iter().find(|found| found.process.pid == pid);
        let machine = machine.ok_or_else(|| {
            Refusal::not_found("foreign machine with process", pid)
                .with_hint("`inn host` lists the machines that can be adopted")
        })?;
        if let Some(why) = &machine.not_adoptable {
            let message = format!("the machine of process {pid} cannot be adopted: {why}");
            return Err(Refusal::new(Code::Unsupported, message));
        }
        let mut config = driver.draft(&machine)?;
        if let Some(name) = name {
            config.name = name;
        }
        let id = VmId::new();
        let name = (config.project.clone(), config.name.clone());
        let reservation =
            self.shared.reservations.for_new_vm(&self.view().snapshot(), id, name, None)?;
        let hypervisor = self.hypervisor().await?;
        let assigned = driver.assign(&config, None, &hypervisor)?;
        let now = Timestamp::now();
        let spec = Arc::new(Spec {
            id,
            revision: Revision(1),
            created: now,
            updated: now,
            want: Want::Running,
            draft: true,
            config,
            assigned,
        });
        let work = Work::Adopt { spec, machine: Box::new(machine) };
        self.accept(caller, None, work, Some(reservation)).await
    }

    async fn submit_network(
        &self,
        caller: &Caller,
        request: NetworkRequest,
    ) -> Result<Accepted, Refusal> {
        let request = with_ids(request);
        self.network_change(&request).await?;
        let snapshot = self.view().snapshot();
        let network = changes::subject(&request, &snapshot)
            .ok_or_else(|| Refusal::new(Code::Internal, "a request about no network"))?;
        let name = match &request {
            NetworkRequest::Create { config, .. } => config.name.clone(),
            _ => wiring::network(&snapshot, network)?.config.name.clone(),
        };
        let work = Work::Network { request: Box::new(request), network, name };
        let accepted = self.accept(caller, None, work, None).await?;
        Ok(Accepted { network: Some(network), ..accepted })
    }

    /// What a request would come to, now; nothing is done. A request that would be refused is refused.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    pub async fn dry_run(&self, vm: VmId, verb: PowerVerb) -> Result<PlannedOperation, Refusal> {
        self.ready().await?;
        self.check_legible(vm, verb).await?;
        let (verb, timeout) = self.machine_verb(vm, verb);
        let operation = Operation::Machine(verb);
        let subject = self.subject(vm, operation)?;
        if legality::after(operation, subject.state).is_none() {
            return Err(legality::refuse(operation, subject.state, subject.state, &subject.name));
        }
        let plan = self.plan(Some(operation), &Work::Power { vm, verb, timeout }).await?;
        Ok(plan.printed(verb.name()))
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
    pub(crate) async fn admit(
        &self,
        hypervisor: Arc<Hypervisor>,
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
        subject: Option<Subject>,
        work: Work,
        reservation: Option<Reservation>,
    ) -> Result<Accepted, Refusal> {
        let task = self.new_task(caller, &work, subject.as_ref());
        match &subject {
            Some(subject) => self.shared.live.admit(&task, subject)?,
            None => self.shared.live.insert(&task),
        }
        self.begin(task, work, reservation).await
    }

    fn new_task(&self, caller: &Caller, work: &Work, subject: Option<&Subject>) -> Arc<LiveTask> {
        let task = Task {
            id: TaskId::new(),
            operation: work.name().into(),
            vm: work.vm(),
            subject: work.subject(subject.map(|subject| &subject.name)),
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
            leftovers: Vec::new(),
            log: Vec::new(),
            resources: work.resources().iter().map(|(resource, _)| resource.to_string()).collect(),
            taken_up: 0,
            settled_at: None,
            revision: Revision::default(),
        };
        let operation = subject.map(|subject| subject.operation);
        LiveTask::new(task, operation, self.view().clone())
    }

    /// Asked twice: an import that finds its name taken must not begin, or its undo would take away what
    /// another one brought in.
    pub(crate) fn image_name_is_free(&self, name: &ImageName) -> Result<(), Refusal> {
        if self.view().snapshot().images.contains_key(name) {
            let message = format!("there is an image named {name}");
            return Err(Refusal::new(Code::NameTaken, message).at("name"));
        }
        Ok(())
    }

    pub(crate) fn image_is_free(&self, name: &ImageName) -> Result<(), Refusal> {
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
}

/// The VM that an operation is about, as far as legality asks.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) name: VmName,
    pub(crate) state: VmState,
    pub(crate) operation: Operation,
}

impl Subject {
    fn of(record: &Vm, operation: Operation) -> Self {
        Self { name: record.name.clone(), state: record.state, operation }
    }
}

/// What holds a VM while its machine may not answer, and is cancelled for the sake of a kill.
fn gives_way_to_kill(operation: Operation) -> bool {
    match operation {
        Operation::Machine(verb) => verb != MachineVerb::Kill,
        Operation::Edit | Operation::ChangeNics => true,
        Operation::Clone | Operation::Delete | Operation::ForcedDelete => false,
    }
}

/// Whether a spec needs an image.
fn names(spec: &Spec, image: &ImageName) -> bool {
    let kernel =
        matches!(&spec.config.boot, Boot::Kernel(kernel) if kernel.image.as_ref() == Some(image));
    kernel || spec.config.disks.iter().any(|disk| disk.image.as_ref() == Some(image))
}
