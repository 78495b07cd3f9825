//! Which user ids the VMs of this daemon run as, where several daemons share a host.
//!
//! Each has a range of its own: guests of two daemons that had the same user could reach into each
//! other. What is taken is on record in one folder of the host, a file a range, named `FIRST-LAST`:
//! it says which state folder has the range, and that folder's daemon holds a lock on it while it
//! runs. Since guests outlive daemons and boots, the state folder remembers its range as well (in its
//! file `uids`) and keeps it; a record that its state folder does not confirm is stale, and removed.

use super::folder;
use crate::config::{MOST_UID, UidRange};
use innkeeper_model::{Code, Refusal};
use innkeeper_store::{harm, write_atomically};
use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock},
    io::Errno,
};
use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// How many ids a range has that nobody configured.
const BLOCK: u32 = 65_536;
/// The first of the first of those: above what distributions, containers and directory services give
/// out.
const FIRST: u32 = 2_000_000_000;

/// The file of a state folder that remembers its range.
const REMEMBERED: &str = "uids";
/// The most that is read of it: two ids and a hyphen take 21 bytes.
const MAX_REMEMBERED: u64 = 64;
/// Held while somebody looks and chooses.
const LOCK: &str = "lock";

/// How long another daemon may take to choose, and a process that a killed daemon was starting to let
/// go of what it inherited; both take microseconds, on a host that has them.
const LOCKED_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// Where a host's daemons say which user ids they have.
#[derive(Debug)]
pub(super) struct Registry {
    /// The folder of the records.
    pub(super) folder: PathBuf,
    /// The state folder of the host's own daemon. Its range is not given away when it has not been
    /// started since the boot.
    pub(super) system_state: PathBuf,
}

/// A range of user ids that no other daemon gives its VMs, until this is dropped or the process ends
/// in any way.
#[derive(Debug)]
#[must_use = "another daemon may take the range as soon as this is dropped"]
pub(super) struct Claim {
    pub(super) range: UidRange,
    _held: File,
}

/// Who wants a range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claimant<'a> {
    /// Its state folder, which it has locked.
    pub(super) state_dir: &'a Path,
    /// Whether there are VMs in it, which have users of the range that it had.
    pub(super) has_vms: bool,
    /// The range that its operator wants.
    pub(super) configured: Option<&'a UidRange>,
}

/// One record.
#[derive(Debug)]
struct Record {
    range: UidRange,
    /// The state folder that has the range.
    state_dir: PathBuf,
    /// Whether its daemon runs.
    held: bool,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            folder: "/run/innkeeper-uids".into(),
            system_state: Path::new("/var/lib").join("innkeeper"),
        }
    }
}

impl Registry {
    /// Takes a range: the configured one; else the one that the state folder had; else the first that
    /// nobody has. Blocks while another daemon does the same.
    ///
    /// # Errors
    /// The configured range overlaps a running daemon's; VMs have users that would not be in the
    /// range, or that a running daemon has; the host refused.
    pub(super) fn claim(&self, claimant: Claimant<'_>) -> Result<Claim, Refusal> {
        folder::make(&self.folder, 0o700)?;
        self.claim_in_turn(claimant).map_err(|refused| match refused {
            Refused::ByUs(refusal) => refusal,
            Refused::ByHost(error) => {
                let message = format!("cannot take user ids for VMs in {}", self.folder.display());
                Refusal::new(Code::Internal, message).caused_by(&error)
            }
        })
    }

    fn claim_in_turn(&self, claimant: Claimant<'_>) -> Result<Claim, Refused> {
        let _turn = open_locked(&self.folder.join(LOCK))?;
        let state_dir = claimant.state_dir.canonicalize()?;
        let mut others = self.records()?;
        let (own, stale) = sweep(&mut others, &state_dir);
        let had = remembered(&state_dir);
        let range = choose(claimant, had.as_ref(), &others)?;
        if had.as_ref() != Some(&range) {
            let text = format!("{range}\n");
            write_atomically(&state_dir.join(REMEMBERED), text.as_bytes(), 0o600)
                .map_err(Refusal::from)?;
        }
        let mut held = open_locked(&self.file(&range))?;
        held.set_len(0)?;
        held.write_all(state_dir.as_os_str().as_bytes())?;
        for old in own.iter().chain(&stale).filter(|old| **old != range) {
            harm::remove_file(&self.file(old))?;
        }
        Ok(Claim { range, _held: held })
    }

    fn file(&self, range: &UidRange) -> PathBuf {
        self.folder.join(range.to_string())
    }

    fn records(&self) -> io::Result<Vec<Record>> {
        let mut records = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(range) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            records.push(Record::read(range, &entry.path())?);
        }
        if let Some(range) = remembered(&self.system_state) {
            let state_dir = self.system_state.clone();
            records.push(Record { range, state_dir, held: false });
        }
        Ok(records)
    }
}

