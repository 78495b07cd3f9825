//! Network interfaces: what they are plugged into, by virtx's two kinds of name.

use super::{
    super::{
        numbers::{NetModel, NetType},
        wire::{Net, Vmdef},
    },
    Labels,
};
use innkeeper_model::{
    DeviceName, NetworkConfig, Refusal, Spec,
    config::{Attachment, MacAddress, Nic},
};
use innkeeper_view::Snapshot;
use std::collections::BTreeSet;

/// The most interfaces of one VM.
const MAX_NETS: usize = 8;

/// The interfaces that are asked for. One that was there before, by its hardware address or by its place,
/// stays what it was beyond what virtx knows of it.
pub(super) fn wanted(
    def: &Vmdef,
    before: Option<&Spec>,
    now: &Snapshot,
    labels: &mut Labels,
) -> Result<Vec<Nic>, Refusal> {
    if def.nets.len() > MAX_NETS {
        let problem = format!("are too many: at most {MAX_NETS}");
        return Err(Refusal::invalid("nets", def.nets.len(), problem).with_limit(MAX_NETS));
    }
    let mut left: Vec<&Nic> = before.iter().flat_map(|spec| &spec.config.nics).collect();
    let mut taken: BTreeSet<String> = left.iter().map(|nic| nic.name.to_string()).collect();
    let mut nics = Vec::new();
    for (index, net) in def.nets.iter().enumerate() {
        let network = attachment(net, index, def.vlanid, now)?;
        let mac = mac(net, index)?;
        let old = before.and_then(|spec| {
            let is_it = |nic: &&Nic| nic.network == network && fits(spec, nic, mac);
            left.iter().position(is_it)
        });
        let nic = match old {
            Some(old) => left.remove(old).clone(),
            None => Nic { network, mac, ..Nic::new(free_name(&mut taken)) },
        };
        if net.nettype == NetType::Bridge {
            labels.add(label(&nic.name), "bridge");
        }
        nics.push(nic);
    }
    Ok(nics)
}

/// Whether an interface has this hardware address, where one is asked for.
fn fits(spec: &Spec, nic: &Nic, mac: Option<MacAddress>) -> bool {
    mac.is_none_or(|mac| hardware_address(spec, nic) == Some(mac))
}

fn hardware_address(spec: &Spec, nic: &Nic) -> Option<MacAddress> {
    nic.mac.or_else(|| spec.assigned.macs.get(nic.name.as_str()).copied())
}

fn free_name(taken: &mut BTreeSet<String>) -> DeviceName {
    let mut names = (0..).map(|number| format!("net{number}"));
    let name = names.find(|name| !taken.contains(name)).expect("numbers do not end");
    let parsed = name.parse().expect("a word with a number is a name");
    taken.insert(name);
    parsed
}

fn label(nic: &DeviceName) -> String {
    format!("virtx.nettype.{nic}")
}

fn mac(net: &Net, index: usize) -> Result<Option<MacAddress>, Refusal> {
    if net.mac.is_empty() {
        return Ok(None);
    }
    let parsed = net.mac.parse();
    parsed
        .map(Some)
        .map_err(|problem| Refusal::invalid(format!("nets[{index}].mac"), &net.mac, problem))
}

/// What an interface is to be plugged into.
fn attachment(net: &Net, index: usize, vlanid: i16, now: &Snapshot) -> Result<Attachment, Refusal> {
    let field = |name: &str| format!("nets[{index}].{name}");
    if net.model != NetModel::Virtio {
        let problem = "is not possible on this host: 0 (virtio) is";
        return Err(Refusal::invalid(field("model"), net.model as i16, problem));
    }
    let none = |what: &str| {
        let problem = format!("is no {what} of this host");
        Refusal::invalid(field("name"), &net.name, problem)
            .with_hint("`inn network list` shows which there are")
    };
    let (name, network) = match net.nettype {
        NetType::Libvirt => {
            let attachment: Attachment = net.name.parse().map_err(|_| none("network"))?;
            let Some(name) = attachment.network() else { return Ok(attachment) };
            let known = now.network_named(name).ok_or_else(|| none("network"))?;
            (name.clone(), &known.config)
        }
        NetType::Bridge => {
            let on_it = now.networks.values().filter(|known| known.bridge.as_str() == net.name);
            // Several VLANs can be on one bridge, a network each.
            let found = on_it.min_by_key(|known| tag(&known.config) != vlanid);
            let found = found.ok_or_else(|| none("bridge that a network is on"))?;
            (found.config.name.clone(), &found.config)
        }
    };
    if vlanid != 0 && vlanid != tag(network) {
        let problem = format!("is not the VLAN of network {name}, which is {}", tag(network));
        return Err(Refusal::invalid("vlanid", vlanid, problem));
    }
    Ok(Attachment::Network(name))
}

/// The VLAN of a network; 0 for none.
fn tag(network: &NetworkConfig) -> i16 {
    network.vlan.and_then(|tag| i16::try_from(tag).ok()).unwrap_or_default()
}

/// An interface as virtx shows it.
pub(super) fn shown(spec: &Spec, nic: &Nic, now: &Snapshot) -> Net {
    let network = nic.network.network().and_then(|name| now.network_named(name));
    let by_bridge = spec.config.labels.contains_key(&label(&nic.name));
    let (name, nettype) = match network {
        Some(network) if by_bridge => (network.bridge.to_string(), NetType::Bridge),
        _ => (nic.network.to_string(), NetType::Libvirt),
    };
    let mac = hardware_address(spec, nic).map(|mac| mac.to_string()).unwrap_or_default();
    Net { name, nettype, model: NetModel::Virtio, mac }
}
