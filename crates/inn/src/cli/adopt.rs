//! `inn adopt`: a machine that somebody else made becomes a VM.

use super::Context;
use crate::{
    client::{Call, Target},
    failure::Failure,
    mutation::{Job, Shows, Waiting, carry_out},
};
use clap::Args;
use innkeeper_model::VmName;
use serde_json::json;

#[derive(Debug, Args)]
#[command(
    after_help = "The machine goes on undisturbed. From then on it can be stopped, killed, watched and \
    connected to like any VM. What it is has been guessed from how it was started, as a draft: look \
    through it with `inn edit` and save it, before which the VM cannot be started again. `inn host` \
    lists the machines, and why some cannot be adopted."
)]
pub(super) struct Adopt {
    /// The machine's process, as `inn host` lists it
    pid: u32,
    /// The VM's name; without it, the name that the machine was given when it was started
    #[arg(long)]
    name: Option<VmName>,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(context: &Context, adopt: Adopt) -> Result<(), Failure> {
    let Adopt { pid, name, waiting } = adopt;
    let call = Call::post(Target::new("/v1/foreign").segment(pid).segment("adopt"));
    let call = match &name {
        Some(name) => call.with_body(json!({ "name": name })),
        None => call,
    };
    let subject = name.map_or_else(|| pid.to_string(), |name| name.to_string());
    let job = Job { subject, call, done: "adopted", shows: Shows::Vm };
    carry_out(context, waiting, vec![job]).await?;
    if !waiting.no_wait {
        context
            .output
            .talk("look through its draft with inn edit, and save it, before its next start");
    }
    Ok(())
}
