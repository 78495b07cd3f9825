//! Networks on paper: remembered, and nothing more.
//!
//! For the simulator, whose guests send nothing; for tests of the engine, which can have any call fail;
//! and, [refusing](PaperNetworks::refusing), for a daemon that may not make networks.

use crate::{
    Plug,
    host::{Applied, Desired, Finding, HostNetworks},
};
use async_trait::async_trait;
use innkeeper_model::{
    Code, NetworkId, Refusal,
    config::PublishedPort,
    network::{
        DhcpState, InterfaceName, Lease, Network, NetworkConfig, NetworkFacts, SubnetConfig,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// How many calls are remembered: a daemon without root makes some every minute for as long as it lives.
const MOST_CALLS: usize = 100_000;

/// Networks on paper.
#[derive(Debug)]
pub struct PaperNetworks {
    /// Why there are none; then only what asks for one is refused.
    refusing: Option<Refusal>,
    paper: Mutex<Paper>,
    changes: watch::Sender<u64>,
    disturbed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Paper {
    desired: Arc<Desired>,
    released: BTreeSet<NetworkId>,
    leases: BTreeMap<NetworkId, Vec<Lease>>,
    links_down: BTreeSet<String>,
    faults: Vec<(Call, Refusal)>,
    findings: Vec<Finding>,
    calls: Vec<Call>,
    given_twice: Option<IpAddr>,
}

/// A call that can be told to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// [`HostNetworks::check_network`].
    CheckNetwork,
    /// [`HostNetworks::check_subnet`].
    CheckSubnet,
    /// [`HostNetworks::check_published`].
    CheckPublished,
    /// [`HostNetworks::apply`].
    Apply,
    /// [`HostNetworks::release`].
    Release,
    /// [`HostNetworks::open_tap`].
    OpenTap,
    /// [`HostNetworks::replug`].
    Replug,
    /// [`HostNetworks::set_link`].
    SetLink,
    /// [`HostNetworks::survey`].
    Survey,
}

impl Default for PaperNetworks {
    fn default() -> Self {
        Self::new()
    }
}

impl PaperNetworks {
    /// Networks that succeed at everything.
    pub fn new() -> Self {
        let [changes, disturbed] = [(); 2].map(|()| watch::Sender::new(0));
        Self { refusing: None, paper: Mutex::default(), changes, disturbed }
    }

    /// For a daemon without root: every network is refused, and the user is told what needs none.
    pub fn without_root() -> Self {
        let refusal = Refusal::new(
            Code::Unsupported,
            "networks of this host need root, which the daemon has not",
        );
        Self::refusing(refusal.with_hint(
            "run the daemon as root; until then network: user reaches the outside without it",
        ))
    }

    /// Refuses every network with this; what asks for none succeeds.
    pub fn refusing(refusal: Refusal) -> Self {
        Self { refusing: Some(refusal), ..Self::new() }
    }

    /// Has the next such call fail with this, once; told twice, the next two.
    pub fn fail_next(&self, call: Call, refusal: Refusal) {
        self.paper().faults.push((call, refusal));
    }

    /// Has the next survey find this, once; told twice, both.
    pub fn find_next(&self, finding: Finding) {
        self.paper().findings.push(finding);
    }

    /// Has somebody else change the rules.
    pub fn disturb(&self) {
        self.disturbed.send_modify(|count| *count += 1);
    }

    /// Has a guest take up an address, or all of them give theirs back.
    pub fn set_leases(&self, network: NetworkId, leases: Vec<Lease>) {
        self.paper().leases.insert(network, leases);
        self.changes.send_modify(|count| *count += 1);
    }

    /// What was last applied.
    pub fn desired(&self) -> Arc<Desired> {
        self.paper().desired.clone()
    }

    /// Whether this network was released.
    pub fn is_released(&self, network: NetworkId) -> bool {
        self.paper().released.contains(&network)
    }

    /// Whether a tap was turned off.
    pub fn is_link_down(&self, tap: &InterfaceName) -> bool {
        self.paper().links_down.contains(tap.as_str())
    }

    /// An address that two VMs had at once in anything that was ever applied; the first such.
    pub fn given_twice(&self) -> Option<IpAddr> {
        self.paper().given_twice
    }

    /// Every call so far, in order, those that failed included; of many, the last.
    pub fn calls(&self) -> Vec<Call> {
        self.paper().calls.clone()
    }

    fn paper(&self) -> MutexGuard<'_, Paper> {
        self.paper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the call, and fails it where it was told to, or where there are no networks.
    fn called(&self, call: Call, wants_a_network: bool) -> Result<MutexGuard<'_, Paper>, Refusal> {
        let mut paper = self.paper();
        if paper.calls.len() == MOST_CALLS {
            paper.calls.drain(..MOST_CALLS / 2);
        }
        paper.calls.push(call);
        if let Some(index) = paper.faults.iter().position(|(fault, _)| *fault == call) {
            return Err(paper.faults.remove(index).1);
        }
        match &self.refusing {
            Some(refusal) if wants_a_network => Err(refusal.clone()),
            _ => Ok(paper),
        }
    }
}

#[async_trait]
impl HostNetworks for PaperNetworks {
    async fn check_network(&self, _config: &NetworkConfig) -> Result<(), Refusal> {
        self.called(Call::CheckNetwork, true).map(drop)
    }

    async fn check_subnet(
        &self,
        _network: &Network,
        _config: &SubnetConfig,
    ) -> Result<(), Refusal> {
        self.called(Call::CheckSubnet, true).map(drop)
    }

    async fn check_published(&self, _port: &PublishedPort) -> Result<(), Refusal> {
        self.called(Call::CheckPublished, true).map(drop)
    }

    /// Where there are no networks, those that are desired fail, each by itself: a daemon that lost
    /// root still serves the rest.
    async fn apply(&self, desired: Arc<Desired>) -> Result<Applied, Refusal> {
        let mut paper = self.called(Call::Apply, false)?;
        for network in &desired.networks {
            paper.released.remove(&network.id);
        }
        let refused = self.refusing.as_ref();
        let failed = desired.networks.iter().filter_map(|n| Some((n.id, refused?.clone())));
        let applied = Applied { failed: failed.collect() };
        if paper.desired != desired {
            paper.given_twice = paper.given_twice.or_else(|| of_two_vms(&desired));
            paper.desired = desired;
            self.changes.send_modify(|count| *count += 1);
        }
        Ok(applied)
    }

    async fn release(&self, network: &Network) -> Result<(), Refusal> {
        // A host's takes some time.
        tokio::task::yield_now().await;
        let mut paper = self.called(Call::Release, false)?;
        let mut desired = Desired::clone(&paper.desired);
        desired.networks.retain(|other| other.id != network.id);
        desired.nics.retain(|plug| plug.network != network.id);
        paper.desired = Arc::new(desired);
        paper.leases.remove(&network.id);
        paper.released.insert(network.id);
        self.changes.send_modify(|count| *count += 1);
        Ok(())
    }

    /// A descriptor of nothing.
    async fn open_tap(&self, plug: &Plug, _network: &Network) -> Result<OwnedFd, Refusal> {
        let mut paper = self.called(Call::OpenTap, true)?;
        paper.links_down.remove(plug.tap.as_str());
        Ok(std::fs::File::options().read(true).write(true).open("/dev/null")?.into())
    }

    async fn replug(&self, _plug: &Plug, _network: &Network) -> Result<(), Refusal> {
        self.called(Call::Replug, true).map(drop)
    }

    async fn set_link(&self, tap: &InterfaceName, up: bool) -> Result<(), Refusal> {
        let mut paper = self.called(Call::SetLink, true)?;
        if up {
            paper.links_down.remove(tap.as_str());
        } else {
            paper.links_down.insert(tap.as_str().into());
        }
        Ok(())
    }

    fn facts(&self, network: NetworkId) -> NetworkFacts {
        let paper = self.paper();
        let Some(found) = paper.desired.networks.iter().find(|other| other.id == network) else {
            return NetworkFacts::default();
        };
        if let Some(refusal) = &self.refusing {
            return NetworkFacts { problem: Some(refusal.message.clone()), ..Default::default() };
        }
        let served = found.subnets.iter().any(|subnet| subnet.config.has_dhcp(&found.config));
        NetworkFacts {
            up: true,
            mtu: Some(found.config.mtu.unwrap_or(1500).into()),
            dhcp: served.then_some(DhcpState::Running),
            leases: paper.leases.get(&network).cloned().unwrap_or_default(),
            problem: None,
            mended: None,
        }
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn disturbed(&self) -> watch::Receiver<u64> {
        self.disturbed.subscribe()
    }

    async fn survey(&self) -> Result<Vec<Finding>, Refusal> {
        let mut paper = self.called(Call::Survey, false)?;
        Ok(std::mem::take(&mut paper.findings))
    }
}

/// An address that two VMs have. Two NICs of one may: that of its machine, and that of its next one.
fn of_two_vms(desired: &Desired) -> Option<IpAddr> {
    let mut holders = HashMap::new();
    let each = desired
        .nics
        .iter()
        .flat_map(|plug| plug.addresses.iter().map(|address| (*address, plug.vm)));
    each.into_iter()
        .find(|(address, vm)| holders.insert(*address, *vm).is_some_and(|other| other != *vm))
        .map(|(address, _)| address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn a_fault_is_met_once_and_a_daemon_without_root_says_what_needs_none() {
        let paper = PaperNetworks::new();
        paper.fail_next(Call::Apply, Refusal::new(Code::Internal, "as told"));
        let desired = Arc::new(Desired::default());
        assert_eq!(paper.apply(desired.clone()).await.unwrap_err().message, "as told");
        paper.apply(desired).await.unwrap();

        let refusing = PaperNetworks::without_root();
        let config = NetworkConfig::new("lan".parse().unwrap());
        let refusal = refusing.check_network(&config).await.unwrap_err();
        assert_eq!(refusal.code, Code::Unsupported);
        assert!(refusal.hint.unwrap().contains("network: user"));
        refusing.apply(Arc::default()).await.unwrap();
    }

    #[tokio::test]
    async fn what_two_vms_had_at_once_is_known_afterwards() {
        let lan = testing::network(1, NetworkConfig::new("lan".parse().unwrap()), &["10.0.0.0/24"]);
        let [one, other] = [1, 2].map(|number| testing::plug(number, &lan, &["10.0.0.2"]));
        let renamed = Plug { nic: "renamed".parse().unwrap(), ..one.clone() };
        let paper = PaperNetworks::new();
        for (nics, twice) in [
            (vec![one.clone(), renamed], None),
            (vec![other.clone()], None),
            (vec![one, other], Some("10.0.0.2".parse().unwrap())),
            (Vec::new(), Some("10.0.0.2".parse().unwrap())),
        ] {
            let desired = Desired { networks: vec![lan.clone()], nics, metadata: None };
            paper.apply(Arc::new(desired)).await.unwrap();
            assert_eq!(paper.given_twice(), twice);
        }
    }
}
