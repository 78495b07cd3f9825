//! What the daemon is started with: configuration, flags and defaults put together and checked.

mod doors;
mod listen;

pub(crate) use doors::DoorFlag;
pub use doors::{AnonymousDoor, DoorOptions, VmmDoor};
pub use listen::ListenAddress;

use crate::{
    config::{
        Accelerator, AuditConfig, CapacityConfig, Config, Driver, HooksConfig, LibvirtConfig,
        LimitsConfig, NetworksConfig, OidcConfig, ProxiesConfig, QemuConfig, QuotaConfig,
        SimConfig, StorageConfig, TlsConfig, UidRange, WalletsConfig,
    },
    failure::Failure,
    folders::{DIAGNOSE_SOCKET, Surroundings},
};
use innkeeper_auth::oidc::Issuers;
use innkeeper_model::{ByteSize, Code, ProjectName, Refusal};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// The longest path of a unix socket, in bytes: what the kernel's `sun_path` holds with its end.
const MAX_SOCKET_PATH: usize = 107;

/// What the daemon is started with. All paths are absolute; nothing has been looked for or made yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonOptions {
    /// The folder of what must not be lost.
    pub state_dir: PathBuf,
    /// The folder of what lives until the host's next boot.
    pub runtime_dir: PathBuf,
    /// The unix socket of the API.
    pub socket: PathBuf,
    /// The group that may use the socket, where the daemon is root and there is such a group.
    pub socket_group: String,
    /// TCP addresses to serve the API on too: loopback addresses, or with TLS.
    pub listen: Vec<ListenAddress>,
    /// TLS.
    pub tls: TlsConfig,
    /// Proxies that stand before the TCP listeners.
    pub proxies: ProxiesConfig,
    /// The doors that are open.
    pub doors: DoorOptions,
    /// The database of hosts that the door of chypervisord shows.
    pub registry: PathBuf,
    /// What runs the VMs.
    pub driver: Driver,
    /// QEMU's system emulator: a name on the path, or a path.
    pub qemu_program: String,
    /// What runs guests' instructions.
    pub accelerator: Accelerator,
    /// The user ids that VMs run as, where the daemon is root and somebody chose them.
    pub vm_uids: Option<UidRange>,
    /// The folder of images and disks.
    pub pool: PathBuf,
    /// Folders whose files VMs may use by path.
    pub allowed_paths: Vec<PathBuf>,
    /// The largest disk that an image may describe, and a VM may have.
    pub max_virtual_size: ByteSize,
    /// The most bytes that one import may bring in.
    pub max_import_size: ByteSize,
    /// Whether imports by URL may connect to addresses that are not public.
    pub allow_private_urls: bool,
    /// How much the daemon remembers.
    pub limits: LimitsConfig,
    /// The audit.
    pub audit: AuditConfig,
    /// How much of this host VMs may take.
    pub capacity: CapacityConfig,
    /// How much of it projects may.
    pub quota: BTreeMap<ProjectName, QuotaConfig>,
    /// How much of it all projects may that nobody said anything of.
    pub default_quota: QuotaConfig,
    /// Whether a network is made at the first start.
    pub make_default_network: bool,
    /// Ethereum accounts that are let in.
    pub wallets: WalletsConfig,
    /// OpenID Connect issuers whose tokens are taken.
    pub oidc: Vec<OidcConfig>,
    /// libvirt; its socket is an absolute path.
    pub libvirt: LibvirtConfig,
    /// The folder of the operator's executables.
    pub hooks: PathBuf,
    /// How long one of them may take.
    pub hook_deadline: Duration,
    /// The simulator.
    pub sim: SimConfig,
    /// How much is logged, as `tracing_subscriber::EnvFilter` reads it.
    pub log_level: String,
}

impl DaemonOptions {
    /// The folder of the VMs' specs.
    pub fn specs_dir(&self) -> PathBuf {
        specs_dir(&self.state_dir)
    }

