//! What drives machines that are on paper.

use super::{NAME, PaperManager};
use crate::{
    ByteStream, Crash, Driver, Flow, Found, Operation, PlanContext, Probed, Step, StepContext,
    StepError,
};
use async_trait::async_trait;
use innkeeper_model::{
    Assigned, Code, EndReason, MachineState, Refusal, VmConfig, VmId,
    host::{Hypervisor, Safeguard},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub(super) struct PaperDriver {
    manager: Arc<PaperManager>,
    /// The runs that it began.
    began: Mutex<HashMap<VmId, i64>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Does {
    Start,
    Shutdown { run: Option<i64>, timeout_ms: u64 },
    Destroy { run: Option<i64> },
    Suspend { run: Option<i64> },
    Resume { run: Option<i64> },
}

impl Does {
    const fn name(&self) -> &'static str {
        match self {
            Self::Start => "paper/start",
            Self::Shutdown { .. } => "paper/shutdown",
            Self::Destroy { .. } => "paper/destroy",
            Self::Suspend { .. } => "paper/suspend",
            Self::Resume { .. } => "paper/resume",
        }
    }
}

impl PaperDriver {
    pub(super) fn new(manager: Arc<PaperManager>) -> Self {
        Self { manager, began: Mutex::default() }
    }

    fn began(&self) -> MutexGuard<'_, HashMap<VmId, i64>> {
        // Only map operations happen under the lock.
        self.began.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run_of(&self, vm: VmId) -> Option<i64> {
        self.manager.machine(vm)?.is.run
    }

    /// Ends a machine, if it is still in that run.
    fn end(&self, vm: VmId, run: Option<i64>, why: EndReason) {
        if run.is_some() && self.run_of(vm) == run {
            self.manager.change(|paper| paper.set(vm, MachineState::Absent, Some(why)));
        }
    }

    fn start(&self, vm: VmId) -> Result<(), Refusal> {
        let machine = self.manager.machine(vm);
        let machine = machine.ok_or_else(|| Refusal::not_found("machine of paper's", vm))?;
        if machine.machine == MachineState::Absent {
            self.manager.change(|paper| paper.set(vm, MachineState::Running, None));
            self.began().extend(self.run_of(vm).map(|run| (vm, run)));
        }
        Ok(())
    }

    /// Holds the CPUs of a machine or lets them go, if it is still in that run.
    fn hold(&self, vm: VmId, run: Option<i64>, state: MachineState) -> Result<(), Refusal> {
        if run.is_none() || self.run_of(vm) != run {
            return Err(Refusal::new(Code::WrongState, "that run of the machine has ended"));
        }
        self.manager.change(|paper| paper.set(vm, state, None));
        Ok(())
    }

    async fn shut_down(&self, vm: VmId, run: Option<i64>, within: Duration) -> Result<(), Refusal> {
        let hears = self.manager.until(|paper| {
            let is_off = paper.machines.get(&vm).is_none_or(|machine| machine.is.run != run);
            (is_off || !paper.deaf).then_some(())
        });
        let late = |_| Refusal::new(Code::Timeout, "the guest did not power itself off");
        tokio::time::timeout(within, hears).await.map_err(late)?;
        self.end(vm, run, EndReason::GuestShutdown);
        Ok(())
    }

    async fn act(&self, vm: VmId, does: Does) -> Result<(), StepError> {
        self.manager.reached().await?;
        match does {
            Does::Start => self.start(vm)?,
            Does::Shutdown { run, timeout_ms } => {
                self.shut_down(vm, run, Duration::from_millis(timeout_ms)).await?;
            }
            Does::Destroy { run } => self.end(vm, run, EndReason::Killed),
            Does::Suspend { run } => self.hold(vm, run, MachineState::Paused)?,
            Does::Resume { run } => self.hold(vm, run, MachineState::Running)?,
        }
        Ok(())
    }
}

fn beyond(operation: &str) -> Refusal {
    Refusal::new(Code::Unsupported, format!("{operation} is unsupported by driver {NAME}"))
}

#[async_trait]
impl Driver for PaperDriver {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn hypervisor(&self) -> Result<Arc<Hypervisor>, Refusal> {
        Ok(Arc::new(Hypervisor { driver: NAME.into(), ..Hypervisor::default() }))
    }

    fn safeguards(&self) -> Vec<Safeguard> {
        Vec::new()
    }

    fn assign(
        &self,
        _: &VmConfig,
        _: Option<&Assigned>,
        _: &Hypervisor,
    ) -> Result<Assigned, Refusal> {
        Err(beyond("making machines"))
    }

    fn plan(
        &self,
        operation: &Operation,
        context: &PlanContext<'_>,
    ) -> Result<Vec<Flow<Step>>, Refusal> {
        let run = context.managed.and_then(|managed| managed.run);
        let does = match operation {
            Operation::Start => Does::Start,
            Operation::Stop { timeout } => {
                let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                Does::Shutdown { run, timeout_ms }
            }
            Operation::Kill | Operation::PutAway => Does::Destroy { run },
            Operation::Pause => Does::Suspend { run },
            Operation::Resume => Does::Resume { run },
            _ => return Err(beyond("this")),
        };
        Ok(vec![Flow::Step(Step::new(does.name(), 1, Crash::Repeat, &does))])
    }

    async fn perform(&self, vm: VmId, step: &Step, context: &StepContext) -> Result<(), StepError> {
        let does = step.arguments()?;
        tokio::select! {
            biased;
            () = context.cancelled.cancelled() => Err(StepError::Cancelled),
            done = self.act(vm, does) => done,
        }
    }

    async fn undo(&self, vm: VmId, step: &Step) -> Result<(), StepError> {
        match step.arguments()? {
            Does::Start => {
                let began = self.began().remove(&vm);
                self.end(vm, began, EndReason::Killed);
            }
            Does::Suspend { run } => drop(self.hold(vm, run, MachineState::Running)),
            Does::Resume { run } => drop(self.hold(vm, run, MachineState::Paused)),
            Does::Shutdown { .. } | Does::Destroy { .. } => {}
        }
        Ok(())
    }

    async fn probe(&self, _: VmId, _: &Step) -> Result<Probed, StepError> {
        Err(beyond("asking after a step").into())
    }

    async fn recover(&self) -> Vec<Found> {
        Vec::new()
    }

    async fn open_console(&self, _: VmId) -> Result<Box<dyn ByteStream>, Refusal> {
        Err(beyond("a console"))
    }

    async fn serial_log(&self, _: VmId) -> Result<Vec<u8>, Refusal> {
        Err(beyond("a serial log"))
    }

    async fn hypervisor_log(&self, _: VmId) -> Result<Vec<u8>, Refusal> {
        Err(beyond("a log"))
    }

    async fn forget(&self, _: VmId) -> Result<(), Refusal> {
        Ok(())
    }
}
