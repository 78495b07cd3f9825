//! What must hold after every trial: the VM is in a state that has a name; view, specs, journal and
//! hypervisor agree; and nothing is left but what was listed.

use crate::{daemon::Daemon, networks};
use innkeeper_model::{MachineState, Vm, VmId, VmState, Want};
use std::{collections::BTreeSet, path::Path};

/// What does not hold. Nothing, if all is well.
pub(crate) async fn disagreements(daemon: &Daemon) -> Vec<String> {
    let mut found = Vec::new();
    let vms = daemon.vms();
    for vm in &vms {
        found.extend(state(vm));
        found.extend(hypervisor(daemon, vm));
        found.extend(spec(daemon, vm));
        found.extend(memory(daemon, vm).await);
    }
    let known: BTreeSet<VmId> = vms.iter().map(|vm| vm.id).collect();
    found.extend(strangers(&daemon.folder.join("vms"), &known, ".json"));
    found.extend(strangers(&daemon.folder.join("pool/volumes"), &known, ""));
    // (The journal makes its next segment whenever it likes.)
    for folder in ["vms", "pool", "run", "networks"] {
        found.extend(temporary(&daemon.folder.join(folder)));
    }
    found.extend(networks::disagreements(daemon));
    let diagnosis = daemon.engine.diagnose();
    found.extend(diagnosis.owed.iter().map(|owed| format!("owed: {owed:?}")));
    found.extend(diagnosis.journal.damage.iter().map(|damage| format!("journal: {damage}")));
    found.extend(diagnosis.queues.iter().map(|queue| format!("held: {queue:?}")));
    let usage = diagnosis.usage;
    let machines = vms.iter().filter(|vm| vm.incarnation.is_some()).count() as u64;
    if usage.vms != vms.len() as u64 || (usage.cpus > 0) != (machines > 0) {
        found.push(format!("{} VMs, {machines} machines, and {usage:?} taken", vms.len()));
    }
    found
}

fn state(vm: &Vm) -> Option<String> {
    let named = match vm.state {
        VmState::Stopped | VmState::Running | VmState::Paused | VmState::Suspended => true,
        // A guest that crashed and is kept on purpose.
        VmState::Ended => vm.dumped.is_some(),
        _ => false,
    };
    let busy = vm.task.is_some();
    (!named || busy).then(|| format!("VM {} is {}, task {:?}", vm.name, vm.state, vm.task))
}

fn hypervisor(daemon: &Daemon, vm: &Vm) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(machine) = daemon.host.machine(vm.id)
        && machine != vm.facts.machine
    {
        found.push(format!("{}: {:?} in the view, and {machine:?}", vm.name, vm.facts.machine));
    }
    let off = vm.facts.machine == MachineState::Absent;
    if off {
        let left = daemon.host.leftovers(vm.id);
        found.extend(left.into_iter().map(|left| format!("{} is off, and has {left}", vm.name)));
    }
    if off != vm.incarnation.is_none() {
        found.push(format!("{}: {:?} with incarnation {:?}", vm.name, vm.facts, vm.incarnation));
    }
    found
}

/// The spec in the file is the one in the view, and wants what the VM does, or did until it crashed.
fn spec(daemon: &Daemon, vm: &Vm) -> Vec<String> {
    let Some(spec) = &vm.spec else { return vec![format!("{} has no spec", vm.name)] };
    let file = daemon.folder.join(format!("vms/{}.json", vm.id));
    let stored = std::fs::read(&file).unwrap_or_default();
    let stored: serde_json::Value = serde_json::from_slice(&stored).unwrap_or_default();
    let mut found = Vec::new();
    let viewed = serde_json::to_value(&**spec).unwrap_or_default();
    if stored["spec"] != viewed {
        found.push(format!("{}: {} stored, {viewed} in the view", vm.name, stored["spec"]));
    }
    let fits = match vm.state {
        VmState::Running => spec.want == Want::Running,
        VmState::Paused => matches!(spec.want, Want::Paused | Want::Running),
        VmState::Suspended => matches!(spec.want, Want::Suspended),
        _ => true,
    };
    if !fits {
        found.push(format!("{} is {}, and wanted {:?}", vm.name, vm.state, spec.want));
    }
    let folder = daemon.folder.join(format!("pool/volumes/{}", vm.id));
    let wanted = spec.config.disks.iter().filter(|disk| innkeeper_storage::needs_volume(disk));
    let wanted: BTreeSet<String> = wanted.map(|disk| format!("{}.qcow2", disk.name)).collect();
    let there: BTreeSet<String> =
        names(&folder).into_iter().filter(|name| name.ends_with(".qcow2")).collect();
    if wanted != there {
        found.push(format!("{}: volumes {there:?}, and {wanted:?} in the spec", vm.name));
    }
    found
}

async fn memory(daemon: &Daemon, vm: &Vm) -> Option<String> {
    let kept = daemon.storage.memory(vm.id).await;
    let kept = kept.as_ref().map(Option::as_ref);
    match (kept, &vm.memory) {
        (Ok(None), None) => {
            let folder = daemon.folder.join(format!("pool/volumes/{}", vm.id));
            let half: Vec<String> =
                names(&folder).into_iter().filter(|name| name.starts_with("memory")).collect();
            (!half.is_empty()).then(|| format!("{}: {half:?} left", vm.name))
        }
        (Ok(Some(kept)), Some(viewed)) if *kept == **viewed => None,
        (kept, viewed) => Some(format!("{}: memory {kept:?} kept, {viewed:?} viewed", vm.name)),
    }
}

/// What is in a folder that belongs to no VM.
fn strangers(folder: &Path, known: &BTreeSet<VmId>, suffix: &str) -> Vec<String> {
    let is_known = |name: &String| {
        let id = name.strip_suffix(suffix).and_then(|id| id.parse().ok());
        id.is_some_and(|id: VmId| known.contains(&id))
    };
    let strangers = names(folder).into_iter().filter(|name| !is_known(name));
    strangers.map(|name| format!("{} belongs to nobody", folder.join(name).display())).collect()
}

/// Files that are still being written, by nobody.
fn temporary(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for name in names(folder) {
        let path = folder.join(&name);
        if name.starts_with(".tmp-") || name.starts_with(".new-") || name == ".unfinished" {
            found.push(format!("{} is left", path.display()));
        }
        if path.is_dir() && !path.is_symlink() {
            found.extend(temporary(&path));
        }
    }
    found
}

/// What must hold when everything has been deleted.
pub(crate) fn leavings(daemon: &Daemon) -> Vec<String> {
    let mut found = daemon.host.all_leftovers();
    found.extend(daemon.vms().iter().map(|vm| format!("VM {} is still there", vm.name)));
    let networks = names(&daemon.folder.join("networks")).into_iter();
    found.extend(networks.map(|name| format!("network {name} is still there")));
    found.extend(strangers(&daemon.folder.join("vms"), &BTreeSet::new(), ".json"));
    found.extend(strangers(&daemon.folder.join("pool/volumes"), &BTreeSet::new(), ""));
    found
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
