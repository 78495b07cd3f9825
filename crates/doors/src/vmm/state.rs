//! What a route gets: the daemon, as far as its caller may see it.
//!
//! A route has no other way to VMs and tasks. Whoever is bound to a project finds its own alone; what is
//! another's answers as what does not exist.

use super::{Defaults, answer::Refused, subject::project, wire::Target};
use crate::Context;
use axum::extract::FromRequestParts;
use http::request::Parts;
use innkeeper_auth::{Principal, Scope};
use innkeeper_engine::{Caller, Request};
use innkeeper_model::{Code, ProjectName, Refusal, Task, Vm, VmId};
use innkeeper_surface::Performed;
use std::{sync::Arc, time::Duration};

/// What the routes of this door share, whoever calls.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) context: Context,
    pub(super) defaults: Arc<Defaults>,
}

/// The same, for one caller.
pub(super) struct State {
    shared: Shared,
    principal: Principal,
}

impl FromRequestParts<Shared> for State {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Refused> {
        let Some(principal) = parts.extensions.get::<Principal>().cloned() else {
            // A router that is served without the gate would let everybody in.
            let message = "nobody asked who is calling";
            return Err(Refusal::new(Code::Unauthenticated, message).into());
        };
        Ok(Self { shared: shared.clone(), principal })
    }
}

impl State {
    /// The daemon. What is read of VMs and tasks from here is everybody's.
    pub(super) fn context(&self) -> &Context {
        &self.shared.context
    }

    /// What a VM gets that its request does not say.
    pub(super) fn defaults(&self) -> &Defaults {
        &self.shared.defaults
    }

    /// The project that a request is about: of the owner that it names, else of the caller who is bound to
    /// one; any, where neither says.
    ///
    /// # Errors
    /// It can be none; or, of a caller who is bound to a project, it is somebody else's.
    pub(super) fn owner(&self, named: Option<&str>) -> Result<Option<ProjectName>, Refusal> {
        let named = named.map(project).transpose()?;
        let Scope::Project(own) = &self.principal.scope else { return Ok(named) };
        match named {
            Some(named) if named != *own => {
                let message = format!("the owner is {named}, and the caller is bound to {own}");
                Err(Refusal::new(Code::Forbidden, message).at("owner"))
            }
            _ => Ok(Some(own.clone())),
        }
    }

    /// The VM with this id, if it is this owner's, and one that the caller sees.
    ///
    /// # Errors
    /// The owner is none, or somebody else than the caller may name. There is none, or not of this owner: the
    /// same answer for both.
    pub(super) fn vm(&self, target: &Target) -> Result<Arc<Vm>, Refusal> {
        let Target { build_id, owner } = target;
        if build_id.is_empty() {
            return Err(Refusal::new(Code::BadRequest, "build_id is missing").at("build_id"));
        }
        let owner = self.owner(owner.as_deref())?;
        let none = || Refusal::not_found("VM", build_id);
        let id: VmId = build_id.parse().map_err(|_| none())?;
        let snapshot = self.context().view().snapshot();
        let vm = snapshot.vms.get(&id).map(|vm| Arc::clone(vm.value())).ok_or_else(none)?;
        match owner {
            Some(owner) if vm.project != owner => Err(none()),
            _ => Ok(vm),
        }
    }

    /// Whether a task is there for the caller: one of its own VMs, or that it asked for itself.
    pub(super) fn sees_task(&self, task: &Task) -> bool {
        if self.principal.scope == Scope::Everything {
            return true;
        }
        let snapshot = self.context().view().snapshot();
        let vm = task.vm.and_then(|id| snapshot.vms.get(&id));
        vm.is_some_and(|vm| self.principal.sees(&vm.project))
            || task.caller == self.principal.identity.to_string()
    }

    /// Has something done, and waits for its end or so long, as [`Context::begin`] does.
    ///
    /// # Errors
    /// It was refused, or failed; without the names of others, where the caller does not see them.
    pub(super) async fn begin(
        &self,
        caller: &Caller,
        request: Request,
        at_most: Duration,
    ) -> Result<Performed, Refusal> {
        let begun = self.context().begin(caller, request, at_most).await;
        begun.map_err(|refusal| self.without_names_of_others(refusal))
    }

    /// What is taken is said to be taken, and not by which VM.
    fn without_names_of_others(&self, refusal: Refusal) -> Refusal {
        if self.principal.scope == Scope::Everything || refusal.code != Code::InUse {
            return refusal;
        }
        let Refusal { code, field, value, .. } = refusal;
        Refusal { field, value, ..Refusal::new(code, "it is taken") }
    }
}
