//! The machines of other managers, as far as those tell.

use super::{
    super::{
        numbers::{DiskBus, DiskDevice},
        wire::{Cpudef, Disk, Memory, Net, Vmdef},
    },
    clamped, cores_of,
    disks::mebibytes,
};
use innkeeper_model::{ManagedDisk, ManagedMachine, ManagedNic};

/// One of them as virtx shows it, but for its name.
pub(super) fn shown(machine: &ManagedMachine) -> Vmdef {
    let mut disks = machine.disks.iter().map(disk);
    Vmdef {
        cpudef: Cpudef {
            sockets: 1,
            cores: cores_of(machine.cpus),
            threads: 1,
            ..Cpudef::default()
        },
        memory: Memory { total: clamped(machine.memory.0), hp: false },
        osdisk: disks.next().unwrap_or_default(),
        disks: disks.collect(),
        nets: machine.nics.iter().map(net).collect(),
        ..Vmdef::default()
    }
}

fn disk(disk: &ManagedDisk) -> Disk {
    let bus = match disk.target.get(..2) {
        Some("sd") => DiskBus::VirtioScsi,
        Some("hd") => DiskBus::Sata,
        _ => DiskBus::VirtioBlk,
    };
    Disk {
        path: disk.source.clone().unwrap_or_default(),
        device: if disk.read_only { DiskDevice::Cdrom } else { DiskDevice::Disk },
        bus,
        size: disk.size.map_or(0, mebibytes),
        ..Disk::default()
    }
}

fn net(nic: &ManagedNic) -> Net {
    let name = nic.network.clone().unwrap_or_default();
    Net { name, mac: nic.mac.to_string(), ..Net::default() }
}
