//! The record of operations: the last of each kind that was done to a VM, by whichever door.

use super::wire::{OplogItem, OplogList, items};
use innkeeper_model::{Task, TaskState, Timestamp, VmId};
use innkeeper_surface::Seen;
use std::collections::BTreeMap;

/// virtx's operations in its order, each with those of ours that are the same.
const OPERATIONS: [(&str, &[&str]); 7] = [
    ("VmBoot", &["start"]),
    ("VmCreate", &["create", "clone", "import"]),
    ("VmDelete", &["delete"]),
    ("VmPause", &["pause"]),
    ("VmResume", &["resume"]),
    ("VmShutdown", &["stop", "kill"]),
    ("VmUpdate", &["edit"]),
];

/// What was last done to this VM, as far as it is remembered, and there for the caller: what it was done for whoever
/// had it before is not.
pub(super) fn of(vm: VmId, seen: &Seen) -> OplogList {
    let mut last = BTreeMap::new();
    let tasks = seen.whole().tasks.values().filter(|task| task.vm == Some(vm));
    // Oldest first, so that the last of a kind is what stays.
    for task in tasks.filter(|task| seen.sight().sees_task(task)) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::of_project;
    use innkeeper_auth::Role;
    use innkeeper_surface::Sight;
    use innkeeper_view::{Update, View, ViewOptions};
    use serde_json::{Value, json};

    #[tokio::test]
    async fn the_last_of_each_kind_is_shown_and_says_how_it_went() {
        let view = View::start(ViewOptions::new(uuid::Uuid::now_v7()));
        let vm = VmId::new();
        let task = |operation: &str, of: VmId, state: &str, more: Value| {
            let mut task = json!({
                "id": uuid::Uuid::now_v7(), "operation": operation, "vm": of, "subject": "web",
                "caller": "x", "state": state, "cancellable": false,
                "created": "1970-01-01T00:00:01Z", "steps": [],
            });
            task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            Update::Task(serde_json::from_value(task).unwrap())
        };
        let ended = json!({ "started": "1970-01-01T00:00:02Z", "ended": "1970-01-01T00:00:03Z" });
        let mut failed = ended.clone();
        failed["error"] = json!({ "code": "hypervisor-failed", "message": "it died" });
        let mut warned = ended.clone();
        warned["warnings"] = json!(["one", "two"]);
        let tasks = [
            task("start", vm, "done", json!({ "project": "us" })),
            task("start", vm, "failed", failed),
            task("kill", vm, "done", warned),
            task("pause", vm, "running", json!({})),
            task("nic-add", vm, "done", json!({})),
            task("edit", VmId::new(), "done", json!({})),
        ];
        view.barrier(tasks.into()).await.unwrap();
        let seen = Sight::of_everything().of(view.snapshot());
        let items = of(vm, &seen).items.unwrap();
        let shown: Vec<_> = items
            .iter()
            .map(|item| (&*item.op, item.ts, item.te, &*item.status, &*item.msg))
            .collect();
        let expected = [
            ("VmBoot", 2000, 3000, "failed", "it died"),
            ("VmPause", 1000, 0, "started", ""),
            ("VmShutdown", 2000, 3000, "completed", "one; two"),
        ];
        assert_eq!(shown, expected);
        assert_eq!(of(VmId::new(), &seen).items, None);
        // Whoever is bound to a project is told of what was done for that one.
        let seen = Sight::from(&of_project("us", Role::Owner)).of(view.snapshot());
        let items = of(vm, &seen).items.unwrap();
        assert_eq!((items.len(), &*items[0].op, &*items[0].status), (1, "VmBoot", "completed"));
    }
}
