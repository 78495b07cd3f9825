//! What holds whenever nothing is being done: every VM is in a state that has a name; view, specs,
//! volumes and the world agree; and nothing is left over.

use crate::support::{Bench, LONG};
use innkeeper_model::{MachineState, Policy, Vm, VmId, VmState, Want};
use std::{collections::BTreeSet, path::Path, time::Duration};

impl Bench {
    /// Waits until nothing is being done, and nothing that was noticed is still to be looked at.
    pub(crate) async fn idle(&self) {
        let waited = tokio::time::timeout(LONG, async {
            while !self.is_idle() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        if waited.await.is_err() {
            panic!("never idle: {:?}, {:?}", self.engine.diagnose(), self.vms());
        }
    }

    /// Waits until nothing is being done, whatever is still to be.
    pub(crate) async fn quiet(&self) {
        self.until_so("quiet", || self.engine.diagnose().tasks.is_empty()).await;
    }

    fn is_idle(&self) -> bool {
        let diagnosis = self.engine.diagnose();
        let is_unnoticed = |vm: &Vm| self.machine(vm.id) != vm.facts.machine;
        diagnosis.tasks.is_empty()
            && diagnosis.queues.is_empty()
            && diagnosis.owed.is_empty()
            && diagnosis.specs.unwritten == 0
            && !self.vms().iter().any(|vm| is_unnoticed(vm) || is_to_be_put_away(vm))
    }

    /// Waits until nothing is being done, then looks at everything.
    pub(crate) async fn is_sound(&self) {
        self.idle().await;
        let found = disagreements(self).await;
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    /// The same, of what has nothing in it any more.
    pub(crate) async fn is_empty(&self) {
        self.is_sound().await;
        assert!(self.vms().is_empty());
        let of = |vm| self.world.leftovers(vm);
        let left: Vec<String> = self.world.vms().into_iter().flat_map(of).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// Whether its guest has ended, and nobody asked for that to be kept.
fn is_to_be_put_away(vm: &Vm) -> bool {
    match vm.facts.machine {
        MachineState::Ended => !is_kept(vm),
        MachineState::Absent => vm.incarnation.is_some(),
        _ => false,
    }
}

fn is_kept(vm: &Vm) -> bool {
    use innkeeper_model::EndReason as End;
    let Some(spec) = &vm.spec else { return false };
    let on = spec.config.on;
    let policy = match &vm.facts.last_end {
        Some(End::GuestShutdown) => on.shutdown,
        Some(End::GuestReset) => on.reboot,
        Some(End::GuestPanic | End::HypervisorDied { .. }) => on.crash,
        Some(End::Killed) | None => return false,
    };
    match policy {
        Policy::Pause => true,
        Policy::Preserve => vm.dumped.is_some() || policy != on.crash,
        Policy::Restart | Policy::Stop => false,
    }
}

/// What does not hold.
async fn disagreements(bench: &Bench) -> Vec<String> {
    let mut found = Vec::new();
    let vms = bench.vms();
    for vm in &vms {
        found.extend(state(vm));
        found.extend(hypervisor(bench, vm));
        found.extend(spec(bench, vm));
        found.extend(memory(bench, vm).await);
    }
    let known: BTreeSet<VmId> = vms.iter().map(|vm| vm.id).collect();
    found.extend(strangers(&bench.path().join("vms"), &known, ".json"));
    found.extend(strangers(&bench.path().join("pool/volumes"), &known, ""));
    for folder in ["vms", "pool"] {
        found.extend(half_written(&bench.path().join(folder)));
    }
    let of_nobody = bench.world.vms().into_iter().filter(|vm| !known.contains(vm));
    found.extend(
        of_nobody.map(|vm| format!("the world has {:?} of {vm}", bench.world.leftovers(vm))),
    );
    let diagnosis = bench.engine.diagnose();
    found.extend(diagnosis.journal.damage.iter().map(|damage| format!("journal: {damage}")));
    let usage = diagnosis.usage;
    let machines: Vec<_> = vms.iter().filter_map(|vm| vm.incarnation.as_ref()).collect();
    let cpus: u64 = machines.iter().map(|machine| u64::from(machine.cpus)).sum();
    let memory: u64 = machines.iter().map(|machine| machine.memory.0).sum();
    if (usage.vms, usage.cpus, usage.memory.0) != (vms.len() as u64, cpus, memory) {
        found.push(format!("{} VMs, {cpus} CPUs, {memory} MiB, and {usage:?} taken", vms.len()));
    }
    found
}

fn state(vm: &Vm) -> Option<String> {
    let named = match vm.state {
        VmState::Stopped | VmState::Running | VmState::Paused | VmState::Suspended => true,
        VmState::Ended => is_kept(vm),
        _ => false,
    };
    (!named || vm.task.is_some())
        .then(|| format!("{} is {}, task {:?}", vm.name, vm.state, vm.task))
}

fn hypervisor(bench: &Bench, vm: &Vm) -> Vec<String> {
    let mut found = Vec::new();
    let machine = bench.machine(vm.id);
    if machine != vm.facts.machine {
        found.push(format!("{}: {:?} in the view, and {machine:?}", vm.name, vm.facts.machine));
    }
    let off = vm.facts.machine == MachineState::Absent;
    if off {
        let left = bench.world.leftovers(vm.id).into_iter().filter(|left| left != "logs");
        found.extend(left.map(|left| format!("{} is off, and has {left}", vm.name)));
    }
    if off != vm.incarnation.is_none() {
        found.push(format!("{}: {:?}, and incarnation {:?}", vm.name, vm.facts, vm.incarnation));
    }
    found
}

/// The spec in the file is the one in the view, and wants what the VM does, or did until it crashed.
fn spec(bench: &Bench, vm: &Vm) -> Vec<String> {
    let Some(spec) = &vm.spec else { return vec![format!("{} has no spec", vm.name)] };
    let stored = std::fs::read(bench.spec_file(vm.id)).unwrap_or_default();
    let stored: serde_json::Value = serde_json::from_slice(&stored).unwrap_or_default();
    let viewed = serde_json::to_value(&**spec).unwrap();
    let mut found = Vec::new();
    if stored["spec"] != viewed {
        found.push(format!("{}: {} stored, {viewed} in the view", vm.name, stored["spec"]));
    }
    let fits = match vm.state {
        VmState::Running => spec.want == Want::Running,
        VmState::Paused => matches!(spec.want, Want::Paused | Want::Running),
        VmState::Suspended => spec.want == Want::Suspended,
        _ => true,
    };
    if !fits {
        found.push(format!("{} is {}, and wanted {:?}", vm.name, vm.state, spec.want));
    }
    let wanted = spec.config.disks.iter().filter(|disk| innkeeper_storage::needs_volume(disk));
    let wanted: BTreeSet<String> = wanted.map(|disk| format!("{}.qcow2", disk.name)).collect();
    let there = names(&bench.volumes(vm.id)).into_iter();
    let there: BTreeSet<String> = there.filter(|name| name.ends_with(".qcow2")).collect();
    if wanted != there {
        found.push(format!("{}: volumes {there:?}, and {wanted:?} in the spec", vm.name));
    }
    found
}

async fn memory(bench: &Bench, vm: &Vm) -> Option<String> {
    let kept = bench.storage.memory(vm.id).await;
    match (kept.as_ref().map(Option::as_ref), &vm.memory) {
        (Ok(None), None) => {
            let files = names(&bench.volumes(vm.id)).into_iter();
            let half: Vec<String> = files.filter(|name| name.starts_with("memory")).collect();
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
fn half_written(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for name in names(folder) {
        let path = folder.join(&name);
        if name.starts_with(".tmp-") || name.starts_with(".new-") || name == ".unfinished" {
            found.push(format!("{} is left", path.display()));
        }
        if path.is_dir() && !path.is_symlink() {
            found.extend(half_written(&path));
        }
    }
    found
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
