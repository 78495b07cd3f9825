//! Networks of a Linux host: a bridge each, a tap a NIC, a dnsmasq a served network, and one ruleset.
//!
//! What is done, and in which order, is [`host`]'s; [`survey`] compares; the rest are the tools. The
//! rules come first and go last, so that there is no moment at which a guest is plugged in without them.
//!
//! What is of this boot (configurations, what was changed of the kernel's settings) is in the runtime
//! folder, leases are in the state folder. Neither is needed to find what runs.

mod accounts;
mod bridges;
mod checks;
mod elements;
mod foreign;
mod host;
mod links;
mod netlink;
mod nft;
mod notices;
mod ports;
pub(crate) mod programs;
mod server;
mod service_ports;
mod serving;
mod survey;
mod sysctls;
mod tap;
mod watch;

pub use links::addresses_of_this_host;

use crate::{
    dnsmasq::Files,
    host::{Applied, Desired, Finding, HostNetworks},
};
use async_trait::async_trait;
use host::Host;
use innkeeper_model::{
    Code, NetworkId, Refusal,
    config::{MacAddress, PublishedPort},
    network::{InterfaceName, Network, NetworkConfig, NetworkFacts, Plug, SubnetConfig},
};
use notices::Notices;
use std::{
    collections::BTreeMap,
    fs,
    net::IpAddr,
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch as channel,
    task::{AbortHandle, spawn_blocking},
    time::{Instant, sleep},
};
use tracing::warn;

/// How long a tap may be open still whose last user has closed it: a child that the daemon has just forked
/// has a copy of each descriptor until it executes its program.
const TAP_FREE_WITHIN: Duration = Duration::from_millis(300);
/// How often to look whether it is.
const TAP_LOOK_EVERY: Duration = Duration::from_millis(3);

/// Where a daemon's networks are kept, and by what they are told from another daemon's.
#[derive(Debug, Clone)]
pub struct LinuxOptions {
    /// A number that no other daemon of this host has, and that this one keeps: the first user id of
    /// its guests. It is in the names of the firewall's tables and in the marks of bridges and taps.
    pub instance: u32,
    /// A folder of this daemon's own that goes with the host's boot. It is made if it is not there. Where
    /// everybody may pass through it and those above it, dnsmasq gives up root.
    pub runtime: PathBuf,
    /// A folder of this daemon's own that stays; leases are in it. It is made if it is not there.
    pub state: PathBuf,
}

/// Networks of this host. Needs root.
#[derive(Debug)]
pub struct LinuxNetworks {
    inner: Arc<Inner>,
    watches: Vec<AbortHandle>,
}

/// What the calls and the tasks behind them share.
#[derive(Debug)]
struct Inner {
    options: LinuxOptions,
    /// What was done to the host; whoever changes the host holds it.
    host: tokio::sync::Mutex<Host>,
    /// What is asked for, and how many times it was.
    asked: Mutex<(u64, Arc<Desired>)>,
    /// What the rules are of.
    in_force: Mutex<Arc<Desired>>,
    known: Mutex<BTreeMap<NetworkId, Known>>,
    changes: channel::Sender<u64>,
    /// What is said of changes of the firewall; nothing, where that may not be heard.
    notices: Option<Arc<Notices>>,
    disturbed: channel::Sender<u64>,
}

/// What is known of a network.
#[derive(Debug, Clone, Default, PartialEq)]
struct Known {
    facts: NetworkFacts,
    /// Who has which address; leases of others are not shown.
    owners: BTreeMap<IpAddr, MacAddress>,
}

impl LinuxNetworks {
    /// Networks with these folders. Nothing is changed but the folders. To be called in a tokio runtime,
    /// whose threads' network namespace is the one that the networks are of.
    ///
    /// # Errors
    /// The folders cannot be made or watched.
    pub fn open(options: LinuxOptions) -> Result<Self, Refusal> {
        for folder in [&options.runtime, &options.state] {
            fs::create_dir_all(folder)?;
            fs::set_permissions(folder, fs::Permissions::from_mode(0o711))?;
        }
        let notices = Notices::open(options.instance).inspect_err(|error| {
            warn!(%error, "that others changed the rules of networks is seen by surveys alone");
        });
        let inner = Arc::new(Inner {
            host: tokio::sync::Mutex::new(Host::new(&options.runtime)),
            options,
            asked: Mutex::default(),
            in_force: Mutex::default(),
            known: Mutex::default(),
            changes: channel::Sender::new(0),
            notices: notices.ok().map(Arc::new),
            disturbed: channel::Sender::new(0),
        });
        let watches = [Some(watch::leases(&inner)?), watch::rules(&inner)];
        Ok(Self { inner, watches: watches.into_iter().flatten().collect() })
    }
}

impl Drop for LinuxNetworks {
    fn drop(&mut self) {
        self.watches.iter().for_each(AbortHandle::abort);
    }
}

impl Inner {
    /// The files of a network's dnsmasq.
    fn files(&self, network: NetworkId) -> Files {
        Files::new(&self.folder(network), self.options.state.join(network.to_string()))
    }

    fn folder(&self, network: NetworkId) -> PathBuf {
        self.options.runtime.join(network.to_string())
    }

