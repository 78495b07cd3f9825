//! What a hook reads: the VM, and what is being done to it.

use crate::HookEvent;
use innkeeper_model::{TaskId, Vm};
use serde_json::{Value, json};

/// What is being done, of which an event is a part.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'a> {
    /// What is being done, as the task says.
    pub operation: &'a str,
    /// Why the event has come, in a word: `stop`, `kill` or `ended` for a post-stop.
    pub reason: &'a str,
    /// The task that does it.
    pub task: TaskId,
}

/// The VM as the API shows it, with `event`, `operation`, `reason` and `task` beside its own fields.
/// There are no secrets in it: they are written as their digests.
pub fn input(event: HookEvent, vm: &Vm, occasion: Occasion<'_>) -> Value {
    let mut input = serde_json::to_value(vm).expect("a VM is plain data, keyed by text");
    input["event"] = json!(event);
    input["operation"] = json!(occasion.operation);
    input["reason"] = json!(occasion.reason);
    // The VM has the same field. It may have been read before the task began.
    input["task"] = json!(occasion.task);
    input
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_hook_is_told_the_vm_and_the_occasion_and_no_field_is_lost() {
        let vm = fixture::vm();
        let occasion = Occasion { operation: "start", reason: "start", task: TaskId::new() };
        let told = input(HookEvent::PreStart, &vm, occasion);
        assert_eq!(told["event"], "pre-start");
        assert_eq!(told["operation"], "start");
        assert_eq!(told["reason"], "start");
        assert_eq!(told["task"], occasion.task.to_string());
        for (field, value) in serde_json::to_value(&vm).unwrap().as_object().unwrap() {
            assert!(field == "task" || &told[field] == value, "{field}");
        }
    }
}
