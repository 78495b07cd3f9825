//! The port through which the engine has networks on its host, and the words that pass through it.
//!
//! It is declarative: the engine says what there should be ([`Desired`]), all of it each time, and
//! [`HostNetworks::apply`] makes it so from whatever there is. What was asked for and who has which
//! address is the engine's to keep; what there is on the host is asked here and stored nowhere.

use async_trait::async_trait;
use innkeeper_model::{
    NetworkId, Refusal,
    config::PublishedPort,
    network::{InterfaceName, Network, NetworkConfig, NetworkFacts, Plug, SubnetConfig},
};
use std::{net::SocketAddrV4, os::fd::OwnedFd, sync::Arc};
use tokio::sync::watch;

/// All that there should be on the host, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    /// The networks, each once.
    pub networks: Vec<Arc<Network>>,
    /// The interfaces on them, of running and of stopped VMs alike: an address belongs to its guest
    /// while that is off, and a VM that starts then changes nothing of the host but its own tap.
    pub nics: Vec<Plug>,
    /// Where guests' requests to [`METADATA_ASKED`](crate::METADATA_ASKED) are answered, a port of
    /// [`METADATA_ANSWERED`](crate::METADATA_ANSWERED): the address is made local with the first bridge. The
    /// peer's address there is the guest's own. Absent: nowhere, and they are refused.
    pub metadata: Option<SocketAddrV4>,
}

/// How an apply went: the firewall is as desired, and so is each network that is not named here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Networks that are not as they should be, each with the reason. Each also says so in its facts,
    /// and is tried again by the next apply or survey.
    pub failed: Vec<(NetworkId, Refusal)>,
}

impl Applied {
    /// Whether this network is as desired.
    ///
    /// # Errors
    /// Why it is not.
    pub fn of(&self, network: NetworkId) -> Result<(), Refusal> {
        match self.failed.iter().find(|(failed, _)| *failed == network) {
            Some((_, refusal)) => Err(refusal.clone()),
            None => Ok(()),
        }
    }
}

/// Something that a survey found to be other than it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The network that it is about; absent for the host as a whole.
    pub network: Option<NetworkId>,
    /// What was found, and what was done about it, in a sentence. It names no VM: everybody reads it who may
    /// know of the network.
    pub text: String,
    /// Whether it is as it should be now.
    pub mended: bool,
}

/// Networks of a host.
///
/// Dropped futures leave what was done so far; every call goes on from there. What was started (the
/// servers of DHCP and DNS) and what was made outlives the value, and is found again by the next one
/// with the same folders.
#[async_trait]
pub trait HostNetworks: std::fmt::Debug + Send + Sync {
    /// Checks what only the host can tell about a network that is to be made or changed. Nothing is
    /// changed.
    ///
    /// # Errors
    /// The field, as of [`NetworkConfig`]: a bridge that is not there or is no bridge, a tag that this
    /// kernel or bridge cannot do, an MTU above the joined bridge's; a program that is missing, with
    /// its package; networks cannot be had here at all.
    async fn check_network(&self, config: &NetworkConfig) -> Result<(), Refusal>;

    /// Checks what only the host can tell about a subnet that is to be added to a network, which need
    /// not be there yet. Nothing is changed.
    ///
    /// # Errors
    /// The field, as of [`SubnetConfig`]: a range that overlaps an address or a route of the host, or
    /// on a joined bridge DHCP where the host has no address; a program (with its pid) that has the
    /// port of DHCP or DNS; no `dnsmasq`.
    async fn check_subnet(&self, network: &Network, config: &SubnetConfig) -> Result<(), Refusal>;

    /// Checks that no program of the host has a port that is to be published.
    ///
    /// # Errors
    /// `publish`; which program it is, the log says alone.
    async fn check_published(&self, port: &PublishedPort) -> Result<(), Refusal>;

    /// Makes the host as desired, from whatever it is; costs next to nothing where it is already. Calls
    /// at the same time become one: each returns once its own desire, or a later one, is in force. What
    /// is not desired is not protected nor served any more, but bridges and servers of networks that are
    /// not in it stay until they are [released](Self::release).
    ///
    /// # Errors
    /// The firewall could not be set (it is as it was before), or networks cannot be had here.
    async fn apply(&self, desired: Arc<Desired>) -> Result<Applied, Refusal>;

    /// Removes all there is of a network: its rules, its server (which has ended when this returns), its
    /// leases, its bridge if Innkeeper made it, and, with the last one, what was changed of the kernel's
    /// settings. What is not there is no error. The next [`Desired`] must be without it.
    ///
    /// # Errors
    /// What could not be removed. [`Code::InUse`](innkeeper_model::Code::InUse) while something is
    /// plugged in; then nothing is removed.
    async fn release(&self, network: &Network) -> Result<(), Refusal>;

    /// Makes the tap of an interface that is in force, plugs it into its network's bridge, and opens it
    /// with `IFF_VNET_HDR`. It goes when its last descriptor is closed, the one of a VM included.
    ///
    /// # Errors
    /// The interface is not in what was applied, its bridge is not there, or the tap is open already.
    /// No tap is left.
    async fn open_tap(&self, plug: &Plug, network: &Network) -> Result<OwnedFd, Refusal>;

    /// Plugs a tap that is open into another network's bridge, with what its connection says by now. The
    /// rules that are in force stay those of its old connection until the next apply.
    ///
    /// # Errors
    /// [`Code::NotFound`](innkeeper_model::Code::NotFound): there is no such tap; or the bridge is not
    /// there. The tap stays where it was.
    async fn replug(&self, plug: &Plug, network: &Network) -> Result<(), Refusal>;

    /// Turns a tap on or off: off, nothing passes in either direction. The guest sees its cable
    /// through its hypervisor alone.
    ///
    /// # Errors
    /// [`Code::NotFound`](innkeeper_model::Code::NotFound): there is no such tap.
    async fn set_link(&self, tap: &InterfaceName, up: bool) -> Result<(), Refusal>;

    /// What there is of a network: as of the last apply, survey, or change of a lease, whichever was
    /// last. Empty for one that was never applied.
    fn facts(&self, network: NetworkId) -> NetworkFacts;

    /// Changes whenever [`facts`](Self::facts) of any network do; what it holds means nothing.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Changes whenever somebody else has changed, or may have changed, Innkeeper's rules in the firewall, those that
    /// keep guests of user-mode networks from their host among them: it is time for a survey. Never more often than
    /// the host should be looked at; never, where nobody tells. What it holds means nothing.
    fn disturbed(&self) -> watch::Receiver<u64>;

    /// Compares the host with what was last applied, and mends it: rules that another tool flushed, a
    /// bridge or an address that went, a tap that was unplugged, a server that died or was doubled,
    /// bridges of nobody. Finds nothing where all is well, nor before anything was applied. A network that
    /// cannot be mended is found each time.
    ///
    /// # Errors
    /// The host could not be looked at.
    async fn survey(&self) -> Result<Vec<Finding>, Refusal>;
}
