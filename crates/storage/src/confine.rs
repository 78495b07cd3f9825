//! Opening a file that somebody named, without leaving the folder that it must be in.
//!
//! The kernel does the confining (`openat2` with `RESOLVE_BENEATH`), at every open and on the very
//! file that is opened, so that neither `..` nor a link that is swapped in after a check leads out.
//! A file is first opened without any access, looked at, and only then opened for real: a FIFO cannot
//! hold the daemon, and opening a device has no effect unless it is a disk.

use innkeeper_model::Refusal;
use rustix::{
    fs::{CWD, FileType, Mode, OFlags, ResolveFlags},
    io::Errno,
};
use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Reading and writing.
    ReadWrite,
}

/// A file in a folder that it must not lead out of: a regular file, or a block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfinedFile {
    folder: PathBuf,
    path: PathBuf,
    owner: Owner,
}

/// Whose folder it is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Owner {
    /// Innkeeper's: there are no links in it.
    Pool,
    /// The operator's: links are followed as long as they stay in the folder, and nothing in these
    /// folders is opened even so.
    Operator { private: Arc<[PathBuf]> },
    /// Anybody's: somebody who may read all of the host's files chose the file, and what it is a
    /// link to.
    Anybody,
}

/// Why a file was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenFailed {
    /// It is in none of the folders that it may be in.
    #[error("{} is not in a folder that the operator allowed", path.display())]
    NotAllowed {
        /// The path, as it was given.
        path: PathBuf,
        /// The allowed folders.
        allowed: Vec<PathBuf>,
    },
    /// A link or `..` leads out of the folder.
    #[error("{} leads out of {}", path.display(), folder.display())]
    Escapes {
        /// The path.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// It belongs to Innkeeper itself.
    #[error("{} is one of Innkeeper's own files", path.display())]
    Private {
        /// The path.
        path: PathBuf,
    },
    /// It is neither a regular file nor a block device.
    #[error("{} is neither a file nor a block device", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot open {}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl OpenFailed {
    /// As a refusal of this field.
    pub fn at(&self, field: impl Into<String>) -> Refusal {
        let (path, problem) = match self {
            Self::NotAllowed { path, .. } => (path, "is not in a folder that the operator allowed"),
            Self::Escapes { path, .. } => (path, "leads out of its allowed folder"),
            Self::Private { path } => (path, "is one of Innkeeper's own files"),
            Self::NotAFile { path } => (path, "is neither a file nor a block device"),
            Self::Io { path, source } if source.kind() == io::ErrorKind::NotFound => {
                (path, "does not exist")
            }
            Self::Io { path, .. } => (path, "cannot be opened"),
        };
        let mut refusal = Refusal::invalid(field, path.display(), problem);
        match self {
            Self::NotAllowed { allowed, .. } => {
                refusal = refusal.with_limit(shown(allowed)).with_hint(
                    "import it with `inn image add`, or add its folder to allowed_paths in the \
                     configuration",
                );
            }
            Self::Escapes { folder, .. } => refusal = refusal.with_limit(folder.display()),
            Self::Io { source, .. } => refusal = refusal.caused_by(source),
            Self::Private { .. } | Self::NotAFile { .. } => {}
        }
        refusal
    }
}

fn shown(folders: &[PathBuf]) -> String {
    if folders.is_empty() {
        return "no folder is allowed".into();
    }
    let folders: Vec<_> = folders.iter().map(|f| f.display().to_string()).collect();
    folders.join(", ")
}

impl ConfinedFile {
    /// A file of Innkeeper's own: `relative` in `folder`, with no link on the way.
    pub fn in_pool(folder: impl Into<PathBuf>, relative: impl AsRef<Path>) -> Self {
        let folder = folder.into();
        Self { path: folder.join(relative), folder, owner: Owner::Pool }
    }

    /// A file anywhere, for a caller who may read all of the host's files.
    pub(crate) fn anywhere(path: &Path) -> Self {
        Self { folder: PathBuf::new(), path: path.into(), owner: Owner::Anybody }
    }

    /// The full path; for people and logs. Opening it by this path would not be confined.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is Innkeeper's own, which nobody else writes to.
    pub(crate) fn is_pools(&self) -> bool {
        self.owner == Owner::Pool
    }

