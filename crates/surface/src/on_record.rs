//! Lines of the audit, as surfaces write them.

use innkeeper_engine::{Caller, Origin};
use innkeeper_model::{AuditEntry, AuditOutcome, Refusal, Timestamp};
use innkeeper_store::audit::AuditLog;
use std::net::SocketAddr;

/// The beginning of a line about something that this caller asks for, now.
pub(crate) fn line(caller: &Caller, action: &str) -> AuditEntry {
    let Caller { name, request_id, origin } = caller;
    AuditEntry {
        caller: (!name.is_empty()).then(|| name.clone()),
        request_id: request_id.clone(),
        ..came_by(AuditEntry::new(Timestamp::now(), action, AuditOutcome::Done), *origin)
    }
}

fn came_by(entry: AuditEntry, origin: Option<Origin>) -> AuditEntry {
    AuditEntry {
        door: origin.map(|origin| origin.door.to_owned()),
        address: origin.and_then(|origin| origin.address).map(shown),
        ..entry
    }
}

/// An address as a line has it. Of somebody behind a proxy the port is not known.
fn shown(address: SocketAddr) -> String {
    match address.port() {
        0 => address.ip().to_string(),
        _ => address.to_string(),
    }
}

/// Puts something on record that a surface did without the engine, or why not.
pub fn note<T>(
    audit: Option<&AuditLog>,
    caller: &Caller,
    (action, subject): (&str, String),
    result: &Result<T, Refusal>,
) {
    let Some(audit) = audit else { return };
    let entry = AuditEntry { subject: Some(subject), ..line(caller, action) };
    audit.record(match result {
        Ok(_) => entry,
        Err(refusal) => refused(entry, refusal),
    });
}

/// Puts something on record that a surface did without the engine, by its method and path and the status that
/// it answered with.
pub fn note_answer(
    audit: Option<&AuditLog>,
    caller: &Caller,
    action: (&http::Method, &str),
    status: http::StatusCode,
) {
    let Some(audit) = audit else { return };
    let entry = line(caller, &asked(action));
    audit.record(match status.is_success() {
        true => entry,
        false => AuditEntry {
            outcome: AuditOutcome::Refused,
            message: Some(format!("answered {status}")),
            ..entry
        },
    });
}

/// A request's method and path as a line has them. A path may have come with letters that steer a terminal or
/// turn the text around, though none belongs there but as `%XX`: as that they are written.
fn asked((method, path): (&http::Method, &str)) -> String {
    let mut text = format!("{method} ");
    for byte in path.bytes() {
        match byte {
            b'!'..=b'~' => text.push(byte.into()),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

/// The line of what was refused.
pub(crate) fn refused(entry: AuditEntry, refusal: &Refusal) -> AuditEntry {
    because(AuditEntry { outcome: AuditOutcome::Refused, ..entry }, refusal)
}

/// The line with the reason in it.
pub(crate) fn because(entry: AuditEntry, refusal: &Refusal) -> AuditEntry {
    let message = (!refusal.message.is_empty()).then(|| refusal.message.clone());
    AuditEntry { code: Some(refusal.code), message, ..entry }
}

/// What a gate turns away.
#[derive(Debug, Clone, Copy)]
pub struct TurnedAway<'a> {
    /// Where it came in.
    pub origin: Origin,
    /// Who sent it, as far as they proved it.
    pub caller: Option<&'a str>,
    /// The request's id.
    pub request_id: &'a str,
    /// Its method and path; never its query, which may have a ticket in it.
    pub action: (&'a http::Method, &'a str),
}

impl TurnedAway<'_> {
    /// Puts it on record, with the reason. The first few of a kind in a minute have a line each; the rest
    /// are counted.
    pub fn record(self, audit: Option<&AuditLog>, refusal: &Refusal) {
        let Some(audit) = audit else { return };
        let entry = AuditEntry::new(Timestamp::now(), asked(self.action), AuditOutcome::Refused);
        let entry = AuditEntry {
            caller: self.caller.map(str::to_owned),
            request_id: Some(self.request_id.to_owned()),
            ..came_by(entry, Some(self.origin))
        };
        audit.record_refusal(refused(entry, refusal));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_steer_who_reads_it() {
        let of = |path| asked((&http::Method::GET, path));
        assert_eq!(of("/v1/vms/web%20x:{\"~"), "GET /v1/vms/web%20x:{\"~");
        assert_eq!(of("/a\u{9b}31m\x7f"), "GET /a%C2%9B31m%7F");
        assert_eq!(of("/\u{202e}dekaf\n b"), "GET /%E2%80%AEdekaf%0A%20b");
    }
}
