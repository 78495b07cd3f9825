//! Opening a file by the path that a plan names.

use crate::{
    confine::{Access, ConfinedFile},
    storage::Storage,
};
use innkeeper_model::Refusal;
use std::{os::fd::OwnedFd, path::Path};

impl Storage {
    /// Opens a file of the pool, or one in a folder that the operator allowed; nothing else, whatever
    /// the path says by the time it is opened.
    ///
    /// # Errors
    /// It is neither, leads out of its folder, or cannot be opened.
    pub fn open_file(&self, path: &Path, access: Access) -> Result<OwnedFd, Refusal> {
        let pool = &self.shared.pool.folder;
        let file = match path.strip_prefix(pool) {
            Ok(relative) => ConfinedFile::in_pool(pool, relative),
            Err(_) => self.shared.allowed.file(path).map_err(|bad| bad.at("path"))?,
        };
        file.open(access).map_err(|bad| bad.at("path"))
    }
}
