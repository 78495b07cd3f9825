//! Does what `steps` plans: what the driver is, and which of its parts does which step.

mod adopt;
mod dump;
mod ending;
mod nics;
mod power;
mod recovery;
mod screen;
mod suspend;

use crate::{
    accelerator::AcceleratorChoice,
    assign,
    command_line::SERIAL_RING,
    confine::Confinement,
    foreign, host,
    keeper::LOOKED_AT_WITHIN,
    machine::Machine,
    process::Process,
    qmp::ANSWER_WITHIN,
    records::read_records,
    run_folder::{Logs, RunFolder, read_tail},
    statistics,
    steps::{self, QemuStep},
};
use async_trait::async_trait;
use innkeeper_driver::{
    ByteStream, Driver, Flow, Found, Observer, Operation, PlanContext, Probed, Step, StepContext,
    StepError, Taps,
};
use innkeeper_model::{
    Assigned, Code, Foreign, Incarnation, IncarnationId, MachineState, Refusal, Statistics,
    VmConfig, VmId,
    diagnosis::DriverDiagnosis,
    host::{Hypervisor, Safeguard},
    keyboard::Stroke,
};
use innkeeper_storage::Storage;
use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::OnceCell;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{debug, warn};

/// The driver's name.
pub(crate) const NAME: &str = "qemu";

/// How long a started QEMU may take until it answers; it takes 50 ms, and more on a loaded host.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// What the driver is made with.
#[derive(Debug, Clone)]
pub struct QemuOptions {
    /// QEMU's program: a name on the path, or a path.
    pub program: String,
    /// What runs the guests' instructions.
    pub accelerator: AcceleratorChoice,
    /// The folder of the VMs' run folders; must not outlive the host's boot, or be told apart by
    /// `boot_id`.
    pub runtime: PathBuf,
    /// The host's boot (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
    /// Who tries what this host can do, where the daemon is root: a user that no VM and nothing else is.
    pub sandbox_uid: Option<u32>,
}

/// The driver. One a daemon.
pub struct QemuDriver {
    options: QemuOptions,
    confinement: Confinement,
    storage: Arc<Storage>,
    taps: Arc<dyn Taps>,
    observer: Arc<dyn Observer>,
    hypervisor: OnceCell<Arc<Hypervisor>>,
    machines: Mutex<HashMap<VmId, Kept>>,
}

/// A machine, and the task that keeps its facts, which ends with this entry.
struct Kept {
    machine: Arc<Machine>,
    _keeper: AbortOnDropHandle<()>,
}

impl std::fmt::Debug for QemuDriver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QemuDriver").field("options", &self.options).finish_non_exhaustive()
    }
}

impl QemuDriver {
    /// A driver that opens files through `storage` and networks through `taps`, and tells `observer` what
    /// it notices.
    pub fn new(
        options: QemuOptions,
        storage: Arc<Storage>,
        taps: Arc<dyn Taps>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self {
            options,
            confinement: Confinement::detect(),
            storage,
            taps,
            observer,
            hypervisor: OnceCell::new(),
            machines: Mutex::default(),
        }
    }

    fn machines(&self) -> MutexGuard<'_, HashMap<VmId, Kept>> {
        // Only map operations happen under the lock.
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn machine(&self, vm: VmId) -> Result<Arc<Machine>, Refusal> {
        self.machine_for(vm, None)
    }

    /// The machine that something is planned for.
    ///
    /// # Errors
    /// There is none any more, or only a newer one.
    fn machine_for(&self, vm: VmId, of: Option<IncarnationId>) -> Result<Arc<Machine>, Refusal> {
        self.machine_of(vm, of).ok_or_else(|| {
            let message = match self.knows(vm) {
                false => "the VM has no running machine",
                true => "the machine that this is for is gone, and there is a newer one",
            };
            Refusal::new(Code::WrongState, message)
        })
    }

