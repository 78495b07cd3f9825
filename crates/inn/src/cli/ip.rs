//! `inn ip`: where a guest is reached.

use super::{
    Context, VmArg,
    addresses::{Version, best, reachable},
};
use crate::{
    client::decode,
    failure::{Exit, Failure},
    output::Format,
};
use clap::Args;
use innkeeper_model::{Vm, VmState};
use serde_json::json;

#[derive(Debug, Args)]
#[command(
    after_help = "For use in scripts: one address, the one that is known best, and nothing else. \
    -o json has all that is known, with how it is known."
)]
pub(super) struct Ip {
    #[command(flatten)]
    vm: VmArg,
    /// All addresses, one a line, the best first
    #[arg(long, short)]
    all: bool,
    /// Only IPv4
    #[arg(long, short = '4', conflicts_with = "ipv6")]
    ipv4: bool,
    /// Only IPv6
    #[arg(long, short = '6')]
    ipv6: bool,
}

pub(super) async fn run(context: &Context, ip: Ip) -> Result<(), Failure> {
    let output = &context.output;
    let body = context.client.get(context.vm(&ip.vm.vm)).await?.body;
    let known = body.get("addresses").cloned().unwrap_or_else(|| json!([]));
    let vm: Vm = decode(body)?;
    let version = match (ip.ipv4, ip.ipv6) {
        (true, _) => Some(Version::V4),
        (_, true) => Some(Version::V6),
        _ => None,
    };
    if matches!(output.format, Format::Json | Format::Yaml) {
        return output.document(&known);
    }
    let Some(best) = best(&vm, version) else { return Err(unknown(&vm, version)) };
    if !ip.all {
        return output.line(best.address);
    }
    reachable(&vm, version).into_iter().try_for_each(|known| output.line(known.address))
}

/// Why there is no address, or none to go to, and what to do.
pub(super) fn unknown(vm: &Vm, version: Option<Version>) -> Failure {
    let kind = match version {
        None => "address",
        Some(Version::V4) => "IPv4 address",
        Some(Version::V6) => "IPv6 address",
    };
    let message = match best(vm, version) {
        None => format!("no {kind} of {} is known", vm.name),
        Some(told) => format!(
            "no {kind} of {} is known but {}, which only its guest says, and which is not followed",
            vm.name, told.address
        ),
    };
    let nics = vm.spec.iter().flat_map(|spec| &spec.config.nics);
    let on_network = nics.clone().any(|nic| nic.network.network().is_some());
    let hint = if nics.count() == 0 {
        format!("it has no NIC; add one on a network with: inn edit {}", vm.name)
    } else if !on_network {
        format!(
            "its NICs are on no network of this host, where it would have one; connect one, or \
             publish a port of it, with: inn edit {}",
            vm.name
        )
    } else if vm.state == VmState::Running {
        format!("the guest may not have taken one up yet: inn wait {} --for ip", vm.name)
    } else {
        format!("it is {}: inn start {}", vm.state, vm.name)
    };
    Failure::new(Exit::Failed, message).with_hint(hint)
}
