//! The wish: what somebody asked a VM to be, and what was chosen for it when it was.

use crate::{
    Timestamp,
    config::{MacAddress, VmConfig},
    ids::{Revision, VmId},
    incarnation::Incarnation,
    small_map::SmallMap,
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use utoipa::ToSchema;

/// What a VM should be doing. Verbs set it; policies map facts to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// Off.
    #[default]
    Stopped,
    /// On.
    Running,
    /// On, with its CPUs held.
    Paused,
    /// Off, with its memory kept.
    Suspended,
}

/// One VM's wish, as it is stored: a JSON file a VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Spec {
    /// The VM's id.
    pub id: VmId,
    /// Counts the edits; what `ETag` shows and `If-Match` compares.
    pub revision: Revision,
    /// When the VM was created.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// When the spec was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated: Timestamp,
    /// What it should be doing.
    pub want: Want,
    /// Whether it was drafted from a machine that was adopted, and no person has saved it since; the VM
    /// cannot be started until then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draft: bool,
    /// What drives it: the name of the manager that it was adopted from, which still has its machine;
    /// absent for the daemon's own driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// What a person asked for.
    pub config: VmConfig,
    /// What was chosen for it.
    pub assigned: Assigned,
}

impl Spec {
    /// How many more devices can be plugged in: into this machine of it, where it has one, else into its
    /// next.
    pub fn free_ports(&self, machine: Option<&Incarnation>) -> u8 {
        let ports = machine.and_then(|machine| machine.ports).unwrap_or(self.assigned.ports);
        let placements = self.assigned.devices.iter().map(|(_, placement)| *placement);
        let taken = placements.filter(|place| matches!(place, Placement::Port(at) if *at < ports));
        u8::try_from(taken.count()).map_or(0, |taken| ports.saturating_sub(taken))
    }
}

/// What Innkeeper chose when a VM or a device was added. It never changes while the device exists,
/// since a guest knows its devices by it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Assigned {
    /// The machine type with its version.
    pub machine: String,
    /// The CPU model.
    pub cpu_model: String,
    /// The user id that the hypervisor process runs as; absent where the daemon is not root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Where each device sits, by the device's key: `disk/NAME`, `nic/NAME`, or its kind.
    #[schema(value_type = BTreeMap<String, Placement>)]
    pub devices: SmallMap<Placement>,
    /// How many hotplug ports the machine has, taken and spare.
    pub ports: u8,
    /// The hardware address of each interface, by its name.
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    #[schema(value_type = BTreeMap<String, MacAddress>)]
    pub macs: SmallMap<MacAddress>,
    /// The addresses that each interface's guest gets, by its name; at most one of each IP version.
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    #[schema(value_type = BTreeMap<String, Vec<String>>)]
    pub addresses: SmallMap<Vec<IpAddr>>,
    /// The serial number of each disk, by its name.
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    pub serials: SmallMap<String>,
}

/// Where a device sits in the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// A slot of the root PCI bus; fixed for the machine's life.
    Root(u8),
    /// A hotplug port, by its number.
    Port(u8),
    /// A target of the virtio SCSI controller.
    Scsi(u8),
    /// A port of the chipset's SATA controller.
    Sata(u8),
}
