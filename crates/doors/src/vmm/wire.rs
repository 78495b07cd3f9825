//! The bodies of requests and answers, in the service's own shapes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which VM, and whose.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct Target {
    /// The VM's id, as it was given when it was made.
    pub(super) build_id: String,
    /// Whose it is. Default: whoever's.
    pub(super) owner: Option<String>,
}

/// A VM to make.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Create {
    /// Its name; unique among its owner's.
    pub(super) name: String,
    /// Whose it is to be. Default: the caller's, which is the project `default`.
    #[serde(default)]
    pub(super) owner: Option<String>,
    /// What it is.
    #[serde(default)]
    pub(super) vm_config: Machine,
}

/// What a VM is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct Machine {
    /// Virtual CPUs. Default: 1.
    pub(super) vcpu_count: Option<u16>,
    /// Memory, in MiB. Default: as every VM's.
    pub(super) mem_size_mib: Option<u64>,
    /// Its disk, in GiB. Default: as large as its image.
    pub(super) disk_size: Option<u64>,
    /// The kernel's command line. Default: the door's.
    pub(super) boot_args: Option<String>,
    /// The image of its kernel. Default: the door's; where that has none, the disk boots by itself.
    pub(super) kernel: Option<String>,
    /// The image that its disk begins as. Default: the door's.
    pub(super) rootfs: Option<String>,
}

/// A VM was made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Created {
    /// True.
    pub(super) success: bool,
    /// Its id.
    pub(super) vm_id: String,
    /// That it was, and what was changed of the request.
    pub(super) message: String,
    /// The task that made it.
    pub(super) task_id: String,
}

/// Something was done, or begun.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Done {
    /// True.
    pub(super) success: bool,
    /// What was.
    pub(super) message: String,
    /// The task that did it, or does it.
    pub(super) task_id: String,
}

/// How a VM is to stop.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct Stop {
    /// The VM's id.
    pub(super) build_id: String,
    /// Whose it is. Default: whoever's.
    pub(super) owner: Option<String>,
    /// End it at once, instead of asking its guest to power off.
    pub(super) force: bool,
}

/// One VM.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Info {
    /// Its id.
    pub(super) build_id: String,
    /// Its name.
    pub(super) name: String,
    /// Whose it is.
    pub(super) owner: String,
    /// What it is doing: `running`, `stopped`, `paused` and so on.
    pub(super) state: String,
    /// What it has.
    pub(super) resources: Resources,
    /// Its address; empty until it has one.
    pub(super) ip_address: String,
    /// When it was made, in seconds since 1970.
    pub(super) created_at: i64,
    /// When its configuration was last changed, in seconds since 1970.
    pub(super) updated_at: i64,
}

/// What a VM has.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Resources {
    /// Virtual CPUs.
    pub(super) vcpu_count: u16,
    /// Memory, in MiB.
    pub(super) mem_size_mib: u64,
    /// Its disks together, in GiB, rounded up.
    pub(super) disk_size: u64,
}

/// Which task.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct TaskTarget {
    /// Its id.
    pub(super) task_id: String,
}

/// How far a task has come.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TaskInfo {
    /// Whether it has not failed.
    pub(super) success: bool,
    /// Its id.
    pub(super) task_id: String,
    /// What is being done.
    pub(super) operation: String,
    /// `queued`, `running`, `done`, `failed`, `cancelled` or `interrupted`.
    pub(super) state: String,
    /// The VM that it is done to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) build_id: Option<String>,
    /// How far it has come, in a sentence; or why it failed.
    pub(super) message: String,
    /// When it was accepted, in seconds since 1970.
    pub(super) created_at: i64,
}

/// A message.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct Ping {
    /// Any text.
    pub(super) message: Option<String>,
}

/// The answer to a message.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Pong {
    /// `pong`.
    pub(super) message: &'static str,
    /// The time here, in seconds since 1970.
    pub(super) timestamp: i64,
}

/// A disk to make an image of.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct Commit {
    /// The VM's id.
    pub(super) build_id: String,
    /// Whose it is. Default: whoever's.
    pub(super) owner: Option<String>,
    /// The image's name. Default: the VM's, and the time.
    pub(super) name: Option<String>,
    /// The disk's name. Default: the VM's first, which is no CD-ROM.
    pub(super) disk: Option<String>,
}

/// An image was made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Committed {
    /// True.
    pub(super) success: bool,
    /// That it was, or is being made.
    pub(super) message: String,
    /// Its name.
    pub(super) image: String,
    /// The task that made it, or makes it.
    pub(super) task_id: String,
}

/// A device to plug in.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct AddDevice {
    /// The VM's id.
    pub(super) build_id: String,
    /// Whose it is. Default: whoever's.
    #[serde(default)]
    pub(super) owner: Option<String>,
    /// The device.
    pub(super) device: Device,
}

/// A device: a network interface.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Device {
    /// What it is: `nic`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Its name in the VM. Default: the first of `nic0`, `nic1` and so on that is free.
    #[serde(default)]
    pub(super) device_id: Option<String>,
    /// The network that it is on, `user` or `none`. Default: `default`, where there is such a network.
    #[serde(default)]
    pub(super) network: Option<String>,
    /// Its hardware address. Default: one that is chosen.
    #[serde(default)]
    pub(super) mac: Option<String>,
}

/// A device was plugged in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeviceAdded {
    /// True.
    pub(super) success: bool,
    /// That it was.
    pub(super) message: String,
    /// The device's name.
    pub(super) device_id: String,
    /// The task that did it.
    pub(super) task_id: String,
}

/// A device to take out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct RemoveDevice {
    /// The VM's id.
    pub(super) build_id: String,
    /// Whose it is. Default: whoever's.
    pub(super) owner: Option<String>,
    /// The device's name.
    pub(super) device_id: String,
}
