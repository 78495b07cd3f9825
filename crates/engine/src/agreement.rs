//! What holds whenever nothing is being done: every VM is in a state that has a name; view, specs, volumes,
//! networks and hypervisor agree; and nothing is left over. For this crate's tests and the sweep: nothing
//! here is part of a daemon.

use crate::{
    Engine,
    networks::{claims::Claim, wiring::claims_of_vm},
    turn::planning::disk_size,
};
use innkeeper_model::{
    EndReason, MachineState, Mebibytes, Network, Policy, ProjectName, Usage, Vm, VmId, VmState,
    Want, config::Nic,
};
use innkeeper_storage::Storage;
use innkeeper_view::Snapshot;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::Path,
};

/// What is looked at.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// The engine, and what readers see of it.
    pub engine: &'a Engine,
    /// Its storage.
    pub storage: &'a Storage,
    /// The state folder, with `vms`, `networks`, `projects` and `pool` in it.
    pub folder: &'a Path,
    /// The hypervisor.
    pub hypervisor: &'a dyn Hypervisor,
}

/// A hypervisor, past its driver.
pub trait Hypervisor {
    /// What a VM's machine is; `None` where that cannot be asked.
    fn machine(&self, vm: VmId) -> Option<MachineState>;
    /// What there is of a VM, but its logs.
    fn leftovers(&self, vm: VmId) -> Vec<String>;
    /// The VMs that there is anything of.
    fn vms(&self) -> Vec<VmId>;
}

