//! Deeds: what Innkeeper is doing, or has done, about something.

use crate::{
    Timestamp,
    ids::{Revision, TaskId, VmId},
    names::ProjectName,
    refusal::Refusal,
};
use serde::{Deserialize, Serialize};
use std::{fmt, ops::Deref, sync::Arc};
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
    /// Stopped halfway, by a crash, at a step that this version does not know or cannot judge. It
    /// waits for a person to resume or undo it.
    Interrupted,
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
    /// What the step does, such as `qemu/launch`, after the groups that it is in and before what it
    /// is done to: `volumes/create-volume:root`.
    #[schema(value_type = String)]
    pub name: StepName,
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

/// The name of a step. Copies of it are one text: a task is copied with each of its changes, and its steps'
/// names are most of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepName(Arc<str>);

impl StepName {
    /// It as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for StepName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl PartialEq<str> for StepName {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for StepName {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl From<&str> for StepName {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for StepName {
    fn from(text: String) -> Self {
        Self(text.into())
    }
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
    /// Begun when the daemon ended; nothing can tell whether it happened.
    Unknown,
}

/// What an operation would come to: its plan, printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannedOperation {
    /// What would be done.
    pub operation: String,
    /// Which way it would go after a crash of the daemon: `forward` or `back`.
    pub after_crash: String,
    /// The steps, in order.
    pub steps: Vec<PlannedStep>,
}

/// One step of a plan, printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannedStep {
    /// Its path.
    pub path: String,
    /// The part of the plan that it is in: steps of one part are done at the same time.
    pub part: u32,
    /// What can be known of it after a crash: `probe`, `repeat` or `once`.
    pub crash: String,
    /// Whether there is a way back from it: before the first step that has none, everything can be
    /// cancelled and undone.
    pub way_back: bool,
}

/// The most log lines of one task; the first ones are kept.
pub const MAX_TASK_LOG: usize = 200;

/// One thing that happened in a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskLogLine {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What, in one sentence or in a program's own words.
    pub text: String,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
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
    /// The project of that VM, as it was at the time: who is bound to a project sees its tasks, and goes on to
    /// when the VM is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectName>,
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
    /// What it has left behind and could not take back or finish. Tried again by and by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leftovers: Vec<String>,
    /// What happened in it, oldest first; at most [`MAX_TASK_LOG`] lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<TaskLogLine>,
    /// What it has to itself or shares while it runs: `vm/ID`, `image/NAME`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// How often it was taken up again by a daemon after the one before it had ended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub taken_up: u32,
    /// The view's revision at which all its effects could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Revision>,
    /// The view's revision at this task's last change; zero outside the view.
    #[serde(default)]
    pub revision: Revision,
}
