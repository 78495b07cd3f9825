//! The incarnation: what one running machine was built from.
//!
//! Written and synced before the hypervisor is executed, kept in the runtime folder, gone with the
//! host's boot. A daemon that starts finds its machines by these records, and by nothing else.

use crate::{
    Timestamp,
    ids::{IncarnationId, Revision, VmId},
    network::Plug,
    units::Mebibytes,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf};
use utoipa::ToSchema;

/// The version of the record's shape that this binary writes.
pub const SCHEMA: u32 = 1;

/// Names one process for certain: a pid alone may by now be another program's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct ProcessIdentity {
    /// The process id.
    pub pid: u32,
    /// When it started, in clock ticks after boot (field 22 of `/proc/PID/stat`).
    pub start_ticks: u64,
}

/// What one running machine was built from. The next spec never edits it; hotplug does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Incarnation {
    /// The version of this record's shape.
    pub schema: u32,
    /// Names this launch.
    pub id: IncarnationId,
    /// The VM it is a launch of.
    pub vm: VmId,
    /// The revision of the spec it was built from.
    pub spec_revision: Revision,
    /// The host's boot that it belongs to (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
    /// When it was launched.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// The driver that made it.
    pub driver: String,
    /// The hypervisor's version.
    pub hypervisor_version: String,
    /// The machine type.
    pub machine: String,
    /// The CPU model.
    pub cpu_model: String,
    /// What runs the guest's instructions: `kvm` or `tcg`.
    pub accelerator: String,
    /// Virtual CPUs.
    pub cpus: u16,
    /// Memory.
    pub memory: Mebibytes,
    /// The user id it runs as, where it is not the daemon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The control group it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub cgroup: Option<PathBuf>,
    /// The folder of its sockets and logs.
    #[schema(value_type = String)]
    pub run_folder: PathBuf,
    /// The command line, program first.
    pub argv: Vec<String>,
    /// What the process found open, in the order of its descriptors; the driver's own. A machine that
    /// takes this one's memory over finds the same.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schema(value_type = serde_json::Value)]
    pub opens: Value,
    /// Whether somebody else started the process, and Innkeeper took it over. Such a machine can be
    /// stopped and killed, and cannot be made again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// The block node at the top of each disk, by the disk's name.
    pub block_nodes: BTreeMap<String, String>,
    /// How many hotplug ports it has, taken and spare; absent where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<u8>,
    /// Its connections to networks of the host, in the order of its NICs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugs: Vec<Plug>,
    /// The process; absent until it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessIdentity>,
}

impl Incarnation {
    /// What has to fit where its machine's memory is to be taken over, for people: the hypervisor, the
    /// machine type, the CPU model and the accelerator.
    pub fn makings(&self) -> String {
        format!(
            "{} {} with machine {}, CPU {} and accelerator {}",
            self.driver, self.hypervisor_version, self.machine, self.cpu_model, self.accelerator
        )
    }
}
