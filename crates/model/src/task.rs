//! Deeds: what Innkeeper is doing, or has done, about something.

use crate::{
    Timestamp,
    ids::{Revision, TaskId, VmId},
    refusal::Refusal,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Waits for its turn.
    Queued,
    /// Is being done.
    Running,
    /// Was done.
    Done,
    /// Was not done; what it had changed was undone.
    Failed,
    /// Was stopped on request; what it had changed was undone.
    Cancelled,
}

impl TaskState {
    /// Whether the task has ended, one way or another.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// One step of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskStep {
    /// What the step does, such as `qemu/spawn`.
    pub name: String,
    /// How far it has come.
    pub state: StepState,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started: Option<Timestamp>,
    /// How long it took, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_us: Option<u64>,
}

/// How far a step has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not begun.
    Waiting,
    /// Being done.
    Running,
    /// Done.
    Done,
    /// Failed.
    Failed,
    /// Done, then undone because a later step failed.
    Undone,
    /// Done, and could not be undone.
    Stuck,
}

/// One deed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// What is being done: `start`, `stop`, `image-add` and so on.
    pub operation: String,
    /// The VM it is done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm: Option<VmId>,
    /// The name of what it is done to, as it was at the time.
    pub subject: String,
    /// Who asked.
    pub caller: String,
    /// The caller's own name for the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// How far it has come.
    pub state: TaskState,
    /// Whether it can still be cancelled.
    pub cancellable: bool,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended: Option<Timestamp>,
    /// Its steps.
    pub steps: Vec<TaskStep>,
    /// How much of it is done, from 0 to 100, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Refusal>,
    /// What its caller should know although it succeeded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The view's revision at which all its effects could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Revision>,
    /// The view's revision at this task's last change; zero outside the view.
    #[serde(default)]
    pub revision: Revision,
}
