//! The nouns of Innkeeper.
//!
//! A *wish* is what somebody asked for ([`Spec`]), an *incarnation* is what one running machine was
//! built from ([`Incarnation`]), a *fact* is what the hypervisor says now ([`Facts`]), and a *deed*
//! is what Innkeeper is doing about it ([`Task`]). [`Vm`] is the four of them side by side, as the
//! view holds and the API shows it.
//!
//! Nothing here reads a clock, a file or a socket; everything here can be written as JSON and read
//! back unchanged.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod audit;
pub mod change;
pub mod config;
pub mod diagnosis;
pub mod facts;
pub mod files;
pub mod foreign;
pub mod guest;
pub mod host;
pub mod ids;
pub mod image;
pub mod incarnation;
pub mod keyboard;
pub mod memory;
pub mod names;
pub mod network;
pub mod nic;
pub mod policy;
pub mod project;
pub mod reached;
pub mod refusal;
pub mod secret;
pub mod shown;
pub mod small_map;
pub mod spec;
pub mod statistics;
pub mod task;
pub mod units;
pub mod vm;

pub use audit::{AuditDiagnosis, AuditEntry, AuditOutcome};
pub use change::{Action, Change, FieldChange, HypervisorEvent, Position, ResourceKind};
pub use config::VmConfig;
pub use diagnosis::Diagnosis;
pub use facts::{EndReason, Facts, MachineState};
pub use files::{DiskLayers, KernelFiles, Layer, MachineFiles};
pub use foreign::{Foreign, ManagedDisk, ManagedMachine, ManagedNic, NeighbourMachine};
pub use guest::GuestSystem;
pub use host::Host;
pub use ids::{HostId, IncarnationId, NetworkId, Revision, SubnetId, TaskId, VmId};
pub use image::{Ancestor, DiskFormat, Image, ImageKind, Lineage};
pub use incarnation::{Incarnation, ProcessIdentity};
pub use memory::MemoryImage;
pub use names::{DeviceName, ImageName, NetworkName, ProjectName, TokenName, VmName};
pub use network::{GuestAddress, InterfaceName, Network, NetworkConfig, Subnet, SubnetConfig};
pub use policy::{Policies, Policy};
pub use project::{Counted, Project, Quota, QuotaSource, StoredQuota, Usage};
pub use refusal::{Code, Refusal};
pub use secret::Secret;
pub use shown::{ShownNetwork, ShownSubnet};
pub use small_map::SmallMap;
pub use spec::{Assigned, Placement, Spec, Want};
pub use statistics::Statistics;
pub use task::{StepName, Task, TaskLogLine, TaskState, TaskStep};
pub use units::{ByteSize, Mebibytes};
pub use vm::{DiskFacts, Managed, Vm, VmState};

/// The time of something, in UTC; written as RFC 3339.
pub type Timestamp = jiff::Timestamp;
