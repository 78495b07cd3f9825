//! Has the host be as networks and NICs want it, and tells the view what there is.

use super::{
    changes::with_reservations,
    claims::NicClaim,
    mended::mended,
    wiring::{self, claims_of_vm, desired, plugs_of_vm},
};
use crate::{
    accept::admission::Admitted,
    accept::request::{Caller, NetworkRequest, Request},
    engine::Engine,
    perform::hands::Hands,
    plan::Plan,
    plan::steps::{OwnStep, PlanStep},
};
use futures_util::FutureExt;
use innkeeper_model::{
    Code, GuestAddress, Network, NetworkConfig, NetworkId, NetworkName, Refusal, Spec,
    SubnetConfig, SubnetId, Timestamp, Vm, VmId,
    config::PublishedPort,
    network::{AddressSource, Lease, Plug, Reservation},
};
use innkeeper_network::{Applied, Finding};
use innkeeper_view::{Snapshot, Update};
use ipnet::Ipv4Net;
use std::sync::LazyLock;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, PoisonError},
};
use tracing::{info, warn};

/// The name of the network that is made at the first start.
static DEFAULT_NETWORK: LazyLock<NetworkName> =
    LazyLock::new(|| "default".parse().expect("default is a name"));

impl Hands {
    /// Has the host be as the view wants it, and waits until it is. Where nothing is to be done this
    /// costs one look at the view.
    ///
    /// # Errors
    /// It could not be done for all, or not for one of these networks.
    pub(crate) async fn wire(&self, needed: &[NetworkId]) -> Result<(), Refusal> {
        let snapshot = self.view.snapshot();
        if snapshot.networks.is_empty() {
            return Ok(());
        }
        let applied = self.apply().await?;
        for (network, refusal) in &applied.failed {
            warn!(%network, %refusal, "the network is not as it should be");
        }
        needed.iter().try_for_each(|network| applied.of(*network))
    }

    /// Stores a network's record and tells it.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) async fn save_network(&self, network: &Arc<Network>) -> Result<(), Refusal> {
        let (store, record) = (self.networks.store.clone(), network.clone());
        crate::perform::hands::blocking(move || Ok(store.save(&record)?)).await?;
        self.networks.claims.put_network(network.id, Some(network));
        self.told(Update::Network(network.clone())).await
    }

    /// Stores a network's record with addresses of a subnet kept, or not kept any more. Where there is no
    /// such network or subnet any more, there is nothing to keep.
    ///
    /// # Errors
    /// It cannot be written, or a NIC has one that is to be kept.
    pub(crate) async fn keep_addresses(
        &self,
        network: NetworkId,
        subnet: SubnetId,
        reservations: &[Reservation],
        kept: bool,
    ) -> Result<(), Refusal> {
        let Ok(before) = wiring::network(&self.view.snapshot(), network) else { return Ok(()) };
        if kept {
            // A NIC can have been given one since they were chosen.
            let denied = self.networks.claims.keep(network, reservations);
            denied.map_err(|denied| denied.refusal(wiring::name_in(&self.view.snapshot())))?;
        }
        match with_reservations(&before, subnet, reservations, kept) {
            Some(after) => self.save_network(&Arc::new(after)).await,
            None => Ok(()),
        }
    }

    /// Removes a network's record, and tells it.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) async fn remove_network(&self, network: NetworkId) -> Result<(), Refusal> {
        let store = self.networks.store.clone();
        crate::perform::hands::blocking(move || Ok(store.remove(network)?)).await?;
        self.networks.claims.put_network(network, None);
        self.told(Update::NetworkRemoved(network)).await
    }

    /// Removes what there is of a network on the host, after its record.
    ///
    /// # Errors
    /// Something could not be removed.
    pub(crate) async fn release_network(&self, network: &Network) -> Result<(), Refusal> {
        // First what is left is made to be without it.
        self.apply().await?;
        self.networks.host.release(network).await
    }

    /// Has the host be as the view is now.
    async fn apply(&self) -> Result<Applied, Refusal> {
        let mut applying = {
            // The host takes the last that it was asked for, so nobody may ask with an older view after
            // one with a newer; it hears what it is asked for when it is asked first.
            let _in_order = self.networks.asking.lock().unwrap_or_else(PoisonError::into_inner);
            let metadata = self.networks.metadata;
            let desired = Arc::new(desired(&self.view.snapshot(), metadata));
            let mut applying = self.networks.host.apply(desired);
            if let Some(applied) = (&mut applying).now_or_never() {
                return applied;
            }
            applying
        };
        (&mut applying).await
    }

    /// Leaves a VM with the addresses and ports that its spec and its machine have, and the rest free.
    /// Only for one of which no other task has chosen any that its spec does not have yet.
    pub(crate) fn settle_claims(&self, vm: VmId) {
        match self.networks.claims.settle(vm, &self.claims_of(vm)) {
            Ok(false) => {}
            Ok(true) => self.networks.rewire.notify_one(),
            Err(denied) => warn!(%vm, ?denied, "two have the same"),
        }
    }

    /// Has a VM keep what its spec and its machine have, besides what its tasks have chosen.
    pub(crate) fn hold_claims(&self, vm: VmId) {
        if let Err(denied) = self.networks.claims.hold(vm, &self.claims_of(vm)) {
            warn!(%vm, ?denied, "two have the same");
        }
        if self.networks.claims.has_any(vm) {
            self.networks.rewire.notify_one();
        }
    }

    fn claims_of(&self, vm: VmId) -> Vec<NicClaim> {
        let snapshot = self.view.snapshot();
        let vm = snapshot.vms.get(&vm);
        vm.map(|vm| claims_of_vm(vm, &snapshot)).unwrap_or_default()
    }

    async fn told(&self, update: Update) -> Result<(), Refusal> {
        let told = self.view.barrier(vec![update]).await;
        told.map_err(|_| Refusal::new(Code::ShuttingDown, "the daemon is stopping"))?;
        Ok(())
    }
}

