//! Networks, and VMs on them: who has which address, what the host is told, and what becomes of both
//! when something goes wrong.

mod checked;
mod cut_short;
mod failing;
mod meanwhile;
mod ordinary;
mod refused;

use crate::support::{Bench, create};
use async_trait::async_trait;
use innkeeper_engine::{Accepted, NetworkRequest, Point, Request, ReservationWish, Witness};
use innkeeper_model::{
    Network, NetworkId, Refusal, SubnetId, VmConfig, VmId, network::AddressSource,
};
use serde_json::{Value, json};
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};
use tokio::sync::watch;

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn network_create(config: Value, ranges: &[&str]) -> Request {
    let subnet = |range: &&str| serde_json::from_value(json!({ "range": range })).unwrap();
    Request::Network(NetworkRequest::Create {
        config: serde_json::from_value(config).unwrap(),
        id: None,
        subnets: ranges.iter().map(subnet).collect(),
    })
}

pub(crate) fn network_edit(network: NetworkId, config: Value) -> Request {
    let config = serde_json::from_value(config).unwrap();
    Request::Network(NetworkRequest::Edit { network, config, expected: None })
}

pub(crate) fn network_delete(network: NetworkId) -> Request {
    Request::Network(NetworkRequest::Delete { network })
}

pub(crate) fn subnet_create(network: NetworkId, config: Value) -> Request {
    let config = serde_json::from_value(config).unwrap();
    Request::Network(NetworkRequest::CreateSubnet { network, config, id: None })
}

pub(crate) fn subnet_delete(subnet: SubnetId) -> Request {
    Request::Network(NetworkRequest::DeleteSubnet { subnet })
}

/// Keeps these, and so many of any.
pub(crate) fn reserve(subnet: SubnetId, these: &[IpAddr], of_any: usize) -> Request {
    let one = |address: Option<IpAddr>| ReservationWish { address, ..ReservationWish::default() };
    let these = these.iter().map(|address| one(Some(*address)));
    let wanted = these.chain(std::iter::repeat_with(|| one(None)).take(of_any)).collect();
    Request::Network(NetworkRequest::Reserve { subnet, wanted })
}

pub(crate) fn release(subnet: SubnetId, addresses: Vec<IpAddr>) -> Request {
    Request::Network(NetworkRequest::Release { subnet, addresses })
}

/// A VM with one NIC, on network `lan`.
pub(crate) fn on_lan(name: &str) -> Value {
    json!({ "name": name, "memory": "32MiB", "nics": [{ "name": "lan", "network": "lan" }] })
}

impl Bench {
    /// Has a network made.
    pub(crate) async fn network(&self, name: &str, ranges: &[&str]) -> NetworkId {
        let accepted = self.submit(network_create(json!({ "name": name }), ranges)).await.unwrap();
        self.is_done(&accepted).await;
        accepted.network.unwrap()
    }

    /// `lan`, with five addresses to give.
    pub(crate) async fn lan(&self) -> NetworkId {
        self.network("lan", &["10.0.0.0/29"]).await
    }

    async fn is_done(&self, accepted: &Accepted) {
        let task = self.end_of(accepted).await;
        assert_eq!(task.state, innkeeper_model::TaskState::Done, "{task:?}");
    }

    pub(crate) fn network_record(&self, network: NetworkId) -> Arc<Network> {
        Arc::new(Network::clone(self.snapshot().networks.get(&network).unwrap().value()))
    }

    pub(crate) fn subnet(&self, network: NetworkId) -> SubnetId {
        self.network_record(network).subnets[0].id
    }

    /// What is kept for a VM's NIC, by its spec.
    pub(crate) fn assigned(&self, vm: VmId, nic: &str) -> Vec<IpAddr> {
        let spec = self.vm(vm).spec.unwrap();
        spec.assigned.addresses.get(nic).cloned().unwrap_or_default()
    }

    /// The addresses that readers see.
    pub(crate) fn seen_addresses(&self, vm: VmId) -> Vec<(IpAddr, AddressSource)> {
        self.vm(vm).addresses.into_iter().map(|seen| (seen.address, seen.source)).collect()
    }

