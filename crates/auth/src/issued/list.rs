//! A list of credentials that were issued, in memory and in a file: what tokens and certificates have in common.
//!
//! What is kept of a credential is a digest of what its bearer shows, and what it stands for. The file is written
//! before anybody is told of a change. When a credential was last shown is kept in memory, and written by whoever
//! calls [`IssuedList::save_uses`] now and then.
//!
//! Finding one waits for no disk. Everything that changes the list does: call it from a thread that may block.

use super::{
    entry::{Issued, Kind},
    record::{CredentialState, Former, Stored},
};
use crate::{
    digest::Digest,
    list_file::{self, ListError},
    principal::Principal,
    standing::Standing,
};
use innkeeper_model::{Code, Refusal, Timestamp, TokenName};
use innkeeper_store::WriteFailed;
use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering},
    },
};

/// The most credentials that a list can have, expired ones among them.
pub const MAX_ISSUED: usize = 1024;

/// The credentials of one kind that were issued.
#[derive(Debug)]
pub(crate) struct IssuedList {
    kind: Kind,
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

/// Why what a caller shows is no credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotIssued {
    /// There is no such one, or not any more.
    Unknown,
    /// Its time is over.
    Expired,
}

impl IssuedList {
    /// The credentials in this file; none where it is not there yet.
    ///
    /// # Errors
    /// The file cannot be read, was damaged, or others could have written to it.
    pub(crate) fn open(kind: Kind, path: &Path) -> Result<Self, ListError> {
        let mut list = List::default();
        for stored in list_file::read::<Stored>(path, kind.listed())? {
            if !kind.has(&stored) {
                let problem = format!("{} is no {}", stored.name, kind.one());
                return Err(ListError::Damaged { path: path.into(), problem });
            }
            if list.by_name.contains_key(&stored.name) {
                let problem = format!("{} is there twice", stored.name);
                return Err(ListError::Damaged { path: path.into(), problem });
            }
            if let Some(other) = list.shown_alike(&stored) {
                let problem = format!("{} is shown as {other} is", stored.name);
                return Err(ListError::Damaged { path: path.into(), problem });
            }
            list.add(Issued::new(kind, stored));
        }
        let (list, path) = (RwLock::new(list), path.into());
        Ok(Self { kind, path, list, writing: Mutex::default(), used: AtomicBool::default() })
    }

    /// Who shows now what has this digest.
    pub(crate) fn find(&self, digest: &Digest, now: Timestamp) -> Result<Principal, NotIssued> {
        let found = self.list().by_digest.get(digest).cloned();
        let issued = found.ok_or(NotIssued::Unknown)?;
        match issued.state_of(digest, now) {
            CredentialState::Revoked => return Err(NotIssued::Unknown),
            CredentialState::Expired => return Err(NotIssued::Expired),
            CredentialState::Valid => {}
        }
        let is_new = issued.notes_that_it_is_renewed(digest);
        if issued.last_used.swap(now.as_second(), Ordering::Relaxed) != now.as_second() || is_new {
            self.used.store(true, Ordering::Release);
        }
        let (principal, expires) = (issued.principal.clone(), issued.expires(digest));
        let standing = Standing::of(issued);
        Ok(principal.while_it_holds(match expires {
            Some(expires) => standing.until(expires),
            None => standing,
        }))
    }

    /// All of them, by name.
    pub(crate) fn all(&self, now: Timestamp) -> Vec<(Stored, CredentialState)> {
        self.list().by_name.values().map(|issued| issued.shown(now)).collect()
    }

    /// One of them, by its name.
    ///
    /// # Errors
    /// There is none, or not any more.
    pub(crate) fn get(&self, name: &TokenName) -> Result<Stored, Refusal> {
        let found = self.list().by_name.get(name).cloned();
        let valid = found.filter(|issued| !issued.revoked.load(Ordering::Acquire));
        valid.map(|issued| issued.to_store()).ok_or_else(|| self.not_found(name))
    }

