//! The ancestor's client, written anew after its rules: `VminfodClient`, and `VminfodEventStream` with
//! `watchForEvent` and `watchForChanges`. It is as strict as that one is: a line that is no JSON, a second
//! `ready` and an answer other than 200 are failures.

use super::*;
use crate::testing::{Answered, LONG};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::future::Future;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

pub(super) const USER_AGENT: &str = "test - host/1 (program)";

/// `VminfodClient.get`.
pub(super) async fn get(address: SocketAddr, path: &str) -> Answered {
    let answering = async {
        let (status, headers, mut reader) = request(address, path, "").await;
        let length = headers["content-length"].to_str().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        reader.read_exact(&mut body).await.unwrap();
        Answered { status, headers, text: String::from_utf8(body).unwrap() }
    };
    timeout(LONG, answering).await.expect("no answer")
}

async fn request(
    address: SocketAddr,
    path: &str,
    more: &str,
) -> (StatusCode, HeaderMap, BufReader<TcpStream>) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: {USER_AGENT}\r\n{more}\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut reader = BufReader::new(socket);
    let mut line = String::new();
    reader.read_line(&mut line).await.unwrap();
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = HeaderMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).await.unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    (status, headers, reader)
}

/// Waits until it is so.
pub(super) async fn eventually<F: Future<Output = bool>>(is_so: impl Fn() -> F) {
    let waiting = async {
        while !is_so().await {
            // A bounded poll: nothing tells when the other side has noticed.
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, waiting).await.expect("it never was so");
}

/// `VminfodEventStream`.
pub(super) struct EventStream {
    reader: BufReader<TcpStream>,
    text: String,
    pub(super) ready: Value,
}

impl EventStream {
    /// Returns once `ready` has come.
    pub(super) async fn open(address: SocketAddr, path: &str) -> Self {
        Self::of(request(address, path, "").await).await
    }

    /// The same, for whoever shows this token.
    pub(super) async fn open_as(address: SocketAddr, path: &str, token: &str) -> Self {
        let shown = format!("Authorization: Bearer {token}\r\n");
        Self::of(request(address, path, &shown).await).await
    }

    async fn of((status, headers, reader): (StatusCode, HeaderMap, BufReader<TcpStream>)) -> Self {
        assert_eq!(
            (status, &headers["transfer-encoding"]),
            (StatusCode::OK, &"chunked".parse().unwrap())
        );
        assert_eq!(headers["content-type"], "application/json");
        let mut stream = Self { reader, text: String::new(), ready: Value::Null };
        let ready = stream.line().await.expect("VminfodEventStream ended prematurely");
        assert_eq!(ready["type"], "ready");
        assert!(ready["date"].is_string() && ready["uuid"].is_string());
        stream.ready = ready;
        stream
    }

    /// `parseReady`.
    pub(super) fn vms(&self) -> Vec<Value> {
        serde_json::from_str(self.ready["vms"].as_str().unwrap()).unwrap()
    }

    /// The next event; `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> Option<Value> {
        let event = self.line().await?;
        assert_ne!(event["type"], "ready", "a second one");
        Some(event)
    }

    async fn line(&mut self) -> Option<Value> {
        let reading = async {
            loop {
                if let Some((line, rest)) = self.text.split_once('\n') {
                    let event =
                        serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line:?}"));
                    self.text = rest.to_owned();
                    schema::is_line(&event);
                    return Some(event);
                }
                let mut size = String::new();
                self.reader.read_line(&mut size).await.unwrap();
                let size = usize::from_str_radix(size.trim_end(), 16).unwrap_or(0);
                if size == 0 {
                    return None;
                }
                // With the line's end that closes the chunk.
                let mut chunk = vec![0; size + 2];
                self.reader.read_exact(&mut chunk).await.unwrap();
                self.text.push_str(std::str::from_utf8(&chunk[..size]).unwrap());
            }
        };
        timeout(LONG, reading).await.expect("nothing came")
    }

    /// The first event that is so.
    pub(super) async fn until(&mut self, is_so: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = self.next().await.expect("VminfodEventStream ended prematurely");
            if is_so(&event) {
                return event;
            }
        }
    }

    /// `watchForEvent`.
    pub(super) async fn watch_for_event(&mut self, pattern: &Value) -> Value {
        self.until(|event| is_subset(pattern, event)).await
    }

    /// `watchForChanges`: all of the wanted, each of which may be a list of alternatives, over as many
    /// events as it takes.
    pub(super) async fn watch_for_changes(&mut self, pattern: &Value, wanted: Value) {
        let mut wanted = wanted.as_array().unwrap().clone();
        while !wanted.is_empty() {
            let event = self.watch_for_event(pattern).await;
            for change in event["changes"].as_array().unwrap() {
                let fits = |one: &Value| match one {
                    Value::Array(alternatives) => {
                        alternatives.iter().any(|one| is_change(one, change))
                    }
                    one => is_change(one, change),
                };
                if let Some(at) = wanted.iter().position(fits) {
                    wanted.remove(at);
                }
            }
        }
    }
}

