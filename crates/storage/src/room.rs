//! Room in the pool, and who has been promised how much of it.
//!
//! What comes in is looked at when it begins, and written much later. So that two which would fit alone, and
//! not together, are not both let in, each is promised what it is still going to write, and nobody is let in
//! but for what is free and promised to nobody. A promise shrinks as its file grows, since what is written
//! is not free any more, and ends with whoever has it.
//!
//! It binds nobody else: guests' disks grow as they like, and other programs write to the same file system.
//! That it is full is then found when something is written.
//!
//! How much room there is, and how much of it is promised, says what all have: whoever is refused for it may be one of
//! them alone, and is told neither. It is among the figures of the host ([`Room::seen`]).

use crate::pool::failed;
use innkeeper_model::{ByteSize, Code, Refusal, Timestamp};
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
    /// What was seen last; held for no longer than it takes to copy it.
    seen: Mutex<Option<RoomFigures>>,
}

/// What a pool had when it was last looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomFigures {
    /// When that was.
    pub at: Timestamp,
    /// The folder.
    pub folder: PathBuf,
    /// The size of its file system.
    pub size: ByteSize,
    /// What was left of it.
    pub free: ByteSize,
    /// What of that is promised to what is on its way, by now.
    pub promised: ByteSize,
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
        let folder = folder.into();
        Self(Arc::new(Shared { folder, promised: Mutex::default(), seen: Mutex::default() }))
    }

    /// What there was when somebody last asked for room; nothing before that. Waits for nothing, least of all for the
    /// disk.
    pub(crate) fn seen(&self) -> Option<RoomFigures> {
        self.last_seen().clone()
    }

    fn last_seen(&self) -> MutexGuard<'_, Option<RoomFigures>> {
        // It is replaced as a whole.
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The space left for this process's user, promised or not.
    pub(crate) fn free(&self) -> Result<ByteSize, Refusal> {
        Ok(self.stat()?.free)
    }

    /// How large the file system is.
    pub(crate) fn total(&self) -> Result<ByteSize, Refusal> {
        Ok(self.stat()?.size)
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

    fn stat(&self) -> Result<RoomFigures, Refusal> {
        let folder = self.0.folder.clone();
        let stat = rustix::fs::statvfs(&folder)
            .map_err(|errno| failed("cannot look at the pool", &folder, errno.into()))?;
        let size = ByteSize(stat.f_blocks.saturating_mul(stat.f_frsize));
        let free = ByteSize(stat.f_bavail.saturating_mul(stat.f_frsize));
        Ok(RoomFigures { at: Timestamp::now(), folder, size, free, promised: ByteSize(0) })
    }

    fn promised(&self) -> MutexGuard<'_, u64> {
        // A number is whole whatever panics.
        self.0.promised.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That there is not so much room. How much there is, others have to do with.
fn full(needed: u64) -> Refusal {
    let needed = ByteSize(needed);
    let message = format!("the pool has not enough room: {needed} more cannot be had");
    let mut refusal = Refusal::new(Code::OutOfSpace, message).with_hint(
        "delete what is not needed, or wait for what is on its way, then try again; `inn diagnose` says how much there is",
    );
    refusal.value = Some(needed.to_string());
    refusal
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
        let seen = self.room.stat()?;
        let fits = more <= seen.free.0.saturating_sub(*promised);
        if fits {
            *promised += more;
            self.left += more;
        }
        *self.room.last_seen() = Some(RoomFigures { promised: ByteSize(*promised), ..seen });
        if fits { Ok(()) } else { Err(full(more)) }
    }

    /// So many bytes have been written, or left out: they are not to come any more.
    pub(crate) fn written(&mut self, bytes: u64) {
        self.shrink_to(self.left.saturating_sub(bytes));
    }

    /// No more than so many bytes are still to come.
    pub(crate) fn shrink_to(&mut self, bytes: u64) {
        let less = self.left.saturating_sub(bytes);
        self.left -= less;
        let mut promised = self.room.promised();
        *promised -= less;
        if let Some(seen) = &mut *self.room.last_seen() {
            seen.promised = ByteSize(*promised);
        }
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
    fn who_is_refused_is_not_told_what_others_have_and_who_sees_the_host_is() {
        let room = enough();
        assert_eq!(room.seen(), None);
        let others = room.promise(12_345_677).unwrap();
        let promised_at = room.seen().unwrap().at;
        let refused = room.promise(u64::MAX).unwrap_err();
        let seen = room.seen().unwrap();
        assert_eq!((seen.promised, &seen.folder), (ByteSize(12_345_677), &std::env::temp_dir()));
        assert!(seen.free <= seen.size && seen.size > ByteSize(0));
        assert!(seen.at > promised_at, "it was looked at again");
        let told = format!("{refused:?}");
        let folder = seen.folder.display().to_string();
        for of_the_host in [seen.free.to_string(), "12345677".into(), seen.size.to_string(), folder]
        {
            assert!(!told.contains(&of_the_host), "{of_the_host}: {told}");
        }
        assert!(refused.limit.is_none() && refused.hint.unwrap().contains("inn diagnose"));
        drop(others);
        assert_eq!(room.seen().unwrap(), RoomFigures { promised: ByteSize(0), ..seen });
    }
}
