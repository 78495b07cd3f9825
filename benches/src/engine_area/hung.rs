//! How long a mutating call takes to its answer with the task's id while its machine's QEMU is stopped,
//! and every task before it hangs; beside the same calls while QEMU answers.

use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::{ms, quantile},
    rig::{
        api::Api,
        cleanup::{send_signal, wait_until},
        daemon::{Daemon, State},
        guest,
        http::Connection,
    },
};
use anyhow::{Context, ensure};
use innkeeper_model::{Diagnosis, VmId};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    thread,
    time::{Duration, Instant},
};

/// The guests that take turns.
const GUESTS: usize = 4;
/// From one call to the next.
const EVERY: Duration = Duration::from_millis(3);
/// How long what was asked of guests that answer may take to be done.
const DONE_WITHIN: Duration = Duration::from_secs(60);

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let state = State::new(bench)?;
    let daemon = Daemon::start(&state)?;
    let mut api = daemon.api()?;
    let guests: Vec<VmId> = (0..GUESTS)
        .map(|n| {
            let id = api.create(&guest::empty(&format!("guest-{n}"))?)?;
            api.power(id, "start").map(|()| id)
        })
        .collect::<anyhow::Result<_>>()?;
    let mut connection = Connection::open(daemon.unix())?;
    // An even number for each guest, so that the last of its calls is a resume.
    let calls = bench.rounds(250, 4);
    let mut answering = answers(&mut connection, &guests, calls)?;
    wait_until(DONE_WITHIN, "the end of what was asked", || {
        Ok(api.get::<Diagnosis>("/v1/diagnostics")?.tasks.is_empty())
    })?;
    for guest in &guests {
        stop_hypervisor(&mut api, *guest)?;
    }
    let mut hung = answers(&mut connection, &guests, calls)?;
    let waiting = api.get::<Diagnosis>("/v1/diagnostics")?.tasks.len();
    ensure!(waiting == hung.len(), "{waiting} of {} tasks wait for the hypervisor", hung.len());
    let mut figure = |name: &str, share: f64| {
        let name = format!("a call's answer with its task, hypervisor hung, {name}");
        Measured::new(name, ms(quantile(&mut hung, share)), "ms")
            .beside(ms(quantile(&mut answering, share)))
    };
    Ok(vec![figure("p99", 0.99).at_most(5.0), figure("median", 0.5).for_information()])
}

/// Holds the whole process, so that nobody answers on its socket.
fn stop_hypervisor(api: &mut Api, guest: VmId) -> anyhow::Result<()> {
    let incarnation = api.vm(guest)?.incarnation.context("a running VM has an incarnation")?;
    let process = incarnation.process.context("a running machine has a process")?;
    send_signal(process, Signal::STOP)?.context("the machine has ended")?;
    Ok(())
}

/// Has guests paused and resumed so often, without waiting for it.
fn answers(
    connection: &mut Connection,
    guests: &[VmId],
    calls: usize,
) -> anyhow::Result<Vec<Duration>> {
    let mut took = Vec::new();
    for call in 0..calls {
        let verb = if call % 2 == 0 { "pause" } else { "resume" };
        for guest in guests {
            let path = format!("/v1/vms/{guest}/{verb}");
            let asked = Instant::now();
            let answer = connection.ask("POST", &path, "", "")?;
            took.push(asked.elapsed());
            let text = || String::from_utf8_lossy(&answer.body).into_owned();
            ensure!(answer.status == 202, "POST {path}: {} {}", answer.status, text());
            let body: Value = serde_json::from_slice(&answer.body)?;
            ensure!(body["task"].is_string() || body["task"]["id"].is_string(), "{body}");
            // The pace of the calls is part of the row.
            thread::sleep(EVERY);
        }
    }
    Ok(took)
}
