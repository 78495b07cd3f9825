//! What all routes share.

use crate::{
    operations::Operations,
    protocol::{idempotency::Keys, mutation::Submitted},
    resources::metrics::Metrics,
};
use innkeeper_view::View;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What all routes share; clones are handles on the same.
#[derive(Clone)]
pub struct ApiState(Arc<Shared>);

struct Shared {
    view: View,
    operations: Arc<dyn Operations>,
    stopping: CancellationToken,
    keys: Keys<Submitted>,
    metrics: Metrics,
}

impl ApiState {
    /// Reads come from this view, and writes go to these operations. When `stopping` is cancelled,
    /// whoever waits is answered with what there is, and streams end.
    pub fn new(view: View, operations: Arc<dyn Operations>, stopping: CancellationToken) -> Self {
        let metrics = Metrics::new(view.clone());
        Self(Arc::new(Shared { view, operations, stopping, keys: Keys::default(), metrics }))
    }

    pub(crate) fn view(&self) -> &View {
        &self.0.view
    }

    pub(crate) fn operations(&self) -> &Arc<dyn Operations> {
        &self.0.operations
    }

    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    /// What earlier requests with an idempotency key came to.
    pub(crate) fn keys(&self) -> &Keys<Submitted> {
        &self.0.keys
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
}