    /// Puts one on the list.
    ///
    /// # Errors
    /// There is one of this name, or one that is shown by the same; there are [`MAX_ISSUED`]; or the disk fails. Then
    /// it is not on the list.
    pub(crate) fn add(&self, stored: Stored) -> Result<(), Refusal> {
        let issued = Issued::new(self.kind, stored);
        let writing = self.writing();
        self.has_room_for(&issued.stored)?;
        self.write(&writing, |all| all.push(issued.stored.clone()))?;
        self.list_mut().add(issued);
        Ok(())
    }

    /// Puts another one in the place of that of the same name. What that one's bearer shows counts until this is
    /// shown for the first time, or until that one would have expired.
    ///
    /// # Errors
    /// There is none of this name, what its bearer showed does not hold any more (by now the name may be another's),
    /// or the disk fails; then nothing has changed.
    pub(crate) fn replace(
        &self,
        name: &TokenName,
        holds: impl FnOnce() -> bool,
        with: impl FnOnce(&Stored) -> Stored,
    ) -> Result<Stored, Refusal> {
        let writing = self.writing();
        // Nobody is given a name while this is held.
        if !holds() {
            return Err(self.not_found(name));
        }
        let found = self.list().by_name.get(name).cloned();
        let before = found.filter(|issued| !issued.revoked.load(Ordering::Acquire));
        let before = before.ok_or_else(|| self.not_found(name))?;
        let mut stored = before.to_store();
        // What was never shown since the last renewal may have got lost on its way.
        let former = stored.certificate.as_mut().and_then(|certificate| certificate.former.take());
        let own = stored.expires.map(|expires| Former { digest: stored.digest, expires });
        stored = with(&stored);
        if let Some(certificate) = &mut stored.certificate {
            certificate.former = former.or(own);
        }
        self.write(&writing, |all| {
            all.retain(|other| other.name != stored.name);
            all.push(stored.clone());
        })?;
        let mut list = self.list_mut();
        list.remove(&before);
        list.add(before.renewed(self.kind, stored.clone()));
        Ok(stored)
    }

    /// Takes one off the list. It is refused from the call on, whatever the disk says.
    ///
    /// # Errors
    /// There is none of this name. Or the disk fails: it is refused until the daemon ends, and revoking it
    /// again tries the disk again.
    pub(crate) fn revoke(
        &self,
        name: &TokenName,
        now: Timestamp,
    ) -> Result<(Stored, CredentialState), Refusal> {
        let refused = self.refuse_from_now(name)?;
        self.take_off(name, &refused, now)
    }

    /// Has one refused from now on, and says what tells it from another one that gets its name.
    pub(super) fn refuse_from_now(&self, name: &TokenName) -> Result<Arc<AtomicBool>, Refusal> {
        let issued = self.list().by_name.get(name).cloned();
        let issued = issued.ok_or_else(|| self.not_found(name))?;
        issued.revoked.store(true, Ordering::Release);
        Ok(Arc::clone(&issued.revoked))
    }

    /// Takes one off the list that is refused already, if nobody else did while this waited for the file: its name may
    /// be another's by then.
    pub(super) fn take_off(
        &self,
        name: &TokenName,
        refused: &Arc<AtomicBool>,
        now: Timestamp,
    ) -> Result<(Stored, CredentialState), Refusal> {
        let writing = self.writing();
        // One that was renewed meanwhile is the same one, and has other digests.
        let found = self.list().by_name.get(name).cloned();
        let same = found.filter(|issued| Arc::ptr_eq(&issued.revoked, refused));
        let issued = same.ok_or_else(|| self.not_found(name))?;
        self.write(&writing, |_| {}).map_err(|failed| {
            let one = self.kind.one();
            Refusal::from(failed).with_hint(format!(
                "the {one} is refused now, but not after the daemon's next start: revoke it again"
            ))
        })?;
        self.list_mut().remove(&issued);
        Ok(issued.shown(now))
    }

