//! The same lives of VMs with the audit and without it, in turns: what being on record costs.

use super::lives::{Run, run_with};
use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::median_number,
};

/// How many VMs live in one run.
const VMS: usize = 1_000;
const OFF: &str = "[audit]\nenabled = false\n";

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let vms = bench.rounds(VMS, 100);
    let (mut on, mut off) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds(9, 1) {
        on.push(run_with(bench, vms, "")?);
        off.push(run_with(bench, vms, OFF)?);
    }
    let middle = |runs: &[Run], of: fn(&Run) -> f64| {
        median_number(&mut runs.iter().map(of).collect::<Vec<_>>())
    };
    Ok(vec![
        Measured::new(
            "durable operations with the audit, beside without",
            middle(&on, Run::rate),
            "/s",
        )
        .beside(middle(&off, Run::rate))
        .at_least_times(0.95),
        Measured::new("daemon's CPU for one, beside without", middle(&on, Run::cpu_us), "us")
            .beside(middle(&off, Run::cpu_us))
            .for_information(),
    ])
}
