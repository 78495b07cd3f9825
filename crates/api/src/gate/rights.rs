//! What each route of the native API does, and to what: the surface's side of the table of roles.

use crate::resources::{health, sign_in};
use http::Method;
use innkeeper_auth::{Action, Resource};

/// What a request needs its caller to be allowed; `None` where it needs no caller at all. A route that is
/// not here, because there is none or because it was forgotten, is for administrators.
pub(crate) fn needs(method: &Method, path: &str) -> Option<(Action, Resource)> {
    if path == health::PATH || (*method == Method::POST && sign_in::OPEN.contains(&path)) {
        return None;
    }
    Some(known(method, path).unwrap_or((Action::Administer, Resource::Host)))
}

/// What a route needs, if it is one.
fn known(method: &Method, path: &str) -> Option<(Action, Resource)> {
    // What answers a GET answers a HEAD.
    let reads = matches!(*method, Method::GET | Method::HEAD);
    // The most that a route has, and one more.
    let mut segments = [""; 6];
    let mut count = 0;
    for segment in path.strip_prefix('/')?.split('/') {
        *segments.get_mut(count)? = segment;
        count += 1;
    }
    let of = match segments[..count] {
        ["metrics"] => Resource::Diagnostics,
        ["v1", "openapi.json"] => Resource::Service,
        ["v1", "vms", ref rest @ ..] => return of_vm(reads, rest),
        ["v1", "imports"] => Resource::Vm,
        ["v1", "tasks", ref rest @ ..] => return of_task(rest),
        ["v1", "events"] => Resource::Event,
        ["v1", "images", ..] => Resource::Image,
        ["v1", "networks" | "subnets", ..] => Resource::Network,
        ["v1", "host"] => Resource::Host,
        ["v1", "foreign", ..] => return Some((Action::Administer, Resource::Host)),
        // Who called, from where and for what is in it, as in the audit.
        ["v1", "diagnostics", "log"] => return Some((Action::Administer, Resource::Diagnostics)),
        ["v1", "diagnostics", ..] if reads => Resource::Diagnostics,
        ["v1", "diagnostics", ..] => return Some((Action::Administer, Resource::Diagnostics)),
        ["v1", "projects", ..] => Resource::Project,
        ["v1", "tokens", ..] => Resource::Token,
        // Whoever shows one may renew that; and anybody who is known may know whom to trust.
        ["v1", "certificates", _, "renew"] | ["v1", "authority"] => {
            return Some((Action::Read, Resource::Service));
        }
        ["v1", "certificates", ..] => Resource::Certificate,
        // Whoever has a session may end it.
        ["v1", "sign-in"] => return Some((Action::Read, Resource::Service)),
        ["v1", "sign-in", _] => Resource::Token,
        // Whoever shows something may have a cookie, or a ticket, that stands for it and no more.
        ["v1", "browser-session" | "tickets"] => return Some((Action::Read, Resource::Service)),
        ["v1", "audit"] => Resource::Audit,
        _ => return None,
    };
    Some((if reads { Action::Read } else { Action::Change }, of))
}

fn of_vm(reads: bool, rest: &[&str]) -> Option<(Action, Resource)> {
    let action = match rest {
        [] | [_] if reads => Action::Read,
        [] | [_] | [_, "clone" | "nics"] | [_, "nics", _] => Action::Change,
        [_, "start" | "stop" | "kill" | "reboot" | "reset"] => Action::Power,
        [_, "pause" | "resume" | "suspend"] => Action::Power,
        // They hold a guest's file systems still, or set its clock, and say nothing of what is in it.
        [_, "agent", "freeze" | "thaw" | "set-time"] => Action::Power,
        [_, "logs" | "statistics" | "agent"] | [_, "agent", "ping"] => Action::Read,
        [_, "console" | "vnc" | "screenshot" | "keys" | "tickets"] => Action::Enter,
        [_, "exec" | "files" | "export"] | [_, "disks", _, "file"] => Action::Enter,
        [_, "adopt"] => Action::Administer,
        _ => return None,
    };
    Some((action, Resource::Vm))
}

fn of_task(rest: &[&str]) -> Option<(Action, Resource)> {
    let action = match rest {
        [] | [_] | [_, "events"] => Action::Read,
        [_, "cancel"] => Action::Power,
        [_, "resume" | "undo"] => Action::Change,
        _ => return None,
    };
    Some((action, Resource::Task))
}

#[cfg(test)]
#[path = "rights_tests.rs"]
pub(crate) mod tests;
