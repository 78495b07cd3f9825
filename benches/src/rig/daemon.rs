//! The real daemon, in a folder of its own.

use crate::{
    bench::Bench,
    rig::{
        api::Api,
        cleanup::{self, Folder, Process},
        http::{Address, Connection},
    },
};
use anyhow::{Context, ensure};
use rustix::process::Signal;
use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// How long a daemon may take until it serves.
const SERVES_WITHIN: Duration = Duration::from_secs(30);
/// How long it may take to end when it is told to.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// How often is looked whether it serves already; what is measured in tens of milliseconds is told
/// apart by this.
const LOOKS_EVERY: Duration = Duration::from_micros(200);

/// One caller asks as often as it can. The requests are counted as ever, and more than come are allowed.
const LIMITS: &str = "[limits]\nreads = \"1000000/s\"\nwrites = \"1000000/s\"\nstreams = \"1000000/s\"\n\
    unauthenticated = \"1000000/s\"\nvmm_standard = \"1000000/s\"\nvmm_privileged = \"1000000/s\"\n";

/// A state folder, and files for its guests. It outlives its daemons; their guests end with it.
#[derive(Debug)]
pub(crate) struct State {
    folder: Folder,
    path: PathBuf,
    inn: PathBuf,
}

impl State {
    /// An empty one. VMs may use the files of the sample guests and those in [`State::files`].
    pub(crate) fn new(bench: &Bench) -> anyhow::Result<Self> {
        Self::with_driver(bench, "qemu")
    }

    /// An empty one for simulated VMs, as many as there may be.
    pub(crate) fn simulated(bench: &Bench) -> anyhow::Result<Self> {
        let state = Self::with_driver(bench, "sim")?;
        state.configure("[capacity]\nmemory_percent = 1000000\n")?;
        Ok(state)
    }

    fn with_driver(bench: &Bench, driver: &str) -> anyhow::Result<Self> {
        let folder = Folder::new(&bench.scratch)?;
        let path = folder.path().join(cleanup::STATE);
        let state = Self { folder, path, inn: bench.inn.clone() };
        for made in [&state.path, &state.files()] {
            fs::create_dir(made)?;
        }
        let allowed = [&bench.guests, &state.files()].map(|path| format!("{path:?}")).join(", ");
        let driver = format!("driver = \"{driver}\"\nlog_level = \"warn\"\n");
        let config = format!("{driver}[storage]\nallowed_paths = [{allowed}]\n{LIMITS}");
        fs::write(state.config(), config)?;
        Ok(state)
    }

    /// Has the limits of its next daemons be those of one that was told nothing of any.
    pub(crate) fn limit_as_by_default(&self) -> anyhow::Result<()> {
        let config = fs::read_to_string(self.config())?;
        Ok(fs::write(self.config(), config.replacen(LIMITS, "[limits]\n", 1))?)
    }

    /// Adds keys to what the configuration of its next daemons says of limits.
    pub(crate) fn configure_limits(&self, keys: &str) -> anyhow::Result<()> {
        let config = fs::read_to_string(self.config())?;
        let limits = format!("[limits]\n{keys}");
        Ok(fs::write(self.config(), config.replacen("[limits]\n", &limits, 1))?)
    }

    /// Adds sections to the configuration of its next daemons.
    pub(crate) fn configure(&self, sections: &str) -> anyhow::Result<()> {
        let config = fs::read_to_string(self.config())? + sections;
        Ok(fs::write(self.config(), config)?)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of files for guests.
    pub(crate) fn files(&self) -> PathBuf {
        self.folder.path().join("files")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("daemon.log")
    }

    /// The daemon's unix socket.
    pub(crate) fn address(&self) -> Address {
        Address::Unix(self.socket())
    }

    /// The path of it.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path().join("inn.sock")
    }

    /// A command of `inn`'s that asks this folder's daemon.
    pub(crate) fn inn(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.inn);
        command.env("INN_STATE_DIR", self.path()).env_remove("INN_SOCKET").args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

/// A daemon; dropping it kills it, which leaves its guests to [`State`].
#[derive(Debug)]
pub(crate) struct Daemon {
    process: Process,
    unix: Address,
    tcp: SocketAddr,
    token_file: PathBuf,
    log: PathBuf,
}

impl Daemon {
    /// Starts one, and waits until it serves.
    pub(crate) fn start(state: &State) -> anyhow::Result<Self> {
        let daemon = Self::execute(state)?;
        daemon.wait_until(SERVES_WITHIN, |api| {
            api.get("/v1/host").map(|_: serde_json::Value| true)
        })?;
        Ok(daemon)
    }

    /// Starts one, and says how long it took until a first answer said what `serves` wants to hear.
    pub(crate) fn start_timed(
        state: &State,
        serves: impl FnMut(&mut Api) -> anyhow::Result<bool>,
    ) -> anyhow::Result<(Self, Duration)> {
        let started = Instant::now();
        let daemon = Self::execute(state)?;
        daemon.wait_until(SERVES_WITHIN, serves)?;
        Ok((daemon, started.elapsed()))
    }

    fn execute(state: &State) -> anyhow::Result<Self> {
        let tcp = free_port()?;
        let path = state.path();
        // What a daemon before left would be connected to in vain.
        let _not_there = fs::remove_file(state.socket());
        let log = File::options().create(true).append(true).open(state.log())?;
        let mut command = state.inn(&["serve", "--config"]);
        command.arg(state.config()).arg("--listen").arg(tcp.to_string()).stderr(log);
        let process = Process::spawn(&mut command)?;
        Ok(Self {
            process,
            unix: state.address(),
            tcp,
            token_file: path.join("token"),
            log: state.log(),
        })
    }

    fn wait_until(
        &self,
        at_most: Duration,
        mut reached: impl FnMut(&mut Api) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let end = Instant::now() + at_most;
        let mut api = None;
        loop {
            if api.is_none() {
                api = Api::open(&self.unix).ok();
            }
            if let Some(api) = &mut api
                && reached(api)?
            {
                return Ok(());
            }
            ensure!(Instant::now() < end, "the daemon does not serve within {at_most:?}");
            ensure!(self.process.ended()?.is_none(), "the daemon ended: {}", self.log());
            std::thread::sleep(LOOKS_EVERY);
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) const fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) const fn unix(&self) -> &Address {
        &self.unix
    }

    /// A connection for what is not measured.
    pub(crate) fn api(&self) -> anyhow::Result<Api> {
        Api::open(&self.unix)
    }

    /// The address on TCP, with the token.
    pub(crate) fn tcp(&self) -> anyhow::Result<Address> {
        let token = fs::read_to_string(&self.token_file).context("the token")?;
        Ok(Address::Tcp(self.tcp, Some(token.trim().into())))
    }

    /// Ends it as a service manager would.
    pub(crate) fn terminate(self) -> anyhow::Result<()> {
        self.process.signal(Signal::TERM)?;
        self.process.wait(ENDS_WITHIN).map(|_| ())
    }

    /// Ends it as nobody should: `kill -9`.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Reads one VM, and gives back the bytes of the answer's body.
pub(crate) fn body_of(address: &Address, path: &str) -> anyhow::Result<Vec<u8>> {
    let answer = Connection::open(address)?.ask("GET", path, "", "")?;
    ensure!(answer.status == 200, "GET {path}: {}", answer.status);
    Ok(answer.body)
}
