//! A daemon that answers as a test tells it to, and remembers what it was asked.

use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
};
use tempfile::TempDir;

pub(crate) const VM_ID: &str = "0192a4b0-0000-7000-8000-000000000001";
pub(crate) const TASK_ID: &str = "0192a4b0-0000-7000-8000-0000000000aa";

/// One request, as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The method and the address: `GET /v1/host`.
    pub(crate) line: String,
    /// The headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: Value,
    /// The body as it came, where its length was said.
    pub(crate) raw: Vec<u8>,
}

/// What to answer, or a connection to do with as one likes.
pub(crate) enum Reply {
    Json(u16, Value),
    Stream(Box<dyn FnOnce(UnixStream)>),
}

pub(crate) struct FakeDaemon {
    folder: TempDir,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl FakeDaemon {
    /// A daemon that answers each request by this function.
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        serve(&folder.path().join("inn.sock"), requests.clone(), answer);
        Self { folder, requests }
    }

    /// The same daemon, which answers by this function on its socket for a diagnosis; what is asked
    /// there is not among its requests.
    pub(crate) fn diagnosed(
        self,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let runtime = self.folder.path().join("run");
        std::fs::create_dir(&runtime).unwrap();
        serve(&runtime.join("diagnose.sock"), Arc::default(), answer);
        self
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.line).collect()
    }
}

fn serve(
    socket: &Path,
    seen: Arc<Mutex<Vec<Request>>>,
    answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) {
    let (listener, answer) = (UnixListener::bind(socket).unwrap(), Arc::new(answer));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (seen, answer) = (seen.clone(), answer.clone());
            thread::spawn(move || {
                let stream = stream.unwrap();
                let Some(request) = read(&stream) else { return };
                seen.lock().unwrap().push(request.clone());
                respond(stream, answer(&request));
            });
        }
    });
}

fn read(stream: &UnixStream) -> Option<Request> {
    // Nothing is read ahead: what follows the head is for who answers with a stream.
    let mut reader = BufReader::with_capacity(1, stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && head != "\r\n" {
        reader.read_line(&mut head).ok().filter(|length| *length > 0)?;
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    let (raw, body) = (body.clone(), serde_json::from_slice(&body).unwrap_or(Value::Null));
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    Some(Request { line, head, body, raw })
}

fn respond(mut stream: UnixStream, reply: Reply) {
    match reply {
        Reply::Json(status, body) => {
            let body = body.to_string();
            let length = body.len();
            // Whoever has gone meanwhile does not want it.
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\netag: \"3\"\r\n\
                 connection: close\r\n\r\n{body}"
            );
        }
        Reply::Stream(act) => act(stream),
    }
}

/// Begins an answer whose end nobody knows.
pub(crate) fn begin_stream(stream: &mut UnixStream) {
    write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").unwrap();
}

pub(crate) fn ok(body: Value) -> Reply {
    Reply::Json(200, body)
}

pub(crate) fn not_found() -> Reply {
    problem(404, "not-found", "there is no VM \"nope\"")
}

pub(crate) fn problem(status: u16, code: &str, detail: &str) -> Reply {
    let kind = format!("urn:innkeeper:error:{code}");
    let body = json!({
        "type": kind, "title": code, "status": status, "detail": detail, "code": code,
        "hint": "do something else",
    });
    Reply::Json(status, body)
}

pub(crate) fn vm(name: &str, state: &str) -> Value {
    json!({
        "id": VM_ID, "name": name, "project": "default", "state": state, "want": "stopped",
        "revision": 5, "facts": {"machine": "absent"},
        "spec": {
            "id": VM_ID, "revision": 3, "want": "stopped",
            "created": "2026-01-01T00:00:00Z", "updated": "2026-01-01T00:00:00Z",
            "config": {
                "name": name, "cpus": 2, "memory": "1GiB",
                "boot": {"kernel": {"image": "tiny", "cmdline": "quiet"}},
            },
            "assigned": {"machine": "pc-q35-10.0", "cpu_model": "x", "devices": {}, "ports": 4},
        },
    })
}

pub(crate) fn task(operation: &str, state: &str) -> Value {
    json!({
        "id": TASK_ID, "operation": operation, "vm": VM_ID, "subject": "web", "caller": "uid:0",
        "state": state, "cancellable": true, "created": "2026-01-01T00:00:00Z", "steps": [],
        // What is done is seen, where a test says nothing else.
        "settled_at": (state == "done").then_some(9),
    })
}

/// A task that was accepted, and is waited for.
pub(crate) fn accepted(operation: &str) -> Reply {
    Reply::Json(202, json!({"task": task(operation, "running")}))
}
