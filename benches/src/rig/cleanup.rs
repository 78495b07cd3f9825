//! Nothing stays behind.
//!
//! Every process that a row starts and every folder that it makes is on one list. A row that ends in
//! any way drops its handles, which takes them off the list and away; an interruption takes away all
//! that is on the list, and ends the program. Guests are no children of this program, since they
//! outlive their daemon: they are found by the records in the daemon's run folders; and so do the servers
//! of networks, which are found by their command lines.

use crate::report;
use anyhow::{Context, bail};
use innkeeper_model::{Incarnation, ProcessIdentity};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};
use tokio::signal::unix::{SignalKind, signal};

/// How long everything may take; a run that hangs ends by itself.
const WHOLE_RUN: Duration = Duration::from_secs(40 * 60);
/// How long the kernel may take to end a guest that was killed.
const DIES_WITHIN: Duration = Duration::from_secs(10);
/// How long a folder may take to be removed.
const REMOVED_WITHIN: Duration = Duration::from_secs(5);
/// How often a process is looked at that is waited for.
const LOOKS_EVERY: Duration = Duration::from_millis(5);

static LIST: Mutex<List> =
    Mutex::new(List { ended: false, children: BTreeMap::new(), folders: Vec::new() });

struct List {
    /// The program is ending: nothing new is begun.
    ended: bool,
    children: BTreeMap<u32, Child>,
    folders: Vec<PathBuf>,
}

fn list() -> MutexGuard<'static, List> {
    // Each change of the list is one call on a map or vector.
    LIST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child process; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
}

impl Process {
    /// Starts a program.
    pub(crate) fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let mut list = list();
        if list.ended {
            bail!("interrupted");
        }
        let child = command
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().display()))?;
        let pid = child.id();
        list.children.insert(pid, child);
        Ok(Self { pid })
    }

    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    /// What the program writes, if its command said that it is piped; once.
    pub(crate) fn output(&self) -> anyhow::Result<std::process::ChildStdout> {
        let mut list = list();
        let child = list.children.get_mut(&self.pid);
        child.and_then(|child| child.stdout.take()).context("its output is not piped")
    }

    /// What the program reads, if its command said that it is piped; once.
    pub(crate) fn input(&self) -> anyhow::Result<std::process::ChildStdin> {
        let mut list = list();
        let child = list.children.get_mut(&self.pid);
        child.and_then(|child| child.stdin.take()).context("its input is not piped")
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&self) -> io::Result<Option<ExitStatus>> {
        match list().children.get_mut(&self.pid) {
            Some(child) => child.try_wait(),
            None => Ok(None),
        }
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&self, at_most: Duration) -> anyhow::Result<ExitStatus> {
        let mut ended = None;
        wait_until(at_most, "a program's end", || {
            ended = self.ended()?;
            Ok(ended.is_some())
        })?;
        ended.context("a program that has ended has a status")
    }

    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).context("a pid")?;
        // Not waited for yet, so the pid is still its own.
        Ok(rustix::process::kill_process(pid, signal)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = list().children.remove(&self.pid) {
            end(&mut child);
        }
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself.
    let _already_gone = child.kill();
    let _reaped = child.wait();
}

/// The state folder of a daemon in a row's folder, where there is one.
pub(crate) const STATE: &str = "state";

/// A folder of a row's own; dropping it removes it, and ends the guests whose records are in it.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes one among these.
    pub(crate) fn new(among: &Path) -> anyhow::Result<Self> {
        let path = tempfile::Builder::new().prefix("row-").tempdir_in(among)?.keep();
        list().folders.push(path.clone());
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        remove(&self.path);
        list().folders.retain(|folder| *folder != self.path);
    }
}

fn remove(folder: &Path) {
    let state = folder.join(STATE);
    let outcome = end_guests(&state).and_then(|()| end_servers(&state)).and_then(|()| {
        // A row that is interrupted may still be filling it.
        wait_until(REMOVED_WITHIN, "its removal", || {
            Ok(fs::remove_dir_all(folder).is_ok() || !folder.exists())
        })
    });
    if let Err(error) = outcome {
        report::problem(&error.context(format!("cannot clean up {}", folder.display())));
    }
}

/// Ends the guests of a daemon that has ended, and removes their control groups.
fn end_guests(state: &Path) -> anyhow::Result<()> {
    let Ok(folders) = fs::read_dir(state.join("run/vms")) else { return Ok(()) };
    let groups = control_groups();
    for folder in folders {
        let folder = folder?;
        if let Ok(record) = fs::read(folder.path().join("incarnation.json")) {
            let incarnation: Incarnation = serde_json::from_slice(&record)?;
            incarnation.process.map_or(Ok(()), end_guest)?;
        }
        for group in &groups {
            // Most are not there, or were removed by the daemon.
            let _not_there = fs::remove_dir(group.join(folder.file_name()));
        }
    }
    Ok(())
}