    /// The folder of the networks' records.
    pub fn networks_dir(&self) -> PathBuf {
        self.state_dir.join("networks")
    }

    /// The folder of the quotas that projects have of their own.
    pub fn projects_dir(&self) -> PathBuf {
        self.state_dir.join("projects")
    }

    /// The folder of what guests of networks took up by DHCP.
    pub fn leases_dir(&self) -> PathBuf {
        self.state_dir.join("leases")
    }

    /// The folder of the journal.
    pub fn journal_dir(&self) -> PathBuf {
        self.state_dir.join("journal")
    }

    /// The folder of the audit.
    pub fn audit_dir(&self) -> PathBuf {
        self.state_dir.join("audit")
    }

    /// The database of ended tasks.
    pub fn tasks_file(&self) -> PathBuf {
        self.state_dir.join("tasks.redb")
    }

    /// The file of this host's id.
    pub fn host_id_file(&self) -> PathBuf {
        self.state_dir.join("host-id")
    }

    /// The socket that answers a diagnosis and nothing else.
    pub fn diagnose_socket(&self) -> PathBuf {
        self.runtime_dir.join(DIAGNOSE_SOCKET)
    }

    /// The same as a configuration in which nothing is left out that somebody chose.
    pub(crate) fn as_config(&self) -> Config {
        Config {
            state_dir: Some(self.state_dir.clone()),
            runtime_dir: Some(self.runtime_dir.clone()),
            socket: Some(self.socket.clone()),
            socket_group: self.socket_group.clone(),
            listen: self.listen.iter().map(ToString::to_string).collect(),
            driver: self.driver,
            log_level: self.log_level.clone(),
            qemu: QemuConfig {
                program: self.qemu_program.clone(),
                accelerator: self.accelerator,
                vm_uids: self.vm_uids.clone(),
            },
            storage: StorageConfig {
                pool: Some(self.pool.clone()),
                allowed_paths: self.allowed_paths.clone(),
                max_virtual_size: self.max_virtual_size,
                max_import_size: self.max_import_size,
                allow_private_urls: self.allow_private_urls,
            },
            limits: self.limits.clone(),
            audit: self.audit.clone(),
            capacity: self.capacity.clone(),
            quota: self.quota.clone(),
            default_quota: self.default_quota.clone(),
            networks: NetworksConfig { make_default: Some(self.make_default_network) },
            door: self.doors.as_config(),
            wallets: self.wallets.clone(),
            oidc: self.oidc.clone(),
            tls: self.tls.clone(),
            proxies: self.proxies.clone(),
            libvirt: self.libvirt.clone(),
            hooks: HooksConfig {
                folder: Some(self.hooks.clone()),
                deadline_s: self.hook_deadline.as_secs(),
            },
            sim: self.sim.clone(),
        }
    }

    /// The list of the tokens that were issued: their digests.
    pub fn issued_tokens_file(&self) -> PathBuf {
        self.state_dir.join("tokens.json")
    }

    /// The list of the certificates that were issued to callers.
    pub fn certificates_file(&self) -> PathBuf {
        self.state_dir.join("certificates.json")
    }

    /// The folder of this host's authority.
    pub fn authority_dir(&self) -> PathBuf {
        self.state_dir.join("tls")
    }

    /// All addresses on which TLS is spoken.
    pub fn tls_addresses(&self) -> Vec<SocketAddr> {
        let doors = self.doors.anonymous.iter().map(|door| &door.listen);
        let vmm = self.doors.vmm.as_ref().map(|door| &door.listen);
        let all = self.listen.iter().chain(doors).chain(vmm);
        all.filter(|listen| listen.tls).map(|listen| listen.address).collect()
    }

    /// The list of wallets' tokens that were taken back.
    pub fn revoked_tokens_file(&self) -> PathBuf {
        self.state_dir.join("revoked-tokens.json")
    }

    /// The file of the daemon's own token, which callers over TCP can show.
    pub fn token_file(&self) -> PathBuf {
        self.state_dir.join("token")
    }
}

