//! Plans this driver's part of an operation. Pure.

use crate::{
    NAME,
    machine::Device,
    steps::{Launch, SimStep},
};
use innkeeper_driver::{Flow, Operation, PlanContext};
use innkeeper_model::{
    Code, DeviceName, Foreign, Incarnation, IncarnationId, MachineState, MemoryImage, Placement,
    Policy, Refusal, config::Nic, incarnation, memory::MEMORY_IMAGE_SCHEMA, network::Plug,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The name that the disk with the cloud-init seed has here. No disk of a config can have it.
const SEED: &str = "cloud-init seed";

/// Where a plan is to be performed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) boot_id: &'a str,
}

type Plan = Vec<Flow<SimStep>>;

/// Plans an operation.
///
/// # Errors
/// Something that it needs is not there, or is not of this hypervisor.
pub(crate) fn plan(
    operation: &Operation,
    context: &PlanContext<'_>,
    place: Place<'_>,
) -> Result<Plan, Refusal> {
    let incarnation = context.incarnation.map(|incarnation| incarnation.id);
    let runs = context.facts.machine == MachineState::Running;
    Ok(match operation {
        Operation::Start => start(context, place),
        Operation::Stop { timeout } => {
            let timeout_ms = milliseconds(*timeout);
            one_by_one([
                SimStep::PowerDown { incarnation, timeout_ms },
                SimStep::Quit { incarnation },
                SimStep::PutAway { incarnation },
            ])
        }
        Operation::Kill => {
            one_by_one([SimStep::Kill { incarnation }, SimStep::PutAway { incarnation }])
        }
        Operation::PutAway => {
            one_by_one([SimStep::Quit { incarnation }, SimStep::PutAway { incarnation }])
        }
        Operation::Reset => one_by_one([SimStep::Reset { incarnation }]),
        Operation::Pause => one_by_one([SimStep::Pause { incarnation, ran: runs }]),
        Operation::Resume => {
            let were_held = context.facts.machine == MachineState::Paused;
            one_by_one([SimStep::Continue { incarnation, were_held }])
        }
        Operation::Suspend { memory } => suspend(context, memory)?,
        Operation::Restore { image, memory } => restore(context, place, image, memory)?,
        Operation::PlugNic { nic } => {
            let machine = machine_of(context)?;
            check_room(context, machine, nic)?;
            let (device, plug) = nic_of(context, nic);
            let mut plan =
                one_by_one([SimStep::AddNic { incarnation: machine.id, nic: device, plug }]);
            plan.extend(set_link(context, machine.id, nic, true));
            plan
        }
        Operation::UnplugNic { nic } => {
            let machine = machine_of(context)?;
            if context.facts.machine != MachineState::Running {
                let message = "a guest that does not run cannot let go of a NIC";
                return Err(Refusal::new(Code::WrongState, message)
                    .with_hint("`inn resume` it first, or stop it"));
            }
            let (nic, plug) = nic_of(context, nic);
            one_by_one([SimStep::RemoveNic { incarnation: machine.id, nic, plug }])
        }
        Operation::ChangePlug { nic } => {
            let machine = machine_of(context)?;
            let before = machine.plugs.iter().find(|plug| plug.nic == *nic).cloned();
            match (nic_of(context, nic).1, before.map(Box::new)) {
                (Some(plug), Some(before)) if plug != before => {
                    one_by_one([SimStep::ChangePlug { incarnation: machine.id, plug, before }])
                }
                _ => Vec::new(),
            }
        }
        Operation::SetLink { nic, up, before } => {
            let (machine, (nic, _)) = (machine_of(context)?, nic_of(context, nic));
            let (incarnation, up, before) = (machine.id, *up, *before);
            match devices_of(machine)?.contains(&nic) {
                true => one_by_one([SimStep::SetLink { incarnation, nic, up, before }]),
                // It is the next machine's.
                false => Vec::new(),
            }
        }
        Operation::Dump { file } => one_by_one([SimStep::Dump { incarnation, file: file.clone() }]),
        Operation::Adopt { machine } => adopt(context, place, machine)?,
    })
}

fn start(context: &PlanContext<'_>, place: Place<'_>) -> Plan {
    let devices = devices(context);
    let disks = devices.iter().filter(|device| !device.is_nic());
    let node = |disk: &Device| (disk.name().to_owned(), format!("disk-{}", disk.name()));
    let incarnation = Incarnation {
        argv: vec![context.hypervisor.program.clone(), context.spec.config.name.to_string()],
        opens: devices.iter().map(|device| Value::String(device.to_string())).collect(),
        block_nodes: disks.map(node).collect(),
        plugs: context.plugs.to_vec(),
        ..new_incarnation(context, place)
    };
    make(context, incarnation, &devices, None)
}

