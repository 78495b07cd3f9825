//! From a request about networks to the record that will be stored, or to the reason why not. Asked twice,
//! as legality is: at once, so that the caller hears it, and when its turn has come.

use super::{
    claims::{Claims, whose},
    wiring::{holders, name_in, network, users},
};
use crate::{
    accept::request::{NetworkRequest, ReservationWish},
    engine::Engine,
};
use innkeeper_model::{
    Code, Network, NetworkConfig, NetworkId, NetworkName, Refusal, Revision, Subnet, SubnetConfig,
    SubnetId, Timestamp, VmName,
    config::MacAddress,
    network::{Holder, MAX_SUBNETS, MIN_MTU_IPV6, Reservation},
};
use innkeeper_network::bridge_name;
use innkeeper_view::{Record, Snapshot};
use std::{collections::HashSet, net::IpAddr, sync::Arc};

/// How many of those in the way are named.
const NAMED: usize = 5;

/// What a request about networks comes to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NetworkChange {
    /// The record becomes another; a new one where there was none before.
    Save { network: Arc<Network>, before: Option<Arc<Network>> },
    /// The network goes.
    Remove { network: Arc<Network> },
    /// Addresses of a subnet are kept.
    Reserve { network: NetworkId, subnet: SubnetId, reservations: Vec<Reservation> },
    /// Addresses of a subnet are given back.
    Release { network: NetworkId, subnet: SubnetId, reservations: Vec<Reservation> },
}

impl Engine {
    /// What a request about networks comes to now. Asks the host too, once that is as it should be; changes nothing else.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) async fn network_change(
        &self,
        request: &NetworkRequest,
    ) -> Result<NetworkChange, Refusal> {
        let networks = &self.shared.performer.hands.networks;
        let snapshot = self.view().snapshot();
        let change = change(request, &snapshot, &networks.claims)?;
        let NetworkChange::Save { network, before } = &change else { return Ok(change) };
        if before.as_ref().is_none_or(|before| before.config != network.config) {
            networks.host.check_network(&network.config).await?;
        }
        let known = |subnet: &&Subnet| {
            let before = before.iter().flat_map(|before| before.subnets.iter());
            before.into_iter().any(|before| before.id == subnet.id)
        };
        if before.is_some() && !network.subnets.iter().all(|subnet| known(&subnet)) {
            // A server may still answer on a subnet that was taken back a moment ago, and would be in its own way.
            let _ = self.shared.performer.hands.wire(&[]).await;
        }
        for (index, subnet) in network.subnets.iter().enumerate() {
            if known(&subnet) {
                continue;
            }
            let checked = networks.host.check_subnet(network, &subnet.config).await;
            // In a request for a network, its subnets are a list.
            checked.map_err(
                |refusal| if before.is_none() { of_list(index, refusal) } else { refusal },
            )?;
        }
        Ok(change)
    }
}

/// Which network a request is about, where that can be told.
pub(crate) fn subject(request: &NetworkRequest, snapshot: &Snapshot) -> Option<NetworkId> {
    match request {
        NetworkRequest::Create { id, .. } => *id,
        NetworkRequest::Edit { network, .. }
        | NetworkRequest::Delete { network }
        | NetworkRequest::CreateSubnet { network, .. } => Some(*network),
        NetworkRequest::DeleteSubnet { subnet }
        | NetworkRequest::Reserve { subnet, .. }
        | NetworkRequest::Release { subnet, .. } => {
            with_subnet(*subnet, snapshot).ok().map(|(network, _)| network.id)
        }
    }
}

/// The same record with these addresses of a subnet kept, or not kept any more; `None` where the subnet
/// is gone. Done twice, it is done once.
pub(crate) fn with_reservations(
    network: &Network,
    subnet: SubnetId,
    reservations: &[Reservation],
    kept: bool,
) -> Option<Network> {
    let meant: HashSet<IpAddr> = reservations.iter().map(|meant| meant.address).collect();
    let mut after = Network { revision: network.revision.next(), ..network.clone() };
    after.updated = Timestamp::now();
    let subnet = after.subnets.iter_mut().find(|known| known.id == subnet)?;
    subnet.reservations.retain(|held| !meant.contains(&held.address));
    if kept {
        subnet.reservations.extend(reservations.iter().cloned());
        subnet.reservations.sort_by_key(|reservation| reservation.address);
    }
    Some(after)
}

/// The request with every id in it that it leaves open, so that it comes to the same both times.
pub(crate) fn with_ids(mut request: NetworkRequest) -> NetworkRequest {
    match &mut request {
        NetworkRequest::Create { id, .. } => drop(id.get_or_insert_with(NetworkId::new)),
        NetworkRequest::CreateSubnet { id, .. } => drop(id.get_or_insert_with(SubnetId::new)),
        _ => {}
    }
    request
}