/// The folder of the VMs' specs in a state folder.
pub(crate) fn specs_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("vms")
}

/// What was said on the command line of `inn serve`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flags {
    pub(crate) listen: Vec<String>,
    pub(crate) doors: Vec<DoorFlag>,
    pub(crate) driver: Option<Driver>,
    pub(crate) log_level: Option<String>,
}

/// Puts flags over the configuration over the defaults.
///
/// # Errors
/// A value that is not allowed, with its key and why.
pub(crate) fn resolve(
    surroundings: &Surroundings,
    flags: Flags,
    config: Config,
) -> Result<DaemonOptions, Failure> {
    let Config { qemu, storage, limits, audit, capacity, quota, networks, door, .. } = config;
    check_audit(&audit)?;
    let Config { tls, proxies, .. } = config;
    let Config { libvirt, hooks, sim, wallets, oidc, default_quota, .. } = config;
    check_oidc(&oidc)?;
    if let (Some(site), Err(problem)) = (&wallets.site, wallets.site()) {
        return Err(misuse(Refusal::invalid("wallets.site", site, problem)));
    }
    listen::check_tls(&tls)?;
    proxies.proxies().map_err(misuse)?;
    let tls = TlsConfig {
        certificate: absolute("tls.certificate", tls.certificate)?,
        key: absolute("tls.key", tls.key)?,
        client_authorities: absolute("tls.client_authorities", tls.client_authorities)?,
        ..tls
    };
    let mut folders = surroundings.folders()?;
    // One folder for everything is asked for by people who want to leave the host's own alone.
    if surroundings.state_dir.is_none() {
        if let Some(folder) = absolute("state_dir", config.state_dir)? {
            folders.state = folder;
        }
        if let Some(folder) = absolute("runtime_dir", config.runtime_dir)? {
            folders.socket = folder.join("inn.sock");
            folders.runtime = folder;
        }
        if let Some(socket) = absolute("socket", config.socket)? {
            folders.socket = socket;
        }
        if let Some(socket) = &surroundings.socket {
            folders.socket = surroundings.absolute(socket);
        }
    }
    fits("socket", &folders.socket)?;
    fits("runtime_dir", &folders.runtime.join(DIAGNOSE_SOCKET))?;
    let mut allowed_paths = Vec::new();
    for path in storage.allowed_paths {
        allowed_paths.extend(absolute("storage.allowed_paths", Some(path))?);
    }
    let listen = if flags.listen.is_empty() { config.listen } else { flags.listen };
    let pool = absolute("storage.pool", storage.pool)?;
    let libvirt_socket = absolute("libvirt.socket", libvirt.socket)?;
    if let Some(socket) = &libvirt_socket {
        fits("libvirt.socket", socket)?;
    }
    let hooks_folder = absolute("hooks.folder", hooks.folder)?;
    let is_hosts_own = surroundings.root && surroundings.state_dir.is_none();
    Ok(DaemonOptions {
        hooks: hooks_folder.unwrap_or_else(|| match is_hosts_own {
            true => "/etc/innkeeper/hooks".into(),
            false => folders.state.join("hooks"),
        }),
        make_default_network: networks.make_default.unwrap_or(is_hosts_own),
        hook_deadline: Duration::from_secs(hooks.deadline_s),
        libvirt: LibvirtConfig { socket: libvirt_socket, ..libvirt },
        capacity,
        quota,
        default_quota,
        wallets,
        oidc,
        sim,
        pool: pool.unwrap_or_else(|| folders.state.join("pool")),
        registry: folders.state.join("registry.redb"),
        state_dir: folders.state,
        runtime_dir: folders.runtime,
        socket: folders.socket,
        socket_group: config.socket_group,
        listen: listen
            .iter()
            .map(|text| ListenAddress::read("listen", text))
            .collect::<Result<_, _>>()?,
        tls,
        proxies,
        doors: doors::resolve(flags.doors, door, rustix::process::geteuid().as_raw())?,
        driver: flags.driver.unwrap_or(config.driver),
        qemu_program: qemu.program,
        accelerator: qemu.accelerator,
        vm_uids: qemu.vm_uids,
        allowed_paths,
        max_virtual_size: storage.max_virtual_size,
        max_import_size: storage.max_import_size,
        allow_private_urls: storage.allow_private_urls,
        limits,
        audit,
        log_level: flags.log_level.unwrap_or(config.log_level),
    })
}

