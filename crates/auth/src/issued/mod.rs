//! Tokens that were issued: made, found by what a caller shows, revoked.
//!
//! A token's text is told once, to whoever has it made. Its digest and what it stands for are on a list
//! ([`list`]) in the state folder.

mod entry;
mod list;
mod record;
#[cfg(test)]
mod tests;

pub use list::MAX_ISSUED;
pub use record::{CredentialState, NewToken, ShownCredential};

pub(crate) use entry::Kind;
pub(crate) use list::{IssuedList, NotIssued};
pub(crate) use record::{Stored, StoredCertificate, check};

use crate::{digest::Digest, list_file::ListError, principal::Principal, token};
use innkeeper_model::{Code, Refusal, Secret, Timestamp, TokenName};
use innkeeper_store::WriteFailed;
use std::{io, path::Path};

/// What the text of a token begins with, so that one in a file or a log is known for what it is.
const PREFIX: &str = "inn_";

/// The tokens that were issued.
#[derive(Debug)]
pub struct IssuedTokens(IssuedList);

impl IssuedTokens {
    /// The tokens in this file; none where it is not there yet.
    ///
    /// # Errors
    /// The file cannot be read, was damaged, or others could have written to it.
    pub fn open(path: &Path) -> Result<Self, ListError> {
        Ok(Self(IssuedList::open(Kind::Tokens, path)?))
    }

    /// Whether a text is to be looked for here rather than elsewhere.
    pub(crate) fn could_be(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Who shows this text now.
    pub(crate) fn find(&self, text: &str, now: Timestamp) -> Result<Principal, NotIssued> {
        if text.len() != PREFIX.len() + token::LENGTH {
            return Err(NotIssued::Unknown);
        }
        self.0.find(&Digest::of(text), now)
    }

    /// All of them, by name.
    pub fn all(&self, now: Timestamp) -> Vec<ShownCredential> {
        self.0.all(now).into_iter().map(ShownCredential::from).collect()
    }

    /// Makes a token, and says its text: this is the only time that anybody is told. It waits for the disk.
    ///
    /// # Errors
    /// A field has a value that is not allowed, there is one of this name, there are [`MAX_ISSUED`], or
    /// the disk fails; then there is no such token.
    pub fn create(
        &self,
        wanted: NewToken,
        by: &str,
        now: Timestamp,
    ) -> Result<(ShownCredential, Secret), Refusal> {
        let NewToken { name, role, project, expires, privileged } = wanted;
        check(role, project.as_ref(), expires, now)?;
        let text = format!("{PREFIX}{}", token::random_text().map_err(|error| no_text(&error))?);
        let stored = Stored {
            name,
            digest: Digest::of(&text),
            role,
            project,
            privileged,
            created: now,
            created_by: by.into(),
            expires,
            last_used: None,
            certificate: None,
        };
        self.0.add(stored.clone())?;
        Ok(((stored, CredentialState::Valid).into(), Secret::new(text)))
    }

    /// Takes a token off the list. It is refused from the call on, whatever the disk says; it waits for that.
    ///
    /// # Errors
    /// There is none of this name. Or the disk fails: the token is refused until the daemon ends, and
    /// revoking it again tries the disk again.
    pub fn revoke(&self, name: &TokenName, now: Timestamp) -> Result<ShownCredential, Refusal> {
        self.0.revoke(name, now).map(ShownCredential::from)
    }

    /// Writes down when tokens were last used, if any was since the last time.
    ///
    /// # Errors
    /// The disk fails; the next call tries again.
    pub fn save_uses(&self) -> Result<(), WriteFailed> {
        self.0.save_uses()
    }
}

fn no_text(error: &io::Error) -> Refusal {
    Refusal::new(Code::Internal, "this host has no random numbers").caused_by(error)
}
