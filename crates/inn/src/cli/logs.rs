//! `inn logs`: what a guest wrote to its serial console, or its hypervisor to its standard error.

mod harmless;

use super::{Context, VmArg};
use crate::{client::Call, failure::Failure};
use clap::Args;
use harmless::Harmless;
use http_body_util::BodyExt;
use std::io::{self, IsTerminal};

#[derive(Debug, Args)]
#[command(after_help = "On a terminal, what would steer it is left out; otherwise every byte is \
    written as it came. With --follow the log is looked at four times a second, and the console stays \
    free; where more than 64 KiB came between two looks, a line says that some is missing.")]
pub(super) struct Logs {
    #[command(flatten)]
    vm: VmArg,
    /// What the hypervisor has said, rather than the guest
    #[arg(long)]
    hypervisor: bool,
    /// Go on with what comes, until Ctrl-C or until the VM is deleted
    #[arg(short, long)]
    follow: bool,
}

pub(super) async fn run(context: &Context, logs: Logs) -> Result<(), Failure> {
    let source = if logs.hypervisor { "hypervisor" } else { "serial" };
    let follow = logs.follow.then_some("true");
    let target =
        context.of_vm(&logs.vm.vm, "logs").with("source", source).with_any("follow", follow);
    let mut body = context.client.open(Call::get(target)).await?.into_body();
    let mut harmless = io::stdout().is_terminal().then(Harmless::default);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| crate::client::broken(&error))?;
        match (frame.data_ref(), &mut harmless) {
            (Some(data), Some(harmless)) => context.output.data(harmless.take(data))?,
            (Some(data), None) => context.output.data(data)?,
            (None, _) => {}
        }
    }
    harmless.map_or(Ok(()), |harmless| context.output.data(harmless.end()))
}