/// Whether every member of the pattern is there and equal, objects by what the pattern has of them, and
/// of arrays each element somewhere.
fn is_subset(pattern: &Value, value: &Value) -> bool {
    match (pattern, value) {
        (Value::Object(pattern), Value::Object(value)) => pattern
            .iter()
            .all(|(key, wanted)| value.get(key).is_some_and(|value| is_subset(wanted, value))),
        (Value::Array(pattern), Value::Array(value)) => {
            pattern.iter().all(|wanted| value.iter().any(|value| is_subset(wanted, value)))
        }
        _ => pattern == value,
    }
}

fn is_change(wanted: &Value, change: &Value) -> bool {
    let (path, found) = (wanted["path"].as_array().unwrap(), change["path"].as_array().unwrap());
    let same_path = path.len() == found.len()
        && path.iter().zip(found).all(|(wanted, found)| wanted.is_null() || wanted == found);
    let others = wanted.as_object().unwrap().iter().filter(|(key, _)| *key != "path");
    same_path
        && others
            .into_iter()
            .all(|(key, wanted)| change.get(key).is_some_and(|value| is_subset(wanted, value)))
}

#[tokio::test]
async fn the_ancestors_client_finds_what_it_waits_for() {
    let house = House::new().await;
    let address = opened(&house.context).await;
    assert_eq!(get(address, "/ping").await.json()["ping"], "pong");
    let mut stream = EventStream::open(address, "/events").await;

    // create, as `VM.create` waits for it
    let vm = house.create(config("web")).await;
    let created = json!({ "type": "create", "zonename": vm, "vm": { "zone_state": "installed", "tags": { "role": "web" } } });
    let event = stream.watch_for_event(&created).await;
    assert_eq!(event["vm"]["nics"][0]["primary"], true);

    // start, as `VM.start` waits for it: running, or stopped if the guest ends at once; then autoboot
    house.start(vm).await;
    let modified = json!({ "type": "modify", "zonename": vm });
    let up = json!([
        [
            { "path": ["state"], "newValue": "running" },
            { "path": ["state"], "newValue": "stopped" },
        ],
        { "path": ["autoboot"], "action": "changed", "newValue": true },
    ]);
    stream.watch_for_changes(&modified, up).await;

    // update of the quota and of a tag, found by a wildcard
    let snapshot = house.vm(vm).unwrap();
    let mut changed = snapshot.spec.as_ref().unwrap().config.clone();
    changed.quota = Some(innkeeper_model::ByteSize::from_gibibytes(10));
    changed.labels = [("role", "db".to_owned())].into();
    house.perform(Request::Edit { vm, config: Box::new(changed), expected: None }).await;
    let wanted = json!([
        { "path": ["quota"], "action": "added", "newValue": 10 },
        { "path": ["tags", null], "oldValue": "web", "newValue": "db" },
    ]);
    stream.watch_for_changes(&modified, wanted).await;

    // stop
    kill(&house, vm).await;
    let down = json!([
        { "path": ["state"], "newValue": "stopped" },
        { "path": ["autoboot"], "newValue": false },
        { "path": ["exit_status"], "action": "added", "newValue": -9 },
        { "path": ["exit_timestamp"], "action": "added" },
    ]);
    stream.watch_for_changes(&modified, down).await;

    // delete
    house.perform(Request::Delete { vm, force: false }).await;
    stream.watch_for_event(&json!({ "type": "delete", "zonename": vm, "uuid": vm })).await;
    assert_eq!(get(address, &format!("/vms/{vm}")).await.status, StatusCode::NOT_FOUND);
    // Nothing to wait for is waited for not at all.
    stream.watch_for_changes(&modified, json!([])).await;
}
