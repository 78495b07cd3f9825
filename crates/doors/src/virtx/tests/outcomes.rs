//! What is answered where a task's end cannot be read yet, does not come in time, or has something to say.

use super::*;
use crate::testing::scripted::Script;
use innkeeper_model::{Code, Refusal, TaskState};

/// A door where this comes of all that is asked for, and where the one VM is.
async fn scripted(script: Script) -> (TestDoor<Virtx>, String) {
    let stage = script.staged().await;
    (stage.door(Virtx::open()), format!("/vms/{}", stage.vm))
}

/// Everything that is waited for.
fn changes(path: &str) -> Vec<(&'static str, String, Value)> {
    let (boot, pause) = (format!("{path}/runstate/boot"), format!("{path}/runstate/pause"));
    vec![
        ("POST", "/vms".into(), json!({ "vmdef": vmdef("other") })),
        ("PUT", path.into(), json!({ "vmdef": vmdef("web") })),
        ("DELETE", path.into(), json!({ "deletestorage": true })),
        ("POST", boot.clone(), json!({})),
        ("DELETE", boot, json!({ "force": 1 })),
        ("POST", pause.clone(), json!({})),
        ("DELETE", pause, json!({})),
    ]
}

fn seed() -> Value {
    json!({ "cloud_init": [{ "name": "ci-userdata", "value": "#cloud-config" }] })
}

/// Checks that it is a success whose warning begins with this: of a VM that is made, with its uuid.
#[track_caller]
fn warned(answered: &Answered, path: &str, made: bool, begins: &str) {
    let uuid = path.trim_start_matches("/vms/");
    let (status, text) = if made { (201, format!("\"{uuid}\"")) } else { (200, String::new()) };
    assert_eq!((answered.status.as_u16(), &answered.text), (status, &text));
    let warning = answered.headers["warning"].to_str().unwrap();
    assert!(warning.starts_with(&format!("299 VirtX \"{begins}")), "{warning}");
}

#[tokio::test]
async fn done_but_not_yet_seen_is_an_answer_of_its_own() {
    let (door, path) = scripted(Script::unseen(TaskState::Done)).await;
    for (method, at, body) in changes(&path) {
        let answered = door.send(method, &at, &body.to_string()).await;
        warned(&answered, &path, at == "/vms", "it is done and cannot be seen yet\"");
    }
}

#[tokio::test]
async fn what_goes_on_is_no_failure_and_says_how_to_learn_its_end() {
    for state in [TaskState::Queued, TaskState::Running] {
        let (door, path) = scripted(Script::unseen(state)).await;
        for (method, at, body) in changes(&path) {
            let answered = door.send(method, &at, &body.to_string()).await;
            let says = "it takes longer and goes on: 'inn task show ";
            warned(&answered, &path, at == "/vms", says);
        }
    }
}

#[tokio::test]
async fn nothing_is_booted_while_what_it_would_find_is_still_being_written() {
    let (door, path) = scripted(Script::unseen(TaskState::Running)).await;
    let answered = door.send("POST", &format!("{path}/runstate/boot"), &seed().to_string()).await;
    refused(&answered, 424, "VM web was not booted");
}

#[tokio::test]
async fn what_a_task_warns_of_is_in_the_header_after_the_doors_own_words() {
    let warning = "recorded: false; the disk is full";
    let (door, path) = scripted(Script::seen().with_warning(warning)).await;
    for (method, at, body) in changes(&path) {
        let answered = door.send(method, &at, &body.to_string()).await;
        warned(&answered, &path, at == "/vms", &format!("{warning}\""));
    }
    let mut def = vmdef("other");
    def["osdisk"]["prov"] = json!(2);
    let body = json!({ "vmdef": def }).to_string();
    for (method, at) in [("POST", "/vms"), ("PUT", path.as_str())] {
        let answered = door.send(method, at, &body).await;
        let own = "/vms/ds/other/os.qcow2 was made thin: this host makes no thick disks";
        warned(&answered, &path, at == "/vms", &format!("{own}; {warning}\""));
    }
    // What a boot first writes down has its own.
    let booted = door.send("POST", &format!("{path}/runstate/boot"), &seed().to_string()).await;
    warned(&booted, &path, false, &format!("{warning}; {warning}\""));
}

#[tokio::test]
async fn what_the_hypervisor_fails_at_is_424_on_every_route_whenever_it_does() {
    let fails = Refusal::new(Code::HypervisorFailed, "the hypervisor said no");
    for script in [Script::refused(fails.clone()), Script::failed(fails)] {
        let (door, path) = scripted(script).await;
        for (method, at, body) in changes(&path) {
            let answered = door.send(method, &at, &body.to_string()).await;
            refused(&answered, 424, "the hypervisor said no");
        }
    }
}

#[tokio::test]
async fn what_is_done_and_seen_has_no_warning() {
    let (door, path) = scripted(Script::seen()).await;
    for (method, at, body) in changes(&path) {
        let answered = door.send(method, &at, &body.to_string()).await;
        let status = if at == "/vms" { 201 } else { 204 };
        assert_eq!(answered.status.as_u16(), status, "{method} {at}: {}", answered.text);
        assert!(!answered.headers.contains_key("warning"), "{method} {at}");
    }
}
