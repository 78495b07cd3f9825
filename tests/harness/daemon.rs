//! A daemon in a folder of its own, and what is asked of it.

use super::{
    console::Console,
    feed::Feed,
    files::{cgroups_of, guest_file},
    harm_log::Own,
    http::{Reply, Request, exchange, try_exchange},
    network::PrivateNetwork,
    process::{Process, of_daemon_in},
    wait::{BOOT, SHORT, until},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::Write,
    os::unix::{fs::chown, net::UnixStream, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The configuration of tests that need nothing else: without a probe for KVM, which takes seconds
/// where there is none.
pub(crate) const TCG: &str = "[qemu]\naccelerator = \"tcg\"\n";

/// Limits that no test comes near to.
const LIMITS: &str = "[limits]\nreads = \"100000/s\"\nwrites = \"100000/s\"\nstreams = \"100000/s\"\n\
    unauthenticated = \"100000/s\"\nvmm_standard = \"100000/s\"\nvmm_privileged = \"100000/s\"\n";

const PROGRAM: &str = env!("CARGO_BIN_EXE_inn");

/// One daemon. When it is dropped its VMs are ended, and nothing of theirs is left on the host; and all that it
/// has signalled and removed was its own.
pub(crate) struct Daemon {
    folder: TempDir,
    state: PathBuf,
    flags: Vec<String>,
    environment: Vec<(String, OsString)>,
    program: PathBuf,
    user: Option<u32>,
    network: Option<Arc<PrivateNetwork>>,
    /// Whether what it logs has a place to go to.
    is_heard: bool,
    /// Programs that it is not to find.
    hidden: Vec<PathBuf>,
    process: Option<Child>,
    /// Its processes, and those that it may signal which are not its children.
    own: Mutex<Own>,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Daemon {
    /// Starts one, and waits until it answers.
    pub(crate) fn start() -> Self {
        Self::configured(TCG)
    }

    /// Starts one with this configuration.
    pub(crate) fn configured(config: &str) -> Self {
        let mut daemon = Self::prepared(config);
        daemon.launch();
        daemon
    }

    /// Makes its folder and configuration, and starts nothing.
    pub(crate) fn prepared(config: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("inn-test-").tempdir().unwrap();
        // What is not about limits is not to be held up by any.
        let limits = if config.contains("[limits]") { "" } else { LIMITS };
        fs::write(folder.path().join("config.toml"), [config, limits].join("\n")).unwrap();
        let state = folder.path().join("state");
        let own = Own { state: state.clone(), ..Own::default() };
        Self {
            own: Mutex::new(own),
            folder,
            state,
            flags: Vec::new(),
            environment: Vec::new(),
            program: PROGRAM.into(),
            user: None,
            network: None,
            hidden: Vec::new(),
            is_heard: true,
            process: None,
        }
    }

    /// Has it started with more flags.
    #[must_use]
    pub(crate) fn with_flags(mut self, flags: &[&str]) -> Self {
        self.flags = flags.iter().map(|&flag| flag.into()).collect();
        self
    }

    /// Has it started with this in its environment.
    #[must_use]
    pub(crate) fn with_environment(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Has it run as this user, and in the user's group alone; its folder is then this user's, with the program in it,
    /// since where it was built may be closed to others.
    #[must_use]
    pub(crate) fn with_user(mut self, user: u32) -> Self {
        self.program = self.brought(PROGRAM);
        for path in [self.folder.path(), &self.folder.path().join("config.toml")] {
            chown(path, Some(user), Some(user)).unwrap();
        }
        self.user = Some(user);
        self
    }

    /// Has it started with nobody who reads its standard error.
    #[must_use]
    pub(crate) fn unheard(mut self) -> Self {
        self.is_heard = false;
        self
    }

    /// Has it run in a network of its own.
    #[must_use]
    pub(crate) fn in_network(mut self, network: &Arc<PrivateNetwork>) -> Self {
        self.network = Some(network.clone());
        self
    }

    /// Has it find none of these programs wherever programs are, from its next start on. Only as root.
    pub(crate) fn hide_programs(&mut self, names: &[&str]) {
        let path = env::var_os("PATH").unwrap_or_default();
        let usual = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
        let folders: Vec<PathBuf> = env::split_paths(&path).chain(usual).collect();
        let places = names.iter().flat_map(|name| folders.iter().map(move |at| at.join(name)));
        let mut places: Vec<PathBuf> =
            places.filter_map(|place| place.canonicalize().ok()).collect();
        places.sort();
        places.dedup();
        self.hidden = places;
    }

    /// Has it keep everything in this folder.
    #[must_use]
    pub(crate) fn with_state(mut self, state: &Path) -> Self {
        self.state = state.into();
        self.own.lock().unwrap().state = state.into();
        self
    }

    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.state.join("inn.sock")
    }

    /// A folder for a test's own files, outside the daemon's.
    pub(crate) fn scratch(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().expect("the daemon was started").id()
    }

    /// Starts the daemon, and waits until it answers.
    #[track_caller]
    pub(crate) fn launch(&mut self) {
        self.spawn();
        let socket = self.socket();
        let child = self.process.as_mut().unwrap();
        let health =
            until("the daemon's first answer", SHORT, || match child.try_wait().unwrap() {
                Some(status) => panic!("the daemon ended: {status}"),
                // A socket that a killed daemon left may still be open in a process that it was making.
                None => UnixStream::connect(&socket)
                    .and_then(|stream| try_exchange(stream, &Request::new("GET", "/healthz"))),
            });
        assert_eq!(health.ok().json(), json!({ "status": "alive" }));
    }

    /// Starts the daemon and does not wait.
    pub(crate) fn spawn(&mut self) {
        assert!(self.process.is_none(), "the daemon runs already");
        let left = of_daemon_in(&self.state).into_iter().map(|left| left.pid);
        self.own.lock().unwrap().others.extend(left);
        let log = File::options().create(true).append(true).open(self.log_file()).unwrap();
        let mut command = inn_without(&self.program, &self.hidden);
        command.arg("serve").arg("--state-dir").arg(&self.state);
        command.arg("--config").arg(self.folder.path().join("config.toml")).args(&self.flags);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(user) = self.user {
            // Without the other groups of this test's user too.
            command.uid(user).gid(user);
        }
        if let Some(network) = &self.network {
            network.enter(&mut command);
        }
        let errors = match self.is_heard {
            true => log.try_clone().unwrap(),
            false => File::options().write(true).open("/dev/full").unwrap(),
        };
        let command = command.stdout(log).stderr(errors);
        let process = command.spawn().unwrap();
        self.own.lock().unwrap().daemons.insert(process.id());
        self.process = Some(process);
    }

    /// Waits for a daemon that is to end by itself; returns how, and all that it logged.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> (ExitStatus, String) {
        let mut child = self.process.take().expect("the daemon was started");
        let ended = || child.try_wait().unwrap().ok_or("it runs");
        let status = until("the daemon's end", SHORT, ended);
        (status, self.log())
    }

    /// Ends the daemon without a word of warning.
    pub(crate) fn kill9(&mut self) {
        let mut child = self.process.take().expect("the daemon was started");
        // What it has just forked is its own, and does not look so yet. While it is held it forks no more.
        let daemon = Process { pid: child.id() };
        daemon.hold(true);
        until("the daemon is held", SHORT, || daemon.is_held().then_some(()).ok_or("it runs"));
        self.own.lock().unwrap().others.extend(daemon.children().map(|child| child.pid));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks the daemon to end, and says how it did and how long it took.
    #[track_caller]
    pub(crate) fn terminate(&mut self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        kill_process(Pid::from_raw(self.pid().cast_signed()).unwrap(), Signal::TERM).unwrap();
        let (status, _log) = self.ended();
        (status, begun.elapsed())
    }

    /// A command against this daemon, which has not been run yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = in_no_surroundings(Command::new(PROGRAM));
        // First, since what follows `--` is a program's in a guest.
        command.arg("--state-dir").arg(&self.state).args(arguments);
        command
    }

    /// Runs a command against this daemon.
    pub(crate) fn inn(&self, arguments: &[&str]) -> Finished {
        let output = self.command(arguments).output().unwrap();
        // Logs have whatever bytes the guest wrote.
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Finished { status: output.status, stdout, stderr }
    }

    /// Runs a command that is to succeed, and returns its standard output.
    #[track_caller]
    pub(crate) fn inn_ok(&self, arguments: &[&str]) -> String {
        let Finished { status, stdout, stderr } = self.inn(arguments);
        assert!(status.success(), "inn {}: {status}\n{stdout}{stderr}", arguments.join(" "));
        if let ["adopt", machine, ..] = arguments {
            self.own.lock().unwrap().others.extend(machine.parse::<u32>());
        }
        stdout
    }

    pub(crate) fn send(&self, request: &Request) -> Reply {
        exchange(UnixStream::connect(self.socket()).unwrap(), request)
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        self.send(&Request::new("GET", path)).ok().json()
    }

    /// Sends a request and waits for the end of its task, which is to succeed.
    #[track_caller]
    pub(crate) fn done(&self, request: Request) -> Value {
        let reply = self.send(&request.header("Prefer", "wait=100")).ok().json();
        assert_eq!(reply["task"]["state"], "done", "{reply}");
        reply
    }

    /// Creates a VM and returns its id.
    #[track_caller]
    pub(crate) fn create(&self, config: &Value) -> String {
        let reply = self.done(Request::new("POST", "/v1/vms").json(config));
        reply["vm"]["id"].as_str().unwrap().to_owned()
    }

    /// What the daemon says of itself.
    #[track_caller]
    pub(crate) fn diagnosis(&self) -> Value {
        self.get("/v1/diagnostics")
    }

    /// Does something to a VM, which is to succeed.
    #[track_caller]
    pub(crate) fn act(&self, vm: &str, verb: &str) {
        self.done(Request::new("POST", &format!("/v1/vms/{vm}/{verb}")));
    }

    #[track_caller]
    pub(crate) fn vm(&self, vm: &str) -> Value {
        self.get(&format!("/v1/vms/{vm}"))
    }

    /// The process of a VM that runs.
    #[track_caller]
    pub(crate) fn qemu(&self, vm: &str) -> Process {
        let vm = self.vm(vm);
        let pid = vm["incarnation"]["process"]["pid"].as_u64();
        Process { pid: pid.unwrap_or_else(|| panic!("no process: {vm}")).try_into().unwrap() }
    }

    /// A VM's run folder.
    pub(crate) fn run_folder(&self, id: &str) -> PathBuf {
        self.state.join("run/vms").join(id)
    }

    /// Waits until a VM is in a state, and nothing is being done to it.
    #[track_caller]
    pub(crate) fn wait_for_state(&self, vm: &str, state: &str) -> Value {
        until(&format!("{vm} is {state}"), BOOT, || {
            let vm = self.vm(vm);
            // Of one that has ended by itself, what is left is put away by a task that is yet to come.
            let put_away = state != "stopped" || vm["incarnation"].is_null();
            let settled = vm["state"] == state && vm["task"].is_null() && put_away;
            if settled { Ok(vm) } else { Err(format!("{} {}", vm["state"], vm["facts"])) }
        })
    }

    /// Waits until a VM's serial log has this in it, and returns the log.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, vm: &str, text: &str) -> String {
        until(&format!("{text:?} in the log of {vm}"), BOOT, || {
            let log = self.serial_log(vm);
            if log.contains(text) { Ok(log) } else { Err(log) }
        })
    }

    pub(crate) fn serial_log(&self, vm: &str) -> String {
        self.send(&Request::new("GET", &format!("/v1/vms/{vm}/logs"))).ok().text()
    }

    /// Begins to read the feed.
    #[track_caller]
    pub(crate) fn feed(&self) -> Feed {
        Feed::open(&self.socket(), None)
    }

    /// Goes on reading the feed after a position.
    pub(crate) fn feed_since(&self, position: &str) -> Feed {
        Feed::open(&self.socket(), Some(position))
    }

    pub(crate) fn console(&self, vm: &str) -> Console {
        Console::open(&self.socket(), vm)
    }

    /// Imports the sample guest that is booted directly, as the image `tiny`.
    #[track_caller]
    pub(crate) fn import_tiny(&self) {
        let mut files = ["tiny/vmlinuz", "tiny/initrd.img"].map(guest_file);
        if self.user.is_some() {
            files = files.map(|file| self.brought(&file).display().to_string());
        }
        let [kernel, initrd] = files;
        self.inn_ok(&[
            "image", "add", &kernel, "--name", "tiny", "--kind", "kernel", "--initrd", &initrd,
        ]);
    }

    /// A file in the test's own folder, which its user can come to.
    fn brought(&self, file: &str) -> PathBuf {
        let file = Path::new(file);
        let brought = self.folder.path().join(file.file_name().unwrap());
        fs::hard_link(file, &brought).or_else(|_| fs::copy(file, &brought).map(drop)).unwrap();
        brought
    }

    /// All that it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("daemon.log")
    }

    /// The control groups that this daemon's VMs may have been in.
    fn cgroups(&self) -> Vec<PathBuf> {
        let vms = fs::read_dir(self.state.join("run/vms")).into_iter().flatten().flatten();
        vms.flat_map(|vm| cgroups_of(vm.file_name())).filter(|group| group.exists()).collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.process.take() {
            // Harder than necessary, but it leaves the daemon no time to see its VMs die.
            let _has_ended = child.kill();
            let _is_reaped = child.wait();
        }
        let begun = Instant::now();
        let mut left = (of_daemon_in(&self.state), self.cgroups());
        while left != (Vec::new(), Vec::new()) && begun.elapsed() < SHORT {
            left.0.iter().for_each(|qemu| qemu.kill9());
            // Refused for as long as a thread of the process is in it.
            left.1.iter().for_each(|group| drop(fs::remove_dir(group)));
            thread::sleep(Duration::from_millis(10));
            left = (of_daemon_in(&self.state), self.cgroups());
        }
        if thread::panicking() {
            say(&format!("--- the daemon's log\n{}---", self.log()));
        } else {
            assert_eq!(left, (Vec::new(), Vec::new()), "what cannot be ended");
            let harmed = self.own.lock().unwrap().not_among(&self.harm());
            assert!(harmed.is_empty(), "not its own: {harmed:#?}\n{:#?}", self.own);
        }
    }
}

/// This program, which sees none in these places.
fn inn_without(program: &Path, places: &[PathBuf]) -> Command {
    if places.is_empty() {
        return in_no_surroundings(Command::new(program));
    }
    let hide = |place: &PathBuf| format!("mount --bind /dev/null {} && ", place.display());
    let hide: String = places.iter().map(hide).collect();
    // In place of itself each time, so that its process is the daemon's.
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c"]);
    command.arg(format!("{hide}exec \"$0\" \"$@\"")).arg(program);
    in_no_surroundings(command)
}

/// In surroundings that say nothing about where daemons are.
fn in_no_surroundings(mut command: Command) -> Command {
    for variable in ["INN_STATE_DIR", "INN_SOCKET", "NOTIFY_SOCKET"] {
        command.env_remove(variable);
    }
    command.env("NO_COLOR", "1");
    command
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether a test of what only root can do has to be left out, which is then said.
pub(crate) fn skip_without_root(what: &str) -> bool {
    if !is_root() {
        say(&format!("SKIPPED, since it needs root: {what}"));
    }
    !is_root()
}

/// Says something past the test harness, which keeps what is printed by tests that pass.
pub(crate) fn say(text: &str) {
    let _nobody_reads = writeln!(std::io::stderr(), "{text}");
}
