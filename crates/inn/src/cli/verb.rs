//! `inn start`, `kill`, `reset`, `pause`, `resume`: a verb for one VM or several.

use super::{Context, VmsArg};
use crate::{
    client::Call,
    failure::Failure,
    mutation::{Waiting, carry_out},
};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Vms {
    #[command(flatten)]
    vms: VmsArg,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(
    context: &Context,
    Vms { vms, waiting }: Vms,
    verb: &str,
    done: &'static str,
) -> Result<(), Failure> {
    let job = |vm: String| context.job(&vm, Call::post(context.of_vm(&vm, verb)), done);
    carry_out(context, waiting, vms.vms.into_iter().map(job).collect()).await
}
