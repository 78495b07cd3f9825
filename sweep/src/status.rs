//! What a QEMU itself says that its machine is. It has room for one at its QMP socket, so this is asked when
//! no daemon is at it.

use anyhow::{Context, ensure};
use innkeeper_model::MachineState;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// How long QEMU may take to answer: a bound for what is broken.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// Asks the QEMU that listens here.
///
/// # Errors
/// It does not answer, or says what is no state of a machine that nothing is being done to.
pub(crate) fn ask(socket: &Path) -> anyhow::Result<MachineState> {
    let mut qemu = UnixStream::connect(socket).context("QEMU does not listen")?;
    qemu.set_read_timeout(Some(ANSWERS_WITHIN))?;
    let mut lines = BufReader::new(qemu.try_clone()?);
    ensure!(answer(&mut lines)?.get("QMP").is_some(), "QEMU does not greet");
    let mut execute = |command: &str| {
        writeln!(qemu, "{}", json!({ "execute": command }))?;
        answer(&mut lines)
    };
    execute("qmp_capabilities")?;
    named(&execute("query-status")?["return"]["status"])
}

/// The next line that is no event.
fn answer(lines: &mut impl BufRead) -> anyhow::Result<Value> {
    loop {
        let mut line = String::new();
        ensure!(lines.read_line(&mut line).context("QEMU does not answer")? > 0, "QEMU hung up");
        let said: Value = serde_json::from_str(&line)?;
        if said.get("event").is_none() {
            return Ok(said);
        }
    }
}

fn named(status: &Value) -> anyhow::Result<MachineState> {
    Ok(match status.as_str() {
        Some("running") => MachineState::Running,
        Some("paused") => MachineState::Paused,
        Some("shutdown" | "guest-panicked") => MachineState::Ended,
        // Made and not let run, or in the middle of its memory's way from or to a file.
        other => anyhow::bail!("QEMU says {other:?} of a machine that is at rest"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::net::UnixListener, thread};

    /// What is made of a QEMU that says this of its machine, between other things.
    fn asked(status: &'static str) -> anyhow::Result<MachineState> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("qmp");
        let listener = UnixListener::bind(&socket).unwrap();
        let qemu = thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut asked = BufReader::new(stream.try_clone().unwrap()).lines();
            writeln!(stream, "{}", json!({ "QMP": {} })).unwrap();
            for answer in [json!({}), json!({ "status": status })] {
                asked.next().unwrap().unwrap();
                writeln!(stream, "{}", json!({ "event": "RTC_CHANGE" })).unwrap();
                writeln!(stream, "{}", json!({ "return": answer })).unwrap();
            }
        });
        let told = ask(&socket);
        qemu.join().unwrap();
        told
    }

    #[test]
    fn qemu_is_asked_between_its_events() {
        assert_eq!(asked("running").unwrap(), MachineState::Running);
        assert_eq!(asked("paused").unwrap(), MachineState::Paused);
        assert_eq!(asked("shutdown").unwrap(), MachineState::Ended);
    }

    #[test]
    fn a_machine_that_is_half_made_is_not_at_rest() {
        assert!(asked("inmigrate").unwrap_err().to_string().contains("inmigrate"));
        assert!(ask(Path::new("/nowhere")).is_err());
    }
}
