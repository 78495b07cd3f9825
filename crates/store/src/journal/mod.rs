//! A write-ahead journal: what is to be done is here before it is done.
//!
//! Owns the bytes, how long they last, and what is said of those that were damaged. What a record
//! means, when one is written and how long it is needed is the engine's business.
//!
//! ```text
//!  append ─▶ writer ──write──▶ journal-…07.inn   the segment that is written
//!              │               journal-…06.inn ◀── Held, Held, …
//!              │ fresh         journal-…05.inn ◀── Held
//!           keeper ──makes──▶  journal-…08.inn   ahead of need, so that a full disk is known early
//!              └────removes──▶ journal-…04.inn   oldest first, once nobody holds it
//! ```
//!
//! # What holds
//!
//! - **Acknowledged is found.** A record that was acknowledged is found by the next opening: after the
//!   end of the daemon in any way, and if it was [`Durability::Synced`] after a loss of power.
//! - **In order, and nothing else.** Records are found in the order of the calls of
//!   [`Journal::append`]. Half a record never counts.
//! - **A failing disk ends nothing.** Appends are refused, and accepted again when the disk is well
//!   (the page on the `writer` module says how a failed sync is survived).
//! - **What is damaged is said, and stays.** Of a record that cannot be read at least its place is
//!   told, most often also whom it was about ([`Damage`]); all others are served. The bytes are set
//!   aside as `….inn.damaged`, and the damage is told by each opening until a person moves that file
//!   away (the page on the `aside` module). The segments go on to be removed in their turn.
//!   Two things cannot be told: that the *newest* segments are missing, and that the very last record
//!   is damaged rather than torn by a crash.
//! - **Removal is in order.** Segments go oldest first. A loss of power can bring back some that had
//!   just gone, always the newest of them.

mod aside;
mod chain;
mod disk;
mod failed;
mod framing;
mod keeper;
mod opening;
mod scan;
mod segment;
mod shared;
mod writer;

pub use aside::set_aside;
pub use failed::{DamageReason, JournalFailed};
pub use segment::Held;
pub use shared::Figures;
pub use writer::Durability;

use disk::{Disk, FileSystem};
use keeper::Keeper;
use shared::Shared;
use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Sender, channel},
    },
    thread::{self, JoinHandle},
};
use tokio::sync::oneshot;
use uuid::Uuid;
use writer::{Append, Message, Writer};

/// Where a journal is, and how it is cut.
#[derive(Debug, Clone)]
pub struct JournalOptions {
    /// Its folder, which nothing else uses. It is made (0700) if it is not there.
    pub folder: PathBuf,
    /// How large a segment is, in bytes; brought between 4 KiB and 1 GiB. No record can be larger.
    /// Room for two is taken at all times: the one that is written, and the next.
    pub segment_size: u64,
}

const SEGMENT_SIZE: u64 = 8 << 20;
const SEGMENT_SIZES: std::ops::RangeInclusive<u64> = 4 << 10..=1 << 30;

impl JournalOptions {
    /// A journal in this folder, in segments of 8 MiB.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), segment_size: SEGMENT_SIZE }
    }
}

/// A journal that was opened, with what was in it.
#[derive(Debug)]
pub struct Opened {
    /// Where new records go.
    pub journal: Journal,
    /// What is in it, in the order written. Its segments stay while this is kept.
    pub records: Vec<Found>,
    /// What was in it and cannot be read, in the order of the files.
    pub damage: Vec<Damage>,
}

/// A record that was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// What it is about.
    pub about: Uuid,
    /// Its payload.
    pub bytes: Vec<u8>,
    /// Keeps it.
    pub held: Held,
}

/// Something that was written and cannot be read any more. Each opening tells it until a person has moved
/// the file away.
#[derive(Debug, Clone)]
pub struct Damage {
    /// What the record was about, where its header is whole: then it is one record. `None` if it is
    /// an unknown number of records about anything.
    pub about: Option<Uuid>,
    /// The number of the segment.
    pub segment: u64,
    /// What was set aside of it; empty if it is missing. Where it could not be set aside, the segment.
    pub file: PathBuf,
    /// Where in it, in bytes.
    pub offset: u64,
    /// How much of it, in bytes; zero if the file is missing.
    pub length: u64,
    /// What is wrong.
    pub reason: DamageReason,
    /// Whether it is certain that it was on disk once. Where it is not, a loss of power while it was
    /// being written explains it as well as a bad disk does.
    pub synced: bool,
}

impl Damage {
    /// Whether it is told no more once a person has moved its file away. Where it is not, the disk takes
    /// nothing, or somebody has a file of that name; the next opening tries again.
    pub fn is_set_aside(&self) -> bool {
        self.file.extension().is_some_and(|extension| extension == "damaged")
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, reason, .. } = self;
        write!(f, "{} is damaged at byte {offset}: {reason}", file.display())
    }
}

