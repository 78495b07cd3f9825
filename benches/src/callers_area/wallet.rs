//! One VM read by who shows a token that a wallet signed, beside the same read by others: in turns, on one
//! connection.

use super::{showing, start};
use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::{median, spread},
    report,
    rig::{
        daemon::State,
        http::{Address, Connection},
        wallet::Wallet,
    },
};
use anyhow::bail;
use std::{iter::repeat_n, time::Duration};

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let (state, wallet) = (State::new(bench)?, Wallet::nth(0)?);
    // Who owns a project may not read VMs here.
    state.configure(&format!("[wallets]\nadmins = [\"{}\"]\n", wallet.address()))?;
    let (daemon, path) = start(&state)?;
    let Address::Tcp(address, Some(own)) = daemon.tcp()? else { bail!("TCP needs a token") };
    let mut unix = Connection::open(daemon.unix())?;
    let mut tcp = Connection::open(&Address::Tcp(address, None))?;
    let read = |headers: &str| tcp.compose("GET", &path, headers, "");
    let (by_nobody, by_token) = (read(""), read(&showing(&own)));
    let by_wallet = read(&showing(&wallet.token("seen")?));
    let seen = bench.rounds(20_000, 50);
    // Made before: the daemon shall not have had a rest while a token was signed.
    let strangers = (0..bench.rounds(3_000, 20))
        .map(|n| Ok([read(&showing(&wallet.token(&format!("new-{n}"))?)), by_token.clone()]))
        .collect::<anyhow::Result<Vec<_>>>()?;

    let beside_nobody = repeat_n([by_wallet.clone(), by_nobody], seen);
    let beside_token = repeat_n([by_wallet, by_token], seen);
    let name = |what: &str| format!("one VM read with a wallet's token (ES256K), {what}");
    Ok(vec![
        in_turns(&name("seen before, unix socket, beside none"), &mut unix, beside_nobody)?
            .at_most_more(20.0),
        in_turns(&name("seen before, TCP, beside the daemon's own"), &mut tcp, beside_token)?
            .at_most_more(20.0),
        in_turns(&name("a new one each, TCP, beside the daemon's own"), &mut tcp, strangers)?
            .at_most_more(300.0),
    ])
}

/// What the first of two requests takes beside the second.
fn in_turns(
    name: &str,
    connection: &mut Connection,
    pairs: impl IntoIterator<Item = [Vec<u8>; 2]>,
) -> anyhow::Result<Measured> {
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for [one, other] in pairs {
        ones.push(connection.time(&one)?.whole);
        others.push(connection.time(&other)?.whole);
    }
    report::progress(format_args!("  {} beside {}", spread(&mut ones), spread(&mut others)));
    let [one, other] = [ones, others].map(|mut times| us(median(&mut times)));
    Ok(Measured::new(name, one, "us").beside(other))
}

/// In microseconds.
fn us(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
