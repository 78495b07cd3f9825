//! What the daemon says of itself when something is stuck.

use crate::{
    Timestamp,
    audit::AuditDiagnosis,
    ids::{TaskId, VmId},
    names::ImageName,
    project::Quota,
    units::{ByteSize, Mebibytes},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Everything that is going on, and everything that is wrong, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Diagnosis {
    /// When it was taken.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Innkeeper's version.
    pub version: String,
    /// Who waits for what, and who has it.
    pub queues: Vec<QueueDiagnosis>,
    /// The tasks that have not ended.
    pub tasks: Vec<TaskDiagnosis>,
    /// What tasks that have ended left behind, tried again by and by.
    pub owed: Vec<OwedDiagnosis>,
    /// The journal.
    pub journal: JournalDiagnosis,
    /// The stored specs.
    pub specs: SpecsDiagnosis,
    /// The audit, where one is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<AuditDiagnosis>,
    /// Who reads the feed.
    pub feed: FeedDiagnosis,
    /// Streams that are open to something in a machine, and files that go and come.
    pub sessions: Vec<SessionDiagnosis>,
    /// What operators did by hand, newest first; the last [`MAX_INTERVENTIONS`].
    pub interventions: Vec<Intervention>,
    /// What the host has given to VMs.
    pub usage: UsageDiagnosis,
    /// VMs with something wrong.
    pub problems: Vec<VmProblem>,
    /// The tasks that failed last, newest first.
    pub failures: Vec<Failure>,
    /// The hypervisors, the daemon's own first.
    pub drivers: Vec<DriverDiagnosis>,
    /// How much of everything there is.
    pub sizes: Sizes,
}

/// How many interventions are remembered.
pub const MAX_INTERVENTIONS: usize = 100;

/// A stream that is open to something in a machine, or a file that goes or comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionDiagnosis {
    /// The VM; absent where it is an image's, and for an import, which is no VM yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm: Option<VmId>,
    /// The image that goes out, or that what comes is to become.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageName>,
    /// To what: `console`, `vnc`, `exec`, `file`, `freeze`, `disk`, `export` of a VM; `upload` and
    /// `download` of an image; `import`.
    pub kind: String,
    /// Who has it.
    #[serde(default)]
    pub caller: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// How many have the same thing of the same VM or image open, this one included.
    #[serde(default)]
    pub viewers: usize,
    /// What went to the caller, in bytes.
    #[serde(default)]
    pub shown: u64,
    /// What came from the caller, in bytes.
    #[serde(default)]
    pub typed: u64,
}

/// Something that an operator did by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Intervention {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who.
    pub caller: String,
    /// What.
    pub what: String,
}

/// A resource that is held or waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueDiagnosis {
    /// The resource: `vm/ID`, `image/NAME`.
    pub resource: String,
    /// How many hold it.
    pub holders: usize,
    /// How many wait for it.
    pub waiting: usize,
    /// Whether an operator has paused it.
    pub paused: bool,
}

/// A task that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskDiagnosis {
    /// The task.
    pub id: TaskId,
    /// What it does.
    pub operation: String,
    /// The VM it is done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm: Option<VmId>,
    /// `queued`, `running` or `interrupted`.
    pub state: String,
    /// The steps that are being done.
    pub steps: Vec<String>,
    /// For how long it has been in them, or has waited, in milliseconds.
    pub for_ms: u64,
    /// Whether it can be cancelled.
    pub cancellable: bool,
}

/// What a task left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwedDiagnosis {
    /// The task.
    pub task: TaskId,
    /// What it did.
    pub operation: String,
    /// The VM it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm: Option<VmId>,
    /// What is left, and why.
    pub leftovers: Vec<String>,
}

/// The journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JournalDiagnosis {
    /// Its files.
    pub segments: u64,
    /// What they take of the disk.
    pub size: ByteSize,
    /// Records written since the daemon started.
    pub records: u64,
    /// Syncs since then.
    pub syncs: u64,
    /// Records that wait to be written.
    pub pending: u64,
    /// Whether no room could be set aside for what comes next.
    pub low: bool,
    /// Why something was last not written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Records that cannot be read, and whose they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damage: Vec<String>,
}

/// The stored specs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpecsDiagnosis {
    /// Those that are in the journal and not yet in their files.
    pub unwritten: usize,
    /// Why files could last not be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The feed and its readers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FeedDiagnosis {
    /// Changes that are kept.
    pub changes: usize,
    /// What they take of memory, in bytes.
    pub change_bytes: usize,
    /// Readers.
    pub readers: usize,
    /// How many changes the slowest reader is behind.
    pub slowest_lag: u64,
    /// The readers that are furthest behind, those first; at most [`MAX_READERS`].
    #[serde(default)]
    pub reading: Vec<ReaderDiagnosis>,
}

/// How many readers are told of one by one.
pub const MAX_READERS: usize = 100;

/// A reader of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReaderDiagnosis {
    /// Who, and what of it they follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// How many revisions they are behind.
    pub lag: u64,
}

/// A hypervisor, as its driver sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DriverDiagnosis {
    /// The driver's name.
    pub name: String,
    /// The hypervisor's version, once it has been asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How many machines it keeps.
    pub machines: usize,
    /// How many control connections to them, or to their manager, it has.
    pub connections: usize,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<DriverError>,
}

/// Something that a driver could not do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DriverError {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The VM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm: Option<VmId>,
    /// What, and why not.
    pub error: String,
}

/// What the host has given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageDiagnosis {
    /// VMs.
    pub vms: u64,
    /// Virtual CPUs of machines.
    pub cpus: u64,
    /// Memory of machines.
    pub memory: Mebibytes,
    /// What the disks of VMs may grow to.
    pub disk: ByteSize,
    /// How much there may be of these; of what is `null`, without bound.
    #[serde(default)]
    pub bounds: Quota,
    /// The pool, as somebody who asked for room in it saw it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolDiagnosis>,
}

/// The room in a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolDiagnosis {
    /// When it was looked at: a diagnosis waits for no disk.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Its folder.
    pub folder: String,
    /// The size of its file system.
    pub size: ByteSize,
    /// What was left of that then.
    pub free: ByteSize,
    /// What of that is promised to what is on its way, by now.
    pub promised: ByteSize,
}

/// A VM with something wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VmProblem {
    /// The VM.
    pub vm: VmId,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: String,
    /// What is wrong.
    pub problem: String,
}

/// A task that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// The task.
    pub task: TaskId,
    /// What it did.
    pub operation: String,
    /// The name of what it was done to.
    pub subject: String,
    /// When it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
    /// Why.
    pub error: String,
}

/// How much of everything there is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sizes {
    /// VMs in the view.
    pub vms: usize,
    /// Tasks in the view.
    pub tasks: usize,
    /// Images in the view.
    pub images: usize,
    /// The daemon's resident memory.
    pub resident: ByteSize,
    /// Its open files.
    pub open_files: usize,
    /// Its threads.
    pub threads: usize,
}
