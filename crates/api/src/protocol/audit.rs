//! What operators do to a daemon by hand, on record: a line in the log that no level leaves out.

use crate::protocol::asked::Asked;
use std::fmt::Display;
use tracing::info;

/// The target of those lines. The daemon's log has it at every level.
pub(crate) const TARGET: &str = "audit";

/// Notes that somebody did this.
pub(crate) fn note(asked: &Asked, action: &str, subject: impl Display) {
    let request = asked.caller.request_id.as_deref().unwrap_or_default();
    info!(target: TARGET, caller = asked.caller.name, request, %subject, "{action}");
}
