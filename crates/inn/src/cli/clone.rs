//! `inn clone`: another VM like a stopped one, with copies of its disks.

use super::{
    Context, VmArg,
    dry_run::{self, DryRun},
};
use crate::{client::Call, failure::Failure, mutation::Waiting};
use clap::Args;
use innkeeper_model::VmName;
use serde_json::json;

#[derive(Debug, Args)]
pub(super) struct Clone {
    #[command(flatten)]
    vm: VmArg,
    /// The name of the copy
    new: VmName,
    #[command(flatten)]
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(context: &Context, clone: Clone) -> Result<(), Failure> {
    let vm = clone.vm.vm;
    let call = Call::post(context.of_vm(&vm, "clone")).with_body(json!({"name": clone.new}));
    let jobs = vec![context.job(&vm, call, "cloned")];
    dry_run::carry_out(context, clone.planning, clone.waiting, jobs).await
}
