//! Having the host write a file to its disk while somebody else still fills it, so that little is left
//! to wait for when it must be there.

use rustix::fd::{AsRawFd, OwnedFd};
use std::{thread, time::Duration};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How often what has come to the file is sent on to the disk.
const SEND_EVERY: Duration = Duration::from_millis(10);

/// Begins to write a file back, until the guard is dropped. Where the file system has no such thing,
/// nothing happens: a sync will have more to do.
pub(crate) fn write_back(file: OwnedFd) -> DropGuard {
    let over = CancellationToken::new();
    let guard = over.clone().drop_guard();
    tokio::task::spawn_blocking(move || {
        while !over.is_cancelled() && send(&file) {
            // It only evens out what a sync would do: nothing waits for this.
            thread::sleep(SEND_EVERY);
        }
    });
    guard
}

/// Begins to write all of a file that is not on the disk; says whether that can be done.
fn send(file: &OwnedFd) -> bool {
    // To the end of the file, wherever that is.
    const ALL: libc::off64_t = 0;
    // SAFETY: the descriptor is open for as long as the call; no memory is involved.
    let sent =
        unsafe { libc::sync_file_range(file.as_raw_fd(), 0, ALL, libc::SYNC_FILE_RANGE_WRITE) };
    sent == 0
}
