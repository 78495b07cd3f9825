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
/// The host refused; nothing that was in the file is lost.
pub(crate) fn keep(path: &Path, taken: &[u8]) -> io::Result<()> {
    if taken.is_empty() {
        return Ok(());
    }
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600);
    let mut file = options.open(path)?;
    file.write_all(taken)?;
    if file.metadata()?.len() > 2 * LOG_SHOWN {
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
