//! The configuration file: what an operator may write down. Plain data; [`crate::options`] puts it
//! together with flags and defaults, and checks it. Every key has a line in `docs/configuration.md`,
//! which is made from the comments here.

mod audit;
mod doors;
mod libvirt;
mod limits;
mod oidc;
mod reference;
mod tls;
mod wallets;

pub use audit::AuditConfig;
pub use doors::{DoorConfig, DoorsConfig, VmmDoorConfig};
pub use libvirt::LibvirtConfig;
pub use limits::LimitsConfig;
pub use oidc::{OidcConfig, OidcGrantConfig};
pub(crate) use tls::front;
pub use tls::{ProxiesConfig, TlsConfig};
pub use wallets::WalletsConfig;

use crate::failure::Failure;
use clap::ValueEnum;
use innkeeper_model::{ByteSize, Mebibytes, ProjectName, Quota};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    collections::BTreeMap, fmt, fs, ops::RangeInclusive, path::Path, path::PathBuf, str::FromStr,
};
use utoipa::ToSchema;

/// The least user id of a VM; those below it are the system's own.
const LEAST_UID: u32 = 1000;
/// The greatest, below 2^31: file systems and tools exist that take ids to be signed.
pub(crate) const MOST_UID: u32 = 0x7fff_fffe;

/// A whole configuration file. Every key may be left out; one that is not known is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The folder of what must not be lost: the VMs' specs, the pool, the token. Default for root:
    /// `/var/lib/innkeeper`; for anybody else `$XDG_STATE_HOME/innkeeper`, else
    /// `~/.local/state/innkeeper`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub state_dir: Option<PathBuf>,
    /// The folder of what lives until the host's next boot: the VMs' run folders, the socket, and
    /// `diagnose.sock`, which answers `inn diagnose` while the other one is stuck. Default for root:
    /// `/run/innkeeper`; for anybody else `$XDG_RUNTIME_DIR/innkeeper`, else `run` in the state folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub runtime_dir: Option<PathBuf>,
    /// The unix socket of the API, mode 0660. Default: `inn.sock` in the runtime folder. The other
    /// commands look there too; where it is elsewhere, tell them with `INN_SOCKET`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub socket: Option<PathBuf>,
    /// The group that may use the socket, where the daemon is root: its members can do everything
    /// that the daemon can, so they are as good as root.
    pub socket_group: String,
    /// TCP addresses to serve the API on too, for callers that show a token or a certificate: a loopback address such
    /// as `127.0.0.1:7100`, or any with TLS, such as `0.0.0.0:7101,tls`.
    pub listen: Vec<String>,
    /// What runs the VMs.
    pub driver: Driver,
    /// How much is logged: `error`, `warn`, `info`, `debug`, `trace`, or directives for parts of the
    /// program, such as `info,innkeeper_qemu=debug`. What is removed or signalled
    /// (`innkeeper::harm`) is always logged.
    pub log_level: String,
    /// QEMU.
    pub qemu: QemuConfig,
    /// Images and disks.
    pub storage: StorageConfig,
    /// How much the daemon remembers, and how often callers may call.
    pub limits: LimitsConfig,
    /// The audit.
    pub audit: AuditConfig,
    /// How much of this host VMs may take.
    pub capacity: CapacityConfig,
    /// How much of it the VMs of a project may take, by the project's name.
    pub quota: BTreeMap<ProjectName, QuotaConfig>,
    /// How much of it the VMs of each other project may take.
    pub default_quota: QuotaConfig,
    /// Networks of this host.
    pub networks: NetworksConfig,
    /// The APIs of other systems.
    pub door: DoorsConfig,
    /// Ethereum accounts that are let in.
    pub wallets: WalletsConfig,
    /// OpenID Connect issuers whose tokens are taken: a section `[[oidc]]` each. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub oidc: Vec<OidcConfig>,
    /// TLS.
    pub tls: TlsConfig,
    /// Proxies that stand before the TCP listeners.
    pub proxies: ProxiesConfig,
    /// libvirt.
    pub libvirt: LibvirtConfig,
    /// Executables of yours that run at turning points of a VM's life.
    pub hooks: HooksConfig,
    /// The simulator.
    pub sim: SimConfig,
}

