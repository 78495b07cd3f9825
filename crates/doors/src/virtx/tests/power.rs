//! What a VM is doing, and what is done to its machine.

use super::*;
use crate::virtx::{numbers::Vmrunstate, runstate};
use innkeeper_view::{View, ViewOptions};

/// What a VM with this state and these facts is doing.
fn shown(state: &str, facts: Value) -> Vmrunstate {
    let vm = json!({
        "id": NOBODY, "name": "web", "project": "default", "state": state, "revision": 1,
        "facts": facts,
    });
    let view = View::start(ViewOptions::new(uuid::Uuid::nil()));
    runstate::of(&serde_json::from_value(vm).unwrap(), &view.snapshot())
}

#[tokio::test]
async fn every_state_has_its_number() {
    let absent = || json!({ "machine": "absent" });
    let ended = |reason: &str| json!({ "machine": "absent", "last_end": { "reason": reason } });
    for (state, facts, number) in [
        ("stopped", absent(), 2),
        ("stopped", ended("guest_shutdown"), 2),
        ("stopped", ended("killed"), 2),
        ("stopped", ended("guest_panic"), 9),
        ("stopped", ended("hypervisor_died"), 9),
        ("starting", absent(), 3),
        ("running", json!({ "machine": "running" }), 4),
        ("paused", json!({ "machine": "paused" }), 5),
        ("ended", json!({ "machine": "ended" }), 7),
        ("suspended", absent(), 8),
        ("unresponsive", json!({ "machine": "unresponsive" }), 0),
        ("interrupted", json!({ "machine": "running" }), 4),
        ("interrupted", ended("guest_panic"), 9),
        ("quarantined", absent(), 2),
        ("quarantined", json!({ "machine": "unresponsive" }), 0),
    ] {
        assert_eq!(shown(state, facts.clone()) as i16, number, "{state} {facts}");
    }
}

#[tokio::test]
async fn a_vm_that_is_made_to_stop_is_terminating() {
    let fixture = fixture().await;
    let path = fixture.running("web").await;
    for (operation, number) in [("stop", 7), ("kill", 7), ("pause", 4)] {
        let task = json!({
            "id": uuid::Uuid::now_v7(), "operation": operation, "vm": fixture.vm(&path).id,
            "subject": "web", "caller": "x", "state": "running", "cancellable": true,
            "created": "2026-01-01T00:00:00Z", "steps": [], "resources": [],
        });
        let task: innkeeper_model::Task = serde_json::from_value(task).unwrap();
        let (view, id) = (fixture.house.context.view(), fixture.vm(&path).id);
        let is_done = Update::VmTask { id, task: Some(task.id) };
        view.barrier(vec![Update::Task(task), is_done]).await.unwrap();
        let shown = fixture.get(&format!("{path}/runstate")).await;
        assert_eq!(shown["runstate"], number, "{operation}");
    }
}

#[tokio::test]
async fn a_vm_lives() {
    let fixture = fixture().await;
    let path = fixture.made(vmdef("web")).await;
    for (method, rest, body, status, number) in [
        ("POST", "boot", json!({ "cloud_init": null }), 204, 4),
        ("POST", "pause", json!({}), 204, 5),
        ("DELETE", "pause", json!({}), 204, 4),
        ("DELETE", "boot", json!({ "force": 1 }), 204, 2),
        ("POST", "boot", json!({}), 204, 4),
        ("DELETE", "boot", json!({ "force": 2 }), 204, 2),
    ] {
        let answered = fixture.send(method, &format!("{path}/runstate/{rest}"), body).await;
        assert_eq!(
            (answered.status.as_u16(), answered.text.as_str()),
            (status, ""),
            "{method} {rest}"
        );
        let runstate = fixture.get(&format!("{path}/runstate")).await;
        assert_eq!(runstate, json!({ "runstate": number, "host": THIS }), "{method} {rest}");
        assert_eq!(fixture.get(&path).await["runinfo"], runstate);
    }
    let oplog = fixture.get(&path).await["stats"]["oplog"]["items"].clone();
    let kinds: Vec<_> =
        oplog.as_array().unwrap().iter().map(|item| item["op"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["VmBoot", "VmCreate", "VmPause", "VmResume", "VmShutdown"]);
    for item in oplog.as_array().unwrap() {
        assert_eq!(item["status"], "completed");
        assert!(item["te"].as_i64().unwrap() >= item["ts"].as_i64().unwrap());
    }
}

#[tokio::test]
async fn a_guest_that_is_asked_goes_on_with_202_and_is_off_then() {
    let fixture = fixture().await;
    let path = fixture.running("web").await;
    let asked =
        fixture.send("DELETE", &format!("{path}/runstate/boot"), json!({ "force": 0 })).await;
    assert_eq!((asked.status.as_u16(), asked.text.as_str()), (202, ""));
    let task = fixture.get(&path).await["stats"]["oplog"]["items"].clone();
    assert!(task.as_array().unwrap().iter().any(|item| item["op"] == "VmShutdown"), "{task}");
    let id = fixture.vm(&path).id;
    let snapshot = fixture.house.context.view().snapshot();
    let stop = snapshot.tasks.values().find(|task| task.operation == "stop").unwrap().id;
    fixture.house.context.operations().wait(stop, crate::testing::LONG).await.unwrap();
    assert_eq!(fixture.house.vm(id).unwrap().state, innkeeper_model::VmState::Stopped);
}

#[tokio::test]
async fn a_boot_gives_cloud_init_what_it_finds() {
    let fixture = fixture().await;
    let path = fixture.made(vmdef("web")).await;
    let boot = format!("{path}/runstate/boot");
    for (options, part) in [
        (json!([{ "name": "ci-vendordata", "value": "x" }]), "cloud_init[0].name"),
        (json!([{ "name": "ci-metadata", "value": "x" }]), "ci-userdata"),
    ] {
        refused(&fixture.send("POST", &boot, json!({ "cloud_init": options })).await, 400, part);
    }
    let option = |name: &str| json!({ "name": name, "value": format!("of {name}") });
    let options = json!([option("ci-userdata"), option("ci-metadata"), option("ci-networkconfig")]);
    let booted = fixture.send("POST", &boot, json!({ "cloud_init": options })).await;
    assert_eq!(booted.status, 204, "{}", booted.text);
    let seed = fixture.vm(&path).spec.as_ref().unwrap().config.cloud_init.clone().unwrap();
    let digest = |name: &str| innkeeper_model::Secret::new(format!("of {name}")).sealed();
    assert_eq!(seed.user_data, Some(digest("ci-userdata")));
    assert_eq!(seed.meta_data, Some(digest("ci-metadata")));
    assert_eq!(seed.network_config, Some(digest("ci-networkconfig")));
    let again = fixture.send("POST", &boot, json!({ "cloud_init": options })).await;
    refused(&again, 424, "running");
}

#[tokio::test]
async fn rates_are_since_the_last_look() {
    let fixture = fixture().await;
    let path = fixture.running("web").await;
    let stats = fixture.get(&path).await["stats"].clone();
    assert_eq!((&stats["cpu_utilization"], &stats["mhz_used"]), (&json!(0), &json!(0)));
    assert_eq!(stats["memory_capacity"], 32);
}
