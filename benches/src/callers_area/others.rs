//! Whether the time of a refusal tells an owner what others have: a VM of another project's, beside one that there is
//! not, in turns, on one connection.

use super::start;
use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::{median, spread},
    report,
    rig::{
        daemon::State,
        http::{Address, Connection},
    },
};
use anyhow::{Context, bail};
use innkeeper_model::VmId;
use serde_json::{Value, json};

/// So much longer or shorter is in the noise of the middle of so many.
const SAME: f64 = 1.1;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let state = State::new(bench)?;
    let (daemon, theirs) = start(&state)?;
    let owner = json!({ "name": "owner", "role": "owner", "project": "mine" }).to_string();
    let made = daemon.api()?.ask("POST", "/v1/tokens", &owner)?;
    let made: Value = serde_json::from_slice(&made)?;
    let token = made["text"].as_str().context("a token is shown when it is made")?.to_owned();
    let Address::Tcp(address, _) = daemon.tcp()? else { bail!("TCP has a port") };
    let mut connection = Connection::open(&Address::Tcp(address, Some(token)))?;
    let nobodys = format!("/v1/vms/{}", VmId::new());
    let [theirs, nobodys] = [theirs, nobodys].map(|path| connection.compose("GET", &path, "", ""));
    let (mut of_others, mut of_nobody) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds(10_000, 50) {
        of_others.push(connection.time_of(404, &theirs)?.whole);
        of_nobody.push(connection.time_of(404, &nobodys)?.whole);
    }
    report::progress(format_args!(
        "  {} beside {}",
        spread(&mut of_others),
        spread(&mut of_nobody)
    ));
    let [one, other] =
        [of_others, of_nobody].map(|mut times| median(&mut times).as_secs_f64() * 1e6);
    let name = "a VM of another project's asked for by an owner, beside one that there is not";
    Ok(vec![
        Measured::new(name, one, "us").beside(other).at_most_times(SAME),
        Measured::new(format!("{name}: no quicker"), one, "us")
            .beside(other)
            .at_least_times(1.0 / SAME),
    ])
}
