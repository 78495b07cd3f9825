//! QEMU's processes, as the host's kernel has them.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
}

impl Process {
    /// Whether it runs; one that has ended and was not waited for does not.
    pub(crate) fn lives(self) -> bool {
        self.state().is_some_and(|state| state != 'Z' && state != 'X')
    }

    /// Whether it is held, or has ended.
    pub(crate) fn is_held(self) -> bool {
        self.state().is_none_or(|state| "TZX".contains(state))
    }

    fn state(self) -> Option<char> {
        self.read("stat")?.rsplit_once(") ")?.1.chars().next()
    }

    /// Those that it has started, and that are not another's by now.
    pub(crate) fn children(self) -> impl Iterator<Item = Self> {
        let pids = fs::read_dir("/proc").unwrap().flatten();
        let all = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let parent = |of: &Self| {
            of.read("stat")?.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok()
        };
        all.map(|pid| Self { pid }).filter(move |of| parent(of) == Some(self.pid))
    }

    /// When it started, in clock ticks after boot: with its pid, which process it is.
    #[track_caller]
    pub(crate) fn start_ticks(self) -> u64 {
        let stat = self.read("stat").unwrap_or_else(|| panic!("process {} is gone", self.pid));
        // The program's name may have blanks and brackets in it.
        let (_, after_name) = stat.rsplit_once(") ").unwrap();
        after_name.split(' ').nth(19).unwrap().parse().unwrap()
    }

    /// Holds it, as if its host had stopped giving it time, or lets it go on.
    pub(crate) fn hold(self, held: bool) {
        self.send(if held { Signal::STOP } else { Signal::CONT });
    }

    /// Ends it at once.
    pub(crate) fn kill9(self) {
        self.send(Signal::KILL);
    }

    fn send(self, signal: Signal) {
        let pid = Pid::from_raw(self.pid.cast_signed()).unwrap();
        if let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) {
            let _ended_meanwhile = pidfd_send_signal(&process, signal);
        }
    }

    /// Its command line.
    pub(crate) fn arguments(self) -> Vec<String> {
        let text = self.read("cmdline").unwrap();
        text.trim_end_matches('\0').split('\0').map(str::to_owned).collect()
    }

    /// What stands behind a key in its `status`, in words.
    pub(crate) fn status(self, key: &str) -> Vec<String> {
        let status = self.read("status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let line = line.unwrap_or_else(|| panic!("no {key} in {status}"));
        line.split_whitespace().map(str::to_owned).collect()
    }

    /// A limit of its, soft and hard.
    pub(crate) fn limit(self, name: &str) -> [String; 2] {
        let limits = self.read("limits").unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in {limits}"));
        let mut words = line.split_whitespace().map(str::to_owned);
        [words.next().unwrap(), words.next().unwrap()]
    }

    /// Where each of its descriptors leads, with the octal flags it was opened with.
    pub(crate) fn descriptors(self) -> Vec<(PathBuf, u32)> {
        let flags = |number: &str| {
            let info = self.read(&format!("fdinfo/{number}"))?;
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
            u32::from_str_radix(flags.trim(), 8).ok()
        };
        let entries = fs::read_dir(format!("/proc/{}/fd", self.pid)).unwrap().flatten();
        let descriptor = |entry: fs::DirEntry| {
            Some((fs::read_link(entry.path()).ok()?, flags(entry.file_name().to_str()?)?))
        };
        entries.filter_map(descriptor).collect()
    }

    /// Its control groups, a line a hierarchy.
    pub(crate) fn cgroups(self) -> String {
        self.read("cgroup").unwrap()
    }

    fn read(self, file: &str) -> Option<String> {
        let bytes = fs::read(format!("/proc/{}/{file}", self.pid)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The processes of machines whose run folders are below this folder: each starts inside its own.
pub(crate) fn qemus_in(folder: &Path) -> Vec<Process> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_in = |process: &Process| {
        fs::read_link(format!("/proc/{}/cwd", process.pid))
            .is_ok_and(|cwd| cwd.starts_with(folder.join("run")))
    };
    pids.map(|pid| Process { pid }).filter(is_in).filter(|process| process.lives()).collect()
}

/// Every process of the daemon that keeps everything in this folder: its machines, and the servers of
/// its networks, which outlive it as they do.
pub(crate) fn of_daemon_in(folder: &Path) -> Vec<Process> {
    let mut found = qemus_in(folder);
    found.extend(servers_in(folder));
    found
}

/// The servers of DHCP and DNS of that daemon's networks.
pub(crate) fn servers_in(folder: &Path) -> Vec<Process> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let folder = folder.to_str().unwrap();
    let is_its = |process: &Process| {
        let words = fs::read_to_string(format!("/proc/{}/cmdline", process.pid));
        words.is_ok_and(|words| words.contains("dnsmasq") && words.contains(folder))
    };
    pids.map(|pid| Process { pid }).filter(is_its).filter(|process| process.lives()).collect()
}
