//! Steps as they stand in a plan: the engine's own, a driver's, and those of another version. Data
//! only; `hands` does the engine's, the driver its own.

use crate::{accept::request::AddImage, networks::claims::NicClaim};
use innkeeper_driver::{Crash, Step};
use innkeeper_hooks::HookEvent;
use innkeeper_model::{
    ByteSize, DeviceName, ImageName, Incarnation, Mebibytes, MemoryImage, Network, NetworkId,
    ProjectName, Spec, SubnetId, VmId, VmName, Want,
    config::{CloudInit, Disk},
    network::Reservation,
};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, sync::Arc};

/// The version of the shape of the engine's own steps.
const SCHEMA: u32 = 1;
/// What stands before a driver's step in its name and never in the engine's.
const OF_DRIVER: char = '/';

/// One step of a plan, in memory. Written down, each is a [`Step`]: a name, a version, what can be
/// known after a crash, and arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Step", into = "Step")]
pub(crate) enum PlanStep {
    /// The engine's.
    Own(OwnStep),
    /// The driver's, which only the driver reads.
    Driver(Step),
    /// One of the engine's that another version wrote and this one does not know.
    Unknown(Step),
}

/// What a machine takes of its host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Share {
    pub(crate) cpus: u16,
    pub(crate) memory: Mebibytes,
}

impl Share {
    /// What a machine that there is takes.
    pub(crate) const fn of(machine: &Incarnation) -> Self {
        Self { cpus: machine.cpus, memory: machine.memory }
    }
}

/// A step that the engine does itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum OwnStep {
    /// Take a machine's share of this host.
    Reserve { vm: VmId, project: ProjectName, share: Share },
    /// Give it back.
    Release { vm: VmId },
    /// Take what a VM's disks may grow to, in place of what it had taken before.
    ReserveDisk { vm: VmId, project: ProjectName, size: ByteSize, before: Option<ByteSize> },
    /// Begin a new VM's volumes: until they are finished they are known to be half made, whatever
    /// happens to the daemon and its journal.
    ClaimVolumes { vm: VmId },
    /// The VM is stored: what was made for it is whole.
    FinishVolumes { vm: VmId },
    /// Make the volume of a disk.
    CreateVolume { vm: VmId, disk: Box<Disk> },
    /// Remove one that its VM no longer has.
    RemoveVolume { vm: VmId, disk: DeviceName },
    /// Remove all volumes of a VM.
    RemoveVolumes { vm: VmId },
    /// Copy all volumes of a VM for another.
    CloneVolumes { from: VmId, to: VmId },
    /// Make volumes of what has arrived under this name, and take that away.
    BringVolumes { vm: VmId, from: String },
    /// Give a VM its UEFI variables.
    CreateNvram { vm: VmId, template: PathBuf },
    /// Write the cloud-init seed. Its texts are secrets and are not written down: after a crash what
    /// they were written for is undone.
    WriteSeed { vm: VmId, hostname: VmName, documents: Box<CloudInit>, inherit: Option<VmId> },
    /// Remove it.
    RemoveSeed { vm: VmId },
    /// Make the file that a machine's memory goes to.
    CreateMemory { vm: VmId },
    /// Say that a memory image is whole, and what it is of.
    SealMemory { vm: VmId, incarnation: Arc<Incarnation> },
    /// See whether a memory image is all there.
    CheckMemory { vm: VmId },
    /// Read it, and hold it against its checksum.
    VerifyMemory { vm: VmId, image: Arc<MemoryImage> },
    /// Say that a guest may have gone on from it, so that it is never used again.
    SpendMemory { vm: VmId, image: Arc<MemoryImage> },
    /// Remove it.
    RemoveMemory { vm: VmId },
    /// See once more that no file of the host's that a machine has for a disk belongs to another VM's
    /// memory.
    CheckDisks { vm: VmId },
    /// Say that the dump of a guest's memory is whole.
    NoteDump { vm: VmId },
    /// Make the file that a dump of a guest's memory goes to.
    CreateDump { vm: VmId },
    /// Store a new or changed spec.
    SaveSpec { spec: Arc<Spec>, before: Option<Arc<Spec>> },
    /// Remove a spec; a damaged one only where it is given up by name.
    RemoveSpec { vm: VmId, damaged: bool },
    /// Store what a VM should be doing.
    SetWant { vm: VmId, want: Want, before: Want },
    /// The same where the deed counts and not the note of it: what cannot be written is told.
    NoteWant { vm: VmId, want: Want, before: Want },
    /// Keep guests from this host's services.
    GuardLoopback,
    /// Take addresses, hardware addresses and ports of this host for the NICs of a VM.
    ReserveAddresses { vm: VmId, claims: Vec<NicClaim> },
    /// See that the networks of a VM's NICs are there, and know them.
    WireNics { vm: VmId, networks: Vec<NetworkId> },
    /// Store a new or changed network.
    SaveNetwork { network: Arc<Network>, before: Option<Arc<Network>> },
    /// Keep addresses of a subnet.
    KeepAddresses { network: NetworkId, subnet: SubnetId, reservations: Vec<Reservation> },
    /// Give them back.
    GiveBackAddresses { network: NetworkId, subnet: SubnetId, reservations: Vec<Reservation> },
    /// Have the host be as a network wants it.
    WireNetwork { network: NetworkId },
    /// Remove a network's record.
    RemoveNetwork { network: NetworkId },
    /// Remove what the host has of a network.
    ReleaseNetwork { network: Arc<Network> },
    /// Have the driver forget what it keeps of a VM.
    Forget { vm: VmId },
    /// Run the operator's executables for an event.
    Hook { vm: VmId, event: HookEvent, reason: String },
    /// Import an image.
    ImportImage(Box<AddImage>),
    /// Remove one.
    RemoveImage { name: ImageName },
}

