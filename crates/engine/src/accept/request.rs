//! What can be asked of the engine: one closed list, whichever door it comes through.

use super::kind::Kind;
use innkeeper_model::{
    DeviceName, DiskFormat, ImageKind, ImageName, NetworkConfig, NetworkId, NetworkName,
    ProjectName, Revision, Secret, SubnetConfig, SubnetId, TaskId, VmConfig, VmId, VmName,
    config::{MacAddress, Nic},
};
use innkeeper_storage::StagedVm;
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

/// How long a guest may take to power itself off, where nobody says.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin {
    /// By which entrance: `unix`, `tcp`, or the name of a door.
    pub door: &'static str,
    /// From which address, where it came over TCP.
    pub address: Option<SocketAddr>,
}

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// Their name, as the task and the audit show it: `uid:0`, `token`, `innkeeper` itself.
    pub name: String,
    /// Their own name for this request.
    pub request_id: Option<String>,
    /// Where they came in; nowhere, where Innkeeper itself acts.
    pub origin: Option<Origin>,
}

impl Caller {
    /// Innkeeper itself, acting on what it noticed.
    pub fn innkeeper() -> Self {
        Self { name: "innkeeper".into(), ..Self::default() }
    }

    /// Whoever changed a spec in its file.
    pub(crate) fn by_hand() -> Self {
        Self { name: "by-hand".into(), ..Self::default() }
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
    /// Make a VM of a file that has arrived.
    Import(Box<ImportVm>),
    /// Delete a VM and its disks. One that was adopted from another manager is given back as it is.
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
    /// Add, take out or change a NIC of a VM, in its machine too where that is on.
    Nic {
        /// The VM.
        vm: VmId,
        /// What becomes of which NIC.
        change: NicChange,
    },
    /// Make a foreign machine a VM.
    Adopt {
        /// The machine's process id, as the host's list of foreign machines shows it.
        pid: u32,
        /// The name that the VM gets; else the machine's own.
        name: Option<VmName>,
    },
    /// Have a VM that another manager has driven by Innkeeper, through that manager.
    AdoptManaged {
        /// The VM.
        vm: VmId,
        /// The name that it gets; else it keeps the one that it is shown under.
        name: Option<VmName>,
    },
    /// Something about networks.
    Network(NetworkRequest),
    /// Import an image, or make one of a VM's disk.
    AddImage(Box<AddImage>),
    /// Remove an image.
    RemoveImage {
        /// Its name.
        name: ImageName,
    },
}

impl Request {
    /// What is asked for, as its task shows it.
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }

    const fn kind(&self) -> Kind {
        match self {
            Self::Create { .. } => Kind::Create,
            Self::Edit { .. } => Kind::Edit,
            Self::Clone { .. } => Kind::Clone,
            Self::Import(_) => Kind::Import,
            Self::Delete { .. } => Kind::Delete,
            Self::Power { verb, .. } => verb.kind(),
            Self::Nic { change, .. } => change.kind(),
            Self::Adopt { .. } | Self::AdoptManaged { .. } => Kind::Adopt,
            Self::Network(request) => request.kind(),
            Self::AddImage(_) => Kind::ImageAdd,
            Self::RemoveImage { .. } => Kind::ImageRemove,
        }
    }
}

/// A VM from a file.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportVm {
    /// What has arrived: see [`crate::Engine::receive_vm`]. It is thrown away when the task has ended and
    /// nobody else has it.
    pub staged: Arc<StagedVm>,
    /// The name it gets; else its own.
    pub name: Option<VmName>,
    /// The project that it belongs to; else its own.
    pub project: Option<ProjectName>,
    /// Whether it is the VM that it was, to its guest and on its networks: with its id, its hardware
    /// addresses and its published ports. Else it is a copy, with new ones and without ports.
    pub keep_identity: bool,
}

/// What becomes of a NIC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NicChange {
    /// There is one more.
    Add(Box<Nic>),
    /// There is one less.
    Remove(DeviceName),
    /// It becomes this one; the name and the hardware address stay.
    Set(Box<Nic>),
}

impl NicChange {
    /// The NIC's name.
    pub const fn nic(&self) -> &DeviceName {
        match self {
            Self::Add(nic) | Self::Set(nic) => &nic.name,
            Self::Remove(name) => name,
        }
    }

    /// What the change is.
    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Add(_) => Kind::NicAdd,
            Self::Remove(_) => Kind::NicRemove,
            Self::Set(_) => Kind::NicChange,
        }
    }
}

