//! The host: what it has, what its hypervisor can do, and how its guests are confined.

use crate::{
    Timestamp,
    foreign::Foreign,
    ids::{HostId, Revision},
    units::Mebibytes,
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use utoipa::ToSchema;

/// One host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Host {
    /// Its id, the same after each start; absent until somebody has described it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Uuid)]
    pub id: Option<HostId>,
    /// Its name.
    pub name: String,
    /// Innkeeper's version.
    pub version: String,
    /// When the daemon started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started: Option<Timestamp>,
    /// The daemon's process id.
    pub pid: u32,
    /// CPUs.
    pub cpus: u16,
    /// Memory.
    pub memory: Mebibytes,
    /// The host's kernel.
    pub kernel: String,
    /// The hypervisor; absent until it has been asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hypervisor: Option<Hypervisor>,
    /// What stands between a guest and this host.
    pub confinement: Vec<Safeguard>,
    /// Machines on this host that are not Innkeeper's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<Foreign>,
    /// Other managers of machines on this host that the daemon was told of, once it has asked them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managers: Vec<Manager>,
    /// The view's revision at its last change.
    #[serde(default)]
    pub revision: Revision,
}

/// A hypervisor, as its driver found it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hypervisor {
    /// The driver's name.
    pub driver: String,
    /// The hypervisor's version.
    pub version: String,
    /// The program.
    pub program: String,
    /// What runs guests' instructions: `kvm` or `tcg`.
    pub accelerator: String,
    /// Why it is that one.
    pub accelerator_reason: String,
    /// The machine type that a new VM gets.
    pub default_machine: String,
    /// The CPU model that a new VM gets.
    pub default_cpu_model: String,
    /// The machine types it knows, newest first.
    pub machines: Vec<String>,
    /// The UEFI firmware, where it is installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uefi: Option<UefiFirmware>,
}

/// The files of a UEFI firmware.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UefiFirmware {
    /// Its code, which machines share.
    #[schema(value_type = String)]
    pub code: PathBuf,
    /// What each machine's own variables begin as.
    #[schema(value_type = String)]
    pub variables: PathBuf,
}

/// Another manager of machines on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Manager {
    /// Its name, such as `libvirt`, which is the project of its machines too.
    pub name: String,
    /// That it cannot be asked; absent while it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<ManagerLost>,
}

/// That another manager cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ManagerLost {
    /// When it was last heard of; of one that never was, when it was found that it cannot be asked.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// What helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl ManagerLost {
    /// Why, and what helps, in one line.
    pub fn in_words(&self) -> String {
        let Self { reason, hint, .. } = self;
        hint.as_ref().map_or_else(|| reason.clone(), |hint| format!("{reason}; {hint}"))
    }
}

/// One thing that stands between a guest and its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Safeguard {
    /// What it is: `uid`, `sandbox`, `cgroup`, `loopback`.
    pub name: String,
    /// Whether it is in force.
    pub active: bool,
    /// How it works here, or why it does not and what would mend that.
    pub detail: String,
}
