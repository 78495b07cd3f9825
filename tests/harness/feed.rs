//! The daemon's feed, read as it comes.

use super::http::{Request, read_chunk, read_head};
use serde_json::Value;
use std::{
    io::BufReader,
    os::unix::net::UnixStream,
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

/// One reader of the feed.
pub(crate) struct Feed {
    lines: Receiver<Value>,
    read: Vec<Value>,
}

impl Feed {
    /// Begins to read what happens from now on, or after a position.
    pub(crate) fn open(socket: &Path, since: Option<&str>) -> Self {
        let mut stream = UnixStream::connect(socket).unwrap();
        let since = since.map(|since| format!("?since={since}")).unwrap_or_default();
        Request::new("GET", &format!("/v1/events{since}")).send(&mut stream).unwrap();
        let mut from = BufReader::new(stream);
        let reply = read_head(&mut from).unwrap();
        assert_eq!(reply.status, 200);
        let (to, lines) = channel();
        thread::spawn(move || read_lines(from, &to));
        let mut feed = Self { lines, read: Vec::new() };
        feed.expect("the beginning", super::SHORT, |line| line["type"] == "ready");
        feed
    }

    /// Reads on until a change is what is looked for, and returns it. What came before it is not
    /// looked at again, so that calls one after another say an order.
    #[track_caller]
    pub(crate) fn expect(
        &mut self,
        what: &str,
        within: Duration,
        mut wanted: impl FnMut(&Value) -> bool,
    ) -> Value {
        let end = Instant::now() + within;
        let skipped = self.read.len();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                let seen: Vec<_> = self.read[skipped..].iter().map(summary).collect();
                panic!(
                    "{what}: not in the feed within {within:?}; in it was:\n{}",
                    seen.join("\n")
                );
            };
            self.read.push(line.clone());
            if wanted(&line) {
                return line;
            }
        }
    }

    /// Reads on until a field of this VM gets this value: `facts.machine`.
    #[track_caller]
    pub(crate) fn expect_vm(&mut self, vm: &str, path: &str, value: &str) -> Value {
        let what = format!("{path} of {vm} is {value}");
        let of_vm = |change: &Value| change["kind"] == "vm" && change["name"] == vm;
        let wanted = |change: &Value| {
            of_vm(change) && new_value(change, path).is_some_and(|new| new == value)
        };
        self.expect(&what, super::BOOT, wanted)
    }
}

/// What a field has become by a change, if the change is of that field or of one around it.
pub(crate) fn new_value<'a>(change: &'a Value, path: &str) -> Option<&'a Value> {
    let path: Vec<&str> = path.split('.').collect();
    change["changes"].as_array()?.iter().find_map(|field| {
        let changed = field["path"].as_array()?;
        let names = changed.iter().zip(&path).all(|(a, b)| a == b) && changed.len() <= path.len();
        let inside = || path[changed.len()..].iter().try_fold(&field["new"], |v, key| v.get(key));
        names.then(inside)?
    })
}

fn summary(line: &Value) -> String {
    let fields = ["kind", "action", "name", "changes", "event"].map(|key| line[key].to_string());
    format!("  {}", fields.join(" "))
}

fn read_lines(mut from: BufReader<UnixStream>, to: &Sender<Value>) {
    let mut text = Vec::new();
    while let Some(chunk) = read_chunk(&mut from) {
        text.extend(chunk);
        while let Some(end) = text.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            if line.trim_ascii().is_empty() {
                continue;
            }
            let line = serde_json::from_slice(&line).expect("each line of a feed is JSON");
            if to.send(line).is_err() {
                return;
            }
        }
    }
}
