//! The door against what is known of virtx: its routes and statuses, and what is easy to get wrong.

mod easy_to_get_wrong;
mod lists;
mod outcomes;
mod owners;
mod power;
mod quotas;
mod rows;
mod statuses;

use super::{Virtx, document};
use crate::{
    Door,
    testing::{Answered, House, TestDoor, is_documented},
};
use innkeeper_auth::Role;
use innkeeper_model::{Host, HostId, ManagedMachine, NeighbourMachine, Vm, VmId};
use innkeeper_view::Update;
use serde_json::{Value, json};
use std::sync::Arc;

/// The host that the tests' daemon runs on.
const THIS: &str = "e88a75a6-7ae6-487c-9634-6553d3793437";
/// Another, which nobody knows.
const OTHER: &str = "abcd1234-abcd-4234-abcd-1234abcd1234";
/// A VM that there is none of.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

struct Fixture {
    door: TestDoor<Virtx>,
    house: House,
}

async fn fixture() -> Fixture {
    let house = House::new().await;
    let host = Host::clone(house.context.view().snapshot().host.value());
    let id: HostId = THIS.parse().unwrap();
    house.context.view().barrier(vec![Update::Host(Host { id: Some(id), ..host })]).await.unwrap();
    let door = house.door(Virtx::open(), Role::Admin);
    Fixture { door, house }
}

/// A VM with a disk of its own.
fn vmdef(name: &str) -> Value {
    json!({
        "name": name,
        "cpudef": { "model": "host-model", "nodes": 1, "sockets": 1, "cores": 2, "threads": 1 },
        "memory": { "total": 32, "hp": false },
        "osdisk": {
            "path": format!("/vms/ds/{name}/os.qcow2"), "device": 0, "bus": 0, "man": 1, "prov": 1,
            "size": 4,
        },
        "vlanid": 0,
        "custom": [{ "name": "role", "value": "web" }],
    })
}

impl Fixture {
    async fn send(&self, method: &str, path: &str, body: Value) -> Answered {
        self.door.send(method, path, &body.to_string()).await
    }

    /// Makes one, and returns where it is.
    async fn made(&self, vmdef: Value) -> String {
        let made = self.send("POST", "/vms", json!({ "vmdef": vmdef })).await;
        assert_eq!(made.status, 201, "{}", made.text);
        format!("/vms/{}", made.json().as_str().unwrap())
    }

    /// Makes one, and boots it.
    async fn running(&self, name: &str) -> String {
        let path = self.made(vmdef(name)).await;
        let booted = self.send("POST", &format!("{path}/runstate/boot"), json!({})).await;
        assert_eq!(booted.status, 204, "{}", booted.text);
        path
    }

    async fn get(&self, path: &str) -> Value {
        let answered = self.door.get(path).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        answered.json()
    }

    fn vm(&self, path: &str) -> Arc<Vm> {
        self.house.vm(path.trim_start_matches("/vms/").parse().unwrap()).unwrap()
    }

    /// Has libvirt have a domain, and returns where it is.
    async fn domain(&self) -> String {
        self.domain_that_is(true).await
    }

    /// The same, with a definition that outlives its machine, or without.
    async fn domain_that_is(&self, persistent: bool) -> String {
        let id = VmId::new();
        let machine = NeighbourMachine {
            id,
            machine: innkeeper_model::MachineState::Running,
            last_end: None,
            is: ManagedMachine {
                name: "dom 1".into(),
                title: Some("A domain".into()),
                cpus: 3,
                memory: innkeeper_model::Mebibytes(128),
                persistent,
                ..ManagedMachine::default()
            },
        };
        let update =
            Update::VmManaged { by: "libvirt".parse().unwrap(), machine: Box::new(machine) };
        self.house.context.view().barrier(vec![update]).await.unwrap();
        format!("/vms/{id}")
    }
}

/// Checks a refusal: its status, that it is one line of text, and that this is in it.
#[track_caller]
fn refused(answered: &Answered, status: u16, part: &str) {
    assert_eq!(answered.status, status, "{}", answered.text);
    assert_eq!(answered.headers["content-type"], "text/plain; charset=utf-8");
    let line = answered.text.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n') && line.contains(part), "{line}");
}

#[test]
fn the_openapi_document_is_current() {
    is_documented(Door::Virtx, &document());
}
