//! Does in the world what `steps` plans.

use crate::{
    NAME,
    act::unless,
    assign,
    belongings::shown,
    change::Change,
    faults::{Call, CallKind, Fate, Fault},
    plan::{self, Place},
    steps::SimStep,
    world::{State, World},
};
use async_trait::async_trait;
use innkeeper_driver::{
    ByteStream, Driver, Flow, Found, Observer, Operation, PlanContext, Probed, Step, StepContext,
    StepError,
};
use innkeeper_model::{
    Assigned, ByteSize, Code, EndReason, Facts, Foreign, MachineState, Refusal, VmConfig, VmId,
    diagnosis::DriverDiagnosis,
    host::{Hypervisor, Safeguard},
    names::NotAName,
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The machine types that there are. One is QEMU's, so that a document that was written for QEMU can
/// be tried here.
const MACHINES: [&str; 2] = ["sim-1.0", "pc-q35-10.0"];

/// The driver. One a daemon; several may share a world, one after another or at once.
#[derive(Debug)]
pub struct SimDriver {
    world: Arc<World>,
    watcher: u64,
    hypervisor: Arc<Hypervisor>,
}

impl SimDriver {
    /// A driver of this world's machines that tells `observer` what it notices, of the VMs that it has
    /// done something to or has found.
    pub fn new(world: Arc<World>, observer: Arc<dyn Observer>) -> Self {
        let watcher = world.watch(observer);
        let hypervisor = Hypervisor {
            driver: NAME.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            program: "innkeeper-sim".into(),
            accelerator: "none".into(),
            accelerator_reason: "guests are simulated; none of their instructions is run".into(),
            default_machine: MACHINES[0].into(),
            default_cpu_model: "sim".into(),
            machines: MACHINES.map(str::to_owned).into(),
            uefi: None,
        };
        Self { world, watcher, hypervisor: Arc::new(hypervisor) }
    }

    /// The world that it drives.
    pub const fn world(&self) -> &Arc<World> {
        &self.world
    }

    fn meet(&self, vm: VmId) {
        self.world.state().introduce(self.watcher, vm, |facts| facts);
    }

    /// One that does not answer is found, too, as that.
    fn find_silent(&self, state: &mut State, vm: VmId) {
        if state.machine(vm).is_some_and(|machine| machine.held && !machine.silent) {
            self.world.change(state, vm, Change::FoundSilent);
        }
    }

    /// Does something with a step, unless it goes wrong. `claim` is what a lie says.
    async fn as_fated<T>(
        &self,
        call: Call<'_>,
        cancelled: &CancellationToken,
        claim: T,
        act: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, StepError> {
        let world = &self.world;
        let Fate { takes, fault, rule } = world.faults.decide(call);
        unless(cancelled, world.time.sleep(takes)).await?;
        match fault {
            None => act.await,
            Some(Fault::Slow(longer)) => {
                unless(cancelled, world.time.sleep(longer)).await?;
                act.await
            }
            Some(Fault::Hangs) => {
                unless(cancelled, world.faults.gone(rule)).await?;
                act.await
            }
            Some(Fault::Fails(refusal)) => Err(refusal.into()),
            Some(Fault::DiesBefore) => {
                world.kill_hypervisor(call.vm);
                act.await
            }
            Some(Fault::DiesAfter) => {
                let outcome = act.await;
                world.kill_hypervisor(call.vm);
                outcome
            }
            Some(Fault::ClaimsDone) => Ok(claim),
            Some(Fault::ClaimsFailed(refusal)) => {
                act.await?;
                Err(refusal.into())
            }
        }
    }
}

impl Drop for SimDriver {
    fn drop(&mut self) {
        self.world.stop_watching(self.watcher);
    }
}

#[async_trait]
impl Driver for SimDriver {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn hypervisor(&self) -> Result<Arc<Hypervisor>, Refusal> {
        Ok(self.hypervisor.clone())
    }

    fn diagnosis(&self) -> DriverDiagnosis {
        let state = self.world.state();
        let machines = state.host.vms.values().filter(|has| has.machine.is_some()).count();
        let version = Some(self.hypervisor.version.clone());
        // A simulated machine has no connection that could be lost.
        DriverDiagnosis { name: NAME.into(), version, machines, ..DriverDiagnosis::default() }
    }

    fn safeguards(&self) -> Vec<Safeguard> {
        vec![Safeguard {
            name: "simulation".into(),
            active: true,
            detail: "guests are simulated: none of their instructions is run".into(),
        }]
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
        let boot_id = self.world.state().host.boot_id.clone();
        let place = Place { folder: self.world.folder(), boot_id: &boot_id };
        let plan = plan::plan(operation, context, place)?;
        Ok(plan.into_iter().map(|part| part.map(|step| step.to_step())).collect())
    }

    async fn perform(&self, vm: VmId, step: &Step, context: &StepContext) -> Result<(), StepError> {
        let cancelled = &context.cancelled;
        let sim = SimStep::from_step(step)?;
        if cancelled.is_cancelled() {
            return Err(StepError::Cancelled);
        }
        self.meet(vm);
        let call = Call { vm, step, kind: CallKind::Perform };
        let saves = matches!(sim, SimStep::SaveMemory { .. });
        let outcome =
            self.as_fated(call, cancelled, (), self.world.perform(vm, sim, cancelled)).await;
        if saves && outcome.is_ok() {
            // A simulated memory is small: all of it is written at once.
            context.progress.tell(ByteSize(1), ByteSize(1));
        }
        outcome
    }

    async fn undo(&self, vm: VmId, step: &Step) -> Result<(), StepError> {
        let sim = SimStep::from_step(step)?;
        self.meet(vm);
        let call = Call { vm, step, kind: CallKind::Undo };
        let undo = async { Ok(self.world.undo(vm, sim).await?) };
        self.as_fated(call, &CancellationToken::new(), (), undo).await
    }

    async fn probe(&self, vm: VmId, step: &Step) -> Result<Probed, StepError> {
        let sim = SimStep::from_step(step)?;
        let call = Call { vm, step, kind: CallKind::Probe };
        let look = async {
            let happened = match sim {
                SimStep::Launch(launch) => self.world.is_alive(vm, launch.incarnation.id),
                SimStep::Adopt { incarnation, .. } => self.world.is_alive(vm, incarnation.id),
                SimStep::Continue { incarnation, .. } => self.world.went_on(vm, incarnation),
                // The others may all be repeated, or are not asked after.
                _ => false,
            };
            Ok(if happened { Probed::Happened } else { Probed::DidNot })
        };
        self.as_fated(call, &CancellationToken::new(), Probed::Happened, look).await
    }

    async fn foreign(&self) -> Vec<Foreign> {
        self.world.foreign()
    }

    fn draft(&self, machine: &Foreign) -> Result<VmConfig, Refusal> {
        let named = machine.name.as_deref().and_then(|name| name.parse().ok());
        let numbered = || format!("adopted-{}", machine.process.pid).parse();
        let name = named.map_or_else(numbered, Ok);
        let name =
            name.map_err(|error: NotAName| Refusal::new(Code::Internal, error.to_string()))?;
        let draft = VmConfig::new(name);
        Ok(VmConfig {
            cpus: machine.cpus.unwrap_or(draft.cpus),
            memory: machine.memory.unwrap_or(draft.memory),
            ..draft
        })
    }

    async fn recover(&self) -> Vec<Found> {
        let mut state = self.world.state();
        let machines = state.host.vms.iter().filter(|(_, has)| has.machine.is_some());
        let mut vms: Vec<VmId> = machines.map(|(vm, _)| *vm).collect();
        vms.sort_unstable();
        let mut found = Vec::new();
        for vm in vms {
            self.find_silent(&mut state, vm);
            let Some(machine) = state.machine(vm) else { continue };
            let (incarnation, ran) = (machine.incarnation.clone(), machine.ran);
            let facts = as_found(machine.facts(), ran);
            state.introduce(self.watcher, vm, |_| facts.clone());
            found.push(Found { vm, incarnation, facts, ran });
        }
        found
    }

    async fn look(&self, vm: VmId) -> Result<(), Refusal> {
        let mut state = self.world.state();
        self.find_silent(&mut state, vm);
        state.tell_again(self.watcher, vm);
        Ok(())
    }

    async fn open_console(&self, vm: VmId) -> Result<Box<dyn ByteStream>, Refusal> {
        Ok(Box::new(self.world.open_console(vm)?))
    }

    async fn open_agent(&self, vm: VmId) -> Result<Box<dyn ByteStream>, Refusal> {
        Ok(Box::new(self.world.open_agent(vm)?))
    }

    async fn serial_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        let state = self.world.state();
        Ok(state.host.vms.get(&vm).map(|has| shown(&has.serial)).unwrap_or_default())
    }

    async fn hypervisor_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        let state = self.world.state();
        Ok(state.host.vms.get(&vm).map(|has| shown(&has.hypervisor)).unwrap_or_default())
    }

    async fn forget(&self, vm: VmId) -> Result<(), Refusal> {
        self.world.forget(vm)
    }

    fn waits_to_forget(&self) -> bool {
        false
    }
}

/// The facts of a machine that was found. Of a process that ended while nobody watched it, nothing
/// tells how: a real host forgets.
fn as_found(facts: Facts, ran: bool) -> Facts {
    if facts.machine != MachineState::Absent {
        return facts;
    }
    let last_end = ran.then_some(EndReason::HypervisorDied { status: None });
    Facts { last_end, ..Facts::default() }
}
