//! An engine that does nothing and answers as a test has it: for ends that a real one seldom comes to.

use super::{TestDoor, spec};
use crate::{Context, Protocol, access::Entrance, gate::Opened};
use async_trait::async_trait;
use innkeeper_auth::{Identity, Role};
use innkeeper_engine::{Accepted, AtEnd, Caller, Request, Resolution};
use innkeeper_model::{
    Refusal, Revision, Statistics, Task, TaskId, TaskState, VmConfig, VmId, task::PlannedOperation,
};
use innkeeper_surface::{Operations, Sessions};
use innkeeper_view::{Update, View, ViewOptions};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// What comes of everything that is asked for.
#[derive(Clone)]
pub(crate) struct Script {
    state: TaskState,
    is_seen: bool,
    warnings: Vec<String>,
    /// Why it is refused at once.
    refusal: Option<Refusal>,
    /// Why it failed in the end.
    error: Option<Refusal>,
}

/// A daemon with one VM, and an engine that follows a script.
pub(crate) struct Stage {
    pub(crate) context: Context,
    /// The VM that everything is about, what is made included.
    pub(crate) vm: VmId,
}

impl Script {
    /// A task in this state, of which the view tells readers nothing.
    pub(crate) fn unseen(state: TaskState) -> Self {
        Self { state, is_seen: false, warnings: Vec::new(), refusal: None, error: None }
    }

    /// One that is done, of which readers are told a moment before what it did is there.
    pub(crate) fn seen() -> Self {
        Self { is_seen: true, ..Self::unseen(TaskState::Done) }
    }

    /// The same, and its caller should know this.
    pub(crate) fn with_warning(mut self, warning: &str) -> Self {
        self.warnings.push(warning.into());
        self
    }

    /// Everything is refused before it begins.
    pub(crate) fn refused(refusal: Refusal) -> Self {
        Self { refusal: Some(refusal), ..Self::seen() }
    }

    /// Everything fails after it began.
    pub(crate) fn failed(error: Refusal) -> Self {
        Self { error: Some(error), ..Self::unseen(TaskState::Failed) }
    }

    /// Where nothing else is there to be read.
    pub(crate) async fn staged(self) -> Stage {
        self.staged_in(View::start(ViewOptions::new(uuid::Uuid::now_v7()))).await
    }

    /// Where there is all this to be read.
    pub(crate) async fn staged_in(self, view: View) -> Stage {
        let vm = VmId::new();
        let spec = spec(vm, VmConfig::new("web".parse().unwrap()));
        view.barrier(vec![Update::VmSpec(Arc::new(spec))]).await.unwrap();
        let engine = Scripted { script: self, view: view.clone(), vm };
        Stage { context: Context::new(view, Arc::new(engine), CancellationToken::new()), vm }
    }
}

impl Stage {
    /// A door of it, as an administrator finds it.
    pub(crate) fn door<P: Protocol>(&self, protocol: P) -> TestDoor<P> {
        let entrance = Entrance::of_peer(Identity::User { uid: 0 }, Some(Role::Admin));
        TestDoor::new(Opened::new(protocol, self.context.clone()), entrance)
    }
}

struct Scripted {
    script: Script,
    view: View,
    vm: VmId,
}

impl Scripted {
    fn told(&self, id: TaskId) -> Task {
        let Script { state, warnings, error, .. } = &self.script;
        let task = json!({
            "id": id, "operation": "edit", "subject": "web", "caller": "uid:0", "state": state,
            "cancellable": true, "created": "2026-01-01T00:00:00Z", "steps": [],
            "warnings": warnings, "error": error,
        });
        serde_json::from_value(task).unwrap()
    }
}

impl Sessions for Scripted {}

#[async_trait]
impl Operations for Scripted {
    async fn submit(&self, _: &Caller, _: Request) -> Result<Accepted, Refusal> {
        if let Some(refusal) = &self.script.refusal {
            return Err(refusal.clone());
        }
        let (task, revision) = (TaskId::new(), Revision::default());
        if self.script.is_seen {
            self.view.barrier(vec![Update::Task(self.told(task))]).await.unwrap();
        }
        Ok(Accepted { task, vm: Some(self.vm), network: None, revision })
    }

    async fn dry_run(&self, _: &Caller, _: Request) -> Result<PlannedOperation, Refusal> {
        unreachable!("no door asks for one")
    }

    async fn task(&self, id: TaskId) -> Option<Task> {
        Some(self.told(id))
    }

    async fn wait(&self, id: TaskId, _: Duration) -> Option<Task> {
        let settled_at = self.script.is_seen.then(|| self.view.snapshot().revision);
        Some(Task { settled_at, ..self.told(id) })
    }

    fn at_end(&self, _: TaskId, _: AtEnd) {}

    async fn cancel(&self, _: &Caller, _: TaskId) -> Result<(), Refusal> {
        unreachable!("no door cancels anything")
    }

    async fn resolve(&self, _: &Caller, _: TaskId, _: Resolution) -> Result<(), Refusal> {
        unreachable!("no door resolves anything")
    }

    async fn serial_log(&self, _: VmId) -> Result<Vec<u8>, Refusal> {
        unreachable!("no door shows a log")
    }

    async fn hypervisor_log(&self, _: VmId) -> Result<Vec<u8>, Refusal> {
        unreachable!("no door shows a log")
    }

    async fn statistics(&self, _: VmId) -> Result<Statistics, Refusal> {
        unreachable!("nothing runs here")
    }
}
