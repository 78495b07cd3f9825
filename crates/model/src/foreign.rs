//! Machines that run on this host and are not Innkeeper's: processes that nobody answers for
//! ([`Foreign`]), and the machines of another manager that does ([`NeighbourMachine`]).

use crate::{
    facts::{EndReason, MachineState},
    ids::VmId,
    incarnation::ProcessIdentity,
    names::{MAX_LENGTH, VmName},
    nic::MacAddress,
    units::{ByteSize, Mebibytes},
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use utoipa::ToSchema;

/// A machine that somebody else made. It is shown and never touched, unless it is adopted by
/// explicit word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Foreign {
    /// The driver that recognised it.
    pub driver: String,
    /// Its process.
    pub process: ProcessIdentity,
    /// The name in its command line, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The user that it runs as.
    pub uid: u32,
    /// Who manages it, where that can be told: `libvirt`, `incus`, `proxmox`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
    /// Virtual CPUs, where its command line says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u16>,
    /// Memory, where its command line says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Mebibytes>,
    /// The socket that it can be managed through, where it listens on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub socket: Option<PathBuf>,
    /// Why it cannot be adopted; absent where it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_adoptable: Option<String>,
}

/// A machine of another manager, such as a domain of libvirt's, as that manager describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighbourMachine {
    /// Its id: the manager's own, and for ever the same.
    pub id: VmId,
    /// Whether it runs.
    pub machine: MachineState,
    /// How its last run ended, where the manager says; `None` says nothing, and takes nothing back.
    pub last_end: Option<EndReason>,
    /// What it is.
    pub is: ManagedMachine,
}

/// What a machine of another manager is, in that manager's words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ManagedMachine {
    /// Its name, exactly: it may be longer than a VM's, and hold anything.
    pub name: String,
    /// What people call it, where the manager keeps that apart from the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Virtual CPUs: those that it has now, or would have.
    pub cpus: u16,
    /// Memory that it may have at most, rounded up.
    pub memory: Mebibytes,
    /// Its disks, in the manager's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<ManagedDisk>,
    /// Its network interfaces, in the manager's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nics: Vec<ManagedNic>,
    /// Whether its manager keeps it when it does not run.
    pub persistent: bool,
    /// Whether its manager starts it with the host.
    pub autostart: bool,
    /// Its hypervisor's process, where it runs and has one that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Which of its runs this is, where it runs: another number each time (libvirt's `id`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<i64>,
}

/// A disk of such a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ManagedDisk {
    /// What its guest, or its manager, calls it, such as `vda`.
    pub target: String,
    /// Where its bytes are: a file, a block device, a volume (`POOL/VOLUME`) or an address; absent for an
    /// empty drive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What its guest sees, where the manager says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<ByteSize>,
    /// Whether it cannot be written to; so is every CD-ROM.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

/// A network interface of such a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ManagedNic {
    /// Its hardware address.
    pub mac: MacAddress,
    /// What it is plugged into, in the manager's words: a network, or a bridge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The host's end of it, where it runs and has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
}

impl NeighbourMachine {
    /// The name that it has as a VM: its own where that is a VM's name, else the nearest, with the
    /// beginning of its id so that no two that are alike become one.
    pub fn label(&self) -> VmName {
        label(&self.is.name, self.id)
    }
}

/// How much of the id a name that was changed ends with, in characters, its hyphen included.
const SUFFIX_LENGTH: usize = 9;

fn label(exact: &str, id: VmId) -> VmName {
    if let Ok(name) = exact.parse() {
        return name;
    }
    let id = id.to_string();
    let suffix = &id[..SUFFIX_LENGTH - 1];
    let legal = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let nearest: String = exact.chars().map(legal).take(MAX_LENGTH - SUFFIX_LENGTH).collect();
    let nearest = nearest.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let name =
        if nearest.is_empty() { format!("vm-{suffix}") } else { format!("{nearest}-{suffix}") };
    name.parse().expect("letters, digits, dots and hyphens, a letter or digit first, in bounds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_one_stays_and_any_other_becomes_one_of_its_own() {
        let id: VmId = "01234567-89ab-4def-8123-456789abcdef".parse().unwrap();
        let long = "x".repeat(80);
        for (exact, expected) in [
            ("web-1", "web-1"),
            ("my web", "my-web-01234567"),
            ("/etc/passwd", "etc-passwd-01234567"),
            ("名前", "vm-01234567"),
            ("", "vm-01234567"),
            (&*long, &*format!("{}-01234567", "x".repeat(54))),
        ] {
            assert_eq!(label(exact, id).as_str(), expected, "{exact:?}");
        }
    }
}
