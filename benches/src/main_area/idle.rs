//! What the daemon costs while nothing happens.

use crate::{
    bench::{Bench, MANY},
    figure::{Figure, Measured},
    measure::process::{resident, sleeps, sleeps_between},
    report,
    rig::daemon::{Daemon, State, body_of},
};
use std::{thread, time::Duration};

/// How many seconds after its start a daemon is idle, and when only a smoke test is wanted.
const SETTLES: (u64, u64) = (3, 1);

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let (empty, woken) = empty(bench)?;
    let (loaded, served) = full(bench)?;
    let each = (served - empty) / MANY as f64;
    let resident = |name: &str, bytes: f64| Measured::new(name, bytes / 1_048_576.0, "MiB");
    Ok(vec![
        resident("resident, idle", empty).at_most(20.0),
        resident("resident, 10,000 VMs, all of them listed", served).at_most(70.0),
        resident("resident, 10,000 VMs as loaded", loaded).at_most(70.0),
        Measured::new("resident, each of 10,000 VMs", each, "bytes").for_information(),
        Measured::new("wake-ups, idle", woken, "/s").at_most(5.0),
    ])
}

/// Bytes, and wake-ups a second.
fn empty(bench: &Bench) -> anyhow::Result<(f64, f64)> {
    let state = State::new(bench)?;
    let daemon = Daemon::start(&state)?;
    thread::sleep(bench.seconds(SETTLES.0, SETTLES.1));
    let before = sleeps(daemon.pid())?;
    let time = bench.seconds(10, 3);
    thread::sleep(time);
    let after = sleeps(daemon.pid())?;
    let count = sleeps_between(&before, &after);
    for (thread, count) in &after {
        let woken = count - before.get(thread).unwrap_or(&0);
        if woken > 0 {
            report::progress(format_args!("  thread {thread}: woken {woken} times in {time:?}"));
        }
    }
    Ok((resident(daemon.pid())? as f64, count as f64 / time.as_secs_f64()))
}

/// Bytes as loaded, and once a list of all was served.
fn full(bench: &Bench) -> anyhow::Result<(f64, f64)> {
    let state = State::new(bench)?;
    bench.store_many(state.path())?;
    let daemon = Daemon::start(&state)?;
    thread::sleep(bench.seconds(SETTLES.0, SETTLES.1));
    let loaded = resident(daemon.pid())?;
    body_of(daemon.unix(), "/v1/vms")?;
    thread::sleep(Duration::from_millis(500));
    Ok((loaded as f64, resident(daemon.pid())? as f64))
}
