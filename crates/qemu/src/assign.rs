//! Where each device of a q35 machine sits.
//!
//! An address is chosen when a device is added and kept while it exists, whatever is added or
//! removed beside it: a guest names its interfaces and finds its disks by them. Disks on virtio-blk
//! and NICs get a hotplug port each; the rest have fixed slots on the root bus, spare or not, so
//! that switching one on later moves no other.

use innkeeper_model::{
    Assigned, Code, Placement, Refusal, SmallMap, VmConfig,
    config::{DiskBus, Display, MAX_CPUS, MacAddress},
    host::Hypervisor,
};
use std::collections::{BTreeMap, BTreeSet};

/// The fixed slots on the root bus. Slot 0 is the host bridge's and 31 the chipset's.
pub(crate) const DISPLAY_SLOT: u8 = 1;
pub(crate) const RNG_SLOT: u8 = 2;
pub(crate) const BALLOON_SLOT: u8 = 3;
pub(crate) const PANIC_SLOT: u8 = 4;
pub(crate) const SCSI_SLOT: u8 = 5;
pub(crate) const USB_SLOT: u8 = 6;
pub(crate) const AGENT_SLOT: u8 = 7;
/// The first slot of hotplug ports; each slot holds eight of them as functions.
pub(crate) const PORTS_SLOT: u8 = 16;
/// How many ports fit before the chipset's own slots.
const MAX_PORTS: u8 = 64;
/// Targets of one SCSI controller.
const MAX_SCSI: u8 = 32;
/// SATA ports of the q35 chipset.
const MAX_SATA: u8 = 6;

/// The key of the cloud-init seed's disk, which no disk of a config can have: names have no space.
pub(crate) const SEED: &str = "cloud-init seed";

/// The key of the channel to the guest's agent.
pub(crate) const AGENT: &str = "agent";

pub(crate) fn disk_key(name: impl std::fmt::Display) -> String {
    format!("disk/{name}")
}

pub(crate) fn nic_key(name: impl std::fmt::Display) -> String {
    format!("nic/{name}")
}

/// Chooses what a VM's devices are known by, keeping what was chosen before.
///
/// # Errors
/// The machine has no room for a device, or this QEMU does not know the machine type.
pub(crate) fn assign(
    config: &VmConfig,
    before: Option<&Assigned>,
    hypervisor: &Hypervisor,
) -> Result<Assigned, Refusal> {
    let mut assigned = Assigned {
        machine: machine(config, before, hypervisor)?,
        cpu_model: config
            .cpu_model
            .clone()
            .or_else(|| before.map(|before| before.cpu_model.clone()))
            .unwrap_or_else(|| hypervisor.default_cpu_model.clone()),
        uid: before.and_then(|before| before.uid),
        ..Assigned::default()
    };
    let wanted = wanted(config);
    let mut taken = keep(&wanted, before);
    for (key, room) in &wanted {
        if taken.contains_key(key) {
            continue;
        }
        let used: BTreeSet<Placement> = taken.values().copied().collect();
        let free = room.choices().find(|choice| !used.contains(choice));
        let placement = free.ok_or_else(|| room.is_full(key))?;
        taken.insert(key.clone(), placement);
    }
    assigned.ports = ports(&taken, config, before)?;
    assigned.devices = taken.into_iter().collect();
    assigned.macs = macs(config, before);
    assigned.serials = serials(config, before);
    Ok(assigned)
}

/// Where a kind of device can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Slot(u8),
    Port,
    Scsi,
    Sata,
}

impl Room {
    fn choices(self) -> Box<dyn Iterator<Item = Placement>> {
        match self {
            Self::Slot(slot) => Box::new(std::iter::once(Placement::Root(slot))),
            Self::Port => Box::new((0..MAX_PORTS).map(Placement::Port)),
            Self::Scsi => Box::new((0..MAX_SCSI).map(Placement::Scsi)),
            Self::Sata => Box::new((0..MAX_SATA).map(Placement::Sata)),
        }
    }

