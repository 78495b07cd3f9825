//! Room in the pool, and who has been promised how much of it.
//!
//! What comes in is looked at when it begins, and written much later. So that two which would fit alone, and
//! not together, are not both let in, each is promised what it is still going to write, and nobody is let in
//! but for what is free and promised to nobody. A promise shrinks as its file grows, since what is written
//! is not free any more, and ends with whoever has it.
//!
//! It binds nobody else: guests' disks grow as they like, and other programs write to the same file system.
//! That it is full is then found when something is written.

use crate::pool::failed;
use innkeeper_model::{ByteSize, Code, Refusal};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The room of one pool. Clones are of the same.
#[derive(Debug, Clone)]
pub(crate) struct Room(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    /// In bytes.
    promised: Mutex<u64>,
}

/// Room that somebody will fill; what they have not is anybody's again when this is dropped.
#[derive(Debug)]
pub(crate) struct Promise {
    room: Room,
    /// In bytes; a part of all that is promised.
    left: u64,
}

impl Room {
    /// That of the file system that this folder is on.
    pub(crate) fn of(folder: &Path) -> Self {
        Self(Arc::new(Shared { folder: folder.into(), promised: Mutex::default() }))
    }

    /// The space left for this process's user, promised or not.
    pub(crate) fn free(&self) -> Result<ByteSize, Refusal> {
        let stat = self.stat()?;
        Ok(ByteSize(stat.f_bavail.saturating_mul(stat.f_frsize)))
    }

    /// How large the file system is.
    pub(crate) fn total(&self) -> Result<ByteSize, Refusal> {
        let stat = self.stat()?;
        Ok(ByteSize(stat.f_blocks.saturating_mul(stat.f_frsize)))
    }

    /// Promises so many bytes to somebody.
    ///
    /// # Errors
    /// `out-of-space`: there is not so much that is free and promised to nobody.
    pub(crate) fn promise(&self, bytes: u64) -> Result<Promise, Refusal> {
        let mut promise = Promise { room: self.clone(), left: 0 };
        promise.cover(bytes)?;
        Ok(promise)
    }

    /// Refuses what would not fit, before it is begun and done in the same moment.
    ///
    /// # Errors
    /// As [`Room::promise`].
    pub(crate) fn refuse_if_full(&self, needed: u64) -> Result<(), Refusal> {
        self.promise(needed).map(drop)
    }

    fn stat(&self) -> Result<rustix::fs::StatVfs, Refusal> {
        let folder = &self.0.folder;
        rustix::fs::statvfs(folder)
            .map_err(|errno| failed("cannot look at the pool", folder, errno.into()))
    }

    fn promised(&self) -> MutexGuard<'_, u64> {
        // A number is whole whatever panics.
        self.0.promised.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn full(&self, free: u64, promised: u64, needed: u64) -> Refusal {
        let (free, promised, needed) = (ByteSize(free), ByteSize(promised), ByteSize(needed));
        let folder = self.0.folder.display();
        let (less, hint) = match promised {
            ByteSize(0) => (String::new(), format!("free some space in {folder}, then try again")),
            promised => (
                format!(", {promised} of it for what is on its way"),
                format!(
                    "wait for what is on its way (inn diagnose), or free some space in {folder}, \
                     then try again"
                ),
            ),
        };
        let message = format!("the pool has {free} left{less}, and {needed} are needed");
        let left = ByteSize(free.0.saturating_sub(promised.0));
        let mut refusal = Refusal::new(Code::OutOfSpace, message).with_limit(left).with_hint(hint);
        refusal.value = Some(needed.to_string());
        refusal
    }
}

impl Promise {
    /// Has at least so many bytes promised that are not written yet.
    ///
    /// # Errors
    /// As [`Room::promise`]; what was promised before stays so.
    pub(crate) fn cover(&mut self, bytes: u64) -> Result<(), Refusal> {
        let more = bytes.saturating_sub(self.left);
        if more == 0 {
            return Ok(());
        }
        // Looked at under the lock: nobody is promised the same in between.
        let mut promised = self.room.promised();
        let free = self.room.free()?.0;
        if more > free.saturating_sub(*promised) {
            return Err(self.room.full(free, *promised, more));
        }
        *promised += more;
        self.left += more;
        Ok(())
    }

    /// So many bytes have been written, or left out: they are not to come any more.
    pub(crate) fn written(&mut self, bytes: u64) {
        self.shrink_to(self.left.saturating_sub(bytes));
    }

    /// No more than so many bytes are still to come.
    pub(crate) fn shrink_to(&mut self, bytes: u64) {
        let less = self.left.saturating_sub(bytes);
        self.left -= less;
        *self.room.promised() -= less;
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Room for whatever a test writes.
    pub(crate) fn enough() -> Room {
        Room::of(&std::env::temp_dir())
    }

    /// Most of what is free, and more than half of it whatever other tests write meanwhile.
    pub(crate) fn most_of(free: ByteSize) -> u64 {
        free.0 / 4 * 3
    }

    #[test]
    fn what_is_promised_to_one_is_not_promised_to_another() {
        let room = enough();
        let most = most_of(room.free().unwrap());
        let mut first = room.promise(most).unwrap();
        let refused = room.promise(most).unwrap_err();
        assert_eq!(refused.code, Code::OutOfSpace);
        assert_eq!(refused.value, Some(ByteSize(most).to_string()));
        assert!(refused.limit.is_some() && refused.hint.unwrap().contains("inn diagnose"));
        assert_eq!(room.refuse_if_full(most).unwrap_err().code, Code::OutOfSpace);
        // What is left is anybody's, what is covered is asked for once, and a refusal takes nothing.
        drop(room.promise(1 << 20).unwrap());
        first.cover(most).unwrap();
        assert_eq!(first.cover(most * 2).unwrap_err().code, Code::OutOfSpace);
        assert_eq!((first.left, *room.promised()), (most, most));
        first.written(most - 7);
        assert_eq!(*room.promised(), 7);
        first.written(most);
        assert_eq!(*room.promised(), 0);
        let second = room.promise(most).unwrap();
        drop((first, second));
        assert_eq!(*room.promised(), 0);
    }

    #[test]
    fn where_nothing_is_promised_nobody_is_waited_for() {
        let room = enough();
        let refused = room.promise(u64::MAX).unwrap_err();
        let hint = refused.hint.unwrap();
        assert!(hint.starts_with("free some space in ") && !hint.contains("diagnose"), "{hint}");
    }
}
