//! `/events`: what happens, for as long as a reader follows it.
//!
//! A reader is a place in the feed and a connection; nothing is kept for one that reads too slowly. When
//! what it has not read is forgotten, it is told `gap`, and its stream ends: that is the one thing that
//! every client of the ancestor takes for an error, and connects again after. A second `ready`, or a blank
//! line to keep the connection alive, would be a failed assertion in them.

use super::{lines, listeners::Listening, query::Query};
use crate::visit::Visit;
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use innkeeper_surface::{Seen, Sight};
use innkeeper_view::{Delivery, Subscription};
use std::{convert::Infallible, pin::Pin};
use tokio_util::sync::WaitForCancellationFutureOwned;

/// One reader of the events.
pub(crate) struct Reader {
    listening: Listening,
    subscription: Subscription,
    sight: Sight,
    query: Query,
    /// What is left to send before anything else is looked at.
    pending: Box<dyn Iterator<Item = Bytes> + Send>,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    has_ended: bool,
}

impl Reader {
    /// A reader from now on, or from where it was. What it is told first and what comes after leave
    /// nothing out between them, and nothing comes twice.
    pub(crate) fn new(visit: &Visit, listening: Listening, query: Query) -> Self {
        let seen = visit.seen();
        let from = query.since.unwrap_or_else(|| seen.position());
        let mut reader = Self {
            listening,
            subscription: visit.subscribe(Some(from)),
            sight: visit.sight().clone(),
            query,
            pending: Box::new(std::iter::empty()),
            stopping: Box::pin(visit.stopping().clone().cancelled_owned()),
            has_ended: false,
        };
        if reader.query.since.is_none() {
            reader.begin_with(&seen);
        } else {
            reader.resume();
        }
        reader
    }

    fn begin_with(&mut self, seen: &Seen) {
        self.pending = lines::ready(self.listening.id(), seen, &self.query.filter);
    }

    fn resume(&mut self) {
        let from = self.subscription.position();
        let ready = lines::resumed(self.listening.id(), from);
        match self.subscription.try_next() {
            // It does not know what it missed: it begins anew.
            Some(Delivery::Gap(snapshot)) => self.begin_with(&self.sight.of(snapshot)),
            Some(Delivery::Changes(batch)) => {
                let missed = lines::of_batch(&batch, &self.sight, &self.query.filter);
                self.pending = Box::new([ready, missed].into_iter());
            }
            None => self.pending = Box::new(std::iter::once(ready)),
        }
    }

    /// The stream of what it is sent.
    pub(crate) fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(self, |mut reader| async move {
            let chunk = reader.next().await?;
            Some((Ok::<_, Infallible>(chunk), reader))
        }))
    }

    /// What the reader is sent next; `None` when the stream ends.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            // An empty chunk would say that the stream has ended.
            if let Some(chunk) = self.pending.find(|chunk| !chunk.is_empty()) {
                return Some(chunk);
            }
            if self.has_ended {
                return None;
            }
            let delivery = tokio::select! {
                biased;
                () = &mut self.stopping => return None,
                delivery = self.subscription.next() => delivery.ok()?,
            };
            match delivery {
                Delivery::Changes(batch) => {
                    let lines = lines::of_batch(&batch, &self.sight, &self.query.filter);
                    if !lines.is_empty() {
                        return Some(lines);
                    }
                }
                Delivery::Gap(snapshot) => {
                    self.has_ended = true;
                    return Some(lines::gap(snapshot.position()));
                }
            }
        }
    }
}
