//! What besides changes wakes a reader of the feed: a beat every so often, and the daemon's end.

use std::{pin::Pin, time::Duration};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How often a reader is sent something although nothing happens, so that either side notices when
/// the other is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The pulse of one reader.
pub(crate) struct Pulse {
    keep_alive: Interval,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Pulse {
    pub(crate) fn new(stopping: CancellationToken) -> Self {
        let mut keep_alive = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { keep_alive, stopping: Box::pin(stopping.cancelled_owned()) }
    }

    /// Waits until it is time to say that there is nothing to say; `None` when the daemon stops, after
    /// which this is not to be called again. Can be dropped and called again before.
    pub(crate) async fn beat(&mut self) -> Option<()> {
        tokio::select! {
            biased;
            () = &mut self.stopping => None,
            _ = self.keep_alive.tick() => Some(()),
        }
    }
}
