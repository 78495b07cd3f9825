//! A VM's configuration with a NIC more, less or other. Pure.

use crate::accept::request::NicChange;
use innkeeper_model::{
    Code, Incarnation, Placement, Refusal, Spec, VmConfig,
    config::{Attachment, Nic},
};

/// The configuration after a change of one NIC.
///
/// # Errors
/// There is no such NIC, or one with that name already; or it would have to become another device.
pub(crate) fn changed(config: &VmConfig, change: &NicChange) -> Result<VmConfig, Refusal> {
    let mut config = config.clone();
    let place = config.nics.iter().position(|nic| nic.name == *change.nic());
    let missing = || {
        let names: Vec<&str> = config.nics.iter().map(|nic| nic.name.as_str()).collect();
        Refusal::not_found("NIC", change.nic()).with_hint(format!(
            "VM {} has {}",
            config.name,
            named(&names)
        ))
    };
    match (change, place) {
        (NicChange::Add(nic), None) => config.nics.push((**nic).clone()),
        (NicChange::Add(nic), Some(_)) => {
            let message = format!("VM {} has a NIC {} already", config.name, nic.name);
            return Err(Refusal::new(Code::NameTaken, message).at("name"));
        }
        (NicChange::Remove(_), Some(place)) => drop(config.nics.remove(place)),
        (NicChange::Set(nic), Some(place)) => {
            same_device(&config.nics[place], nic)?;
            config.nics[place] = (**nic).clone();
        }
        (NicChange::Remove(_) | NicChange::Set(_), None) => return Err(missing()),
    }
    Ok(config)
}

/// Refuses a NIC for which the machine that is on has no port, as far as its record tells. The driver looks
/// again when it is the NIC's turn.
///
/// # Errors
/// There is none: how many there are, and what to do.
pub(crate) fn check_room(
    machine: Option<&Incarnation>,
    after: &Spec,
    change: &NicChange,
) -> Result<(), Refusal> {
    let NicChange::Add(nic) = change else { return Ok(()) };
    let Some(ports) = machine.and_then(|machine| machine.ports) else { return Ok(()) };
    match after.assigned.devices.get(format!("nic/{}", nic.name).as_str()) {
        Some(Placement::Port(port)) if *port >= ports => {
            let message = format!("the running machine has no port left for NIC {}", nic.name);
            let mut refusal = Refusal::new(Code::OutOfCapacity, message)
                .at("nics")
                .with_limit(format!("{ports} ports"))
                .with_hint("set spare_ports with `inn edit`, then stop and start the VM");
            refusal.value = Some(nic.name.to_string());
            Err(refusal)
        }
        _ => Ok(()),
    }
}

fn named(names: &[&str]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// What only another device could have stays.
fn same_device(before: &Nic, after: &Nic) -> Result<(), Refusal> {
    if after.mac.is_some() && after.mac != before.mac {
        let problem = "cannot be changed: the guest knows the NIC by it";
        return Err(Refusal::invalid(
            "mac",
            after.mac.map(|mac| mac.to_string()).unwrap_or_default(),
            problem,
        )
        .with_hint("take the NIC out and add another"));
    }
    let is_of_host = |nic: &Nic| matches!(nic.network, Attachment::Network(_));
    if before.network != after.network && !(is_of_host(before) && is_of_host(after)) {
        let problem = format!("cannot take the place of {} under a NIC", before.network);
        return Err(Refusal::invalid("network", &after.network, problem)
            .with_hint("take the NIC out and add another"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use innkeeper_model::{SmallMap, VmId};
    use serde_json::json;

    fn nic(name: &str) -> Box<Nic> {
        Box::new(Nic::new(name.parse().unwrap()))
    }

    /// A spec with NICs on ports 0 and 1, and a machine of it with this many ports.
    fn with_ports(ports: Option<u8>) -> (Spec, Incarnation) {
        let id = VmId::new();
        let placements: SmallMap<Placement> =
            [("nic/a", Placement::Port(0)), ("nic/b", Placement::Port(1))].into();
        let spec = json!({
            "id": id, "revision": 1, "created": "2026-01-01T00:00:00Z",
            "updated": "2026-01-01T00:00:00Z", "want": "running", "config": { "name": "web" },
            "assigned": { "machine": "m", "cpu_model": "c", "ports": 6, "devices": placements },
        });
        let machine = json!({
            "schema": 1, "id": id, "vm": id, "spec_revision": 1, "boot_id": "b",
            "created": "2026-01-01T00:00:00Z", "driver": "d", "hypervisor_version": "1",
            "machine": "m", "cpu_model": "c", "accelerator": "a", "cpus": 1, "memory": "1MiB",
            "run_folder": "/", "argv": [], "block_nodes": {}, "ports": ports,
        });
        (serde_json::from_value(spec).unwrap(), serde_json::from_value(machine).unwrap())
    }

    #[test]
    fn a_nic_that_the_machine_has_no_port_for_is_refused() {
        let add = |ports: Option<u8>, name: &str| {
            let (spec, machine) = with_ports(ports);
            check_room(Some(&machine), &spec, &NicChange::Add(nic(name)))
        };
        let refusal = add(Some(1), "b").unwrap_err();
        assert_eq!(
            (refusal.code, refusal.limit.as_deref()),
            (Code::OutOfCapacity, Some("1 ports"))
        );
        assert_eq!(refusal.value.as_deref(), Some("b"));
        add(Some(2), "b").unwrap();
        add(Some(1), "a").unwrap();
        // A machine that an older Innkeeper made does not say, and one that is off takes what there is.
        add(None, "b").unwrap();
        let (spec, machine) = with_ports(Some(0));
        check_room(None, &spec, &NicChange::Add(nic("b"))).unwrap();
        for change in [NicChange::Set(nic("b")), NicChange::Remove("b".parse().unwrap())] {
            check_room(Some(&machine), &spec, &change).unwrap();
        }
    }
}