/// The record of a machine that is about to be made, without its devices.
fn new_incarnation(context: &PlanContext<'_>, place: Place<'_>) -> Incarnation {
    let PlanContext { spec, hypervisor, launch, .. } = context;
    Incarnation {
        schema: incarnation::SCHEMA,
        id: launch.incarnation,
        vm: spec.id,
        spec_revision: spec.revision,
        boot_id: place.boot_id.into(),
        created: launch.now,
        driver: NAME.into(),
        hypervisor_version: hypervisor.version.clone(),
        machine: spec.assigned.machine.clone(),
        cpu_model: spec.assigned.cpu_model.clone(),
        accelerator: hypervisor.accelerator.clone(),
        cpus: spec.config.cpus,
        memory: spec.config.memory,
        uid: spec.assigned.uid,
        cgroup: None,
        run_folder: run_folder(context, place),
        argv: Vec::new(),
        opens: Value::Null,
        adopted: false,
        block_nodes: BTreeMap::new(),
        ports: Some(spec.assigned.ports),
        plugs: Vec::new(),
        process: None,
    }
}

/// The machine's making, from its run folder to its first instruction, or the next one.
fn make(
    context: &PlanContext<'_>,
    incarnation: Incarnation,
    devices: &[Device],
    memory: Option<PathBuf>,
) -> Plan {
    let id = incarnation.id;
    let config = &context.spec.config;
    let launch = Launch {
        incarnation,
        name: config.name.as_str().into(),
        reboots_in_place: config.on.reboot == Policy::Restart,
    };
    let mut plan =
        one_by_one([SimStep::Prepare { incarnation: id }, SimStep::Launch(Box::new(launch))]);
    for (name, wanted) in [("plug-writable-disks", true), ("plug-read-only-disks", false)] {
        let disks = devices.iter().filter(
            |device| matches!(device, Device::Disk { writable, .. } if *writable == wanted),
        );
        let plug = |disk: &Device| SimStep::PlugDisk { incarnation: id, disk: disk.clone() };
        let steps: Vec<_> = disks.map(plug).collect();
        if !steps.is_empty() {
            plan.push(Flow::Together { name: name.into(), steps });
        }
    }
    let nics = devices.iter().filter(|device| device.is_nic());
    plan.extend(nics.map(|nic| Flow::Step(SimStep::PlugNic { incarnation: id, nic: nic.clone() })));
    // One that came to the spec after the memory was kept is the next machine's.
    let has = |nic: &&Nic| devices.contains(&nic_of(context, &nic.name).0);
    let nics = config.nics.iter().filter(has);
    plan.extend(nics.filter_map(|nic| set_link(context, id, &nic.name, true)));
    plan.extend(memory.map(|file| Flow::Step(SimStep::LoadMemory { incarnation: id, file })));
    plan.push(Flow::Step(SimStep::Continue { incarnation: Some(id), were_held: false }));
    plan
}

/// Holds the CPUs and keeps the memory. The machine is put away by another operation, once the file is
/// known to be whole: until then its guest can go on.
fn suspend(context: &PlanContext<'_>, memory: &Path) -> Result<Plan, Refusal> {
    let machine = context.incarnation.ok_or_else(|| {
        Refusal::new(Code::WrongState, "there is no machine whose memory could be kept")
    })?;
    if machine.adopted {
        let message = "the machine was adopted, and no other could take its memory over";
        return Err(Refusal::new(Code::Unsupported, message)
            .with_hint("stop it and start it: then it is made from its own spec"));
    }
    let ran = context.facts.machine == MachineState::Running;
    Ok(one_by_one([
        SimStep::Pause { incarnation: Some(machine.id), ran },
        SimStep::SaveMemory { incarnation: machine.id, file: memory.into() },
    ]))
}

/// The same machine once more, under another identity, with the memory that was kept.
fn restore(
    context: &PlanContext<'_>,
    place: Place<'_>,
    image: &Arc<MemoryImage>,
    memory: &Path,
) -> Result<Plan, Refusal> {
    check(image, context)?;
    let devices = devices_of(&image.incarnation)?;
    let incarnation = Incarnation {
        id: context.launch.incarnation,
        boot_id: place.boot_id.into(),
        created: context.launch.now,
        run_folder: run_folder(context, place),
        uid: context.spec.assigned.uid,
        process: None,
        ..image.incarnation.clone()
    };
    Ok(make(context, incarnation, &devices, Some(memory.into())))
}

fn machine_of<'a>(context: &PlanContext<'a>) -> Result<&'a Incarnation, Refusal> {
    context.incarnation.filter(|machine| !machine.adopted).ok_or_else(|| {
        let message = "there is no machine that a NIC could be plugged into or out of";
        Refusal::new(Code::WrongState, message)
    })
}

/// Refuses a NIC whose port is one that only the next machine has.
fn check_room(
    context: &PlanContext<'_>,
    machine: &Incarnation,
    nic: &DeviceName,
) -> Result<(), Refusal> {
    let assigned = &context.spec.assigned;
    let ports = machine.ports.unwrap_or(assigned.ports);
    match assigned.devices.get(&format!("nic/{nic}")) {
        Some(Placement::Port(port)) if *port < ports => Ok(()),
        _ => {
            let message = format!("the running machine has no port left for NIC {nic}");
            Err(Refusal::new(Code::OutOfCapacity, message)
                .at("nics")
                .with_limit(format!("{ports} ports"))
                .with_hint("set spare_ports with `inn edit`, then stop and start the VM"))
        }
    }
}

