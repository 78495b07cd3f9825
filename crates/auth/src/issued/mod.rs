//! Tokens that were issued: made, found by what a caller shows, revoked.
//!
//! A token's text is told once, to whoever has it made. Its digest and what it stands for are in one file
//! of the state folder, which is written before anybody is told. When a token was last shown is kept in
//! memory, and written by whoever calls [`IssuedTokens::save_uses`] now and then.
//!
//! Finding one waits for no disk. Everything that changes the list does: call it from a thread that may
//! block.

mod record;
#[cfg(test)]
mod tests;

pub use record::{NewToken, ShownToken, TokenState};

use crate::{
    digest::Digest,
    identity::Identity,
    list_file::{self, TokensError},
    principal::{Class, Principal, Scope},
    role::Role,
    token,
};
use innkeeper_model::{Code, Refusal, Timestamp, TokenName};
use innkeeper_store::WriteFailed;
use record::StoredToken;
use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

/// The most tokens that there can be, expired ones among them.
pub const MAX_TOKENS: usize = 1024;
/// What the text of a token begins with, so that one in a file or a log is known for what it is.
const PREFIX: &str = "inn_";

/// The tokens that were issued.
#[derive(Debug)]
pub struct IssuedTokens {
    path: PathBuf,
    list: RwLock<List>,
    /// Held while the file is written, so that a later list never comes before an earlier one.
    writing: Mutex<()>,
    /// Whether one was used since the file was written.
    used: AtomicBool,
}

#[derive(Debug, Default)]
struct List {
    by_name: BTreeMap<TokenName, Arc<Issued>>,
    by_digest: HashMap<Digest, Arc<Issued>>,
}

/// One token.
#[derive(Debug)]
struct Issued {
    /// As it was stored; when it was used then is not when it was used last.
    stored: StoredToken,
    principal: Principal,
    /// The second of its last use, since 1970; `NEVER` if there was none.
    last_used: AtomicI64,
    revoked: AtomicBool,
}

const NEVER: i64 = i64::MIN;

/// Why what a caller shows is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotIssued {
    /// There is no such token, or not any more.
    Unknown,
    /// Its time is over.
    Expired,
}

impl IssuedTokens {
    /// The tokens in this file; none where it is not there yet.
    ///
    /// # Errors
    /// The file cannot be read, was damaged, or others could have written to it.
    pub fn open(path: &Path) -> Result<Self, TokensError> {
        let mut list = List::default();
        for stored in list_file::read::<StoredToken>(path)? {
            if list.by_name.contains_key(&stored.name) {
                let problem = format!("{} is there twice", stored.name);
                return Err(TokensError::Damaged { path: path.into(), problem });
            }
            list.add(Issued::new(stored));
        }
        Ok(Self {
            path: path.into(),
            list: RwLock::new(list),
            writing: Mutex::default(),
            used: AtomicBool::default(),
        })
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
        let found = self.list().by_digest.get(&Digest::of(text)).cloned();
        let issued = found.ok_or(NotIssued::Unknown)?;
        match issued.state(now) {
            TokenState::Revoked => return Err(NotIssued::Unknown),
            TokenState::Expired => return Err(NotIssued::Expired),
            TokenState::Valid => {}
        }
        if issued.last_used.swap(now.as_second(), Ordering::Relaxed) != now.as_second() {
            self.used.store(true, Ordering::Release);
        }
        Ok(issued.principal.clone())
    }

    /// Whether there is such a token still, for whoever was found by it.
    pub(crate) fn holds(&self, principal: &Principal, now: Timestamp) -> bool {
        let Identity::Issued { name } = &principal.identity else { return false };
        let Ok(name) = name.parse::<TokenName>() else { return false };
        let found = self.list().by_name.get(&name).cloned();
        found.is_some_and(|issued| {
            issued.principal == *principal && issued.state(now) == TokenState::Valid
        })
    }

    /// All of them, by name.
    pub fn all(&self, now: Timestamp) -> Vec<ShownToken> {
        self.list().by_name.values().map(|issued| issued.shown(now)).collect()
    }

    /// Makes a token, and says its text: this is the only time that anybody is told.
    ///
    /// # Errors
    /// A field has a value that is not allowed, there is one of this name, there are [`MAX_TOKENS`], or
    /// the disk fails; then there is no such token.
    pub fn create(
        &self,
        wanted: NewToken,
        by: &str,
        now: Timestamp,
    ) -> Result<(ShownToken, String), Refusal> {
        check(&wanted, now)?;
        let text = format!("{PREFIX}{}", token::random_text().map_err(|error| no_text(&error))?);
        let NewToken { name, role, project, expires, privileged } = wanted;
        let issued = Issued::new(StoredToken {
            name,
            digest: Digest::of(&text),
            role,
            project,
            privileged,
            created: now,
            created_by: by.into(),
            expires,
            last_used: None,
        });
        let shown = issued.shown(now);
        let writing = self.writing();
        self.has_room_for(&shown.name)?;
        let mut tokens = self.stored();
        tokens.push(issued.stored.clone());
        self.write(&writing, &tokens)?;
        self.list_mut().add(issued);
        Ok((shown, text))
    }

