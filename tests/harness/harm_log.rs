//! The record of every signal that a daemon has sent, and of everything that it has removed; and that all of
//! it was its own.

use super::daemon::Daemon;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Where the Innkeepers of a host note which user ids are taken.
const UID_REGISTRY: &str = "/run/innkeeper-uids";
/// Where the control groups of VMs are, in whichever hierarchy.
const CGROUPS: &str = "/sys/fs/cgroup";
/// What an interface of Innkeeper's is marked with.
const MARK: &str = "innkeeper:";

/// One line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Harm {
    /// A process was sent a signal, or all processes of a group.
    Signal {
        pid: u32,
        /// Who had started it, as the kernel said then.
        parent: Option<u32>,
        /// Whether anybody got it.
        delivered: bool,
        line: String,
    },
    /// A file, a folder or a tree was removed.
    Removal { path: PathBuf, line: String },
    /// A network interface was removed, which was marked so.
    Link { mark: String, line: String },
}

impl Harm {
    fn line(&self) -> &str {
        match self {
            Self::Signal { line, .. } | Self::Removal { line, .. } | Self::Link { line, .. } => {
                line
            }
        }
    }
}

/// What is a daemon's own.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// Where it keeps everything.
    pub(super) state: PathBuf,
    /// Its processes, of which there was one after the other.
    pub(super) daemons: BTreeSet<u32>,
    /// What an earlier of these had left running when a later one began, and what a person gave it.
    pub(super) others: BTreeSet<u32>,
}

impl Own {
    /// What on the record was somebody else's.
    pub(super) fn not_among(&self, harm: &[Harm]) -> Vec<String> {
        let others = harm.iter().filter(|entry| !self.has(entry, harm));
        others.map(|entry| entry.line().to_owned()).collect()
    }

    fn has(&self, entry: &Harm, harm: &[Harm]) -> bool {
        match entry {
            Harm::Signal { pid, parent, delivered, .. } => {
                let is_child = parent.is_some_and(|parent| self.daemons.contains(&parent));
                !delivered || is_child || self.others.contains(pid)
            }
            Harm::Removal { path, .. } if path.starts_with(CGROUPS) => {
                let vm = path.file_name().and_then(|name| name.to_str());
                let of_innkeeper = path.parent().is_some_and(|it| it.ends_with("innkeeper"));
                of_innkeeper && vm.is_some_and(|vm| self.has_vm(vm, harm))
            }
            Harm::Removal { path, .. } => {
                path.starts_with(&self.state) || path.starts_with(UID_REGISTRY)
            }
            Harm::Link { mark, .. } => mark.starts_with(MARK),
        }
    }

    /// Whether a VM is one of its VMs, or was.
    fn has_vm(&self, vm: &str, harm: &[Harm]) -> bool {
        let places = [format!("vms/{vm}.json"), format!("run/vms/{vm}")];
        places.map(|place| self.state.join(place)).iter().any(|place| {
            let is_below = |entry: &Harm| matches!(entry, Harm::Removal { path, .. } if path.starts_with(place));
            place.exists() || harm.iter().any(is_below)
        })
    }
}

impl Daemon {
    /// All of it, since the first start.
    #[track_caller]
    pub(crate) fn harm(&self) -> Vec<Harm> {
        let log = self.log();
        let entries = log.lines().filter_map(|line| line.split_once("innkeeper::harm: "));
        entries.map(|(_, entry)| parse(entry)).collect()
    }
}

#[track_caller]
fn parse(entry: &str) -> Harm {
    let field = |name: &str| {
        let (_, value) = entry.split_once(&format!(" {name}="))?;
        value.split(' ').next()
    };
    let line = entry.to_owned();
    if let Some(pid) = field("pid").or(field("group")) {
        let parent = field("parent").map(|parent| parent.parse().unwrap());
        let delivered = field("outcome").is_some_and(|outcome| outcome.starts_with("Ok"));
        return Harm::Signal { pid: pid.parse().unwrap(), parent, delivered, line };
    }
    if let (Some(_), Some(mark)) = (field("link"), field("alias")) {
        return Harm::Link { mark: mark.trim_matches('"').into(), line };
    }
    let path = field("path").unwrap_or_else(|| panic!("it names nothing: {entry}"));
    Harm::Removal { path: path.into(), line }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = "/sys/fs/cgroup/innkeeper";

    /// What of these lines is not its own.
    fn others(lines: &[&str]) -> Vec<String> {
        let own = Own {
            state: Path::new("/daemon/state").into(),
            daemons: [10, 11].into(),
            others: [20].into(),
        };
        own.not_among(&lines.iter().map(|line| parse(line)).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_its_own_is_not_told() {
        let group = format!("removed path={GROUP}/one what=\"folder\"");
        let lines = [
            "signalled pid=30 parent=10 signal=Signal(9) why=\"it is\" outcome=Ok(())",
            "signalled group=31 parent=11 signal=Signal(9) why=\"it is\" outcome=Ok(())",
            "signalled pid=20 parent=1 signal=Signal(9) why=\"it is\" outcome=Ok(())",
            "signalled pid=33 signal=Signal(9) why=\"it is gone\" outcome=Err(Os { code: 3 })",
            "removed path=/daemon/state/vms/one.json what=\"file\"",
            "removed path=/run/innkeeper-uids/1-2 what=\"file\"",
            &group,
            "removed link=\"inn0\" alias=\"innkeeper:0:net:1\" outcome=Ok(())",
        ];
        assert_eq!(others(&lines), Vec::<String>::new());
    }

    #[test]
    fn all_else_is() {
        let group = format!("removed path={GROUP}/two what=\"folder\"");
        for line in [
            "signalled pid=10 parent=12 signal=Signal(9) why=\"so\" outcome=Ok(())",
            "signalled group=31 parent=1 signal=Signal(15) why=\"so\" outcome=Ok(())",
            "signalled pid=32 signal=Signal(9) why=\"so\" outcome=Ok(())",
            "removed path=/daemon/elsewhere what=\"file\"",
            "removed path=/daemon/state-of-another what=\"tree\"",
            "not removed path=/etc/passwd what=\"file\" error=denied",
            &group,
            "removed link=\"eth0\" alias=\"\" outcome=Ok(())",
        ] {
            let own = "removed path=/daemon/state/vms/one.json what=\"file\"";
            assert_eq!(others(&[own, line]), [line]);
        }
    }
}