fn nic_of(context: &PlanContext<'_>, nic: &DeviceName) -> (Device, Option<Box<Plug>>) {
    let plug = context.plugs.iter().find(|plug| plug.nic == *nic);
    (Device::Nic { name: nic.as_str().into() }, plug.cloned().map(Box::new))
}

/// Has a NIC's cable be as the spec has it, if it is not.
fn set_link(
    context: &PlanContext<'_>,
    incarnation: IncarnationId,
    name: &DeviceName,
    before: bool,
) -> Option<Flow<SimStep>> {
    let nic = context.spec.config.nics.iter().find(|nic| nic.name == *name)?;
    let up = nic.connected;
    let (nic, _) = nic_of(context, name);
    (up != before).then_some(Flow::Step(SimStep::SetLink { incarnation, nic, up, before }))
}

/// Whether this hypervisor could take a memory image over, as far as its record says.
fn check(image: &MemoryImage, context: &PlanContext<'_>) -> Result<(), Refusal> {
    let (saved, here) = (&image.incarnation, context.hypervisor);
    let problem = if image.schema > MEMORY_IMAGE_SCHEMA || saved.schema > incarnation::SCHEMA {
        "a newer Innkeeper wrote it"
    } else if saved.driver != NAME {
        "it is another hypervisor's"
    } else if saved.vm != context.spec.id {
        "it is another VM's"
    } else if saved.adopted {
        "it does not say what its machine was made of"
    } else if !here.machines.contains(&saved.machine) {
        "the machine type is not known here"
    } else if saved.accelerator != here.accelerator {
        "the accelerator is another"
    } else {
        return Ok(());
    };
    let was = format!(
        "{} {} with machine {}, CPU {} and accelerator {}",
        saved.driver, saved.hypervisor_version, saved.machine, saved.cpu_model, saved.accelerator
    );
    let is = format!(
        "{} {} with machines {} and accelerator {}",
        here.driver,
        here.version,
        here.machines.join(", "),
        here.accelerator
    );
    let message = format!("the memory image is of {was}; here is {is}: {problem}");
    let mut refusal = incompatible(message).with_limit(is);
    refusal.value = Some(was);
    Err(refusal)
}

fn adopt(context: &PlanContext<'_>, place: Place<'_>, foreign: &Foreign) -> Result<Plan, Refusal> {
    if foreign.driver != NAME {
        let message = format!("the machine is not a simulated one, but {}'s", foreign.driver);
        return Err(Refusal::new(Code::Unsupported, message));
    }
    if let Some(why) = &foreign.not_adoptable {
        let message = format!("the machine cannot be taken over: {why}");
        return Err(Refusal::new(Code::Unsupported, message));
    }
    let new = new_incarnation(context, place);
    let incarnation = Incarnation {
        cpus: foreign.cpus.unwrap_or(new.cpus),
        memory: foreign.memory.unwrap_or(new.memory),
        uid: Some(foreign.uid),
        adopted: true,
        ports: None,
        process: Some(foreign.process),
        ..new
    };
    let foreign = Box::new(foreign.clone());
    Ok(one_by_one([SimStep::Adopt { incarnation: Box::new(incarnation), foreign }]))
}

fn devices(context: &PlanContext<'_>) -> Vec<Device> {
    let config = &context.spec.config;
    let disks = config.disks.iter().map(|disk| Device::Disk {
        name: disk.name.as_str().into(),
        writable: !disk.is_read_only(),
    });
    let seed =
        config.cloud_init.iter().map(|_| Device::Disk { name: SEED.into(), writable: false });
    let nics = config.nics.iter().map(|nic| Device::Nic { name: nic.name.as_str().into() });
    disks.chain(seed).chain(nics).collect()
}

/// The devices of a machine, by its record.
pub(crate) fn devices_of(incarnation: &Incarnation) -> Result<Vec<Device>, Refusal> {
    let opens = incarnation.opens.as_array().map(Vec::as_slice).unwrap_or_default();
    let device = |value: &Value| value.as_str().unwrap_or_default().parse();
    let devices: Result<_, String> = opens.iter().map(device).collect();
    devices.map_err(|problem| incompatible(format!("the machine's record has {problem}")))
}

pub(crate) fn incompatible(message: String) -> Refusal {
    Refusal::new(Code::IncompatibleMemory, message)
        .with_hint("`inn start VM --discard-memory` starts the VM without it")
}

fn run_folder(context: &PlanContext<'_>, place: Place<'_>) -> PathBuf {
    place.folder.join(context.spec.id.to_string())
}

fn one_by_one<const N: usize>(steps: [SimStep; N]) -> Plan {
    steps.into_iter().map(Flow::Step).collect()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
