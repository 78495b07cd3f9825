//! Callers who are bound to a project: at each door there is nothing for them but that one's.

use super::*;
use crate::{
    access::Entrance,
    testing::{Answered, TestDoor, of_project},
};
use axum::body::Body;
use http::Request;
use innkeeper_model::VmId;
use serde_json::json;

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

/// Whether a route has a VM in its path. At the VMM service's door it is in the body, and its own tests ask.
fn has_a_vm(path: &str) -> bool {
    path.contains("{zonename}") || path.starts_with("/vms/{uuid}")
}

/// The body of a request that is whole, but for the VM that it is about.
fn body_of((method, path, _): &Route) -> Value {
    let vmdef = json!({
        "name": "other",
        "cpudef": { "model": "host-model", "nodes": 1, "sockets": 1, "cores": 1, "threads": 1 },
        "memory": { "total": 32, "hp": false },
    });
    match (*method, *path) {
        ("PUT", "/vms/{uuid}") => json!({ "vmdef": vmdef, "deletestorage": true }),
        ("POST", "/vms/{uuid}/runstate/migrate") => json!({ "host": NOBODY }),
        _ => json!({}),
    }
}

async fn ask<P: Protocol>(door: &TestDoor<P>, route: &Route, vm: &str) -> Answered {
    let (method, path) = request_of(route);
    let body = body_of(route).to_string();
    let request = Request::builder()
        .method(method)
        .uri(path.replace(NOBODY, vm))
        .header("host", "localhost")
        .header("x-request-id", "same")
        .header("content-length", body.len())
        .body(Body::from(body))
        .unwrap();
    door.answer(request).await
}

/// What is answered, without what was asked for.
fn without(answered: &Answered, id: &str) -> String {
    let Answered { status, headers, text } = answered;
    format!("{status} {headers:?} {text}").replace(id, "IT")
}

struct AnothersVm;

impl Check for AnothersVm {
    async fn check<P: Protocol>(&self, house: &House, name: Door, open: impl Fn() -> P) {
        let (routes, _) = routes(name);
        let (secret, own) = (format!("secret-{name}"), format!("own-{name}"));
        let other: VmId =
            house.create(json!({ "name": secret, "project": "rivals", "memory": "16MiB" })).await;
        let id = other.to_string();
        let mine = house.create(json!({ "name": own, "project": "us", "memory": "16MiB" })).await;
        for role in [Role::Viewer, Role::Operator, Role::Owner] {
            let door = house.door_at(open(), Entrance::of(of_project("us", role)));
            for route in routes {
                let others = ask(&door, route, &id).await;
                let missing = ask(&door, route, NOBODY).await;
                let said = format!("{:?} {}", others.headers, others.text);
                let told = said.contains("secret") || said.contains("rivals");
                assert!(!told, "{name} {role} {route:?}: {said}");
                if !has_a_vm(route.1) {
                    assert!(!said.contains(&id), "{name} {role} {route:?}: {said}");
                    continue;
                }
                let (others, missing) = (without(&others, &id), without(&missing, NOBODY));
                assert_eq!(others, missing, "{name} {role} {route:?}");
                let is_missing = ["404", "424"].iter().any(|status| others.starts_with(status));
                let is_refused = role != Role::Owner && others.starts_with("403");
                assert!(is_missing || is_refused, "{name} {role} {route:?}: {others}");
            }
        }
        // Of its own it is told; and of the other, whoever is of that project.
        let ours = house.door_at(open(), Entrance::of(of_project("us", Role::Owner)));
        let theirs = house.door_at(open(), Entrance::of(of_project("rivals", Role::Owner)));
        let reads = routes.iter().filter(|route| route.0 == "GET" && has_a_vm(route.1));
        for route in reads {
            let own = ask(&ours, route, &mine.to_string()).await;
            assert_eq!(own.status, 200, "{name} {route:?}: {}", own.text);
            assert_eq!(ask(&theirs, route, &id).await.status, 200, "{name} {route:?}");
        }
        assert!(house.vm(other).is_some(), "{name}: it is untouched");
    }
}

#[tokio::test]
async fn anothers_vm_answers_as_one_that_does_not_exist_on_every_route() {
    of_each_door(AnothersVm).await;
}
