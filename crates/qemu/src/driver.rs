//! Does what `steps` plans.

use crate::{
    accelerator::AcceleratorChoice,
    assign,
    command_line::SERIAL_RING,
    confine::Confinement,
    host,
    launch::start,
    machine::Machine,
    process::Process,
    qmp::commands::{Cont, Nothing, Quit, Stop, SystemPowerdown, SystemReset},
    records::{Record, read_record, read_records},
    run_folder::{RunFolder, read_tail},
    steps::{self, Launch, QemuStep},
};
use async_trait::async_trait;
use innkeeper_driver::{
    ByteStream, Driver, Flow, Found, Observer, Operation, PlanContext, Probed, Step, StepContext,
    StepError,
};
use innkeeper_model::{
    Assigned, Code, EndReason, Facts, Incarnation, MachineState, Refusal, VmConfig, VmId,
    host::{Hypervisor, Safeguard},
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
use tracing::{info, warn};

/// The driver's name.
pub(crate) const NAME: &str = "qemu";

/// How often the power button is pressed while a guest does not end: one that is still booting
/// has nobody yet who notices.
const PRESS_AGAIN_AFTER: Duration = Duration::from_secs(3);
/// How long a QEMU that was asked to quit may take before it is killed.
const QUITS_WITHIN: Duration = Duration::from_secs(5);
/// How long a started QEMU may take until it answers; it takes 50 ms, and more on a loaded host.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);
/// How long the kernel may take to end a process that was killed.
const DIES_WITHIN: Duration = Duration::from_secs(30);
/// How long a start of the daemon waits for a machine that it found to say how it is.
const RECOGNISED_WITHIN: Duration = Duration::from_secs(2);
/// How long a reset may take to be reported.
const RESETS_WITHIN: Duration = Duration::from_secs(10);

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
}