fn change(
    request: &NetworkRequest,
    snapshot: &Snapshot,
    claims: &Claims,
) -> Result<NetworkChange, Refusal> {
    match request {
        NetworkRequest::Create { config, id, subnets } => create(config, *id, subnets, snapshot),
        NetworkRequest::Edit { network: id, config, expected } => {
            edit(network(snapshot, *id)?, config, *expected, snapshot)
        }
        NetworkRequest::Delete { network: id } => delete(network(snapshot, *id)?, snapshot),
        NetworkRequest::CreateSubnet { network: id, config, id: subnet } => {
            let before = network(snapshot, *id)?;
            let mut after = Network::clone(&before);
            add_subnet(&mut after, config, *subnet, snapshot)?;
            Ok(save(before, after))
        }
        NetworkRequest::DeleteSubnet { subnet } => delete_subnet(*subnet, snapshot),
        NetworkRequest::Reserve { subnet, wanted } => reserve(*subnet, wanted, snapshot, claims),
        NetworkRequest::Release { subnet, addresses } => release(*subnet, addresses, snapshot),
    }
}

fn save(before: Arc<Network>, mut network: Network) -> NetworkChange {
    network.revision = before.revision.next();
    network.updated = Timestamp::now();
    NetworkChange::Save { network: Arc::new(network), before: Some(before) }
}

fn create(
    config: &NetworkConfig,
    id: Option<NetworkId>,
    subnets: &[SubnetConfig],
    snapshot: &Snapshot,
) -> Result<NetworkChange, Refusal> {
    config.validate()?;
    name_is_free(&config.name, snapshot)?;
    let id = id.unwrap_or_else(NetworkId::new);
    if snapshot.networks.contains_key(&id) {
        let message = format!("there is a network with id {id}");
        return Err(has(Refusal::new(Code::NameTaken, message), "id", id));
    }
    if let Some(bridge) = &config.bridge
        && let Some(other) = snapshot.networks.values().find(|other| {
            other.bridge == *bridge && (!other.config.is_made()) && other.config.vlan == config.vlan
                || other.bridge == *bridge && other.config.is_made()
        })
    {
        let message = format!("bridge {bridge} is that of network {}", other.config.name);
        return Err(has(Refusal::new(Code::InUse, message), "bridge", bridge)
            .with_hint(format!("put NICs on network {}", other.config.name)));
    }
    let now = Timestamp::now();
    let mut network = Network {
        id,
        revision: Revision(1),
        created: now,
        updated: now,
        bridge: config.bridge.clone().unwrap_or_else(|| bridge_name(id)),
        config: config.clone(),
        subnets: Vec::new(),
        facts: Default::default(),
    };
    for (index, subnet) in subnets.iter().enumerate() {
        add_subnet(&mut network, subnet, None, snapshot)
            .map_err(|refusal| of_list(index, refusal))?;
    }
    Ok(NetworkChange::Save { network: Arc::new(network), before: None })
}

fn edit(
    before: Arc<Network>,
    config: &NetworkConfig,
    expected: Option<Revision>,
    snapshot: &Snapshot,
) -> Result<NetworkChange, Refusal> {
    config.validate()?;
    if let Some(expected) = expected.filter(|expected| *expected != before.revision) {
        let message = format!(
            "the network was changed meanwhile: its record has revision {}, not {expected}",
            before.revision
        );
        return Err(
            Refusal::new(Code::RevisionConflict, message).with_hint("read it again, then repeat")
        );
    }
    let stays = |field: &str, value: String| {
        let problem = "cannot be changed: guests are plugged into what there is";
        Err(Refusal::invalid(field, value, problem).with_hint("make another network"))
    };
    if config.bridge != before.config.bridge {
        let bridge = config.bridge.as_ref().map(ToString::to_string);
        return stays("bridge", bridge.unwrap_or_default());
    }
    if config.vlan != before.config.vlan {
        return stays("vlan", config.vlan.map(|vlan| vlan.to_string()).unwrap_or_default());
    }
    if config.name != before.config.name {
        name_is_free(&config.name, snapshot)?;
        nobody_uses(&before, snapshot)?;
    }
    let after = Network { config: config.clone(), ..Network::clone(&before) };
    for subnet in &after.subnets {
        fits_mtu(&after, &subnet.config)?;
    }
    Ok(save(before, after))
}

fn delete(network: Arc<Network>, snapshot: &Snapshot) -> Result<NetworkChange, Refusal> {
    nobody_uses(&network, snapshot)?;
    Ok(NetworkChange::Remove { network })
}

