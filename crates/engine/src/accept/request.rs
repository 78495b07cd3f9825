//! What can be asked of the engine: one closed list, whichever door it comes through.

use innkeeper_model::{DiskFormat, ImageKind, ImageName, Revision, TaskId, VmConfig, VmId, VmName};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// How long a guest may take to power itself off, where nobody says.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Their name, as the task and the audit show it: `uid:0`, `token`, `innkeeper` itself.
    pub name: String,
    /// Their own name for this request.
    pub request_id: Option<String>,
}

impl Caller {
    /// Innkeeper itself, acting on what it noticed.
    pub fn innkeeper() -> Self {
        Self { name: "innkeeper".into(), request_id: None }
    }
}

/// One thing that somebody asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Make a VM.
    Create {
        /// What it should be.
        config: Box<VmConfig>,
        /// Its id, where the caller chose one.
        id: Option<VmId>,
    },
    /// Change a VM's configuration; what runs keeps running as it is until its next start.
    Edit {
        /// The VM.
        vm: VmId,
        /// What it should be from now on.
        config: Box<VmConfig>,
        /// The revision that the caller read; refused where the spec is another by now.
        expected: Option<Revision>,
    },
    /// Make a VM like another that is stopped, with copies of its disks.
    Clone {
        /// The VM to copy.
        vm: VmId,
        /// The new VM's name.
        name: VmName,
    },
    /// Delete a VM and its disks.
    Delete {
        /// The VM.
        vm: VmId,
        /// End it first if it runs.
        force: bool,
    },
    /// Do something to a VM's machine.
    Power {
        /// The VM.
        vm: VmId,
        /// What.
        verb: PowerVerb,
    },
    /// Make a foreign machine a VM.
    Adopt {
        /// The machine's process id, as the host's list of foreign machines shows it.
        pid: u32,
        /// The name that the VM gets; else the machine's own.
        name: Option<VmName>,
    },
    /// Import an image.
    AddImage(Box<AddImage>),
    /// Remove an image.
    RemoveImage {
        /// Its name.
        name: ImageName,
    },
}

/// What can be done to a VM's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerVerb {
    /// Make the machine and let it run.
    Start {
        /// Give up the memory of a suspended VM; without this, starting one is refused.
        discard_memory: bool,
    },
    /// Ask the guest to power itself off, and wait for it.
    Stop {
        /// How long it may take; then the VM is left running and the task fails.
        timeout: Duration,
    },
    /// End the machine at once. Never queues.
    Kill,
    /// Stop the guest, then start it, from the spec as it is by then.
    Reboot {
        /// How long the guest may take to stop.
        timeout: Duration,
        /// End it at once instead of asking it.
        force: bool,
    },
    /// Press the reset button.
    Reset,
    /// Hold the CPUs.
    Pause,
    /// Let them go on; a suspended VM goes on from its memory.
    Resume,
    /// Write the memory to a file, and end the machine.
    Suspend,
}

impl PowerVerb {
    /// The verb as people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Stop { .. } => "stop",
            Self::Kill => "kill",
            Self::Reboot { .. } => "reboot",
            Self::Reset => "reset",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Suspend => "suspend",
        }
    }
}

/// An image to import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AddImage {
    /// The name it gets.
    pub name: ImageName,
    /// What it is for.
    pub kind: ImageKind,
    /// Where it comes from.
    pub from: ImageFrom,
    /// A disk's format; looked for in its header where absent.
    pub format: Option<DiskFormat>,
    /// A file to keep with a kernel.
    pub initrd: Option<PathBuf>,
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageFrom {
    /// A file on this host.
    File(PathBuf),
    /// A server.
    Url {
        /// `https://` or `http://`.
        url: String,
        /// The SHA-256 that it must have, in hexadecimal.
        checksum: Option<String>,
    },
}

/// What was accepted. It is done by and by; [`crate::Engine::wait`] tells when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The task that does it.
    pub task: TaskId,
    /// The VM that it concerns, a new one included.
    pub vm: Option<VmId>,
    /// The view's revision from which on the task can be read.
    pub revision: Revision,
}