/// The driver. One a daemon.
pub struct QemuDriver {
    options: QemuOptions,
    confinement: Confinement,
    storage: Arc<Storage>,
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
    /// A driver that opens files through `storage` and tells `observer` what it notices.
    pub fn new(options: QemuOptions, storage: Arc<Storage>, observer: Arc<dyn Observer>) -> Self {
        Self {
            options,
            confinement: Confinement::detect(),
            storage,
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
        let machine = self.machines().get(&vm).map(|kept| kept.machine.clone());
        machine.ok_or_else(|| Refusal::new(Code::WrongState, "the VM has no running machine"))
    }

    fn folder(&self, vm: VmId) -> RunFolder {
        RunFolder::of(&self.options.runtime, vm)
    }

    async fn prepare(&self, vm: VmId, uid: Option<u32>) -> Result<(), Refusal> {
        let folder = self.folder(vm);
        blocking(move || folder.prepare(uid)).await
    }

    /// Starts QEMU and reaches it. Only the reaching can be cancelled: a start that went on behind an
    /// undo would leave a machine that nobody watches.
    async fn launch(&self, launch: Launch, cancelled: &CancellationToken) -> Result<(), StepError> {
        let vm = launch.incarnation.vm;
        let folder = self.folder(vm);
        let (confinement, storage) = (self.confinement.clone(), self.storage.clone());
        let (process, incarnation) =
            blocking(move || start(&folder, &confinement, &storage, launch)).await?;
        let machine = self.watch(process, incarnation, MachineState::Created);
        let connected = async {
            let connected = tokio::time::timeout(ANSWERS_WITHIN, machine.connected()).await;
            connected.map_err(|_| {
                let message = format!("QEMU did not answer within {} s", ANSWERS_WITHIN.as_secs());
                Refusal::new(Code::Timeout, message)
            })?
        };
        unless(cancelled, connected).await
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

    async fn resume(&self, vm: VmId) -> Result<(), Refusal> {
        let machine = self.machine(vm)?;
        // Noted first: a guest that has begun must never be taken for one that has not.
        let folder = self.folder(vm);
        blocking(move || folder.note_that_it_ran()).await?;
        machine.execute(&Cont {}).await?;
        self.expect(&machine, MachineState::Running).await
    }

    async fn pause(&self, vm: VmId) -> Result<(), Refusal> {
        let machine = self.machine(vm)?;
        machine.execute(&Stop {}).await?;
        self.expect(&machine, MachineState::Paused).await
    }

    /// Waits until a machine has entered a state, or has ended instead.
    async fn expect(&self, machine: &Machine, wanted: MachineState) -> Result<(), Refusal> {
        let settled = |facts: &Facts| {
            let over = matches!(facts.machine, MachineState::Ended | MachineState::Absent);
            facts.machine == wanted || over
        };
        let waited = tokio::time::timeout(ANSWERS_WITHIN, machine.wait_for(settled)).await;
        match waited.map(|facts| facts.machine) {
            // A guest that ended a moment after it ran did run.
            Ok(found) if found == wanted || found == MachineState::Ended => Ok(()),
            Ok(_) => Err(Refusal::new(Code::HypervisorFailed, "QEMU ended")),
            Err(_) => Err(Refusal::new(Code::Timeout, format!("the machine is not {wanted:?}"))),
        }
    }

    async fn reset(&self, vm: VmId) -> Result<(), Refusal> {
        let machine = self.machine(vm)?;
        let before = machine.facts().resets;
        machine.execute(&SystemReset {}).await?;
        let was_reset = machine
            .wait_for(|facts| facts.resets > before || facts.machine == MachineState::Absent);
        let waited = tokio::time::timeout(RESETS_WITHIN, was_reset).await;
        let facts = waited.map_err(|_| Refusal::new(Code::Timeout, "QEMU reported no reset"))?;
        match facts.machine {
            MachineState::Absent => Err(Refusal::new(Code::HypervisorFailed, "QEMU ended")),
            _ => Ok(()),
        }
    }

    /// Presses the power button until the guest has ended.
    async fn power_down(&self, vm: VmId, timeout: Duration) -> Result<(), Refusal> {
        let Ok(machine) = self.machine(vm) else { return Ok(()) };
        let ended =
            |facts: &Facts| matches!(facts.machine, MachineState::Ended | MachineState::Absent);
        let press_until_ended = async {
            while !ended(&machine.facts()) {
                let Nothing {} = match machine.execute(&SystemPowerdown {}).await {
                    // It ended between the look and the press.
                    Err(_) if ended(&machine.facts()) => break,
                    pressed => pressed?,
                };
                let _ = tokio::time::timeout(PRESS_AGAIN_AFTER, machine.wait_for(ended)).await;
            }
            Ok(())
        };
        tokio::time::timeout(timeout, press_until_ended).await.map_err(|_| {
            let seconds = timeout.as_secs_f32();
            Refusal::new(
                Code::Timeout,
                format!("the guest did not power itself off in {seconds} s"),
            )
            .with_hint("give it longer with --timeout, or end it with `inn stop --force`")
        })?
    }

    /// Ends QEMU, taking the last of its guest's serial output first.
    async fn quit(&self, vm: VmId) -> Result<(), Refusal> {
        let Ok(machine) = self.machine(vm) else { return Ok(()) };
        if machine.facts().machine != MachineState::Absent {
            if let Err(error) = machine.keep_serial().await {
                warn!(%vm, %error, "the last of the serial output is not kept");
            }
            // QEMU may close the connection before it has answered.
            let _ = machine.execute(&Quit {}).await;
        }
        if tokio::time::timeout(QUITS_WITHIN, machine.gone()).await.is_ok() {
            return Ok(());
        }
        self.kill(vm, "it did not quit").await
    }

    async fn kill(&self, vm: VmId, why: &str) -> Result<(), Refusal> {
        if self.machine(vm).is_err() {
            self.adopt_unknown(vm).await?;
        }
        let Ok(machine) = self.machine(vm) else { return Ok(()) };
        machine.kill(why);
        tokio::time::timeout(DIES_WITHIN, machine.gone()).await.map_err(|_| {
            let message =
                format!("QEMU was killed and has not ended in {} s", DIES_WITHIN.as_secs());
            Refusal::new(Code::Timeout, message)
                .with_hint("the host's kernel holds it, most likely in a file system that hangs")
        })
    }

    /// Ends and forgets the machine of one incarnation, whether this daemon knows it or not.
    async fn withdraw(&self, vm: VmId) -> Result<(), Refusal> {
        self.kill(vm, "its start was undone").await?;
        self.put_away(vm).await
    }

    /// What a record of before comes to: a machine that runs, or one that died meanwhile. What an
    /// earlier boot of the host left is put away.
    async fn recognise(&self, record: Record) -> Option<Found> {
        match record {
            Record::Running(process, incarnation) => {
                let machine = self.watch(process, *incarnation, MachineState::Unresponsive);
                // One that does not answer is found, too, as that.
                let _ = tokio::time::timeout(RECOGNISED_WITHIN, machine.connected()).await;
                let incarnation = machine.incarnation().clone();
                info!(vm = %incarnation.vm, pid = ?incarnation.process, "found a running VM");
                let facts = machine.facts();
                let ran =
                    facts.machine != MachineState::Created || self.folder(incarnation.vm).it_ran();
                Some(Found { vm: incarnation.vm, incarnation, facts, ran })
            }
            Record::Died { incarnation, ran } => {
                let vm = incarnation.vm;
                let facts = Facts {
                    last_end: ran.then_some(EndReason::HypervisorDied { status: None }),
                    ..Facts::default()
                };
                let incarnation = Arc::new(*incarnation);
                self.observer.incarnation(vm, Some(incarnation.clone()));
                self.observer.facts(vm, facts.clone());
                Some(Found { vm, incarnation, facts, ran })
            }
            Record::Remains(vm) => {
                if let Err(error) = self.put_away(vm).await {
                    warn!(%vm, %error, "cannot put away what is left of a machine");
                }
                None
            }
            Record::Unreadable { vm, problem } => {
                warn!(%vm, problem);
                let facts = Facts { machine: MachineState::Unresponsive, ..Facts::default() };
                self.observer.facts(vm, facts);
                self.observer.problem(vm, Some(problem));
                None
            }
        }
    }

    /// Takes charge of a process that a record names and this daemon has not met.
    async fn adopt_unknown(&self, vm: VmId) -> Result<(), Refusal> {
        let folder = self.folder(vm);
        let boot_id = self.options.boot_id.clone();
        match blocking(move || Ok(read_record(&folder, vm, &boot_id))).await? {
            Some(Record::Running(process, incarnation)) => {
                self.watch(process, *incarnation, MachineState::Unresponsive);
                Ok(())
            }
            Some(Record::Unreadable { problem, .. }) => Err(unreadable(problem)),
            _ => Ok(()),
        }
    }

    async fn put_away(&self, vm: VmId) -> Result<(), Refusal> {
        let known = self.machines().get(&vm).map(|kept| kept.machine.clone());
        if known.is_some_and(|machine| machine.facts().machine != MachineState::Absent) {
            return Err(Refusal::new(Code::Internal, "a machine that lives cannot be put away"));
        }
        let (folder, confinement) = (self.folder(vm), self.confinement.clone());
        let known = self.machine(vm).is_ok();
        let boot_id = self.options.boot_id.clone();
        blocking(move || {
            if !known
                && let Some(Record::Unreadable { problem, .. }) = read_record(&folder, vm, &boot_id)
            {
                return Err(io::Error::other(unreadable(problem)));
            }
            confinement.remove_cgroups(vm)?;
            folder.put_away()
        })
        .await?;
        self.machines().remove(&vm);
        self.observer.incarnation(vm, None);
        Ok(())
    }
}

#[async_trait]
impl Driver for QemuDriver {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn hypervisor(&self) -> Result<Arc<Hypervisor>, Refusal> {
        let QemuOptions { program, accelerator, runtime, boot_id } = &self.options;
        let remembered_in = runtime.join("hypervisor.json");
        let detect = || async {
            let found = host::detect(program, *accelerator, &remembered_in, boot_id).await?;
            Ok(Arc::new(found))
        };
        self.hypervisor.get_or_try_init(detect).await.cloned()
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
            QemuStep::Launch(launch) => {
                let running = self.machine(vm).ok();
                let is_it = running.is_some_and(|machine| {
                    machine.incarnation().id == launch.incarnation.id
                        && machine.facts().machine != MachineState::Absent
                });
                Ok(if is_it { Probed::Happened } else { Probed::DidNot })
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
            QemuStep::Launch(launch) => self.launch(*launch, cancelled).await,
            QemuStep::Continue => unless(cancelled, self.resume(vm)).await,
            QemuStep::Pause => unless(cancelled, self.pause(vm)).await,
            QemuStep::Reset => unless(cancelled, self.reset(vm)).await,
            QemuStep::PowerDown { timeout_ms } => {
                unless(cancelled, self.power_down(vm, Duration::from_millis(timeout_ms))).await
            }
            // These take milliseconds, or end what must not be left half ended.
            QemuStep::Prepare { uid } => Ok(self.prepare(vm, uid).await?),
            QemuStep::Quit => Ok(self.quit(vm).await?),
            QemuStep::Kill => Ok(self.kill(vm, "the VM is to be ended at once").await?),
            QemuStep::PutAway => Ok(self.put_away(vm).await?),
        }
    }

    async fn undo(&self, vm: VmId, step: &Step) -> Result<(), StepError> {
        match QemuStep::from_step(step)? {
            QemuStep::Launch(_) => self.withdraw(vm).await?,
            QemuStep::Prepare { .. } => self.put_away(vm).await?,
            // Only a start is undone; these go forward, or changed nothing that could go back.
            QemuStep::Continue
            | QemuStep::Pause
            | QemuStep::PowerDown { .. }
            | QemuStep::Reset
            | QemuStep::Quit
            | QemuStep::Kill
            | QemuStep::PutAway => {}
        }
        Ok(())
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

    async fn open_console(&self, vm: VmId) -> Result<Box<dyn ByteStream>, Refusal> {
        Ok(Box::new(self.machine(vm)?.open_console().await?))
    }

    async fn serial_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        if let Ok(machine) = self.machine(vm) {
            machine.keep_serial().await?;
        }
        let path = self.folder(vm).serial_log();
        blocking(move || read_tail(&path, SERIAL_RING)).await
    }

    async fn hypervisor_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        let folder = self.folder(vm);
        blocking(move || {
            folder.bound_output()?;
            folder.read_output()
        })
        .await
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
