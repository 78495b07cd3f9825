//! From a request to what is accepted, or to the reason why not: everything but the task.

use crate::{
    accept::{
        admission::{Admission, Admitted},
        legality::{self, MachineVerb, Operation},
        request::{ImportVm, NetworkRequest, NicChange, PowerVerb, Request, STOP_TIMEOUT},
        reservations::Reservation,
        submit::Subject,
        work::{Work, check_revision, spec_of},
    },
    engine::Engine,
    networks::{
        changes::{self, with_ids},
        nics, wiring,
    },
    perform::hands::blocking,
};
use innkeeper_model::{
    Code, ProjectName, Refusal, Revision, Spec, Timestamp, VmConfig, VmId, VmName, VmState, Want,
    host::Hypervisor, task::PlannedOperation,
};
use innkeeper_network::UidRange;
use std::{sync::Arc, time::Duration};

/// What can be accepted, with what was promised it. What it has taken of networks is given back by its
/// task, or by whoever makes none of it.
pub(crate) struct Prepared {
    /// The VM that it is about, where legality asks.
    pub(crate) subject: Option<Subject>,
    pub(crate) work: Work,
    pub(crate) reservation: Option<Reservation>,
}

impl Prepared {
    /// Work that no legality is asked of, and that nothing was promised.
    pub(crate) const fn of(work: Work) -> Self {
        Self { subject: None, work, reservation: None }
    }
}

/// Gives back what was taken of networks for something that is not done.
struct Untaken<'a>(&'a Engine, VmId);

impl Drop for Untaken<'_> {
    fn drop(&mut self) {
        self.0.settle_claims(self.1);
    }
}

impl Engine {
    /// What a request would come to, now; nothing is done. A request that would be refused is refused.
    /// Until this returns it has the names and addresses that it would get.
    ///
    /// # Errors
    /// As [`Engine::submit`]; or it cannot be told for this request.
    pub async fn dry_run(&self, request: Request) -> Result<PlannedOperation, Refusal> {
        self.ready().await?;
        self.check_allowed(&request)?;
        let Prepared { subject, work, reservation } = self.prepare(request).await?;
        let _untaken = work.vm().map(|vm| Untaken(self, vm));
        let _promised = reservation;
        let operation = subject.as_ref().map(|subject| subject.operation);
        if let Some(Subject { name, state, operation, .. }) = &subject
            && legality::after(*operation, *state).is_none()
        {
            return Err(legality::refuse(*operation, *state, *state, name));
        }
        Ok(self.plan(operation, &work).await?.printed(work.name()))
    }

    /// Prepares a request, or refuses it without having changed anything. From its return on nothing may be
    /// waited for before somebody answers for what was taken.
    pub(crate) async fn prepare(&self, request: Request) -> Result<Prepared, Refusal> {
        self.check_quota_of(&request).await?;
        match request {
            Request::Create { config, id } => self.prepare_create(*config, id).await,
            Request::Clone { vm, name } => self.prepare_clone(vm, name).await,
            Request::Import(import) => self.prepare_import(*import).await,
            Request::Edit { vm, config, expected } => self.prepare_edit(vm, config, expected).await,
            Request::Nic { vm, change } => self.prepare_nic(vm, change).await,
            Request::Delete { vm, force } => self.prepare_delete(vm, force),
            Request::Power { vm, verb } => {
                self.check_legible(vm, verb).await?;
                let (verb, timeout) = self.machine_verb(vm, verb);
                self.prepare_machine(vm, verb, timeout)
            }
            Request::Adopt { pid, name } => self.prepare_adopt(pid, name).await,
            Request::AdoptManaged { vm, name } => self.prepare_adopt_managed(vm, name),
            Request::Network(request) => self.prepare_network(request).await,
            Request::AddImage(image) => self.prepare_image(*image).await,
            Request::RemoveImage { name } => {
                self.image_is_free(&name)?;
                Ok(Prepared::of(Work::RemoveImage(name)))
            }
        }
    }

    /// Something that is done to a machine.
    pub(crate) fn prepare_machine(
        &self,
        vm: VmId,
        verb: MachineVerb,
        timeout: Duration,
    ) -> Result<Prepared, Refusal> {
        let subject = Some(self.subject(vm, Operation::Machine(verb))?);
        Ok(Prepared { subject, work: Work::Power { vm, verb, timeout }, reservation: None })
    }