    /// Writes down when credentials were last used, if any was since the last time.
    ///
    /// # Errors
    /// The disk fails; the next call tries again.
    pub(crate) fn save_uses(&self) -> Result<(), WriteFailed> {
        if !self.used.load(Ordering::Acquire) {
            return Ok(());
        }
        let writing = self.writing();
        self.write(&writing, |_| {})
    }

    /// Writes the list with a change; who holds `_writing` is the only one who does.
    pub(super) fn write(
        &self,
        _writing: &MutexGuard<'_, ()>,
        change: impl FnOnce(&mut Vec<Stored>),
    ) -> Result<(), WriteFailed> {
        // Before the list is gathered: a use that comes in between is written once more, rather than never.
        let used = self.used.swap(false, Ordering::AcqRel);
        let mut all = self.stored();
        change(&mut all);
        list_file::write(&self.path, self.kind.listed(), &all).inspect_err(|_| {
            self.used.fetch_or(used, Ordering::AcqRel);
        })
    }

    /// What is to be in the file: all but those that were revoked.
    fn stored(&self) -> Vec<Stored> {
        let list = self.list();
        let valid = list.by_name.values().filter(|issued| !issued.revoked.load(Ordering::Acquire));
        valid.map(|issued| issued.to_store()).collect()
    }

    fn has_room_for(&self, stored: &Stored) -> Result<(), Refusal> {
        let (list, one, name) = (self.list(), self.kind.one(), &stored.name);
        if list.by_name.contains_key(name) {
            let message = format!("there is a {one} {name} already");
            let mut refusal = Refusal::new(Code::NameTaken, message)
                .at("name")
                .with_hint("choose another name, or revoke that one first");
            refusal.value = Some(name.to_string());
            return Err(refusal);
        }
        if let Some(other) = list.shown_alike(stored) {
            let message = format!("this {one} is on the list already, as {other}");
            return Err(Refusal::new(Code::NameTaken, message)
                .at(one)
                .with_hint(format!("revoke {other} first: what is shown stands for one of them")));
        }
        if list.by_name.len() >= MAX_ISSUED {
            let message = format!("there are too many {one}s");
            return Err(Refusal::new(Code::OutOfCapacity, message)
                .with_limit(MAX_ISSUED)
                .with_hint(format!(
                    "revoke those that nobody uses: inn {one} list shows when each was used"
                )));
        }
        Ok(())
    }

    fn not_found(&self, name: &TokenName) -> Refusal {
        Refusal::not_found(self.kind.one(), name)
    }

    // Whatever panicked, a list is whole: entries are put in and taken out as they are.
    fn list(&self) -> RwLockReadGuard<'_, List> {
        self.list.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn list_mut(&self) -> RwLockWriteGuard<'_, List> {
        self.list.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has it be full, without writing so often.
    #[cfg(test)]
    pub(super) fn fill(&self, like: &Stored) {
        let mut list = self.list_mut();
        for number in 0..MAX_ISSUED {
            let (name, digest) = (format!("t{number}"), Digest::of(&number.to_string()));
            let stored = Stored { name: name.parse().unwrap(), digest, ..like.clone() };
            list.add(Issued::new(self.kind, stored));
        }
    }
}

impl List {
    /// Who is on the list already by something that this is shown by.
    fn shown_alike(&self, stored: &Stored) -> Option<&TokenName> {
        let other = stored.digests().find_map(|digest| self.by_digest.get(&digest));
        other.map(|issued| &issued.stored.name)
    }

    fn add(&mut self, issued: Issued) {
        let issued = Arc::new(issued);
        for digest in issued.stored.digests() {
            self.by_digest.insert(digest, Arc::clone(&issued));
        }
        self.by_name.insert(issued.stored.name.clone(), issued);
    }

    fn remove(&mut self, issued: &Issued) {
        for digest in issued.stored.digests() {
            self.by_digest.remove(&digest);
        }
        self.by_name.remove(&issued.stored.name);
    }
}
