//! What is needed for long is written down anew from time to time, so that old segments of the journal go.

use crate::engine::Engine;
use std::time::Duration;
use tracing::warn;

/// How often it is looked whether old records should be written anew.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// How many segments of the journal a record may be behind before it is.
const SEGMENTS_KEPT: u64 = 4;

impl Engine {
    /// Writes long-lived records anew for as long as the engine lives.
    pub(crate) async fn renew_records(self) {
        if self.recovered().await.is_err() {
            return;
        }
        loop {
            self.renew_once().await;
            // Nobody tells when a record has become old.
            tokio::time::sleep(RENEW_EVERY).await;
        }
    }

    async fn renew_once(&self) {
        let recorder = &self.shared.recorder;
        let kept = recorder.journal().newest().saturating_sub(SEGMENTS_KEPT);
        // Nothing that is needed stays beside what is damaged.
        let damaged = self.shared.unreadable.iter().filter_map(|one| one.damaged);
        let oldest = damaged.map(|segment| segment + 1).fold(kept, u64::max);
        for deed in self.shared.owing.all().into_iter().chain(self.shared.interrupted.all()) {
            deed.refresh(oldest).await;
        }
        let snapshot = self.view().snapshot();
        let is_there = |vm| snapshot.vms.contains_key(&vm);
        let left_alone = self.shared.left_alone.renew(oldest, is_there, recorder).await;
        let wishes = self.shared.performer.hands.wishes.renew(oldest).await;
        if let Err(error) = left_alone.and(wishes) {
            warn!(%error, "old records stay in the journal");
        }
        self.shared.noticed.to_note().mark_all(self.shared.notes.older_than(oldest));
    }
}