    fn prepare_delete(&self, vm: VmId, force: bool) -> Result<Prepared, Refusal> {
        let record = self.vm(vm)?;
        if record.spec.as_ref().is_some_and(|spec| spec.config.protected) {
            let message = format!("VM {} is protected against deletion", record.name);
            return Err(Refusal::new(Code::Protected, message)
                .with_hint("set protected: false with `inn edit` first"));
        }
        let operation = match (record.manager(), force) {
            (Some(_), _) if record.spec.is_some() => Operation::LetGo,
            (_, true) => Operation::ForcedDelete,
            (_, false) => Operation::Delete,
        };
        let subject = Some(Subject::of(&record, operation));
        Ok(Prepared { subject, work: Work::Delete { vm }, reservation: None })
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

    /// What legality is asked with. A VM that is still being made will be stopped when its turn comes.
    fn subject(&self, vm: VmId, operation: Operation) -> Result<Subject, Refusal> {
        if self.vm(vm).is_err()
            && let Some((name, project)) = self.shared.live.being_made(vm)
        {
            return Ok(Subject { name, project, state: VmState::Stopped, operation });
        }
        // Asked again, because it may have been finished between the two questions.
        Ok(Subject::of(&*self.vm(vm)?, operation))
    }

    async fn prepare_create(
        &self,
        config: VmConfig,
        id: Option<VmId>,
    ) -> Result<Prepared, Refusal> {
        config.validate()?;
        let id = id.unwrap_or_else(VmId::new);
        let hypervisor = self.hypervisor().await?;
        let reservation = self.reserve(id, &config.project, &config.name)?;
        let uid = reservation.uid();
        let admitted =
            self.admit(hypervisor, move |admission| admission.create(id, config, uid)).await?;
        self.has_room_for(&admitted.spec)?;
        self.check_published(&admitted.spec, None).await?;
        // From here to the task nothing is waited for, so what is taken is the task's to give back.
        let admitted = self.with_addresses(admitted, None)?;
        Ok(Prepared { reservation: Some(reservation), ..Prepared::of(Work::Create { admitted }) })
    }

    async fn prepare_clone(&self, from: VmId, name: VmName) -> Result<Prepared, Refusal> {
        let record = self.vm(from)?;
        let spec = spec_of(&record)?;
        let id = VmId::new();
        let hypervisor = self.hypervisor().await?;
        let reservation = self.reserve(id, &record.project, &name)?;
        let uid = reservation.uid();
        let admitted =
            self.admit(hypervisor, move |admission| admission.clone(&spec, id, name, uid)).await?;
        self.has_room_for(&admitted.spec)?;
        let admitted = self.with_addresses(admitted, None)?;
        let work = Work::Clone { from, admitted };
        let subject = Some(Subject::of(&record, Operation::Clone));
        Ok(Prepared { subject, work, reservation: Some(reservation) })
    }

    async fn prepare_import(&self, import: ImportVm) -> Result<Prepared, Refusal> {
        let staged = import.staged.clone();
        let manifest = staged.manifest();
        let id = if import.keep_identity { manifest.id } else { VmId::new() };
        let name = import.name.as_ref().unwrap_or(&manifest.config.name);
        let project = import.project.as_ref().unwrap_or(&manifest.config.project);
        let hypervisor = self.hypervisor().await?;
        let reservation = self.reserve(id, project, name)?;
        let uid = reservation.uid();
        let had = import.keep_identity.then(|| manifest.assigned.addresses.clone());
        let admitted =
            self.admit(hypervisor, move |admission| admission.import(&import, id, uid)).await?;
        self.has_room_for(&admitted.spec)?;
        self.check_published(&admitted.spec, None).await?;
        let mut before = Spec::clone(&admitted.spec);
        before.assigned.addresses = had.unwrap_or_default();
        let admitted = self.with_addresses(admitted, Some(&before))?;
        let work = Work::Import { staged, admitted };
        Ok(Prepared { reservation: Some(reservation), ..Prepared::of(work) })
    }

    async fn prepare_edit(
        &self,
        vm: VmId,
        config: Box<VmConfig>,
        expected: Option<Revision>,
    ) -> Result<Prepared, Refusal> {
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
        // Whoever saves a draft has confirmed it.
        let work = Work::Edit { vm, config, expected, networks, confirms: true };
        let subject = Some(Subject::of(&record, Operation::Edit));
        Ok(Prepared { subject, work, reservation })
    }

    async fn prepare_nic(&self, vm: VmId, change: NicChange) -> Result<Prepared, Refusal> {
        let record = self.vm(vm)?;
        let before = spec_of(&record)?;
        let admitted = self.admit_nic(&before, &change).await?;
        nics::check_room(record.incarnation.as_deref(), &admitted.spec, &change)?;
        self.check_published(&admitted.spec, Some(&before)).await?;
        let networks = self.with_addresses(admitted, Some(&before))?.networks;
        let work = Work::Nic { vm, change, networks };
        let subject = Some(Subject::of(&record, Operation::ChangeNics));
        Ok(Prepared { subject, work, reservation: None })
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
    async fn prepare_adopt(&self, pid: u32, name: Option<VmName>) -> Result<Prepared, Refusal> {
        let driver = self.shared.performer.drivers.own().clone();
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
            driver: None,
            config,
            assigned,
        });
        let work = Work::Adopt { spec, machine: Box::new(machine) };
        Ok(Prepared { reservation: Some(reservation), ..Prepared::of(work) })
    }

    async fn prepare_network(&self, request: NetworkRequest) -> Result<Prepared, Refusal> {
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
        Ok(Prepared::of(work))
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

    /// Refuses a new VM at once for which this host or its project has no room. It is its task that takes
    /// the room: another can be faster.
    fn has_room_for(&self, spec: &Spec) -> Result<(), Refusal> {
        let accountant = &self.shared.performer.hands.accountant;
        accountant.has_room(&spec.config.project, self.disk_size(spec))
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
                driver: &**engine.shared.performer.drivers.own(),
                hypervisor: &hypervisor,
                storage: &engine.shared.performer.hands.storage,
                host: snapshot.host.value(),
            })
        })
        .await
    }
}
