//! Files that callers send, before they are imported: each grows piece by piece, and what broke off can
//! be gone on with.
//!
//! A part is known by the name of the image that it is to become and by the SHA-256 that the whole
//! will have, so that what is gone on with cannot be another file. Its length says how much has
//! arrived. Nothing here looks at what it is: [`crate::Storage::import`] does, which takes the part
//! away. A part that nobody goes on with is removed a day after its last piece, when the pool is opened
//! or the next upload begins.
//!
//! One sends at a time. Who breaks off has the part a moment longer, while the last piece of theirs is
//! written; whoever goes on with it is not refused for that, but waits. After a power failure a part may hold zeros where pieces were; the
//! import then finds another digest, and refuses it.

use crate::{
    cancel,
    copy::write_data,
    import::checksum::Checksum,
    layers::length,
    pool::failed,
    room::Promise,
    storage::{Shared, Storage},
};
use innkeeper_model::{ByteSize, Code, ImageName, Refusal};
use innkeeper_store::harm;
use rustix::fs::{Mode, OFlags};
use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::{
    sync::{Notify, futures::Notified},
    time::{Instant, timeout_at},
};

/// How long a part is kept after its last piece.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long who goes on with a part waits for somebody else to let go of it: as long as a piece may take to be
/// written to a slow disk, and not so long that it looks like a hang to whoever is then refused.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);
/// What a part's name ends with.
const PART: &str = ".part";

/// Which parts somebody has in hand.
#[derive(Debug, Clone, Default)]
pub(crate) struct InHand(Arc<Parts>);

#[derive(Debug, Default)]
struct Parts {
    paths: Mutex<HashSet<PathBuf>>,
    /// Somebody has let go of one.
    let_go: Notify,
}

impl InHand {
    fn paths(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.0.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a part in hand, unless somebody else has it.
    fn claim(&self, path: &Path) -> Option<Claim> {
        let free = self.paths().insert(path.to_owned());
        free.then(|| Claim { all: self.clone(), path: path.to_owned() })
    }

    /// That somebody lets go of a part, from this call on.
    fn let_go(&self) -> Notified<'_> {
        self.0.let_go.notified()
    }
}

/// That a part is in somebody's hand, until this is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    all: InHand,
    path: PathBuf,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.all.paths().remove(&self.path);
        self.all.0.let_go.notify_waiters();
    }
}

/// A file that is being received. Dropping it keeps what has arrived.
#[derive(Debug)]
pub struct Upload {
    file: Arc<File>,
    at: u64,
    limit: ByteSize,
    /// The room for what has not come yet, as far as that is known.
    promise: Arc<Mutex<Promise>>,
    claim: Arc<Claim>,
}

impl Upload {
    /// How many bytes have arrived.
    pub const fn length(&self) -> u64 {
        self.at
    }

    /// Writes the next piece. Where the future is dropped, the piece is written all the same.
    ///
    /// # Errors
    /// `too-large`: it would be more than an import may have; a full disk; the system's.
    pub async fn write<P>(&mut self, piece: P) -> Result<(), Refusal>
    where
        P: AsRef<[u8]> + Send + 'static,
    {
        let (file, at) = (Arc::clone(&self.file), self.at);
        let count = piece.as_ref().len() as u64;
        let end = at.saturating_add(count);
        refuse_too_large(end, self.limit)?;
        let promise = Arc::clone(&self.promise);
        // Nobody else gets the part before this is written, should the future be dropped.
        let claim = Arc::clone(&self.claim);
        cancel::briefly(move || {
            let mut promise = promise.lock().unwrap_or_else(PoisonError::into_inner);
            promise.cover(count)?;
            // The length says how much there is, whatever of it is a hole.
            write_data(&file, piece.as_ref(), at)
                .and_then(|()| file.set_len(end))
                .map_err(|error| failed("cannot write", &claim.path, error))?;
            promise.written(count);
            Ok(())
        })
        .await?;
        self.at = end;
        Ok(())
    }
}

impl Storage {
    /// Begins an upload of what is to become this image (`from` is 0, and what was there before is
    /// gone), or goes on with one. `more` is how many bytes will come, where that is known.
    ///
    /// # Errors
    /// `wrong-state`: other than `from` bytes have arrived; `in-use`: somebody else sends the same, and does
    /// not let go of it within 2 s; the checksum is none; it would be too large, or not fit into the pool; the
    /// system's.
    pub async fn open_upload(
        &self,
        name: &ImageName,
        sha256: &str,
        from: u64,
        more: Option<u64>,
    ) -> Result<Upload, Refusal> {
        let checksum = announced(sha256)?;
        let until = Instant::now() + LET_GO_WITHIN;
        loop {
            // Before it is tried, or who lets go just after that would not be heard.
            let let_go = self.shared.uploads.let_go();
            let (shared, name, checksum) =
                (Arc::clone(&self.shared), name.clone(), checksum.clone());
            let opening = cancel::briefly(move || shared.open_upload(&name, &checksum, from, more));
            match opening.await {
                Err(refusal) if refusal.code == Code::InUse => {
                    timeout_at(until, let_go).await.map_err(|_| refusal)?;
                }
                opened => return opened,
            }
        }
    }

