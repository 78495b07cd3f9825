//! Having what was written to a new file be on the disk.

use crate::cancel;
use innkeeper_model::Refusal;
use rustix::fd::{AsFd, AsRawFd};
use std::{fs::File, io};
use tokio_util::sync::CancellationToken;

/// How much is waited for at once: a second's work for a slow disk.
const STRETCH: u64 = 16 << 20;

/// Waits until a new file is on the disk. A sync of gigabytes takes as long as their copy did, and has no
/// way to be ended; so it is left little to do, and a cancel is looked for on the way there. Blocks.
///
/// # Errors
/// Cancelled; the system's.
pub fn settle(file: &File, cancel: &CancellationToken) -> Result<(), Refusal> {
    let length = file.metadata()?.len();
    let mut at = 0;
    while at < length {
        cancel::check(cancel)?;
        // The disk has the next stretch to go on with while this one is waited for.
        let begun = write_out(file, at + STRETCH, STRETCH, false);
        match begun.and_then(|()| write_out(file, at, STRETCH, true)) {
            Ok(()) => at += STRETCH,
            // A file system that does not know stretches.
            Err(error) if has_none(&error) => break,
            // It is told once: a sync would not repeat it.
            Err(error) => return Err(error.into()),
        }
    }
    cancel::check(cancel)?;
    Ok(file.sync_all()?)
}

fn has_none(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL | libc::EOPNOTSUPP))
}

/// Has the host begin to write so many bytes of a file to its disk, from this one on; none is all of them.
/// Where it is to `wait`, they are written when this returns, but for what is needed to find them again.
///
/// # Errors
/// The file system cannot; or it could not write them, which is told of them this once.
pub fn write_out(file: impl AsFd, at: u64, bytes: u64, wait: bool) -> io::Result<()> {
    let flags = match wait {
        false => libc::SYNC_FILE_RANGE_WRITE,
        true => {
            libc::SYNC_FILE_RANGE_WAIT_BEFORE
                | libc::SYNC_FILE_RANGE_WRITE
                | libc::SYNC_FILE_RANGE_WAIT_AFTER
        }
    };
    let (at, bytes) = (at.cast_signed(), bytes.cast_signed());
    // SAFETY: the descriptor is open for as long as the call; no memory is involved.
    match unsafe { libc::sync_file_range(file.as_fd().as_raw_fd(), at, bytes, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use innkeeper_model::Code;
    use std::os::unix::fs::FileExt;

    #[test]
    fn what_has_settled_is_whole_and_a_cancel_is_looked_for_first() {
        let file = tempfile::tempfile().unwrap();
        let end = 3 * STRETCH + 5;
        file.write_all_at(b"end", end).unwrap();
        settle(&file, &CancellationToken::new()).unwrap();
        let mut found = [0; 3];
        file.read_exact_at(&mut found, end).unwrap();
        assert_eq!(&found, b"end");

        let cancel = CancellationToken::new();
        cancel.cancel();
        assert_eq!(settle(&file, &cancel).unwrap_err().code, Code::Cancelled);
    }

    #[test]
    fn a_file_that_knows_no_stretches_is_told_from_one_that_could_not_be_written() {
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        let error = write_out(&reader, 0, 0, true).unwrap_err();
        assert!(!has_none(&error), "{error}");
        assert!(has_none(&io::Error::from_raw_os_error(libc::EINVAL)));
        assert!(!has_none(&io::Error::from_raw_os_error(libc::EIO)));
    }
}