fn name_is_free(name: &NetworkName, snapshot: &Snapshot) -> Result<(), Refusal> {
    if snapshot.network_named(name).is_none() {
        return Ok(());
    }
    let message = format!("there is a network named {name}");
    Err(has(Refusal::new(Code::NameTaken, message), "name", name))
}

fn nobody_uses(network: &Network, snapshot: &Snapshot) -> Result<(), Refusal> {
    let users = users(network, snapshot, NAMED);
    if users.is_empty() {
        return Ok(());
    }
    let users: Vec<&str> = users.iter().map(VmName::as_str).collect();
    let message = format!("network {} is in use by {}", network.config.name, users.join(", "));
    Err(Refusal::new(Code::InUse, message)
        .with_hint("delete those VMs, or take their NICs off it with `inn edit`, first"))
}

fn add_subnet(
    network: &mut Network,
    config: &SubnetConfig,
    id: Option<SubnetId>,
    snapshot: &Snapshot,
) -> Result<(), Refusal> {
    config.validate()?;
    fits_mtu(network, config)?;
    if network.subnets.len() >= MAX_SUBNETS {
        let problem = "are as many as a network can have";
        return Err(
            Refusal::invalid("subnets", network.subnets.len(), problem).with_limit(MAX_SUBNETS)
        );
    }
    let others = snapshot.networks.values().map(|other| &**other.value());
    let others = others.filter(|other| other.id != network.id).chain([&*network]);
    let all: Vec<(&Network, &Subnet)> =
        others.flat_map(|other| other.subnets.iter().map(move |subnet| (other, subnet))).collect();
    if let Some((other, subnet)) = all.iter().find(|(_, subnet)| overlap(config, &subnet.config)) {
        let message = format!(
            "range {} overlaps subnet {} of network {}",
            config.range,
            subnet.config.label(),
            other.config.name
        );
        let refusal = has(Refusal::new(Code::InUse, message), "range", config.range);
        return Err(refusal.with_limit(subnet.config.range));
    }
    if let Some(id) = id
        && all.iter().any(|(_, subnet)| subnet.id == id)
    {
        let message = format!("there is a subnet with id {id}");
        return Err(has(Refusal::new(Code::NameTaken, message), "id", id));
    }
    let label = config.label();
    if network.subnets.iter().any(|subnet| subnet.config.label() == label) {
        let message = format!("network {} has a subnet named {label}", network.config.name);
        return Err(has(Refusal::new(Code::NameTaken, message), "name", label));
    }
    let id = id.unwrap_or_else(SubnetId::new);
    network.subnets.push(Subnet { id, config: config.clone(), reservations: Vec::new() });
    Ok(())
}

/// The refusal of a subnet that is one of a list.
fn of_list(index: usize, mut refusal: Refusal) -> Refusal {
    let of_one = |field: String| match field.as_str() {
        // Their number is the list's own.
        "subnets" => field,
        _ => format!("subnets[{index}].{field}"),
    };
    refusal.field = refusal.field.map(of_one);
    refusal
}

fn overlap(one: &SubnetConfig, other: &SubnetConfig) -> bool {
    one.range.contains(&other.range) || other.range.contains(&one.range)
}

fn fits_mtu(network: &Network, subnet: &SubnetConfig) -> Result<(), Refusal> {
    let Some(mtu) = network.config.mtu else { return Ok(()) };
    if subnet.range.addr().is_ipv6() && mtu < MIN_MTU_IPV6 {
        let problem = format!("is too little for IPv6 subnet {}", subnet.label());
        return Err(Refusal::invalid("mtu", mtu, problem).with_limit(MIN_MTU_IPV6));
    }
    Ok(())
}

/// A refusal of a field's value that is not wrong in itself.
fn has(mut refusal: Refusal, field: &str, value: impl ToString) -> Refusal {
    refusal.value = Some(value.to_string());
    refusal.at(field)
}

/// The network that a subnet is on, and the subnet's place in it.
fn with_subnet(id: SubnetId, snapshot: &Snapshot) -> Result<(Arc<Network>, usize), Refusal> {
    let find = |known: &Arc<Record<Network>>| {
        let place = known.subnets.iter().position(|subnet| subnet.id == id)?;
        Some((known.id, place))
    };
    let found = snapshot.networks.values().find_map(find);
    let (id, place) = found.ok_or_else(|| Refusal::not_found("subnet", id))?;
    Ok((network(snapshot, id)?, place))
}

