//! What stands between a QEMU process and its host.
//!
//! Running as root, the daemon gives each VM a user of its own and a control group outside the
//! daemon's. QEMU's own sandbox, and descriptors in place of paths, hold in every mode. Guests'
//! way to the host's loopback is closed by `innkeeper-network`.

use crate::process::{Groups, UnifiedGroup};
use innkeeper_model::{Code, Refusal, VmId, host::Safeguard};
use innkeeper_store::harm;
use rustix::fs::{Mode, OFlags};
use std::{
    io,
    path::{Path, PathBuf},
};

/// How QEMU confines itself, once it runs.
pub(crate) const SANDBOX: &str =
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

/// What this host lets the daemon do for its guests.
#[derive(Debug, Clone)]
pub(crate) struct Confinement {
    root: bool,
    hierarchies: Vec<Hierarchy>,
}

/// A hierarchy of control groups, mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hierarchy {
    folder: PathBuf,
    kind: Kind,
}

/// Of which version of control groups it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Version 2.
    Unified,
    /// Version 1.
    Named,
}

impl Confinement {
    /// Finds out.
    pub(crate) fn detect() -> Self {
        let root = rustix::process::geteuid().is_root();
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        Self { root, hierarchies: if root { hierarchies(&mounts) } else { Vec::new() } }
    }

    /// Nothing.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self { root: false, hierarchies: Vec::new() }
    }

    /// The control groups of a VM, one in each hierarchy that systemd could end the daemon's
    /// processes by.
    pub(crate) fn cgroups(&self, vm: VmId) -> Vec<PathBuf> {
        self.hierarchies.iter().map(|hierarchy| hierarchy.group(vm)).collect()
    }

    /// Makes a VM's control groups and opens what a process is put into them by.
    ///
    /// # Errors
    /// The host refused.
    pub(crate) fn make_cgroups(&self, vm: VmId) -> io::Result<Groups> {
        let open = |path: &Path, flags| {
            Ok::<_, io::Error>(rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())?)
        };
        let mut groups = Groups::default();
        for hierarchy in &self.hierarchies {
            let group = hierarchy.group(vm);
            std::fs::create_dir_all(&group)?;
            match hierarchy.kind {
                Kind::Unified => {
                    groups.unified = Some(UnifiedGroup {
                        folder: open(&group, OFlags::RDONLY | OFlags::DIRECTORY)?,
                        procs: open(&group.join("cgroup.procs"), OFlags::WRONLY)?,
                    });
                }
                Kind::Named => groups.tasks.push(open(&group.join("tasks"), OFlags::WRONLY)?),
            }
        }
        Ok(groups)
    }

    /// Removes a VM's control groups, which must be empty.
    ///
    /// # Errors
    /// A process is still in one.
    pub(crate) fn remove_cgroups(&self, vm: VmId) -> io::Result<()> {
        for group in self.cgroups(vm) {
            match harm::remove_dir(&group) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                    let message = format!("a process is still in {}", group.display());
                    let refusal = Refusal::new(Code::InUse, message).caused_by(&error);
                    return Err(io::Error::other(refusal.with_hint("see its cgroup.procs")));
                }
                removed => removed?,
            }
        }
        Ok(())
    }

    /// What `inn host` shows.
    pub(crate) fn safeguards(&self) -> Vec<Safeguard> {
        let uid = if self.root {
            (true, "each VM's process runs as a user of its own")
        } else {
            (false, "VMs run as the daemon's own user; run the daemon as root to separate them")
        };
        let cgroup = match (self.root, self.hierarchies.is_empty()) {
            (true, false) => (true, "each VM's process has a control group outside the daemon's"),
            (true, true) => (false, "no control group hierarchy is mounted"),
            (false, _) => (false, "control groups need the daemon to run as root"),
        };
        let sandbox = (true, "QEMU's system call filter forbids new programs and privileges");
        let descriptors = (true, "QEMU is given open descriptors and can open no image by name");
        [("uid", uid), ("sandbox", sandbox), ("descriptors", descriptors), ("cgroup", cgroup)]
            .map(|(name, (active, detail))| Safeguard {
                name: name.into(),
                active,
                detail: detail.into(),
            })
            .into()
    }
}

impl Hierarchy {
    fn group(&self, vm: VmId) -> PathBuf {
        self.folder.join("innkeeper").join(vm.to_string())
    }
}

/// The hierarchies by which a service manager keeps track of processes: the unified one, and systemd's
/// own where controllers are still on version 1. There is one unified hierarchy, wherever it is mounted.
fn hierarchies(mounts: &str) -> Vec<Hierarchy> {
    let tracked = |line: &str| {
        let mut fields = line.split(' ');
        let (_, folder, kind, options) =
            (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let has = |wanted: &str| options.split(',').any(|option| option == wanted);
        let kind = match kind {
            "cgroup2" => Kind::Unified,
            "cgroup" if has("name=systemd") => Kind::Named,
            _ => return None,
        };
        (!has("ro")).then(|| Hierarchy { folder: folder.into(), kind })
    };
    let mut hierarchies: Vec<Hierarchy> = Vec::new();
    for found in mounts.lines().filter_map(tracked) {
        if hierarchies.iter().all(|known| known.kind != found.kind) {
            hierarchies.push(found);
        }
    }
    hierarchies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hierarchies_that_track_processes_are_joined() {
        let mounts = "\
proc /proc proc rw 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,name=systemd 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
cgroup2 /elsewhere cgroup2 ro,relatime 0 0
cgroup2 /once/more cgroup2 rw,relatime 0 0
";
        let expected =
            [("/sys/fs/cgroup/systemd", Kind::Named), ("/sys/fs/cgroup/unified", Kind::Unified)];
        let expected = expected.map(|(folder, kind)| Hierarchy { folder: folder.into(), kind });
        assert_eq!(hierarchies(mounts), expected);
    }
}
