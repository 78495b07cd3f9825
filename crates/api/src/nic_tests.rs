//! NICs of VMs, through the gate, over an engine that only remembers.

use crate::test_support::{Api, Read, spec};
use http::{Request as HttpRequest, StatusCode};
use innkeeper_engine::{NicChange, Request};
use innkeeper_model::{VmId, config::Nic};
use innkeeper_view::Update;
use serde_json::json;
use std::sync::Arc;

/// VM `web` with NIC `up` on network `lan`.
async fn with_nic() -> (Api, VmId) {
    let mut spec = spec("web");
    spec.config.nics = vec![up()];
    let id = spec.id;
    let api = Api::new();
    api.post(vec![Update::VmSpec(Arc::new(spec))]).await;
    (api, id)
}

fn up() -> Nic {
    let nic = json!({
        "name": "up", "network": "lan", "rate": {"in_kbit": 1000, "out_kbit": 2000},
        "publish": ["8080:80"],
    });
    serde_json::from_value(nic).unwrap()
}

async fn patch(api: &Api, uri: &str, body: &str) -> Read {
    let request = HttpRequest::patch(uri).header("content-type", "application/merge-patch+json");
    Read::of(api.call(request, body.to_owned()).await).await
}

/// What was asked of the engine, which must be one change of a NIC.
#[track_caller]
fn asked(api: &Api) -> (VmId, NicChange) {
    let mut all = api.engine.asked();
    assert_eq!(all.len(), 1, "{all:?}");
    match all.remove(0) {
        Request::Nic { vm, change } => (vm, change),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_nic_is_added_once_for_each_key() {
    let (api, id) = with_nic().await;
    let body = r#"{"name":"down","network":"dmz","addresses":["10.0.0.5"]}"#;
    let added = api.send("POST", "/v1/vms/web/nics", body).await;
    assert_eq!(added.status, StatusCode::ACCEPTED);
    assert!(added.header("location").starts_with("/v1/tasks/"));
    assert_eq!(added.json()["vm"]["name"], "web");
    let nic: Nic = serde_json::from_str(body).unwrap();
    assert_eq!(asked(&api), (id, NicChange::Add(Box::new(nic))));

    for _again in 0..2 {
        let request = HttpRequest::post("/v1/vms/web/nics").header("idempotency-key", "once");
        let added = Read::of(api.call(request, body.to_owned()).await).await;
        assert_eq!(added.status, StatusCode::ACCEPTED);
    }
    asked(&api);
}

#[tokio::test]
async fn a_nic_is_replaced_merged_into_and_taken_out() {
    let (api, id) = with_nic().await;
    api.send("PUT", "/v1/vms/web/nics/up", r#"{"name":"up","network":"dmz"}"#).await;
    let moved: Nic = serde_json::from_value(json!({"name": "up", "network": "dmz"})).unwrap();
    assert_eq!(asked(&api), (id, NicChange::Set(Box::new(moved))));

    let changes = r#"{"connected":false,"rate":{"in_kbit":null},"publish":[]}"#;
    let changed = patch(&api, "/v1/vms/web/nics/up", changes).await;
    assert_eq!(changed.status, StatusCode::ACCEPTED);
    let mut nic = up();
    (nic.connected, nic.rate.in_kbit, nic.publish) = (false, None, Vec::new());
    assert_eq!(asked(&api), (id, NicChange::Set(Box::new(nic))));

    api.send("DELETE", &format!("/v1/vms/{id}/nics/up"), "").await;
    assert_eq!(asked(&api), (id, NicChange::Remove("up".parse().unwrap())));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_the_engine_is_asked() {
    let (api, _) = with_nic().await;
    let missing = api.send("DELETE", "/v1/vms/web/nics/down", "").await;
    assert_eq!(missing.problem("not-found")["hint"], "VM web has up");
    api.send("DELETE", "/v1/vms/other/nics/up", "").await.problem("not-found");
    api.send("POST", "/v1/vms/web/nics", r#"{"network":"lan"}"#).await.problem("invalid-field");
    let refused = api.send("POST", "/v1/vms/web/nics", r#"{"name":"a","colour":1}"#).await;
    assert_eq!(refused.problem("invalid-field")["field"], "colour");
    let renamed = patch(&api, "/v1/vms/web/nics/up", r#"{"name":"down"}"#).await;
    assert_eq!(renamed.problem("invalid-field")["field"], "name");
    patch(&api, "/v1/vms/web/nics/up", "[]").await.problem("invalid-field");
    let stale = HttpRequest::delete("/v1/vms/web/nics/up").header("if-match", "\"7\"");
    Read::of(api.call(stale, "").await).await.problem("revision-conflict");
    assert!(api.engine.asked().is_empty());
}