fn delete_subnet(id: SubnetId, snapshot: &Snapshot) -> Result<NetworkChange, Refusal> {
    let (before, place) = with_subnet(id, snapshot)?;
    let mut after = Network::clone(&before);
    let subnet = after.subnets.remove(place);
    let users = holders(snapshot, NAMED, |address| subnet.config.range.contains(address));
    if !users.is_empty() {
        let name = |vm| snapshot.vms.get(vm).map(|vm| vm.name.to_string());
        let users: Vec<String> = users.iter().filter_map(name).collect();
        let message = format!("subnet {} is in use by {}", subnet.config.label(), users.join(", "));
        return Err(Refusal::new(Code::InUse, message)
            .with_hint("delete those VMs, or take their NICs off the network, first"));
    }
    if !subnet.reservations.is_empty() {
        let count = subnet.reservations.len();
        let message =
            format!("subnet {} has {count} reservations of addresses", subnet.config.label());
        return Err(Refusal::new(Code::InUse, message)
            .with_hint("give them back first, with `inn subnet release`"));
    }
    Ok(save(before, after))
}

fn reserve(
    id: SubnetId,
    wanted: &[ReservationWish],
    snapshot: &Snapshot,
    claims: &Claims,
) -> Result<NetworkChange, Refusal> {
    let (network, place) = with_subnet(id, snapshot)?;
    let subnet = &network.subnets[place];
    let mut asked = HashSet::new();
    let by_name = |holder: &Holder| whose(holder, name_in(snapshot));
    for (index, wish) in wanted.iter().enumerate() {
        if let Some(mac) = wish.mac
            && let Some(holder) = claims.mac_holder(network.id, mac)
        {
            let message = format!("hardware address {mac} is taken by {}", by_name(&holder));
            let field = format!("reservations[{index}].mac");
            return Err(has(Refusal::new(Code::InUse, message), &field, mac).with_hint(
                "a NIC of a VM has its address already: `addresses` of the NIC says which",
            ));
        }
        if let Some(mac) = wish.mac
            && let Some(what) = reserved_for(mac, subnet, &wanted[..index])
        {
            let message = format!("hardware address {mac} has {what} of this subnet already");
            let field = format!("reservations[{index}].mac");
            return Err(has(Refusal::new(Code::InUse, message), &field, mac).with_hint(
                "one guest is given one address of a subnet; leave `mac` out to keep another free",
            ));
        }
        let Some(address) = wish.address else { continue };
        let field = || format!("reservations[{index}].address");
        if !subnet.config.can_be_given(address) {
            let problem = format!("cannot be given in subnet {}", subnet.config.label());
            return Err(Refusal::invalid(field(), address, problem).with_limit(subnet.config.range));
        }
        if !asked.insert(address) {
            return Err(Refusal::invalid(field(), address, "is there twice"));
        }
        if let Some(holder) = claims.holder(address) {
            let message = format!("address {address} is taken by {}", by_name(&holder));
            return Err(has(Refusal::new(Code::InUse, message), &field(), address));
        }
    }
    let open = wanted.iter().filter(|wish| wish.address.is_none()).count();
    let mut free = claims.free(subnet, &asked, open)?.into_iter();
    let made = wanted.iter().filter_map(|wish| {
        let address = wish.address.or_else(|| free.next())?;
        Some(Reservation { address, mac: wish.mac, name: wish.name.clone() })
    });
    let reservations = made.collect();
    Ok(NetworkChange::Reserve { network: network.id, subnet: id, reservations })
}

/// What a subnet keeps for a hardware address already, or is asked to by an earlier wish.
fn reserved_for(mac: MacAddress, subnet: &Subnet, wanted: &[ReservationWish]) -> Option<String> {
    let kept = subnet.reservations.iter().find(|reserved| reserved.mac == Some(mac));
    let kept = kept.map(|reserved| format!("the reserved address {}", reserved.address));
    kept.or_else(|| {
        let earlier = wanted.iter().position(|wish| wish.mac == Some(mac))?;
        Some(format!("the address of reservations[{earlier}]"))
    })
}

fn release(
    id: SubnetId,
    addresses: &[IpAddr],
    snapshot: &Snapshot,
) -> Result<NetworkChange, Refusal> {
    let (network, place) = with_subnet(id, snapshot)?;
    let subnet = &network.subnets[place];
    let held: HashSet<IpAddr> = subnet.reservations.iter().map(|held| held.address).collect();
    if let Some(missing) = addresses.iter().find(|address| !held.contains(address)) {
        return Err(Refusal::not_found("reservation of address", missing));
    }
    let given_back: HashSet<&IpAddr> = addresses.iter().collect();
    let held = subnet.reservations.iter();
    let reservations = held.filter(|held| given_back.contains(&held.address)).cloned().collect();
    Ok(NetworkChange::Release { network: network.id, subnet: id, reservations })
}

#[cfg(test)]
#[path = "changes_tests.rs"]
mod tests;
