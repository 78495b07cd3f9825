//! A VM as this protocol shows it: its wire types.
//!
//! What is absent says something: most of what is false, zero or empty does not appear at all. Memory
//! and disks are counted in MiB, the quota in GiB, and times are ISO 8601 with milliseconds.

use innkeeper_model::{ByteSize, Timestamp, VmId, config::MacAddress};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The keys that a VM can have, for filters and lists of fields, sorted; `type` is one that only
/// filters and tables know.
pub(crate) const KEYS: [&str; 36] = [
    "alias",
    "autoboot",
    "boot_timestamp",
    "bootrom",
    "brand",
    "cpu_type",
    "create_timestamp",
    "customer_metadata",
    "disks",
    "exit_status",
    "exit_timestamp",
    "failed",
    "firewall_enabled",
    "hvm",
    "indestructible_zoneroot",
    "init_restarts",
    "internal_metadata",
    "last_modified",
    "managed_by",
    "nics",
    "owner_uuid",
    "pid",
    "problem",
    "quota",
    "ram",
    "resolvers",
    "routes",
    "snapshots",
    "state",
    "tags",
    "type",
    "uuid",
    "v",
    "vcpus",
    "zone_state",
    "zonename",
];

/// A VM. What does not apply to it is absent.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Vm)]
pub(crate) struct VmObject {
    /// Its id, for ever.
    pub(crate) uuid: VmId,
    /// The key of its address; the same as `uuid`.
    pub(crate) zonename: VmId,
    /// Its name.
    pub(crate) alias: String,
    /// What kind of VM it is.
    #[schema(value_type = String, example = "kvm")]
    pub(crate) brand: &'static str,
    /// Whether it is a virtual machine with hardware of its own.
    pub(crate) hvm: bool,
    /// The version of this shape.
    pub(crate) v: u8,
    /// Whose it is: its project; all zeros for the default one.
    pub(crate) owner_uuid: String,
    /// Another manager of the host that has its machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) managed_by: Option<String>,
    /// What it does, in a word.
    #[schema(value_type = String, example = "running")]
    pub(crate) state: &'static str,
    /// What its machine does.
    pub(crate) zone_state: ZoneState,
    /// Whether a person has to see to it; true or absent.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) failed: bool,
    /// What is wrong with it, or how old what is shown is, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    /// Whether it is started with the host.
    pub(crate) autoboot: bool,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) create_timestamp: Option<IsoTime>,
    /// When what was asked for was last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_modified: Option<IsoTime>,
    /// When its machine was made; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) boot_timestamp: Option<IsoTime>,
    /// Its machine's process; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pid: Option<u32>,
    /// How often its machine was reset while it runs; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) init_restarts: Option<u32>,
    /// How its last machine ended: 0 for a guest that ended itself, −9 for one that was killed. Absent
    /// while it runs, and where nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exit_status: Option<i32>,
    /// When its last machine ended; absent while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exit_timestamp: Option<IsoTime>,
    /// Memory, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ram: Option<u64>,
    /// Virtual CPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vcpus: Option<u16>,
    /// The CPU model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_type: Option<String>,
    /// The firmware, where it boots by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "bios")]
    pub(crate) bootrom: Option<&'static str>,
    /// What its files may take of the host's disk, in GiB; absent where nothing bounds them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub(crate) quota: Option<Gibibytes>,
    /// Whether it cannot be deleted; true or absent.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) indestructible_zoneroot: bool,
    /// Its disks, in boot order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) disks: Vec<DiskObject>,
    /// Its network interfaces.
    pub(crate) nics: Vec<NicObject>,
    /// Name servers that its guest is told; none here.
    #[schema(value_type = Vec<String>)]
    pub(crate) resolvers: [(); 0],
    /// Routes that its guest is told; none here.
    #[schema(value_type = Object)]
    pub(crate) routes: Nothing,
    /// Snapshots; none here.
    #[schema(value_type = Vec<Object>)]
    pub(crate) snapshots: [(); 0],
    /// Whether a firewall of its own is on; never here.
    pub(crate) firewall_enabled: bool,
    /// What a guest can read; secrets are not shown.
    #[schema(value_type = Object)]
    pub(crate) customer_metadata: Nothing,
    /// What only the operator can read; none here.
    #[schema(value_type = Object)]
    pub(crate) internal_metadata: Nothing,
    /// Free keys and values.
    pub(crate) tags: BTreeMap<String, String>,
}

/// An object without members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Nothing {}

/// What a machine does, in the protocol's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ZoneState {
    /// Nobody can read what it should be.
    Incomplete,
    /// There is none.
    Installed,
    /// It is made and has not begun.
    Ready,
    /// It runs, or its CPUs are held.
    Running,
    /// Its guest has ended, and it is being put away.
    ShuttingDown,
}

/// A disk or CD-ROM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Disk)]
pub(crate) struct DiskObject {
    /// What identifies it among the VM's disks: the host's file, or the VM's id and the disk's name.
    pub(crate) path: String,
    /// What its guest sees, in MiB, rounded up; absent where nobody knows yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    /// How its guest sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "virtio")]
    pub(crate) model: Option<&'static str>,
    /// `disk` or `cdrom`; absent where nobody says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "disk")]
    pub(crate) media: Option<&'static str>,
    /// Whether the guest is looked for on it first.
    pub(crate) boot: bool,
    /// The image that it is a copy of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image_name: Option<String>,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Nic)]
pub(crate) struct NicObject {
    /// Its hardware address, which identifies it among the VM's interfaces; absent for a VM of which
    /// nobody knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) mac: Option<MacAddress>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) interface: Option<String>,
    /// What it is plugged into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nic_tag: Option<String>,
    /// Its address, IPv4 first; `dhcp` where the guest is given one that nobody has told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip: Option<String>,
    /// All its addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ips: Vec<String>,
    /// How its guest sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "virtio")]
    pub(crate) model: Option<&'static str>,
    /// Whether it is the first; true or absent.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) primary: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// A time, as JavaScript writes it: UTC with three digits of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub(crate) struct IsoTime(pub(crate) Timestamp);

impl std::fmt::Display for IsoTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl Serialize for IsoTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A size in GiB: a whole number where it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gibibytes(pub(crate) ByteSize);

impl Serialize for Gibibytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const GIB: u64 = 1 << 30;
        let ByteSize(bytes) = self.0;
        if bytes.is_multiple_of(GIB) {
            serializer.serialize_u64(bytes / GIB)
        } else {
            serializer.serialize_f64(bytes as f64 / GIB as f64)
        }
    }
}