    /// Opens it. The descriptor is closed on exec; a driver that hands it on duplicates it.
    ///
    /// # Errors
    /// [`OpenFailed`]: it leads out of its folder, is of another kind, or the system refused.
    pub fn open(&self, access: Access) -> Result<OwnedFd, OpenFailed> {
        let found = self.find()?;
        let io_failed = |errno: Errno| self.io_failed(errno);
        match FileType::from_raw_mode(rustix::fs::fstat(&found).map_err(io_failed)?.st_mode) {
            FileType::RegularFile | FileType::BlockDevice => {}
            _ => {
                return Err(OpenFailed::NotAFile { path: self.path.clone() });
            }
        }
        let itself = format!("/proc/self/fd/{}", found.as_raw_fd());
        self.refuse_private(&itself)?;
        let flags = match access {
            Access::Read => OFlags::RDONLY,
            Access::Write => OFlags::WRONLY,
            Access::ReadWrite => OFlags::RDWR,
        };
        rustix::fs::open(itself, flags | OFlags::CLOEXEC, Mode::empty()).map_err(io_failed)
    }

    /// The file itself, with no right to read or write it.
    fn find(&self) -> Result<OwnedFd, OpenFailed> {
        let io_failed = |errno: Errno| self.io_failed(errno);
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        if self.owner == Owner::Anybody {
            return rustix::fs::open(&self.path, flags, Mode::empty()).map_err(io_failed);
        }
        let folder =
            rustix::fs::openat(CWD, &self.folder, flags | OFlags::DIRECTORY, Mode::empty())
                .map_err(io_failed)?;
        let relative = self.path.strip_prefix(&self.folder).unwrap_or(&self.path);
        let resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_MAGICLINKS
            | match self.owner {
                Owner::Pool => ResolveFlags::NO_SYMLINKS,
                Owner::Operator { .. } | Owner::Anybody => ResolveFlags::empty(),
            };
        // EAGAIN: something was renamed while the kernel looked, so it could not be sure. Bounded,
        // since whoever renames could go on for ever.
        for _ in 0..16 {
            match rustix::fs::openat2(&folder, relative, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN) => {}
                Err(Errno::XDEV | Errno::LOOP) => {
                    return Err(OpenFailed::Escapes {
                        path: self.path.clone(),
                        folder: self.folder.clone(),
                    });
                }
                other => return other.map_err(io_failed),
            }
        }
        Err(self.io_failed(Errno::AGAIN))
    }

    fn refuse_private(&self, itself: &str) -> Result<(), OpenFailed> {
        let Owner::Operator { private } = &self.owner else {
            return Ok(());
        };
        let real = std::fs::read_link(itself)
            .map_err(|source| OpenFailed::Io { path: self.path.clone(), source })?;
        if private.iter().any(|folder| real.starts_with(folder)) {
            return Err(OpenFailed::Private { path: self.path.clone() });
        }
        Ok(())
    }

    fn io_failed(&self, errno: Errno) -> OpenFailed {
        OpenFailed::Io { path: self.path.clone(), source: errno.into() }
    }
}

/// The folders whose files a spec may name.
#[derive(Debug, Clone)]
pub(crate) struct AllowedFolders {
    folders: Vec<PathBuf>,
    private: Arc<[PathBuf]>,
}

impl AllowedFolders {
    /// These folders, as the operator wrote them, without what is in `private`.
    pub(crate) fn new(folders: Vec<PathBuf>, private: &[PathBuf]) -> Self {
        // A private folder that cannot be resolved does not exist, so nothing can be in it.
        let private = private.iter().filter_map(|p| p.canonicalize().ok()).collect();
        Self { folders, private }
    }

    /// The file at `path`, if it is written as one in an allowed folder. Links are looked at when it
    /// is opened.
    pub(crate) fn file(&self, path: &Path) -> Result<ConfinedFile, OpenFailed> {
        let plain = |c: Component<'_>| matches!(c, Component::RootDir | Component::Normal(_));
        let allowed = |folder: &&PathBuf| path.starts_with(folder) && path != folder.as_path();
        let folder = self.folders.iter().find(allowed);
        match folder.filter(|_| path.is_absolute() && path.components().all(plain)) {
            Some(folder) => Ok(ConfinedFile {
                folder: folder.clone(),
                path: path.into(),
                owner: Owner::Operator { private: Arc::clone(&self.private) },
            }),
            None => {
                Err(OpenFailed::NotAllowed { path: path.into(), allowed: self.folders.clone() })
            }
        }
    }
}

#[cfg(test)]
#[path = "confine_tests.rs"]
mod tests;
