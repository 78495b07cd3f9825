//! What is answered where a task's end cannot be read yet, does not come in time, or is that the disk is full.

use super::*;
use crate::testing::scripted::{Script, Stage};
use innkeeper_model::{Code, Refusal, TaskState, VmId};

/// The door where this comes of all that is asked for, and the VM that it is about.
async fn scripted(script: Script) -> (TestDoor<Vmm>, VmId) {
    let stage = script.staged().await;
    (stage.door(Vmm::new(none())), stage.vm)
}

/// The same where there are the two images that a new VM names, with what making one is answered.
async fn created(script: Script) -> (Stage, Answered) {
    let (house, _door) = service(none()).await;
    let stage = script.staged_in(house.context.view().clone()).await;
    let answered = post(&stage.door(Vmm::new(none())), "/vm/create", printed()).await;
    (stage, answered)
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
    let (door, id) = scripted(Script::unseen(TaskState::Done)).await;
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
    let (door, id) = scripted(Script::unseen(TaskState::Running)).await;
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
    let (door, id) = scripted(Script::seen()).await;
    for (path, body, done, _) in changes(id) {
        assert_eq!(ok(&post(&door, path, body).await)["message"], done, "{path}");
    }
}

#[tokio::test]
async fn of_a_vm_that_is_not_there_to_be_read_yet_the_id_is_told() {
    for (state, begins) in [
        (TaskState::Done, "VM created successfully; it is done and cannot be seen yet; pci=off"),
        (TaskState::Running, "VM creation initiated; follow its task_id at /vm/task; pci=off"),
    ] {
        let (stage, answered) = created(Script::unseen(state)).await;
        let answered = ok(&answered);
        assert_eq!(answered["vm_id"], json!(stage.vm), "{state:?}");
        let message = answered["message"].as_str().unwrap();
        assert!(message.starts_with(begins), "{message}");
    }
}

#[tokio::test]
async fn each_kind_of_refusal_has_its_status() {
    for (code, status) in [
        (Code::BadRequest, 400),
        (Code::InvalidField, 400),
        (Code::Forbidden, 403),
        (Code::NotFound, 404),
        (Code::WrongState, 409),
        (Code::InUse, 409),
        (Code::TooLarge, 413),
        (Code::TooManyRequests, 429),
        (Code::HypervisorFailed, 500),
        (Code::Internal, 500),
        (Code::Unsupported, 501),
        (Code::OutOfSpace, 507),
    ] {
        let (door, id) = scripted(Script::refused(Refusal::new(code, "it cannot be"))).await;
        for (path, body, ..) in changes(id) {
            let message = refused(&post(&door, path, body).await, status);
            assert!(message.contains("it cannot be"), "{path}: {message}");
        }
    }
}

#[tokio::test]
async fn a_full_disk_is_507_whether_it_is_seen_before_or_on_the_way() {
    let full = Refusal::new(Code::OutOfSpace, "the disk is full").with_hint("make room");
    for script in [Script::refused(full.clone()), Script::failed(full)] {
        let (door, id) = scripted(script.clone()).await;
        for (path, body, ..) in changes(id) {
            assert_eq!(refused(&post(&door, path, body).await, 507), "the disk is full; make room");
        }
        let (_stage, answered) = created(script).await;
        let message = refused(&answered, 507);
        assert_eq!(message, "Error creating VM: the disk is full; make room");
    }
}
