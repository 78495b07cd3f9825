//! `inn delete`: VMs and their disks, after asking whoever sits there.

use super::{Context, VmsArg};
use crate::{
    client::Call,
    failure::{Exit, Failure},
    mutation::{Job, Shows, Waiting, carry_out},
    output::Output,
};
use clap::Args;
use std::io::{self, BufRead, IsTerminal};

#[derive(Debug, Args)]
pub(super) struct Delete {
    #[command(flatten)]
    vms: VmsArg,
    /// Kill those that run, and delete those whose stored spec is damaged
    #[arg(long)]
    force: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(context: &Context, delete: Delete) -> Result<(), Failure> {
    let vms = delete.vms.vms;
    if !delete.yes {
        confirm(&context.output, &format!("delete {} and its disks?", vms.join(", ")))?;
    }
    let job = |vm: String| {
        let force = delete.force.then_some(true);
        let call = Call::delete(context.vm(&vm).with_any("force", force));
        Job { subject: vm, call, done: "deleted", shows: Shows::Task }
    };
    carry_out(context, delete.waiting, vms.into_iter().map(job).collect()).await
}

/// Asks, where somebody is there to answer; a script has decided already.
fn confirm(output: &Output, question: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(());
    }
    output.ask(format_args!("{question} [y/N] "));
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes" | "Yes") {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, "nothing was deleted"))
}
