//! The keeper: a thread that makes segments before they are needed, and removes those that nobody
//! holds any more. It does what may take long, so that the writer does not wait for it.

use super::{
    disk::{Disk, SegmentFile},
    segment::{self, Held, Hold},
    shared::Shared,
};
use std::{
    collections::VecDeque,
    io,
    path::PathBuf,
    sync::{
        Arc, Weak,
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, sync_channel},
    },
    time::Duration,
};

/// When to try again what the disk refused: room comes back without anybody telling.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A segment that nothing was written to yet.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) file: Box<dyn SegmentFile>,
    pub(super) size: u64,
}

/// A segment on disk that has records, or had.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) path: PathBuf,
    pub(super) size: u64,
    /// It is damaged and could not be set aside, so it does not go.
    pub(super) stuck: bool,
    pub(super) hold: Weak<Hold>,
}

/// What the keeper is told.
#[derive(Debug)]
pub(super) enum Order {
    /// A segment is needed.
    Fresh(SyncSender<io::Result<Fresh>>),
    /// It is in use, and is to be kept while it is held.
    Begun(Kept),
    /// It could not be written to.
    Discard(Fresh),
    /// A segment may be held no more.
    Released,
    /// The journal is closed; this was being written, and stays.
    Stop { _held: Option<Held> },
}

/// The thread's state.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) folder: PathBuf,
    pub(super) segment_size: u64,
    /// The number of the next segment to be made.
    pub(super) next: u64,
    /// The segments on disk, oldest first.
    pub(super) kept: VecDeque<Kept>,
    /// Made ahead of need.
    pub(super) ready: Option<Fresh>,
    /// Whether it was said that something fails.
    pub(super) complained: bool,
    pub(super) shared: Arc<Shared>,
}

/// Asks for a segment, and waits for it.
pub(super) fn fresh(keeper: &Sender<Order>) -> io::Result<Fresh> {
    let (answer, made) = sync_channel(1);
    let ended = |_| io::Error::other("the journal's keeper has ended");
    keeper.send(Order::Fresh(answer)).map_err(|_| ended(()))?;
    made.recv().unwrap_or_else(|_| Err(ended(())))
}

impl Keeper {
    /// Works until it is told to stop, or nobody is left to tell it anything.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        loop {
            let all_is_well = self.tidy();
            let order = if all_is_well {
                orders.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                orders.recv_timeout(RETRY_AFTER)
            };
            match order {
                Ok(Order::Fresh(answer)) => self.hand_out(&answer),
                Ok(Order::Begun(kept)) => self.kept.push_back(kept),
                Ok(Order::Discard(fresh)) => self.discard(fresh),
                Ok(Order::Released) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Order::Stop { .. }) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if let Some(unused) = self.ready.take() {
            self.discard(unused);
        }
    }

    /// Removes what can go, makes what is missing; whether both could be done.
    fn tidy(&mut self) -> bool {
        // In this order: what is removed makes room. But one that cannot be removed is no hindrance.
        let retired = self.retire();
        let done = retired.and(self.make_ready());
        match &done {
            Ok(()) => self.complained = false,
            Err(error) => {
                self.shared.failed(error);
                // Once, not with every attempt.
                if !std::mem::replace(&mut self.complained, true) {
                    tracing::warn!(%error, "the journal's segments cannot be made or removed");
                }
            }
        }
        self.shared.figures(|figures| {
            figures.segments = self.kept.len() as u64;
            figures.bytes = self.kept.iter().map(|kept| kept.size).sum();
            figures.room_ahead = self.ready.as_ref().map_or(0, |fresh| fresh.size);
            figures.low = self.ready.is_none();
        });
        done.is_ok()
    }

    /// Oldest first, and never one that is newer than one that stays.
    fn retire(&mut self) -> io::Result<()> {
        while let Some(oldest) = self.kept.front()
            && oldest.hold.strong_count() == 0
            && !oldest.stuck
        {
            self.disk.remove(&oldest.path)?;
            self.kept.pop_front();
        }
        Ok(())
    }

    fn make_ready(&mut self) -> io::Result<()> {
        if self.ready.is_none() {
            self.ready = Some(self.make()?);
        }
        Ok(())
    }

    fn make(&mut self) -> io::Result<Fresh> {
        let (number, size) = (self.next, self.segment_size);
        let path = segment::path(&self.folder, number);
        let file = self.disk.create(&path, size)?;
        self.next += 1;
        Ok(Fresh { number, path, file, size })
    }

    fn hand_out(&mut self, answer: &SyncSender<io::Result<Fresh>>) {
        let fresh = self.ready.take().map_or_else(|| self.make(), Ok);
        if let Err(unsent) = answer.send(fresh)
            && let Ok(fresh) = unsent.0
        {
            self.discard(fresh);
        }
    }

    /// Its number is not used again. What cannot be removed now is removed in its turn: were it left
    /// while newer ones went, it would look as if these were missing.
    fn discard(&mut self, fresh: Fresh) {
        let Fresh { path, size, .. } = fresh;
        if let Err(error) = self.disk.remove(&path) {
            tracing::warn!(file = %path.display(), %error, "cannot remove a journal segment");
            self.kept.push_back(Kept { path, size, stuck: false, hold: Weak::new() });
        }
    }
}