/// Ends the servers of networks, which outlive their daemon as guests do: by their command lines, which
/// have the path of a file in its folder.
fn end_servers(state: &Path) -> anyhow::Result<()> {
    if !state.join("run/networks").exists() {
        return Ok(());
    }
    for process in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Taken before it is asked whose it is, so that it is of the same process.
        let Some(start_ticks) = start_ticks(pid) else { continue };
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        if line.contains("dnsmasq") && line.contains(&*state.to_string_lossy()) {
            end_guest(ProcessIdentity { pid, start_ticks })?;
        }
    }
    Ok(())
}

fn end_guest(identity: ProcessIdentity) -> anyhow::Result<()> {
    let Some(process) = send_signal(identity, Signal::KILL)? else { return Ok(()) };
    let timeout = Timespec { tv_sec: DIES_WITHIN.as_secs().try_into()?, tv_nsec: 0 };
    poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&timeout))?;
    Ok(())
}

/// Sends a guest's process a signal, and gives its pidfd; nothing where it has ended.
pub(crate) fn send_signal(
    identity: ProcessIdentity,
    signal: Signal,
) -> anyhow::Result<Option<OwnedFd>> {
    let pid = i32::try_from(identity.pid).ok().and_then(Pid::from_raw).context("a pid")?;
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(None) };
    // Read after the pidfd was opened, so that it is about the same process.
    if start_ticks(identity.pid) != Some(identity.start_ticks) {
        return Ok(None);
    }
    let _already_gone = pidfd_send_signal(&process, signal);
    Ok(Some(process))
}

/// Field 22 of proc_pid_stat(5), counted from the end of the program's name, which may have spaces.
fn start_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Where the daemon makes a control group for each VM.
fn control_groups() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let folder = |line: &str| {
        let mut fields = line.split(' ').skip(1);
        let (folder, kind) = (fields.next()?, fields.next()?);
        kind.starts_with("cgroup").then(|| Path::new(folder).join("innkeeper"))
    };
    mounts.lines().filter_map(folder).collect()
}

/// From now on an interruption, or a run that takes too long, takes everything away.
pub(crate) fn on_interruption() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let guard = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    drop(guard);
    let watch = async move {
        tokio::select! {
            _ = interrupt.recv() => "interrupted",
            _ = terminate.recv() => "told to end",
            _ = hang_up.recv() => "left alone",
            () = tokio::time::sleep(WHOLE_RUN) => "this takes too long",
        }
    };
    thread::Builder::new().name("interruption".into()).spawn(move || {
        let why = runtime.block_on(watch);
        report::progress(why);
        take_all_away();
        // As shells say of a program that Ctrl-C ended.
        std::process::exit(130);
    })?;
    Ok(())
}

fn take_all_away() {
    let mut list = list();
    list.ended = true;
    // Daemons first, so that no guest is started behind our back.
    list.children.values_mut().for_each(end);
    list.children.clear();
    list.folders.iter().for_each(|folder| remove(folder));
}

/// Waits for a condition that is looked at again and again.
pub(crate) fn wait_until(
    at_most: Duration,
    what: &str,
    mut reached: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let end = Instant::now() + at_most;
    loop {
        if reached()? {
            return Ok(());
        }
        if Instant::now() > end {
            bail!("{what} did not happen within {at_most:?}");
        }
        thread::sleep(LOOKS_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_gone() {
        let among = tempfile::tempdir().unwrap();
        let folder = Folder::new(among.path()).unwrap();
        let path = folder.path().to_owned();
        fs::write(path.join("file"), "x").unwrap();
        let process = Process::spawn(Command::new("sleep").arg("600")).unwrap();
        let pid = process.pid();
        drop((folder, process));
        assert!(!path.exists());
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_guest_is_found_by_its_record_and_a_stranger_with_its_pid_is_spared() {
        let mut guest = Command::new("sleep").arg("600").spawn().unwrap();
        let ticks = start_ticks(guest.id()).unwrap();
        end_guest(ProcessIdentity { pid: guest.id(), start_ticks: ticks + 1 }).unwrap();
        assert!(guest.try_wait().unwrap().is_none());
        end_guest(ProcessIdentity { pid: guest.id(), start_ticks: ticks }).unwrap();
        assert!(!guest.wait().unwrap().success());
    }
}
