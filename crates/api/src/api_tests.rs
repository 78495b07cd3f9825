//! The routes, through the gate, over a view and an engine that only remembers.

use crate::test_support::{Api, Read, network, running, task};
use axum::body::Body;
use futures_util::StreamExt;
use http::{Request as HttpRequest, StatusCode};
use innkeeper_engine::{PowerVerb, Request, STOP_TIMEOUT};
use innkeeper_model::{Code, Refusal, Revision, TaskState};
use innkeeper_view::Update;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

const START: PowerVerb = PowerVerb::Start { discard_memory: false };
const CREATE: &str = r#"{"name":"new"}"#;

async fn with_header(api: &Api, method: &str, uri: &str, header: (&str, &str), body: &str) -> Read {
    let request = HttpRequest::builder().method(method).uri(uri).header(header.0, header.1);
    Read::of(api.call(request, body.to_owned()).await).await
}

// reading

#[tokio::test]
async fn a_vm_is_read_by_id_name_and_beginning_with_the_tag_of_its_spec() {
    let (api, ids) = Api::with(&["web", "db"]).await;
    for text in [&*ids[0].to_string(), "web", "w"] {
        let read = api.get(&format!("/v1/vms/{text}")).await;
        assert_eq!((read.status, &read.json()["id"]), (StatusCode::OK, &json!(ids[0])));
        assert_eq!(read.header("etag"), "\"1\"");
        assert_eq!(read.header("innkeeper-revision"), "2");
        assert_eq!(read.header("content-type"), "application/json");
    }
    let known = with_header(&api, "GET", "/v1/vms/web", ("if-none-match", "\"1\""), "").await;
    assert_eq!((known.status, &*known.text), (StatusCode::NOT_MODIFIED, ""));
    let other = with_header(&api, "GET", "/v1/vms/web", ("if-none-match", "\"0\""), "").await;
    assert_eq!(other.status, StatusCode::OK);
}

#[tokio::test]
async fn a_text_that_means_no_vm_or_several_is_refused() {
    let (api, ids) = Api::with(&["web-1", "web-2"]).await;
    assert_eq!(api.get("/v1/vms/%2e%2e%2fetc").await.problem("not-found")["value"], "../etc");
    let problem = api.get("/v1/vms/web").await.problem("ambiguous-name");
    let hint = problem["hint"].as_str().unwrap();
    assert!(ids.iter().all(|id| hint.contains(&id.to_string())), "{hint}");
    api.get("/v1/vms/web-1?project=other").await.problem("not-found");
    api.get("/v1/vms/%ff").await.problem("bad-request");
    api.get("/v1/vms/web-1?verbose=1").await.problem("invalid-field");
}

#[tokio::test]
async fn vms_are_listed_filtered_and_with_some_fields() {
    let (api, ids) = Api::with(&["web", "db"]).await;
    api.post(vec![running(ids[1])]).await;
    let list = api.get("/v1/vms").await;
    assert_eq!(list.json()["items"].as_array().unwrap().len(), 2);
    assert_eq!(list.header("innkeeper-revision"), "3");
    let list = api.get("/v1/vms?state=running&fields=name,facts.machine").await.json();
    assert_eq!(list["items"], json!([{ "name": "db", "facts": { "machine": "running" } }]));
    api.get("/v1/vms?fields=nmae").await.problem("invalid-field");
    api.get("/v1/vms?stat=running").await.problem("invalid-field");
}

