//! What another manager says of a VM whose machine it has.

use crate::{
    figures::{about, age},
    output::{Cell, Table, Tint},
};
use innkeeper_model::{Managed, ManagedDisk, ManagedMachine, ManagedNic, Timestamp, Vm};

pub(super) fn add(table: &mut Table, vm: &Vm, managed: &Managed, now: Timestamp) {
    let Managed { by, as_of, lost, machine } = managed;
    let whose = match vm.is_foreign() {
        true => format!("{by}, not adopted: only shown"),
        false => format!("{by}, which Innkeeper drives it through"),
    };
    table.field("manager", whose);
    if let Some(then) = as_of {
        let reason = lost.as_deref().unwrap_or("it does not answer");
        let what = format!("{then:.0} ({} ago): {reason}", age(*then, now));
        table.field("as of", Cell::tinted(what, Tint::Bad));
    }
    add_machine(table, vm, machine);
}

fn add_machine(table: &mut Table, vm: &Vm, machine: &ManagedMachine) {
    if machine.name != vm.name.as_str() {
        table.field("exact name", format!("{:?}", machine.name));
    }
    if let Some(title) = &machine.title {
        table.field("title", title);
    }
    table.field("cpus", machine.cpus.to_string());
    table.field("memory", machine.memory.to_string());
    for disk in &machine.disks {
        table.field("disk", describe_disk(disk));
    }
    for nic in &machine.nics {
        table.field("nic", describe_nic(nic));
    }
    if !machine.persistent {
        table.field("transient", "its manager forgets it when it ends");
    }
    if machine.autostart {
        table.field("autostart", "with the host");
    }
    if let Some(pid) = machine.pid {
        table.field("process", pid.to_string());
    }
}

fn describe_disk(disk: &ManagedDisk) -> String {
    let mut parts = vec![disk.target.clone()];
    parts.extend(disk.source.clone());
    parts.extend(disk.size.map(about));
    parts.extend(disk.read_only.then(|| "read-only".to_owned()));
    parts.join(", ")
}

fn describe_nic(nic: &ManagedNic) -> String {
    let mut parts = vec![nic.mac.to_string()];
    parts.extend(nic.network.clone());
    parts.extend(nic.interface.clone());
    parts.join(", ")
}
