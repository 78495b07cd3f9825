use super::*;
use crate::test_support::{Api, running};
use innkeeper_surface::{MAX_HEAD, MAX_HEADERS};
use innkeeper_view::Update;
use serde_json::Value;
use std::{
    future::Future,
    path::PathBuf,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    task::JoinHandle,
};

/// The API on a socket of its own.
struct Served {
    api: Api,
    socket: PathBuf,
    serving: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

type Connection = BufReader<UnixStream>;

impl Served {
    fn new(api: Api) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("inn.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let serving = tokio::spawn(serve_unix(listener, api.state.clone()));
        Self { api, socket, serving, _folder: folder }
    }

    async fn send(&self, request: &str) -> Connection {
        let mut connection = UnixStream::connect(&self.socket).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        BufReader::new(connection)
    }

    /// Stops, and says how long that took.
    async fn stop(self) -> Duration {
        let begun = Instant::now();
        self.api.stopping.cancel();
        soon(self.serving).await.unwrap();
        begun.elapsed()
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("nothing came")
}

async fn line(connection: &mut Connection) -> String {
    let mut line = String::new();
    soon(connection.read_line(&mut line)).await.unwrap();
    line
}

/// Reads the head of an answer, and returns its first line.
async fn head(connection: &mut Connection) -> String {
    let first = line(connection).await;
    while line(connection).await.trim_end() != "" {}
    first
}

/// The next document of an endless answer, which comes in chunks of lines.
async fn document(connection: &mut Connection) -> Value {
    loop {
        if let Ok(Value::Object(document)) = serde_json::from_str(&line(connection).await) {
            return document.into();
        }
    }
}

const EVENTS: &str = "GET /v1/events HTTP/1.1\r\nHost: inn\r\n\r\n";
const CONSOLE: &str = "GET /v1/vms/web/console HTTP/1.1\r\nHost: inn\r\n\
    Connection: keep-alive, Upgrade\r\nUpgrade: innkeeper-stream\r\n\r\n";

#[tokio::test]
async fn changes_are_followed_and_the_feed_ends_with_the_daemon() {
    let (api, ids) = Api::with(&["web"]).await;
    let served = Served::new(api);
    let mut feed = served.send(EVENTS).await;
    assert_eq!(head(&mut feed).await, "HTTP/1.1 200 OK\r\n");
    let ready = document(&mut feed).await;
    assert_eq!((&ready["type"], &ready["revision"]), (&"ready".into(), &1.into()));
    served.api.post(vec![running(ids[0])]).await;
    let change = document(&mut feed).await;
    assert_eq!((&change["type"], &change["revision"]), (&"change".into(), &2.into()));

    // From where it was, a reader goes on; from where nobody was, it is told that there is a gap.
    let since = ready["position"].as_str().unwrap();
    let resume = EVENTS.replace("/events", &format!("/events?since={since}"));
    let mut resumed = served.send(&resume).await;
    assert_eq!(document(&mut resumed).await["position"], since);
    assert_eq!(document(&mut resumed).await, change);
    let elsewhere = format!("Last-Event-ID: {}-1\r\n\r\n", uuid::Uuid::new_v4().simple());
    let mut lost = served.send(&resume.replace("\r\n\r\n", &format!("\r\n{elsewhere}"))).await;
    assert_eq!(document(&mut lost).await["type"], "ready");
    let gap = document(&mut lost).await;
    assert_eq!((&gap["type"], &gap["vms"][0]["state"]), (&"gap".into(), &"running".into()));

    assert!(served.stop().await < Duration::from_secs(1));
    let mut rest = Vec::new();
    soon(feed.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "the answer broke off: {rest:?}");
}

#[tokio::test]
async fn a_console_is_a_stream_both_ways_and_ends_with_the_daemon() {
    let (api, _) = Api::with(&["web"]).await;
    let served = Served::new(api);
    let mut console = served.send(CONSOLE).await;
    assert_eq!(head(&mut console).await, "HTTP/1.1 101 Switching Protocols\r\n");
    console.write_all(b"root\n").await.unwrap();
    assert_eq!(line(&mut console).await, "root\n");
    assert!(served.stop().await < Duration::from_secs(1));
    assert_eq!(soon(console.read(&mut [0; 8])).await.unwrap(), 0);
}

#[tokio::test]
async fn idle_connections_and_readers_who_do_not_read_do_not_hold_up_the_end() {
    let names: Vec<_> = (0..3000).map(|n| format!("vm-{n}")).collect();
    let (api, _) = Api::with(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let served = Served::new(api);
    let _idle = served.send("").await;
    let _half = served.send("GET /v1/vms HTTP/1.1\r\n").await;
    let mut stuck = served.send("GET /v1/vms HTTP/1.1\r\nHost: inn\r\n\r\n").await;
    assert_eq!(head(&mut stuck).await, "HTTP/1.1 200 OK\r\n");
    assert!(served.stop().await < Duration::from_secs(1));
}

#[tokio::test]
async fn a_connection_carries_one_request_after_another() {
    let (api, _) = Api::with(&["web"]).await;
    let served = Served::new(api);
    let request = "GET /healthz HTTP/1.1\r\nHost: inn\r\n\r\n";
    let mut connection = served.send(&request.repeat(2)).await;
    for _ in 0..2 {
        assert_eq!(head(&mut connection).await, "HTTP/1.1 200 OK\r\n");
        let mut body = [0; 18];
        soon(connection.read_exact(&mut body)).await.unwrap();
        assert_eq!(&body, br#"{"status":"alive"}"#);
    }
}

#[tokio::test]
async fn a_head_without_measure_is_refused() {
    let served = Served::new(Api::new());
    let long = format!("GET /healthz HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(MAX_HEAD));
    let many = format!("GET /healthz HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(MAX_HEADERS + 1));
    for request in [long, many] {
        let mut connection = served.send(&request).await;
        assert!(line(&mut connection).await.starts_with("HTTP/1.1 431 "));
    }
}

#[tokio::test]
async fn a_caller_who_waits_is_answered_when_the_daemon_stops() {
    let api = Api::new();
    let task = crate::test_support::task(innkeeper_model::TaskState::Running, None);
    api.post(vec![Update::Task(task.clone())]).await;
    api.engine.never_tell();
    let served = Served::new(api);
    let request = format!("GET /v1/tasks/{}?wait=600 HTTP/1.1\r\nHost: inn\r\n\r\n", task.id);
    let mut connection = served.send(&request).await;
    soon(served.api.engine.somebody_waits()).await;
    assert!(served.stop().await < Duration::from_secs(1));
    assert_eq!(head(&mut connection).await, "HTTP/1.1 200 OK\r\n");
}

#[tokio::test]
async fn the_socket_of_the_diagnosis_has_nothing_that_waits_for_another_thread() {
    let (api, _) = Api::with(&["web"]).await;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("diagnose.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let serving = tokio::spawn(serve_diagnostics(listener, api.state.clone()));
    for (request, status) in [
        ("GET /v1/diagnostics", 200),
        ("GET /v1/diagnostics/configuration", 200),
        ("GET /v1/diagnostics/log", 200),
        // None is kept here.
        ("GET /v1/audit", 501),
        ("GET /healthz", 200),
        ("GET /v1/vms", 404),
        ("POST /v1/diagnostics/log", 405),
        ("POST /v1/diagnostics/reconcile", 404),
        ("POST /v1/diagnostics", 405),
    ] {
        let mut connection = BufReader::new(UnixStream::connect(&socket).await.unwrap());
        let text = format!("{request} HTTP/1.1\r\nHost: inn\r\n\r\n");
        connection.write_all(text.as_bytes()).await.unwrap();
        let first = head(&mut connection).await;
        assert!(first.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {first}");
    }
    api.stopping.cancel();
    soon(serving).await.unwrap();
}

#[tokio::test]
async fn who_is_refused_while_they_send_reads_why() {
    let served = Served::new(Api::new());
    let head = "POST /v1/imports HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut connection = served.send(head).await;
    // More than fits between the two.
    for _ in 0..64 {
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
        soon(connection.write_all(chunk.as_bytes())).await.unwrap();
    }
    assert_eq!(line(&mut connection).await, "HTTP/1.1 400 Bad Request\r\n");
    drop(connection);
    served.stop().await;
}
