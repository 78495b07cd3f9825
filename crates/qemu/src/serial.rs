//! The last of what a guest wrote to its serial line.
//!
//! QEMU keeps 64 KiB in a ring, whoever listens or not; reading the ring empties it. What is read is
//! therefore kept in a file, bounded too, so that two readers see the same and a daemon that dies
//! loses nothing but what it had taken and not yet written.

use crate::run_folder::{LOG_SHOWN, read_tail};
use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Adds what was taken from the ring to the file, and shortens the file once it has grown to twice
/// what is ever shown.
///
/// # Errors
/// The host refused; nothing that was in the file is lost, and nothing of this is in it.
pub(crate) fn keep(path: &Path, taken: &[u8]) -> io::Result<()> {
    if taken.is_empty() {
        return Ok(());
    }
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600);
    let mut file = options.open(path)?;
    let before = file.metadata()?.len();
    let added = file.write_all(taken).and_then(|()| bound(path));
    if added.is_err() {
        // A part of it may fit, and all of it comes again. Where this fails, too, it is shown twice.
        let _ = file.set_len(before);
    }
    added
}

fn bound(path: &Path) -> io::Result<()> {
    if std::fs::metadata(path)?.len() > 2 * LOG_SHOWN {
        let tail = read_tail(path, LOG_SHOWN)?;
        let shorter = path.with_extension("shorter");
        // One that an earlier try left may be longer.
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(true).mode(0o600);
        options.open(&shorter)?.write_all(&tail)?;
        std::fs::rename(shorter, path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_could_not_be_bounded_was_not_added() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("serial.log");
        keep(&path, b"login: ").unwrap();
        // There is no room for the shorter file.
        std::fs::create_dir(path.with_extension("shorter")).unwrap();
        keep(&path, &vec![7; 3 * LOG_SHOWN as usize]).unwrap_err();
        assert_eq!(std::fs::read(&path).unwrap(), b"login: ");
    }

    #[test]
    fn the_file_keeps_the_end_and_stays_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("serial.log");
        for round in 0..50_u8 {
            keep(&path, &vec![round; 10_000]).unwrap();
            let kept = std::fs::metadata(&path).unwrap();
            assert!(kept.len() <= 2 * LOG_SHOWN);
            // What was typed into a guest may be in it.
            assert_eq!(kept.permissions().mode() & 0o777, 0o600);
        }
        let shown = read_tail(&path, LOG_SHOWN).unwrap();
        assert_eq!(shown.len() as u64, LOG_SHOWN);
        assert!(shown.ends_with(&[49; 10_000]));
    }
}
