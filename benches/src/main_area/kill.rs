//! What a guest feels of `kill -9` to its daemon: the largest gap between its ticks, by its own
//! clock, beside as long a time in which nothing happens.

use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::{median, ms},
    rig::{
        daemon::{Daemon, State},
        guest::{SerialLine, UP, UP_WITHIN, tiny},
    },
};
use anyhow::ensure;
use innkeeper_model::VmState;
use std::{
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

/// How often the guest ticks.
const TICK: Duration = Duration::from_millis(10);
/// How long the daemon stays dead.
const DEAD_FOR: Duration = Duration::from_millis(500);
/// How long the line may be silent before the guest is taken for gone.
const SILENCE: Duration = Duration::from_secs(10);

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let state = State::new(bench)?;
    let mut daemon = Daemon::start(&state)?;
    let mut api = daemon.api()?;
    let id = api.create(&tiny(bench, "ticking", &format!("inn.tick={}", TICK.as_millis()))?)?;
    api.power(id, "start")?;
    let mut line = SerialLine::open(&state.path().join("run/vms").join(id.to_string()), UP_WITHIN)?;
    line.wait_for(UP, UP_WITHIN)?;
    let ticks = follow(line)?;
    // The rest of its boot.
    largest_gap(&ticks, Duration::from_secs(3))?;

    let (mut undisturbed, mut killed) = (Vec::new(), Vec::new());
    let half = Duration::from_millis(1_500);
    for _ in 0..bench.rounds(5, 1) {
        undisturbed.push(largest_gap(&ticks, 2 * half + DEAD_FOR)?);
        daemon.kill();
        let dead = largest_gap(&ticks, DEAD_FOR)?;
        let back;
        (daemon, back) = (Daemon::start(&state)?, largest_gap(&ticks, 2 * half)?);
        killed.push(dead.max(back));
        let found = daemon.api()?.vm(id)?.state;
        ensure!(found == VmState::Running, "the daemon found its guest {found}");
    }
    let name = "guest's largest tick gap when its daemon is killed, beside without";
    let measured = Measured::new(name, ms(median(&mut killed)), "ms");
    Ok(vec![measured.beside(ms(median(&mut undisturbed))).at_most_more(ms(TICK))])
}

/// Follows a guest's ticks: when each was, by its own clock.
fn follow(mut line: SerialLine) -> anyhow::Result<Receiver<Duration>> {
    let (found, ticks) = channel();
    thread::Builder::new().name("ticks".into()).spawn(move || {
        let mut text = Vec::new();
        // Ends when the guest does.
        while let Ok(read) = line.read_within(SILENCE) {
            text.extend_from_slice(read);
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let lines: Vec<u8> = text.drain(..whole).collect();
            for tick in String::from_utf8_lossy(&lines).lines().filter_map(parse) {
                if found.send(tick).is_err() {
                    return;
                }
            }
        }
    })?;
    Ok(ticks)
}

/// `tick NUMBER MILLISECONDS`
fn parse(line: &str) -> Option<Duration> {
    let mut words = line.trim().strip_prefix("tick ")?.split(' ');
    let (_number, ms) = (words.next()?, words.next()?);
    ms.parse().ok().map(Duration::from_millis)
}

/// Waits for so long, and gives the largest gap between two ticks since the last call.
fn largest_gap(ticks: &Receiver<Duration>, duration: Duration) -> anyhow::Result<Duration> {
    thread::sleep(duration);
    let ticks: Vec<_> = ticks.try_iter().collect();
    let gaps = ticks.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    let few = duration.as_millis() / TICK.as_millis() / 4;
    ensure!(ticks.len() as u128 > few, "the guest ticked {} times only", ticks.len());
    Ok(gaps.max().unwrap_or_default())
}
