//! How fast a guest that writes without end is shown: to one viewer over the API, to ten, to one beside
//! another that does not read; each beside socat at the same socket of the same QEMU.

use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::{median_number, spread_of},
    report,
    rig::{
        cleanup::wait_until,
        daemon::{Daemon, State},
        guest::{UP_WITHIN, writes_without_end},
        terminal::{Terminal, rates},
    },
};
use innkeeper_model::VmId;
use std::{path::PathBuf, time::Duration};

/// How many viewers are many.
const VIEWERS: usize = 10;
/// How long all read before it counts: what was written before comes with it.
const WARM: Duration = Duration::from_millis(300);

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let state = State::new(bench)?;
    let daemon = Daemon::start(&state)?;
    let mut api = daemon.api()?;
    let id = api.create(&writes_without_end("writer", &state.files())?)?;
    api.power(id, "start")?;
    let serial = state.path().join("run/vms").join(id.to_string()).join("serial.sock");
    let line = Line { daemon: state.socket(), id, serial };
    line.wait_until_it_writes()?;

    let period = bench.seconds(2, 1);
    let mut socats = Vec::new();
    let (mut one, mut many, mut beside) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds(7, 1) {
        socats.push(line.by_socat(period)?);
        one.push(line.slowest_of(1, 0, period)?);
        many.push(line.slowest_of(VIEWERS, 0, period)?);
        beside.push(line.slowest_of(1, 1, period)?);
    }
    report::progress(format_args!(
        "  KB/s: socat {}; one {}; the slowest of ten {}; beside a stuck one {}",
        spread_of(&mut socats),
        spread_of(&mut one),
        spread_of(&mut many),
        spread_of(&mut beside)
    ));
    let socat = median_number(&mut socats);
    let figure = |name: &str, rates: &mut [f64]| {
        let name = format!("serial output to {name}, beside socat");
        Measured::new(name, median_number(rates), "KB/s").beside(socat).at_least_times(0.9)
    };
    Ok(vec![
        figure("one viewer", &mut one),
        figure("the slowest of ten viewers", &mut many),
        figure("one beside a viewer that does not read", &mut beside),
    ])
}

/// A guest's line.
struct Line {
    daemon: PathBuf,
    id: VmId,
    serial: PathBuf,
}

impl Line {
    fn wait_until_it_writes(&self) -> anyhow::Result<()> {
        let mut all = [Terminal::by_socat(&self.serial)?];
        wait_until(UP_WITHIN, "the guest's first word", || {
            Ok(rates(&mut all, Duration::from_millis(50))?[0] > 0.0)
        })
    }

    /// Thousands of bytes a second.
    fn by_socat(&self, period: Duration) -> anyhow::Result<f64> {
        slowest(&mut [Terminal::by_socat(&self.serial)?], period)
    }

    /// The same, of the slowest of so many readers beside so many that do not read.
    fn slowest_of(&self, readers: usize, stuck: usize, period: Duration) -> anyhow::Result<f64> {
        let open = |_| Terminal::over_api(&self.daemon, self.id, "read-only");
        let _stuck = (0..stuck).map(open).collect::<anyhow::Result<Vec<_>>>()?;
        let mut all = (0..readers).map(open).collect::<anyhow::Result<Vec<_>>>()?;
        slowest(&mut all, period)
    }
}

fn slowest(all: &mut [Terminal], period: Duration) -> anyhow::Result<f64> {
    rates(all, WARM)?;
    Ok(rates(all, period)?.into_iter().fold(f64::INFINITY, f64::min) / 1e3)
}
