//! QEMU's own protocol, as a measuring instrument: one command at a time over a blocking socket.

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

/// How long QEMU may keep its caller waiting.
const SILENCE: Duration = Duration::from_secs(60);
/// How often a socket is tried that QEMU does not listen on yet.
const LOOKS_EVERY: Duration = Duration::from_millis(1);

/// A connection to a QEMU.
#[derive(Debug)]
pub(crate) struct Qmp {
    stream: BufReader<UnixStream>,
    /// Events that came before an answer, and that nobody waited for yet.
    events: Vec<Value>,
}

impl Qmp {
    /// Connects, and is greeted.
    pub(crate) fn connect(socket: &Path) -> anyhow::Result<Self> {
        let end = Instant::now() + SILENCE;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > end => return Err(error).context("QEMU's socket"),
                // A socket that is not there yet tells nobody when it is; `end` bounds this.
                Err(_) => std::thread::sleep(LOOKS_EVERY),
            }
        };
        stream.set_read_timeout(Some(SILENCE))?;
        let mut qmp = Self { stream: BufReader::new(stream), events: Vec::new() };
        ensure!(qmp.line()?.get("QMP").is_some(), "no greeting");
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Executes a command.
    pub(crate) fn execute(&mut self, command: &str, arguments: &Value) -> anyhow::Result<Value> {
        let request = json!({ "execute": command, "arguments": arguments });
        self.stream.get_mut().write_all(format!("{request}\n").as_bytes())?;
        loop {
            let mut line = self.line()?;
            if let Some(answer) = line.get_mut("return") {
                return Ok(answer.take());
            }
            if let Some(error) = line.get("error") {
                bail!("{command}: {error}");
            }
            self.events.push(line);
        }
    }

    /// Waits for an event that is like this, and that nobody was given yet.
    pub(crate) fn event(&mut self, is_it: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
        if let Some(came) = self.events.iter().position(&is_it) {
            self.events.remove(came);
            return Ok(());
        }
        loop {
            let event = self.line()?;
            if is_it(&event) {
                return Ok(());
            }
            self.events.push(event);
        }
    }

    fn line(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        let count = self.stream.read_line(&mut line);
        let count = count.with_context(|| format!("QEMU, after {:?}", self.events))?;
        ensure!(count > 0, "QEMU hung up");
        Ok(serde_json::from_str(&line)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn answers_are_told_from_events_and_errors() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("qmp");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            stream.write_all(b"{\"QMP\":{}}\n").unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            for answer in [
                "{\"return\":{}}\n",
                "{\"event\":\"STOP\"}\n{\"return\":{\"status\":\"paused\"}}\n",
                "{\"error\":{\"desc\":\"no\"}}\n{\"event\":\"STOP\"}\n{\"event\":\"RESUME\"}\n",
            ] {
                lines.next().unwrap().unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let mut qmp = Qmp::connect(&socket).unwrap();
        assert_eq!(qmp.execute("query-status", &json!({})).unwrap()["status"], "paused");
        assert!(qmp.execute("nonsense", &json!({})).is_err());
        qmp.event(|event| event["event"] == "RESUME").unwrap();
        // Came before an answer.
        qmp.event(|event| event["event"] == "STOP").unwrap();
        server.join().unwrap();
    }
}
