//! What a surface asks of the engine.
//!
//! Traits, so that a surface can be tested with a recording stand-in, and so that no surface can
//! reach anything else of the engine.

mod audited;
mod diagnostics;
mod read_only;
mod sessions;

pub use audited::Audited;
pub use diagnostics::Diagnostics;
pub use read_only::ReadOnly;
pub use sessions::Sessions;

use async_trait::async_trait;
use innkeeper_engine::{Accepted, AtEnd, Caller, Engine, Projects, Request, Resolution};
use innkeeper_model::{Code, Refusal, Statistics, Task, TaskId, VmId, task::PlannedOperation};
use innkeeper_store::audit::AuditLog;
use std::time::Duration;

/// The verbs, behind whichever surface. Reads go to the view instead.
#[async_trait]
pub trait Operations: Sessions {
    /// Accepts a request as a task. When this returns, the task can be read in the view.
    ///
    /// # Errors
    /// The request is refused, and nothing was changed.
    async fn submit(&self, caller: &Caller, request: Request) -> Result<Accepted, Refusal>;

    /// What a request of this caller's would come to, now. Nothing is done.
    ///
    /// # Errors
    /// The request would be refused.
    async fn dry_run(&self, caller: &Caller, request: Request)
    -> Result<PlannedOperation, Refusal>;

    /// A task, of before this daemon's start too; `None` for one that is not known, or not any more.
    async fn task(&self, task: TaskId) -> Option<Task>;

    /// Waits until the task has ended, at most so long, and returns it as it is then; `None` for a
    /// task that is not known. Dropping the future changes nothing.
    async fn wait(&self, task: TaskId, at_most: Duration) -> Option<Task>;

    /// Has this called once the task has ended or is interrupted, as [`Engine::at_end`] says.
    fn at_end(&self, task: TaskId, call: AtEnd);

    /// Asks a task to stop.
    ///
    /// # Errors
    /// The task is not known, has ended, or is past its point of no return.
    async fn cancel(&self, caller: &Caller, task: TaskId) -> Result<(), Refusal>;

    /// Has an interrupted task go on, or back.
    ///
    /// # Errors
    /// The task is not known, or not interrupted.
    async fn resolve(
        &self,
        caller: &Caller,
        task: TaskId,
        resolution: Resolution,
    ) -> Result<(), Refusal>;

    /// The last of what the guest wrote to its serial console.
    ///
    /// # Errors
    /// The host refused to read it.
    async fn serial_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal>;

    /// The last of what the hypervisor itself wrote.
    ///
    /// # Errors
    /// The host refused to read it.
    async fn hypervisor_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal>;

    /// What a VM's machine has used of the host.
    ///
    /// # Errors
    /// The machine does not run, or its hypervisor cannot tell.
    async fn statistics(&self, vm: VmId) -> Result<Statistics, Refusal>;

    /// Where what is asked here is on record; `None` where it is not.
    fn audit(&self) -> Option<&AuditLog> {
        None
    }

    /// Who may take how much of this host, and has; `None` where only a view is served.
    fn projects(&self) -> Option<&Projects> {
        None
    }
}

#[async_trait]
impl Operations for Engine {
    async fn submit(&self, caller: &Caller, request: Request) -> Result<Accepted, Refusal> {
        Engine::submit(self, caller, request).await
    }

    async fn dry_run(&self, _: &Caller, request: Request) -> Result<PlannedOperation, Refusal> {
        Engine::dry_run(self, request).await
    }

    async fn task(&self, task: TaskId) -> Option<Task> {
        Engine::task(self, task).await
    }

    async fn wait(&self, task: TaskId, at_most: Duration) -> Option<Task> {
        Engine::wait(self, task, at_most).await
    }

    fn at_end(&self, task: TaskId, call: AtEnd) {
        Engine::at_end(self, task, call);
    }

    async fn cancel(&self, caller: &Caller, task: TaskId) -> Result<(), Refusal> {
        Engine::cancel(self, caller, task).await
    }

    async fn resolve(
        &self,
        caller: &Caller,
        task: TaskId,
        resolution: Resolution,
    ) -> Result<(), Refusal> {
        let refusal = match Engine::resolve(self, caller, task, resolution) {
            Ok(_) => return Ok(()),
            Err(refusal) => refusal,
        };
        // Of one that only the history knows, more can be said than that it is not there.
        match Engine::task(self, task).await {
            Some(ended) if refusal.code == Code::NotFound => {
                let state = format!("{:?}", ended.state).to_lowercase();
                let message = format!("task {task} is not interrupted: it is {state}");
                Err(Refusal::new(Code::WrongState, message))
            }
            _ => Err(refusal),
        }
    }

    async fn serial_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        Engine::serial_log(self, vm).await
    }

    async fn hypervisor_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        Engine::hypervisor_log(self, vm).await
    }

    async fn statistics(&self, vm: VmId) -> Result<Statistics, Refusal> {
        Engine::statistics(self, vm).await
    }

    fn projects(&self) -> Option<&Projects> {
        Some(Engine::projects(self))
    }
}
