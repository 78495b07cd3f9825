//! The audit as those see it who record: a queue that takes lines, and the thread that writes them.

use super::{
    queue::Queue,
    repeats::Repeats,
    writer::{Append, Plainly, Writer},
};
use innkeeper_model::{AuditDiagnosis, AuditEntry, AuditOutcome, ByteSize, Timestamp};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// How long lines are gathered before they are written: what comes one at a time would otherwise wake the
/// writer, and cost a write, each.
const GATHER: Duration = Duration::from_millis(10);
/// How long after a failure it is tried to write what is missing, if nothing else comes.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// The longest text of a caller's in a line, in bytes.
const MAX_TEXT: usize = 256;

/// Where the audit is, and how much of it is kept.
#[derive(Debug, Clone)]
pub struct AuditOptions {
    /// The folder of its files; made with mode 0700 if it is not there.
    pub folder: PathBuf,
    /// How large a file becomes before the next begins, in bytes.
    pub file_size: u64,
    /// The most files; two at least.
    pub files: usize,
}

/// The audit. Clones are one audit; it ends with [`AuditLog::end`], or when the last of them is dropped.
#[derive(Debug, Clone)]
pub struct AuditLog(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    folder: PathBuf,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Queue,
    repeats: Mutex<Repeats>,
    written: AtomicU64,
    lost: AtomicU64,
    /// Of those, how many no line tells of yet.
    untold: AtomicU64,
    torn: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
    problem: Mutex<Option<String>>,
}

impl AuditLog {
    /// Begins to write. A folder or file that cannot be made is told in the log and the diagnosis, and tried
    /// again; what is recorded meanwhile is lost, and counted.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(options: AuditOptions) -> io::Result<Self> {
        Self::start_with(options, Plainly)
    }

    pub(super) fn start_with(options: AuditOptions, append: impl Append) -> io::Result<Self> {
        let AuditOptions { folder, file_size, files } = options;
        let shared = Arc::new(Shared::default());
        let writer = Writer::new(folder.clone(), file_size, files.max(2), append);
        let of_thread = Arc::clone(&shared);
        thread::Builder::new().name("audit".into()).spawn(move || of_thread.write(writer))?;
        Ok(Self(Arc::new(Handle { shared, folder })))
    }

    /// Records a line. Never waits and never fails; what cannot be written is counted.
    pub fn record(&self, entry: AuditEntry) {
        self.0.shared.put(clipped(entry));
    }

    /// Records a refusal that anybody can cause as often as they like: the first few of a kind in a minute
    /// have a line each, the rest are counted in one.
    pub fn record_refusal(&self, entry: AuditEntry) {
        let shared = &self.0.shared;
        let admitted = shared.repeats().admit(clipped(entry), Instant::now());
        if let Some(entry) = admitted {
            shared.put(entry);
        }
    }

    /// The folder of its files.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// How it is. Waits for nothing.
    pub fn diagnose(&self) -> AuditDiagnosis {
        let shared = &self.0.shared;
        AuditDiagnosis {
            written: shared.written.load(Relaxed),
            lost: shared.lost.load(Relaxed),
            waiting: shared.queue.len() as u64,
            torn: shared.torn.load(Relaxed),
            files: shared.files.load(Relaxed),
            size: ByteSize(shared.bytes.load(Relaxed)),
            problem: shared.problem().clone(),
        }
    }

    /// Writes what waits, and takes nothing more. Returns when all of it is on disk or lost, or after so long
    /// at the most: a disk that hangs keeps nobody from ending.
    pub fn end(&self, at_most: Duration) {
        self.0.shared.queue.end();
        if !self.0.shared.queue.wait_for_end(at_most) {
            tracing::warn!("the last lines of the audit may not be on disk");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // The thread goes on until it has written what it has.
        self.shared.queue.end();
    }
}

impl Shared {
    fn put(&self, entry: AuditEntry) {
        if !self.queue.push(entry) {
            self.lose(1);
        }
    }

    fn lose(&self, lines: u64) {
        self.lost.fetch_add(lines, Relaxed);
        self.untold.fetch_add(lines, Relaxed);
    }

