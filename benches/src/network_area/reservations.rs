//! Ten thousand addresses of a /16 kept by one request, and given back by another, beside what the disk
//! takes to store the network's file twice.

use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::{median, ms, spread},
    report,
    rig::{
        api::Api,
        daemon::{Daemon, State},
    },
};
use anyhow::ensure;
use innkeeper_model::{Network, config::MacAddress, network::Reservation};
use innkeeper_store::write_atomically;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    fs,
    net::IpAddr,
    time::{Duration, Instant},
};

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let count = bench.rounds(10_000, 100);
    let state = State::new(bench)?;
    let daemon = Daemon::start(&state)?;
    let mut api = daemon.api()?;
    api.create_network("wide", "10.90.0.0/16")?;
    let network: Network = api.get("/v1/networks/wide")?;
    let path = format!("/v1/subnets/{}/reservations", network.subnets[0].id);
    let file = state.path().join(format!("networks/{}.json", network.id));

    // By number alone; and each by name, for somebody who gets it by DHCP.
    let (by_number, by_name) = (json!({ "count": count }), named(count));
    let (mut plain, mut whole, mut disk) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds(7, 1) {
        for (wanted, times) in [(&by_number, &mut plain), (&by_name, &mut whole)] {
            let begun = Instant::now();
            api.ask("POST", &path, &wanted.to_string())?;
            let keeping = begun.elapsed();
            let addresses = kept(&mut api, &path)?;
            ensure!(addresses.len() == count, "{} of {count} were kept", addresses.len());
            let release = json!({ "addresses": addresses }).to_string();
            disk.push(twice(&state, &fs::read(&file)?)?);
            let begun = Instant::now();
            api.ask("DELETE", &path, &release)?;
            times.push(keeping + begun.elapsed());
        }
    }
    ensure!(kept(&mut api, &path)?.is_empty(), "some are left");
    report::progress(format_args!(
        "  by number {}, by name {}, the disk alone {}",
        spread(&mut plain),
        spread(&mut whole),
        spread(&mut disk)
    ));
    let disk = ms(median(&mut disk));
    let figure = |how: &str, times: &mut [Duration]| {
        let name = format!("{count} reservations in a /16, {how}, then released");
        Measured::new(name, ms(median(times)), "ms").beside(disk).at_most(1_000.0)
    };
    Ok(vec![figure("by number", &mut plain), figure("by name and MAC", &mut whole)])
}

/// The addresses that are kept.
fn kept(api: &mut Api, path: &str) -> anyhow::Result<Vec<IpAddr>> {
    #[derive(Deserialize)]
    struct List {
        items: Vec<Reservation>,
    }
    let list: List = api.get(path)?;
    Ok(list.items.into_iter().map(|one| one.address).collect())
}

fn named(count: usize) -> Value {
    let reservation = |number: usize| {
        let [.., high, middle, low] = number.to_be_bytes();
        let mac = MacAddress::from_suffix([high, middle, low]);
        json!({ "name": format!("host-{number:05}"), "mac": mac })
    };
    (0..count).map(reservation).collect()
}

/// Stores a file of these bytes, twice.
fn twice(state: &State, bytes: &[u8]) -> anyhow::Result<Duration> {
    let path = state.files().join("network.json");
    let begun = Instant::now();
    for _ in 0..2 {
        write_atomically(&path, bytes, 0o600)?;
    }
    Ok(begun.elapsed())
}