    /// The machine of a VM; where `of` names one, only if it is that one.
    fn machine_of(&self, vm: VmId, of: Option<IncarnationId>) -> Option<Arc<Machine>> {
        let machine = self.machines().get(&vm).map(|kept| kept.machine.clone())?;
        of.is_none_or(|of| machine.incarnation().id == of).then_some(machine)
    }

    fn knows(&self, vm: VmId) -> bool {
        self.machines().contains_key(&vm)
    }

    fn folder(&self, vm: VmId) -> RunFolder {
        RunFolder::of(&self.options.runtime, vm)
    }

    fn watch(
        &self,
        process: Process,
        incarnation: Incarnation,
        begins_as: MachineState,
    ) -> Arc<Machine> {
        let vm = incarnation.vm;
        let incarnation = Arc::new(incarnation);
        self.observer.incarnation(vm, Some(incarnation.clone()));
        let (machine, keeper) =
            Machine::keep(self.folder(vm), process, incarnation, begins_as, self.observer.clone());
        self.machines().insert(vm, Kept { machine: machine.clone(), _keeper: keeper });
        machine
    }
}

#[async_trait]
impl Driver for QemuDriver {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn hypervisor(&self) -> Result<Arc<Hypervisor>, Refusal> {
        let detect = || async { Ok(Arc::new(host::detect(&self.options).await?)) };
        self.hypervisor.get_or_try_init(detect).await.cloned()
    }

    fn diagnosis(&self) -> DriverDiagnosis {
        let kept = self.machines();
        let machines = kept.values().map(|kept| &kept.machine);
        DriverDiagnosis {
            name: NAME.into(),
            version: self.hypervisor.get().map(|hypervisor| hypervisor.version.clone()),
            machines: kept.len(),
            connections: machines.clone().filter(|machine| machine.is_connected()).count(),
            last_error: machines.filter_map(|it| it.trouble()).max_by_key(|error| error.at),
        }
    }

    fn safeguards(&self) -> Vec<Safeguard> {
        self.confinement.safeguards()
    }

    fn assign(
        &self,
        config: &VmConfig,
        before: Option<&Assigned>,
        hypervisor: &Hypervisor,
    ) -> Result<Assigned, Refusal> {
        assign::assign(config, before, hypervisor)
    }

    fn plan(
        &self,
        operation: &Operation,
        context: &PlanContext<'_>,
    ) -> Result<Vec<Flow<Step>>, Refusal> {
        let QemuOptions { runtime, boot_id, .. } = &self.options;
        let steps = steps::plan(operation, context, runtime, boot_id, &self.confinement)?;
        Ok(steps.iter().map(|step| Flow::Step(step.to_step())).collect())
    }

    async fn probe(&self, vm: VmId, step: &Step) -> Result<Probed, StepError> {
        match QemuStep::from_step(step)? {
            QemuStep::Launch(incarnation) => {
                let machine = self.machine_of(vm, Some(incarnation.id));
                let lives = machine.is_some_and(|it| it.facts().machine != MachineState::Absent);
                Ok(if lives { Probed::Happened } else { Probed::DidNot })
            }
            QemuStep::Continue { of, .. } => {
                let went_on = self.went_on(vm, of).await?;
                Ok(if went_on { Probed::Happened } else { Probed::DidNot })
            }
            // They may all be repeated.
            _ => Ok(Probed::DidNot),
        }
    }