    /// What the thread does.
    fn write(&self, mut writer: Writer<impl Append>) {
        let opened = writer.open();
        self.note(opened.err());
        self.measure(&writer);
        loop {
            let now = Instant::now();
            let again = (self.untold.load(Relaxed) > 0).then_some(TRY_AGAIN_AFTER);
            let due = [writer.sync_due(now), self.next_repeats(now), again];
            let mut taken = self.queue.take(due.into_iter().flatten().min());
            if !taken.entries.is_empty() && !taken.ending {
                self.queue.gather(GATHER);
                let more = self.queue.take(Some(Duration::ZERO));
                taken.entries.extend(more.entries);
                taken.ending = more.ending;
            }
            taken.entries.extend(match taken.ending {
                true => self.repeats().all(),
                false => self.repeats().over(Instant::now()),
            });
            self.write_and_count(&mut writer, taken.entries);
            let synced = match taken.ending {
                true => writer.sync_now(),
                false => writer.sync_what_is_due(Instant::now()),
            };
            if let Err(error) = synced {
                self.note(Some(error));
            }
            if taken.ending {
                break;
            }
        }
        self.queue.has_ended();
    }

    fn next_repeats(&self, now: Instant) -> Option<Duration> {
        self.repeats().next(now)
    }

    fn write_and_count(&self, writer: &mut Writer<impl Append>, mut entries: Vec<AuditEntry>) {
        let untold = self.untold.swap(0, Relaxed);
        if untold > 0 {
            entries.insert(0, missing(untold));
        }
        if entries.is_empty() {
            return;
        }
        let written = writer.write(&entries);
        let told = usize::from(untold > 0);
        if written.lines < told {
            self.untold.fetch_add(untold, Relaxed);
        } else if untold > 0 {
            tracing::warn!(lines = untold, "lines of the audit are lost; the audit says where");
        }
        let of_callers = written.lines.saturating_sub(told);
        self.written.fetch_add(of_callers as u64, Relaxed);
        self.lose((entries.len() - told - of_callers) as u64);
        self.note(written.error);
        self.measure(writer);
    }

    /// Notes how the last attempt went; the log has it when that changes.
    fn note(&self, error: Option<io::Error>) {
        let problem = error.map(|error| error.to_string());
        let before = std::mem::replace(&mut *self.problem(), problem.clone());
        // Not under the lock: a log whose reader is stuck must not hold up a diagnosis.
        match (before, problem) {
            (None, Some(error)) => tracing::error!(
                error,
                "the audit cannot be written: what is done goes on, and the lines that are lost are counted"
            ),
            (Some(_), None) => tracing::info!("the audit can be written again"),
            _ => {}
        }
    }

    fn measure(&self, writer: &Writer<impl Append>) {
        let (files, bytes) = writer.figures();
        self.torn.store(writer.torn, Relaxed);
        self.files.store(files, Relaxed);
        self.bytes.store(bytes, Relaxed);
    }

    fn repeats(&self) -> MutexGuard<'_, Repeats> {
        // Whatever is counted there, no caller depends on it.
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn problem(&self) -> MutexGuard<'_, Option<String>> {
        // A text is whole after any panic.
        self.problem.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The line that says that lines are missing.
fn missing(lines: u64) -> AuditEntry {
    AuditEntry {
        caller: Some("innkeeper".into()),
        message: Some("so many lines before this one could not be written".into()),
        count: Some(lines),
        ..AuditEntry::new(Timestamp::now(), "audit", AuditOutcome::Lost)
    }
}

/// The entry with its texts cut: what waits is bounded, whatever callers send.
fn clipped(mut entry: AuditEntry) -> AuditEntry {
    clip(&mut entry.action);
    let AuditEntry { caller, address, request_id, subject, message, .. } = &mut entry;
    [caller, address, request_id, subject, message].into_iter().flatten().for_each(clip);
    entry
}

fn clip(text: &mut String) {
    if text.len() > MAX_TEXT {
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        text.push('…');
    }
}
