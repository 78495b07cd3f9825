//! Callers who are bound to a project: what is another's is as if it did not exist.

use super::*;
use crate::{access::Entrance, testing::of_project};
use innkeeper_engine::{NetworkRequest, Request};
use innkeeper_model::NetworkConfig;

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
const OTHER: &str = "0xabcdefabcdefabcdefabcdefabcdefabcdefabcd";

/// The door, as somebody of this project finds it.
fn door_of(house: &House, project: &str, role: Role) -> TestDoor<Vmm> {
    house.door_at(Vmm::new(none()), Entrance::of(of_project(project, role)))
}

/// What is answered, without the id that was asked for.
async fn asked(door: &TestDoor<Vmm>, path: &str, mut body: Value, id: &str) -> String {
    body["build_id"] = id.into();
    let request = HttpRequest::post(path)
        .header("host", "localhost")
        .header("x-request-id", "same")
        .body(Body::from(body.to_string()))
        .unwrap();
    let Answered { status, headers, text } = door.answer(request).await;
    format!("{status} {headers:?} {text}").replace(id, "ID")
}

/// Every route of the document whose request names a VM, and a request to it that is whole.
fn routes_of_a_vm() -> Vec<(String, Value)> {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let body = &item["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        let Some(reference) = body.as_str() else { continue };
        let schema = document.pointer(reference.strip_prefix('#').unwrap()).unwrap();
        if schema["properties"].get("build_id").is_none() {
            continue;
        }
        let rest = match path.as_str() {
            "/vm/device/add" => json!({ "device": { "type": "nic" } }),
            "/vm/device/remove" => json!({ "device_id": "nic0" }),
            _ => json!({}),
        };
        found.push((path.clone(), rest));
    }
    assert!(found.len() >= 9, "{found:?}");
    found
}

#[tokio::test]
async fn anothers_vm_answers_as_one_that_does_not_exist_on_every_route() {
    let (house, admin) = service(none()).await;
    let vm = made(&admin).await["build_id"].as_str().unwrap().to_owned();
    for role in [Role::Viewer, Role::Operator, Role::Owner] {
        let door = door_of(&house, OTHER, role);
        for (path, body) in routes_of_a_vm() {
            for owner in [None, Some(OTHER), Some(OWNER)] {
                let mut body = body.clone();
                body["owner"] = owner.into();
                let others = asked(&door, &path, body.clone(), &vm).await;
                assert_eq!(others, asked(&door, &path, body, NOBODY).await, "{role} {path}");
                assert!(others.starts_with('4') && !others.contains("my-instance"), "{others}");
                let is_named = owner == Some(OWNER);
                assert!(!is_named || others.starts_with("403"), "{role} {path}: {others}");
            }
        }
        let listed = ok(&post(&door, "/vm/list", json!({})).await);
        assert_eq!(listed, json!([]), "{role}");
        refused(&post(&door, "/vm/list", json!({ "owner": OWNER })).await, 403);
    }
    // It is untouched, and its owner's.
    let own = door_of(&house, OWNER, Role::Owner);
    assert_eq!(ok(&post(&own, "/vm/list", json!({})).await)[0]["build_id"], vm);
    assert_eq!(ok(&post(&own, "/vm/info", json!({ "build_id": vm })).await)["owner"], OWNER);
}

#[tokio::test]
async fn an_owner_makes_what_is_its_own_and_nothing_for_others() {
    let (house, _admin) = service(none()).await;
    let door = door_of(&house, OWNER, Role::Owner);
    let mut of_other = printed();
    of_other["owner"] = OTHER.into();
    let text = refused(&post(&door, "/vm/create", of_other).await, 403);
    assert!(text.contains("bound to"), "{text}");
    assert!(house.context.view().snapshot().vms.is_empty());
    let mut unnamed = printed();
    unnamed.as_object_mut().unwrap().remove("owner");
    // However its letters are written, it is the same owner.
    let upper = format!("0x{}", OWNER[2..].to_uppercase());
    let named = json!({ "name": "second", "owner": upper, "vm_config": printed()["vm_config"] });
    for wanted in [unnamed, named] {
        let created = ok(&post(&door, "/vm/create", wanted).await);
        let shown = json!({ "build_id": created["vm_id"] });
        assert_eq!(ok(&post(&door, "/vm/info", shown.clone()).await)["owner"], OWNER);
        assert_eq!(ok(&post(&door, "/vm/delete", shown).await)["success"], true);
    }
}

#[tokio::test]
async fn a_task_is_there_for_whoever_asked_and_for_its_vms_owner() {
    let (house, admin) = service(none()).await;
    let vm = made(&admin).await;
    let task = ok(&post(&admin, "/vm/boot", vm.clone()).await)["task_id"].clone();
    let task = json!({ "task_id": task });
    let own = door_of(&house, OWNER, Role::Owner);
    assert_eq!(ok(&post(&own, "/vm/task", task.clone()).await)["operation"], "start");
    let other = door_of(&house, OTHER, Role::Owner);
    let text = refused(&post(&other, "/vm/task", task.clone()).await, 404);
    let none = task["task_id"].as_str().unwrap();
    let nobodys = refused(&post(&other, "/vm/task", json!({ "task_id": NOBODY })).await, 404);
    assert_eq!(text.replace(none, NOBODY), nobodys);
    // What an owner asked for is there for it when the VM is gone.
    let deleted = ok(&post(&own, "/vm/delete", json!({ "build_id": vm["build_id"] })).await);
    let deletion = json!({ "task_id": deleted["task_id"] });
    assert_eq!(ok(&post(&own, "/vm/task", deletion.clone()).await)["operation"], "delete");
    refused(&post(&other, "/vm/task", deletion).await, 404);
}

#[tokio::test]
async fn what_is_taken_is_not_said_to_be_whose() {
    let (house, admin) = service(none()).await;
    let config = Box::new(NetworkConfig::new("lan".parse().unwrap()));
    let lan = NetworkRequest::Create { config, id: None, subnets: Vec::new() };
    house.perform(Request::Network(lan)).await;
    let vm = made(&admin).await;
    let mac = "52:54:00:aa:bb:cc";
    let device = |mac: &str| json!({ "type": "nic", "network": "lan", "mac": mac });
    let body = json!({ "build_id": vm["build_id"], "device": device(mac) });
    ok(&post(&admin, "/vm/device/add", body).await);
    let own = door_of(&house, OTHER, Role::Owner);
    let mut wanted = printed();
    wanted["owner"] = OTHER.into();
    let created = ok(&post(&own, "/vm/create", wanted).await);
    let body = json!({ "build_id": created["vm_id"], "device": device(mac) });
    let text = refused(&post(&own, "/vm/device/add", body).await, 409);
    assert!(text.contains("taken") && !text.contains("my-instance"), "{text}");
}

#[tokio::test]
async fn an_owner_makes_no_images_since_those_are_everybodys() {
    let (house, admin) = service(none()).await;
    let vm = made(&admin).await;
    let own = door_of(&house, OWNER, Role::Owner);
    refused(&post(&own, "/vm/commit", vm).await, 403);
}
