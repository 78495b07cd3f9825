//! A log that is followed: looked at again and again for as long as somebody reads what comes of it.
//!
//! Nothing is kept for a reader but the end of the log as it last saw it, and one that does not read
//! costs no look. The console stays free for somebody else.

use super::{
    Source,
    appended::{Appended, appended},
};
use crate::visit::Visit;
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use innkeeper_model::{Code, Refusal, VmId};
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// How long to wait from one look to the next.
const LOOK_AFTER: Duration = Duration::from_millis(250);

/// What stands in place of what nobody knows any more.
const MISSING: &[u8] =
    b"\r\n[some of the log is missing here: it came faster than it was read]\r\n";

/// One reader of a log, and how far it has come.
pub(super) struct Follower {
    state: Visit,
    vm: VmId,
    source: Source,
    /// The end of the log as it was seen last.
    seen: Vec<u8>,
    looks: Interval,
}

impl Follower {
    /// A reader that has this end of the log to begin with.
    pub(super) fn new(state: Visit, vm: VmId, source: Source, seen: Vec<u8>) -> Self {
        let mut looks = interval_at(Instant::now() + LOOK_AFTER, LOOK_AFTER);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { state, vm, source, seen, looks }
    }

    /// The log to its end: the VM's deletion. It breaks off where the daemon stops or the log cannot
    /// be read.
    pub(super) fn into_body(self) -> Body {
        let first = Bytes::from(self.seen.clone());
        Body::from_stream(stream::try_unfold((Some(first), self), |(first, mut follower)| async {
            let chunk = match first {
                Some(first) => Some(first),
                None => follower.next().await?,
            };
            Ok::<_, Refusal>(chunk.map(|chunk| (chunk, (None, follower))))
        }))
    }

    /// What comes next; `None` when the VM is gone, or is another project's.
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        let stopping = self.state.stopping().clone();
        loop {
            tokio::select! {
                biased;
                () = stopping.cancelled() => {
                    return Err(Refusal::new(Code::ShuttingDown, "the daemon is stopping"));
                }
                _ = self.looks.tick() => {}
            }
            if self.state.seen().vm(self.vm).is_none() {
                return Ok(None);
            }
            let now = self.source.read(&self.state, self.vm).await?;
            let chunk = match appended(&self.seen, &now) {
                Appended::All(new) => Bytes::copy_from_slice(new),
                Appended::End(new) => [MISSING, new].concat().into(),
            };
            self.seen = now;
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
        }
    }
}