/// Follows what changes without anybody waiting for it: VMs that come and go, leases, servers that die, rules that
/// somebody else has changed.
pub(crate) async fn run(engine: Engine) {
    let hands = &engine.shared.performer.hands;
    let mut changes = hands.networks.host.changes();
    let mut disturbed = hands.networks.host.disturbed();
    loop {
        if let Err(refusal) = hands.wire(&[]).await {
            warn!(%refusal, "the host's networks are not as they should be");
        }
        tell(&engine, &[]);
        tokio::select! {
            () = hands.networks.rewire.notified() => {}
            changed = changes.changed() => if changed.is_err() { return },
            changed = disturbed.changed() => match changed {
                Ok(()) => survey(&engine).await,
                Err(_) => return,
            },
        }
    }
}

/// Makes the network that everybody finds without having asked: on the first range that the host has no
/// use for. What is in its way is said once, and nothing is made.
pub(crate) async fn make_default(engine: Engine) {
    let mut refused = None;
    for third in 0..=u8::MAX {
        let range = Ipv4Net::new_assert([10, 87, third, 0].into(), 24);
        let request = NetworkRequest::Create {
            config: Box::new(NetworkConfig::new(DEFAULT_NETWORK.clone())),
            id: None,
            subnets: vec![SubnetConfig::new(range.into())],
        };
        match engine.submit(&Caller::innkeeper(), Request::Network(request)).await {
            Ok(_) => return,
            // Somebody was quicker, or needs no help.
            Err(refusal) if refusal.code == Code::NameTaken => return,
            // The range is taken; all else would be so for the next one, too.
            Err(refusal) if refusal.field.as_deref() == Some("subnets[0].range") => {
                refused = Some(refusal)
            }
            Err(refusal) => {
                refused = Some(refusal);
                break;
            }
        }
    }
    if let Some(refusal) = refused {
        warn!(%refusal, hint = refusal.hint, "there is no default network, and no later start makes one");
    }
}

/// Looks for what nobody told, and mends it.
pub(crate) async fn survey(engine: &Engine) {
    let hands = &engine.shared.performer.hands;
    if hands.view.snapshot().networks.is_empty() {
        return;
    }
    // What could not be done when it was asked for is not done by looking at what was.
    if let Err(refusal) = hands.wire(&[]).await {
        warn!(%refusal, "the host's networks are not as they should be");
    }
    let findings = hands.networks.host.survey().await.unwrap_or_else(|refusal| {
        warn!(%refusal, "the host's networks cannot be looked at");
        Vec::new()
    });
    for finding in &findings {
        info!(network = ?finding.network, mended = finding.mended, "{}", finding.text);
    }
    tell(engine, &findings);
}

