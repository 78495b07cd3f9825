//! What becomes of a VM when its guest ends by itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What to do when a guest has crashed, rebooted or shut itself down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Start it again. One that crashes or powers itself off within two minutes of its start is left stopped.
    Restart,
    /// Put its machine away; the VM is wanted stopped from then on.
    Stop,
    /// Keep its machine, with the CPUs held, for somebody to look at.
    Pause,
    /// The same, and write the guest's memory to a file first.
    Preserve,
}

/// The policies of one VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Policies {
    /// When the guest's kernel panics, or the hypervisor's process dies. Of a process that died
    /// nothing can be kept, so `pause` and `preserve` leave the VM stopped then.
    #[serde(default = "restart")]
    pub crash: Policy,
    /// When the guest reboots. `restart` resets the machine in place.
    #[serde(default = "restart")]
    pub reboot: Policy,
    /// When the guest powers itself off.
    #[serde(default = "stop")]
    pub shutdown: Policy,
}

const fn restart() -> Policy {
    Policy::Restart
}

const fn stop() -> Policy {
    Policy::Stop
}

impl Default for Policies {
    fn default() -> Self {
        Self { crash: Policy::Restart, reboot: Policy::Restart, shutdown: Policy::Stop }
    }
}
