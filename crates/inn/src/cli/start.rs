//! `inn start`.

use super::{Context, VmsArg, dry_run::DryRun, verb::Verb};
use crate::{failure::Failure, mutation::Waiting};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Start {
    #[command(flatten)]
    vms: VmsArg,
    /// Give up the memory of a suspended VM, which `inn resume` would go on from; without this, such
    /// a VM is not started
    #[arg(long)]
    discard_memory: bool,
    #[command(flatten)]
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(context: &Context, start: Start) -> Result<(), Failure> {
    let Start { vms, discard_memory, planning, waiting } = start;
    let parameter = discard_memory.then_some("discard_memory");
    let verb = Verb { verb: "start", parameter, body: None, done: "started" };
    verb.of(context, vms, planning, waiting).await
}
