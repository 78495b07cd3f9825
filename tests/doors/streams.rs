//! The streams of what happens: the native API's, as lines and as server-sent events, and vminfod's. The
//! other protocols have none.

use super::everywhere::{
    Doors,
    shown::{self, Shown},
};
use crate::harness::{Request, SHORT, read_chunk, read_head};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

/// A stream that is followed.
pub(super) struct Stream {
    pub(super) name: &'static str,
    words: Words,
    lines: Receiver<String>,
}

/// How a stream tells of a VM.
struct Words {
    /// The member that says which.
    id: &'static str,
    /// The revision that a line stands for.
    revision: fn(&Value) -> u64,
    /// The VM's document after a line about it; nothing where it is gone.
    after: fn(Option<Value>, &Value) -> Option<Value>,
    /// What is where in the document.
    document: &'static shown::Words,
}

/// All that a stream told.
pub(super) struct Told<'a>(&'a Words, Vec<Value>);

impl Stream {
    /// All streams that there are, from now on.
    pub(super) fn all(doors: &Doors) -> [Self; 3] {
        let native = || UnixStream::connect(doors.daemon.socket()).unwrap();
        let vminfod = TcpStream::connect(&doors.vminfod).unwrap();
        let lines = Request::new("GET", "/v1/events");
        let events = lines.clone().header("Accept", "text/event-stream");
        [
            Self::open("native lines", native(), &lines, NATIVE),
            Self::open("native server-sent events", native(), &events, NATIVE),
            Self::open("vminfod's events", vminfod, &Request::new("GET", "/events"), VMINFOD),
        ]
    }

    fn open(
        name: &'static str,
        mut socket: impl Read + Write + Send + 'static,
        request: &Request,
        words: Words,
    ) -> Self {
        request.send(&mut socket).unwrap();
        let mut from = BufReader::new(socket);
        assert_eq!(read_head(&mut from).unwrap().status, 200, "{name}");
        let (to, lines) = channel();
        thread::spawn(move || read_lines(from, &to));
        Self { name, words, lines }
    }

    /// All that it has told when this VM has come to be.
    #[track_caller]
    pub(super) fn until_made(&self, vm: &str) -> Told<'_> {
        let mut told = Vec::new();
        loop {
            let Ok(line) = self.lines.recv_timeout(SHORT) else {
                panic!("{}: nothing more came, and no word of {vm}", self.name)
            };
            // Server-sent events have lines of other kinds beside their data.
            let line = line.strip_prefix("data: ").unwrap_or(&line);
            let Ok(document) = serde_json::from_str::<Value>(line) else { continue };
            let is_made = document[self.words.id] == vm;
            told.push(document);
            if is_made {
                return Told(&self.words, told);
            }
        }
    }
}

impl Told<'_> {
    /// What a VM is by all that was told up to a revision.
    pub(super) fn of(&self, vm: &str, revision: u64) -> Option<Shown> {
        let Self(Words { id, revision: of, after, document }, told) = self;
        let about = told.iter().filter(|told| told[*id] == vm && of(told) <= revision);
        about.fold(None, after).map(|vm| Shown::of(document, &vm))
    }
}

const NATIVE: Words = Words {
    id: "id",
    revision: |change| change["revision"].as_u64().unwrap(),
    after: |before, change| match change["action"].as_str().unwrap() {
        "create" => Some(change["object"].clone()),
        "delete" => None,
        _ => {
            let mut document = before.expect("it came to be before it changed");
            // What a hypervisor reports changes no field.
            for field in change["changes"].as_array().into_iter().flatten() {
                set(&mut document, field["path"].as_array().unwrap(), field.get("new"));
            }
            Some(document)
        }
    },
    document: &shown::NATIVE,
};

const VMINFOD: Words = Words {
    id: "uuid",
    revision: |event| {
        let (_, revision) = event["position"].as_str().unwrap().rsplit_once('-').unwrap();
        revision.parse().unwrap()
    },
    after: |_, event| event.get("vm").cloned(),
    document: &shown::VMINFOD,
};

/// Has a field of a document be this; `None` removes it.
fn set(document: &mut Value, path: &[Value], new: Option<&Value>) {
    let [key, rest @ ..] = path else {
        *document = new.cloned().unwrap_or_default();
        return;
    };
    let key = key.as_str().unwrap();
    match document {
        Value::Array(elements) => {
            let index: usize = key.parse().unwrap();
            match (rest, new) {
                ([], None) => drop(elements.remove(index)),
                _ if index == elements.len() => elements.push(new.cloned().unwrap()),
                _ => set(&mut elements[index], rest, new),
            }
        }
        Value::Object(members) => match (rest, new) {
            ([], None) => drop(members.remove(key)),
            _ => set(members.entry(key).or_insert(Value::Null), rest, new),
        },
        other => panic!("{key} in {other}"),
    }
}

fn read_lines(mut from: impl BufRead, to: &Sender<String>) {
    let mut text = Vec::new();
    while let Some(chunk) = read_chunk(&mut from) {
        text.extend(chunk);
        while let Some(end) = text.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            // Fails when nobody follows any more.
            if to.send(String::from_utf8_lossy(line.trim_ascii_end()).into_owned()).is_err() {
                return;
            }
        }
    }
}