    pub(crate) fn edited(&self, vm: VmId, edit: impl FnOnce(&mut VmConfig)) -> Request {
        let mut config = self.vm(vm).spec.unwrap().config.clone();
        edit(&mut config);
        Request::Edit { vm, config: Box::new(config), expected: None }
    }

    pub(crate) fn with_nics(&self, vm: VmId, nics: Value) -> Request {
        self.edited(vm, |config| config.nics = serde_json::from_value(nics).unwrap())
    }

    /// Waits until no network is any more, on the host either.
    pub(crate) async fn has_no_networks(&self) {
        assert!(self.snapshot().networks.is_empty());
        assert!(crate::agreement::names(&self.path().join("networks")).is_empty());
        let host = &self.setup.networks;
        self.until_so("unwired", || host.desired().networks.is_empty()).await;
        assert!(host.desired().nics.is_empty());
    }

    /// Has VMs made at the same time. Returns those that were.
    pub(crate) async fn create_at_once(&self, names: &[&str]) -> Vec<VmId> {
        let one = |name: &&str| self.submit(create(on_lan(name)));
        let accepted = futures_util::future::join_all(names.iter().map(one)).await;
        let mut made = Vec::new();
        for accepted in accepted.into_iter().flatten() {
            if self.end_of(&accepted).await.error.is_none() {
                made.extend(accepted.vm);
            }
        }
        made
    }
}

/// A witness that holds the first who pass a point until it is opened, and may have things fail.
pub(crate) struct Gate {
    at: String,
    /// Whether anybody is held at all.
    armed: AtomicBool,
    /// 0: nobody has passed; 1: somebody is held; 2: it is open.
    state: watch::Sender<u8>,
    /// What shall fail there: that step, and the undoing of steps whose paths are these.
    fails: bool,
    undo_fails: std::sync::Mutex<Vec<String>>,
}

impl Gate {
    pub(crate) fn at(point: &str) -> Arc<Self> {
        Self::new(point, false, &[])
    }

    /// One at which the step fails, and then the undoing of these.
    pub(crate) fn failing(point: &str, undo_fails: &[&str]) -> Arc<Self> {
        let gate = Self::new(point, true, undo_fails);
        gate.open();
        gate
    }

    fn new(point: &str, fails: bool, undo_fails: &[&str]) -> Arc<Self> {
        let undo_fails = undo_fails.iter().map(ToString::to_string).collect::<Vec<_>>().into();
        let (armed, state) = (true.into(), watch::Sender::new(0));
        Arc::new(Self { at: point.into(), armed, state, fails, undo_fails })
    }

    /// One that holds nobody until it is armed.
    pub(crate) fn unarmed_at(point: &str) -> Arc<Self> {
        let gate = Self::at(point);
        gate.armed.store(false, SeqCst);
        gate
    }

    pub(crate) fn arm(&self) {
        self.armed.store(true, SeqCst);
    }

    /// Waits until somebody is held.
    pub(crate) async fn reached(&self) {
        let mut state = self.state.subscribe();
        let waited = tokio::time::timeout(crate::support::LONG, state.wait_for(|state| *state > 0));
        drop(waited.await.unwrap_or_else(|_| panic!("{} is never passed", self.at)).unwrap());
    }

    pub(crate) fn open(&self) {
        self.state.send_replace(2);
    }

    /// From here on everything can be undone.
    pub(crate) fn mended(&self) {
        self.undo_fails.lock().unwrap().clear();
    }
}

#[async_trait]
impl Witness for Gate {
    async fn passes(&self, point: &Point) -> Result<(), Refusal> {
        if !self.armed.load(SeqCst) || self.at != point.to_string() {
            return Ok(());
        }
        self.state.send_if_modified(|state| {
            let is_first = *state == 0;
            *state = (*state).max(1);
            is_first
        });
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| *state == 2).await;
        if self.fails { Err(crate::support::as_told()) } else { Ok(()) }
    }

    async fn undoes(&self, point: &Point) -> Result<(), Refusal> {
        match self.undo_fails.lock().unwrap().contains(&point.path) {
            true => Err(crate::support::as_told()),
            false => Ok(()),
        }
    }
}