    fn asked(&self) -> MutexGuard<'_, (u64, Arc<Desired>)> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_force(&self) -> Arc<Desired> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_in_force(&self, desired: Arc<Desired>) {
        *self.in_force.lock().unwrap_or_else(PoisonError::into_inner) = desired;
    }

    /// Refuses an interface whose tap no rule is of, or of which this is not so in force.
    fn check_in_force(&self, plug: &Plug, is_so: impl Fn(&Plug) -> bool) -> Result<(), Refusal> {
        let in_force = self.in_force();
        let found = in_force.nics.iter().find(|other| other.tap == plug.tap && is_so(other));
        // An interface on no network that is desired has no rules.
        let has_rules =
            |found: &Plug| in_force.networks.iter().any(|network| network.id == found.network);
        if found.is_some_and(has_rules) {
            return Ok(());
        }
        let message = format!("no rules are in force for {} of the VM {}", plug.nic, plug.vm);
        Err(Refusal::new(Code::WrongState, message))
    }

    /// Changes what is known of a network, and tells whoever waits if it is another thing now.
    fn know(&self, network: NetworkId, change: impl FnOnce(&mut Known)) {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(network).or_default();
        let before = known.clone();
        change(known);
        if *known != before {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// Tells whoever waits that somebody else has changed the rules.
    fn is_disturbed(&self) {
        self.disturbed.send_modify(|count| *count += 1);
    }

    fn forget(&self, network: NetworkId) {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if all.remove(&network).is_some() {
            self.changes.send_modify(|count| *count += 1);
        }
    }
}

#[async_trait]
impl HostNetworks for LinuxNetworks {
    async fn check_network(&self, config: &NetworkConfig) -> Result<(), Refusal> {
        let config = config.clone();
        blocking(move || checks::network(&config)).await
    }

    async fn check_subnet(&self, network: &Network, config: &SubnetConfig) -> Result<(), Refusal> {
        let (network, config) = (network.clone(), config.clone());
        blocking(move || checks::subnet(&network, &config)).await
    }

    async fn check_published(&self, port: &PublishedPort) -> Result<(), Refusal> {
        let port = *port;
        blocking(move || checks::published(&port)).await
    }

    async fn apply(&self, desired: Arc<Desired>) -> Result<Applied, Refusal> {
        let generation = {
            let mut asked = self.inner.asked();
            *asked = (asked.0 + 1, desired);
            asked.0
        };
        let mut host = self.inner.host.lock().await;
        if let Some(applied) = host.applied_since(generation) {
            return Ok(applied);
        }
        let (generation, desired) = self.inner.asked().clone();
        host.apply(&self.inner, generation, desired).await
    }

    async fn release(&self, network: &Network) -> Result<(), Refusal> {
        let mut host = self.inner.host.lock().await;
        host.release(&self.inner, network).await
    }

    async fn open_tap(&self, plug: &Plug, network: &Network) -> Result<OwnedFd, Refusal> {
        self.inner.check_in_force(plug, |other| {
            other.network == plug.network
                && other.mac == plug.mac
                && other.addresses == plug.addresses
        })?;
        let instance = self.inner.options.instance;
        let until = Instant::now() + TAP_FREE_WITHIN;
        loop {
            let (plug, network) = (plug.clone(), network.clone());
            match blocking(move || bridges::open_tap(instance, &plug, &network)).await {
                Err(refusal) if refusal.code == Code::InUse && Instant::now() < until => {
                    // A child between fork and exec has our descriptors for a moment, and says nothing.
                    sleep(TAP_LOOK_EVERY).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn replug(&self, plug: &Plug, network: &Network) -> Result<(), Refusal> {
        self.inner.check_in_force(plug, |_| true)?;
        let (instance, plug, network) =
            (self.inner.options.instance, plug.clone(), network.clone());
        blocking(move || bridges::replug(instance, &plug, &network)).await
    }

    async fn set_link(&self, tap: &InterfaceName, up: bool) -> Result<(), Refusal> {
        let tap = tap.clone();
        blocking(move || match bridges::set_up(&tap, up)? {
            true => Ok(()),
            false => Err(Refusal::not_found("tap", &tap)),
        })
        .await
    }

    fn facts(&self, network: NetworkId) -> NetworkFacts {
        let known = self.inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&network).map(|known| known.facts.clone()).unwrap_or_default()
    }

    fn changes(&self) -> channel::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    fn disturbed(&self) -> channel::Receiver<u64> {
        self.inner.disturbed.subscribe()
    }

    async fn survey(&self) -> Result<Vec<Finding>, Refusal> {
        let mut host = self.inner.host.lock().await;
        host.survey(&self.inner).await
    }
}

/// Runs what waits for the kernel where that holds up nobody. A dropped future lets it end by itself.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    match spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Refusal::new(Code::Internal, "a thread that works on networks panicked")),
    }
}

/// Whether everybody may pass through a folder and those above it.
fn is_open_to_all(folder: &Path) -> bool {
    folder.ancestors().all(|folder| {
        folder.metadata().is_ok_and(|folder| folder.permissions().mode() & 0o001 != 0)
    })
}