    fn holds(self, placement: Placement) -> bool {
        self.choices().any(|choice| choice == placement)
    }

    fn is_full(self, key: &str) -> Refusal {
        let limit = self.choices().count();
        Refusal::invalid("devices", key, format!("has no place: all {limit} of its kind are taken"))
            .with_limit(limit)
    }
}

/// The devices that a config asks for, each with where it can go, in the order they are placed.
fn wanted(config: &VmConfig) -> Vec<(String, Room)> {
    let mut wanted = vec![
        ("rng".to_owned(), Room::Slot(RNG_SLOT)),
        ("balloon".to_owned(), Room::Slot(BALLOON_SLOT)),
        ("panic".to_owned(), Room::Slot(PANIC_SLOT)),
    ];
    if config.display == Display::Vnc {
        wanted.push(("display".to_owned(), Room::Slot(DISPLAY_SLOT)));
        wanted.push(("usb".to_owned(), Room::Slot(USB_SLOT)));
    }
    if config.agent {
        wanted.push((AGENT.to_owned(), Room::Slot(AGENT_SLOT)));
    }
    if config.disks.iter().any(|disk| disk.effective_bus() == DiskBus::VirtioScsi) {
        wanted.push(("scsi".to_owned(), Room::Slot(SCSI_SLOT)));
    }
    for disk in &config.disks {
        let room = match disk.effective_bus() {
            DiskBus::VirtioBlk => Room::Port,
            DiskBus::VirtioScsi => Room::Scsi,
            DiskBus::Sata => Room::Sata,
        };
        wanted.push((disk_key(&disk.name), room));
    }
    wanted.extend(config.nics.iter().map(|nic| (nic_key(&nic.name), Room::Port)));
    if config.cloud_init.is_some() {
        wanted.push((disk_key(SEED), Room::Port));
    }
    wanted
}

/// The places of devices that were there before and still want the same kind of place.
fn keep(wanted: &[(String, Room)], before: Option<&Assigned>) -> BTreeMap<String, Placement> {
    let Some(before) = before else { return BTreeMap::new() };
    let kept = |(key, room): &(String, Room)| {
        let placement = *before.devices.get(key)?;
        room.holds(placement).then(|| (key.clone(), placement))
    };
    wanted.iter().filter_map(kept).collect()
}

/// How many hotplug ports the machine has: those taken and the spare ones, and never fewer than
/// before, since a port is a device that the guest sees.
fn ports(
    taken: &BTreeMap<String, Placement>,
    config: &VmConfig,
    before: Option<&Assigned>,
) -> Result<u8, Refusal> {
    let in_use = taken.values().filter(|place| matches!(place, Placement::Port(_))).count();
    let highest = taken.values().filter_map(|place| match place {
        Placement::Port(port) => Some(port + 1),
        _ => None,
    });
    let needed = (in_use as u8).saturating_add(config.spare_ports);
    let ports = needed.max(highest.max().unwrap_or(0)).max(before.map_or(0, |before| before.ports));
    if ports > MAX_PORTS {
        let problem =
            format!("does not fit: {in_use} devices leave {} ports", MAX_PORTS - in_use as u8);
        return Err(
            Refusal::invalid("spare_ports", config.spare_ports, problem).with_limit(MAX_PORTS)
        );
    }
    Ok(ports)
}

fn macs(config: &VmConfig, before: Option<&Assigned>) -> SmallMap<MacAddress> {
    let choose = |nic: &innkeeper_model::config::Nic| {
        let kept = before.and_then(|before| before.macs.get(nic.name.as_str()).copied());
        let mac = nic.mac.or(kept).unwrap_or_else(random_mac);
        (nic.name.to_string(), mac)
    };
    config.nics.iter().map(choose).collect()
}