    async fn perform(&self, vm: VmId, step: &Step, context: &StepContext) -> Result<(), StepError> {
        let cancelled = &context.cancelled;
        let step = QemuStep::from_step(step)?;
        if cancelled.is_cancelled() {
            return Err(StepError::Cancelled);
        }
        match step {
            QemuStep::Launch(incarnation) => self.launch(*incarnation, cancelled).await,
            QemuStep::Continue { of, .. } => unless(cancelled, self.resume(vm, of)).await,
            QemuStep::Pause { of, .. } => unless(cancelled, self.pause(vm, of)).await,
            QemuStep::SaveMemory { of, file } => self.save_memory(vm, of, file, context).await,
            QemuStep::LoadMemory { of, file, checksum } => {
                self.load_memory(vm, of, file, &checksum, cancelled).await
            }
            QemuStep::DumpMemory { of, file } => self.dump_memory(vm, of, file, cancelled).await,
            QemuStep::Reset { of } => unless(cancelled, self.reset(vm, of)).await,
            QemuStep::PowerDown { of, timeout_ms } => {
                let timeout = Duration::from_millis(timeout_ms);
                unless(cancelled, self.power_down(vm, of, timeout)).await
            }
            QemuStep::Adopt(adopted) => unless(cancelled, self.adopt(*adopted)).await,
            QemuStep::PlugNic { of, nic } => unless(cancelled, self.plug_nic(vm, of, &nic)).await,
            QemuStep::UnplugNic { of, nic } => self.unplug_nic(vm, of, &nic, cancelled).await,
            QemuStep::ChangePlug { of, plug, before } => {
                unless(cancelled, self.change_plug(vm, of, &before, &plug)).await
            }
            QemuStep::SetLink { of, nic, up, .. } => {
                unless(cancelled, self.set_link(vm, of, &nic, up)).await
            }
            // These take milliseconds, or end what must not be left half ended.
            QemuStep::Prepare { uid, goes_on, .. } => {
                let logs = if goes_on { Logs::GoOn } else { Logs::Anew };
                Ok(self.prepare(vm, uid, logs).await?)
            }
            QemuStep::Quit { of } => Ok(self.quit(vm, of).await?),
            QemuStep::Kill { of } => Ok(self.kill(vm, of, "the VM is to be ended at once").await?),
            QemuStep::PutAway { of } => Ok(self.put_away(vm, of).await?),
        }
    }

    async fn undo(&self, vm: VmId, step: &Step) -> Result<(), StepError> {
        match QemuStep::from_step(step)? {
            QemuStep::Launch(incarnation) => self.withdraw(vm, incarnation.id).await?,
            QemuStep::Prepare { of, .. } => self.put_away(vm, of).await?,
            QemuStep::Pause { of, ran: true } => self.unpause(vm, of).await?,
            QemuStep::SaveMemory { of, .. } => self.unsave_memory(vm, of).await?,
            QemuStep::Adopt(adopted) => self.unadopt(&adopted).await?,
            QemuStep::PlugNic { of, nic } => self.withdraw_nic(vm, of, &nic).await?,
            QemuStep::UnplugNic { of, nic } => self.give_nic_back(vm, of, &nic).await?,
            QemuStep::ChangePlug { of, plug, before } => {
                self.restore_plug(vm, of, &before, &plug).await?;
            }
            QemuStep::SetLink { of, nic, before, up } if before != up => {
                self.restore_link(vm, of, &nic, before).await?;
            }
            // What is undone with the launch, goes forward only, or changed nothing that could go back.
            QemuStep::Continue { .. }
            | QemuStep::LoadMemory { .. }
            | QemuStep::SetLink { .. }
            | QemuStep::DumpMemory { .. }
            | QemuStep::Pause { .. }
            | QemuStep::PowerDown { .. }
            | QemuStep::Reset { .. }
            | QemuStep::Quit { .. }
            | QemuStep::Kill { .. }
            | QemuStep::PutAway { .. } => {}
        }
        Ok(())
    }

    async fn foreign(&self) -> Vec<Foreign> {
        let kept = |kept: &Kept| kept.machine.incarnation().process;
        let known = self.machines().values().filter_map(kept).collect();
        let runtime = self.options.runtime.clone();
        blocking(move || Ok(foreign::scan(&runtime, &known))).await.unwrap_or_default()
    }

    fn draft(&self, machine: &Foreign) -> Result<VmConfig, Refusal> {
        let pid = machine.process.pid;
        let seen = foreign::Seen::look(pid).ok().filter(|seen| seen.process == machine.process);
        let seen = seen.ok_or_else(|| Refusal::not_found("process", pid))?;
        foreign::draft_config(machine, &seen.argv)
    }

