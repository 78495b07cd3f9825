//! `inn start` until the guest's user space is up, beside the same QEMU started by hand.

use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::{median, median_number, ms},
    rig::{
        by_hand::ByHand,
        cleanup::{Folder, Process},
        daemon::{Daemon, State},
        guest::{SerialLine, UP, UP_WITHIN, tiny},
    },
};
use anyhow::{Context, ensure};
use std::{
    path::Path,
    time::{Duration, Instant},
};

const NAME: &str = "sample";

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let (state, by_hand_in) = (State::new(bench)?, Folder::new(&bench.scratch)?);
    let daemon = Daemon::start(&state)?;
    let mut api = daemon.api()?;
    let id = api.create(&tiny(bench, NAME, "")?)?;
    let run_folder = state.path().join("run/vms").join(id.to_string());

    // The first start warms up what all share, and shows how QEMU is started.
    by_inn(&state, &run_folder)?;
    let incarnation = api.vm(id)?.incarnation.context("a running VM has an incarnation")?;
    let by_hand = ByHand::like(&incarnation)?;
    api.end(id)?;

    let (mut inns, mut hands) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds(15, 1) {
        // The order alternates, so that neither always comes after the other.
        for first in [round % 2 == 0, round % 2 != 0] {
            if first {
                inns.push(by_inn(&state, &run_folder)?);
                api.end(id)?;
            } else {
                hands.push(start_by_hand(&by_hand, by_hand_in.path())?);
            }
        }
    }
    // Of the two of a round: what the machine did meanwhile, it did to both.
    let mut more: Vec<_> =
        inns.iter().zip(&hands).map(|(inn, hand)| ms(*inn) - ms(*hand)).collect();
    let name = "inn start to user space";
    Ok(vec![
        Measured::new(format!("{name}, beside QEMU by hand"), ms(median(&mut inns)), "ms")
            .beside(ms(median(&mut hands)))
            .at_most_times(1.03),
        Measured::new(
            format!("{name}, more than QEMU by hand in the same round"),
            median_number(&mut more),
            "ms",
        )
        .at_most(40.0),
    ])
}

/// From the command's own start on.
fn by_inn(state: &State, run_folder: &Path) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let command = Process::spawn(&mut state.inn(&["start", NAME]))?;
    let up = SerialLine::open(run_folder, UP_WITHIN)?.wait_for(UP, UP_WITHIN)?;
    ensure!(command.wait(UP_WITHIN)?.success(), "`inn start` failed");
    Ok(up - started)
}

fn start_by_hand(by_hand: &ByHand, folder: &Path) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let (_qemu, mut line) = by_hand.start(folder)?;
    Ok(line.wait_for(UP, UP_WITHIN)? - started)
}
