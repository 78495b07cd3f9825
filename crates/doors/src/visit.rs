//! What a route of a door gets: the daemon, as far as its caller may see it.
//!
//! A route has no other way to VMs and tasks. Whoever is bound to a project finds its own alone; what is
//! another's answers as what does not exist.

use crate::Context;
use http::request::Parts;
use innkeeper_auth::Principal;
use innkeeper_engine::{Caller, Request};
use innkeeper_model::{Code, Position, Refusal};
use innkeeper_surface::{Operations, Performed, Seen, Sight};
use innkeeper_view::Subscription;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The daemon, for one caller.
#[derive(Clone)]
pub(crate) struct Visit {
    context: Context,
    sight: Sight,
}

impl Visit {
    /// That of the caller of this request, whom the gate has let in.
    ///
    /// # Errors
    /// The gate was not asked: a router that is served without it would let everybody in.
    pub(crate) fn of(context: &Context, parts: &Parts) -> Result<Self, Refusal> {
        let Some(principal) = parts.extensions.get::<Principal>() else {
            return Err(Refusal::new(Code::Unauthenticated, "nobody asked who is calling"));
        };
        Ok(Self { context: context.clone(), sight: principal.into() })
    }

    /// Which VMs and tasks there are for the caller.
    pub(crate) const fn sight(&self) -> &Sight {
        &self.sight
    }

    /// What the caller sees, as it is now. Never waits.
    pub(crate) fn seen(&self) -> Seen {
        self.sight.of(self.context.view().snapshot())
    }

    /// A reader of the feed, which has everybody's changes: what of them is told, the caller's sight says.
    pub(crate) fn subscribe(&self, since: Option<Position>) -> Subscription {
        self.context.view().subscribe(since)
    }

    /// What can be asked of the engine, about VMs that the caller sees.
    pub(crate) fn operations(&self) -> &dyn Operations {
        self.context.operations()
    }

    /// Cancelled when the daemon stops.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        self.context.stopping()
    }

    /// Has something done, and waits for its end or so long, as [`Context::begin`] does.
    ///
    /// # Errors
    /// It was refused, or failed.
    pub(crate) async fn begin(
        &self,
        caller: &Caller,
        request: Request,
        at_most: Duration,
    ) -> Result<Performed, Refusal> {
        self.context.begin(caller, request, at_most).await
    }
}
