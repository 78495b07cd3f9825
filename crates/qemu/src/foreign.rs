//! The QEMU processes on this host that are not Innkeeper's. They are looked at from outside, in
//! `/proc`, and nothing is connected to: a monitor socket has room for one client.
//!
//! `arguments` makes sense of a command line, `draft` makes a config of it.

mod arguments;
mod draft;

pub(crate) use arguments::Described;
pub(crate) use draft::draft_config;

use crate::{driver::NAME, proc::identity_of_pid, run_folder::RunFolder};
use innkeeper_model::{Foreign, ProcessIdentity, VmId};
use std::{
    collections::HashSet,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What QEMU's programs are called by the kernel, which keeps 15 characters; distributions have names
/// of their own.
const PROGRAMS: [&str; 2] = ["kvm", "qemu-kvm"];
const PROGRAM_PREFIX: &str = "qemu-system";

/// What a QEMU's name begins with if an Innkeeper has started it.
const OUR_NAMES: &str = "innkeeper-";
/// What is in the command line of one that only tries something.
const OUR_PROBES: &str = "innkeeper-probe-";

/// A process of QEMU's, as `/proc` has it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) process: ProcessIdentity,
    pub(crate) uid: u32,
    pub(crate) argv: Vec<String>,
    folder: PathBuf,
    cgroup: String,
}

/// Finds the QEMU processes that are not `known` and have no record in the run folders. Blocks, for
/// about a millisecond a hundred processes of the host.
pub(crate) fn scan(runtime: &Path, known: &HashSet<ProcessIdentity>) -> Vec<Foreign> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut found: Vec<_> = pids
        .filter(|pid| is_qemu(*pid))
        .filter_map(|pid| Seen::look(pid).ok())
        .filter(|seen| {
            !known.contains(&seen.process) && !seen.is_ours(runtime) && seen.is_a_machine()
        })
        .map(|seen| seen.foreign())
        .collect();
    found.sort_by_key(|foreign| foreign.process.pid);
    found
}

fn is_qemu(pid: u32) -> bool {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name = name.trim_end();
    name.starts_with(PROGRAM_PREFIX) || PROGRAMS.contains(&name)
}

impl Seen {
    /// Looks at a process.
    ///
    /// # Errors
    /// There is none any more, or another one.
    pub(crate) fn look(pid: u32) -> io::Result<Self> {
        let process = identity_of_pid(pid)?;
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let cmdline = fs::read(folder.join("cmdline"))?;
        let argument = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let argv = cmdline.strip_suffix(&[0]).unwrap_or(&cmdline).split(|byte| *byte == 0);
        let seen = Self {
            process,
            uid: fs::metadata(&folder)?.uid(),
            argv: argv.map(argument).collect(),
            cgroup: fs::read_to_string(folder.join("cgroup")).unwrap_or_default(),
            folder,
        };
        // What was read is of one process only if it is still the same.
        match identity_of_pid(pid)? == process && !cmdline.is_empty() {
            true => Ok(seen),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Whether a record in a run folder names this very process. A name alone is no proof: anybody can
    /// call a process so.
    fn is_ours(&self, runtime: &Path) -> bool {
        let name = Described::of(&self.argv).name.unwrap_or_default();
        let vm = name.strip_prefix(OUR_NAMES).and_then(|id| id.parse::<VmId>().ok());
        let record = vm.and_then(|vm| RunFolder::of(runtime, vm).read_incarnation().ok()?);
        record.is_some_and(|incarnation| incarnation.process == Some(self.process))
    }

    /// Whether it runs a machine, and does not just say what it can do or try something.
    fn is_a_machine(&self) -> bool {
        let asks = |argument: &String| {
            matches!(
                argument.as_str(),
                "help" | "?" | "--version" | "-version" | "--help" | "-help" | "-h"
            ) || argument.contains(OUR_PROBES)
        };
        self.argv.len() > 1 && !self.argv.iter().any(asks)
    }

    /// Who manages it, as far as that shows.
    pub(crate) fn manager(&self) -> Option<&'static str> {
        manager(&self.argv, &self.cgroup)
    }

    /// What its command line says, with paths as the rest of the host knows them.
    pub(crate) fn described(&self) -> Described {
        let mut described = Described::of(&self.argv);
        let started_in = fs::read_link(self.folder.join("cwd")).unwrap_or_else(|_| "/".into());
        for path in [&mut described.qmp, &mut described.serial].into_iter().flatten() {
            *path = started_in.join(&*path);
        }
        described
    }

    pub(crate) fn foreign(&self) -> Foreign {
        let described = self.described();
        let manager = self.manager();
        let not_adoptable = match (manager, &described.qmp) {
            (Some(manager), _) => Some(format!("{manager} manages it")),
            (None, None) => Some("it listens on no QMP socket that has a path".into()),
            (None, Some(_)) => None,
        };
        Foreign {
            driver: NAME.into(),
            process: self.process,
            name: described.name,
            uid: self.uid,
            manager: manager.map(Into::into),
            cpus: described.cpus,
            memory: described.memory,
            socket: described.qmp,
            not_adoptable,
        }
    }
}

/// Who started a QEMU with this command line in this control group.
fn manager(argv: &[String], cgroup: &str) -> Option<&'static str> {
    let says = |what: &str| argv.iter().any(|argument| argument.contains(what));
    let group = |what: &str| cgroup.contains(what);
    let name = Described::of(argv).name.unwrap_or_default();
    if says("/libvirt/")
        || says("\"id\":\"masterKey0\"")
        || group("/machine-qemu")
        || group("libvirt")
    {
        Some("libvirt")
    } else if says("/qemu-server/") || group("/qemu.slice/") {
        Some("proxmox")
    } else if says("/incus/") || says("/incus-") || group("incus") {
        Some("incus")
    } else if says("/lxd/") || group("lxd") {
        Some("lxd")
    } else if name.strip_prefix(OUR_NAMES).is_some_and(|id| id.parse::<VmId>().is_ok()) {
        Some("another Innkeeper")
    } else {
        None
    }
}

#[cfg(test)]
#[path = "foreign_tests.rs"]
mod tests;
