//! Machines that run on this host and are not Innkeeper's.

use crate::{incarnation::ProcessIdentity, units::Mebibytes};
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
