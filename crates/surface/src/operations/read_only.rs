//! Nothing behind a view, for those who measure what reading it costs.

use super::{Operations, Sessions};
use async_trait::async_trait;
use innkeeper_engine::{Accepted, AtEnd, Caller, Request, Resolution};
use innkeeper_model::{Code, Refusal, Statistics, Task, TaskId, VmId, task::PlannedOperation};
use std::time::Duration;

/// Refuses whatever is not a read of the view.
#[derive(Debug, Clone, Copy)]
pub struct ReadOnly;

fn nothing<T>() -> Result<T, Refusal> {
    Err(Refusal::new(Code::Unsupported, "this server only shows"))
}

impl Sessions for ReadOnly {}

#[async_trait]
impl Operations for ReadOnly {
    async fn submit(&self, _: &Caller, _: Request) -> Result<Accepted, Refusal> {
        nothing()
    }

    async fn dry_run(&self, _: &Caller, _: Request) -> Result<PlannedOperation, Refusal> {
        nothing()
    }

    async fn task(&self, _: TaskId) -> Option<Task> {
        None
    }

    async fn wait(&self, _: TaskId, _: Duration) -> Option<Task> {
        None
    }

    fn at_end(&self, _: TaskId, _: AtEnd) {}

    async fn cancel(&self, _: &Caller, _: TaskId) -> Result<(), Refusal> {
        nothing()
    }

    async fn resolve(&self, _: &Caller, _: TaskId, _: Resolution) -> Result<(), Refusal> {
        nothing()
    }

    async fn serial_log(&self, _: VmId) -> Result<Vec<u8>, Refusal> {
        nothing()
    }

    async fn hypervisor_log(&self, _: VmId) -> Result<Vec<u8>, Refusal> {
        nothing()
    }

    async fn statistics(&self, _: VmId) -> Result<Statistics, Refusal> {
        nothing()
    }
}
