//! A thousand simulated VMs, and ten thousand, made, started, stopped and deleted over the API of a
//! real daemon, beside what its journal alone can take.

use crate::{
    bench::{Bench, MANY},
    figure::{Figure, Measured},
    measure::{process::cpu_time, statistics::median_number},
    report,
    rig::{
        crowd::Crowd,
        daemon::{Daemon, State},
        lives::{Lives, OPERATIONS},
        raw_journal::{Template, records_a_second},
    },
};
use anyhow::ensure;
use innkeeper_model::Diagnosis;
use std::time::Duration;

/// How many VMs are the fewer.
const FEWER: usize = 1_000;
/// How many connections ask, each for one thing at a time. A simulated guest takes 20 ms to power
/// itself off: with 64, a thousand stops are a third of a second of waiting for that and nothing else.
const CLIENTS: usize = 256;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let template = Template::take(bench)?;
    report::progress(format_args!(
        "  a life is {} records, {} of them synced, {} bytes in all; the journal alone is given these, by \
         {CLIENTS} appenders",
        template.records(),
        template.synced(),
        template.bytes()
    ));
    let fewer = bench.rounds(FEWER, 100);
    let (mut runs, mut raw) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds(5, 1) {
        runs.push(run(bench, fewer)?);
        raw.push(records_a_second(&bench.scratch, &template, CLIENTS, fewer)?);
    }
    let middle = |of: fn(&Run) -> f64| median_number(&mut runs.iter().map(of).collect::<Vec<_>>());
    let seconds = middle(|run| run.seconds);
    let (rate, records) = (middle(Run::rate), middle(Run::record_rate));
    let name = format!("{fewer} simulated VMs made, started, stopped, deleted");
    let mut figures = vec![
        Measured::new(&name, seconds, "s").at_most(1.0),
        Measured::new("durable operations", rate, "/s").at_least(4_000.0),
        Measured::new("journal records, beside the journal alone", records, "/s")
            .beside(median_number(&mut raw))
            .at_least_times(0.5),
        Measured::new("daemon's CPU for one operation", middle(Run::cpu_us), "us")
            .for_information(),
    ];
    let more = bench.rounds(MANY, 10 * fewer);
    let mut times = Vec::new();
    for _ in 0..bench.rounds(3, 1) {
        times.push(run(bench, more)?.seconds);
    }
    let measured = Measured::new(format!("{more} of them"), median_number(&mut times), "s");
    figures.push(measured.beside(seconds).at_most_times(10.0));
    Ok(figures)
}

/// One run of a daemon that had nothing before.
pub(super) struct Run {
    operations: usize,
    seconds: f64,
    records: u64,
    cpu: Duration,
}

impl Run {
    pub(super) fn rate(&self) -> f64 {
        self.operations as f64 / self.seconds
    }

    fn record_rate(&self) -> f64 {
        self.records as f64 / self.seconds
    }

    pub(super) fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.operations as f64
    }
}

fn run(bench: &Bench, vms: usize) -> anyhow::Result<Run> {
    run_with(bench, vms, "")
}

/// The same, with more in the daemon's configuration.
pub(super) fn run_with(bench: &Bench, vms: usize, sections: &str) -> anyhow::Result<Run> {
    let state = State::simulated(bench)?;
    state.configure(sections)?;
    let daemon = Daemon::start(&state)?;
    let mut clients = Crowd::connect(&state.socket(), CLIENTS)?;
    let lives = Lives::new(vms)?;
    let before: Diagnosis = daemon.api()?.get("/v1/diagnostics")?;
    let cpu = cpu_time(daemon.pid())?;
    let took = lives.live(&mut clients)?;
    let cpu = cpu_time(daemon.pid())? - cpu;
    let after: Diagnosis = daemon.api()?.get("/v1/diagnostics")?;
    ensure!(after.failures.is_empty() && after.sizes.vms == 0, "not all was done: {after:?}");
    let seconds = took.iter().sum::<Duration>().as_secs_f64();
    let run = Run {
        operations: vms * OPERATIONS,
        seconds,
        records: after.journal.records - before.journal.records,
        cpu,
    };
    report::progress(format_args!(
        "  {vms}: {seconds:.3} s ({took:.3?}), {} records in {} syncs, daemon's CPU {cpu:.2?}",
        run.records,
        after.journal.syncs - before.journal.syncs,
    ));
    Ok(run)
}
