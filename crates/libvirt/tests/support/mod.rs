//! A libvirt of the tests' own: started by a test, in its own folders, as a user who can touch nothing
//! of the machine's, and gone with the test.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test that includes this uses a part of it"
)]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

pub(crate) mod own;
pub(crate) mod telling;

use own::{Own, QEMU};
use std::{
    fs,
    io::Write,
    os::unix::net::UnixStream,
    path::PathBuf,
    process::Child,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long anything may take that takes milliseconds; a bound for what is broken, not a measure.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// How often something is looked at that tells nobody.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A running libvirtd. Dropping it ends it and all of its machines.
pub(crate) struct Daemon {
    own: Own,
    child: Option<Child>,
    _folder: TempDir,
}

impl Daemon {
    /// Starts one that has these domains defined.
    pub(crate) fn start_with(domains: impl IntoIterator<Item = (String, String)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = Own::make(folder.path(), domains).unwrap();
        let mut daemon = Self { own, child: None, _folder: folder };
        daemon.run();
        daemon
    }

    /// Starts one without domains.
    pub(crate) fn start() -> Self {
        Self::start_with([])
    }

    /// A place in its folder.
    pub(crate) fn path(&self, part: &str) -> PathBuf {
        self.own.path(part)
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.own.socket()
    }

    /// Starts it, in place of one that was ended.
    pub(crate) fn run(&mut self) {
        self.launch();
        let answers = || self.try_virsh(QEMU, &["version"]).is_ok();
        assert!(eventually(answers), "{}", fs::read_to_string(self.own.log()).unwrap());
    }

    /// Starts one that asks its callers who they are in this way, in place of one that was ended.
    pub(crate) fn run_asking(&mut self, way: &str) {
        self.own.authenticate_by(way).unwrap();
        self.launch();
        let listens = || UnixStream::connect(self.socket()).is_ok();
        assert!(eventually(listens), "{}", fs::read_to_string(self.own.log()).unwrap());
    }

    fn launch(&mut self) {
        let mut command = self.own.libvirtd().unwrap();
        self.child = Some(command.spawn().expect("libvirtd is installed (scripts/setup)"));
    }

    /// Ends it, as `kill -9` does; its machines stay.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Has virsh do something with QEMU's domains, and gives what it prints.
    pub(crate) fn virsh(&self, arguments: &[&str]) -> String {
        self.virsh_at(QEMU, arguments)
    }

    /// The same with another driver of libvirt's.
    pub(crate) fn virsh_at(&self, driver: &str, arguments: &[&str]) -> String {
        self.try_virsh(driver, arguments).unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_virsh(&self, driver: &str, arguments: &[&str]) -> Result<String, String> {
        let output = self.own.virsh(driver).args(arguments).output();
        let output = output.expect("virsh is installed (scripts/setup)");
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout).unwrap()),
            false => Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr))),
        }
    }

    /// Has virsh define a domain.
    pub(crate) fn define(&self, driver: &str, xml: &str) {
        let file = self.path("domain.xml");
        fs::write(&file, xml).unwrap();
        self.virsh_at(driver, &["define", file.to_str().unwrap()]);
    }

    /// The pids of the machines that it has started.
    fn machines(&self) -> Vec<i32> {
        let files = fs::read_dir(self.path("run/libvirt/qemu/run")).into_iter().flatten().flatten();
        let pids = files.filter(|file| file.file_name() != "driver.pid");
        let pids = pids.filter(|file| file.path().extension().is_some_and(|end| end == "pid"));
        pids.filter_map(|file| fs::read_to_string(file.path()).ok()?.trim().parse().ok()).collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        for pid in self.machines() {
            kill_9(pid);
        }
    }
}

/// Whether a test has to be left out, since there is no libvirt on this machine; which is then said. A
/// machine that tests for others (`CI=true`) leaves out nothing.
pub(crate) fn skip_without_libvirt(what: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/sbin".into(), "/sbin".into()]);
    let is_there = |program: &str| folders.iter().any(|folder| folder.join(program).is_file());
    let lacks = !(is_there("libvirtd") && is_there("virsh"));
    let why = "libvirt is not installed (`scripts/setup --test` does it)";
    assert!(!(lacks && std::env::var("CI").is_ok_and(|ci| ci == "true")), "{why}");
    if lacks {
        // Past the test harness, which keeps what is printed by tests that pass.
        let _nobody_reads = writeln!(std::io::stderr(), "SKIPPED, since {why}: {what}");
    }
    lacks
}

/// Ends a process at once.
pub(crate) fn kill_9(pid: i32) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _gone = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// Whether something becomes true before the deadline.
pub(crate) fn eventually(mut is_true: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < DEADLINE {
        if is_true() {
            return true;
        }
        thread::sleep(LOOK_EVERY);
    }
    false
}