/// Tells the view what there is of networks, what has just been found of them, and the addresses of guests.
fn tell(engine: &Engine, findings: &[Finding]) {
    let hands = &engine.shared.performer.hands;
    let mut put_right = hands.networks.mended.lock().unwrap_or_else(PoisonError::into_inner);
    let snapshot = hands.view.snapshot();
    let is_known = |id: NetworkId| snapshot.networks.contains_key(&id);
    put_right.retain(|network, _| is_known(*network));
    let mut leases: HashMap<NetworkId, Vec<Lease>> = HashMap::new();
    for network in snapshot.networks.values() {
        if let Some(now) = mended(network.id, findings, is_known, Timestamp::now()) {
            put_right.insert(network.id, now);
        }
        let mut facts = hands.networks.host.facts(network.id);
        facts.mended = put_right.get(&network.id).cloned();
        leases.insert(network.id, facts.leases.clone());
        if facts != network.facts {
            hands.view.post(Update::NetworkFacts { id: network.id, facts });
        }
    }
    for vm in snapshot.vms.values() {
        let addresses = addresses_of(vm, &snapshot, &leases);
        let known = vm.addresses.iter().filter(|known| known.source != AddressSource::Agent);
        if known.ne(&addresses) {
            hands.view.post(Update::VmAddresses { id: vm.id, addresses });
            engine.shared.agents.mark(vm.id);
        }
    }
}

/// The addresses of a guest: those kept for it, and those it took up.
fn addresses_of(
    vm: &Vm,
    snapshot: &Snapshot,
    leases: &HashMap<NetworkId, Vec<Lease>>,
) -> Vec<GuestAddress> {
    let of_plug = |plug: Plug| {
        let source = |address: IpAddr| {
            let on_network = leases.get(&plug.network).into_iter().flatten();
            let taken_up = vm.is_on() && on_network.into_iter().any(|l| l.address == address);
            if taken_up { AddressSource::Lease } else { AddressSource::Reservation }
        };
        let addresses: Vec<GuestAddress> = plug
            .addresses
            .iter()
            .map(|address| GuestAddress {
                nic: Some(plug.nic.clone()),
                address: *address,
                source: source(*address),
            })
            .collect();
        addresses
    };
    plugs_of_vm(vm, snapshot).into_iter().flat_map(of_plug).collect()
}

impl Engine {
    /// The admitted VM with the addresses of its NICs, which are taken; so is all else that they need.
    ///
    /// # Errors
    /// A network is not there, or something is taken. Nothing is taken then.
    pub(crate) fn with_addresses(
        &self,
        mut admitted: Admitted,
        before: Option<&Spec>,
    ) -> Result<Admitted, Refusal> {
        let snapshot = self.view().snapshot();
        let spec = admitted.spec.clone();
        let before = before.map(|before| &before.assigned);
        let wishes = wiring::wishes(&spec.config, &spec.assigned.macs, before, &snapshot)?;
        let claims = &self.shared.performer.hands.networks.claims;
        let private: Vec<_> = wiring::private_nics(&spec.config).collect();
        let (addresses, taken) =
            claims.take(spec.id, &spec.config.project, &wishes, &private).map_err(|denied| {
                let project = Some(&spec.config.project);
                denied.refusal(wiring::name_within(&snapshot, project))
            })?;
        admitted.networks = wishes.iter().map(|wish| wish.network.id).collect();
        admitted.networks.sort_unstable();
        admitted.networks.dedup();
        admitted.claims = taken;
        Arc::make_mut(&mut admitted.spec).assigned.addresses = addresses;
        Ok(admitted)
    }

