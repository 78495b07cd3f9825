//! `inn rename`: another name for the same VM.

use super::{Context, VmArg};
use crate::{
    client::Call,
    failure::Failure,
    mutation::{Waiting, carry_out},
};
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
    waiting: Waiting,
}

pub(super) async fn run(context: &Context, rename: Rename) -> Result<(), Failure> {
    let vm = rename.vm.vm;
    let call = Call::patch(context.vm(&vm)).with_body(json!({"name": rename.new}));
    carry_out(context, rename.waiting, vec![context.job(&vm, call, "renamed")]).await
}
