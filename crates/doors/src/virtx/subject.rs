//! What a request is about, and what holds for every VM.

use super::{State, answer::Refused, runstate, wire::Vmruninfo};
use http::StatusCode;
use innkeeper_model::{Code, HostId, Refusal, Spec, Timestamp, Vm, VmId};
use innkeeper_surface::Seen;
use innkeeper_view::Snapshot;
use std::sync::Arc;

/// That a path has no id where it should have one.
pub(super) const NO_UUID: &str = "the uuid is empty";

impl State {
    /// The VM with this id.
    ///
    /// # Errors
    /// There is none (404).
    pub(super) fn vm(&self, uuid: &str) -> Result<Arc<Vm>, Refused> {
        find(uuid, &self.visit.seen())
    }

    /// The VM with this id, to have something done to it.
    ///
    /// # Errors
    /// There is none (404), or it is another manager's (409).
    pub(super) fn own_vm(&self, uuid: &str, verb: &str) -> Result<Arc<Vm>, Refused> {
        let vm = self.vm(uuid)?;
        vm.check_adopted(verb)?;
        Ok(vm)
    }

    /// What a VM is doing now.
    pub(super) fn run_info(&self, vm: &Vm) -> Vmruninfo {
        let seen = self.visit.seen();
        let now = seen.whole();
        Vmruninfo { runstate: runstate::of(vm, now), host: host_id(now) }
    }
}

/// The VM with this id, if the caller sees it.
///
/// # Errors
/// There is none (404), or no id (400).
pub(super) fn find(uuid: &str, seen: &Seen) -> Result<Arc<Vm>, Refused> {
    if uuid.is_empty() {
        return Err(Refusal::new(Code::BadRequest, NO_UUID).into());
    }
    let none = || Refusal::not_found("VM", uuid);
    let id: VmId = uuid.parse().map_err(|_| none())?;
    Ok(seen.vm(id).map(|vm| Arc::clone(vm.value())).ok_or_else(none)?)
}

/// What a VM is to be.
///
/// # Errors
/// It cannot be read (500).
pub(super) fn spec(vm: &Vm) -> Result<&Arc<Spec>, Refused> {
    vm.spec.as_ref().ok_or_else(|| {
        let why = vm.problem.as_deref().unwrap_or("nobody knows what it is");
        let line = format!("the definition of VM {} cannot be read: {why}", vm.name);
        Refused::new(StatusCode::INTERNAL_SERVER_ERROR, line)
    })
}

/// This host's id; empty while nobody has described it.
pub(super) fn host_id(now: &Snapshot) -> String {
    now.host.id.map(|id| id.to_string()).unwrap_or_default()
}

/// Whether a name of a host is this one's.
pub(super) fn is_this_host(host: &str, now: &Snapshot) -> bool {
    let named = host.parse::<HostId>();
    named.is_ok_and(|id| Some(id) == now.host.id)
}

/// When a VM was last seen to be as it is shown, in milliseconds since 1970: now, since all that is shown of it is told
/// as it happens; where its manager cannot be asked, when it last could be.
pub(super) fn seen_at(vm: &Vm, now: Timestamp) -> i64 {
    let lost = vm.managed.as_ref().and_then(|managed| managed.as_of);
    lost.unwrap_or(now).as_millisecond()
}