/// How much of this host VMs may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CapacityConfig {
    /// Of the host's memory, what running VMs may have in all, in percent: more than 100 promises more
    /// than there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_percent: Option<u32>,
    /// Virtual CPUs of running VMs in all, in percent of the host's CPUs. Default: without bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<u32>,
    /// What the disks of all VMs may grow to, in percent of the pool's file system. Default: without
    /// bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_percent: Option<u32>,
    /// How many VMs there may be. Default: without bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vms: Option<u64>,
}

/// What the VMs of a project may take in all. What is left out is without bound. `[default_quota]` has the
/// same keys, for each project that is not named in `[quota]`; what an administrator set for a project
/// (`inn project set shop --vms 10`) outranks both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QuotaConfig {
    /// How many VMs there may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vms: Option<u64>,
    /// Virtual CPUs of running VMs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u64>,
    /// Memory of running VMs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Mebibytes>,
    /// What their disks may grow to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<ByteSize>,
    /// Addresses that networks keep for their NICs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<u64>,
}

impl From<&QuotaConfig> for Quota {
    fn from(config: &QuotaConfig) -> Self {
        let QuotaConfig { vms, cpus, memory, disk, addresses } = *config;
        Self { vms, cpus, memory, disk, addresses }
    }
}

/// Executables of yours that run at turning points of a VM's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HooksConfig {
    /// Their folder, with a folder for each event in it. Default for root: `/etc/innkeeper/hooks`;
    /// with `--state-dir`, and for anybody else: `hooks` in the state folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub folder: Option<PathBuf>,
    /// How long one of them may take, in seconds.
    pub deadline_s: u64,
}

/// Networks of this host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NetworksConfig {
    /// Whether a network `default` is made when the daemon begins for the first time: a bridge with NAT
    /// and the first of 10.87.0.0/24 to 10.87.255.0/24 that this host has no use for. Default: for root,
    /// yes; with `--state-dir`, and for anybody else, no.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<bool>)]
    pub make_default: Option<bool>,
}

/// The simulator: machines without guests, which outlive the daemon as real ones do, for trying clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SimConfig {
    /// What its randomness begins with: the same seed, the same faults.
    pub seed: u64,
    /// Of how many steps one fails, on average; 0 is none.
    pub one_fails_in: u32,
    /// How long a step takes, in milliseconds.
    pub step_ms: u64,
}

/// How QEMU is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QemuConfig {
    /// QEMU's system emulator: a name to look for on the path, or a path.
    pub program: String,
    /// What runs guests' instructions: `kvm`; `tcg`, which is slow and works everywhere; or `auto`:
    /// KVM where a probe guest runs with it.
    pub accelerator: Accelerator,
    /// The user ids that VMs run as, first and last, where the daemon is root: one a VM, so nobody
    /// else on this host may have them. Default: `2000000000-2000065535`, or where another daemon of
    /// this host has those, the next 65,536 that are free. A state folder keeps what it has: while
    /// there are VMs, only a range with theirs in it is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub vm_uids: Option<UidRange>,
}

/// Images and disks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StorageConfig {
    /// The folder of images and disks. Default: `pool` in the state folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub pool: Option<PathBuf>,
    /// Folders whose files VMs may use by path, as disks, kernels or CD-ROMs.
    #[schema(value_type = Vec<String>)]
    pub allowed_paths: Vec<PathBuf>,
    /// The largest disk that an image may describe, and a VM may have.
    pub max_virtual_size: ByteSize,
    /// The most bytes that one import of an image may bring in.
    pub max_import_size: ByteSize,
    /// Let imports by URL connect to addresses that are not public, such as an image server on the
    /// local network. The cloud's metadata service is on such an address too.
    pub allow_private_urls: bool,
}

/// What runs the VMs.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    /// QEMU, one process a VM.
    #[default]
    Qemu,
    /// Nothing: machines are simulated, for trying clients.
    Sim,
}

/// What runs guests' instructions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Accelerator {
    /// KVM where it runs a guest, else TCG.
    #[default]
    Auto,
    /// KVM, or no VMs at all.
    Kvm,
    /// TCG.
    Tcg,
}

