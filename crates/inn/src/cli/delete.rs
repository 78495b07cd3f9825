//! `inn delete`: VMs and their disks, after asking whoever sits there. What was adopted from another
//! manager is only given back to it.

use super::{
    Context, VmsArg,
    dry_run::{self, DryRun},
};
use crate::{
    client::{Call, decode},
    failure::{Exit, Failure},
    mutation::{Job, Shows, Waiting},
    output::Output,
};
use clap::Args;
use innkeeper_model::Vm;
use std::io::{self, BufRead, IsTerminal};

#[derive(Debug, Args)]
#[command(
    after_help = "A VM that was adopted from another manager, such as libvirt, is given back to it: its \
    machine goes on as it is, and nothing of it is removed."
)]
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
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(context: &Context, delete: Delete) -> Result<(), Failure> {
    let vms = delete.vms.vms;
    let mut fates = Vec::new();
    for vm in vms {
        fates.push(Fate::of(context, vm).await);
    }
    if !delete.yes && !delete.planning.dry_run {
        confirm(&context.output, &question(&fates))?;
    }
    let job = |Fate { vm, manager }: Fate| {
        let force = delete.force.then_some(true);
        let call = Call::delete(context.vm(&vm).with_any("force", force));
        let done = if manager.is_some() { "given back to its manager" } else { "deleted" };
        Job { subject: vm, call, done, shows: Shows::Task }
    };
    let jobs = fates.into_iter().map(job).collect();
    dry_run::carry_out(context, delete.planning, delete.waiting, jobs).await
}

/// What becomes of a VM.
struct Fate {
    vm: String,
    /// Whose it is again, if it was adopted.
    manager: Option<String>,
}

impl Fate {
    /// As far as can be known: what cannot be found is for the daemon to refuse.
    async fn of(context: &Context, vm: String) -> Self {
        let found = context.client.get(context.vm(&vm)).await;
        let found = found.and_then(|answer| decode::<Vm>(answer.body)).ok();
        let adopted = found.filter(|found| !found.is_foreign());
        let manager = adopted.and_then(|vm| vm.manager().map(str::to_owned));
        Self { vm, manager }
    }
}

fn question(fates: &[Fate]) -> String {
    let named = |given_back: bool| {
        let those = fates.iter().filter(|fate| fate.manager.is_some() == given_back);
        those.map(|fate| fate.vm.as_str()).collect::<Vec<_>>().join(", ")
    };
    match (named(false), named(true)) {
        (gone, back) if back.is_empty() => format!("delete {gone} and its disks?"),
        (gone, back) if gone.is_empty() => format!("give {back} back, and leave it as it is?"),
        (gone, back) => format!("delete {gone} and its disks, and give {back} back as it is?"),
    }
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