/// One thing that somebody asks for about networks.
#[derive(Debug, Clone, PartialEq)]
pub enum NetworkRequest {
    /// Make a network.
    Create {
        /// What it should be.
        config: Box<NetworkConfig>,
        /// Its id, where the caller chose one.
        id: Option<NetworkId>,
        /// The subnets that it begins with.
        subnets: Vec<SubnetConfig>,
    },
    /// Change a network's configuration, at once for the guests that are on it.
    Edit {
        /// The network.
        network: NetworkId,
        /// What it should be from now on.
        config: Box<NetworkConfig>,
        /// The revision that the caller read; refused where the record is another by now.
        expected: Option<Revision>,
    },
    /// Delete a network that no VM has a NIC on, and its subnets.
    Delete {
        /// The network.
        network: NetworkId,
    },
    /// Put another range of addresses on a network.
    CreateSubnet {
        /// The network.
        network: NetworkId,
        /// What it should be.
        config: Box<SubnetConfig>,
        /// Its id, where the caller chose one.
        id: Option<SubnetId>,
    },
    /// Take one away that no guest has an address of.
    DeleteSubnet {
        /// The subnet.
        subnet: SubnetId,
    },
    /// Keep addresses of a subnet for something other than a NIC of a VM: all of them, or none.
    Reserve {
        /// The subnet.
        subnet: SubnetId,
        /// What is to be kept.
        wanted: Vec<ReservationWish>,
    },
    /// Give such addresses back: all of them, or none.
    Release {
        /// The subnet.
        subnet: SubnetId,
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
}

impl NetworkRequest {
    /// What is asked for.
    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Create { .. } => Kind::NetworkCreate,
            Self::Edit { .. } => Kind::NetworkEdit,
            Self::Delete { .. } => Kind::NetworkDelete,
            Self::CreateSubnet { .. } => Kind::SubnetCreate,
            Self::DeleteSubnet { .. } => Kind::SubnetDelete,
            Self::Reserve { .. } => Kind::SubnetReserve,
            Self::Release { .. } => Kind::SubnetRelease,
        }
    }
}

/// An address that somebody wants kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReservationWish {
    /// Which; else the lowest that is free.
    pub address: Option<IpAddr>,
    /// Who gets it by DHCP.
    pub mac: Option<MacAddress>,
    /// What it is kept for.
    pub name: Option<NetworkName>,
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
        self.kind().name()
    }

    const fn kind(self) -> Kind {
        match self {
            Self::Start { .. } => Kind::Start,
            Self::Stop { .. } => Kind::Stop,
            Self::Kill => Kind::Kill,
            Self::Reboot { .. } => Kind::Reboot,
            Self::Reset => Kind::Reset,
            Self::Pause => Kind::Pause,
            Self::Resume => Kind::Resume,
            Self::Suspend => Kind::Suspend,
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
        /// `https://` or `http://`. Who may fetch it may be told by it: the record has it, and nothing else.
        #[serde(with = "innkeeper_model::secret::as_text")]
        url: Secret,
        /// The SHA-256 that it must have, in hexadecimal.
        checksum: Option<String>,
    },
    /// A VM's disk. The VM has no machine until it is read. It makes an image of kind disk, whose format
    /// is not looked for.
    Disk {
        /// The VM.
        vm: VmId,
        /// The disk; its first where absent, which is no CD-ROM.
        disk: Option<DeviceName>,
    },
    /// What was uploaded for an image of this name: see [`crate::Engine::upload_image`].
    Upload {
        /// The SHA-256 that it was announced with, in hexadecimal.
        sha256: String,
    },
}

impl AddImage {
    /// The VM whose disk it is made of.
    pub(crate) const fn vm(&self) -> Option<VmId> {
        match &self.from {
            ImageFrom::Disk { vm, .. } => Some(*vm),
            ImageFrom::File(_) | ImageFrom::Url { .. } | ImageFrom::Upload { .. } => None,
        }
    }
}

/// What was accepted. It is done by and by; [`crate::Engine::wait`] tells when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The task that does it.
    pub task: TaskId,
    /// The VM that it concerns, a new one included.
    pub vm: Option<VmId>,
    /// The network that it concerns, a new one included.
    pub network: Option<NetworkId>,
    /// The view's revision from which on the task can be read.
    pub revision: Revision,
}
