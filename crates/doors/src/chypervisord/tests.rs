//! The door against chypervisord's own document and what is known of its behaviour.

mod easy_to_get_wrong;
mod of_this_host;
mod printed;
mod rows;

use super::*;
use crate::testing::{Answered, House, LONG, TestDoor, is_documented};
use axum::body::Body;
use http::{Request as HttpRequest, StatusCode};
use innkeeper_auth::Role;
use innkeeper_engine::{Caller, NetworkRequest, Request};
use innkeeper_model::{Mebibytes, NetworkId, SubnetId, VmId};
use innkeeper_store::registry::{EmbeddedRegistry, Resources};
use serde_json::{Value, json};

/// The host that the tests' daemon runs on.
const THIS: &str = "e88a75a6-7ae6-487c-9634-6553d3793437";
/// Another.
const OTHER: &str = "abcd1234-abcd-1234-abcd-1234abcd1234";
/// One that there is none of.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
const SUBNET: &str = "c6430cba-648a-41aa-aee4-b59dacfc790d";

/// The daemon, its registry, and the door.
struct Fixture {
    // The last clone of the hosts ends the registry's thread, so the folder outlives all of it.
    door: TestDoor<Chypervisord>,
    hosts: Hosts,
    house: House,
}

/// A host with nothing to give, as chypervisord's document shows one.
async fn fixture() -> Fixture {
    with_resources(Resources::default()).await
}

async fn with_resources(total: Resources) -> Fixture {
    let house = House::new().await;
    let registry = EmbeddedRegistry::open(&house.folder.path().join("registry.redb")).unwrap();
    let hosts = Hosts::new(Arc::new(registry));
    let this_host = ThisHost {
        id: THIS.parse().unwrap(),
        ip: Some("10.100.101.34".parse().unwrap()),
        mac: Some("01:23:45:67:89:ab".parse().unwrap()),
        total,
    };
    let door = Chypervisord::open(hosts.clone(), this_host).await.unwrap();
    let door = house.door(door, Role::Admin);
    Fixture { door, hosts, house }
}

impl Fixture {
    async fn send(&self, method: &str, path: &str, body: &str) -> Answered {
        self.door.send(method, path, body).await
    }

    async fn get(&self, path: &str) -> Answered {
        self.door.get(path).await
    }

    /// Registers the other host, with nothing more than an id.
    async fn with_other(self) -> Self {
        let answered = self.send("POST", "/hypervisors", &json!({ "id": OTHER }).to_string()).await;
        assert_eq!(answered.status, StatusCode::CREATED, "{}", answered.text);
        self
    }

    /// Makes the subnet of chypervisord's document.
    async fn with_subnet(self) -> Self {
        self.make_subnet("lan", "10.87.3.0/24", SUBNET.parse().unwrap()).await;
        self
    }

    /// Makes a network of this name, with a subnet.
    async fn make_subnet(&self, name: &str, range: &str, id: SubnetId) {
        let network = NetworkId::new();
        let config = serde_json::from_value(json!({ "name": name })).unwrap();
        let make = NetworkRequest::Create { config, id: Some(network), subnets: Vec::new() };
        self.house.perform(Request::Network(make)).await;
        let config = serde_json::from_value(json!({ "range": range })).unwrap();
        let make = NetworkRequest::CreateSubnet { network, config, id: Some(id) };
        self.house.perform(Request::Network(make)).await;
    }

    /// Makes a VM with this id.
    async fn create_vm(&self, id: &str, mut config: Value) {
        config["name"] = format!("vm-{}", &id[..8]).into();
        let config = serde_json::from_value(config).unwrap();
        let request = Request::Create { config, id: Some(id.parse().unwrap()) };
        self.house.context.perform(&Caller::innkeeper(), request, LONG).await.unwrap();
    }
}

fn host(id: &str) -> String {
    format!("/hypervisors/{id}")
}

/// That it is a failure in the long shape, with this status and something of this in its message.
#[track_caller]
fn is_long(answered: &Answered, status: u16, message: &str) {
    let document = answered.json();
    assert_eq!(answered.status, status, "{}", answered.text);
    assert_eq!((&document["code"], &document["stack"]), (&json!(status), &json!([])));
    assert!(document["message"].as_str().unwrap().contains(message), "{}", answered.text);
    assert_eq!(answered.headers["content-type"], "application/json");
}

/// The same of a 400 in the short shape.
#[track_caller]
fn is_short(answered: &Answered, message: &str) {
    let document = answered.json();
    assert_eq!(answered.status, 400, "{}", answered.text);
    assert_eq!(document.as_object().unwrap().len(), 1, "{}", answered.text);
    assert!(document["message"].as_str().unwrap().contains(message), "{}", answered.text);
    assert_eq!(answered.headers["content-type"], "application/json");
}

#[track_caller]
fn is_page_not_found(answered: &Answered) {
    assert_eq!((answered.status, &*answered.text), (StatusCode::NOT_FOUND, "404 page not found\n"));
    assert!(answered.headers["content-type"].to_str().unwrap().starts_with("text/plain"));
}

#[test]
fn the_openapi_document_is_the_one_that_is_kept() {
    is_documented(Door::Chypervisord, &document());
}

#[tokio::test]
async fn what_the_openapi_document_has_is_served() {
    let fixture = fixture().await.with_other().await.with_subnet().await;
    let document: Value = serde_json::from_str(&document()).unwrap();
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let path = path.replace("{hypervisorID}", NOBODY).replace("{subnetID}", SUBNET);
            let method = method.to_uppercase();
            let answered = fixture.send(&method, &path, "{}").await;
            assert!(!answered.text.contains("page not found"), "{method} {path}");
            operations += 1;
        }
    }
    assert_eq!(operations, 11);
}
