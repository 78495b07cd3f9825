//! Everything that is removed from a host or signalled, on record.
//!
//! Whoever runs somebody else's machines beside Innkeeper's must be able to prove that theirs were not
//! touched. So every unlink and every signal is a line in the log, of the target `innkeeper::harm`;
//! what is not there was not done. Removals are here, signals in `signals`, and the children that are
//! not to outlive whoever waits for them in `helper`. Nothing else in a daemon's code may do either
//! (`clippy.toml`, and each crate's first page).

#![expect(clippy::disallowed_methods, reason = "what is done here is on record")]

mod helper;
mod signals;

pub use helper::Helper;
pub use signals::{signal, signal_group};

use std::{fs, io, path::Path};
use tracing::info;

/// Removes a file, on record.
///
/// # Errors
/// The system's.
pub fn remove_file(path: &Path) -> io::Result<()> {
    recorded(path, "file", fs::remove_file(path))
}

/// Removes an empty folder, on record.
///
/// # Errors
/// The system's.
pub fn remove_dir(path: &Path) -> io::Result<()> {
    recorded(path, "folder", fs::remove_dir(path))
}

/// Removes a folder and all that is in it, on record by its name.
///
/// # Errors
/// The system's; some of it may be gone.
pub fn remove_dir_all(path: &Path) -> io::Result<()> {
    recorded(path, "tree", fs::remove_dir_all(path))
}

/// What was not there was not removed.
fn recorded(path: &Path, what: &str, outcome: io::Result<()>) -> io::Result<()> {
    match &outcome {
        Ok(()) => info!(target: "innkeeper::harm", path = %path.display(), what, "removed"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            info!(target: "innkeeper::harm", path = %path.display(), what, %error, "not removed");
        }
    }
    outcome
}
