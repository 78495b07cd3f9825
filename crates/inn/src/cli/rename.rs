//! `inn rename`: another name for the same VM.

use super::{
    Context, VmArg,
    dry_run::{self, DryRun},
};
use crate::{client::Call, failure::Failure, mutation::Waiting};
use clap::Args;
use innkeeper_model::VmName;
use serde_json::json;

#[derive(Debug, Args)]
pub(super) struct Rename {
    #[command(flatten)]
    vm: VmArg,
    /// Its new name
    new: VmName,
    #[command(flatten)]
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(context: &Context, rename: Rename) -> Result<(), Failure> {
    let vm = rename.vm.vm;
    let call = Call::patch(context.vm(&vm)).with_body(json!({"name": rename.new}));
    let jobs = vec![context.job(&vm, call, "renamed")];
    dry_run::carry_out(context, rename.planning, rename.waiting, jobs).await
}