fn check_oidc(oidc: &[OidcConfig]) -> Result<(), Failure> {
    let rules = oidc.iter().map(OidcConfig::rules).collect();
    let checked = Issuers::new(rules).map(drop);
    checked
        .map_err(|bad| misuse(Refusal::new(Code::InvalidField, format!("oidc: {bad}")).at("oidc")))
}

fn check_audit(audit: &AuditConfig) -> Result<(), Failure> {
    const LEAST_SIZE: ByteSize = ByteSize(64 << 10);
    const LEAST_FILES: usize = 2;
    if audit.file_size < LEAST_SIZE {
        let problem = format!("is less than {LEAST_SIZE}");
        let refusal = Refusal::invalid("audit.file_size", audit.file_size, problem);
        return Err(misuse(refusal.with_limit(LEAST_SIZE)));
    }
    if audit.files < LEAST_FILES {
        let refusal = Refusal::invalid("audit.files", audit.files, "is less than two");
        return Err(misuse(refusal.with_limit(LEAST_FILES)));
    }
    Ok(())
}

/// A misuse of `inn serve`, although it is told like a refused field.
pub(crate) fn misuse(refusal: Refusal) -> Failure {
    Failure { exit: crate::failure::Exit::Usage, ..refusal.into() }
}

fn absolute(key: &str, path: Option<PathBuf>) -> Result<Option<PathBuf>, Failure> {
    match path {
        Some(path) if !path.is_absolute() => {
            Err(misuse(Refusal::invalid(key, path.display(), "is not an absolute path")))
        }
        path => Ok(path),
    }
}