/// Why there is no claim.
enum Refused {
    ByUs(Refusal),
    ByHost(io::Error),
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::ByUs(refusal)
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::ByHost(error)
    }
}

impl Record {
    fn read(range: UidRange, path: &Path) -> io::Result<Self> {
        let mut file = open(path, OFlags::RDONLY)?;
        let held = match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => false,
            Err(Errno::WOULDBLOCK) => true,
            Err(errno) => return Err(errno.into()),
        };
        let mut folder = Vec::new();
        file.read_to_end(&mut folder)?;
        Ok(Self { range, state_dir: OsStr::from_bytes(&folder).into(), held })
    }
}

/// Takes out the records of this state folder, whose lock its daemon has, and those that count no
/// more; returns the ranges of both.
fn sweep(records: &mut Vec<Record>, state_dir: &Path) -> (Vec<UidRange>, Vec<UidRange>) {
    let take = |records: &mut Vec<Record>, unwanted: &dyn Fn(&Record) -> bool| {
        let taken = records.extract_if(.., |record| unwanted(record));
        taken.map(|record| record.range).collect()
    };
    let own = take(records, &|record| record.state_dir == state_dir);
    let stale = take(records, &|record| {
        !record.held && remembered(&record.state_dir).as_ref() != Some(&record.range)
    });
    (own, stale)
}

/// The range to take, of which this state folder had `had`, and `others` others.
fn choose(
    claimant: Claimant<'_>,
    had: Option<&UidRange>,
    others: &[Record],
) -> Result<UidRange, Refusal> {
    let Claimant { has_vms, configured, .. } = claimant;
    if let (Some(wanted), Some(had)) = (configured, had)
        && has_vms
        && !(wanted.0.contains(had.0.start()) && wanted.0.contains(had.0.end()))
    {
        let problem = format!("leaves out users of VMs that are there: they have {had}");
        return Err(Refusal::invalid("qemu.vm_uids", wanted, problem)
            .with_hint(format!("set it to {had}, or to a range with that in it")));
    }
    if let Some(range) = configured.or(had) {
        let runs = |other: &&Record| other.held && overlap(&other.range, range);
        match others.iter().find(runs) {
            None => return Ok(range.clone()),
            Some(other) if configured.is_some() || has_vms => {
                return Err(taken(range, other, configured.is_some()));
            }
            // No VM has a user of it.
            Some(_) => {}
        }
    }
    let free = |block: &UidRange| !others.iter().any(|other| overlap(&other.range, block));
    blocks().find(free).ok_or_else(|| {
        let message = format!("no {BLOCK} user ids from {FIRST} to {MOST_UID} are free for VMs");
        Refusal::new(Code::OutOfCapacity, message)
            .with_hint("set qemu.vm_uids to a range of other ids")
    })
}

fn taken(range: &UidRange, other: &Record, configured: bool) -> Refusal {
    let Record { range: theirs, state_dir, .. } = other;
    let folder = state_dir.display();
    let message = format!(
        "the user ids {range} for VMs overlap {theirs}, which the daemon of {folder} gives its own"
    );
    let stop = format!("stop the daemon of {folder}");
    Refusal::new(Code::InUse, message).with_hint(if configured {
        format!("set qemu.vm_uids to a range apart from {theirs}, or {stop}")
    } else {
        stop
    })
}

fn overlap(one: &UidRange, other: &UidRange) -> bool {
    one.0.start() <= other.0.end() && other.0.start() <= one.0.end()
}

/// The ranges that are taken where none is configured.
fn blocks() -> impl Iterator<Item = UidRange> {
    let firsts = (FIRST..=MOST_UID - (BLOCK - 1)).step_by(BLOCK as usize);
    firsts.map(|first| UidRange(first..=first + (BLOCK - 1)))
}

/// The range that a state folder says it has. Anything may be in the place of one that is gone.
fn remembered(state_dir: &Path) -> Option<UidRange> {
    let file = open(&state_dir.join(REMEMBERED), OFlags::RDONLY | OFlags::NONBLOCK).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    file.take(MAX_REMEMBERED).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?.into())
}

/// Opens the file, made if it is not there, and waits for its lock, which ends when it is closed.
fn open_locked(path: &Path) -> io::Result<File> {
    let file = open(path, OFlags::RDWR | OFlags::CREATE)?;
    let begun = Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK) if begun.elapsed() < LOCKED_WITHIN => {}
            Err(Errno::WOULDBLOCK) => {
                let message = format!("{} is locked by another process", path.display());
                return Err(io::Error::new(io::ErrorKind::WouldBlock, message));
            }
            Err(errno) => return Err(errno.into()),
        }
        thread::sleep(LOOK_AGAIN_AFTER);
    }
}

#[cfg(test)]
#[path = "uids_tests.rs"]
mod tests;