#[tokio::test]
async fn the_fields_that_can_be_asked_for_are_those_of_a_vm() {
    let document: Value = serde_json::from_slice(&crate::document()).unwrap();
    let schema = document["components"]["schemas"]["Vm"]["properties"].as_object().unwrap();
    let fields = schema.keys().map(String::as_str).collect::<Vec<_>>().join(",");
    let api = Api::new();
    assert_eq!(api.get(&format!("/v1/vms?fields={fields}")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn tasks_are_listed_newest_first_and_read_alone() {
    let (api, ids) = Api::with(&["web"]).await;
    let (old, new) = (task(TaskState::Done, None), task(TaskState::Running, Some(ids[0])));
    api.post([&old, &new].map(|task| Update::Task(task.clone())).into()).await;
    let ids_of = |list: Value| {
        let items = list["items"].as_array().unwrap().clone();
        items.into_iter().map(|task| task["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids_of(api.get("/v1/tasks").await.json()), [json!(new.id), json!(old.id)]);
    assert_eq!(ids_of(api.get("/v1/tasks?vm=web").await.json()), [json!(new.id)]);
    assert_eq!(ids_of(api.get("/v1/tasks?state=done,failed").await.json()), [json!(old.id)]);
    let read = api.get(&format!("/v1/tasks/{}?wait=1", old.id)).await.json();
    assert_eq!(read["state"], "done");
    api.get("/v1/tasks/nonsense").await.problem("not-found");
    api.get(&format!("/v1/tasks/{}", innkeeper_model::TaskId::new())).await.problem("not-found");
    api.get("/v1/tasks?state=over").await.problem("invalid-field");
}

#[tokio::test]
async fn logs_are_bytes_as_they_came() {
    let (api, _) = Api::with(&["web"]).await;
    let response = api.call(HttpRequest::get("/v1/vms/web/logs"), Body::empty()).await;
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    let bytes = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
    assert_eq!(bytes, &b"login: \xff"[..]);
    let log = api.get("/v1/vms/web/logs?source=hypervisor").await;
    assert_eq!(log.text, "qemu: warning");
    api.get("/v1/vms/web/logs?source=disk").await.problem("invalid-field");
}

#[tokio::test]
async fn a_log_is_followed_until_its_vm_is_gone() {
    let (api, ids) = Api::with(&["web"]).await;
    let request = HttpRequest::get("/v1/vms/web/logs?follow=true");
    let mut body = api.call(request, Body::empty()).await.into_body().into_data_stream();
    assert_eq!(body.next().await.unwrap().unwrap(), &b"login: \xff"[..]);
    api.engine.has_written(b"login: \xffroot\n");
    assert_eq!(body.next().await.unwrap().unwrap(), "root\n");
    // The machine after this one.
    api.engine.has_written(b"boot\n");
    assert_eq!(body.next().await.unwrap().unwrap(), "boot\n");
    api.post(vec![Update::VmRemoved(ids[0])]).await;
    assert!(body.next().await.is_none());
}

#[tokio::test]
async fn a_followed_log_tells_what_is_missing_and_breaks_off_with_the_daemon() {
    let (api, _) = Api::with(&["web"]).await;
    let request = HttpRequest::get("/v1/vms/web/logs?follow=true");
    let mut body = api.call(request, Body::empty()).await.into_body().into_data_stream();
    body.next().await.unwrap().unwrap();
    api.engine.has_written(&[b'.'; 64 << 10]);
    let chunk = body.next().await.unwrap().unwrap();
    assert!(chunk.starts_with(b"\r\n[some of the log is missing here"), "{chunk:?}");
    assert!(chunk.ends_with(&[b'.'; 64 << 10]));
    api.stopping.cancel();
    assert!(body.next().await.unwrap().is_err());
}

#[tokio::test]
async fn figures_tell_vms_tasks_requests_and_memory() {
    let (api, ids) = Api::with(&["web", "db"]).await;
    api.post(vec![running(ids[0]), Update::Task(task(TaskState::Failed, None))]).await;
    let _subscription = api.view.subscribe(None);
    api.get("/v1/vms/web").await;
    api.get("/v1/vms/nobody").await;
    let text = api.get("/metrics").await.text;
    for line in [
        "innkeeper_vms{state=\"running\"} 1",
        "innkeeper_vms{state=\"stopped\"} 1",
        "innkeeper_tasks{operation=\"test\",state=\"failed\"} 1",
        "innkeeper_feed_revision 4",
        "innkeeper_feed_subscribers 1",
        "innkeeper_http_requests_total{route=\"vms\",status=\"200\"} 1",
        "innkeeper_http_requests_total{route=\"vms\",status=\"404\"} 1",
        "process_resident_memory_bytes ",
    ] {
        assert!(text.lines().any(|given| given.starts_with(line)), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn a_console_needs_a_stream() {
    let (api, _) = Api::with(&["web"]).await;
    let problem = api.get("/v1/vms/web/console").await.problem("bad-request");
    assert_eq!(problem["limit"], "innkeeper-stream or websocket");
}

// changing

#[tokio::test]
async fn a_change_is_accepted_as_a_task() {
    let (api, ids) = Api::with(&["web"]).await;
    api.engine.plan(Ok(TaskState::Running));
    let accepted = api.send("POST", "/v1/vms/web/start", "").await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED);
    let body = accepted.json();
    let task = body["task"]["id"].as_str().unwrap();
    assert_eq!(accepted.header("location"), format!("/v1/tasks/{task}"));
    assert_eq!(body["vm"]["id"], json!(ids[0]));
    assert_eq!(accepted.header("innkeeper-revision"), api.view.snapshot().revision.to_string());
    assert_eq!(accepted.header("preference-applied"), "");
    let start = Request::Power { vm: ids[0], verb: START };
    assert_eq!(api.engine.asked(), [start]);
}

#[tokio::test]
async fn a_caller_who_waits_is_told_how_it_ended() {
    let (api, _) = Api::with(&["web"]).await;
    let wait = ("prefer", "wait=5");
    let done = with_header(&api, "POST", "/v1/vms/web/start", wait, "").await;
    assert_eq!((done.status, &done.json()["task"]["state"]), (StatusCode::OK, &json!("done")));
    assert_eq!(done.header("preference-applied"), "wait=5");

    api.engine.plan(Ok(TaskState::Running));
    let running = with_header(&api, "POST", "/v1/vms/web/start", wait, "").await;
    assert_eq!(running.status, StatusCode::ACCEPTED);

    api.engine.plan(Ok(TaskState::Failed));
    let failed = with_header(&api, "POST", "/v1/vms/web/start", wait, "").await;
    let problem = failed.problem("hypervisor-failed");
    let tasks = api.view.snapshot().tasks.clone();
    assert_eq!(problem["task"], json!(tasks.get_max().unwrap().0));

    api.engine.plan(Ok(TaskState::Cancelled));
    let cancelled = with_header(&api, "POST", "/v1/vms/web/start", wait, "").await;
    cancelled.problem("cancelled");

    api.engine.asked();
    let wrong = ("prefer", "respond-async, wait=abc");
    let refused = with_header(&api, "POST", "/v1/vms/web/start", wrong, "").await;
    let problem = refused.problem("bad-request");
    assert_eq!((&problem["field"], &problem["value"]), (&json!("Prefer"), &json!("wait=abc")));
    assert_eq!(api.engine.asked(), [], "nothing was begun");

    let refusal = Refusal::new(Code::WrongState, "it runs already");
    api.engine.plan(Err(refusal));
    let refused = with_header(&api, "POST", "/v1/vms/web/start", wait, "").await;
    assert_eq!(refused.problem("wrong-state")["detail"], "it runs already");
}

#[tokio::test]
async fn each_verb_asks_for_itself() {
    let (api, ids) = Api::with(&["web"]).await;
    let timeout = Duration::from_secs(5);
    for (path, body, verb) in [
        ("start", "", START),
        ("start", "{}", START),
        ("start?discard_memory=true", "", PowerVerb::Start { discard_memory: true }),
        ("suspend", "", PowerVerb::Suspend),
        ("kill", "", PowerVerb::Kill),
        ("reset", "", PowerVerb::Reset),
        ("pause", "", PowerVerb::Pause),
        ("resume", "", PowerVerb::Resume),
        ("stop", "", PowerVerb::Stop { timeout: STOP_TIMEOUT }),
        ("stop", r#"{"timeout_s":5}"#, PowerVerb::Stop { timeout }),
        ("stop", r#"{"force":true}"#, PowerVerb::Kill),
        ("reboot", r#"{"timeout_s":5,"force":true}"#, PowerVerb::Reboot { timeout, force: true }),
    ] {
        let accepted = api.send("POST", &format!("/v1/vms/web/{path}"), body).await;
        assert_eq!(accepted.status, StatusCode::ACCEPTED, "{path} {body}: {}", accepted.text);
        assert_eq!(api.engine.asked(), [Request::Power { vm: ids[0], verb }]);
    }
    for (path, body, field) in [
        ("start", r#"{"force":true}"#, "force"),
        ("stop", r#"{"timeout_s":0}"#, "timeout_s"),
        ("stop", r#"{"timeout_s":"5s"}"#, "timeout_s"),
        ("stop", r#"{"timeout":5}"#, "timeout"),
    ] {
        let refused = api.send("POST", &format!("/v1/vms/web/{path}"), body).await;
        assert_eq!(refused.problem("invalid-field")["field"], field);
    }
    assert_eq!(api.engine.asked(), []);
}

#[tokio::test]
async fn a_verb_is_planned_and_not_done_where_that_is_asked() {
    let (api, _) = Api::with(&["web"]).await;
    for verb in ["start", "stop", "kill", "reboot", "reset", "pause", "resume", "suspend"] {
        let planned = api.send("POST", &format!("/v1/vms/web/{verb}?dry_run=true"), "").await;
        assert_eq!(planned.status, StatusCode::OK, "{verb}: {}", planned.text);
        let plan = planned.json();
        assert_eq!((&plan["operation"], &plan["after_crash"]), (&json!(verb), &json!("forward")));
        assert_eq!(plan["steps"][0]["path"], "set-want");
    }
    api.engine.plan(Err(Refusal::new(Code::WrongState, "it runs")));
    api.send("POST", "/v1/vms/web/start?dry_run=true", "").await.problem("wrong-state");
    api.send("POST", "/v1/vms/web/start?dry_run=maybe", "").await.problem("invalid-field");
    api.send("POST", "/v1/vms/web/stop?discard_memory=true", "").await.problem("invalid-field");
    api.send("POST", "/v1/vms/nope/start?dry_run=true", "").await.problem("not-found");
    assert_eq!(api.engine.asked(), []);
    assert!(api.view.snapshot().tasks.is_empty());
}

#[tokio::test]
async fn every_change_of_a_vm_is_planned_and_not_done_where_that_is_asked() {
    let (api, _) = Api::with(&["web"]).await;
    let nic = r#"{"name":"eth","network":"none"}"#;
    for (method, uri, body, operation) in [
        ("POST", "/v1/vms?dry_run=true", CREATE, "create"),
        ("POST", "/v1/vms?start=true&dry_run=true", CREATE, "create"),
        ("POST", "/v1/vms/web/clone?dry_run=true", r#"{"name":"copy"}"#, "clone"),
        ("PUT", "/v1/vms/web?dry_run=true", CREATE, "edit"),
        ("PATCH", "/v1/vms/web?dry_run=true", r#"{"cpus":2}"#, "edit"),
        ("DELETE", "/v1/vms/web?dry_run=true", "", "delete"),
        ("DELETE", "/v1/vms/web?force=true&dry_run=true", "", "delete"),
        ("POST", "/v1/vms/web/nics?dry_run=true", nic, "nic-add"),
    ] {
        let media =
            if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let planned = with_header(&api, method, uri, ("content-type", media), body).await;
        assert_eq!(planned.status, StatusCode::OK, "{method} {uri}: {}", planned.text);
        assert_eq!(planned.json()["operation"], operation, "{method} {uri}");
    }
    api.engine.plan(Err(Refusal::new(Code::NameTaken, "there is one")));
    let taken = with_header(
        &api,
        "POST",
        "/v1/vms?dry_run=true",
        ("content-type", "application/json"),
        CREATE,
    );
    taken.await.problem("name-taken");
    api.send("DELETE", "/v1/vms/web?dry_run=maybe", "").await.problem("invalid-field");
    assert_eq!(api.engine.asked(), []);
    assert!(api.view.snapshot().tasks.is_empty());
    assert_eq!(api.view.snapshot().vms.len(), 1);
}

#[tokio::test]
async fn changes_of_images_and_networks_are_planned_and_not_done_where_that_is_asked() {
    let api = Api::new();
    let lan = network("lan", "10.7.0.0/24");
    let (id, subnet) = (lan.id, lan.subnets[0].id);
    api.post(vec![Update::Network(Arc::new(lan))]).await;
    let dmz = r#"{"name":"dmz","subnets":[{"range":"10.9.0.0/24"}]}"#;
    let range = r#"{"network":"lan","range":"10.8.0.0/24"}"#;
    let image = r#"{"name":"base","kind":"disk","path":"/srv/base.qcow2"}"#;
    let reservations = format!("/v1/subnets/{subnet}/reservations?dry_run=true");
    let (network_of, subnet_of) =
        (format!("/v1/networks/{id}?dry_run=true"), format!("/v1/subnets/{subnet}?dry_run=true"));
    let before = api.view.snapshot().revision;
    for (method, uri, body, operation) in [
        ("POST", "/v1/images?dry_run=true", image, "image-add"),
        ("DELETE", "/v1/images/base?dry_run=true", "", "image-remove"),
        ("POST", "/v1/networks?dry_run=true", dmz, "network-create"),
        ("PUT", &network_of, r#"{"name":"lan"}"#, "network-edit"),
        ("PATCH", &network_of, r#"{"mtu":1400}"#, "network-edit"),
        ("DELETE", &network_of, "", "network-delete"),
        ("POST", "/v1/subnets?dry_run=true", range, "subnet-create"),
        ("DELETE", &subnet_of, "", "subnet-delete"),
        ("POST", &reservations, r#"{"count":1}"#, "subnet-reserve"),
        ("DELETE", &reservations, r#"{"addresses":["10.7.0.9"]}"#, "subnet-release"),
    ] {
        let media =
            if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let planned = with_header(&api, method, uri, ("content-type", media), body).await;
        assert_eq!(planned.status, StatusCode::OK, "{method} {uri}: {}", planned.text);
        let plan = planned.json();
        assert_eq!(plan["operation"], operation, "{method} {uri}");
        assert_eq!(plan["steps"][0]["crash"], "repeat", "{method} {uri}");
        let unsure = uri.replace("=true", "=maybe");
        let refused = with_header(&api, method, &unsure, ("content-type", media), body).await;
        assert_eq!(refused.problem("invalid-field")["field"], "dry_run", "{method} {uri}");
    }
    // As the act would be.
    api.engine.plan(Err(Refusal::new(Code::InUse, "somebody has it")));
    api.send("DELETE", &network_of, "").await.problem("in-use");
    assert_eq!(api.engine.asked(), []);
    assert!(api.view.snapshot().tasks.is_empty());
    assert_eq!(api.view.snapshot().revision, before);
}

#[tokio::test]
async fn a_vm_is_created_with_an_id_and_started() {
    let api = Api::new();
    let id = innkeeper_model::VmId::new();
    let uri = format!("/v1/vms?id={id}&start=true");
    let created = with_header(&api, "POST", &uri, ("prefer", "wait=5"), CREATE).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text);
    assert_eq!(created.header("location"), format!("/v1/vms/{id}"));
    assert_eq!(created.json()["vm"]["name"], "new");
    let asked = api.engine.asked();
    assert!(matches!(&asked[0], Request::Create { config, id: Some(given) }
        if config.name.as_str() == "new" && *given == id));
    assert_eq!(asked[1], Request::Power { vm: id, verb: START });
}

#[tokio::test]
async fn a_vm_that_could_not_be_made_or_not_be_started_is_told_as_such() {
    let api = Api::new();
    let wait = ("prefer", "wait=5");
    api.engine.plan(Ok(TaskState::Failed));
    api.engine.plan(Ok(TaskState::Cancelled));
    let failed = with_header(&api, "POST", "/v1/vms?start=true", wait, CREATE).await;
    failed.problem("hypervisor-failed");

    api.engine.plan(Ok(TaskState::Done));
    api.engine.plan(Err(Refusal::new(Code::OutOfCapacity, "no memory")));
    let unstarted = with_header(&api, "POST", "/v1/vms?start=true", wait, CREATE).await;
    assert!(unstarted.problem("out-of-capacity")["task"].is_string());
}

#[tokio::test]
async fn a_creation_is_done_once_for_its_key() {
    let api = Api::new();
    let key = ("idempotency-key", "k1");
    let first = with_header(&api, "POST", "/v1/vms", key, CREATE).await;
    let again = with_header(&api, "POST", "/v1/vms", key, CREATE).await;
    assert_eq!((first.status, &first.text), (again.status, &again.text));
    assert_eq!(first.header("innkeeper-revision"), again.header("innkeeper-revision"));
    assert_eq!(api.engine.asked().len(), 1);
    let other = with_header(&api, "POST", "/v1/vms", key, r#"{"name":"other"}"#).await;
    other.problem("idempotency-conflict");
    let other = with_header(&api, "POST", "/v1/vms?start=true", key, CREATE).await;
    other.problem("idempotency-conflict");
    let wrong = with_header(&api, "POST", "/v1/vms", ("idempotency-key", "a b"), CREATE).await;
    wrong.problem("invalid-field");
    assert_eq!(api.engine.asked(), []);
}

#[tokio::test]
async fn a_configuration_that_is_none_changes_nothing() {
    let api = Api::new();
    for (body, code) in [
        ("", "bad-request"),
        ("{", "bad-request"),
        (r#"{"name":"a","cpus":0}"#, "invalid-field"),
        (r#"{"name":"a","color":1}"#, "invalid-field"),
        ("null", "invalid-field"),
    ] {
        api.send("POST", "/v1/vms", body).await.problem(code);
    }
    let text = ("content-type", "text/plain");
    with_header(&api, "POST", "/v1/vms", text, CREATE).await.problem("bad-request");
    api.send("POST", "/v1/vms?id=7", CREATE).await.problem("invalid-field");
    let large = format!("{{\"name\":\"a\",\"description\":\"{}\"}}", "x".repeat(1 << 20));
    api.send("POST", "/v1/vms", &large).await.problem("too-large");
    assert_eq!(api.engine.asked(), []);
}

#[tokio::test]
async fn a_configuration_is_replaced_as_of_the_revision_that_was_read() {
    let (api, ids) = Api::with(&["web"]).await;
    let body = r#"{"name":"web","cpus":4}"#;
    let expected = |api: &Api| match &api.engine.asked()[..] {
        [Request::Edit { vm, config, expected }] => {
            assert_eq!((*vm, config.cpus), (ids[0], 4));
            *expected
        }
        other => panic!("{other:?}"),
    };
    api.send("PUT", "/v1/vms/web", body).await;
    assert_eq!(expected(&api), None);
    with_header(&api, "PUT", "/v1/vms/web", ("if-match", "\"1\""), body).await;
    assert_eq!(expected(&api), Some(Revision(1)));
    let stale = with_header(&api, "PUT", "/v1/vms/web", ("if-match", "\"7\""), body).await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
    stale.problem("revision-conflict");
    assert_eq!(api.engine.asked(), []);
}

#[tokio::test]
async fn a_patch_is_merged_into_the_configuration() {
    let (api, _) = Api::with(&["web"]).await;
    let kind = ("content-type", "application/merge-patch+json");
    let body = r#"{"cpus":4,"labels":{"a":"b"}}"#;
    let patched = with_header(&api, "PATCH", "/v1/vms/web", kind, body).await;
    assert_eq!(patched.status, StatusCode::ACCEPTED, "{}", patched.text);
    match &api.engine.asked()[..] {
        [Request::Edit { config, expected, .. }] => {
            assert_eq!((config.name.as_str(), config.cpus), ("web", 4));
            assert_eq!(config.labels["a"], "b");
            assert_eq!(*expected, Some(Revision(1)));
        }
        other => panic!("{other:?}"),
    }
    for (body, field) in [(r#"{"cpus":"x"}"#, "cpus"), (r#"{"name":null}"#, "name"), ("3", "body")]
    {
        let refused = with_header(&api, "PATCH", "/v1/vms/web", kind, body).await;
        assert_eq!(refused.problem("invalid-field")["field"], field);
    }
    api.send("PATCH", "/v1/vms/web", body).await;
    let wrong = ("content-type", "application/json");
    with_header(&api, "PATCH", "/v1/vms/web", wrong, body).await.problem("bad-request");
}

#[tokio::test]
async fn vms_are_cloned_and_deleted() {
    let (api, ids) = Api::with(&["web"]).await;
    api.send("POST", "/v1/vms/web/clone", r#"{"name":"copy"}"#).await;
    api.send("DELETE", "/v1/vms/web", "").await;
    api.send("DELETE", "/v1/vms/web?force=true", "").await;
    let vm = ids[0];
    assert_eq!(
        api.engine.asked(),
        [
            Request::Clone { vm, name: "copy".parse().unwrap() },
            Request::Delete { vm, force: false },
            Request::Delete { vm, force: true },
        ]
    );
    api.send("POST", "/v1/vms/web/clone", "{}").await.problem("invalid-field");
    api.send("DELETE", "/v1/vms/web?force=yes", "").await.problem("invalid-field");
}

#[tokio::test]
async fn a_task_is_cancelled_while_it_can_be() {
    let api = Api::new();
    let (over, running) = (task(TaskState::Done, None), task(TaskState::Running, None));
    api.post([&over, &running].map(|task| Update::Task(task.clone())).into()).await;
    let cancelled = api.send("POST", &format!("/v1/tasks/{}/cancel", running.id), "").await;
    assert_eq!(cancelled.status, StatusCode::ACCEPTED);
    assert_eq!(cancelled.json()["task"]["id"], json!(running.id));
    let late = api.send("POST", &format!("/v1/tasks/{}/cancel", over.id), "").await;
    late.problem("wrong-state");
}
