//! Tokens of wallets that were taken back, kept over restarts until they would have expired.
//!
//! Taking one back waits for the disk: call it from a thread that may block.

use crate::{
    list_file::{self, ListError, Listed},
    wallet::{Revocation, Revocations},
};
use innkeeper_model::{Refusal, Timestamp};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// The tokens that were taken back, in memory and in a file.
#[derive(Debug)]
pub struct RevokedTokens {
    path: PathBuf,
    list: Arc<Revocations>,
    /// Held while the file is written, so that a later list never comes before an earlier one.
    writing: Mutex<()>,
}

impl RevokedTokens {
    /// Those in this file that would still count; none where it is not there yet.
    ///
    /// # Errors
    /// The file cannot be read, was damaged, or others could have written to it.
    pub fn open(path: &Path, now: Timestamp) -> Result<Self, ListError> {
        let list = Revocations::default();
        for revocation in list_file::read::<Revocation>(path, Listed::Revoked)? {
            list.revoke(revocation, now).map_err(|full| ListError::Damaged {
                path: path.into(),
                problem: full.to_string(),
            })?;
        }
        Ok(Self { path: path.into(), list: Arc::new(list), writing: Mutex::default() })
    }

    /// The list, for whoever verifies tokens.
    pub(crate) fn list(&self) -> Arc<Revocations> {
        Arc::clone(&self.list)
    }

    /// Takes a token back. It is refused from the call on, whatever the disk says.
    ///
    /// # Errors
    /// There are as many as may be, and the token counts. Or the disk fails: it is refused until the daemon
    /// ends, and taking it back again tries the disk again.
    pub(crate) fn revoke(&self, revocation: Revocation, now: Timestamp) -> Result<(), Refusal> {
        self.list.revoke(revocation, now).map_err(Refusal::from)?;
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        list_file::write(&self.path, Listed::Revoked, &self.list.all(now)).map_err(|failed| {
            Refusal::from(failed).with_hint("the token is refused until the daemon's next start")
        })
    }
}
