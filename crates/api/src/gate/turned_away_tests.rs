//! What the gate turns away, as its callers and the audit see it.

use super::{Entrance, Gate};
use crate::{router::router, server::serve_tcp, state::ApiState, test_support::Read};
use axum::body::Body;
use http::Request;
use innkeeper_auth::{Doorkeeper, Identity, Principal, Role, Scope, Token, limits::Quotas};
use innkeeper_store::audit::{AuditLog, AuditOptions, AuditQuery, read};
use innkeeper_surface::{Audited, Gate as _, ReadOnly};
use innkeeper_view::{View, ViewOptions};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const LONG: Duration = Duration::from_secs(30);

struct Bench {
    _folder: tempfile::TempDir,
    audit: AuditLog,
    state: ApiState,
    gate: Gate,
    token: String,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let options =
        AuditOptions { folder: folder.path().join("audit"), file_size: 1 << 20, files: 2 };
    let (view, audit) =
        (View::start(ViewOptions::new(Uuid::now_v7())), AuditLog::start(options).unwrap());
    let operations = Arc::new(Audited::new(ReadOnly, view.clone(), audit.clone()));
    let file = folder.path().join("token");
    let token = Token::load_or_create(&file).unwrap();
    let text = std::fs::read_to_string(file).unwrap().trim().to_owned();
    let quota = |text: &str| text.parse().unwrap();
    let quotas = Quotas {
        reads: quota("3/h"),
        writes: quota("2/h"),
        unauthenticated: quota("2/h"),
        ..Quotas::default()
    };
    let doorkeeper = Doorkeeper::default().with_token(token).with_limits(quotas);
    let state = ApiState::new(view, operations, None, doorkeeper, CancellationToken::new());
    let gate = Gate::new(state.clone(), router(state.clone()), Arc::new(Entrance::Tcp));
    let gate = gate.with_address(Some("127.0.0.1:99".parse().unwrap()));
    Bench { _folder: folder, audit, state, gate, token: text }
}

impl Bench {
    async fn send(&self, method: &str, uri: &str, host: &str, token: &str) -> Read {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("host", host)
            .header("x-request-id", "r1")
            .header("authorization", format!("Bearer {token}"));
        Read::of(self.gate.answer(request.body(Body::empty()).unwrap()).await).await
    }

    async fn ask(&self, method: &str, uri: &str) -> Read {
        self.send(method, uri, "localhost", &self.token).await
    }

    /// `GET /v1/vms unauthenticated -`, once everything is written.
    fn lines(&self) -> Vec<String> {
        self.audit.end(LONG);
        let page = read(self.audit.folder(), &AuditQuery::default(), None, 100).unwrap();
        let brief = |line: &String| {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!((&line["door"], &line["address"]), (&"tcp".into(), &"127.0.0.1:99".into()));
            assert_eq!((&line["request_id"], &line["outcome"]), (&"r1".into(), &"refused".into()));
            let text = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
            format!("{} {} {}", text("action"), text("code"), text("caller"))
        };
        page.lines.iter().map(brief).collect()
    }
}

#[tokio::test]
async fn who_comes_too_often_is_told_when_to_come_again_and_can_still_change_something() {
    let bench = bench();
    for _ in 0..3 {
        assert_eq!(bench.ask("GET", "/v1/vms").await.status, 200);
    }
    let read = bench.ask("GET", "/v1/vms?limit=3").await;
    assert_eq!(read.status, 429);
    let wait: u64 = read.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=1200).contains(&wait), "{wait}");
    assert_eq!(read.headers["ratelimit-policy"], "\"reads\";q=3;w=3600");
    assert_eq!(read.headers["ratelimit"], format!("\"reads\";r=0;t={wait}"));
    assert_eq!(read.headers["content-type"], "application/problem+json");
    read.problem("too-many-requests");
    // Reads take nothing from what changes something.
    assert_ne!(bench.ask("POST", "/v1/vms/web/stop").await.status, 429);
    assert_eq!(bench.lines(), ["GET /v1/vms too-many-requests token"]);
}

