use super::READERS;
use crate::{
    gate::{Entrance, Gate},
    router::{diagnostics_router, router},
    state::ApiState,
    test_support::{Api, Read},
};
use axum::body::Body;
use http::Request;
use innkeeper_auth::{Doorkeeper, Identity, Principal};
use innkeeper_model::{AuditEntry, AuditOutcome, Timestamp};
use innkeeper_store::audit::{AuditLog, AuditOptions};
use innkeeper_surface::{Audited, Gate as _, ReadOnly};
use innkeeper_view::{View, ViewOptions};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const LONG: Duration = Duration::from_secs(30);

struct Bench {
    _folder: tempfile::TempDir,
    audit: AuditLog,
    gate: Gate,
}

fn bench() -> Bench {
    bench_of(router)
}

fn bench_of(router: fn(ApiState) -> axum::Router) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let options =
        AuditOptions { folder: folder.path().join("audit"), file_size: 1 << 20, files: 2 };
    let (view, audit) =
        (View::start(ViewOptions::new(Uuid::now_v7())), AuditLog::start(options).unwrap());
    let operations = Arc::new(Audited::new(ReadOnly, view.clone(), audit.clone()));
    let (doorkeeper, stopping) = (Doorkeeper::default(), CancellationToken::new());
    let state = ApiState::new(view, operations, None, doorkeeper, stopping);
    let entrance = Entrance::Unix(Principal::admin(Identity::User { uid: 0 }));
    let gate = Gate::new(state.clone(), router(state), Arc::new(entrance));
    Bench { _folder: folder, audit, gate }
}

impl Bench {
    fn record(&self, second: i64, caller: &str, action: &str) {
        let at = Timestamp::from_second(second).unwrap();
        let entry = AuditEntry::new(at, action, AuditOutcome::Done);
        self.audit.record(AuditEntry { caller: Some(caller.into()), ..entry });
    }

    async fn get(&self, query: &str) -> Read {
        let request = Request::get(format!("/v1/audit{query}")).header("prefer", "wait=20");
        Read::of(self.gate.answer(request.body(Body::empty()).unwrap()).await).await
    }
}

fn actions(page: &serde_json::Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap();
    items.iter().map(|item| item["action"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn lines_come_in_order_a_page_at_a_time_as_they_are_asked_for() {
    let bench = bench();
    for (number, action) in ["create", "start", "stop", "delete", "start"].into_iter().enumerate() {
        bench.record(number as i64, if number == 1 { "uid:1" } else { "token" }, action);
    }
    bench.audit.end(LONG);
    let first = bench.get("?limit=3").await.json();
    assert_eq!(actions(&first), ["create", "start", "stop"]);
    let rest = bench.get(&format!("?after={}", first["next"].as_str().unwrap())).await.json();
    assert_eq!(actions(&rest), ["delete", "start"]);
    assert!(rest["next"].is_null(), "{rest}");
    for (query, expected) in [
        ("caller=uid:1", &["start"][..]),
        ("action=start", &["start", "start"]),
        ("since=1970-01-01T00:00:03Z", &["delete", "start"]),
        ("until=1970-01-01T00:00:01Z&caller=token", &["create"]),
        ("last=2", &["delete", "start"]),
        ("last=3&action=start", &["start"]),
        ("last=10000&limit=1", &["create"]),
    ] {
        assert_eq!(actions(&bench.get(&format!("?{query}")).await.json()), expected, "{query}");
    }
}

#[tokio::test]
async fn the_diagnosis_socket_does_not_wait_for_readers_on_others() {
    let bench = bench_of(diagnostics_router);
    bench.record(1, "token", "create");
    bench.audit.end(LONG);
    let _others = READERS.acquire_many(2).await.unwrap();
    let read = tokio::time::timeout(LONG, bench.get("")).await;
    assert_eq!(actions(&read.expect("it waits for the others").json()), ["create"]);
}

#[tokio::test]
async fn who_waits_is_answered_when_a_line_comes() {
    let bench = bench();
    bench.record(1, "token", "create");
    let first = bench.get("").await.json();
    assert_eq!(actions(&first), ["create"]);
    let after = format!("?after={}", first["place"].as_str().unwrap());
    let begun = Instant::now();
    let (next, ()) = tokio::join!(bench.get(&after), async {
        tokio::task::yield_now().await;
        bench.record(2, "token", "delete");
    });
    assert_eq!(actions(&next.json()), ["delete"]);
    assert!(begun.elapsed() < Duration::from_secs(19), "it waited to the end");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let bench = bench();
    for query in [
        "limit=0",
        "limit=10001",
        "last=0",
        "last=10001",
        "last=all",
        "last=1&after=1-0",
        "after=x",
        "since=yesterday",
        "who=me",
    ] {
        bench.get(&format!("?{query}")).await.problem("invalid-field");
    }
    Api::new().get("/v1/audit").await.problem("unsupported");
}
