//! Lines into files: appended, never changed; a file that is full makes way for the next.

use super::{
    batch::Batch,
    place::{numbers, path},
};
use crate::harm;
use innkeeper_model::AuditEntry;
use rustix::fs::{Mode, OFlags};
use std::{
    fs::{DirBuilder, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long after it was written a line may not be on disk yet.
const SYNC_AFTER: Duration = Duration::from_secs(1);

/// How bytes get to a file's end, so that tests can have a disk that is full.
pub(super) trait Append: Send + 'static {
    /// Appends these bytes, or the first of them, and says how many.
    fn append(&mut self, file: &File, bytes: &[u8]) -> io::Result<usize>;
}

/// The file system's way.
#[derive(Debug)]
pub(super) struct Plainly;

impl Append for Plainly {
    fn append(&mut self, mut file: &File, bytes: &[u8]) -> io::Result<usize> {
        file.write(bytes)
    }
}

/// Writes the audit's files.
#[derive(Debug)]
pub(super) struct Writer<A> {
    folder: PathBuf,
    max_size: u64,
    max_files: usize,
    append: A,
    open: Option<Open>,
    unsynced_since: Option<Instant>,
    /// Lines that were found cut short.
    pub(super) torn: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    number: u64,
    size: u64,
    within_a_line: bool,
}

/// What came of a write.
#[derive(Debug)]
pub(super) struct Written {
    /// How many of the lines are in a file, whole; they are the first.
    pub(super) lines: usize,
    /// Why the others are not.
    pub(super) error: Option<io::Error>,
}

impl<A: Append> Writer<A> {
    pub(super) fn new(folder: PathBuf, max_size: u64, max_files: usize, append: A) -> Self {
        let (open, unsynced_since) = (None, None);
        Self { folder, max_size, max_files, append, open, unsynced_since, torn: 0 }
    }

    /// Opens the newest file, or makes the first.
    pub(super) fn open(&mut self) -> io::Result<()> {
        if self.open.is_some() {
            return Ok(());
        }
        make_folder(&self.folder)?;
        let number = numbers(&self.folder)?.last().copied().unwrap_or(1);
        let open = Open::at(&self.folder, number)?;
        self.torn += u64::from(open.within_a_line);
        self.open = Some(open);
        Ok(())
    }

    /// Writes lines, as many as can be.
    pub(super) fn write(&mut self, entries: &[AuditEntry]) -> Written {
        let batch = Batch::of(entries);
        let mut done = 0;
        let mut error = None;
        while done < batch.len() && error.is_none() {
            error = self.write_some(&batch, &mut done).err();
        }
        if done > 0 {
            self.unsynced_since.get_or_insert_with(Instant::now);
        }
        Written { lines: batch.lines_within(done), error }
    }

    /// Writes what the file that is open has room for, or begins another.
    fn write_some(&mut self, batch: &Batch, done: &mut usize) -> io::Result<()> {
        self.open()?;
        if self.open.as_ref().is_some_and(|open| open.size >= self.max_size) {
            self.rotate()?;
        }
        let Self { open: Some(open), append, max_size, .. } = self else { return Ok(()) };
        if open.within_a_line {
            append.append(&open.file, b"\n")?;
            open.size += 1;
            open.within_a_line = false;
        }
        let mut left = batch.fitting(*done, max_size.saturating_sub(open.size));
        while !left.is_empty() {
            let appended = match append.append(&open.file, left) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                other => other,
            };
            *done += appended.as_ref().copied().unwrap_or(0);
            open.within_a_line = batch.is_within_a_line(*done);
            let appended = appended?;
            open.size += appended as u64;
            left = &left[appended..];
        }
        // What did not fit goes into the next.
        if *done < batch.len() {
            open.size = open.size.max(self.max_size);
        }
        Ok(())
    }

    /// Begins the next file, and lets the oldest go.
    fn rotate(&mut self) -> io::Result<()> {
        self.sync_now()?;
        let number = self.open.as_ref().map_or(1, |open| open.number + 1);
        self.open = Some(Open::at(&self.folder, number)?);
        let numbers = numbers(&self.folder)?;
        for oldest in numbers.iter().take(numbers.len().saturating_sub(self.max_files)) {
            match harm::remove_file(&path(&self.folder, *oldest)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// How long it is until something is to be synced; `None` where nothing is.
    pub(super) fn sync_due(&self, now: Instant) -> Option<Duration> {
        Some((self.unsynced_since? + SYNC_AFTER).saturating_duration_since(now))
    }

    /// Syncs what is due by now. A file that somebody has taken away is not written to any more.
    pub(super) fn sync_what_is_due(&mut self, now: Instant) -> io::Result<()> {
        match self.sync_due(now) {
            Some(left) if left.is_zero() => self.sync_now(),
            _ => Ok(()),
        }
    }

    /// Syncs everything.
    pub(super) fn sync_now(&mut self) -> io::Result<()> {
        if self.unsynced_since.take().is_none() {
            return Ok(());
        }
        let Some(open) = &self.open else { return Ok(()) };
        open.file.sync_data()?;
        if open.file.metadata()?.nlink() == 0 {
            self.open = None;
        }
        Ok(())
    }

    /// How many files there are, and their bytes.
    pub(super) fn figures(&self) -> (u64, u64) {
        let numbers = numbers(&self.folder).unwrap_or_default();
        let size =
            |number: &u64| path(&self.folder, *number).metadata().map_or(0, |file| file.len());
        (numbers.len() as u64, numbers.iter().map(size).sum())
    }
}

impl Open {
    fn at(folder: &Path, number: u64) -> io::Result<Self> {
        let flags = OFlags::RDWR
            | OFlags::APPEND
            | OFlags::CREATE
            | OFlags::CLOEXEC
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK;
        let mode = Mode::from_raw_mode(0o600);
        let file = File::from(rustix::fs::open(path(folder, number), flags, mode)?);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        // Whatever it was, or the process's umask had a say.
        rustix::fs::fchmod(&file, mode)?;
        let size = metadata.len();
        let mut last = *b"\n";
        if size > 0 {
            file.read_exact_at(&mut last, size - 1)?;
        }
        Ok(Self { file, number, size, within_a_line: last != *b"\n" })
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}
