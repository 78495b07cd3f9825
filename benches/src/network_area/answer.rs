//! `inn start` until the guest answers a ping on its reserved address, beside the same QEMU on a bridge,
//! a tap and a dnsmasq made by hand.

use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::{median, ms, spread},
    report,
    rig::{
        by_hand::ByHand,
        cleanup::{Folder, Process},
        daemon::{Daemon, State},
        guest::{UP_WITHIN, on_network, tiny},
        network::{Lan, ask_quickly},
        ping::answered,
    },
};
use anyhow::{Context, ensure};
use std::{
    net::Ipv4Addr,
    path::Path,
    time::{Duration, Instant},
};

const NAME: &str = "sample";
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 87, 3, 10);

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let (state, by_hand_in) = (State::new(bench)?, Folder::new(&bench.scratch)?);
    let daemon = Daemon::start(&state)?;
    let mut api = daemon.api()?;
    ask_quickly(&api.create_network("lan", "10.87.3.0/24")?)?;
    let config = on_network(tiny(bench, NAME, "")?, "lan", &ADDRESS.to_string())?;
    let id = api.create(&config)?;

    // The first start warms up what all share, and shows how QEMU is started.
    by_inn(&state)?;
    let vm = api.vm(id)?;
    let by_hand =
        ByHand::like(vm.incarnation.as_ref().context("a running VM has an incarnation")?)?;
    api.end(id)?;
    let spec = vm.spec.context("a VM that was made here has a spec")?;
    let mac = *spec.assigned.macs.get("net0").context("its NIC has a hardware address")?;
    let lan = Lan::new(Folder::new(&bench.scratch)?, mac)?;
    start_by_hand(&by_hand, &lan, by_hand_in.path())?;

    let (mut inns, mut hands) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds(9, 1) {
        // The order alternates, so that neither always comes after the other.
        for first in [round % 2 == 0, round % 2 != 0] {
            if first {
                inns.push(by_inn(&state)?);
                api.end(id)?;
            } else {
                hands.push(start_by_hand(&by_hand, &lan, by_hand_in.path())?);
            }
        }
    }
    report::progress(format_args!("  inn {}, by hand {}", spread(&mut inns), spread(&mut hands)));
    let name = "inn start to an answer on the guest's address, beside it by hand";
    let measured = Measured::new(name, ms(median(&mut inns)), "ms");
    Ok(vec![measured.beside(ms(median(&mut hands))).at_most_times(1.05)])
}

/// From the command's own start on.
fn by_inn(state: &State) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let command = Process::spawn(&mut state.inn(&["start", NAME]))?;
    let came = answered(ADDRESS, UP_WITHIN)?;
    ensure!(command.wait(UP_WITHIN)?.success(), "`inn start` failed");
    Ok(came - started)
}

fn start_by_hand(by_hand: &ByHand, lan: &Lan, folder: &Path) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let (qemu, _line) = by_hand.start_on(folder, Some(lan.tap()?))?;
    let came = answered(Lan::GUEST, UP_WITHIN)?;
    drop(qemu);
    lan.remove_tap()?;
    Ok(came - started)
}
