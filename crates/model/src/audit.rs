//! What is on record of those who ask: one line for each change, each session and each refusal.

use crate::{
    Timestamp,
    ids::{TaskId, VmId},
    refusal::Code,
    units::ByteSize,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How something ended, as far as it had when its line was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuditOutcome {
    /// A task was made of it; another line with the same task says how that ended.
    Accepted,
    /// It was done.
    Done,
    /// Its task failed.
    Failed,
    /// Its task was cancelled.
    Cancelled,
    /// Its task stopped halfway, and waits for a person.
    Interrupted,
    /// It was refused, and nothing was changed.
    Refused,
    /// A session began: somebody sees, or writes, what is in a machine or a file.
    Opened,
    /// Lines are missing here: `count` of them could not be written.
    Lost,
}

impl AuditOutcome {
    /// The outcome as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::Refused => "refused",
            Self::Opened => "opened",
            Self::Lost => "lost",
        }
    }
}

/// One line of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who, as far as they showed it: `uid:0`, `token`; absent where they showed nothing that holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// By which entrance they came: `unix`, `tcp`, or the name of a door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub door: Option<String>,
    /// From which address, where they came over TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Their own name for the request, or the one that it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What they asked for: `start`, `console`, `task-cancel`; of what a gate refused, the method and path.
    pub action: String,
    /// The name of what it was to be done to, as it was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The VM that it was to be done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm: Option<VmId>,
    /// The task that does it, or that it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// The stable code of why it was refused, or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// What happened, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How many such there were, where this line stands for more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Whether it was only asked what it would come to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl AuditEntry {
    /// A line about this and nothing else yet.
    pub fn new(at: Timestamp, action: impl Into<String>, outcome: AuditOutcome) -> Self {
        Self {
            at,
            caller: None,
            door: None,
            address: None,
            request_id: None,
            action: action.into(),
            subject: None,
            vm: None,
            task: None,
            outcome,
            code: None,
            message: None,
            count: None,
            dry_run: false,
        }
    }
}

/// How the audit is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditDiagnosis {
    /// Lines written since the daemon started.
    pub written: u64,
    /// Lines lost since then: they could not be written, or came faster than they could be.
    pub lost: u64,
    /// Lines that wait to be written.
    pub waiting: u64,
    /// Lines that an earlier daemon was killed in the middle of, found at this one's start.
    pub torn: u64,
    /// Its files.
    pub files: u64,
    /// What they take of the disk.
    pub size: ByteSize,
    /// Why the last of it could not be written; absent while it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