#[tokio::test]
async fn wrong_credentials_have_an_end_and_right_ones_go_on() {
    let bench = bench();
    for _ in 0..2 {
        bench.send("GET", "/v1/vms", "localhost", "wrong").await.problem("unauthenticated");
    }
    bench.send("GET", "/v1/vms", "localhost", "wrong").await.problem("too-many-requests");
    assert_eq!(bench.ask("GET", "/v1/vms").await.status, 200);
    assert_eq!(bench.ask("GET", "/healthz").await.status, 200);
    // Nor do they keep anybody from signing in.
    assert_ne!(bench.ask("POST", "/v1/sign-in/challenges").await.status, 429);
    let expected = [
        "GET /v1/vms unauthenticated -",
        "GET /v1/vms unauthenticated -",
        "GET /v1/vms too-many-requests -",
    ];
    assert_eq!(bench.lines(), expected);
}

#[tokio::test]
async fn a_ticket_that_opens_nothing_is_on_record_without_its_text() {
    let bench = bench();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(serve_tcp(listener, bench.state.clone()));
    let mut caller = TcpStream::connect(address).await.unwrap();
    let request = "GET /v1/vms/web/console?ticket=guessed HTTP/1.1\r\nhost: localhost\r\n\
        x-request-id: r1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    caller.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    caller.read_exact(&mut answer).await.unwrap();
    assert!(matches!(&answer, b"HTTP/1.1 401" | b"HTTP/1.1 403"), "{answer:?}");
    bench.state.stopping().cancel();
    serving.await.unwrap();
    bench.audit.end(LONG);
    let page = read(bench.audit.folder(), &AuditQuery::default(), None, 100).unwrap();
    assert_eq!(page.lines.len(), 1, "{:?}", page.lines);
    assert!(page.lines[0].contains("GET /v1/vms/web/console\""), "{:?}", page.lines);
    assert!(page.lines[0].contains(&caller.local_addr().unwrap().to_string()), "{:?}", page.lines);
    assert!(!page.lines[0].contains("guessed"), "{:?}", page.lines);
}

#[tokio::test]
async fn what_is_not_a_callers_projects_is_on_record() {
    let bench = bench();
    let identity = Identity::Issued { name: "ci".into() };
    let scope = Scope::Project("us".parse().unwrap());
    let principal = Principal { scope, ..Principal::anonymous(identity, Role::Owner) };
    let entrance = Arc::new(Entrance::Unix(principal));
    let gate = Gate::new(bench.state.clone(), router(bench.state.clone()), entrance);
    let send = async |method: &str, uri: &str, body: &'static str| {
        let request = Request::builder().method(method).uri(uri);
        let request = request.header("content-type", "application/json").body(body.into()).unwrap();
        Read::of(gate.answer(request).await).await
    };
    let others = r#"{"name":"a","project":"rivals"}"#;
    send("POST", "/v1/vms?dry_run=true", others).await.problem("forbidden");
    send("GET", "/v1/vms/nobody", "").await.problem("not-found");
    send("POST", "/v1/vms/nobody/stop", "").await.problem("not-found");
    bench.audit.end(LONG);
    let page = read(bench.audit.folder(), &AuditQuery::default(), None, 100).unwrap();
    assert_eq!(page.lines.len(), 2, "{:?}", page.lines);
    assert!(page.lines[1].contains("POST /v1/vms/nobody/stop"), "{:?}", page.lines);
    let line: Value = serde_json::from_str(&page.lines[0]).unwrap();
    let said = (&line["action"], &line["caller"], &line["outcome"]);
    assert_eq!(said, (&"POST /v1/vms".into(), &"token:ci".into(), &"refused".into()));
}

#[tokio::test]
async fn foreign_names_are_on_record() {
    let bench = bench();
    bench.send("GET", "/v1/vms", "evil.example", &bench.token).await.problem("forbidden");
    assert_eq!(bench.lines(), ["GET /v1/vms forbidden -"]);
}
