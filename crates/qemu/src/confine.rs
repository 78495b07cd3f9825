//! What stands between a QEMU process and its host.
//!
//! Running as root, the daemon gives each VM a user of its own and a control group outside the
//! daemon's. QEMU's own sandbox, and descriptors in place of paths, hold in every mode. Guests'
//! way to the host's loopback is closed by `innkeeper-network`.

use innkeeper_model::{Code, Refusal, VmId, host::Safeguard};
use rustix::{
    fd::OwnedFd,
    fs::{Mode, OFlags},
};
use std::{io, path::PathBuf};

/// How QEMU confines itself, once it runs.
pub(crate) const SANDBOX: &str =
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

/// What this host lets the daemon do for its guests.
#[derive(Debug, Clone)]
pub(crate) struct Confinement {
    root: bool,
    hierarchies: Vec<PathBuf>,
}

impl Confinement {
    /// Finds out.
    pub(crate) fn detect() -> Self {
        let root = rustix::process::geteuid().is_root();
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        Self { root, hierarchies: if root { hierarchies(&mounts) } else { Vec::new() } }
    }

    /// The control groups of a VM, one in each hierarchy that systemd could end the daemon's
    /// processes by.
    pub(crate) fn cgroups(&self, vm: VmId) -> Vec<PathBuf> {
        let group = |hierarchy: &PathBuf| hierarchy.join("innkeeper").join(vm.to_string());
        self.hierarchies.iter().map(group).collect()
    }

    /// Makes a VM's control groups and opens what a process joins them by.
    ///
    /// # Errors
    /// The host refused.
    pub(crate) fn make_cgroups(&self, vm: VmId) -> io::Result<Vec<OwnedFd>> {
        let join = |group: PathBuf| {
            std::fs::create_dir_all(&group)?;
            let flags = OFlags::WRONLY | OFlags::CLOEXEC;
            Ok(rustix::fs::open(group.join("cgroup.procs"), flags, Mode::empty())?)
        };
        self.cgroups(vm).into_iter().map(join).collect()
    }

    /// Removes a VM's control groups, which must be empty.
    ///
    /// # Errors
    /// A process is still in one.
    pub(crate) fn remove_cgroups(&self, vm: VmId) -> io::Result<()> {
        for group in self.cgroups(vm) {
            match std::fs::remove_dir(&group) {
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

/// The mount points of the hierarchies by which a service manager keeps track of processes: the
/// unified one, and systemd's own where controllers are still on version 1.
fn hierarchies(mounts: &str) -> Vec<PathBuf> {
    let tracked = |line: &str| {
        let mut fields = line.split(' ');
        let (_, folder, kind, options) =
            (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let of_systemd = || options.split(',').any(|option| option == "name=systemd");
        let read_only = options.split(',').any(|option| option == "ro");
        (!read_only && (kind == "cgroup2" || kind == "cgroup" && of_systemd()))
            .then(|| PathBuf::from(folder))
    };
    mounts.lines().filter_map(tracked).collect()
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
";
        let expected = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"];
        assert_eq!(hierarchies(mounts), expected.map(PathBuf::from));
    }
}
