//! A network's dnsmasq as a process: found, started, signalled and ended.
//!
//! It outlives the daemon. What names it is its command line, which holds the path of its configuration, a
//! path of this daemon's own; so one whose start the daemon did not live to see is found like any other. Since
//! anybody can write such a line, it counts only of a process that is of a user whom servers run as. It is
//! signalled through a pidfd only, taken before its command line was looked at.

use super::{accounts, programs};
use crate::dnsmasq::Files;
use innkeeper_model::{Code, Refusal};
use innkeeper_store::harm;
use rustix::{
    fd::OwnedFd,
    process::{Pid, PidfdFlags, Signal, pidfd_open},
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::Path,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::unix::AsyncFd,
    process::{Child, Command},
    time::{sleep, timeout},
};
use tracing::info;

/// How long one may take to have its sockets; a busy host takes seconds.
const START_WITHIN: Duration = Duration::from_secs(10);
/// How often it is looked for what it writes once it has them.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How long one that was asked to end may take.
const END_WITHIN: Duration = Duration::from_secs(3);

/// A dnsmasq that runs, or has just ended.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) pid: u32,
    pub(super) since: Instant,
    /// Readable once it has ended.
    pidfd: Arc<AsyncFd<OwnedFd>>,
    /// It, where this daemon started it, to be reaped.
    child: Option<Child>,
}

impl Server {
    /// Those that run with a configuration of this name in a folder of this one, by that folder's name;
    /// one each, but for a fault, the oldest first. Processes of other users than these are not believed.
    pub(super) fn find(folder: &Path, config: &str, users: &[u32]) -> BTreeMap<String, Vec<Self>> {
        let mut found: BTreeMap<String, Vec<Self>> = BTreeMap::new();
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let mut pids: Vec<u32> =
            processes.filter_map(|process| process.file_name().to_str()?.parse().ok()).collect();
        pids.sort_unstable();
        for pid in pids {
            let whose = || {
                let whose = configured(pid, folder, config)?;
                accounts::of_process(pid).filter(|user| users.contains(user)).map(|_| whose)
            };
            let Some(found_as) = whose() else { continue };
            let Ok(pidfd) = open(pid) else { continue };
            // Looked at again, now that the number cannot become another process's unseen.
            if whose().as_ref() == Some(&found_as) {
                let server = Self { pid, since: Instant::now(), pidfd, child: None };
                found.entry(found_as).or_default().push(server);
            }
        }
        found
    }

    /// Starts one, and waits until it has its sockets. Dropped before that, or failed, it is killed.
    ///
    /// # Errors
    /// dnsmasq is missing, or ended at once, with its last words: [`Code::InUse`] where another program has a port
    /// that it needs.
    pub(super) async fn start(files: &Files) -> Result<Self, Refusal> {
        match harm::remove_file(&files.pid) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let child = Command::new(programs::dnsmasq()?)
            .arg("--keep-in-foreground")
            .arg(format!("{CONF_FILE}{}", files.config.display()))
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&files.log)?)
            .process_group(0)
            .spawn()?;
        let pid = child.id().unwrap_or_default();
        let pidfd = open(pid)?;
        let server = Unready(Some(Self { pid, since: Instant::now(), pidfd, child: Some(child) }));
        let ready = async {
            // In the foreground dnsmasq tells by this file alone that it is ready; `START_WITHIN` bounds it.
            while !fs::read(&files.pid).is_ok_and(|written| !written.is_empty()) {
                sleep(LOOK_EVERY).await;
            }
        };
        let ready = tokio::select! {
            () = server.ended() => None,
            outcome = timeout(START_WITHIN, ready) => Some(outcome),
        };
        match ready {
            Some(Ok(())) => {
                info!(pid, config = %files.config.display(), "dnsmasq answers");
                return server.into_ready();
            }
            Some(Err(_)) => {
                let message = "dnsmasq does not come to have its sockets";
                return Err(Refusal::new(Code::Timeout, message));
            }
            None => {}
        }
        Err(refusal_of(&fs::read_to_string(&files.log).unwrap_or_default()))
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        let mut poll = [rustix::event::PollFd::new(&*self.pidfd, rustix::event::PollFlags::IN)];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut poll, Some(&now)).is_ok_and(|count| count > 0)
    }

    /// What is readable once it has ended.
    pub(super) fn pidfd(&self) -> Arc<AsyncFd<OwnedFd>> {
        self.pidfd.clone()
    }

    /// Has it read its lists again.
    pub(super) fn reload(&self) {
        self.signal(Signal::HUP, "its lists have changed");
    }

    /// Ends it, and waits until it has: it keeps its ports until then.
    pub(super) async fn end(mut self, why: &str) -> Result<(), Refusal> {
        self.signal(Signal::TERM, why);
        if timeout(END_WITHIN, self.ended()).await.is_err() {
            self.signal(Signal::KILL, "it did not end when it was asked to");
            if timeout(END_WITHIN, self.ended()).await.is_err() {
                let message = format!("dnsmasq (pid {}) does not end", self.pid);
                return Err(Refusal::new(Code::Timeout, message));
            }
        }
        if let Some(child) = &mut self.child {
            let _ = child.wait().await;
        }
        Ok(())
    }

    /// Waits until it has ended.
    async fn ended(&self) {
        let _ = self.pidfd.readable().await;
    }

    fn signal(&self, signal: Signal, why: &str) {
        if let Some(pid) = as_pid(self.pid) {
            harm::signal(&*self.pidfd, pid, signal, why);
        }
    }
}

