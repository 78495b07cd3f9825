//! What is answered where a task's end cannot be read yet, or does not come in time.

use super::*;
use crate::{Context, access::Entrance};
use async_trait::async_trait;
use innkeeper_auth::Identity;
use innkeeper_engine::{Accepted, AtEnd, Caller, Request, Resolution};
use innkeeper_model::{
    Assigned, Refusal, Revision, Spec, Statistics, Task, TaskId, TaskState, Timestamp, VmConfig,
    VmId, Want, task::PlannedOperation,
};
use innkeeper_surface::{Operations, Sessions};
use innkeeper_view::{Update, View, ViewOptions};
use tokio_util::sync::CancellationToken;

/// An engine whose tasks are all in this state.
struct Scripted {
    state: TaskState,
    /// Told that a task has ended a moment before what it did is there; where there is one.
    view: Option<View>,
}

impl Scripted {
    fn told(&self, id: TaskId) -> Task {
        let task = json!({
            "id": id, "operation": "remove-nic", "subject": "web", "caller": "uid:0",
            "state": self.state, "cancellable": true, "created": "2026-01-01T00:00:00Z", "steps": [],
        });
        serde_json::from_value(task).unwrap()
    }
}

impl Sessions for Scripted {}

#[async_trait]
impl Operations for Scripted {
    async fn submit(&self, _: &Caller, _: Request) -> Result<Accepted, Refusal> {
        let (task, revision) = (TaskId::new(), Revision::default());
        if let Some(view) = &self.view {
            view.barrier(vec![Update::Task(self.told(task))]).await.unwrap();
        }
        Ok(Accepted { task, vm: Some(VmId::new()), network: None, revision })
    }

    async fn dry_run(&self, _: Request) -> Result<PlannedOperation, Refusal> {
        unreachable!("this door asks for none")
    }

    async fn task(&self, id: TaskId) -> Option<Task> {
        Some(self.told(id))
    }

    async fn wait(&self, id: TaskId, _: Duration) -> Option<Task> {
        let settled_at = self.view.as_ref().map(|view| view.snapshot().revision);
        Some(Task { settled_at, ..self.told(id) })
    }

    fn at_end(&self, _: TaskId, _: AtEnd) {}

    async fn cancel(&self, _: &Caller, _: TaskId) -> Result<(), Refusal> {
        unreachable!("this door cancels nothing")
    }

    async fn resolve(&self, _: &Caller, _: TaskId, _: Resolution) -> Result<(), Refusal> {
        unreachable!("this door resolves nothing")
    }

    async fn serial_log(&self, _: VmId) -> Result<Vec<u8>, Refusal> {
        unreachable!("this door shows no log")
    }

    async fn hypervisor_log(&self, _: VmId) -> Result<Vec<u8>, Refusal> {
        unreachable!("this door shows no log")
    }

    async fn statistics(&self, _: VmId) -> Result<Statistics, Refusal> {
        unreachable!("this door shows none")
    }
}

/// The door to a VM of which all that is asked for comes to this, and is told to readers, or not; and the
/// VM.
async fn scripted(state: TaskState, is_told: bool) -> (TestDoor<Vmm>, VmId) {
    let view = View::start(ViewOptions::new(uuid::Uuid::now_v7()));
    let id = VmId::new();
    let spec = Spec {
        id,
        revision: Revision(1),
        created: Timestamp::UNIX_EPOCH,
        updated: Timestamp::UNIX_EPOCH,
        want: Want::Stopped,
        draft: false,
        driver: None,
        config: VmConfig::new("web".parse().unwrap()),
        assigned: Assigned::default(),
    };
    view.barrier(vec![Update::VmSpec(Arc::new(spec))]).await.unwrap();
    let engine = Scripted { state, view: is_told.then(|| view.clone()) };
    let context = Context::new(view, Arc::new(engine), CancellationToken::new());
    let identity = Identity::User { uid: 0 };
    let defaults = Defaults { rootfs: None, kernel: None, boot_args: String::new() };
    let door = crate::gate::Opened::new(Vmm::new(defaults), context);
    (TestDoor::new(door, Entrance::of_peer(identity, Some(Role::Admin))), id)
}

/// Everything that changes a VM, the word for it, and the word while it goes on.
fn changes(id: VmId) -> [(&'static str, Value, &'static str, &'static str); 9] {
    let of = |more: Value| {
        let mut body = json!({ "build_id": id });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let nic = json!({ "device": { "type": "nic", "network": "user" } });
    [
        ("/vm/boot", of(json!({})), "VM boot initiated", ""),
        ("/vm/start", of(json!({})), "VM started successfully", "VM start initiated"),
        ("/vm/stop", of(json!({})), "VM stopped successfully", "VM stop initiated"),
        ("/vm/stop", of(json!({ "force": true })), "VM stopped successfully", "VM stop initiated"),
        ("/vm/reboot", of(json!({})), "VM rebooted successfully", "VM reboot initiated"),
        ("/vm/delete", of(json!({})), "VM deleted successfully", "VM deletion initiated"),
        ("/vm/commit", of(json!({})), "VM committed successfully", "VM commit initiated"),
        ("/vm/device/add", of(nic), "Device added successfully", "Device addition initiated"),
        (
            "/vm/device/remove",
            of(json!({ "device_id": "nic0" })),
            "Device removed successfully",
            "Device removal initiated",
        ),
    ]
}

#[tokio::test]
async fn done_but_not_yet_seen_is_an_answer_of_its_own() {
    let (door, id) = scripted(TaskState::Done, false).await;
    for (path, body, done, _) in changes(id) {
        let answered = ok(&post(&door, path, body).await);
        assert_eq!(
            answered["message"],
            format!("{done}; it is done and cannot be seen yet"),
            "{path}"
        );
        assert!(answered["task_id"].is_string(), "{path}");
    }
}

#[tokio::test]
async fn what_goes_on_is_no_failure_and_brings_the_task_that_tells_its_end() {
    let (door, id) = scripted(TaskState::Running, false).await;
    for (path, body, done, goes_on) in changes(id) {
        let answered = ok(&post(&door, path, body).await);
        let said = match goes_on {
            "" => done.to_owned(),
            goes_on => format!("{goes_on}; follow its task_id at /vm/task"),
        };
        assert_eq!(answered["message"], said, "{path}");
        let task = json!({ "task_id": answered["task_id"] });
        assert_eq!(ok(&post(&door, "/vm/task", task).await)["state"], "running", "{path}");
    }
}

#[tokio::test]
async fn what_has_ended_is_waited_for_until_all_of_it_can_be_seen() {
    let (door, id) = scripted(TaskState::Done, true).await;
    for (path, body, done, _) in changes(id) {
        assert_eq!(ok(&post(&door, path, body).await)["message"], done, "{path}");
    }
}
