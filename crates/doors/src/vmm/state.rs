//! What a route gets: the daemon, as far as its caller may see it, and what this door has besides.

use super::{Defaults, answer::Refused, subject::project, wire::Target};
use crate::{Context, visit::Visit};
use axum::extract::FromRequestParts;
use http::request::Parts;
use innkeeper_engine::{Caller, Request};
use innkeeper_model::{Code, ProjectName, Refusal, Vm, VmId};
use innkeeper_surface::{Operations, Performed, Seen, Sight};
use std::{sync::Arc, time::Duration};

/// What the routes of this door share, whoever calls.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) context: Context,
    pub(super) defaults: Arc<Defaults>,
}

/// The same, for one caller.
pub(super) struct State {
    visit: Visit,
    defaults: Arc<Defaults>,
}

impl FromRequestParts<Shared> for State {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Refused> {
        let Shared { context, defaults } = shared;
        Ok(Self { visit: Visit::of(context, parts)?, defaults: Arc::clone(defaults) })
    }
}

impl State {
    /// What the caller sees.
    pub(super) fn seen(&self) -> Seen {
        self.visit.seen()
    }

    /// Which VMs and tasks there are for the caller.
    pub(super) const fn sight(&self) -> &Sight {
        self.visit.sight()
    }

    /// What can be asked of the engine.
    pub(super) fn operations(&self) -> &dyn Operations {
        self.visit.operations()
    }

    /// What a VM gets that its request does not say.
    pub(super) fn defaults(&self) -> &Defaults {
        &self.defaults
    }

    /// The project that a request is about: of the owner that it names, else of the caller who is bound to
    /// one; any, where neither says.
    ///
    /// # Errors
    /// It can be none; or, of a caller who is bound to a project, it is somebody else's.
    pub(super) fn owner(&self, named: Option<&str>) -> Result<Option<ProjectName>, Refusal> {
        self.sight().owner("owner", named.map(project).transpose()?)
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
        let seen = self.seen();
        let vm = seen.vm(id).filter(|vm| owner.is_none_or(|owner| vm.project == owner));
        Ok(Arc::clone(vm.ok_or_else(none)?.value()))
    }

    /// Has something done, and waits for its end or so long, as [`Context::begin`] does.
    ///
    /// # Errors
    /// It was refused, or failed.
    pub(super) async fn begin(
        &self,
        caller: &Caller,
        request: Request,
        at_most: Duration,
    ) -> Result<Performed, Refusal> {
        self.visit.begin(caller, request, at_most).await
    }
}