    async fn recover(&self) -> Vec<Found> {
        let (runtime, boot_id) = (self.options.runtime.clone(), self.options.boot_id.clone());
        let records = blocking(move || Ok(read_records(&runtime, &boot_id))).await;
        let records = records.unwrap_or_else(|error| {
            warn!(%error, "cannot look for running VMs");
            Vec::new()
        });
        let found = records.into_iter().map(|record| self.recognise(record));
        futures_util::future::join_all(found).await.into_iter().flatten().collect()
    }

    async fn look(&self, vm: VmId) -> Result<(), Refusal> {
        match self.machine_of(vm, None) {
            Some(machine) => machine.look().await,
            None => Ok(()),
        }
    }

    async fn open_console(&self, vm: VmId) -> Result<Box<dyn ByteStream>, Refusal> {
        Ok(Box::new(self.machine(vm)?.open_console().await?))
    }

    async fn open_vnc(&self, vm: VmId) -> Result<Box<dyn ByteStream>, Refusal> {
        Ok(Box::new(self.vnc(vm).await?))
    }

    async fn screenshot(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        self.picture(vm).await
    }

    async fn send_keys(&self, vm: VmId, strokes: &[Stroke]) -> Result<(), Refusal> {
        self.press(vm, strokes).await
    }

    async fn open_agent(&self, vm: VmId) -> Result<Box<dyn ByteStream>, Refusal> {
        Ok(Box::new(self.machine(vm)?.open_agent().await?))
    }

    async fn serial_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        if let Ok(machine) = self.machine(vm) {
            let within = if machine.is_connected() { ANSWER_WITHIN } else { LOOKED_AT_WITHIN };
            // A QEMU that does not answer has its ring still, and what the disk does not take is shown from here.
            match tokio::time::timeout(within, machine.keep_serial()).await {
                Ok(Ok(())) => {}
                failed => debug!(%vm, ?failed, "its serial log is shown as far as it is known"),
            }
        }
        self.kept_serial_log(vm).await
    }

    async fn kept_serial_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        let machine = self.machine(vm).ok();
        let unwritten = machine.map(|machine| machine.unwritten_serial()).unwrap_or_default();
        let path = self.folder(vm).serial_log();
        let mut log = blocking(move || read_tail(&path, SERIAL_RING)).await?;
        log.extend(unwritten);
        let too_many = log.len().saturating_sub(SERIAL_RING as usize);
        log.drain(..too_many);
        Ok(log)
    }

    async fn hypervisor_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        let folder = self.folder(vm);
        blocking(move || {
            folder.bound_output()?;
            folder.read_output()
        })
        .await
    }

    async fn statistics(&self, vm: VmId) -> Result<Statistics, Refusal> {
        statistics::read(&*self.machine(vm)?).await
    }

    async fn forget(&self, vm: VmId) -> Result<(), Refusal> {
        let folder = self.folder(vm);
        blocking(move || folder.remove()).await
    }
}

fn unreadable(problem: String) -> Refusal {
    Refusal::new(Code::WrongState, problem)
}

/// Waits for something that may be dropped at any of its waits, until it is cancelled.
async fn unless(
    cancelled: &CancellationToken,
    work: impl Future<Output = Result<(), Refusal>> + Send,
) -> Result<(), StepError> {
    tokio::select! {
        biased;
        () = cancelled.cancelled() => Err(StepError::Cancelled),
        outcome = work => Ok(outcome?),
    }
}

/// Runs something that waits for the host's file system on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Refusal> {
    let outcome = tokio::task::spawn_blocking(work).await;
    let outcome = outcome.map_err(|error| Refusal::new(Code::Internal, error.to_string()))?;
    outcome.map_err(|error| match error.downcast::<Refusal>() {
        Ok(refusal) => refusal,
        Err(error) => Refusal::from(error),
    })
}
