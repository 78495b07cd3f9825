//! The processor time that the daemon itself takes to start a guest.

use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::{process::cpu_time, statistics::ms},
    rig::{
        daemon::{Daemon, State},
        guest::tiny,
    },
};
use std::{thread, time::Duration};

/// How long after a start was answered the daemon may still be at work for it.
const AFTERMATH: Duration = Duration::from_millis(200);

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let state = State::new(bench)?;
    let daemon = Daemon::start(&state)?;
    let mut api = daemon.api()?;
    let id = api.create(&tiny(bench, "sample", "")?)?;
    let starts = bench.rounds(20, 3);
    let mut taken = Duration::ZERO;
    // The first asks the hypervisor what it can, once a daemon's life.
    for start in 0..=starts {
        let before = cpu_time(daemon.pid())?;
        api.power(id, "start")?;
        thread::sleep(AFTERMATH);
        if start > 0 {
            taken += cpu_time(daemon.pid())? - before;
        }
        api.end(id)?;
    }
    let each = ms(taken) / starts as f64;
    Ok(vec![Measured::new("daemon's CPU for one start", each, "ms").at_most(10.0)])
}
