//! How many guests run at once, in all tests of this checkout together: emulated guests that share a
//! core boot slowly enough to look like broken ones.

use super::wait::until;
use std::{
    fs::{File, TryLockError},
    num::NonZero,
    path::Path,
    thread::available_parallelism,
    time::Duration,
};

/// Long enough for all tests before this one to end.
const TURN: Duration = Duration::from_secs(900);

/// Leave to run guests, until dropped. A lock on files, so that it also counts other processes.
#[derive(Debug)]
pub(crate) struct GuestSlots {
    _locked: Vec<File>,
}

impl GuestSlots {
    /// Leave to run one guest at a time.
    pub(crate) fn one() -> Self {
        let files = files();
        let take = || files.iter().find(|file| take(file)).ok_or("all are taken");
        let taken = until("a slot for a guest", TURN, take);
        Self { _locked: vec![taken.try_clone().unwrap()] }
    }

    /// Leave to run guests while no other test runs one, for tests that measure time.
    pub(crate) fn all() -> Self {
        let files = files();
        // In one order, so that two who want all do not wait for each other for ever.
        for file in &files {
            let take = || take(file).then_some(()).ok_or("it is taken");
            until("a slot for a guest", TURN, take);
        }
        Self { _locked: files }
    }
}

fn files() -> Vec<File> {
    let count = available_parallelism().map_or(2, NonZero::get).max(2);
    let file = |slot| Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("guest-slot-{slot}"));
    let open = |slot| File::options().create(true).append(true).open(file(slot)).unwrap();
    (0..count).map(open).collect()
}

fn take(file: &File) -> bool {
    match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(error)) => panic!("cannot lock a slot: {error}"),
    }
}
