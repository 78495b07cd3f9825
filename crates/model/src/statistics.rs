//! Figures of a machine that runs: what it has used of its host since it was made.
//!
//! They change all the time, so they are in no view and no feed: they are read when somebody asks. What
//! counts up begins at zero with each machine; a rate is the difference of two readings.

use crate::{Timestamp, units::ByteSize};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The figures of one machine, read at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Statistics {
    /// When they were read.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How long processors have worked for it, its hypervisor's own work included, in milliseconds.
    pub cpu_time_ms: u64,
    /// How long they have run its virtual CPUs; absent where the hypervisor does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vcpus: Vec<VcpuStatistics>,
    /// What of the host's memory it has now, its hypervisor's own included.
    pub memory_resident: ByteSize,
    /// What was read and written; absent where the hypervisor does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<DiskStatistics>,
    /// What was sent and received, of the NICs that the host has an interface for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nics: Vec<NicStatistics>,
    /// What could not be read, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// The figures of a virtual CPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VcpuStatistics {
    /// Its number in the machine.
    pub index: u32,
    /// How long processors have run it, in milliseconds.
    pub cpu_time_ms: u64,
}

/// The figures of a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiskStatistics {
    /// The disk's name; of a machine that was adopted, what its hypervisor calls it.
    pub name: String,
    /// Bytes that the guest has read.
    pub read_bytes: u64,
    /// Bytes that it has written.
    pub written_bytes: u64,
    /// How often it has read.
    pub reads: u64,
    /// How often it has written.
    pub writes: u64,
}

/// The figures of a NIC, as its guest sees them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NicStatistics {
    /// The host's interface that it is connected to.
    pub interface: String,
    /// Bytes that the guest has received.
    pub received_bytes: u64,
    /// Bytes that it has sent.
    pub sent_bytes: u64,
    /// Packets that it has received.
    pub received_packets: u64,
    /// Packets that it has sent.
    pub sent_packets: u64,
}
