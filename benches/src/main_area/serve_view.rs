//! A process of its own with the real view and the real API, and nothing behind them: changes are
//! posted to the view's inbox as fast as they are asked for.
//!
//! It reads commands from its standard input, `post COUNT RATE`, and answers each with a line when it
//! is done; it ends when the input does. Each change tells in its `resets` how many microseconds after
//! `--since` it was posted.

use crate::rig::specs;
use anyhow::{Context, bail};
use clap::Args;
use innkeeper_api::ApiState;
use innkeeper_model::{Facts, MachineState, VmId};
use innkeeper_surface::ReadOnly;
use innkeeper_view::{Update, View, ViewOptions};
use std::{
    io::Write,
    path::PathBuf,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::UnixListener,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The command that makes this program the server.
pub(crate) const COMMAND: &str = "serve-view";
/// As many as the daemon has at least.
const WORKERS: usize = 2;

/// How the server is set up.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many VMs are in the view
    #[arg(long)]
    vms: usize,
    /// The socket to serve on
    #[arg(long)]
    socket: PathBuf,
    /// The moment from which on changes tell when they were posted, in microseconds since 1970
    #[arg(long)]
    since: u64,
}

/// Serves until the input ends.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(WORKERS).enable_all().build()?.block_on(serve(options))
}

async fn serve(options: Options) -> anyhow::Result<()> {
    let view = View::start(ViewOptions::new(Uuid::now_v7()));
    let specs: Vec<_> = (0..options.vms).map(specs::spec).collect();
    let ids: Vec<VmId> = specs.iter().map(|spec| spec.id).collect();
    view.barrier(specs.into_iter().map(|spec| Update::VmSpec(Arc::new(spec))).collect()).await?;
    let stopping = CancellationToken::new();
    let nobody = Default::default();
    let state = ApiState::new(view.clone(), Arc::new(ReadOnly), None, nobody, stopping.clone());
    let listener = UnixListener::bind(&options.socket)?;
    let serving = tokio::spawn(innkeeper_api::serve_unix(listener, state));
    answer("ready")?;
    let mut commands = BufReader::new(tokio::io::stdin()).lines();
    while let Some(command) = commands.next_line().await? {
        let (count, rate) = parse(&command)?;
        post(&view, &ids, options.since, count, rate).await?;
        answer("posted")?;
    }
    stopping.cancel();
    Ok(serving.await?)
}

fn parse(command: &str) -> anyhow::Result<(u64, u64)> {
    let mut words = command.split(' ');
    match (words.next(), words.next(), words.next()) {
        (Some("post"), Some(count), Some(rate)) => Ok((count.parse()?, rate.parse()?)),
        _ => bail!("not a command: {command:?}"),
    }
}

async fn post(view: &View, ids: &[VmId], since: u64, count: u64, rate: u64) -> anyhow::Result<()> {
    let since = UNIX_EPOCH + Duration::from_micros(since);
    let mut tick = interval(Duration::from_secs(1) / u32::try_from(rate)?);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for id in ids.iter().cycle().take(usize::try_from(count)?) {
        tick.tick().await;
        let resets = u32::try_from(since.elapsed()?.as_micros()).context("a run under an hour")?;
        let facts = Facts { machine: MachineState::Running, resets, ..Facts::default() };
        view.post(Update::VmFacts { id: *id, facts });
    }
    Ok(())
}

fn answer(word: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{word}")
}
