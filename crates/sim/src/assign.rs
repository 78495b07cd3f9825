//! What a VM's devices are known by. Kept while a device exists, as everywhere.

use innkeeper_model::{
    Assigned, IncarnationId, Placement, Refusal, VmConfig, config::MacAddress, host::Hypervisor,
};
use std::collections::BTreeSet;

/// How many hotplug ports a machine has room for.
const MAX_PORTS: u8 = 64;

/// Chooses what a VM's devices are known by, keeping what was chosen before.
///
/// # Errors
/// The machine type is not known here, or there is no room for a device.
pub(crate) fn assign(
    config: &VmConfig,
    before: Option<&Assigned>,
    hypervisor: &Hypervisor,
) -> Result<Assigned, Refusal> {
    let kept_cpu = before.map(|before| before.cpu_model.clone());
    let devices = devices(config, before)?;
    Ok(Assigned {
        machine: machine(config, before, hypervisor)?,
        cpu_model: config
            .cpu_model
            .clone()
            .or(kept_cpu)
            .unwrap_or_else(|| hypervisor.default_cpu_model.clone()),
        uid: before.and_then(|before| before.uid),
        ports: ports(&devices, config, before)?,
        devices: devices.into_iter().map(|(key, port)| (key, Placement::Port(port))).collect(),
        macs: macs(config, before),
        addresses: Default::default(),
        serials: serials(config, before),
    })
}

fn machine(
    config: &VmConfig,
    before: Option<&Assigned>,
    hypervisor: &Hypervisor,
) -> Result<String, Refusal> {
    let kept = before.map(|before| &before.machine);
    let Some(machine) = config.machine.as_ref().or(kept) else {
        return Ok(hypervisor.default_machine.clone());
    };
    if kept != Some(machine) && !hypervisor.machines.contains(machine) {
        return Err(Refusal::invalid("machine", machine, "is not known to the simulator")
            .with_limit(hypervisor.machines.join(" "))
            .with_hint(format!("leave it out for {}", hypervisor.default_machine)));
    }
    Ok(machine.clone())
}

/// The port of each device: the one that it had before, or the lowest that is free.
fn devices(config: &VmConfig, before: Option<&Assigned>) -> Result<Vec<(String, u8)>, Refusal> {
    let disks = config.disks.iter().map(|disk| format!("disk/{}", disk.name));
    let nics = config.nics.iter().map(|nic| format!("nic/{}", nic.name));
    let keys: Vec<String> = disks.chain(nics).collect();
    let kept = |key: &String| match before?.devices.get(key)? {
        Placement::Port(port) => Some(*port),
        _ => None,
    };
    let mut taken: BTreeSet<u8> = keys.iter().filter_map(kept).collect();
    let place = |key: String| {
        let free = || (0..MAX_PORTS).find(|port| !taken.contains(port));
        let port = kept(&key).or_else(free).ok_or_else(|| full(&key))?;
        taken.insert(port);
        Ok((key, port))
    };
    keys.into_iter().map(place).collect()
}

fn full(key: &str) -> Refusal {
    let problem = format!("has no place: all {MAX_PORTS} ports are taken");
    Refusal::invalid("devices", key, problem).with_limit(MAX_PORTS)
}

/// How many ports the machine has: those taken and the spare ones, and never fewer than before.
fn ports(
    devices: &[(String, u8)],
    config: &VmConfig,
    before: Option<&Assigned>,
) -> Result<u8, Refusal> {
    let highest = devices.iter().map(|(_, port)| port + 1).max().unwrap_or(0);
    // No more devices have ports than there are ports, as was seen when they were placed.
    let needed = (devices.len() as u8).saturating_add(config.spare_ports);
    let ports = needed.max(highest).max(before.map_or(0, |before| before.ports));
    if ports > MAX_PORTS {
        let problem = format!("does not fit beside {} devices", devices.len());
        let refusal = Refusal::invalid("spare_ports", config.spare_ports, problem);
        return Err(refusal.with_limit(MAX_PORTS));
    }
    Ok(ports)
}

fn macs(config: &VmConfig, before: Option<&Assigned>) -> innkeeper_model::SmallMap<MacAddress> {
    let choose = |nic: &innkeeper_model::config::Nic| {
        let kept = || before.and_then(|before| before.macs.get(nic.name.as_str()).copied());
        let random = || {
            let [.., a, b, c] = *IncarnationId::new().as_uuid().as_bytes();
            MacAddress::from_suffix([a, b, c])
        };
        (nic.name.to_string(), nic.mac.or_else(kept).unwrap_or_else(random))
    };
    config.nics.iter().map(choose).collect()
}

fn serials(config: &VmConfig, before: Option<&Assigned>) -> innkeeper_model::SmallMap<String> {
    let choose = |disk: &innkeeper_model::config::Disk| {
        let kept = || before.and_then(|before| before.serials.get(disk.name.as_str()).cloned());
        let random = || {
            let id = IncarnationId::new().as_uuid().simple().to_string();
            format!("inn-{}", &id[id.len() - 12..])
        };
        (disk.name.to_string(), disk.serial.clone().or_else(kept).unwrap_or_else(random))
    };
    config.disks.iter().map(choose).collect()
}
