//! What a hypervisor must do.
//!
//! The engine owns the phases that every hypervisor shares: admission, volumes, networks, queues,
//! waiting. A driver contributes its own part of each plan as [`Step`]s, which the engine stores,
//! orders, times and cancels without reading them. So one driver can have thirty steps where
//! another has two.
//!
//! A driver tells of changes by itself, through an [`Observer`]; it is asked only to act.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

#[cfg(feature = "conformance")]
pub mod conformance;
mod flow;
mod neighbour;
mod plan;
mod step;
mod taps;

pub use flow::Flow;
pub use neighbour::{Neighbour, NeighbourObserver};
pub use plan::{Launch, Operation, PlanContext};
pub use step::{Crash, Probed, Step, StepContext, StepError, StepProgress};
pub use taps::{NoTaps, Taps};

use async_trait::async_trait;
use innkeeper_model::{
    Assigned, Code, Facts, Foreign, HypervisorEvent, Incarnation, Refusal, Statistics, VmConfig,
    VmId, diagnosis::DriverDiagnosis, host::Hypervisor, host::Safeguard, keyboard::Stroke,
};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// Who is told what a driver notices. No call ever waits.
pub trait Observer: Send + Sync + 'static {
    /// The facts of a machine changed.
    fn facts(&self, vm: VmId, facts: Facts);
    /// A machine came to be, or is gone.
    fn incarnation(&self, vm: VmId, incarnation: Option<Arc<Incarnation>>);
    /// Something is wrong with a VM that a person must mend, or is not any more.
    fn problem(&self, vm: VmId, problem: Option<String>);
    /// The hypervisor reported something.
    fn event(&self, vm: VmId, event: HypervisorEvent);
}

/// A two-way stream of bytes to something in a machine.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// The most bytes of a picture of a screen.
pub const MAX_SCREENSHOT: u64 = 64 << 20;

fn beyond(driver: &str, problem: &str) -> Refusal {
    Refusal::new(Code::Unsupported, format!("driver {driver} {problem}"))
}

/// A machine that an earlier daemon made, found when this one started.
#[derive(Debug, Clone)]
pub struct Found {
    /// Whose machine it is.
    pub vm: VmId,
    /// What it was built from.
    pub incarnation: Arc<Incarnation>,
    /// What it says now.
    pub facts: Facts,
    /// Whether its guest has begun. One that has not was being started when its daemon ended.
    pub ran: bool,
}

