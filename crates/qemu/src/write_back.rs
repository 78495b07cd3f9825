//! Having the host write a file to its disk while somebody else still fills it, so that little is left
//! to wait for when it must be there.

use innkeeper_storage::write_out;
use rustix::fd::OwnedFd;
use std::{thread, time::Duration};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How often what has come to the file is sent on to the disk.
const SEND_EVERY: Duration = Duration::from_millis(10);

/// To the end of the file, wherever that is.
const TO_ITS_END: u64 = 0;

/// Begins to write a file back, until the guard is dropped. Where the file system has no such thing,
/// nothing happens: a sync will have more to do.
pub(crate) fn write_back(file: OwnedFd) -> DropGuard {
    let over = CancellationToken::new();
    let guard = over.clone().drop_guard();
    tokio::task::spawn_blocking(move || {
        while !over.is_cancelled() && write_out(&file, 0, TO_ITS_END, false).is_ok() {
            // It only evens out what a sync would do: nothing waits for this.
            thread::sleep(SEND_EVERY);
        }
    });
    guard
}