fn serials(config: &VmConfig, before: Option<&Assigned>) -> SmallMap<String> {
    let choose = |disk: &innkeeper_model::config::Disk| {
        let kept = || {
            before
                .and_then(|before| before.serials.get(disk.name.as_str()).map(ToString::to_string))
        };
        let serial = disk.serial.clone().or_else(kept).unwrap_or_else(random_serial);
        (disk.name.to_string(), serial)
    };
    config.disks.iter().map(choose).collect()
}

/// The last three bytes of a random UUID: 16 million addresses, enough for the VMs of one network.
fn random_mac() -> MacAddress {
    let [.., a, b, c] = *innkeeper_model::IncarnationId::new().as_uuid().as_bytes();
    MacAddress::from_suffix([a, b, c])
}

fn random_serial() -> String {
    let id = innkeeper_model::IncarnationId::new().as_uuid().simple().to_string();
    format!("inn-{}", &id[id.len() - 12..])
}

fn machine(
    config: &VmConfig,
    before: Option<&Assigned>,
    hypervisor: &Hypervisor,
) -> Result<String, Refusal> {
    let kept = before.map(|before| &before.machine);
    let Some(machine) = config.machine.as_ref().or(kept) else {
        return Ok(hypervisor.default_machine.clone());
    };
    let known = || hypervisor.machines.iter().any(|known| known == machine);
    if !machine.starts_with("pc-q35-") {
        let problem = "is not supported: only the versioned pc-q35 machines are";
        return Err(Refusal::invalid("machine", machine, problem)
            .with_limit("pc-q35-*")
            .with_hint(format!("leave it out for {}", hypervisor.default_machine)));
    }
    if kept != Some(machine) && !known() {
        let problem = format!("is not known to QEMU {}", hypervisor.version);
        return Err(Refusal::invalid("machine", machine, problem)
            .with_limit(hypervisor.machines.join(" "))
            .with_hint(format!("leave it out for {}", hypervisor.default_machine)));
    }
    if config.cpus > MAX_CPUS {
        return Err(Refusal::new(Code::InvalidField, "q35 has too few CPU sockets").at("cpus"));
    }
    Ok(machine.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use innkeeper_model::config::Nic;

    fn hypervisor() -> Hypervisor {
        Hypervisor {
            default_machine: "pc-q35-10.0".into(),
            default_cpu_model: "Nehalem-v1".into(),
            machines: vec!["pc-q35-10.0".into(), "pc-q35-9.2".into()],
            ..Hypervisor::default()
        }
    }

    fn with_nics(names: &[&str]) -> VmConfig {
        let mut config = VmConfig::new("web".parse().unwrap());
        config.nics = names.iter().map(|name| Nic::new(name.parse().unwrap())).collect();
        config
    }

    #[test]
    fn removing_a_device_moves_no_other() {
        let before = assign(&with_nics(&["a", "b", "c"]), None, &hypervisor()).unwrap();
        let after = assign(&with_nics(&["a", "c"]), Some(&before), &hypervisor()).unwrap();
        for nic in ["nic/a", "nic/c"] {
            assert_eq!(before.devices[nic], after.devices[nic]);
        }
        assert_eq!(before.macs["c"], after.macs["c"]);
        assert_eq!(before.ports, after.ports);
    }

    #[test]
    fn a_freed_place_is_used_again_by_a_new_device_only() {
        let before = assign(&with_nics(&["a", "b"]), None, &hypervisor()).unwrap();
        let after = assign(&with_nics(&["new", "b"]), Some(&before), &hypervisor()).unwrap();
        assert_eq!(after.devices["nic/new"], before.devices["nic/a"]);
        assert_eq!(after.devices["nic/b"], before.devices["nic/b"]);
        assert_ne!(after.macs["new"], before.macs["a"]);
    }

    #[test]
    fn an_unknown_machine_type_names_those_that_are_known() {
        let mut config = with_nics(&[]);
        config.machine = Some("pc-q35-99.0".into());
        let refusal = assign(&config, None, &hypervisor()).unwrap_err();
        assert_eq!(refusal.field.as_deref(), Some("machine"));
        assert!(refusal.limit.unwrap().contains("pc-q35-10.0"));
    }
}