    /// How many bytes of this upload have arrived. One that nobody has begun has none.
    ///
    /// # Errors
    /// The checksum is none; the system's.
    pub fn uploaded(&self, name: &ImageName, sha256: &str) -> Result<u64, Refusal> {
        let path = self.shared.part(name, &announced(sha256)?);
        match fs::symlink_metadata(&path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(failed("cannot look at", &path, error)),
        }
    }
}

impl Shared {
    pub(crate) fn part(&self, name: &ImageName, checksum: &Checksum) -> PathBuf {
        self.pool.uploads.join(format!("{}-{name}{PART}", checksum.hex()))
    }

    fn open_upload(
        &self,
        name: &ImageName,
        checksum: &Checksum,
        from: u64,
        more: Option<u64>,
    ) -> Result<Upload, Refusal> {
        sweep(&self.pool.uploads, &self.uploads)
            .map_err(|error| failed("cannot list", &self.pool.uploads, error))?;
        let limit = self.options.max_import_size;
        refuse_too_large(from.saturating_add(more.unwrap_or_default()), limit)?;
        let claim = self.uploads.claim(&self.part(name, checksum)).ok_or_else(|| in_hand(name))?;
        // Behind the claim: who breaks off gives their room back, and then the part.
        let promise = self.pool.room.promise(more.unwrap_or_default())?;
        let path = &claim.path;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let opened = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR);
        let file = File::from(opened.map_err(|errno| failed("cannot make", path, errno.into()))?);
        if from == 0 {
            file.set_len(0).map_err(|error| failed("cannot empty", path, error))?;
        }
        let at = length(&file).map_err(|error| failed("cannot look at", path, error))?;
        if at != from {
            let message = format!("{at} bytes have arrived, and this goes on after {from}");
            let mut refusal = Refusal::new(Code::WrongState, message)
                .at("offset")
                .with_limit(at)
                .with_hint("ask with HEAD how much there is, and go on there");
            refusal.value = Some(from.to_string());
            return Err(refusal);
        }
        let (file, promise) = (Arc::new(file), Arc::new(Mutex::new(promise)));
        Ok(Upload { file, at, limit, promise, claim: Arc::new(claim) })
    }

    /// Moves a part to where it is imported from; it is an upload no more.
    pub(crate) fn take_upload(
        &self,
        name: &ImageName,
        checksum: &Checksum,
        to: &Path,
    ) -> Result<(), Refusal> {
        let path = self.part(name, checksum);
        let _claim = self.uploads.claim(&path).ok_or_else(|| in_hand(name))?;
        fs::rename(&path, to).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Refusal::not_found("upload", name),
            _ => failed("cannot move", &path, error),
        })
    }
}

/// Removes the parts that nobody has gone on with for a day.
pub(crate) fn sweep(folder: &Path, in_hand: &InHand) -> io::Result<()> {
    let now = SystemTime::now();
    for entry in fs::read_dir(folder)? {
        let (path, metadata) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
        let is_part = path.as_os_str().as_encoded_bytes().ends_with(PART.as_bytes());
        // One from the future is as young as can be.
        let age = now.duration_since(metadata.modified()?).unwrap_or_default();
        if !is_part || !metadata.is_file() || age < KEPT {
            continue;
        }
        let Some(_claim) = in_hand.claim(&path) else { continue };
        tracing::info!(path = %path.display(), "removing an upload that nobody went on with");
        harm::remove_file(&path)?;
    }
    Ok(())
}

fn announced(sha256: &str) -> Result<Checksum, Refusal> {
    sha256
        .parse()
        .map_err(|_: Refusal| Refusal::invalid("sha256", sha256, "is not 64 hexadecimal digits"))
}

fn in_hand(name: &ImageName) -> Refusal {
    Refusal::new(Code::InUse, format!("this file is being sent already, for image {name}"))
        .with_hint("wait until that ends, then go on with what is there")
}

fn refuse_too_large(length: u64, limit: ByteSize) -> Result<(), Refusal> {
    if length <= limit.0 {
        return Ok(());
    }
    let message = format!("this is {} or more, more than an import may have", ByteSize(length));
    Err(Refusal::new(Code::TooLarge, message).with_limit(limit))
}

#[cfg(test)]
#[path = "uploads_tests.rs"]
mod tests;
