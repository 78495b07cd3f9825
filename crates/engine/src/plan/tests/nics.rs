//! What a NIC more, less or other comes to, of a VM that is on and of one that is off.

use super::{networks::claims_on, *};
use crate::accept::request::NicChange;
use innkeeper_model::{NetworkId, config::Nic};

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
