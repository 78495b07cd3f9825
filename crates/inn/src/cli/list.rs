//! `inn list`: the VMs, one a line.

use super::{Context, addresses};
use crate::{
    client::{Target, decode},
    failure::Failure,
    figures::age,
    output::{Cell, Format, Table, Tint},
};
use clap::Args;
use innkeeper_model::{Managed, ProjectName, Timestamp, Vm, VmState};

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those in this state
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Only those with this name
    #[arg(long)]
    name: Option<String>,
    /// Only those of this manager: innkeeper, or another one of the host, such as libvirt
    #[arg(long, value_name = "NAME")]
    manager: Option<String>,
    /// Only those with this label (can be repeated)
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_label)]
    label: Vec<(String, String)>,
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.into(), value.into()))
}

pub(super) async fn run(context: &Context, list: List) -> Result<(), Failure> {
    let output = &context.output;
    let mut target = Target::new("/v1/vms")
        .with_any("state", list.state)
        .with_any("name", list.name)
        .with_any("manager", list.manager)
        .with_any("project", context.project.as_deref());
    for (key, value) in list.label {
        target = target.with(&format!("label.{key}"), value);
    }
    let items = context.client.list(target).await?;
    if matches!(output.format, Format::Json | Format::Yaml) {
        return output.document(&items);
    }
    let vms: Vec<Vm> = items.into_iter().map(decode).collect::<Result<_, _>>()?;
    if output.format == Format::Name {
        return vms.iter().try_for_each(|vm| output.line(&vm.name));
    }
    if vms.is_empty() {
        output.talk("there are no such VMs; make one with inn create");
        return Ok(());
    }
    output.table(&table(&vms, Timestamp::now()))
}

fn table(vms: &[Vm], now: Timestamp) -> Table {
    let mut table = Table::new(["NAME", "STATE", "CPUS", "MEMORY", "ADDRESS", "SINCE", "NOTE"]);
    for vm in vms {
        let name = if vm.project == ProjectName::default() {
            vm.name.to_string()
        } else {
            format!("{}/{}", vm.project, vm.name)
        };
        let size = vm.size();
        table.row([
            name.into(),
            state(vm.state),
            size.map(|(cpus, _)| cpus.to_string()).unwrap_or_default().into(),
            size.map(|(_, memory)| memory.to_string()).unwrap_or_default().into(),
            address(vm).into(),
            vm.facts.since.map(|since| age(since, now)).unwrap_or_default().into(),
            note(vm, now).into(),
        ]);
    }
    table
}

/// What is wrong with it; else whose it is, and how old what is said of it.
fn note(vm: &Vm, now: Timestamp) -> String {
    let age = |managed: &Managed| managed.as_of.map(|then| format!("as of {} ago", age(then, now)));
    let whose = || {
        let by = vm.manager()?;
        let whose = match vm.is_foreign() {
            true => format!("{by}'s; inn adopt"),
            false => format!("through {by}"),
        };
        let age = vm.managed.as_deref().and_then(age);
        Some(age.map_or_else(|| whose.clone(), |age| format!("{whose}, {age}")))
    };
    vm.problem.clone().or_else(whose).unwrap_or_default()
}

/// Where the guest is reached best, as far as that is known.
fn address(vm: &Vm) -> String {
    let best = addresses::best(vm, None).filter(|best| vm.believes(best));
    best.map(|best| best.address.to_string()).unwrap_or_default()
}

/// A state in its colour.
pub(super) fn state(state: VmState) -> Cell {
    let tint = match state {
        VmState::Stopped | VmState::Suspended => Tint::Plain,
        VmState::Running => Tint::Good,
        VmState::Starting | VmState::Paused | VmState::Ended => Tint::Busy,
        VmState::Unresponsive | VmState::Quarantined | VmState::Interrupted => Tint::Bad,
    };
    Cell::tinted(state.as_str(), tint)
}
