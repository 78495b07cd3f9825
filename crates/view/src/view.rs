//! The handle through which everybody reads and posts.

use crate::{
    readers::{ReaderFigures, Readers},
    ring::{Bounds, Ring},
    snapshot::Snapshot,
    state::State,
    subscription::Subscription,
    update::Update,
    writer::{Message, Writer},
};
use arc_swap::ArcSwap;
use innkeeper_model::{Code, Position, Refusal, Revision};
use std::{sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

/// How a view is set up.
#[derive(Debug, Clone)]
pub struct ViewOptions {
    /// Names this run of the daemon in the feed's positions; another one at each start.
    pub epoch: Uuid,
    /// The most changes that the feed remembers for slow and resuming readers.
    pub max_changes: usize,
    /// The most bytes that those may hold, old records and cached encodings together: counted
    /// roughly, and enforced with each change.
    pub max_change_bytes: usize,
    /// How often sleeping readers are woken under load. Nobody waits for it while little happens.
    pub tick: Duration,
    /// The most finished tasks that are remembered; beyond it the one that ended first is forgotten.
    pub max_finished_tasks: usize,
}

impl ViewOptions {
    /// The usual bounds: 8,192 changes of 8 MiB, a tick of 8 ms, 1,000 finished tasks.
    pub const fn new(epoch: Uuid) -> Self {
        Self {
            epoch,
            max_changes: 8192,
            max_change_bytes: 8 << 20,
            tick: Duration::from_millis(8),
            max_finished_tasks: 1000,
        }
    }
}

/// The view's writer has stopped: nothing is applied any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the view has stopped")]
pub struct ViewStopped;

impl From<ViewStopped> for Refusal {
    fn from(stopped: ViewStopped) -> Self {
        Self::new(Code::ShuttingDown, "the daemon is stopping")
            .with_hint("try again when it has started")
            .caused_by(&stopped)
    }
}

/// How large the view is; for metrics and diagnosis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// How many changes there have been.
    pub revision: Revision,
    /// How many changes the feed remembers.
    pub changes: usize,
    /// The bytes that they hold, old records and cached encodings together; counted roughly.
    pub change_bytes: usize,
    /// How many subscriptions there are.
    pub subscriptions: usize,
    /// How many changes the subscription is behind that is furthest behind.
    pub slowest_lag: u64,
}

/// A handle on the view; clones are handles on the same one.
#[derive(Debug, Clone)]
pub struct View {
    shared: Arc<Shared>,
    inbox: mpsc::UnboundedSender<Message>,
}

/// What the writer has published last. Snapshot and feed in one, so that they cannot disagree.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) ring: Ring,
}

#[derive(Debug)]
pub(crate) struct Shared {
    published: ArcSwap<Published>,
    /// Tells subscriptions that something was published; ends with the writer.
    pub(crate) pulses: watch::Receiver<()>,
    /// Where each subscription is.
    pub(crate) readers: Readers,
}

impl Shared {
    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<Published>> {
        self.published.load()
    }

    pub(crate) fn publish(&self, published: Published) {
        self.published.store(Arc::new(published));
    }
}

impl View {
    /// An empty view. Its writer is a task of the runtime that this is called in, and ends with
    /// [`View::stop`] or when the last handle is dropped.
    ///
    /// # Panics
    /// Outside a tokio runtime with its timer on.
    pub fn start(options: ViewOptions) -> Self {
        let ring =
            Ring::new(Bounds { changes: options.max_changes, bytes: options.max_change_bytes });
        let state = State::new(options.epoch, options.max_finished_tasks);
        let (pulse, pulses) = watch::channel(());
        let shared = Arc::new(Shared {
            published: ArcSwap::from_pointee(Published {
                snapshot: Arc::new(state.snapshot().clone()),
                ring: ring.clone(),
            }),
            pulses,
            readers: Readers::default(),
        });
        let (inbox, messages) = mpsc::unbounded_channel();
        let writer = Writer::new(state, ring, options.tick, Arc::clone(&shared), pulse);
        tokio::spawn(writer.run(messages));
        Self { shared, inbox }
    }

    /// Everything, as it is now. Never waits.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.shared.load().snapshot)
    }

    /// Posts an update. Never waits; after the view has stopped, does nothing.
    pub fn post(&self, update: Update) {
        self.send(Message::Apply(vec![update]));
    }

    /// Posts updates that become visible together, in this order. Never waits; after the view has
    /// stopped, does nothing.
    pub fn post_all(&self, updates: Vec<Update>) {
        self.send(Message::Apply(updates));
    }

    /// Posts updates, and waits until they and all that was posted before can be read, in snapshots
    /// and in the feed. Returns the revision at which they were applied; without updates, the one at
    /// which all that was posted before was.
    ///
    /// It does not matter whether the updates changed anything, nor what changed after them. Dropping
    /// the future changes nothing: the updates are posted at the first poll.
    ///
    /// # Errors
    /// The view has stopped.
    pub async fn barrier(&self, updates: Vec<Update>) -> Result<Revision, ViewStopped> {
        let (reply, revision) = oneshot::channel();
        self.send(Message::Barrier(updates, reply));
        revision.await.map_err(|_| ViewStopped)
    }

    /// Follows the changes after this position; without one, those after now. A position that the
    /// feed cannot go on from is told as the first delivery.
    pub fn subscribe(&self, from: Option<Position>) -> Subscription {
        Subscription::new(Arc::clone(&self.shared), from)
    }

    /// Stops the writer once all that was posted before is applied. Subscriptions end after their
    /// last change; snapshots can still be taken.
    pub fn stop(&self) {
        self.send(Message::Stop);
    }

    /// How large the view is.
    pub fn figures(&self) -> Figures {
        let published = self.shared.load();
        let lags = self.shared.readers.lags(published.snapshot.revision.0);
        Figures {
            revision: published.snapshot.revision,
            changes: published.ring.changes(),
            change_bytes: published.ring.bytes(),
            subscriptions: lags.len(),
            slowest_lag: lags.into_iter().max().unwrap_or(0),
        }
    }

    /// The subscriptions that are furthest behind, those first; at most so many.
    pub fn slowest_readers(&self, at_most: usize) -> Vec<ReaderFigures> {
        self.shared.readers.slowest(self.shared.load().snapshot.revision.0, at_most)
    }

    fn send(&self, message: Message) {
        if self.inbox.send(message).is_err() {
            tracing::debug!("an update came after the view had stopped");
        }
    }
}

#[cfg(test)]
mod tests;
