//! What a NIC more, less or other comes to, of a VM that is on and of one that is off.

use super::{
    networks::{claims_on, plug},
    *,
};
use crate::accept::request::NicChange;
use innkeeper_model::{NetworkId, config::Nic, network::Plug};

pub(super) fn nic(name: &str) -> Nic {
    serde_json::from_value(json!({ "name": name, "network": "none" })).unwrap()
}

/// The same VM, whose spec has these NICs.
fn with_nics(context: &Context, nics: &[Nic]) -> Context {
    let mut spec = context.spec.clone();
    let changed = Arc::make_mut(&mut spec);
    changed.config.nics = nics.to_vec();
    let port = |(port, nic): (usize, &Nic)| (format!("nic/{}", nic.name), json!({ "port": port }));
    let devices: serde_json::Map<_, _> = nics.iter().enumerate().map(port).collect();
    changed.assigned.devices = serde_json::from_value(devices.into()).unwrap();
    Context { spec, ..context.clone() }
}

#[test]
fn nics_print() {
    let set = Nic { connected: false, ..nic("lan") };
    let changes = [
        (NicChange::Add(Box::new(nic("new"))), vec![nic("lan"), nic("new")]),
        (NicChange::Remove(nic("lan").name), vec![]),
        (NicChange::Set(Box::new(set.clone())), vec![set]),
    ];
    let mut printed = Printed::default();
    for (change, nics) in changes {
        let one = || with(bare(), "nics", json!([{ "name": "lan", "network": "none" }]));
        let is_on = on(one(), MachineState::Running);
        for (variant, before) in [("of a VM that is off", off(one())), ("of one that is on", is_on)]
        {
            let after = with_nics(&before, &nics);
            let claims = match change {
                NicChange::Remove(_) => Vec::new(),
                _ => claims_on(NetworkId::new()),
            };
            let plan = change_nic(&before, &after, &change, claims).unwrap();
            printed.add(change.kind().name(), variant, plan);
        }
    }
    insta::assert_snapshot!("nics", printed.settled());
}

/// A guest that is to be reached at another place is without its cable until all is as it should be there, and it comes
/// in only where it is to be in.
#[test]
fn cables_of_nics_print() {
    let lan = NetworkId::new();
    let other_rate: fn(&mut Plug) = |plug| plug.rate.in_kbit = Some(5000);
    let other_address: fn(&mut Plug) = |plug| plug.addresses = vec!["10.0.0.3".parse().unwrap()];
    let other_network: fn(&mut Plug) = |plug| plug.network = NetworkId::new();
    let mut printed = Printed::default();
    for (variant, change, was, now) in [
        ("another rate", other_rate, true, true),
        ("another address", other_address, true, true),
        ("another network", other_network, true, true),
        ("another network, and its cable out", other_network, true, false),
        ("another network, and its cable in", other_network, false, true),
        ("another rate, and its cable out", other_rate, true, false),
        ("another rate, and its cable in", other_rate, false, true),
    ] {
        let nic = |connected| Nic { connected, ..nic("lan") };
        let mut before = on(with(bare(), "nics", json!([nic(was)])), MachineState::Running);
        let mut plug = plug(&before, "lan", lan);
        Arc::make_mut(before.incarnation.as_mut().unwrap()).plugs = vec![plug.clone()];
        before.plugs = vec![plug.clone()];
        change(&mut plug);
        let after = Context { plugs: vec![plug], ..with_nics(&before, &[nic(now)]) };
        let change = NicChange::Set(Box::new(nic(now)));
        let plan = change_nic(&before, &after, &change, Vec::new()).unwrap();
        printed.add(change.kind().name(), variant, plan);
    }
    insta::assert_snapshot!("cables_of_nics", printed.settled());
}
