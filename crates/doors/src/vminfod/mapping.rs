//! From a VM of the view to the protocol's object. Pure, and in one place: the door, its stream and
//! the command line show the same.

use super::object::{DiskObject, Gibibytes, IsoTime, NicObject, Nothing, VmObject, ZoneState};
use innkeeper_model::{
    ByteSize, EndReason, GuestAddress, Incarnation, MachineState, Managed, ManagedDisk,
    ManagedMachine, ManagedNic, Spec, Vm, VmState, Want,
    config::{Attachment, Autostart, Boot, Disk, DiskBus, DiskKind, Firmware, Nic},
};

/// What the ancestor calls the owner of what nobody in particular owns.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";
/// The project of VMs that name none.
pub(crate) const DEFAULT_PROJECT: &str = "default";

/// The VM, as the protocol shows it.
pub(crate) fn object(vm: &Vm) -> VmObject {
    let spec = vm.spec.as_deref();
    let config = spec.map(|spec| &spec.config);
    let managed = vm.managed.as_deref().map(|managed| &managed.machine);
    let machine = vm.incarnation.as_deref().filter(|_| vm.is_on());
    let ended = vm.facts.last_end.as_ref().filter(|_| !vm.is_on());
    VmObject {
        uuid: vm.id,
        zonename: vm.id,
        alias: alias(vm),
        brand: "kvm",
        hvm: true,
        v: 1,
        owner_uuid: owner(vm.project.as_str()),
        managed_by: vm.manager().map(str::to_owned),
        state: state(vm.state),
        zone_state: zone_state(vm),
        failed: is_failed(vm.state),
        problem: vm.problem.clone().or_else(|| age(vm.managed.as_deref()?)),
        autoboot: match (spec, managed) {
            (Some(spec), _) => starts_with_the_host(spec),
            (None, managed) => managed.is_some_and(|machine| machine.autostart),
        },
        create_timestamp: spec.map(|spec| IsoTime(spec.created)),
        last_modified: spec.map(|spec| IsoTime(spec.updated)),
        boot_timestamp: machine.map(|machine| IsoTime(machine.created)),
        pid: pid(machine).or_else(|| managed.filter(|_| vm.is_on())?.pid),
        init_restarts: vm.is_on().then_some(vm.facts.resets),
        exit_status: ended.and_then(exit_status),
        exit_timestamp: ended.and(vm.facts.since).map(IsoTime),
        ram: config.map(|config| config.memory.0).or_else(|| Some(managed?.memory.0)),
        vcpus: config.map(|config| config.cpus).or_else(|| Some(managed?.cpus)),
        cpu_type: spec
            .map(|spec| spec.assigned.cpu_model.clone())
            .filter(|model| !model.is_empty()),
        bootrom: config.and_then(|config| bootrom(&config.boot)),
        quota: config.and_then(|config| config.quota).map(Gibibytes),
        indestructible_zoneroot: config.is_some_and(|config| config.protected),
        disks: spec.map_or_else(|| managed_disks(managed), |spec| disks(vm, spec)),
        nics: spec.map_or_else(|| managed_nics(managed), |spec| nics(vm, spec)),
        resolvers: [],
        routes: Nothing {},
        snapshots: [],
        firewall_enabled: false,
        customer_metadata: Nothing {},
        internal_metadata: Nothing {},
        tags: config.map(tags).unwrap_or_default(),
    }
}

/// How old what is shown is, where its manager cannot be asked.
fn age(managed: &Managed) -> Option<String> {
    let Managed { by, as_of, lost, .. } = managed;
    let since = IsoTime((*as_of)?);
    let why = lost.as_deref().unwrap_or("it does not answer");
    Some(format!("{by} cannot be asked; this was so at {since}: {why}"))
}

/// The name that people know it by.
pub(crate) fn alias(vm: &Vm) -> String {
    let managed = vm.managed.as_deref().filter(|_| vm.spec.is_none());
    managed.map_or_else(|| vm.name.to_string(), |managed| managed.machine.name.clone())
}

pub(crate) fn owner(project: &str) -> String {
    if project == DEFAULT_PROJECT { NOBODY.into() } else { project.into() }
}

/// The project whose VMs have this owner.
pub(crate) fn project(owner: &str) -> &str {
    if owner == NOBODY { DEFAULT_PROJECT } else { owner }
}

/// The ancestor's word where it has one, else ours: `zone_state` never leaves the ancestor's.
pub(crate) const fn state(state: VmState) -> &'static str {
    match state {
        VmState::Stopped => "stopped",
        VmState::Starting => "ready",
        VmState::Running => "running",
        VmState::Ended => "shutting_down",
        VmState::Interrupted | VmState::Quarantined => "failed",
        VmState::Paused => "paused",
        VmState::Suspended => "suspended",
        VmState::Unresponsive => "unresponsive",
    }
}

const fn is_failed(state: VmState) -> bool {
    matches!(state, VmState::Interrupted | VmState::Quarantined)
}

