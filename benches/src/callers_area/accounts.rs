//! A hundred thousand accounts that have called lately: what the daemon keeps of them, and that it does not
//! when their quotas are whole again.

use super::showing;
use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::process::resident_data,
    report,
    rig::{
        crowd::Crowd,
        daemon::{Daemon, State},
        wallet::Wallet,
    },
};
use anyhow::{Context, ensure};
use std::{
    thread,
    time::{Duration, Instant},
};

const ACCOUNTS: usize = 100_000;
/// The most tokens that the daemon remembers to have verified. It remembers them before these accounts come,
/// whose limits alone are to be seen.
const KNOWN_TOKENS: usize = 16_384;
const CLIENTS: usize = 16;
/// [`BURST`] reads may come at once, and an account that has read once has its quota whole again after
/// [`LIVES`]. All of them sign in from one place, where by default a few tokens a second may be new.
const QUOTA: &str = "reads = \"40/h\"\nunauthenticated = \"1000000/s\"\n";
const BURST: usize = 40;
const LIVES: Duration = Duration::from_secs(90);
/// How long after that the daemon may take to forget them, which it does each minute, and to give back what is
/// free.
const FORGETS: Duration = Duration::from_secs(75);
const LOOKS_EVERY: Duration = Duration::from_secs(1);
/// After so many looks at which nothing less is resident, it stays.
const SETTLED_AFTER: u32 = 5;
/// What may stay of what they took, in pieces between what is in use.
const STAYS: f64 = 0.25;
/// After so little of it, a tenth, nobody waits for less.
const LITTLE: u64 = 10;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let state = State::new(bench)?;
    state.limit_as_by_default()?;
    state.configure_limits(QUOTA)?;
    state.configure("[wallets]\nopen = true\n")?;
    let daemon = Daemon::start(&state)?;
    let mut clients = Crowd::connect(&state.socket(), CLIENTS)?;
    let (known, accounts) = (bench.rounds(KNOWN_TOKENS, 60), bench.rounds(ACCOUNTS, 100));
    fill_known_tokens(&mut clients, known)?;
    let before = settled(daemon.pid())?;

    let begun = Instant::now();
    let calls = (1..=accounts).map_while(|number| call(&Wallet::nth(number).ok()?, "one"));
    let called = clients.ask(calls, 200)?.len();
    let took = begun.elapsed();
    ensure!(called == accounts, "only {called} accounts have called");
    ensure!(took < LIVES, "the first were forgotten before the last came, after {took:?}");
    let more = resident_data(daemon.pid())?.saturating_sub(before);
    report::progress(format_args!("  {accounts} in {took:.1?}: {} more", mib(more)));

    let within = bench.seconds((LIVES + FORGETS).as_secs(), 2);
    let left = least(daemon.pid(), before, more / LITTLE, within)?;
    Ok(vec![
        Measured::new(
            format!("resident for {accounts} accounts with live limits"),
            mib(more),
            "MiB",
        )
        .at_most(32.0),
        Measured::new("what stays of it when they are whole again", mib(left), "MiB")
            .beside(mib(more))
            .at_most_times(STAYS),
    ])
}

/// What is resident once the daemon has given back what its tokens took to verify, which else would serve the
/// accounts and hide them.
fn settled(pid: u32) -> anyhow::Result<u64> {
    let (mut least, mut unchanged) = (resident_data(pid)?, 0);
    while unchanged < SETTLED_AFTER {
        // The allocator gives back by and by, and does not tell.
        thread::sleep(LOOKS_EVERY);
        let now = resident_data(pid)?;
        unchanged = if now < least { 0 } else { unchanged + 1 };
        least = least.min(now);
    }
    Ok(least)
}

/// Has one account show so many tokens.
fn fill_known_tokens(clients: &mut Crowd, count: usize) -> anyhow::Result<()> {
    let wallet = Wallet::nth(0)?;
    let mut calls = (0..count).map_while(|number| call(&wallet, &format!("known-{number}")));
    // The others are refused, but only when they have been verified.
    let shown = clients.ask(calls.by_ref().take(BURST), 200)?.len();
    let refused = clients.ask(calls, 429)?.len();
    ensure!(shown + refused == count, "not all tokens were shown");
    Ok(())
}

/// A read that an account may do; nothing where no token can be made.
fn call(wallet: &Wallet, name: &str) -> Option<Vec<u8>> {
    let token = showing(&wallet.token(name).ok()?);
    Some(format!("GET /v1/networks HTTP/1.1\r\nHost: localhost\r\n{token}\r\n").into_bytes())
}

/// The least that is more resident within this time than was before; so little ends the wait.
fn least(pid: u32, before: u64, enough: u64, within: Duration) -> anyhow::Result<u64> {
    let end = Instant::now() + within;
    let mut least = u64::MAX;
    while Instant::now() < end && least > enough {
        // The daemon forgets by and by, and does not tell.
        thread::sleep(LOOKS_EVERY);
        least = least.min(resident_data(pid)?.saturating_sub(before));
    }
    (least < u64::MAX).then_some(least).context("there was no time to look")
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}