/// A range of user ids, written `FIRST-LAST`; both belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UidRange(pub RangeInclusive<u32>);

impl Default for Config {
    fn default() -> Self {
        Self {
            state_dir: None,
            runtime_dir: None,
            socket: None,
            socket_group: "innkeeper".into(),
            listen: Vec::new(),
            driver: Driver::default(),
            log_level: "info".into(),
            qemu: QemuConfig::default(),
            storage: StorageConfig::default(),
            limits: LimitsConfig::default(),
            audit: AuditConfig::default(),
            capacity: CapacityConfig::default(),
            quota: BTreeMap::new(),
            default_quota: QuotaConfig::default(),
            networks: NetworksConfig::default(),
            door: DoorsConfig::default(),
            wallets: WalletsConfig::default(),
            oidc: Vec::new(),
            tls: TlsConfig::default(),
            proxies: ProxiesConfig::default(),
            libvirt: LibvirtConfig::default(),
            hooks: HooksConfig::default(),
            sim: SimConfig::default(),
        }
    }
}

impl Default for QemuConfig {
    fn default() -> Self {
        Self {
            program: "qemu-system-x86_64".into(),
            accelerator: Accelerator::default(),
            vm_uids: None,
        }
    }
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            pool: None,
            allowed_paths: Vec::new(),
            max_virtual_size: ByteSize::from_gibibytes(16 << 10),
            max_import_size: ByteSize::from_gibibytes(256),
            allow_private_urls: false,
        }
    }
}

impl Default for CapacityConfig {
    fn default() -> Self {
        Self { memory_percent: Some(100), cpu_percent: None, disk_percent: None, vms: None }
    }
}

impl Default for HooksConfig {
    fn default() -> Self {
        Self { folder: None, deadline_s: 30 }
    }
}

impl Default for SimConfig {
    fn default() -> Self {
        Self { seed: 1, one_fails_in: 0, step_ms: 0 }
    }
}

impl fmt::Display for UidRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.start(), self.0.end())
    }
}

impl FromStr for UidRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (first, last) = text.split_once('-')?;
            let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
            // One for a VM, and one for the tool that reads hostile images.
            (LEAST_UID <= first && first < last && last <= MOST_UID).then_some(Self(first..=last))
        };
        parse().ok_or_else(|| {
            format!(
                "{text:?} is not a range of user ids for VMs: write FIRST-LAST, two ids or more from \
                 {LEAST_UID} to {MOST_UID}"
            )
        })
    }
}

impl Serialize for UidRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UidRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Config {
    /// Reads a configuration file.
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(file).map_err(|error| {
            Failure::usage(format!("cannot read the configuration {}", file.display()))
                .because(&error)
        })?;
        Self::parse(&text).map_err(|error| {
            // TOML's errors show the line at fault and end with a newline.
            let problem = error.to_string();
            Failure::usage(format!("{}: {}", file.display(), problem.trim_end()))
                .with_hint("see docs/configuration.md for what may be there")
        })
    }

    fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_says_the_defaults_and_the_defaults_read_back() {
        assert_eq!(Config::parse("").unwrap(), Config::default());
        let text = toml::to_string(&Config::default()).unwrap();
        assert_eq!(Config::parse(&text).unwrap(), Config::default());
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place() {
        for (text, key, line) in [
            ("driver = \"qemu\"\nlisten_on = 1", "listen_on", "line 2"),
            ("[qemu]\n\nprogam = \"x\"", "progam", "line 3"),
        ] {
            let problem = Config::parse(text).unwrap_err().to_string();
            assert!(problem.contains(key) && problem.contains(line), "{problem}");
        }
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        for text in [
            "[qemu]\nvm_uids = \"0-9000\"",
            "[qemu]\nvm_uids = \"9000-8000\"",
            "[qemu]\nvm_uids = \"9000-9000\"",
            "[qemu]\nvm_uids = \"9000-2147483647\"",
            "[qemu]\nvm_uids = \"9000-4294967295\"",
            "[qemu]\naccelerator = \"hvf\"",
            "[storage]\nmax_import_size = \"12\"",
            "driver = \"xen\"",
        ] {
            assert!(Config::parse(text).is_err(), "{text}");
        }
    }
}