fn zone_state(vm: &Vm) -> ZoneState {
    match vm.facts.machine {
        MachineState::Absent if vm.state == VmState::Quarantined => ZoneState::Incomplete,
        MachineState::Absent => ZoneState::Installed,
        MachineState::Created => ZoneState::Ready,
        MachineState::Running | MachineState::Paused | MachineState::Unresponsive => {
            ZoneState::Running
        }
        MachineState::Ended => ZoneState::ShuttingDown,
    }
}

/// `vmadm start` makes it true and stop makes it false, as the ancestor's do. Other ways to start one leave `never`.
fn starts_with_the_host(spec: &Spec) -> bool {
    spec.want != Want::Stopped && spec.config.autostart == Autostart::Auto
}

fn pid(machine: Option<&Incarnation>) -> Option<u32> {
    Some(machine?.process?.pid)
}

/// As of a process: what it returned, or the negative number of the signal that ended it.
const fn exit_status(end: &EndReason) -> Option<i32> {
    match end {
        EndReason::GuestShutdown | EndReason::GuestReset => Some(0),
        EndReason::Killed => Some(-9),
        EndReason::GuestPanic | EndReason::HypervisorDied { .. } => None,
    }
}

const fn bootrom(boot: &Boot) -> Option<&'static str> {
    match boot {
        Boot::Firmware(Firmware::Bios) => Some("bios"),
        Boot::Firmware(Firmware::Uefi) => Some("uefi"),
        Boot::Kernel(_) => None,
    }
}

fn tags(config: &innkeeper_model::VmConfig) -> std::collections::BTreeMap<String, String> {
    config.labels.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect()
}

/// In MiB, rounded up: a disk that takes a little of one takes it.
const fn mebibytes(size: ByteSize) -> u64 {
    size.0.div_ceil(1 << 20)
}

fn disks(vm: &Vm, spec: &Spec) -> Vec<DiskObject> {
    let size = |disk: &Disk| {
        let known = vm.disks.iter().find(|known| known.name == disk.name);
        known.map(|known| known.virtual_size).or(disk.size).map(mebibytes)
    };
    let disks = spec.config.disks.iter().enumerate();
    disks
        .map(|(index, disk)| DiskObject {
            path: disk_path(vm, disk),
            size: size(disk),
            model: Some(match disk.effective_bus() {
                DiskBus::VirtioBlk => "virtio",
                DiskBus::VirtioScsi => "scsi",
                DiskBus::Sata => "ahci",
            }),
            media: Some(match disk.kind {
                DiskKind::Disk => "disk",
                DiskKind::Cdrom => "cdrom",
            }),
            boot: index == 0 && !matches!(spec.config.boot, Boot::Kernel(_)),
            image_name: disk.image.as_ref().map(ToString::to_string),
        })
        .collect()
}

fn disk_path(vm: &Vm, disk: &Disk) -> String {
    match &disk.path {
        Some(path) => path.display().to_string(),
        None => format!("{}/{}", vm.id, disk.name),
    }
}

fn nics(vm: &Vm, spec: &Spec) -> Vec<NicObject> {
    let nics = spec.config.nics.iter().enumerate();
    nics.map(|(index, nic)| {
        let ips = addresses(vm, nic);
        NicObject {
            mac: spec.assigned.macs.get(nic.name.as_str()).copied().or(nic.mac),
            interface: Some(nic.name.to_string()),
            nic_tag: Some(nic.network.to_string()),
            ip: ips.first().cloned(),
            ips,
            model: Some("virtio"),
            primary: index == 0,
        }
    })
    .collect()
}

/// What is known of the interface, and believed, IPv4 first.
fn addresses(vm: &Vm, nic: &Nic) -> Vec<String> {
    let is_its =
        |known: &&GuestAddress| known.nic.as_ref() == Some(&nic.name) && vm.believes(known);
    let known = vm.reached_at().into_iter().filter(is_its);
    let mut known: Vec<_> = known.map(|known| known.address).collect();
    known.sort_by_key(|address| address.is_ipv6());
    match (&nic.network, known.is_empty()) {
        (Attachment::None, true) => Vec::new(),
        (_, true) => vec!["dhcp".into()],
        (_, false) => known.iter().map(ToString::to_string).collect(),
    }
}

fn managed_disks(machine: Option<&ManagedMachine>) -> Vec<DiskObject> {
    let disks = machine.map_or(&[][..], |machine| &machine.disks);
    let object = |(index, disk): (usize, &ManagedDisk)| DiskObject {
        path: disk.source.clone().unwrap_or_else(|| disk.target.clone()),
        size: disk.size.map(mebibytes),
        model: None,
        media: None,
        boot: index == 0,
        image_name: None,
    };
    disks.iter().enumerate().map(object).collect()
}

fn managed_nics(machine: Option<&ManagedMachine>) -> Vec<NicObject> {
    let nics = machine.map_or(&[][..], |machine| &machine.nics);
    let object = |(index, nic): (usize, &ManagedNic)| NicObject {
        mac: Some(nic.mac),
        interface: nic.interface.clone(),
        nic_tag: nic.network.clone(),
        ip: None,
        ips: Vec::new(),
        model: None,
        primary: index == 0,
    };
    nics.iter().enumerate().map(object).collect()
}

#[cfg(test)]
#[path = "mapping_tests.rs"]
mod tests;
