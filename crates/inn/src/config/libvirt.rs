//! What an operator writes down about libvirt.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use utoipa::ToSchema;

/// libvirt, beside the daemon's own driver: its domains are shown as VMs of project `libvirt`, and left
/// alone. `inn adopt VM` has one driven here, through libvirt. The daemon starts without libvirt, and
/// looks for it again every 5 s.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LibvirtConfig {
    /// Its socket, such as `/run/libvirt/libvirt-sock`, or `/run/libvirt/virtqemud-sock` where each of its
    /// drivers has a daemon of its own. Without one, libvirt is not looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub socket: Option<PathBuf>,
    /// Which of its drivers, such as `qemu:///session`. Default: QEMU's, that of the host or else that of
    /// the user that libvirt runs as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
}
