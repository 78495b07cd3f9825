//! What a hypervisor reports of a change, in QEMU's words.

use crate::change::Change;
use innkeeper_model::{EndReason, HypervisorEvent, Timestamp};
use serde_json::{Value, json};

/// The events of one change, in the order in which QEMU tells them.
pub(crate) fn of(change: &Change, at: Timestamp) -> Vec<HypervisorEvent> {
    let told: Vec<(&str, Value)> = match change {
        Change::Continued => vec![("RESUME", Value::Null)],
        Change::Paused => vec![("STOP", Value::Null)],
        Change::Reset { by_guest } => {
            let reason = if *by_guest { "guest-reset" } else { "host-qmp-system-reset" };
            vec![("RESET", json!({ "guest": by_guest, "reason": reason }))]
        }
        Change::Ended(EndReason::GuestPanic) => vec![
            ("GUEST_PANICKED", json!({ "action": "pause" })),
            ("STOP", Value::Null),
            shutdown(true, "guest-panic"),
        ],
        Change::Ended(EndReason::GuestReset) => {
            vec![shutdown(true, "guest-reset"), ("STOP", Value::Null)]
        }
        Change::Ended(_) => vec![shutdown(true, "guest-shutdown"), ("STOP", Value::Null)],
        Change::Died { politely: true, .. } => vec![shutdown(false, "host-qmp-quit")],
        _ => Vec::new(),
    };
    told.into_iter().map(|(name, data)| event(name, data, at)).collect()
}

/// The power button was pressed.
pub(crate) fn power_down(at: Timestamp) -> HypervisorEvent {
    event("POWERDOWN", Value::Null, at)
}

fn shutdown(guest: bool, reason: &str) -> (&'static str, Value) {
    ("SHUTDOWN", json!({ "guest": guest, "reason": reason }))
}

fn event(name: &str, data: Value, at: Timestamp) -> HypervisorEvent {
    HypervisorEvent { name: name.into(), at: Some(at), data }
}
