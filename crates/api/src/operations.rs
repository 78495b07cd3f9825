//! What a surface asks of the engine.
//!
//! A trait, so that a surface can be tested with a recording stand-in, and so that no surface can
//! reach anything else of the engine.

use async_trait::async_trait;
use innkeeper_driver::ByteStream;
use innkeeper_engine::{Accepted, Caller, Engine, Request};
use innkeeper_model::{Refusal, Task, TaskId, VmId};
use std::time::Duration;

/// The verbs, behind whichever surface. Reads go to the view instead.
#[async_trait]
pub trait Operations: Send + Sync + 'static {
    /// Accepts a request as a task. When this returns, the task can be read in the view.
    ///
    /// # Errors
    /// The request is refused, and nothing was changed.
    async fn submit(&self, caller: &Caller, request: Request) -> Result<Accepted, Refusal>;

    /// Waits until the task has ended, at most so long, and returns it as it is then; `None` for a
    /// task that is not known. Dropping the future changes nothing.
    async fn wait(&self, task: TaskId, at_most: Duration) -> Option<Task>;

    /// Asks a task to stop.
    ///
    /// # Errors
    /// The task is not known, or has ended.
    fn cancel(&self, caller: &Caller, task: TaskId) -> Result<(), Refusal>;

    /// Opens a VM's serial console; dropping the stream closes it.
    ///
    /// # Errors
    /// The machine does not run, or the console is taken.
    async fn open_console(&self, vm: VmId) -> Result<Box<dyn ByteStream>, Refusal>;

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
}

#[async_trait]
impl Operations for Engine {
    async fn submit(&self, caller: &Caller, request: Request) -> Result<Accepted, Refusal> {
        Engine::submit(self, caller, request).await
    }

    async fn wait(&self, task: TaskId, at_most: Duration) -> Option<Task> {
        Engine::wait(self, task, at_most).await
    }

    fn cancel(&self, caller: &Caller, task: TaskId) -> Result<(), Refusal> {
        Engine::cancel(self, caller, task)
    }

    async fn open_console(&self, vm: VmId) -> Result<Box<dyn ByteStream>, Refusal> {
        Engine::open_console(self, vm).await
    }

    async fn serial_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        Engine::serial_log(self, vm).await
    }

    async fn hypervisor_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        Engine::hypervisor_log(self, vm).await
    }
}
