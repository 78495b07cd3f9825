//! What all routes share, whoever calls.

use crate::{
    protocol::{idempotency::Keys, mutation::Submitted},
    resources::metrics::Metrics,
};
use innkeeper_auth::{Class, Doorkeeper, Principal};
use innkeeper_model::{Code, Refusal, Revision};
use innkeeper_session::Tickets;
use innkeeper_surface::{Diagnostics, Handshakes, Operations};
use innkeeper_view::View;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What all routes share; clones are handles on the same.
#[derive(Clone)]
pub struct ApiState(Arc<Shared>);

struct Shared {
    view: View,
    operations: Arc<dyn Operations>,
    diagnostics: Option<Arc<dyn Diagnostics>>,
    doorkeeper: Doorkeeper,
    stopping: CancellationToken,
    keys: Keys<Submitted>,
    metrics: Metrics,
    tickets: Tickets<Principal>,
}

impl ApiState {
    /// Reads come from this view, and writes go to these operations. Without `diagnostics`, what asks
    /// for some is refused. Whoever shows a credential is whom the doorkeeper knows by it. When `stopping` is cancelled, whoever waits is answered with what there is,
    /// and streams end.
    pub fn new(
        view: View,
        operations: Arc<dyn Operations>,
        diagnostics: Option<Arc<dyn Diagnostics>>,
        doorkeeper: Doorkeeper,
        stopping: CancellationToken,
    ) -> Self {
        let (metrics, keys) = (Metrics::new(view.clone()), Keys::default());
        Self(Arc::new(Shared {
            view,
            operations,
            diagnostics,
            doorkeeper,
            stopping,
            keys,
            metrics,
            tickets: Tickets::default().given_up_last(|caller| caller.class != Class::Standard),
        }))
    }

    /// Everything that there is to read. What is read of VMs and tasks from here is everybody's: a route that
    /// shows any reads what its [`Visit`](crate::visit::Visit) sees.
    pub(crate) fn view(&self) -> &View {
        &self.0.view
    }

    /// How far the view has come.
    pub(crate) fn revision(&self) -> Revision {
        self.view().snapshot().revision
    }

    pub(crate) fn operations(&self) -> &Arc<dyn Operations> {
        &self.0.operations
    }

    /// The daemon around the engine.
    ///
    /// # Errors
    /// There is none: only a view is served.
    pub(crate) fn diagnostics(&self) -> Result<&dyn Diagnostics, Refusal> {
        let diagnostics = self.0.diagnostics.as_deref();
        diagnostics.ok_or_else(|| Refusal::new(Code::Unsupported, "this server only shows"))
    }

    /// Who knows what callers show.
    pub(crate) fn doorkeeper(&self) -> &Doorkeeper {
        &self.0.doorkeeper
    }

    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    /// What earlier requests with an idempotency key came to.
    pub(crate) fn keys(&self) -> &Keys<Submitted> {
        &self.0.keys
    }

    /// The tickets that open a session.
    pub(crate) fn tickets(&self) -> &Tickets<Principal> {
        &self.0.tickets
    }

    /// Shows what comes of TLS handshakes among the figures.
    pub fn count_handshakes(&self, handshakes: &Arc<Handshakes>) {
        self.metrics().count_handshakes(handshakes);
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
}