impl Ground<'_> {
    /// Whether nothing is being done, and nothing that was noticed, or could have been, is still to be
    /// looked at. What is owed may still be.
    pub fn is_idle(&self) -> bool {
        let diagnosis = self.engine.diagnose();
        let is_unnoticed = |vm: &Vm| {
            let machine = self.hypervisor.machine(vm.id).filter(|_| vm.manager().is_none());
            machine.is_some_and(|machine| machine != vm.facts.machine)
        };
        diagnosis.tasks.is_empty()
            && diagnosis.queues.is_empty()
            && diagnosis.specs.unwritten == 0
            && !self.vms().iter().any(|vm| is_unnoticed(vm) || is_to_be_put_away(vm))
    }

    /// What does not hold. Nothing, if all is well.
    pub async fn disagreements(&self) -> Vec<String> {
        let mut found = Vec::new();
        let vms = self.vms();
        for vm in &vms {
            found.extend(state(vm));
            found.extend(self.machine(vm));
            found.extend(self.spec(vm));
            found.extend(self.memory(vm).await);
        }
        found.extend(self.of_nobody(&vms));
        found.extend(addresses(&self.engine.view().snapshot()));
        found.extend(self.networks());
        found.extend(self.images());
        found.extend(self.accounts(&vms));
        found
    }

    /// What there is in the state folder that belongs to none of these VMs, or is half written.
    pub fn of_nobody(&self, vms: &[Vm]) -> Vec<String> {
        let known: BTreeSet<VmId> = vms.iter().map(|vm| vm.id).collect();
        // Beside a file stands what somebody wrote into it and was refused.
        let mut found = strangers(&self.folder.join("vms"), &known, &[".json", ".json.rej"]);
        found.extend(strangers(&self.folder.join("pool/volumes"), &known, &[""]));
        // (The journal makes its next segment whenever it likes.)
        for folder in ["vms", "networks", "projects", "pool"] {
            found.extend(half_written(&self.folder.join(folder)));
        }
        for vm in self.hypervisor.vms().into_iter().filter(|vm| !known.contains(vm)) {
            let left = self.hypervisor.leftovers(vm);
            found.push(format!("the hypervisor has {left:?} of {vm}, which is not known"));
        }
        found
    }

    fn vms(&self) -> Vec<Vm> {
        let snapshot = self.engine.view().snapshot();
        // What is another manager's, and was not adopted, has nothing here that could agree.
        let ours = snapshot.vms.values().filter(|vm| !vm.is_foreign());
        ours.map(|record| Vm::clone(record)).collect()
    }

    fn machine(&self, vm: &Vm) -> Vec<String> {
        let mut found = Vec::new();
        if vm.manager().is_some() {
            // It is not this hypervisor's.
            return found;
        }
        if let Some(machine) = self.hypervisor.machine(vm.id)
            && machine != vm.facts.machine
        {
            found.push(format!("{}: {:?} in the view, and {machine:?}", vm.name, vm.facts.machine));
        }
        let off = vm.facts.machine == MachineState::Absent;
        if off {
            let left = self.hypervisor.leftovers(vm.id).into_iter();
            found.extend(left.map(|left| format!("{} is off, and has {left}", vm.name)));
        }
        if off != vm.incarnation.is_none() {
            let (facts, machine) = (&vm.facts, &vm.incarnation);
            found.push(format!("{}: {facts:?}, and incarnation {machine:?}", vm.name));
        }
        found
    }

    /// The spec in the file is the one in the view, wants what the VM does, or did until it crashed, and
    /// its volumes are there.
    fn spec(&self, vm: &Vm) -> Vec<String> {
        let Some(spec) = &vm.spec else { return vec![format!("{} has no spec", vm.name)] };
        let mut found = Vec::new();
        let stored = stored(&self.folder.join(format!("vms/{}.json", vm.id)));
        if stored["spec"] != json!(**spec) {
            let viewed = json!(**spec);
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
        let there = self.volumes(vm.id).into_iter();
        let there: BTreeSet<String> = there.filter(|name| name.ends_with(".qcow2")).collect();
        if wanted != there {
            found.push(format!("{}: volumes {there:?}, and {wanted:?} in the spec", vm.name));
        }
        found
    }

    async fn memory(&self, vm: &Vm) -> Option<String> {
        let kept = self.storage.memory(vm.id).await;
        match (kept.as_ref().map(Option::as_ref), &vm.memory) {
            (Ok(None), None) => {
                let files = self.volumes(vm.id).into_iter();
                let half: Vec<String> = files.filter(|name| name.starts_with("memory")).collect();
                (!half.is_empty()).then(|| format!("{}: {half:?} left", vm.name))
            }
            (Ok(Some(kept)), Some(viewed)) if *kept == **viewed => None,
            (kept, viewed) => Some(format!("{}: memory {kept:?} kept, {viewed:?} viewed", vm.name)),
        }
    }

    fn volumes(&self, vm: VmId) -> Vec<String> {
        names(&self.folder.join(format!("pool/volumes/{vm}")))
    }

    /// Each network is stored as it is seen.
    fn networks(&self) -> Vec<String> {
        let mut found = Vec::new();
        let folder = self.folder.join("networks");
        let snapshot = self.engine.view().snapshot();
        let files: BTreeSet<String> = names(&folder).into_iter().collect();
        let known: BTreeSet<String> =
            snapshot.networks.keys().map(|id| format!("{id}.json")).collect();
        if files != known {
            found.push(format!("networks {files:?} are stored, and {known:?} seen"));
        }
        for network in snapshot.networks.values() {
            let stored = &stored(&folder.join(format!("{}.json", network.id)))["spec"];
            let viewed = json!(Network::clone(network));
            let differs = |field: &&str| stored[field] != viewed[field];
            for field in ["config", "subnets", "revision", "bridge"].iter().filter(|of| differs(of))
            {
                let name = &network.config.name;
                found.push(format!("network {name}: {field} is {} in its file", stored[field]));
            }
        }
        found
    }

    /// What is stored of images is what is seen.
    fn images(&self) -> Option<String> {
        let stored = match self.storage.images() {
            Ok(stored) => stored.images.into_iter().map(|image| image.name),
            Err(refusal) => return Some(format!("images: {refusal}")),
        };
        let stored: Vec<_> = stored.collect();
        let seen: Vec<_> = self.engine.view().snapshot().images.keys().cloned().collect();
        (stored != seen).then(|| format!("images {stored:?} are stored, and {seen:?} seen"))
    }

    /// The journal is whole, and taken is what the machines have.
    fn accounts(&self, vms: &[Vm]) -> Vec<String> {
        let diagnosis = self.engine.diagnose();
        let damage = diagnosis.journal.damage.iter();
        let mut found: Vec<String> = damage.map(|damage| format!("journal: {damage}")).collect();
        let usage = diagnosis.usage;
        let machines: Vec<_> = vms.iter().filter_map(share).collect();
        let cpus: u64 = machines.iter().map(|(cpus, _)| u64::from(*cpus)).sum();
        let memory: u64 = machines.iter().map(|(_, memory)| memory.0).sum();
        if (usage.vms, usage.cpus, usage.memory.0) != (vms.len() as u64, cpus, memory) {
            let vms = vms.len();
            found.push(format!("{vms} VMs, {cpus} CPUs, {memory} MiB, and {usage:?} taken"));
        }
        found.extend(self.projects(vms));
        found
    }

    /// What each project has taken is what its VMs have.
    fn projects(&self, vms: &[Vm]) -> Vec<String> {
        let snapshot = self.engine.view().snapshot();
        let mut counted: BTreeMap<&ProjectName, Usage> = BTreeMap::new();
        for vm in vms {
            let (cpus, memory) = share(vm).unwrap_or_default();
            let disk =
                vm.spec.as_ref().map(|spec| disk_size(&spec.config, &snapshot)).unwrap_or_default();
            let sum = counted.entry(&vm.project).or_default();
            sum.vms += 1;
            sum.cpus += u64::from(cpus);
            sum.memory.0 += memory.0;
            sum.disk.0 += disk.0;
            sum.addresses += addresses_of(vm, &snapshot);
        }
        let known = self.engine.projects().all();
        let mut found = Vec::new();
        for project in &known {
            let counted = counted.remove(&project.name).unwrap_or_default();
            if counted != project.used {
                let (name, used) = (&project.name, project.used);
                found.push(format!("project {name}: {counted:?} counted, and {used:?} taken"));
            }
        }
        let unknown = counted.into_keys();
        found.extend(unknown.map(|name| format!("project {name} has VMs, and is not known")));
        found
    }
}

