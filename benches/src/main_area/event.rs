//! From a guest's powering off, by QEMU's own clock, to the line about it on a subscriber's socket.

use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::{ms, quantile},
    rig::{
        cleanup::wait_until,
        daemon::{Daemon, State},
        guest,
        http::{Address, Connection},
    },
};
use anyhow::{Context, ensure};
use innkeeper_model::{Change, MachineState, Timestamp, VmId};
use std::{
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

/// How many guests take turns, so that none is waited for while it is put away.
const GUESTS: usize = 4;
/// How long a guest may take from its start to its end.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let state = State::new(bench)?;
    let daemon = Daemon::start(&state)?;
    let mut api = daemon.api()?;
    let guests: Vec<VmId> = (0..GUESTS)
        .map(|n| api.create(&guest::powers_off(&format!("guest-{n}"), &state.files())?))
        .collect::<Result<_, _>>()?;
    let ends = follow(daemon.unix())?;
    let mut latencies = Vec::new();
    for round in 0..bench.rounds(100, 4) {
        let guest = guests[round % GUESTS];
        wait_until(ENDS_WITHIN, "a guest's being put away", || {
            Ok(api.vm(guest)?.facts.machine == MachineState::Absent)
        })?;
        api.power(guest, "start")?;
        latencies.push(ends.recv_timeout(ENDS_WITHIN).context("no word of a guest's end")?);
    }
    let mut figure = |name: &str, share: f64| {
        let name = format!("guest powers off to a subscriber's line, {name}");
        Measured::new(name, ms(quantile(&mut latencies, share)), "ms")
    };
    Ok(vec![figure("p99", 0.99).at_most(5.0), figure("median", 0.5).for_information()])
}

/// Follows the feed, and gives how long the word of each guest's end took.
fn follow(address: &Address) -> anyhow::Result<Receiver<Duration>> {
    let mut connection = Connection::open(address)?;
    let request =
        connection.compose("GET", "/v1/events?kind=vm", "Accept: application/x-ndjson\r\n", "");
    let mut begun = Vec::new();
    let mut head = connection.send(&request, |bytes| begun.extend_from_slice(bytes))?;
    ensure!(head.status == 200, "the feed answered {}", head.status);
    let (found, ends) = channel();
    thread::Builder::new().name("subscriber".into()).spawn(move || {
        let mut text = begun;
        // Ends when the daemon does, or when nobody wants to know any more.
        while connection.read_on(&mut head, |bytes| text.extend_from_slice(bytes)).is_ok() {
            let now = Timestamp::now();
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            for line in text.drain(..whole).as_slice().split(|byte| *byte == b'\n') {
                let Some(at) = power_off(line) else { continue };
                let latency = Duration::try_from(now.duration_since(at)).unwrap_or_default();
                if found.send(latency).is_err() {
                    return;
                }
            }
        }
    })?;
    Ok(ends)
}

/// When a guest powered off, if that is what a line is about: QEMU says `SHUTDOWN` again, with another
/// reason, when it is told to quit.
fn power_off(line: &[u8]) -> Option<Timestamp> {
    let event = serde_json::from_slice::<Change>(line).ok()?.event?;
    let by_guest = event.name == "SHUTDOWN" && event.data["reason"] == "guest-shutdown";
    event.at.filter(|_| by_guest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_guests_own_power_off_counts() {
        let line = |reason: &str| {
            format!(
                r#"{{"type":"change","position":"{}-1","revision":1,"time":"2026-01-01T00:00:01Z",
                "kind":"vm","action":"event","id":"x","event":{{"name":"SHUTDOWN",
                "at":"2026-01-01T00:00:00Z","data":{{"reason":"{reason}"}}}}}}"#,
                uuid::Uuid::nil().simple()
            )
        };
        let at = power_off(line("guest-shutdown").as_bytes());
        assert_eq!(at, Some("2026-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!(power_off(line("host-qmp-quit").as_bytes()), None);
        assert_eq!(power_off(b""), None);
    }
}