    /// The networks that a new VM was admitted with are still what they were when its turn has come.
    ///
    /// # Errors
    /// One is not there any more, or is another.
    pub(crate) fn networks_are_there(&self, admitted: &Admitted) -> Result<(), Refusal> {
        let snapshot = self.view().snapshot();
        let Spec { config, assigned, .. } = &*admitted.spec;
        let wishes = wiring::wishes(config, &assigned.macs, None, &snapshot)?;
        let on: Vec<NetworkId> = wishes.iter().map(|wish| wish.network.id).collect();
        are_those(&on, &admitted.networks)?;
        for wish in &wishes {
            let given = assigned.addresses.get(wish.nic.name.as_str()).into_iter().flatten();
            let can_be = |address: IpAddr| {
                let subnet = wish.network.subnet_with(address);
                subnet.is_some_and(|subnet| subnet.config.can_be_given(address))
            };
            if let Some(address) = given.copied().find(|address| !can_be(*address)) {
                let problem = "is not of the network's subnets any more";
                let field = format!("nics[{}].addresses", wish.index);
                return Err(Refusal::invalid(field, address, problem).with_hint("ask again"));
            }
        }
        Ok(())
    }

    /// Leaves a VM with what its spec and its machine have of networks, unless a task of it may have
    /// chosen more, or have more to take back: the last one does it then.
    pub(crate) fn settle_claims(&self, vm: VmId) {
        let hands = &self.shared.performer.hands;
        match self.is_busy(vm) || self.shared.owing.is_owed_of(vm) {
            true => hands.hold_claims(vm),
            false => hands.settle_claims(vm),
        }
    }

    /// Keeps what a machine without a VM has of networks, for as long as the engine lives.
    pub(crate) fn withhold_claims(&self, vm: VmId, plugs: &[Plug]) {
        let claims: Vec<NicClaim> = plugs.iter().flat_map(wiring::claims_of).collect();
        if let Err(denied) = self.shared.performer.hands.networks.claims.hold(vm, &claims) {
            warn!(%vm, ?denied, "two have the same");
        }
    }

    /// Takes for an unfinished plan what it had chosen, and what it may give back, before anybody else can.
    pub(crate) fn take_what_was_chosen(&self, plan: &Plan) {
        let snapshot = self.view().snapshot();
        let claims = &self.shared.performer.hands.networks.claims;
        for placed in plan.steps() {
            let (vm, chosen) = match placed.step {
                PlanStep::Own(OwnStep::ReserveAddresses { vm, claims }) => (*vm, claims.clone()),
                // Whichever is stored in the end.
                PlanStep::Own(OwnStep::SaveSpec { spec, before: Some(before) }) => {
                    let plugs = [spec, before].map(|spec| wiring::plugs_of(spec, &snapshot));
                    (spec.id, plugs.iter().flatten().flat_map(wiring::claims_of).collect())
                }
                _ => continue,
            };
            if let Err(denied) = claims.hold(vm, &chosen) {
                warn!(%vm, ?denied, "an unfinished task cannot have what it had chosen");
            }
        }
    }

    /// Ports that are to be published are not some program's of this host.
    ///
    /// # Errors
    /// The field. Whose the port is, the caller is not told.
    pub(crate) async fn check_published(
        &self,
        spec: &Spec,
        before: Option<&Spec>,
    ) -> Result<(), Refusal> {
        let had = |port: &PublishedPort| {
            let nics = before.iter().flat_map(|before| before.config.nics.iter());
            nics.flat_map(|nic| nic.publish.iter()).any(|had| had == port)
        };
        for (index, nic) in spec.config.nics.iter().enumerate() {
            for port in nic.publish.iter().filter(|port| !had(port)) {
                let checked = self.shared.performer.hands.networks.host.check_published(port).await;
                checked.map_err(|refusal| refusal.at(format!("nics[{index}].publish")))?;
            }
        }
        Ok(())
    }
}

/// Refuses what is on networks that its task has not waited for: others can change those meanwhile.
///
/// # Errors
/// It is on one that is not among these.
pub(crate) fn are_those(on: &[NetworkId], waited_for: &[NetworkId]) -> Result<(), Refusal> {
    if on.iter().all(|network| waited_for.contains(network)) {
        return Ok(());
    }
    let message = "a network that it is on is another than when this was asked for";
    Err(Refusal::new(Code::NotFound, message).at("nics").with_hint("ask again"))
}
