//! The file that a world outlives its process by.
//!
//! One line a change, appended before the change takes effect and not synced: it survives a process
//! that is killed, not a host that loses power, and neither do processes. What a killed process had
//! half written at the end is not read. The file is written anew once it has grown to several times
//! what it would be.
//!
//! A disk that is full stops nobody's machines: what cannot be written goes unwritten, and from then
//! on the whole is tried again, at most once a second, until it can be.

use crate::{change::Entry, clock::Moment, host::Host};
use innkeeper_store::harm;
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tracing::{info, warn};

const LOG: &str = "world.log";
const NEW: &str = "world.new";
const LOCK: &str = "world.lock";

/// A file that is shorter is not written anew, in bytes.
const SHORT: u64 = 4 << 20;
/// How many times as long as when it was last written anew a file may become.
const GROWS_BY: u64 = 4;
/// How long after a failure the next attempt is made.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long the lock of a process that was killed may take to go away.
const LOCKED_FOR: Duration = Duration::from_secs(2);

/// One line.
type Line = (Moment, Entry);

/// The open file.
#[derive(Debug)]
pub(crate) struct Ledger {
    folder: PathBuf,
    log: File,
    /// Held as long as this is.
    _lock: File,
    length: u64,
    length_when_new: u64,
    /// What is in memory is not in the file; when to try again.
    behind: Option<Instant>,
    line: Vec<u8>,
}

impl Ledger {
    /// Opens the file in this folder, which is made if it is not there, and makes the host that it
    /// tells of. Also returns the last moment in it.
    ///
    /// # Errors
    /// The host refused, another process has the world, or the file is damaged.
    pub(crate) fn open(folder: &Path) -> io::Result<(Self, Host, Moment)> {
        fs::create_dir_all(folder)?;
        let lock = lock(&folder.join(LOCK))?;
        let path = folder.join(LOG);
        let log =
            OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(&path)?;
        let text = fs::read(&path)?;
        let (mut host, mut last) = (Host::default(), Moment::MIN);
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let lines = text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        for (number, line) in lines.enumerate() {
            let (at, entry): Line = serde_json::from_slice(line).map_err(|error| {
                let message =
                    format!("{} is damaged in line {}: {error}", path.display(), number + 1);
                io::Error::new(io::ErrorKind::InvalidData, message)
            })?;
            host.apply(at, entry);
            last = last.max(at);
        }
        let length = whole as u64;
        log.set_len(length)?;
        let ledger = Self {
            folder: folder.into(),
            log,
            _lock: lock,
            length,
            length_when_new: length,
            behind: None,
            line: Vec::new(),
        };
        Ok((ledger, host, last))
    }

    /// Whether all that happened is in the file.
    pub(crate) const fn is_complete(&self) -> bool {
        self.behind.is_none()
    }

    /// Writes down what is about to happen to a host.
    pub(crate) fn note(&mut self, at: Moment, entry: &Entry, before: &Host) {
        let too_long = self.length > SHORT.max(GROWS_BY * self.length_when_new);
        let again = self.behind.is_some_and(|again| Instant::now() >= again);
        if too_long || again {
            self.write_anew(at, before);
        }
        if self.behind.is_none()
            && let Err(error) = self.append(at, entry)
        {
            warn!(%error, "the simulated world cannot be written down; it goes on in memory");
            self.behind = Some(Instant::now() + AGAIN_AFTER);
        }
    }

    fn append(&mut self, at: Moment, entry: &Entry) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, &(at, entry))?;
        self.line.push(b'\n');
        // Half a line is the last one in the file, since nothing is added to it before it is written
        // anew; whoever reads it leaves that out.
        self.log.write_all(&self.line)?;
        self.length += self.line.len() as u64;
        Ok(())
    }

    fn write_anew(&mut self, at: Moment, host: &Host) {
        match self.try_write_anew(at, host) {
            Ok(()) => {
                if self.behind.take().is_some() {
                    info!("the simulated world is written down again");
                }
            }
            Err(error) => {
                let _ = harm::remove_file(&self.folder.join(NEW));
                warn!(%error, "the simulated world cannot be written anew");
                // A file that is only too long is still complete, and goes on being appended to.
                self.length_when_new = self.length_when_new.max(self.length / 2);
                self.behind = self.behind.map(|_| Instant::now() + AGAIN_AFTER);
            }
        }
    }

    fn try_write_anew(&mut self, at: Moment, host: &Host) -> io::Result<()> {
        let new = self.folder.join(NEW);
        let _ = harm::remove_file(&new);
        let file = OpenOptions::new().create_new(true).append(true).mode(0o600).open(&new)?;
        let mut writer = BufWriter::with_capacity(1 << 20, file);
        for entry in host.entries() {
            serde_json::to_writer(&mut writer, &(at, entry))?;
            writer.write_all(b"\n")?;
        }
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        let length = file.metadata()?.len();
        fs::rename(&new, self.folder.join(LOG))?;
        (self.log, self.length, self.length_when_new) = (file, length, length);
        Ok(())
    }
}

fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let deadline = Instant::now() + LOCKED_FOR;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => {
                let message =
                    format!("another process has the world: {} is locked", path.display());
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, message));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}
