//! From the daemon's exec until it serves: with nothing stored, with a thousand stored VMs, and with
//! fifty running ones that it has to find again.

use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::{median, ms},
    rig::{
        api::Api,
        daemon::{Daemon, State},
        guest, specs,
    },
};
use anyhow::ensure;
use std::time::{Duration, Instant};

/// The stored VMs of the second figure.
const STORED: usize = 1_000;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    Ok(vec![empty(bench)?, stored(bench)?, running(bench)?])
}

/// Beside the same program when it does nothing.
fn empty(bench: &Bench) -> anyhow::Result<Figure> {
    let state = State::new(bench)?;
    let serves = |api: &mut Api| api.get("/v1/host").map(|_: serde_json::Value| true);
    let mut times = start_often(&state, bench.rounds(15, 2), serves)?;
    let mut floor = Vec::new();
    for _ in 0..bench.rounds(15, 2) {
        let started = Instant::now();
        ensure!(state.inn(&["--version"]).status()?.success(), "`inn --version` failed");
        floor.push(started.elapsed());
    }
    let measured = Measured::new("exec to serving, empty", ms(median(&mut times)), "ms");
    Ok(measured.beside(ms(median(&mut floor))).at_most(30.0))
}

fn stored(bench: &Bench) -> anyhow::Result<Figure> {
    let state = State::new(bench)?;
    specs::store(state.path(), STORED)?;
    let serves = |api: &mut Api| Ok(api.count("fields=name")? == STORED);
    let mut times = start_often(&state, bench.rounds(15, 2), serves)?;
    let measured = Measured::new("exec to serving, 1,000 stored VMs", ms(median(&mut times)), "ms");
    Ok(measured.at_most(60.0))
}

/// The guests are held, so that they do not compete with the daemon for the host's processors.
fn running(bench: &Bench) -> anyhow::Result<Figure> {
    let state = State::new(bench)?;
    let guests = bench.rounds(50, 5);
    let daemon = Daemon::start(&state)?;
    let mut api = daemon.api()?;
    for n in 0..guests {
        let id = api.create(&guest::empty(&format!("guest-{n}"))?)?;
        api.power(id, "start")?;
        api.power(id, "pause")?;
    }
    daemon.kill();
    let serves = move |api: &mut Api| Ok(api.count("state=paused&fields=name")? == guests);
    let mut times = start_often(&state, bench.rounds(9, 2), serves)?;
    ensure!(!times.is_empty(), "nothing was measured");
    let name = format!("exec to serving, {guests} running VMs reattached");
    Ok(Measured::new(name, ms(median(&mut times)), "ms").at_most(300.0))
}

/// Starts the daemon again and again; each is killed, so that the next finds what a crash leaves.
fn start_often(
    state: &State,
    rounds: usize,
    mut serves: impl FnMut(&mut Api) -> anyhow::Result<bool>,
) -> anyhow::Result<Vec<Duration>> {
    // The first makes the folders, and asks the hypervisor what it can.
    Daemon::start(state)?.terminate()?;
    (0..rounds)
        .map(|_| {
            let (daemon, time) = Daemon::start_timed(state, &mut serves)?;
            daemon.kill();
            Ok(time)
        })
        .collect()
}