fn fits(key: &str, socket: &Path) -> Result<(), Failure> {
    let length = socket.as_os_str().len();
    if length <= MAX_SOCKET_PATH {
        return Ok(());
    }
    let problem = format!("is {length} bytes long: a socket's path has at most {MAX_SOCKET_PATH}");
    Err(misuse(
        Refusal::invalid(key, socket.display(), problem)
            .with_limit(MAX_SOCKET_PATH)
            .with_hint("use a folder with a shorter path, or --socket PATH"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Surroundings {
        Surroundings { root: true, working_dir: "/home/kit".into(), ..Surroundings::default() }
    }

    fn config(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn flags_outrank_the_file_which_outranks_the_defaults() {
        let config = config(
            "state_dir = '/srv/inn'\nlisten = ['127.0.0.1:1']\nlog_level = 'warn'\n\
             [storage]\npool = '/srv/pool'",
        );
        let flags = Flags { listen: vec!["[::1]:2".into()], ..Flags::default() };
        let options = resolve(&root(), flags, config).unwrap();
        assert_eq!(options.state_dir, Path::new("/srv/inn"));
        assert_eq!(options.runtime_dir, Path::new("/run/innkeeper"));
        assert_eq!(options.pool, Path::new("/srv/pool"));
        assert_eq!(options.listen, [ListenAddress::from("[::1]:2".parse::<SocketAddr>().unwrap())]);
        assert_eq!(options.log_level, "warn");
        assert_eq!(options.token_file(), Path::new("/srv/inn/token"));
    }

    #[test]
    fn one_folder_for_everything_outranks_the_folders_of_the_file() {
        let here = Surroundings { state_dir: Some("here".into()), ..root() };
        let config = config("state_dir = '/a'\nruntime_dir = '/b'\nsocket = '/c'");
        let options = resolve(&here, Flags::default(), config).unwrap();
        assert_eq!(options.state_dir, Path::new("/home/kit/here"));
        assert_eq!(options.runtime_dir, Path::new("/home/kit/here/run"));
        assert_eq!(options.socket, Path::new("/home/kit/here/inn.sock"));
        assert_eq!(options.pool, Path::new("/home/kit/here/pool"));
    }

    #[test]
    fn the_socket_follows_the_runtime_folder_unless_it_is_named() {
        let moved = resolve(&root(), Flags::default(), config("runtime_dir = '/b'")).unwrap();
        assert_eq!(moved.socket, Path::new("/b/inn.sock"));
        let named = Surroundings { socket: Some("/x/s".into()), ..root() };
        let options = resolve(&named, Flags::default(), config("runtime_dir = '/b'")).unwrap();
        assert_eq!(options.socket, Path::new("/x/s"));
    }

    #[test]
    fn what_the_network_could_reach_is_refused_with_the_reason() {
        for address in ["0.0.0.0:7100", "192.0.2.1:7100", "[::]:7100"] {
            let flags = Flags { listen: vec![address.into()], ..Flags::default() };
            let failure = resolve(&root(), flags, Config::default()).unwrap_err();
            let text = failure.to_string();
            assert!(text.contains(address) && text.contains("loopback"), "{text}");
            assert!(text.contains(&format!("write {address},tls")), "{text}");
        }
    }

    #[test]
    fn what_is_in_force_is_a_configuration_that_says_the_same() {
        let written = config(
            "listen = ['127.0.0.1:1', '0.0.0.0:2,tls']\n[tls]\nnames = ['inn']\n[proxies]\ntrusted = ['10.0.0.1']\n[[oidc]]\nname = 'corp'\nissuer = 'https://a.example'\naudience = 'inn'\nmax_age = '12h'\n[[oidc.grant]]\nclaim = 'groups'\nvalue = 'a'\nrole = 'viewer'\n[qemu]\nvm_uids = '5000-6000'\n[storage]\npool = '/p'\n\
             allowed_paths = ['/a']\n[hooks]\ndeadline_s = 7\n[quota.web]\nvms = 3\n[sim]\nseed = 9\n\
             [capacity]\ncpu_percent = 400\n[audit]\nfiles = 3\n[libvirt]\nsocket = '/run/libvirt/libvirt-sock'",
        );
        let options = resolve(&root(), Flags::default(), written).unwrap();
        let again = resolve(&root(), Flags::default(), options.as_config()).unwrap();
        assert_eq!(again, options);
    }

    #[test]
    fn relative_and_overlong_paths_are_refused_by_their_key() {
        for (text, key) in [
            ("state_dir = 'x'".to_owned(), "state_dir"),
            ("[storage]\nallowed_paths = ['/a', 'b']".into(), "storage.allowed_paths"),
            (format!("socket = '/{}'", "x".repeat(108)), "socket"),
            ("[libvirt]\nsocket = 'x'".into(), "libvirt.socket"),
            ("[audit]\nfile_size = '1KiB'".into(), "audit.file_size"),
            ("[audit]\nfiles = 1".into(), "audit.files"),
            ("[wallets]\nsite = 'localhost'".into(), "wallets.site"),
            ("[tls]\ncertificate = 'a'\nkey = '/b'".into(), "tls.certificate"),
            ("[[oidc]]\nname = 'a'\nissuer = 'http://a.example'\naudience = 'inn'".into(), "oidc"),
            ("[[oidc]]\nname = 'a'\nissuer = 'https://a.example'\naudience = 'inn'\nmax_age = '1s'".into(), "oidc"),
            ("[proxies]\ntrusted = ['proxy']".into(), "proxies.trusted"),
            (format!("socket = '/s'\nruntime_dir = '/{}'", "x".repeat(100)), "runtime_dir"),
        ] {
            let failure = resolve(&root(), Flags::default(), config(&text)).unwrap_err();
            assert!(failure.to_string().starts_with(key), "{failure}");
        }
    }
}
