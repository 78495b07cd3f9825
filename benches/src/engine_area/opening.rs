//! From the exec of a daemon until it serves, after the one before was killed at work: with a gibibyte
//! of history, beside none.

use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::{median, ms},
    report,
    rig::{
        api::Api,
        crowd::Crowd,
        daemon::{Daemon, State},
        lives::Lives,
    },
};
use anyhow::{Context, ensure};
use innkeeper_model::{Task, TaskId, Timestamp};
use innkeeper_store::TaskHistory;
use serde::Deserialize;
use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

/// The bytes of tasks that the history is given.
const HISTORY: usize = 1 << 30;
/// How many tasks are remembered at once, as by the engine.
const BATCH: usize = 4096;
/// How many VMs live before a daemon is killed: what they did is in the journal, and about to be put
/// into the history.
const LIVES: usize = 100;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let (none, much) = (state(bench)?, state(bench)?);
    let begun = Instant::now();
    let template = tasks(&much)?;
    let count = fill(&much, &template, bench.rounds(HISTORY, HISTORY >> 6))?;
    let file = fs::metadata(history(&much))?.len();
    report::progress(format_args!(
        "  {count} tasks remembered in {:.0?}; the file has {} MiB",
        begun.elapsed(),
        file >> 20
    ));
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds(15, 2) {
        with.push(after_kill(&much)?);
        without.push(after_kill(&none)?);
    }
    let measured =
        Measured::new("opening after kill -9, 1 GiB of history", ms(median(&mut with)), "ms");
    Ok(vec![measured.beside(ms(median(&mut without))).at_most_more(50.0)])
}

fn state(bench: &Bench) -> anyhow::Result<State> {
    let state = State::simulated(bench)?;
    // More than there will be, so that nothing is forgotten.
    state.configure_limits("kept_tasks = 100000000\n")?;
    Ok(state)
}

fn history(state: &State) -> PathBuf {
    state.path().join("tasks.redb")
}

/// Tasks as they are when some VMs have lived.
fn tasks(state: &State) -> anyhow::Result<Vec<Task>> {
    #[derive(Deserialize)]
    struct List {
        items: Vec<Task>,
    }
    let daemon = Daemon::start(state)?;
    Lives::new(LIVES)?.live(&mut Crowd::connect(&state.socket(), 1)?)?;
    let list: List = daemon.api()?.get("/v1/tasks")?;
    daemon.terminate()?;
    ensure!(!list.items.is_empty(), "no task is shown");
    Ok(list.items)
}

/// Has so many bytes of tasks remembered, as if they had been done again and again; says how many tasks
/// these are.
fn fill(state: &State, template: &[Task], bytes: usize) -> anyhow::Result<usize> {
    let each = serde_json::to_vec(template)?.len() / template.len();
    let count = bytes / each.max(1);
    let opened = TaskHistory::open(&history(state))?;
    ensure!(opened.lost.is_none(), "the history was lost: {:?}", opened.lost);
    let mut tasks = template.iter().cycle().take(count).map(|task| Task {
        id: TaskId::new(),
        created: Timestamp::now(),
        ..task.clone()
    });
    loop {
        let batch: Vec<Task> = tasks.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return Ok(count);
        }
        opened.history.put(&batch)?;
    }
}

/// Kills a daemon that has just done something, and starts the next.
fn after_kill(state: &State) -> anyhow::Result<Duration> {
    let daemon = Daemon::start(state)?;
    Lives::new(LIVES)?.live(&mut Crowd::connect(&state.socket(), 16)?)?;
    daemon.kill();
    let serves = |api: &mut Api| api.get("/v1/host").map(|_: serde_json::Value| true);
    let (daemon, took) = Daemon::start_timed(state, serves).context("the next daemon")?;
    daemon.kill();
    Ok(took)
}
