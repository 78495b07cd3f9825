//! `vmadm start`, `stop` and `reboot`.

use super::{Context, one, perform};
use crate::{
    client::{Call, Target},
    failure::{Exit, Failure},
};
use clap::Args;
use innkeeper_model::{Code, Vm, VmState, config::Autostart};
use serde_json::json;

/// How long a guest may take to stop before its plug is pulled, in seconds, where nobody says.
const STOP_WITHIN_S: u64 = 180;

#[derive(Debug, Args)]
pub(super) struct Start {
    /// The VM's id
    uuid: String,
    /// What to boot from this once; not possible here
    #[arg(value_name = "order=|cdrom=|disk=")]
    once: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Stop {
    /// Pull its plug at once
    #[arg(short = 'F', long)]
    force: bool,
    /// How long its guest may take, in seconds, before that is done
    #[arg(short, long, value_name = "SECONDS", default_value_t = STOP_WITHIN_S)]
    timeout: u64,
    /// The VM's id
    uuid: String,
}

#[derive(Debug, Args)]
pub(super) struct Reboot {
    /// Do not ask its guest
    #[arg(short = 'F', long)]
    force: bool,
    /// The VM's id
    uuid: String,
}

pub(super) async fn start(context: &Context, start: Start) -> Result<(), Failure> {
    let Start { uuid, once } = start;
    if let Some(setting) = once.first() {
        let message = format!("Invalid setting: {setting:?} (a VM boots from its first disk here)");
        return Err(Failure::new(Exit::Failed, message));
    }
    let vm = one(context, &uuid).await?;
    if vm.is_on() {
        context.output.talk(format_args!("VM {uuid} is already {}", vm.state));
        return Ok(());
    }
    // What a suspended guest remembers is not given up by a word that knows of no such thing.
    let verb = if vm.state == VmState::Suspended { "resume" } else { "start" };
    perform(context, verb_of(&vm, verb)).await?;
    // As the ancestor's does, it makes `autoboot` true. The machine of another manager is not started with the host.
    let is_never = vm.spec.as_ref().is_some_and(|spec| spec.config.autostart == Autostart::Never);
    if is_never && vm.manager().is_none() {
        let patch = json!({ "autostart": Autostart::Auto });
        perform(context, Call::patch(Target::vm(vm.id)).with_body(patch)).await?;
    }
    context.output.talk(format_args!("Successfully started VM {uuid}"));
    Ok(())
}

pub(super) async fn stop(context: &Context, stop: Stop) -> Result<(), Failure> {
    let Stop { force, timeout, uuid } = stop;
    let vm = one(context, &uuid).await?;
    if !vm.is_on() {
        context.output.talk(format_args!("VM {uuid} is already {}", vm.state));
        return Ok(());
    }
    let is_done = match force {
        true => false,
        false => {
            let call = verb_of(&vm, "stop").with_body(json!({ "timeout_s": timeout }));
            match perform(context, call).await {
                Ok(_) => true,
                Err(failure) if failure.code == Some(Code::Timeout) => false,
                Err(failure) => return Err(failure),
            }
        }
    };
    if !is_done {
        perform(context, verb_of(&vm, "kill")).await?;
    }
    context.output.talk(format_args!("Successfully completed stop for VM {uuid}"));
    Ok(())
}

pub(super) async fn reboot(context: &Context, reboot: Reboot) -> Result<(), Failure> {
    let Reboot { force, uuid } = reboot;
    let vm = one(context, &uuid).await?;
    if !vm.is_on() {
        let message = format!("Unable to reboot VM {uuid}: it is {}", vm.state);
        return Err(Failure::new(Exit::Failed, message));
    }
    let call = verb_of(&vm, "reboot").with_body(json!({ "force": force }));
    perform(context, call).await?;
    context.output.talk(format_args!("Successfully completed reboot for VM {uuid}"));
    Ok(())
}

fn verb_of(vm: &Vm, verb: &str) -> Call {
    Call::post(Target::vm(vm.id).segment(verb))
}
