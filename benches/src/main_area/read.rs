//! One VM read over HTTP, with ten thousand in the view, beside Node.js answering the same bytes.

use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::{median_number, ms, quantile},
    rig::{
        cleanup::Folder,
        daemon::{Daemon, State, body_of},
        http::Address,
        node::Node,
        open_loop, wrk,
    },
};
use std::time::Duration;

/// The open-loop load, in requests a second.
const RATE: u32 = 2_000;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let (state, folder) = (State::new(bench)?, Folder::new(&bench.scratch)?);
    bench.store_many(state.path())?;
    let daemon = Daemon::start(&state)?;
    let vms: serde_json::Value = daemon.api()?.get("/v1/vms?name=vm-05000")?;
    let path = format!("/v1/vms/{}", vms["items"][0]["id"].as_str().unwrap_or_default());
    let inn = daemon.tcp()?;
    let node = Node::start(&folder, &body_of(&inn, &path)?)?;
    let peer = Address::Tcp(node.address, None);
    Ok(vec![throughput(bench, &inn, &peer, &path)?, latency(bench, &inn, &peer, &path)?])
}

fn throughput(bench: &Bench, inn: &Address, node: &Address, path: &str) -> anyhow::Result<Figure> {
    let (warm_up, duration) = (Duration::from_secs(1), bench.seconds(5, 1));
    let (mut inns, mut nodes) = (Vec::new(), Vec::new());
    for server in [inn, node] {
        wrk::requests_a_second(server, path, warm_up)?;
    }
    for _ in 0..bench.rounds(3, 1) {
        inns.push(wrk::requests_a_second(inn, path, duration)?);
        nodes.push(wrk::requests_a_second(node, path, duration)?);
    }
    let name = "one VM read, wrk -t1 -c16, beside Node.js";
    let measured = Measured::new(name, median_number(&mut inns), "requests/s");
    Ok(measured.beside(median_number(&mut nodes)).at_least_times(2.0))
}

fn latency(bench: &Bench, inn: &Address, node: &Address, path: &str) -> anyhow::Result<Figure> {
    let (mut inns, mut nodes) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds(3, 1) {
        for (server, p99s) in [(inn, &mut inns), (node, &mut nodes)] {
            let mut latencies = open_loop::latencies(server, path, RATE, bench.seconds(3, 1))?;
            p99s.push(ms(quantile(&mut latencies, 0.99)));
        }
    }
    let name = "one VM read, open loop at 2,000/s, p99, beside Node.js";
    let measured = Measured::new(name, median_number(&mut inns), "ms");
    Ok(measured.beside(median_number(&mut nodes)).at_most(0.5))
}