/// A hypervisor.
#[async_trait]
pub trait Driver: Send + Sync + 'static {
    /// The driver's name, such as `qemu`: the first part of its steps' names.
    fn name(&self) -> &'static str;

    /// What the hypervisor is and can do here. Asked once and remembered; the first call may take
    /// seconds.
    ///
    /// # Errors
    /// The hypervisor is not installed, or is unusable; the refusal names the package.
    async fn hypervisor(&self) -> Result<Arc<Hypervisor>, Refusal>;

    /// What it has to do with, and what went wrong last. Never waits, and asks nobody: it is asked while
    /// everything else is stuck.
    fn diagnosis(&self) -> DriverDiagnosis {
        DriverDiagnosis { name: self.name().into(), ..DriverDiagnosis::default() }
    }

    /// What stands between this driver's guests and the host.
    fn safeguards(&self) -> Vec<Safeguard>;

    /// Chooses addresses for the devices of a VM, keeping those that it had before. Pure.
    ///
    /// # Errors
    /// Something in the configuration is beyond this hypervisor, named by its field.
    fn assign(
        &self,
        config: &VmConfig,
        before: Option<&Assigned>,
        hypervisor: &Hypervisor,
    ) -> Result<Assigned, Refusal>;

    /// This driver's part of an operation. Pure: everything it depends on is in its arguments.
    ///
    /// # Errors
    /// The operation is beyond this driver, or something it needs is missing.
    fn plan(
        &self,
        operation: &Operation,
        context: &PlanContext<'_>,
    ) -> Result<Vec<Flow<Step>>, Refusal>;

    /// Does one step. One that has been done already, by a daemon that ended before it could note so,
    /// is done again unless it is of kind [`Crash::Once`]. Must stop within two seconds of `context.cancelled`, leaving what
    /// [`Driver::undo`] can take back.
    ///
    /// # Errors
    /// What failed; the engine then undoes the step and those before it.
    async fn perform(&self, vm: VmId, step: &Step, context: &StepContext) -> Result<(), StepError>;

    /// Whether doing a step waits for something: the hypervisor, a guest, the host. Pure, and the same for
    /// all steps of a name: the sweep cuts off what waits, in its wait.
    fn waits(&self, step: &Step) -> bool {
        let _ = step;
        true
    }

    /// Takes back one step, done or half done. Idempotent; does nothing where nothing was done.
    ///
    /// # Errors
    /// What could not be taken back.
    async fn undo(&self, vm: VmId, step: &Step) -> Result<(), StepError>;

    /// Asks whether a step of kind [`Crash::Probe`] happened, after a daemon ended in it.
    ///
    /// # Errors
    /// It cannot be told, or the step is another version's.
    async fn probe(&self, vm: VmId, step: &Step) -> Result<Probed, StepError>;

    /// The machines of this hypervisor on this host that are not Innkeeper's. Nothing is done to them.
    async fn foreign(&self) -> Vec<Foreign> {
        Vec::new()
    }

    /// What a VM would be that is like a foreign machine, as far as can be told: a draft, for a person
    /// to look through. Looks at the process, for less than a millisecond.
    ///
    /// # Errors
    /// This driver cannot tell.
    fn draft(&self, machine: &Foreign) -> Result<VmConfig, Refusal> {
        let message = format!("driver {} adopts no machines", machine.driver);
        Err(Refusal::new(Code::Unsupported, message))
    }

    /// Finds the machines that an earlier daemon left, by their incarnations, and watches those that
    /// run from now on. One that died meanwhile is found with the facts of its end. Nothing else is
    /// touched.
    async fn recover(&self) -> Vec<Found>;

    /// Asks the hypervisor how a VM's machine is, and tells the observer, be it news or not. Ends within a
    /// few seconds where the hypervisor does not answer, which is told, too. Where there is no machine, or
    /// nothing can be asked that is not told of by itself, it does nothing.
    ///
    /// # Errors
    /// It does not answer.
    async fn look(&self, vm: VmId) -> Result<(), Refusal> {
        let _ = vm;
        Ok(())
    }

    /// Opens a machine's serial console. There is one place at it, which is free again soon after the
    /// stream was dropped. Whoever has it reads without pause: a hypervisor may hold a guest whose line
    /// is not read.
    ///
    /// # Errors
    /// The machine does not run, or the console is taken.
    async fn open_console(&self, vm: VmId) -> Result<Box<dyn ByteStream>, Refusal>;

    /// Opens a machine's screen: a connection that speaks RFB (VNC), from its server's greeting on. It
    /// needs no password.
    ///
    /// # Errors
    /// The machine does not run, or has no screen; this driver shows none.
    async fn open_vnc(&self, vm: VmId) -> Result<Box<dyn ByteStream>, Refusal> {
        let _ = vm;
        Err(beyond(self.name(), "shows no screens"))
    }

    /// What a machine's screen shows, as PNG; at most [`MAX_SCREENSHOT`] bytes.
    ///
    /// # Errors
    /// The machine does not run, or has no screen; this driver shows none.
    async fn screenshot(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        let _ = vm;
        Err(beyond(self.name(), "shows no screens"))
    }

    /// Presses keys of a machine's keyboard, one stroke after the other, and returns when the last has
    /// been let go of. Dropping the future leaves out those that have not begun.
    ///
    /// # Errors
    /// The machine does not run; this driver has no keyboards.
    async fn send_keys(&self, vm: VmId, strokes: &[Stroke]) -> Result<(), Refusal> {
        let _ = (vm, strokes);
        Err(beyond(self.name(), "has no keyboards"))
    }

    /// Opens the channel to the agent in a guest, which speaks the protocol of qemu-guest-agent, if there
    /// is one that listens. There is one place at it, as at the console.
    ///
    /// # Errors
    /// The machine does not run, or has no such channel; this driver has none.
    async fn open_agent(&self, vm: VmId) -> Result<Box<dyn ByteStream>, Refusal> {
        let _ = vm;
        Err(beyond(self.name(), "has no channel to an agent"))
    }

    /// The last of what the guest wrote to its serial console, at most 64 KiB, from the running
    /// machine or from the last one.
    ///
    /// # Errors
    /// The host refused to read it.
    async fn serial_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal>;

    /// As much of that as is on the host already: the hypervisor is not asked for what came since.
    ///
    /// # Errors
    /// The host refused to read it.
    async fn kept_serial_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        self.serial_log(vm).await
    }

    /// The last of what the hypervisor itself wrote, at most 64 KiB.
    ///
    /// # Errors
    /// The host refused to read it.
    async fn hypervisor_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal>;

    /// What a running machine has used of its host, as far as that can be known. Takes milliseconds.
    ///
    /// # Errors
    /// The machine does not run, or this driver cannot tell.
    async fn statistics(&self, vm: VmId) -> Result<Statistics, Refusal> {
        let message = format!("driver {} has no statistics, of VM {vm} or any other", self.name());
        Err(Refusal::new(Code::Unsupported, message))
    }

    /// Forgets what is kept of a deleted VM: logs and its run folder.
    ///
    /// # Errors
    /// The host refused to remove it.
    async fn forget(&self, vm: VmId) -> Result<(), Refusal>;

    /// Whether forgetting waits for something, as [`Driver::waits`] says it of steps.
    fn waits_to_forget(&self) -> bool {
        true
    }
}
