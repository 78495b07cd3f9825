//! `inn adopt`: a machine that somebody else made becomes a VM, or a VM of another manager's is driven
//! here.

use super::{
    Context,
    dry_run::{self, DryRun},
};
use crate::{
    client::{Call, Target},
    failure::Failure,
    mutation::{Job, Shows, Waiting},
};
use clap::Args;
use clap_complete::ArgValueCompleter;
use innkeeper_model::VmName;
use serde_json::json;

#[derive(Debug, Args)]
#[command(
    after_help = "The machine goes on undisturbed. A process becomes a VM, which can be stopped, killed, \
    watched and connected to like any other. What it is has been guessed from how it was started, as a \
    draft: look through it with `inn edit` and save it, before which the VM cannot be started again. \
    `inn host` lists the processes, and why some cannot be adopted.\n\n\
    A VM of another manager's, such as libvirt's, which `inn list` shows with all others, stays that \
    manager's: from then on it can be started, stopped, killed, paused and resumed here, through its \
    manager. `inn delete` gives it back as it is, and removes nothing."
)]
pub(super) struct Adopt {
    /// The machine: the number of its process, as `inn host` lists it, or a VM of another manager's, by
    /// its name or id
    #[arg(value_name = "VM|PID", add = ArgValueCompleter::new(super::completion::vm_names))]
    machine: String,
    /// The VM's name; without it, the name that the machine has
    #[arg(long)]
    name: Option<VmName>,
    #[command(flatten)]
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(context: &Context, adopt: Adopt) -> Result<(), Failure> {
    let Adopt { machine, name, planning, waiting } = adopt;
    // No VM is meant by a number alone; who has one named so gives its id.
    let pid = machine.parse::<u32>().ok();
    let target = match pid {
        Some(pid) => Target::new("/v1/foreign").segment(pid).segment("adopt"),
        None => context.of_vm(&machine, "adopt"),
    };
    let call = Call::post(target);
    let call = match &name {
        Some(name) => call.with_body(json!({ "name": name })),
        None => call,
    };
    let subject = name.map_or(machine, |name| name.to_string());
    let job = Job { subject, call, done: "adopted", shows: Shows::Vm };
    dry_run::carry_out(context, planning, waiting, vec![job]).await?;
    if !(waiting.no_wait || planning.dry_run) && pid.is_some() {
        context
            .output
            .talk("look through its draft with inn edit, and save it, before its next start");
    }
    Ok(())
}
