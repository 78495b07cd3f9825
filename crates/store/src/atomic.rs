//! Replacing a file in one step.

use crate::harm;
use innkeeper_model::Refusal;
use rustix::fs::{Mode, OFlags};
use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// What the name of a file that is still being written starts with.
const TEMPORARY_PREFIX: &str = ".tmp-";

/// A file was not written; what was there before is untouched.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}")]
pub struct WriteFailed {
    /// The file that was to be replaced.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

impl From<WriteFailed> for Refusal {
    fn from(failed: WriteFailed) -> Self {
        let message = failed.to_string();
        let mut refusal = Self::from(failed.source);
        refusal.message = format!("{message}: {}", refusal.message);
        refusal
    }
}

/// Replaces `path` with a file of these bytes and these permission bits (such as `0o600`), in one
/// step: after a crash at any moment there is the old file or the new one, and once this has
/// returned there is the new one. It waits for the disk twice, for the bytes and for the name.
///
/// # Errors
/// [`WriteFailed`]; the old file is then still there, and no other. A full disk becomes
/// [`Code::OutOfSpace`](innkeeper_model::Code::OutOfSpace).
pub fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> Result<(), WriteFailed> {
    let failed = |source| WriteFailed { path: path.into(), source };
    let folder = folder_of(path).map_err(failed)?;
    let temporary = folder.join(temporary_name());
    let written = write_new(&temporary, bytes, mode)
        .and_then(|()| std::fs::rename(&temporary, path))
        .inspect_err(|_| drop(harm::remove_file(&temporary)));
    written.and_then(|()| sync_folder(folder)).map_err(failed)
}

/// Waits until the names in a folder (files made, renamed, removed) are on the disk.
///
/// # Errors
/// Any of the system's.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Whether this is the name of a file that is still being written, or that a crash left so. Whoever
/// owns the folder removes what has such a name when it opens the folder, before anything is written.
/// No name that Innkeeper gives a finished file is one of these.
pub fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY_PREFIX)
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    write_unsynced(path, bytes, mode)?.sync_data()
}

/// Writes a file that is not there yet, without waiting for the disk.
pub(crate) fn write_unsynced(path: &Path, bytes: &[u8], mode: u32) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mode = Mode::from_raw_mode(mode);
    let mut file = File::from(rustix::fs::open(path, flags, mode)?);
    // The process's umask has its say at open; the caller's mode is what is wanted.
    rustix::fs::fchmod(&file, mode)?;
    file.write_all(bytes)?;
    Ok(file)
}

fn folder_of(path: &Path) -> io::Result<&Path> {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Ok(Path::new(".")),
        Some(folder) => Ok(folder),
        None => Err(io::Error::from(io::ErrorKind::IsADirectory)),
    }
}

/// A name for a file that is still being written. Nothing else in this process uses it now, and no
/// earlier process's leftover has it unless it had the same pid; `O_EXCL` catches that.
pub(crate) fn temporary_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    format!("{TEMPORARY_PREFIX}{}-{now:x}-{count}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use innkeeper_model::Code;
    use std::os::unix::fs::PermissionsExt;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_made_and_replaced_with_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_atomically(&path, b"one", 0o600).unwrap();
        write_atomically(&path, b"two", 0o666).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o666, "{mode:o}");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_failure_keeps_what_was_there_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        // A file cannot be renamed over a folder that is not empty.
        let path = folder.path().join("taken");
        std::fs::create_dir_all(path.join("inside")).unwrap();
        assert!(write_atomically(&path, b"bytes", 0o600).is_err());
        assert_eq!(names(folder.path()), ["taken"]);
    }

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        std::fs::write(&target, "kept").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write_atomically(&link, b"new", 0o600).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"kept");
        assert!(link.symlink_metadata().unwrap().is_file());
    }

    #[test]
    fn a_full_disk_is_called_so() {
        let failed =
            WriteFailed { path: "/pool/x".into(), source: rustix::io::Errno::NOSPC.into() };
        let refusal = Refusal::from(failed);
        assert_eq!(refusal.code, Code::OutOfSpace);
        assert!(refusal.message.contains("/pool/x"), "{}", refusal.message);
    }
}
