//! What every row is given.

use crate::rig::{cleanup::Folder, specs};
use anyhow::{Context, ensure};
use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

/// The stored VMs of the rows about many.
pub(crate) const MANY: usize = 10_000;

/// Where things are, and how much to measure.
#[derive(Debug)]
pub(crate) struct Bench {
    quick: bool,
    /// The program that is measured.
    pub(crate) inn: PathBuf,
    /// The sample guests.
    pub(crate) guests: PathBuf,
    /// Where rows make their folders.
    pub(crate) scratch: PathBuf,
    /// The figures of the last run.
    pub(crate) report: PathBuf,
    /// Many stored VMs, made when the first row wants them: writing them takes seconds.
    many: OnceLock<Folder>,
}

impl Bench {
    /// Finds what is needed; without another `inn`, the one that was built with this program.
    pub(crate) fn new(quick: bool, inn: Option<&Path>) -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let target = root.parent().context("the workspace is the folder above")?.join("target");
        let own = std::env::current_exe()?;
        let inn = inn.map_or_else(|| own.with_file_name("inn"), Path::to_owned).canonicalize();
        let inn = inn.context("there is no `inn`; build it, or use `make bench`")?;
        let guests = target.join("guests/tiny");
        ensure!(guests.join("vmlinuz").exists(), "no sample guests; use `make bench`");
        let scratch = target.join("bench");
        std::fs::create_dir_all(&scratch)?;
        Ok(Self {
            quick,
            inn,
            guests,
            scratch,
            report: target.join("bench.json"),
            many: OnceLock::new(),
        })
    }

    /// This much, or so little if only a smoke test is wanted.
    pub(crate) fn rounds(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// Seconds of something, likewise.
    pub(crate) fn seconds(&self, full: u64, quick: u64) -> Duration {
        Duration::from_secs(if self.quick { quick } else { full })
    }

    /// Puts [`MANY`] stored VMs into a state folder.
    pub(crate) fn store_many(&self, state: &Path) -> anyhow::Result<()> {
        let folder = match self.many.get() {
            Some(folder) => folder,
            None => {
                let folder = Folder::new(&self.scratch)?;
                specs::store(folder.path(), MANY)?;
                self.many.get_or_init(|| folder)
            }
        };
        specs::share(folder.path(), state)
    }
}
