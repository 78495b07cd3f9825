//! The record of operations: the last of each kind that was done to a VM, by whichever door.

use super::wire::{OplogItem, OplogList, items};
use innkeeper_model::{Task, TaskState, Timestamp, VmId};
use innkeeper_view::Snapshot;
use std::collections::BTreeMap;

/// virtx's operations in its order, each with those of ours that are the same.
const OPERATIONS: [(&str, &[&str]); 7] = [
    ("VmBoot", &["start"]),
    ("VmCreate", &["create", "clone", "import"]),
    ("VmDelete", &["delete"]),
    ("VmPause", &["pause"]),
    ("VmResume", &["resume", "restore"]),
    ("VmShutdown", &["stop", "kill"]),
    ("VmUpdate", &["edit"]),
];

/// What was last done to this VM, as far as it is remembered.
pub(super) fn of(vm: VmId, now: &Snapshot) -> OplogList {
    let mut last = BTreeMap::new();
    // Oldest first, so that the last of a kind is what stays.
    for task in now.tasks.values().filter(|task| task.vm == Some(vm)) {
        if let Some(kind) = kind(&task.operation) {
            last.insert(kind, task);
        }
    }
    OplogList { items: items(last.into_iter().map(|(kind, task)| item(kind, task)).collect()) }
}

/// Which of virtx's operations one of ours is.
fn kind(operation: &str) -> Option<usize> {
    OPERATIONS.iter().position(|(_, ours)| ours.contains(&operation))
}

fn item(kind: usize, task: &Task) -> OplogItem {
    let status = match task.state {
        TaskState::Queued | TaskState::Running => "started",
        TaskState::Done => "completed",
        TaskState::Failed | TaskState::Cancelled | TaskState::Interrupted => "failed",
    };
    let msg = match &task.error {
        Some(error) => error.to_string(),
        None => task.warnings.join("; "),
    };
    OplogItem {
        op: OPERATIONS[kind].0.to_owned(),
        ts: task.started.unwrap_or(task.created).as_millisecond(),
        te: task.ended.map_or(0, Timestamp::as_millisecond),
        status: status.to_owned(),
        msg,
    }
}