/// A journal. Clones are the same journal; all methods but [`close`](Self::close) return at once, and
/// may be called from any thread.
///
/// When the last clone is dropped, what was appended is written and synced, and the threads end; that
/// is waited for. Where a thread must not wait, [`close`](Self::close) elsewhere first.
#[derive(Debug, Clone)]
pub struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    messages: Sender<Message>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    shared: Arc<Shared>,
    max_payload: u64,
}

impl Journal {
    /// Opens the journal in a folder, and reads all that is in it. Waits for the disk; the caller
    /// sees to it that nobody else has the folder open.
    ///
    /// New records go to a new segment, never behind what an earlier run left. A disk that is full or
    /// takes no writes is no reason not to open: it shows at the first append.
    ///
    /// # Errors
    /// [`JournalFailed::Folder`]; [`JournalFailed::TooNew`], with nothing touched;
    /// [`JournalFailed::Io`] if no thread can be started.
    pub fn open(options: JournalOptions) -> Result<Opened, JournalFailed> {
        Self::open_on(Arc::new(FileSystem), options)
    }

    fn open_on(disk: Arc<dyn Disk>, mut options: JournalOptions) -> Result<Opened, JournalFailed> {
        let (smallest, largest) = (*SEGMENT_SIZES.start(), *SEGMENT_SIZES.end());
        options.segment_size = options.segment_size.clamp(smallest, largest);
        let (orders, for_keeper) = channel();
        let (messages, for_writer) = channel();
        let contents = opening::open(&options, &orders)?;
        let shared = Arc::new(Shared::default());
        shared.set_newest(contents.newest);
        let keeper = Keeper {
            disk,
            folder: options.folder,
            segment_size: options.segment_size,
            next: contents.newest + 1,
            kept: contents.kept,
            ready: None,
            complained: false,
            shared: Arc::clone(&shared),
        };
        let writer = Writer::new(orders, Arc::clone(&shared), contents.position);
        let threads = vec![
            spawn("journal-keeper", move || keeper.run(&for_keeper))?,
            spawn("journal-writer", move || writer.run(&for_writer))?,
        ];
        let max_payload = writer::max_payload(options.segment_size);
        let inner = Inner { messages, threads: Mutex::new(threads), shared, max_payload };
        let journal = Self(Arc::new(inner));
        Ok(Opened { journal, records: contents.records, damage: contents.damage })
    }

    /// Writes a record about something (nil if it is about nothing in particular), behind all that
    /// were appended before: its place is taken by the call, not by the first poll. Answers when it
    /// is as durable as asked for, with what keeps it on disk.
    ///
    /// Dropping the future is no undo: the record is left out if it was not begun, and written like
    /// any other if it was.
    ///
    /// # Errors
    /// [`JournalFailed::TooLarge`], [`Full`](JournalFailed::Full), [`Io`](JournalFailed::Io) or
    /// [`Closed`](JournalFailed::Closed).
    pub fn append(
        &self,
        about: Uuid,
        bytes: Vec<u8>,
        durability: Durability,
    ) -> impl Future<Output = Result<Held, JournalFailed>> + Send + use<> {
        let answer = self.enqueue(about, bytes, durability);
        async move { answer?.await.unwrap_or(Err(JournalFailed::Closed)) }
    }

    fn enqueue(
        &self,
        about: Uuid,
        bytes: Vec<u8>,
        durability: Durability,
    ) -> Result<oneshot::Receiver<Result<Held, JournalFailed>>, JournalFailed> {
        let Inner { messages, shared, max_payload: limit, .. } = &*self.0;
        if bytes.len() as u64 > *limit {
            return Err(JournalFailed::TooLarge { size: bytes.len(), limit: *limit });
        }
        let (answer, receiver) = oneshot::channel();
        shared.enqueued();
        messages.send(Message::Append(Append { about, bytes, durability, answer })).map_err(
            |_| {
                shared.answered(1);
                JournalFailed::Closed
            },
        )?;
        Ok(receiver)
    }

    /// The number of the segment that is written; until the first record the newest that was there.
    pub fn newest(&self) -> u64 {
        self.0.shared.newest()
    }

    /// How the journal does.
    pub fn figures(&self) -> Figures {
        self.0.shared.snapshot()
    }

    /// Writes and syncs what was appended, ends the threads and waits for that; later appends, on
    /// other clones, are refused. Segments that are released after this stay until the next opening.
    pub fn close(self) {
        // A writer that has ended is closed.
        drop(self.0.messages.send(Message::Close));
        self.0.join();
    }
}

impl Inner {
    fn join(&self) {
        let threads: Vec<_> =
            self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the journal has panicked");
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A writer that has ended is closed.
        drop(self.messages.send(Message::Close));
        self.join();
    }
}

fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, JournalFailed> {
    let thread = thread::Builder::new().name(name.into());
    thread.spawn(work).map_err(|error| JournalFailed::Io { source: Arc::new(error) })
}

#[cfg(test)]
mod tests;