/// One that is being started: dropped, it is killed.
struct Unready(Option<Server>);

impl Unready {
    async fn ended(&self) {
        if let Some(server) = &self.0 {
            server.ended().await;
        }
    }

    fn into_ready(mut self) -> Result<Server, Refusal> {
        self.0.take().ok_or_else(|| Refusal::new(Code::Internal, "a dnsmasq was taken twice"))
    }
}

impl Drop for Unready {
    fn drop(&mut self) {
        if let Some(server) = self.0.take().filter(|server| !server.has_ended()) {
            // The runtime reaps it.
            server.signal(Signal::KILL, "nobody waits for it to start any more");
        }
    }
}

/// Why dnsmasq does not answer, by all that it said.
fn refusal_of(words: &str) -> Refusal {
    let last = words.trim_end().lines().last().unwrap_or("it said nothing");
    let last = last.trim_start_matches("dnsmasq: ");
    let message = format!("dnsmasq cannot answer DHCP and DNS: {last}");
    // As the C library calls it where no language is set, and none is for dnsmasq.
    if last.ends_with("Address already in use") {
        return Refusal::new(Code::InUse, message)
            .with_hint("`ss -lntup` shows which program has port 53, 67 or 547");
    }
    Refusal::new(Code::Internal, message)
}

/// The argument that names the configuration.
const CONF_FILE: &str = "--conf-file=";

fn as_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

fn open(pid: u32) -> io::Result<Arc<AsyncFd<OwnedFd>>> {
    let pid = as_pid(pid).ok_or(io::ErrorKind::NotFound)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    // SAFETY: the `AsyncFd` owns the descriptor, and nothing takes it out or closes it before.
    Ok(Arc::new(unsafe { AsyncFd::register(pidfd)? }))
}

/// The folder of the configuration that this process was started with, if it is a dnsmasq that leads its
/// group. What dnsmasq forks to answer a question over TCP is like it but for that.
fn configured(pid: u32, folder: &Path, config: &str) -> Option<String> {
    let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let mut words = words.split(|byte| *byte == 0);
    if !words.next()?.ends_with(b"dnsmasq") {
        return None;
    }
    let path = words.find_map(|word| str::from_utf8(word).ok()?.strip_prefix(CONF_FILE))?;
    let whose = Path::new(path).strip_prefix(folder).ok()?;
    let whose = whose.parent().filter(|_| whose.file_name().is_some_and(|name| name == config))?;
    (group_of(pid) == Some(pid)).then(|| whose.to_str().map(ToOwned::to_owned))?
}

/// The process group of a process: the third word after its name, which is in parentheses.
fn group_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;

    /// Looks like a server, and ends with its input.
    fn lookalike(folder: &Path) -> std::process::Child {
        std::process::Command::new("/bin/sh")
            .arg0("/usr/sbin/dnsmasq")
            .args(["-c", "read line"])
            .arg(format!("{CONF_FILE}{}", folder.join("lan/dnsmasq.conf").display()))
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap()
    }

    #[test]
    fn who_has_a_port_is_told_from_other_troubles() {
        let told = |words| refusal_of(words).code;
        let bound =
            "\ndnsmasq: failed to create listening socket for 10.87.0.1: Address already in use\n";
        assert_eq!(told(bound), Code::InUse);
        assert!(refusal_of(bound).message.ends_with(
            "DNS: failed to create listening socket for 10.87.0.1: Address already in use"
        ));
        assert_eq!(told("dnsmasq: bad option at line 3 of a file\n"), Code::Internal);
        assert_eq!(told(""), Code::Internal);
    }

    #[tokio::test]
    async fn a_process_is_believed_to_be_a_server_only_of_those_whom_servers_run_as() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = lookalike(folder.path());
        let me = accounts::of_process(std::process::id()).unwrap();
        let find = |users: &[u32]| {
            let found = Server::find(folder.path(), "dnsmasq.conf", users);
            found.values().flatten().map(|server| server.pid).collect::<Vec<_>>()
        };
        // The kernel lets `spawn` return a moment before it shows the new program's arguments.
        let until = Instant::now() + Duration::from_secs(10);
        let mut believed = find(&[me + 1, me]);
        while believed.is_empty() && Instant::now() < until {
            tokio::task::yield_now().await;
            believed = find(&[me + 1, me]);
        }
        let others = find(&[me + 1]);
        drop(process.stdin.take());
        process.wait().unwrap();
        assert_eq!(believed, [process.id()]);
        assert!(others.is_empty(), "somebody else's process would be adopted: {others:?}");
    }
}
