//! A VM as the view holds and the API shows it: wish, incarnation, facts and deed side by side.

use crate::{
    Timestamp,
    facts::{Facts, MachineState},
    foreign::ManagedMachine,
    guest::GuestSystem,
    ids::{Revision, TaskId, VmId},
    incarnation::Incarnation,
    memory::MemoryImage,
    names::{DeviceName, ProjectName, VmName},
    network::GuestAddress,
    refusal::{Code, Refusal},
    spec::{Spec, Want},
    units::{ByteSize, Mebibytes},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// The state of a VM in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VmState {
    /// There is no machine.
    Stopped,
    /// A machine is being made.
    Starting,
    /// The guest runs.
    Running,
    /// The guest's CPUs are held.
    Paused,
    /// The guest has ended, and its machine is being put away.
    Ended,
    /// The hypervisor does not answer.
    Unresponsive,
    /// There is no machine, and the memory of the last one is kept.
    Suspended,
    /// An operation stopped halfway, and Innkeeper does not know how to go on: a person must say.
    Interrupted,
    /// The stored spec is damaged; the VM is shown and left alone.
    Quarantined,
}

impl VmState {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Stopped,
        Self::Starting,
        Self::Running,
        Self::Paused,
        Self::Ended,
        Self::Unresponsive,
        Self::Suspended,
        Self::Interrupted,
        Self::Quarantined,
    ];

    /// The state's name, as it is written in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Ended => "ended",
            Self::Unresponsive => "unresponsive",
            Self::Suspended => "suspended",
            Self::Interrupted => "interrupted",
            Self::Quarantined => "quarantined",
        }
    }
}

impl std::fmt::Display for VmState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<MachineState> for VmState {
    fn from(machine: MachineState) -> Self {
        match machine {
            MachineState::Absent => Self::Stopped,
            MachineState::Created => Self::Starting,
            MachineState::Running => Self::Running,
            MachineState::Paused => Self::Paused,
            MachineState::Ended => Self::Ended,
            MachineState::Unresponsive => Self::Unresponsive,
        }
    }
}

impl Vm {
    /// Whether it has a machine, in whatever state.
    pub fn is_on(&self) -> bool {
        self.facts.machine != MachineState::Absent
    }

    /// Whose machine it is: the name of another manager on this host, whether it was adopted from that or
    /// not; `None` for Innkeeper's own.
    pub fn manager(&self) -> Option<&str> {
        let by_spec = || self.spec.as_ref()?.driver.as_deref();
        self.managed.as_ref().map(|managed| &*managed.by).or_else(by_spec)
    }

    /// Its virtual CPUs and its memory: as whoever has its machine says, else as its spec does; `None` while
    /// neither can be asked.
    pub fn size(&self) -> Option<(u16, Mebibytes)> {
        let managed = self.managed.as_ref().map(|managed| &managed.machine);
        let config = || self.spec.as_ref().map(|spec| (spec.config.cpus, spec.config.memory));
        managed.map(|machine| (machine.cpus, machine.memory)).or_else(config)
    }

    /// Whether it is another manager's, and was not adopted: it is shown, and nothing is done to it.
    pub fn is_foreign(&self) -> bool {
        self.managed.is_some() && self.spec.is_none() && self.state != VmState::Quarantined
    }

    /// Refuses to do something to it, named by a verb, where another manager has it and it was not
    /// adopted.
    ///
    /// # Errors
    /// It is that manager's; the refusal says whose, and how to adopt it.
    pub fn check_adopted(&self, verb: &str) -> Result<(), Refusal> {
        if !self.is_foreign() {
            return Ok(());
        }
        let (name, by) = (&self.name, self.manager().unwrap_or("another manager"));
        let message = format!("cannot {verb} VM {name}: it is {by}'s, and only shown here");
        let hint = format!("`inn adopt {}` has Innkeeper drive it, through {by}", self.id);
        Err(Refusal::new(Code::ManagedElsewhere, message).with_hint(hint))
    }
}

/// A VM whose machine another manager of this host has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Managed {
    /// The manager's name, such as `libvirt`.
    pub by: String,
    /// Until when what is said of it is known to be true; absent while its manager can be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub as_of: Option<Timestamp>,
    /// Why its manager cannot be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
    /// What it is, in its manager's words.
    pub machine: ManagedMachine,
}

/// What a disk is, as its file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiskFacts {
    /// The disk's name.
    pub name: DeviceName,
    /// What its guest sees.
    pub virtual_size: ByteSize,
    /// What its file takes of the host's disk.
    pub allocated: ByteSize,
}

/// One VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Vm {
    /// Its id.
    pub id: VmId,
    /// Its name.
    pub name: VmName,
    /// Its project.
    pub project: ProjectName,
    /// Its state in one word.
    pub state: VmState,
    /// What it should be doing; absent while its spec cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub want: Option<Want>,
    /// The view's revision at its last change.
    pub revision: Revision,
    /// The task that is being done to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// What is wrong with it: why it is quarantined, or how it differs from what was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What the hypervisor says.
    pub facts: Facts,
    /// What somebody asked for; absent while it cannot be read, and of another manager's VM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Spec>)]
    pub spec: Option<Arc<Spec>>,
    /// What the running machine was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Incarnation>)]
    pub incarnation: Option<Arc<Incarnation>>,
    /// What its manager says of it, where that is not Innkeeper. Without a spec it was not adopted, and
    /// nothing is done to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Managed>)]
    pub managed: Option<Arc<Managed>>,
    /// The memory of a suspended machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<MemoryImage>)]
    pub memory: Option<Arc<MemoryImage>>,
    /// When the memory of its crashed guest was written to a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub dumped: Option<Timestamp>,
    /// Its disks as they are; looked at from time to time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<DiskFacts>,
    /// The addresses of its guest, as far as they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<GuestAddress>,
    /// What its guest says of itself, where an agent in it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<GuestSystem>)]
    pub guest: Option<Arc<GuestSystem>>,
    /// The task that stopped halfway and waits for `inn task resume` or `inn task undo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupted: Option<TaskId>,
}
