//! One VM read over HTTP, with ten thousand in the view, beside Node.js answering the same bytes.

use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::{median_number, ms, quantile},
    rig::{
        cleanup::Folder,
        daemon::{Daemon, State, body_of},
        floor::Floor,
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
    let body = body_of(&inn, &path)?;
    let (node, floor) = (Node::start(&folder, &body)?, Floor::start(&folder, &body)?);
    let peers = [Address::Tcp(node.address, None), Address::Tcp(floor.address, None)];
    let mut figures = throughput(bench, &inn, &peers, &path)?;
    figures.push(latency(bench, &inn, &peers[0], &path)?);
    Ok(figures)
}

/// wrk's one thread asks no faster than the bare server answers, so that twice Node.js may be more than
/// can be measured here; how near the answer is to that floor says what there is to gain.
fn throughput(
    bench: &Bench,
    inn: &Address,
    peers: &[Address; 2],
    path: &str,
) -> anyhow::Result<Vec<Figure>> {
    let (warm_up, duration) = (Duration::from_secs(1), bench.seconds(5, 1));
    let servers = [inn, &peers[0], &peers[1]];
    for server in servers {
        wrk::requests_a_second(server, path, warm_up)?;
    }
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..bench.rounds(3, 1) {
        for (server, rates) in servers.iter().zip(&mut rates) {
            rates.push(wrk::requests_a_second(server, path, duration)?);
        }
    }
    let [inn, node, bare] = rates.map(|mut rates| median_number(&mut rates));
    let measured = |peer: &str| {
        let name = format!("one VM read, wrk -t1 -c16, beside {peer}");
        Measured::new(name, inn, "requests/s")
    };
    Ok(vec![
        measured("Node.js").beside(node).at_least_times(2.0),
        measured("a bare server").beside(bare).at_least_times(0.75),
    ])
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
