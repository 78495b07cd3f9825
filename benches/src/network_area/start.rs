//! What a NIC on a network adds to a start, to its task's end: the address, the tap and its rules, and
//! QEMU's own device.

use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::{median, ms, spread},
    report,
    rig::{
        api::Api,
        daemon::{Daemon, State},
        guest,
    },
};
use innkeeper_model::VmId;
use std::time::{Duration, Instant};

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let state = State::new(bench)?;
    let daemon = Daemon::start(&state)?;
    let mut api = daemon.api()?;
    api.create_network("lan", "10.87.3.0/24")?;
    let without = api.create(&guest::empty("without")?)?;
    let with = api.create(&guest::on_network(guest::empty("with")?, "lan", "10.87.3.10")?)?;

    // Once for all to be warm.
    for id in [with, without] {
        timed(&mut api, id)?;
    }
    let (mut withs, mut withouts) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds(31, 2) {
        // The order alternates, so that neither always comes after the other.
        for first in [round % 2 == 0, round % 2 != 0] {
            let (id, times) = if first { (with, &mut withs) } else { (without, &mut withouts) };
            times.push(timed(&mut api, id)?);
        }
    }
    report::progress(format_args!(
        "  with a NIC {}, without {}",
        spread(&mut withs),
        spread(&mut withouts)
    ));
    let name = "a start with a NIC on a network, beside one without";
    let measured = Measured::new(name, ms(median(&mut withs)), "ms");
    Ok(vec![measured.beside(ms(median(&mut withouts))).at_most_more(15.0)])
}

fn timed(api: &mut Api, id: VmId) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    api.power(id, "start")?;
    let took = begun.elapsed();
    api.end(id)?;
    Ok(took)
}
