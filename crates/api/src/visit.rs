//! What a route gets: what all routes share, as far as its caller may see it.
//!
//! A route has no other way to VMs and tasks. What it can reach by [`ApiState`] alone is for routes that come
//! before anybody is known, and for those of administrators.

use crate::{
    protocol::{asked::Admitted, idempotency::Keys, mutation::Submitted, problem::Problem},
    state::ApiState,
};
use axum::{extract::FromRequestParts, response::Response};
use http::request::Parts;
use innkeeper_auth::{Principal, Revocable, Standing};
use innkeeper_model::{Code, Position, Refusal, Revision, Timestamp, VmId};
use innkeeper_session::Tickets;
use innkeeper_surface::{Diagnostics, Operations, Seen, Sight, until_it_ends, while_it_holds};
use innkeeper_view::{Subscription, View};
use std::{fmt, sync::Arc};
use tokio_util::sync::CancellationToken;

/// What all routes share, for one caller.
#[derive(Clone)]
pub(crate) struct Visit {
    state: ApiState,
    sight: Sight,
}

impl FromRequestParts<ApiState> for Visit {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let Some(Admitted { principal, .. }) = parts.extensions.get() else {
            // A router that is served without the gate would let everybody in.
            return Err(Refusal::new(Code::Unauthenticated, "nobody asked who is calling").into());
        };
        Ok(Self::of(state, principal))
    }
}

impl Visit {
    /// That of somebody who is known.
    pub(crate) fn of(state: &ApiState, principal: &Principal) -> Self {
        Self { state: state.clone(), sight: Sight::from(principal) }
    }

    /// Which VMs and tasks there are for the caller.
    pub(crate) const fn sight(&self) -> &Sight {
        &self.sight
    }

    /// What the caller sees, as it is now. Never waits.
    pub(crate) fn seen(&self) -> Seen {
        self.sight.of(self.state.view().snapshot())
    }

    /// For how long something goes on that is done with a VM which there was for the caller: for as long as there is,
    /// and as this holds. Whoever is given another's VM is given nobody who still looks at it.
    pub(crate) fn while_it_sees(&self, vm: VmId, standing: Standing) -> Standing {
        match self.sight.is_everything() {
            true => standing,
            false => Standing::of(Arc::new(Seeing { visit: self.clone(), vm, standing })),
        }
    }

    /// What comes of some work with a VM, which is dropped when there is none for the caller any more.
    ///
    /// # Errors
    /// As the work; or there is no such VM.
    pub(crate) async fn in_sight<T>(
        &self,
        vm: VmId,
        work: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let seen = self.while_it_sees(vm, Standing::of_connection());
        tokio::select! {
            biased;
            done = work => done,
            () = until_it_ends(&seen) => Err(Refusal::not_found("VM", vm)),
        }
    }

    /// An answer with something of a VM's, which breaks off when there is none for the caller any more.
    pub(crate) fn answer_in_sight(&self, vm: VmId, answer: Response) -> Response {
        while_it_holds(answer, &self.while_it_sees(vm, Standing::of_connection()))
    }

    /// How far the view has come.
    pub(crate) fn revision(&self) -> Revision {
        self.state.revision()
    }

    /// A reader of the feed, which has everybody's changes: what of them is told, the caller's sight says.
    pub(crate) fn subscribe(&self, since: Option<Position>) -> Subscription {
        self.state.view().subscribe(since)
    }

    /// Where the ends of tasks are waited for. What is read of VMs and tasks from here is everybody's.
    pub(crate) fn view(&self) -> &View {
        self.state.view()
    }

    pub(crate) fn operations(&self) -> &Arc<dyn Operations> {
        self.state.operations()
    }

    /// The daemon around the engine.
    ///
    /// # Errors
    /// There is none: only a view is served.
    pub(crate) fn diagnostics(&self) -> Result<&dyn Diagnostics, Refusal> {
        self.state.diagnostics()
    }

    pub(crate) fn stopping(&self) -> &CancellationToken {
        self.state.stopping()
    }

    /// What earlier requests with an idempotency key came to.
    pub(crate) fn keys(&self) -> &Keys<Submitted> {
        self.state.keys()
    }

    /// The tickets that open a session.
    pub(crate) fn tickets(&self) -> &Tickets<Principal> {
        self.state.tickets()
    }

    /// What is shared, whoever calls.
    pub(crate) const fn state(&self) -> &ApiState {
        &self.state
    }
}

/// A VM that there is for a caller, and how long what they showed counts.
struct Seeing {
    visit: Visit,
    vm: VmId,
    standing: Standing,
}

/// What it has is everybody's.
impl fmt::Debug for Seeing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seeing")
    }
}

impl Revocable for Seeing {
    fn holds(&self, now: Timestamp) -> bool {
        self.standing.holds(now) && self.visit.seen().vm(self.vm).is_some()
    }

    fn ends(&self) -> Option<Timestamp> {
        self.standing.ends()
    }
}