    /// Takes a token off the list. It is refused from the call on, whatever the disk says.
    ///
    /// # Errors
    /// There is none of this name. Or the disk fails: the token is refused until the daemon ends, and
    /// revoking it again tries the disk again.
    pub fn revoke(&self, name: &TokenName, now: Timestamp) -> Result<ShownToken, Refusal> {
        let issued = self.list().by_name.get(name).cloned();
        let issued = issued.ok_or_else(|| Refusal::not_found("token", name))?;
        issued.revoked.store(true, Ordering::Release);
        let writing = self.writing();
        self.write(&writing, &self.stored()).map_err(|failed| {
            Refusal::from(failed).with_hint(
                "the token is refused now, but not after the daemon's next start: revoke it again",
            )
        })?;
        self.list_mut().remove(&issued);
        Ok(issued.shown(now))
    }

    /// Writes down when tokens were last used, if any was since the last time.
    ///
    /// # Errors
    /// The disk fails; the next call tries again.
    pub fn save_uses(&self) -> Result<(), WriteFailed> {
        if !self.used.load(Ordering::Acquire) {
            return Ok(());
        }
        let writing = self.writing();
        self.write(&writing, &self.stored())
    }

    /// Writes the list; who holds `_writing` is the only one who does.
    fn write(
        &self,
        _writing: &MutexGuard<'_, ()>,
        tokens: &[StoredToken],
    ) -> Result<(), WriteFailed> {
        let used = self.used.swap(false, Ordering::AcqRel);
        list_file::write(&self.path, tokens).inspect_err(|_| {
            self.used.fetch_or(used, Ordering::AcqRel);
        })
    }

    /// What is to be in the file: all but those that were revoked.
    fn stored(&self) -> Vec<StoredToken> {
        let list = self.list();
        let valid = list.by_name.values().filter(|issued| !issued.revoked.load(Ordering::Acquire));
        valid.map(|issued| issued.to_store()).collect()
    }

    fn has_room_for(&self, name: &TokenName) -> Result<(), Refusal> {
        let list = self.list();
        if list.by_name.contains_key(name) {
            let message = format!("there is a token {name} already");
            let mut refusal = Refusal::new(Code::NameTaken, message)
                .at("name")
                .with_hint("choose another name, or revoke that one first");
            refusal.value = Some(name.to_string());
            return Err(refusal);
        }
        if list.by_name.len() >= MAX_TOKENS {
            return Err(Refusal::new(Code::OutOfCapacity, "there are too many tokens")
                .with_limit(MAX_TOKENS)
                .with_hint(
                    "revoke those that nobody uses: inn token list shows when each was used",
                ));
        }
        Ok(())
    }

    // Whatever panicked, a list is whole: entries are put in and taken out as they are.
    fn list(&self) -> RwLockReadGuard<'_, List> {
        self.list.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn list_mut(&self) -> RwLockWriteGuard<'_, List> {
        self.list.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl List {
    fn add(&mut self, issued: Issued) {
        let issued = Arc::new(issued);
        self.by_digest.insert(issued.stored.digest, Arc::clone(&issued));
        self.by_name.insert(issued.stored.name.clone(), issued);
    }

    fn remove(&mut self, issued: &Issued) {
        self.by_digest.remove(&issued.stored.digest);
        self.by_name.remove(&issued.stored.name);
    }
}

impl Issued {
    fn new(stored: StoredToken) -> Self {
        let principal = Principal {
            identity: Identity::Issued { name: stored.name.as_str().into() },
            role: stored.role,
            scope: stored.project.clone().map_or(Scope::Everything, Scope::Project),
            class: if stored.privileged { Class::Privileged } else { Class::of(stored.role) },
        };
        let last_used = stored.last_used.map_or(NEVER, Timestamp::as_second);
        Self { stored, principal, last_used: last_used.into(), revoked: AtomicBool::default() }
    }

    fn state(&self, now: Timestamp) -> TokenState {
        if self.revoked.load(Ordering::Acquire) {
            return TokenState::Revoked;
        }
        match self.stored.expires {
            Some(expires) if expires <= now => TokenState::Expired,
            _ => TokenState::Valid,
        }
    }

    fn last_used(&self) -> Option<Timestamp> {
        // `NEVER` is no second that a timestamp can have.
        Timestamp::from_second(self.last_used.load(Ordering::Relaxed)).ok()
    }

    fn to_store(&self) -> StoredToken {
        StoredToken { last_used: self.last_used(), ..self.stored.clone() }
    }

    fn shown(&self, now: Timestamp) -> ShownToken {
        let state = self.state(now);
        let StoredToken {
            name,
            digest: _,
            role,
            project,
            privileged,
            created,
            created_by,
            expires,
            last_used,
        } = self.to_store();
        ShownToken {
            name,
            state,
            role,
            project,
            privileged,
            created,
            created_by,
            expires,
            last_used,
        }
    }
}

/// Refuses what no token can be.
fn check(wanted: &NewToken, now: Timestamp) -> Result<(), Refusal> {
    match (wanted.role, &wanted.project) {
        (Role::Owner, None) => {
            return Err(Refusal::new(Code::InvalidField, "project: an owner is one of a project")
                .at("project")
                .with_hint("say which: --project NAME"));
        }
        (Role::Admin, Some(project)) => {
            let problem = "is not for an admin, who may do everything with everything";
            return Err(Refusal::invalid("project", project, problem)
                .with_hint("leave it out, or make an owner: --role owner"));
        }
        _ => {}
    }
    match wanted.expires {
        Some(expires) if expires <= now => {
            Err(Refusal::invalid("expires", expires, "is over already"))
        }
        _ => Ok(()),
    }
}

fn no_text(error: &io::Error) -> Refusal {
    Refusal::new(Code::Internal, "this host has no random numbers").caused_by(error)
}
