//! One credential in memory: whether what is shown counts, and when it was shown last.

use super::record::{CredentialState, Former, Stored};
use crate::{
    digest::Digest,
    identity::Identity,
    list_file::Listed,
    principal::{Class, Principal, Scope},
    standing::{Revocable, Standing},
};
use innkeeper_model::{Timestamp, TokenName};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

/// What is issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Tokens.
    Tokens,
    /// Client certificates.
    Certificates,
}

impl Kind {
    /// What their list is one of.
    pub(super) const fn listed(self) -> Listed {
        match self {
            Self::Tokens => Listed::Tokens,
            Self::Certificates => Listed::Certificates,
        }
    }

    /// Whether what was stored is one of them.
    pub(super) const fn has(self, stored: &Stored) -> bool {
        stored.certificate.is_some() == matches!(self, Self::Certificates)
    }

    /// One of them, in words.
    pub(crate) const fn one(self) -> &'static str {
        match self {
            Self::Tokens => "token",
            Self::Certificates => "certificate",
        }
    }

    fn identity(self, name: &TokenName) -> Identity {
        let name = name.as_str().into();
        match self {
            Self::Tokens => Identity::Issued { name },
            Self::Certificates => Identity::Certificate { name },
        }
    }
}

/// One credential.
#[derive(Debug)]
pub(super) struct Issued {
    /// As it was stored; when it was used then is not when it was used last.
    pub(super) stored: Stored,
    pub(super) principal: Principal,
    /// The second of its last use, since 1970; `NEVER` if there was none.
    pub(super) last_used: AtomicI64,
    /// Whether it was revoked; what it was before a renewal is revoked with it.
    pub(super) revoked: Arc<AtomicBool>,
    /// Whether what it was before its renewal is over, since what it is now was shown.
    former_is_over: AtomicBool,
}

const NEVER: i64 = i64::MIN;

impl Issued {
    pub(super) fn new(kind: Kind, stored: Stored) -> Self {
        let principal = Principal {
            identity: kind.identity(&stored.name),
            role: stored.role,
            scope: stored.project.clone().map_or(Scope::Everything, Scope::Project),
            class: if stored.privileged { Class::Privileged } else { Class::of(stored.role) },
            standing: Standing::of_connection(),
        };
        let last_used = stored.last_used.map_or(NEVER, Timestamp::as_second);
        Self {
            stored,
            principal,
            last_used: last_used.into(),
            revoked: Arc::default(),
            former_is_over: AtomicBool::default(),
        }
    }

    /// The same one, renewed: revoking either revokes both.
    pub(super) fn renewed(&self, kind: Kind, stored: Stored) -> Self {
        Self { revoked: Arc::clone(&self.revoked), ..Self::new(kind, stored) }
    }

    fn state(&self, now: Timestamp) -> CredentialState {
        self.state_until(self.stored.expires, now)
    }

    fn state_until(&self, expires: Option<Timestamp>, now: Timestamp) -> CredentialState {
        match expires {
            _ if self.revoked.load(Ordering::Acquire) => CredentialState::Revoked,
            Some(expires) if expires <= now => CredentialState::Expired,
            _ => CredentialState::Valid,
        }
    }

    /// That of what has this digest: what it is now, or what it was before its renewal.
    pub(super) fn state_of(&self, digest: &Digest, now: Timestamp) -> CredentialState {
        match self.former() {
            _ if *digest == self.stored.digest => self.state(now),
            Some(former) => self.state_until(Some(former.expires), now),
            None => CredentialState::Revoked,
        }
    }

    /// Until when what has this digest counts at the longest. What it was before its renewal opens nothing that
    /// outlasts it.
    pub(super) fn expires(&self, digest: &Digest) -> Option<Timestamp> {
        let former = self.stored.certificate.as_ref().and_then(|certificate| certificate.former);
        let former = former.filter(|former| former.digest == *digest);
        former.map_or(self.stored.expires, |former| Some(former.expires))
    }

    /// What it was before its renewal, for as long as what it is now was never shown.
    fn former(&self) -> Option<Former> {
        let former = self.stored.certificate.as_ref().and_then(|certificate| certificate.former)?;
        (!self.former_is_over.load(Ordering::Acquire)).then_some(former)
    }

    /// That what has this digest is shown; whether by that something else is over.
    pub(super) fn notes_that_it_is_renewed(&self, digest: &Digest) -> bool {
        let is_over = self.former().is_some() && *digest == self.stored.digest;
        is_over && !self.former_is_over.swap(true, Ordering::AcqRel)
    }

    fn last_used(&self) -> Option<Timestamp> {
        // `NEVER` is no second that a timestamp can have.
        Timestamp::from_second(self.last_used.load(Ordering::Relaxed)).ok()
    }

    pub(super) fn to_store(&self) -> Stored {
        let mut stored = Stored { last_used: self.last_used(), ..self.stored.clone() };
        if let Some(certificate) = &mut stored.certificate {
            certificate.former = self.former();
        }
        stored
    }

    pub(super) fn shown(&self, now: Timestamp) -> (Stored, CredentialState) {
        (self.to_store(), self.state(now))
    }
}

/// It holds until it expires, or is revoked: from then on, whatever becomes of the file. What came of it before a
/// renewal ends when it would have.
impl Revocable for Issued {
    fn holds(&self, now: Timestamp) -> bool {
        self.state(now) == CredentialState::Valid
    }

    fn ends(&self) -> Option<Timestamp> {
        self.stored.expires
    }
}
