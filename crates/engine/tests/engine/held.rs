//! A witness that stops what is done at a point, for good.

use crate::support::LONG;
use async_trait::async_trait;
use innkeeper_engine::{Point, Witness};
use innkeeper_model::Refusal;
use std::sync::Arc;
use tokio::sync::watch;

/// Stops the first who pass its point; later ones go on.
pub(crate) struct Stop {
    at: String,
    /// How many are stopped, and how many have been.
    at_most: usize,
    stopped: watch::Sender<usize>,
}

impl Stop {
    pub(crate) fn at(point: &str) -> Arc<Self> {
        Self::of(1, point)
    }

    /// Stops so many.
    pub(crate) fn of(at_most: usize, point: &str) -> Arc<Self> {
        Arc::new(Self { at: point.into(), at_most, stopped: watch::Sender::new(0) })
    }

    /// Waits until all are stopped.
    pub(crate) async fn reached(&self) {
        let mut stopped = self.stopped.subscribe();
        let reached = stopped.wait_for(|stopped| *stopped == self.at_most);
        let waited = tokio::time::timeout(LONG, reached).await;
        waited.unwrap_or_else(|_| panic!("{} is never passed", self.at)).unwrap();
    }
}

#[async_trait]
impl Witness for Stop {
    async fn passes(&self, point: &Point) -> Result<(), Refusal> {
        let stops = self.at == point.to_string()
            && self.stopped.send_if_modified(|stopped| {
                let is_more = *stopped < self.at_most;
                *stopped += usize::from(is_more);
                is_more
            });
        if stops {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn undoes(&self, _: &Point) -> Result<(), Refusal> {
        Ok(())
    }
}
