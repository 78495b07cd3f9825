//! Subscriptions: one reader's place in the feed.

use crate::{
    batch::Batch,
    readers::Place,
    ring::{Found, Reach},
    snapshot::Snapshot,
    view::{Published, Shared, ViewStopped},
};
use innkeeper_model::Position;
use std::sync::Arc;
use tokio::sync::watch;

/// What the feed hands to a reader.
#[derive(Debug)]
pub enum Delivery {
    /// The next changes, without a hole.
    Changes(Arc<Batch>),
    /// There is a hole: the reader was too slow, or its position is not of this run of the daemon.
    /// The snapshot stands for all that it missed, deletes included; the changes go on after it.
    Gap(Arc<Snapshot>),
}

/// A reader of the feed. It is no more than a place in it: a reader that never reads costs nothing,
/// and misses, admittedly, what is forgotten meanwhile.
#[derive(Debug)]
pub struct Subscription {
    shared: Arc<Shared>,
    pulses: watch::Receiver<()>,
    position: Position,
    reach: Reach,
    place: Place,
}

impl Subscription {
    pub(crate) fn new(shared: Arc<Shared>, from: Option<Position>) -> Self {
        // Who begins now has nothing to catch up with.
        let reach = if from.is_some() { Reach::All } else { Reach::Sealed };
        let position = from.unwrap_or_else(|| shared.load().snapshot.position());
        Self {
            position,
            pulses: shared.pulses.clone(),
            place: shared.readers.enter(position.sequence),
            shared,
            reach,
        }
    }

    /// The same, of this reader, as diagnoses show it. One that has a name keeps it.
    #[must_use]
    pub fn of(self, who: impl Into<String>) -> Self {
        self.place.is_of(who.into());
        self
    }

    /// Where this reader is: the last change that it was handed. Hand it to
    /// [`crate::View::subscribe`] to go on from there.
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Waits for what comes next.
    ///
    /// A reader that comes, or resumes, is handed at once all that there is. From then on it is woken
    /// together with all others: at once while little happens, once a tick under load. Dropping the
    /// future loses nothing: what it would have returned comes next time.
    ///
    /// # Errors
    /// The view has stopped, and everything before that has been delivered.
    pub async fn next(&mut self) -> Result<Delivery, ViewStopped> {
        loop {
            // Before looking, so that what is published after the look ends the wait.
            self.pulses.mark_unchanged();
            if let Some(delivery) = self.read(self.reach) {
                return Ok(delivery);
            }
            self.pulses.changed().await.map_err(|_| ViewStopped)?;
        }
    }

    /// What there is by now, without waiting; also changes for which [`Subscription::next`] would
    /// wait for the tick.
    pub fn try_next(&mut self) -> Option<Delivery> {
        self.read(Reach::All)
    }

    fn read(&mut self, reach: Reach) -> Option<Delivery> {
        let published = self.shared.load();
        let delivery = look(&published, self.position, reach)?;
        self.position = match &delivery {
            Delivery::Changes(batch) => batch.last(),
            Delivery::Gap(snapshot) => snapshot.position(),
        };
        self.place.moved(self.position.sequence);
        if self.position == published.snapshot.position() {
            // It has caught up: from now on in step with the others, who share one encoding.
            self.reach = Reach::Sealed;
        }
        Some(delivery)
    }
}

fn look(published: &Published, position: Position, reach: Reach) -> Option<Delivery> {
    let end = published.snapshot.position();
    let gap = || Some(Delivery::Gap(Arc::clone(&published.snapshot)));
    if position.epoch != end.epoch || position.sequence > end.sequence {
        return gap();
    }
    match published.ring.after(position.sequence, reach) {
        Found::Batch(batch) => Some(Delivery::Changes(batch)),
        Found::Nothing => None,
        Found::Forgotten => gap(),
    }
}
