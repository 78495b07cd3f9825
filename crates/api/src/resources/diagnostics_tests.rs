use super::*;
use crate::test_support::{Api, Read};
use serde_json::{Value, json};

async fn post(api: &Api, path: &str, body: &Value) -> Read {
    let request = http::Request::post(format!("/v1/diagnostics/{path}"))
        .header("content-type", "application/json")
        .header("x-request-id", "r1");
    Read::of(api.call(request, body.to_string()).await).await
}

#[tokio::test]
async fn the_daemon_says_how_it_is_and_how_it_is_configured() {
    let api = Api::new();
    let diagnosis = api.get("/v1/diagnostics").await.json();
    assert_eq!(
        (&diagnosis["journal"]["records"], &diagnosis["drivers"][0]["name"]),
        (&json!(7), &json!("fake"))
    );
    let configuration = api.get("/v1/diagnostics/configuration").await.json();
    assert_eq!(configuration, json!({ "driver": "fake" }));
    api.get("/v1/diagnostics?all=true").await.problem("invalid-field");
    let log = api.get("/v1/diagnostics/log").await;
    assert_eq!(log.text, "2026-01-01T00:00:00Z  INFO inn::daemon: serving\n");
    assert_eq!(log.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(log.header("x-content-type-options"), "nosniff");
    api.get("/v1/diagnostics/log?lines=7").await.problem("invalid-field");
}

#[tokio::test]
async fn who_follows_something_is_known_by_name() {
    let api = Api::new();
    let task = crate::test_support::task(innkeeper_model::TaskState::Running, None);
    api.post(vec![innkeeper_view::Update::Task(task.clone())]).await;
    let follow = async |uri: &str| api.call(http::Request::get(uri), String::new()).await;
    let _events = follow("/v1/events").await;
    let _task = follow(&format!("/v1/tasks/{}/events", task.id)).await;
    let readers = api.view.slowest_readers(9);
    let who: Vec<_> = readers.iter().filter_map(|reader| reader.who.as_deref()).collect();
    assert_eq!(who, ["uid:1000: events", &format!("uid:1000: task {}", task.id)]);
}

#[tokio::test]
async fn what_an_operator_does_by_hand_is_done_and_on_record() {
    let (api, ids) = Api::with(&["web"]).await;
    let looked_at = post(&api, "reconcile", &json!({ "vm": "web" })).await;
    assert_eq!(
        (looked_at.status, looked_at.json()),
        (StatusCode::ACCEPTED, json!({ "vm": ids[0] }))
    );
    for paused in [true, false] {
        let set = post(&api, "queue", &json!({ "vm": ids[0], "paused": paused })).await;
        assert_eq!(set.json(), json!({ "vm": ids[0], "paused": paused }));
    }
    let set = post(&api, "log", &json!({ "level": "debug" })).await;
    assert_eq!(set.json(), json!({ "level": "debug", "was": "info" }));

    let vm = ids[0];
    let done = ["reconcile", "queue", "queue"];
    let noted = api.engine.done_by_hand();
    assert!(
        noted
            .iter()
            .zip(done)
            .all(|(noted, what)| { noted.starts_with(&format!("uid:1000: {what} {vm}")) }),
        "{noted:?}"
    );
}

#[tokio::test]
async fn what_makes_no_sense_changes_nothing_and_is_not_on_record() {
    let (api, _) = Api::with(&["web"]).await;
    for (path, body, code) in [
        ("reconcile", json!({ "vm": "nope" }), "not-found"),
        ("reconcile", json!({}), "invalid-field"),
        ("reconcile", json!({ "vm": "web", "now": true }), "invalid-field"),
        ("queue", json!({ "vm": "web" }), "invalid-field"),
        ("queue", json!({ "vm": "web", "paused": "yes" }), "invalid-field"),
        ("log", json!({ "level": "loud" }), "invalid-field"),
        ("log", json!({ "level": 3 }), "invalid-field"),
        ("log?vm=web", json!({ "level": "info" }), "invalid-field"),
    ] {
        post(&api, path, &body).await.problem(code);
    }
    api.send("PUT", "/v1/diagnostics/log", "{}").await.problem("method-not-allowed");
    assert_eq!(api.engine.done_by_hand(), [""; 0]);
}
