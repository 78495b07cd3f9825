//! Files and folders: those of a daemon that matter, and the sample guests'.

use super::{
    daemon::Daemon,
    wait::{SHORT, until},
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

impl Daemon {
    /// Waits until all that was asked for is in the files that it belongs in: a spec's follows the
    /// answer by some milliseconds.
    #[track_caller]
    pub(crate) fn settle(&self) {
        until("the specs are in their files", SHORT, || {
            let specs = self.diagnosis()["specs"].clone();
            if specs["unwritten"] == 0 { Ok(()) } else { Err(specs) }
        });
    }

    /// What it keeps of VMs and images: their specs, disks and run folders. Not what it writes down
    /// of its own doing, which changes by itself.
    #[track_caller]
    pub(crate) fn kept(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        self.settle();
        ["vms", "pool", "run/vms"]
            .iter()
            .flat_map(|part| files_in(&self.state().join(part)))
            .collect()
    }
}

/// Where the control groups of a VM may be.
pub(crate) fn cgroups_of(id: impl AsRef<Path>) -> [PathBuf; 3] {
    ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"]
        .map(|hierarchy| Path::new(hierarchy).join("innkeeper").join(&id))
}

/// A file of the sample guests.
#[track_caller]
pub(crate) fn guest_file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests").join(name);
    let path = path.canonicalize().unwrap_or_else(|error| {
        panic!("no sample guest, {}: {error}; make it with `make guest`", path.display())
    });
    path.to_str().unwrap().to_owned()
}

/// All files in a folder, at any depth, with their contents.
pub(crate) fn files_in(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            files.extend(files_in(&path));
        }
        // A folder stands for itself too, so that an empty one is seen.
        let contents = if kind.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        files.insert(path, contents);
    }
    files
}
