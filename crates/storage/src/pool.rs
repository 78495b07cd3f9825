//! The pool's folders: where everything is, and unfinished work.

use crate::room::Room;
use innkeeper_model::{DeviceName, ImageName, Refusal, VmId};
use innkeeper_store::{harm, sync_folder};
use rustix::{
    fs::{CWD, RenameFlags},
    io::Errno,
};
use std::{
    ffi::OsStr,
    fs, io,
    os::unix::{ffi::OsStrExt, fs::DirBuilderExt},
    path::{Path, PathBuf},
    sync::RwLock,
    sync::atomic::{AtomicU64, Ordering},
};

/// The folders of one pool.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) folder: PathBuf,
    pub(crate) images: PathBuf,
    pub(crate) volumes: PathBuf,
    pub(crate) uploads: PathBuf,
    pub(crate) room: Room,
    /// Shared while an overlay is made on an image, exclusive while an image is removed, so that no
    /// overlay is made on an image that has just been found unused.
    pub(crate) image_use: RwLock<()>,
}

impl Pool {
    pub(crate) fn open(folder: &Path) -> Result<Self, Refusal> {
        let pool = Self {
            folder: folder.into(),
            images: folder.join("images"),
            volumes: folder.join("volumes"),
            uploads: folder.join("uploads"),
            room: Room::of(folder),
            image_use: RwLock::default(),
        };
        for folder in [&pool.images, &pool.volumes, &pool.uploads] {
            make_folder(folder)
                .and_then(|()| remove_unfinished(folder))
                .map_err(|error| failed("cannot use the pool's folder", folder, error))?;
        }
        Ok(pool)
    }

    pub(crate) fn image(&self, name: &ImageName) -> PathBuf {
        self.images.join(name.as_str())
    }

    pub(crate) fn vm(&self, vm: VmId) -> PathBuf {
        self.volumes.join(vm.to_string())
    }

    pub(crate) fn volume(&self, vm: VmId, disk: &DeviceName) -> PathBuf {
        self.vm(vm).join(format!("{disk}.qcow2"))
    }
}

/// A folder for unfinished work, beside what it will become. It is removed with all that is in it
/// when it is dropped, unless it was published.
#[derive(Debug)]
pub(crate) struct WorkFolder {
    path: PathBuf,
    published: bool,
}

impl WorkFolder {
    /// A new one in `parent`, for work of this kind.
    pub(crate) fn new(parent: &Path, kind: &str) -> Result<Self, Refusal> {
        let path = hidden(parent, kind);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| failed("cannot make a folder to work in", &path, error))?;
        Ok(Self { path, published: false })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the folder its final name, in one step and only if nothing has it. Its files must have
    /// been synced.
    ///
    /// # Errors
    /// `EEXIST` where the name is taken; the folder is then removed like after any failure.
    pub(crate) fn publish(mut self, to: &Path) -> io::Result<()> {
        sync_folder(&self.path)?;
        rename_new(&self.path, to)?;
        self.published = true;
        to.parent().map_or(Ok(()), sync_folder)
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        if self.published {
            return;
        }
        if let Err(error) = harm::remove_dir_all(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(
                folder = %self.path.display(), %error,
                "unfinished work could not be removed; it will be when the pool is next opened"
            );
        }
    }
}

/// A name in `parent` that nobody sees and nothing has. Another process may have used it, but what it
/// left was removed when the pool was opened.
fn hidden(parent: &Path, kind: &str) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    parent.join(format!(".{kind}-{}-{count}", std::process::id()))
}

/// Gives a file or folder a name that nothing has yet; `EEXIST` if something has.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system that cannot (NFS): nobody but this daemon makes names in the pool, and its
        // queues make one of a kind at a time.
        Err(Errno::INVAL | Errno::NOSYS) if to.symlink_metadata().is_err() => fs::rename(from, to),
        Err(Errno::INVAL | Errno::NOSYS) => Err(io::ErrorKind::AlreadyExists.into()),
        renamed => Ok(renamed?),
    }
}

/// What is removed and has not gone yet.
const REMOVED: &str = "removed";

/// Whether a folder of this name is one that [`remove_folder`] did not get to the end of.
pub(crate) fn is_removed(name: &OsStr) -> bool {
    name.as_bytes().strip_prefix(b".").is_some_and(|name| name.starts_with(REMOVED.as_bytes()))
}

/// Removes a folder: in one step from everybody's sight, then in earnest. That there is none is no
/// failure, so that a crash can be repeated.
pub(crate) fn remove_folder(path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    // A name of its own: the remains of an earlier removal are not in the way of this one.
    let hidden = hidden(parent, REMOVED);
    match fs::rename(path, &hidden) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        renamed => renamed?,
    }
    sync_folder(parent)?;
    harm::remove_dir_all(&hidden)
}

/// Makes a folder for its owner only, and those above it.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// That something could not be done with this path.
pub(crate) fn failed(what: &str, path: &Path, error: io::Error) -> Refusal {
    let mut refusal = Refusal::from(error);
    refusal.message = format!("{what} {}: {}", path.display(), refusal.message);
    refusal
}

fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        tracing::info!(path = %entry.path().display(), "removing unfinished work");
        let removed = match entry.file_type()?.is_dir() {
            true => harm::remove_dir_all(&entry.path()),
            false => harm::remove_file(&entry.path()),
        };
        match removed {
            // Whoever had it in hand got to the end of removing it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
    }
    Ok(())
}
