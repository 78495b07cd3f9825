//! A caller while another one floods the daemon, which has the limits of one that was told nothing of any.
//!
//! The flood's sender takes its part of the processors that the daemon and the other caller share, which one
//! on another host would not: it is in the figure.

use super::start;
use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::{median_number, ms, quantile},
    report,
    rig::{
        daemon::{Daemon, State},
        flood::Flood,
        http::Address,
        open_loop,
    },
};
use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};

/// The flood's requests a second.
const FLOOD: u32 = 20_000;
/// So near to that its sender has to come.
const NEARLY: f64 = 0.95;
/// The other caller's, which its limit allows.
const RATE: u32 = 150;
/// How many reads a second the daemon allows where nobody said otherwise; as many may come at once.
const LIMIT: f64 = 200.0;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let state = State::new(bench)?;
    state.limit_as_by_default()?;
    let (daemon, path) = start(&state)?;
    let (quiet, loud) = (Caller::new(&daemon, "quiet")?, Caller::new(&daemon, "loud")?);
    let (mut without, mut with, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    let duration = bench.seconds(8, 2);
    for _ in 0..bench.rounds(5, 1) {
        without.push(quiet.p99(&path, duration)?);
        let flood = Flood::start(loud.address, &loud.token, &path, FLOOD)?;
        let p99 = quiet.p99(&path, duration);
        let flooded = flood.end()?;
        with.push(p99?);
        let allowed = LIMIT * (flooded.took.as_secs_f64() + 1.0);
        ensure!(flooded.passed() as f64 <= allowed, "not limited: {flooded:?}");
        rates.push(flooded.rate());
        report::progress(format_args!("  {with:.3?} beside {without:.3?}, {flooded:?}"));
    }
    Ok(vec![
        Measured::new(
            "one VM read, open loop at 150/s, p99 while another caller floods, beside without",
            median_number(&mut with),
            "ms",
        )
        .beside(median_number(&mut without))
        .at_most_times(2.0),
        Measured::new("the flood's requests that were answered", median_number(&mut rates), "/s")
            .at_least(f64::from(FLOOD) * NEARLY),
    ])
}

/// Somebody with a token.
struct Caller {
    address: SocketAddr,
    token: String,
}

impl Caller {
    fn new(daemon: &Daemon, name: &str) -> anyhow::Result<Self> {
        let wanted = json!({ "name": name, "role": "viewer" }).to_string();
        let made = daemon.api()?.ask("POST", "/v1/tokens", &wanted)?;
        let made: Value = serde_json::from_slice(&made)?;
        let token = made["text"].as_str().context("a token is shown when it is made")?.to_owned();
        let Address::Tcp(address, _) = daemon.tcp()? else { bail!("TCP has a port") };
        Ok(Self { address, token })
    }

    /// In milliseconds.
    fn p99(&self, path: &str, duration: Duration) -> anyhow::Result<f64> {
        let address = Address::Tcp(self.address, Some(self.token.clone()));
        let mut latencies = open_loop::latencies(&address, path, RATE, duration)?;
        Ok(ms(quantile(&mut latencies, 0.99)))
    }
}
