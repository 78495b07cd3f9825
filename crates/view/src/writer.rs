//! The writer: the one task that changes the view.
//!
//! It takes what has come into the inbox, applies it, publishes the outcome, answers the barriers,
//! and wakes the readers at their pace. It waits for its inbox and its pace, and for nothing else.

use crate::{
    entry::Entry,
    pace::Pace,
    ring::Ring,
    state::State,
    update::Update,
    view::{Published, Shared},
};
use innkeeper_model::{Revision, Timestamp};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::yield_now,
    time::sleep_until,
};

/// The most messages that are applied before readers see the outcome.
const MAX_MESSAGES: usize = 256;

/// What is posted.
#[derive(Debug)]
pub(crate) enum Message {
    Apply(Vec<Update>),
    Barrier(Vec<Update>, oneshot::Sender<Revision>),
    Stop,
}

/// Lets those who are ready to post do so first. The first to post wakes the writer, which would come
/// before all of them, and to publish costs more than to apply.
async fn gather(inbox: &mut mpsc::UnboundedReceiver<Message>, messages: &mut Vec<Message>) {
    yield_now().await;
    while messages.len() < MAX_MESSAGES
        && let Ok(message) = inbox.try_recv()
    {
        messages.push(message);
    }
}

/// A barrier that waits to be told its revision.
type Waiting = (oneshot::Sender<Revision>, Revision);

pub(crate) struct Writer {
    state: State,
    ring: Ring,
    pace: Pace,
    shared: Arc<Shared>,
    /// Ends with the writer, and with it all subscriptions.
    pulse: watch::Sender<()>,
    /// Reused from batch to batch.
    entries: Vec<Entry>,
    waiting: Vec<Waiting>,
}

impl Writer {
    pub(crate) fn new(
        state: State,
        ring: Ring,
        tick: Duration,
        shared: Arc<Shared>,
        pulse: watch::Sender<()>,
    ) -> Self {
        Self {
            state,
            ring,
            pace: Pace::new(tick, Instant::now()),
            shared,
            pulse,
            entries: Vec::new(),
            waiting: Vec::new(),
        }
    }

    pub(crate) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Message>) {
        let mut messages = Vec::with_capacity(MAX_MESSAGES);
        let mut open = true;
        while open {
            let due = self.pace.next();
            tokio::select! {
                biased;
                () = sleep_until(due.into()), if self.ring.has_news() => {}
                count = inbox.recv_many(&mut messages, MAX_MESSAGES) => open = count > 0,
            }
            if !messages.is_empty() {
                gather(&mut inbox, &mut messages).await;
            }
            for message in messages.drain(..) {
                if !self.take(message) {
                    open = false;
                    break;
                }
            }
            self.publish(open);
        }
    }

    /// Applies one message; false if it was the last.
    fn take(&mut self, message: Message) -> bool {
        match message {
            Message::Apply(updates) => self.apply(updates),
            Message::Barrier(updates, reply) => {
                self.apply(updates);
                self.waiting.push((reply, self.state.snapshot().revision));
            }
            Message::Stop => return false,
        }
        true
    }

    fn apply(&mut self, updates: Vec<Update>) {
        for update in updates {
            self.state.apply(update, Timestamp::now(), &mut self.entries);
        }
    }

    /// Shows readers what was applied, answers the barriers, and wakes who sleeps if it is time to.
    fn publish(&mut self, open: bool) {
        let news = !self.entries.is_empty();
        for entry in self.entries.drain(..) {
            self.ring.push(Arc::new(entry));
        }
        let now = Instant::now();
        let wake = self.ring.has_news() && (!open || self.pace.next() <= now);
        if wake {
            self.ring.pulse();
            self.pace.note(now);
        }
        if news || wake {
            self.shared.publish(Published {
                snapshot: Arc::new(self.state.snapshot().clone()),
                ring: self.ring.clone(),
            });
        }
        for (reply, revision) in self.waiting.drain(..) {
            // Whoever gave up waiting does not need the answer.
            let _ = reply.send(revision);
        }
        if wake {
            self.pulse.send_replace(());
        }
    }
}