/// How many addresses a VM has, by its spec and its machine.
fn addresses_of(vm: &Vm, snapshot: &Snapshot) -> u64 {
    let held = claims_of_vm(vm, snapshot).into_iter().filter_map(|held| match held.claim {
        Claim::Address(address) => Some(address),
        Claim::Mac { .. } | Claim::Port(_) => None,
    });
    held.collect::<BTreeSet<_>>().len() as u64
}

/// What the machine of a VM has of its host.
fn share(vm: &Vm) -> Option<(u16, Mebibytes)> {
    let own = vm.incarnation.as_ref().map(|machine| (machine.cpus, machine.memory));
    let managed = vm.managed.as_ref().filter(|_| vm.is_on());
    own.or_else(|| managed.map(|managed| (managed.machine.cpus, managed.machine.memory)))
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

/// Whether its guest has ended, and nobody asked for that to be kept.
fn is_to_be_put_away(vm: &Vm) -> bool {
    match vm.facts.machine {
        MachineState::Ended => !is_kept(vm),
        MachineState::Absent => vm.incarnation.is_some(),
        _ => false,
    }
}

/// Whether its guest has ended, and its machine is kept, as its policy says.
fn is_kept(vm: &Vm) -> bool {
    let Some(spec) = &vm.spec else { return false };
    let on = spec.config.on;
    let policy = match &vm.facts.last_end {
        Some(EndReason::GuestShutdown) => on.shutdown,
        Some(EndReason::GuestReset) => on.reboot,
        Some(EndReason::GuestPanic | EndReason::HypervisorDied { .. }) => on.crash,
        Some(EndReason::Killed) | None => return false,
    };
    match policy {
        Policy::Pause => true,
        Policy::Preserve => vm.dumped.is_some(),
        Policy::Restart | Policy::Stop => false,
    }
}

/// Which addresses have two holders, and which NICs that could have some have none.
fn addresses(snapshot: &Snapshot) -> Vec<String> {
    let twice = holders(snapshot).into_iter().filter(|(_, holders)| holders.len() > 1);
    let mut found: Vec<String> =
        twice.map(|(address, holders)| format!("{address} is of {holders:?}")).collect();
    let gives = |nic: &Nic| {
        let mut networks = snapshot.networks.values();
        networks.any(|network| {
            nic.network.network() == Some(&network.config.name) && !network.subnets.is_empty()
        })
    };
    for vm in snapshot.vms.values() {
        let Some(spec) = &vm.spec else { continue };
        let without = |nic: &&Nic| spec.assigned.addresses.get(nic.name.as_str()).is_none();
        let nics = spec.config.nics.iter().filter(|nic| gives(nic)).filter(without);
        found.extend(nics.map(|nic| format!("{}/{} has no address", vm.name, nic.name)));
    }
    found
}

/// Who has each address, by what is stored and what runs.
pub fn holders(snapshot: &Snapshot) -> BTreeMap<IpAddr, BTreeSet<String>> {
    let mut holders: BTreeMap<IpAddr, BTreeSet<String>> = BTreeMap::new();
    let mut note = |address: &IpAddr, holder: String| {
        holders.entry(*address).or_default().insert(holder);
    };
    for subnet in snapshot.networks.values().flat_map(|network| &network.subnets) {
        note(&subnet.config.gateway(), "the gateway".into());
        let kept = subnet.reservations.iter();
        kept.for_each(|kept| note(&kept.address, "a reservation".into()));
    }
    for vm in snapshot.vms.values() {
        let machine = vm.incarnation.as_deref();
        // One that is suspended comes back as it was.
        let machine = machine.or(vm.memory.as_ref().map(|memory| &memory.incarnation));
        for plug in machine.iter().flat_map(|machine| &machine.plugs) {
            plug.addresses.iter().for_each(|one| note(one, format!("{}/{}", vm.name, plug.nic)));
        }
        for (nic, addresses) in vm.spec.iter().flat_map(|spec| spec.assigned.addresses.iter()) {
            addresses.iter().for_each(|one| note(one, format!("{}/{nic}", vm.name)));
        }
    }
    holders
}

/// What is in a folder that belongs to none of these VMs.
fn strangers(folder: &Path, known: &BTreeSet<VmId>, suffixes: &[&str]) -> Vec<String> {
    let is_known = |name: &String| {
        let ids = suffixes.iter().filter_map(|suffix| name.strip_suffix(suffix)?.parse().ok());
        ids.into_iter().any(|id: VmId| known.contains(&id))
    };
    let strangers = names(folder).into_iter().filter(|name| !is_known(name));
    strangers.map(|name| format!("{} belongs to nobody", folder.join(name).display())).collect()
}

/// Files that are still being written, by nobody.
pub fn half_written(folder: &Path) -> Vec<String> {
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

/// What is in a folder; nothing where there is none.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn stored(file: &Path) -> Value {
    let text = std::fs::read(file).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}
