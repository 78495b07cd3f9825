//! What all routes of a door share.

use innkeeper_engine::{Caller, Request};
use innkeeper_model::Refusal;
use innkeeper_surface::{Done, Operations, Performed};
use innkeeper_view::View;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// What all routes of a door share; clones are handles on the same.
#[derive(Clone)]
pub struct Context(Arc<Shared>);

struct Shared {
    view: View,
    operations: Arc<dyn Operations>,
    stopping: CancellationToken,
}

impl Context {
    /// Reads come from this view, and what changes something goes to these operations. When `stopping`
    /// is cancelled, whoever waits is answered with what there is, and streams end.
    pub fn new(view: View, operations: Arc<dyn Operations>, stopping: CancellationToken) -> Self {
        Self(Arc::new(Shared { view, operations, stopping }))
    }

    /// Everything that there is to read. What is read of VMs and tasks from here is everybody's: routes read
    /// what their `Visit` sees.
    pub fn view(&self) -> &View {
        &self.0.view
    }

    /// What can be asked of the engine.
    pub fn operations(&self) -> &dyn Operations {
        &*self.0.operations
    }

    /// Cancelled when the daemon stops.
    pub fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    /// Has something done, and waits for its end; then every reader of this daemon sees it. Dropping the
    /// future leaves the task to go on.
    ///
    /// # Errors
    /// It was refused, failed, or goes on after `at_most`.
    pub async fn perform(
        &self,
        caller: &Caller,
        request: Request,
        at_most: Duration,
    ) -> Result<Done, Refusal> {
        self.begin(caller, request, at_most).await?.done()
    }

    /// Has something done, and waits for its end or so long; what takes longer goes on. Dropping the
    /// future leaves the task to go on.
    ///
    /// # Errors
    /// It was refused, or failed.
    pub async fn begin(
        &self,
        caller: &Caller,
        request: Request,
        at_most: Duration,
    ) -> Result<Performed, Refusal> {
        let Shared { view, operations, stopping } = &*self.0;
        innkeeper_surface::perform(&**operations, view, stopping, (caller, request), at_most).await
    }
}
