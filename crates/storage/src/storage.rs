//! The pool, opened; what it may do and how much.

use crate::{
    confine::AllowedFolders,
    pool::{Pool, failed},
    room::RoomFigures,
    uploads::{self, InHand},
};
use innkeeper_model::{ByteSize, Refusal};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// Where the pool is, and its bounds.
#[derive(Debug, Clone)]
pub struct StorageOptions {
    /// The pool's folder; made if it is not there.
    pub pool: PathBuf,
    /// Folders whose files a spec may name by path. Absolute.
    pub allowed_paths: Vec<PathBuf>,
    /// Folders whose files no spec may name even where an allowed folder contains them: the state
    /// folder, the run folder. The pool is always among them.
    pub private_paths: Vec<PathBuf>,
    /// The `qemu-img` program: a name to look for on the path, or a path.
    pub qemu_img: PathBuf,
    /// The largest disk that an image may describe, and a volume may have.
    pub max_virtual_size: ByteSize,
    /// The most bytes that one import may bring in, and store.
    pub max_import_size: ByteSize,
    /// How long `qemu-img` may work on one import.
    pub convert_deadline: Duration,
    /// A user id that owns nothing, for `qemu-img` to run as. Needs a daemon that is root; without
    /// one `qemu-img` runs as the daemon's user, without new privileges and within its limits.
    pub sandbox_uid: Option<u32>,
    /// What imports by URL may do.
    pub http: HttpRules,
}

impl StorageOptions {
    /// A pool in this folder with the ordinary bounds and nothing allowed.
    pub fn new(pool: impl Into<PathBuf>) -> Self {
        Self {
            pool: pool.into(),
            allowed_paths: Vec::new(),
            private_paths: Vec::new(),
            qemu_img: "qemu-img".into(),
            max_virtual_size: ByteSize::from_gibibytes(16 << 10),
            max_import_size: ByteSize::from_gibibytes(256),
            convert_deadline: Duration::from_secs(30 * 60),
            sandbox_uid: None,
            http: HttpRules::default(),
        }
    }
}

/// What imports by URL may do.
#[derive(Debug, Clone)]
pub struct HttpRules {
    /// Connect to addresses that are not public: this host's, the local network's, a cloud's
    /// metadata service. Off unless the operator's own image server is on such an address.
    pub allow_private: bool,
    /// How long a connection may take to make.
    pub connect_timeout: Duration,
    /// How long the other side may say nothing.
    pub stall_timeout: Duration,
    /// How long one download may take in all.
    pub deadline: Duration,
}

impl Default for HttpRules {
    fn default() -> Self {
        Self {
            allow_private: false,
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(2 * 60 * 60),
        }
    }
}

/// The pool of one host. Cheap to clone: all clones are one pool.
#[derive(Debug, Clone)]
pub struct Storage {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: StorageOptions,
    pub(crate) pool: Pool,
    pub(crate) allowed: AllowedFolders,
    pub(crate) uploads: InHand,
}

impl Storage {
    /// Opens the pool, making its folders (0700) if they are not there, and removes the unfinished
    /// work of an earlier process. Blocks; the caller holds the state folder's lock.
    ///
    /// # Errors
    /// The folders cannot be made or listed, or an allowed path is not absolute.
    pub fn open(options: StorageOptions) -> Result<Self, Refusal> {
        for path in &options.allowed_paths {
            if !path.is_absolute() {
                let problem = "is not an absolute path";
                return Err(Refusal::invalid("allowed_paths", path.display(), problem));
            }
        }
        let pool = Pool::open(&options.pool)?;
        let uploads = InHand::default();
        uploads::sweep(&pool.uploads, &uploads)
            .map_err(|error| failed("cannot clear", &pool.uploads, error))?;
        let mut private = options.private_paths.clone();
        private.push(options.pool.clone());
        let allowed = AllowedFolders::new(options.allowed_paths.clone(), &private);
        Ok(Self { shared: Arc::new(Shared { options, pool, allowed, uploads }) })
    }

    /// The space left in the pool for this process's user.
    ///
    /// # Errors
    /// The system's.
    pub fn free_space(&self) -> Result<ByteSize, Refusal> {
        self.shared.pool.room.free()
    }

    /// The size of the file system that the pool is on.
    ///
    /// # Errors
    /// The system's.
    pub fn total_space(&self) -> Result<ByteSize, Refusal> {
        self.shared.pool.room.total()
    }

    /// What the pool had when somebody last asked for room in it; nothing before that. Waits for nothing.
    pub fn room_seen(&self) -> Option<RoomFigures> {
        self.shared.pool.room.seen()
    }
}
