//! What a person wrote into a document's file and what was refused, kept in a file beside it.

use crate::harm;
use std::{
    io,
    path::{Path, PathBuf},
};

/// What the name of such a file ends with, as `patch` calls what it could not apply.
const EXTENSION: &str = ".json.rej";

/// Where what was refused of this document's file is kept.
pub(crate) fn beside(file: &Path) -> PathBuf {
    file.with_extension(EXTENSION.trim_start_matches('.'))
}

/// Whether a file of this name is such a one.
pub(crate) fn is_one(name: &str) -> bool {
    name.ends_with(EXTENSION)
}

/// Removes what is kept beside this file, if anything.
///
/// # Errors
/// The system's.
pub(crate) fn remove(file: &Path) -> io::Result<()> {
    match harm::remove_file(&beside(file)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