impl OwnStep {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Reserve { .. } => "reserve",
            Self::Release { .. } => "release",
            Self::ReserveDisk { .. } => "reserve-disk",
            Self::ClaimVolumes { .. } => "claim-volumes",
            Self::FinishVolumes { .. } => "finish-volumes",
            Self::CreateVolume { .. } => "create-volume",
            Self::RemoveVolume { .. } => "remove-volume",
            Self::RemoveVolumes { .. } => "remove-volumes",
            Self::CloneVolumes { .. } => "clone-volumes",
            Self::BringVolumes { .. } => "bring-volumes",
            Self::CreateNvram { .. } => "create-nvram",
            Self::WriteSeed { .. } => "write-seed",
            Self::RemoveSeed { .. } => "remove-seed",
            Self::CreateMemory { .. } => "create-memory",
            Self::SealMemory { .. } => "seal-memory",
            Self::CheckMemory { .. } => "check-memory",
            Self::VerifyMemory { .. } => "verify-memory",
            Self::SpendMemory { .. } => "spend-memory",
            Self::RemoveMemory { .. } => "remove-memory",
            Self::CheckDisks { .. } => "check-disks",
            Self::CreateDump { .. } => "create-dump",
            Self::NoteDump { .. } => "note-dump",
            Self::SaveSpec { .. } => "save-spec",
            Self::RemoveSpec { .. } => "remove-spec",
            Self::SetWant { .. } => "set-want",
            Self::NoteWant { .. } => "note-want",
            Self::GuardLoopback => "guard-loopback",
            Self::ReserveAddresses { .. } => "reserve-addresses",
            Self::WireNics { .. } => "wire-nics",
            Self::SaveNetwork { .. } => "save-network",
            Self::KeepAddresses { .. } => "keep-addresses",
            Self::GiveBackAddresses { .. } => "give-back-addresses",
            Self::WireNetwork { .. } => "wire-network",
            Self::RemoveNetwork { .. } => "remove-network",
            Self::ReleaseNetwork { .. } => "release-network",
            Self::Forget { .. } => "forget",
            Self::Hook { .. } => "hook",
            Self::ImportImage(_) => "import-image",
            Self::RemoveImage { .. } => "remove-image",
        }
    }

    /// Which of several like it in one plan.
    fn about(&self) -> Option<String> {
        match self {
            Self::CreateVolume { disk, .. } => Some(disk.name.to_string()),
            Self::RemoveVolume { disk, .. } => Some(disk.to_string()),
            Self::Hook { event, .. } => Some(event.to_string()),
            _ => None,
        }
    }

    /// Whether it waits while it is done: for the disk, for another program, or until readers can see it.
    pub(crate) fn waits(&self) -> bool {
        match self {
            // Accounts are in memory.
            Self::Reserve { .. }
            | Self::Release { .. }
            | Self::ReserveDisk { .. }
            | Self::ReserveAddresses { .. } => false,
            // What is wanted already is not stored again.
            Self::SetWant { want, before, .. } | Self::NoteWant { want, before, .. } => {
                want != before
            }
            _ => true,
        }
    }

    /// What can be known of it after a crash. A hook may have done anything, so nobody can know.
    const fn crash(&self) -> Crash {
        match self {
            Self::Hook { .. } => Crash::Once,
            _ => Crash::Repeat,
        }
    }
}

impl PlanStep {
    /// The step's name in paths: what it does, and which of several.
    pub(crate) fn name(&self) -> String {
        let (name, about) = match self {
            Self::Own(step) => (step.name(), step.about()),
            Self::Driver(step) | Self::Unknown(step) => (step.name.as_str(), step.about.clone()),
        };
        match about {
            Some(about) => format!("{name}:{about}"),
            None => name.to_owned(),
        }
    }

    pub(crate) const fn crash(&self) -> Crash {
        match self {
            Self::Own(step) => step.crash(),
            Self::Driver(step) | Self::Unknown(step) => step.crash,
        }
    }
}

impl From<PlanStep> for Step {
    fn from(step: PlanStep) -> Self {
        match step {
            PlanStep::Own(own) => {
                let step = Self::new(own.name(), SCHEMA, own.crash(), &own);
                Self { about: own.about(), ..step }
            }
            PlanStep::Driver(step) | PlanStep::Unknown(step) => step,
        }
    }
}

impl From<Step> for PlanStep {
    fn from(step: Step) -> Self {
        if step.name.contains(OF_DRIVER) {
            return Self::Driver(step);
        }
        let known = (step.schema <= SCHEMA).then(|| OwnStep::deserialize(&step.arguments));
        match known {
            Some(Ok(own)) if own.name() == step.name => Self::Own(own),
            _ => Self::Unknown(step),
        }
    }
}

#[cfg(test)]
#[path = "steps_tests.rs"]
mod tests;
