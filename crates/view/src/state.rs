//! What an update does: a function from the state and the update to the new state and the entries
//! of the feed. No clock, no channel, no lock. What another manager tells of its VMs is in `managed`.

mod managed;

use crate::{
    entry::{Entry, Subject, Transition},
    record::{Record, Revisioned},
    snapshot::Snapshot,
    update::Update,
};
use innkeeper_model::{
    Facts, GuestAddress, GuestSystem, Host, HypervisorEvent, Image, ImageName, MachineState,
    Network, NetworkId, ProjectName, Revision, ShownNetwork, Spec, Task, TaskId, Timestamp, Vm,
    VmId, VmName, VmState, config::CloudInit, network::AddressSource, network::NetworkFacts,
};
use std::{collections::BTreeSet, sync::Arc};
use uuid::Uuid;

/// The writer's own copy of everything.
#[derive(Debug)]
pub(crate) struct State {
    snapshot: Snapshot,
    /// The finished tasks, the one that ended first in front.
    finished: BTreeSet<(Timestamp, TaskId)>,
    max_finished: usize,
}

impl State {
    pub(crate) fn new(epoch: Uuid, max_finished: usize) -> Self {
        Self { snapshot: Snapshot::empty(epoch), finished: BTreeSet::new(), max_finished }
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Applies one update, and appends the changes that it made.
    pub(crate) fn apply(&mut self, update: Update, time: Timestamp, entries: &mut Vec<Entry>) {
        let mut changes = Applying { state: self, time, entries };
        match update {
            Update::VmSpec(spec) => changes.wish(kept(spec)),
            Update::VmQuarantined { id, name, project, problem } => {
                changes.quarantine(id, name, project, problem)
            }
            Update::VmRemoved(id) => changes.remove_vm(id),
            Update::VmManaged { by, machine } => changes.see_managed(by, *machine),
            Update::VmManagerLost { id, at, reason } => {
                changes.edit_vm(id, |vm| managed::lose(vm, at, reason));
            }
            Update::VmUnmanaged { id, problem } => changes.lose_managed(id, problem),
            Update::VmFacts { id, facts } => changes.edit_vm(id, |vm| {
                if vm.manager().is_some() {
                    return;
                }
                vm.facts = facts;
                if !vm.is_on() {
                    put_guest(vm, None, Vec::new());
                }
            }),
            Update::VmIncarnation { id, incarnation } => {
                changes.edit_vm(id, |vm| vm.incarnation = incarnation);
            }
            Update::VmMemory { id, memory } => changes.edit_vm(id, |vm| vm.memory = memory),
            Update::VmDumped { id, dumped } => changes.edit_vm(id, |vm| vm.dumped = dumped),
            Update::VmDisks { id, disks } => changes.edit_vm(id, |vm| vm.disks = disks),
            Update::VmAddresses { id, addresses } => {
                changes.edit_vm(id, |vm| put_addresses(vm, addresses));
            }
            Update::VmGuest { id, guest, addresses } => {
                changes.edit_vm(id, |vm| put_guest(vm, guest, addresses));
            }
            Update::VmInterrupted { id, task } => changes.edit_vm(id, |vm| vm.interrupted = task),
            Update::VmProblem { id, problem } => changes.edit_vm(id, |vm| {
                if vm.spec.is_some() {
                    vm.problem = problem;
                }
            }),
            Update::VmEvent { id, event } => changes.report(id, event),
            Update::VmTask { id, task } => changes.edit_vm(id, |vm| vm.task = task),
            Update::Task(task) => changes.put_task(task),
            Update::TaskForgotten(id) => changes.forget_task(id),
            Update::Image(image) => changes.put_image(image),
            Update::ImageRemoved(name) => changes.remove_image(&name),
            Update::Network(network) => changes.wish_network(network),
            Update::NetworkFacts { id, facts } => changes.find_network(id, facts),
            Update::NetworkRemoved(id) => changes.remove_network(id),
            Update::Host(host) => changes.describe_host(host),
            Update::Hypervisor(hypervisor) => {
                changes.edit_host(|host| host.hypervisor = Some((*hypervisor).clone()));
            }
            Update::Safeguard(safeguard) => changes.edit_host(|host| {
                put(&mut host.confinement, safeguard, |safeguard| &safeguard.name);
            }),
            Update::Foreign(foreign) => changes.edit_host(|host| host.foreign = foreign),
            Update::Manager(manager) => changes.edit_host(|host| {
                put(&mut host.managers, manager, |manager| &manager.name);
            }),
        }
    }
}

/// Puts something in the place of what bears its name, or behind all.
fn put<T>(known: &mut Vec<T>, new: T, name: fn(&T) -> &str) {
    match known.iter_mut().find(|known| name(known) == name(&new)) {
        Some(known) => *known = new,
        None => known.push(new),
    }
}

/// Those that the agent told stay, behind what is known without it.
fn put_addresses(vm: &mut Vm, mut addresses: Vec<GuestAddress>) {
    let told = vm.addresses.iter().filter(|known| known.source == AddressSource::Agent);
    let told: Vec<_> = told.filter(|known| !addresses.contains(known)).cloned().collect();
    addresses.extend(told);
    vm.addresses = addresses;
}

/// Of a VM without a machine, no agent tells anything.
fn put_guest(vm: &mut Vm, guest: Option<Arc<GuestSystem>>, addresses: Vec<GuestAddress>) {
    vm.addresses.retain(|known| known.source != AddressSource::Agent);
    vm.guest = None;
    if vm.is_on() {
        vm.addresses.extend(addresses);
        vm.guest = guest;
    }
}

/// The spec as the view keeps it: without the texts of its secrets, which no reader may see, and
/// without the room to grow that parsing leaves in lists, which is a tenth of a VM's memory.
fn kept(mut spec: Arc<Spec>) -> Arc<Spec> {
    let seed = spec.config.cloud_init.as_ref();
    if seed.is_some_and(|seed| seed.documents().any(|(_, secret)| secret.expose().is_some())) {
        let config = &mut Arc::make_mut(&mut spec).config;
        config.cloud_init = config.cloud_init.as_ref().map(CloudInit::sealed);
    }
    if let Some(spec) = Arc::get_mut(&mut spec) {
        spec.config.disks.shrink_to_fit();
        spec.config.nics.shrink_to_fit();
    }
    spec
}

/// The one word for a VM, from what is known of it.
fn state_of(vm: &Vm) -> VmState {
    match (&vm.spec, vm.facts.machine) {
        // Of another manager's VM, nothing is wrong but a spec of it that cannot be read.
        (None, _) if vm.managed.is_none() || vm.problem.is_some() => VmState::Quarantined,
        _ if vm.interrupted.is_some() => VmState::Interrupted,
        (_, MachineState::Absent) if vm.memory.is_some() => VmState::Suspended,
        (_, machine) => VmState::from(machine),
    }
}

/// One update being applied.
struct Applying<'a> {
    state: &'a mut State,
    time: Timestamp,
    entries: &'a mut Vec<Entry>,
}

impl Applying<'_> {
    /// Takes the next revision, and notes what it changed.
    fn change(&mut self, subject: Subject) {
        let snapshot = &mut self.state.snapshot;
        snapshot.revision = snapshot.revision.next();
        self.entries.push(Entry { position: snapshot.position(), time: self.time, subject });
    }

    // VMs

    fn wish(&mut self, spec: Arc<Spec>) {
        let known = self.state.snapshot.vms.get(&spec.id);
        let mut vm = known.map_or_else(
            || new_vm(spec.id, spec.config.name.clone(), spec.config.project.clone()),
            |record| Vm::clone(record),
        );
        if vm.spec.is_none() {
            // What was wrong was the spec; of a new VM nothing is wrong yet.
            vm.problem = None;
            if let (Some(driver), None) = (&spec.driver, &vm.managed) {
                managed::not_seen_yet(&mut vm, driver);
            }
        }
        vm.name.clone_from(&spec.config.name);
        vm.project.clone_from(&spec.config.project);
        vm.want = Some(spec.want);
        vm.spec = Some(spec);
        self.put_vm(vm);
    }

    fn quarantine(&mut self, id: VmId, name: VmName, project: ProjectName, problem: String) {
        let known = self.state.snapshot.vms.get(&id);
        let vm = known
            .map_or_else(|| new_vm(id, name.clone(), project.clone()), |record| Vm::clone(record));
        self.put_vm(Vm { name, project, problem: Some(problem), want: None, spec: None, ..vm });
    }

    fn edit_vm(&mut self, id: VmId, edit: impl FnOnce(&mut Vm)) {
        let Some(record) = self.state.snapshot.vms.get(&id) else {
            return unknown(id);
        };
        let mut vm = Vm::clone(record);
        edit(&mut vm);
        self.put_vm(vm);
    }

    fn put_vm(&mut self, mut vm: Vm) {
        vm.state = state_of(&vm);
        let snapshot = &mut self.state.snapshot;
        let known = snapshot.vms.get(&vm.id);
        let Some((record, transition)) = revise(known, vm, snapshot.revision) else {
            return;
        };
        snapshot.names.follow(&transition);
        snapshot.uids.follow(&transition);
        snapshot.vms.insert(record.id, record);
        self.change(Subject::Vm(transition));
    }

    fn remove_vm(&mut self, id: VmId) {
        match self.state.snapshot.vms.get(&id) {
            Some(vm) if vm.managed.is_some() => self.edit_vm(id, managed::is_theirs_again),
            _ => self.take_vm(id),
        }
    }

    fn take_vm(&mut self, id: VmId) {
        let snapshot = &mut self.state.snapshot;
        if let Some(record) = snapshot.vms.remove(&id) {
            let transition = Transition::Deleted(Arc::clone(record.value()));
            snapshot.names.follow(&transition);
            snapshot.uids.follow(&transition);
            self.change(Subject::Vm(transition));
        }
    }

    fn report(&mut self, id: VmId, event: HypervisorEvent) {
        let Some(record) = self.state.snapshot.vms.get(&id) else {
            return unknown(id);
        };
        let vm = Arc::clone(record.value());
        self.change(Subject::Event { vm, event });
    }

    // tasks

    fn put_task(&mut self, task: Task) {
        let State { snapshot, finished, .. } = &mut *self.state;
        let known = snapshot.tasks.get(&task.id);
        let Some((record, transition)) = revise(known, task, snapshot.revision) else {
            return;
        };
        if let Transition::Modified { before, .. } = &transition
            && let Some(key) = finished_key(before)
        {
            finished.remove(&key);
        }
        finished.extend(finished_key(&record));
        snapshot.tasks.insert(record.id, record);
        self.change(Subject::Task(transition));
        self.forget_old_tasks();
    }

    fn forget_old_tasks(&mut self) {
        while self.state.finished.len() > self.state.max_finished
            && let Some(&(_, oldest)) = self.state.finished.first()
        {
            self.forget_task(oldest);
        }
    }

    fn forget_task(&mut self, id: TaskId) {
        if let Some(record) = self.state.snapshot.tasks.remove(&id) {
            if let Some(key) = finished_key(&record) {
                self.state.finished.remove(&key);
            }
            self.change(Subject::Task(Transition::Deleted(Arc::clone(record.value()))));
        }
    }

    // networks

    fn wish_network(&mut self, network: Arc<Network>) {
        let mut network = Arc::unwrap_or_clone(network);
        network.facts = match self.state.snapshot.networks.get(&network.id) {
            Some(known) => known.facts.clone(),
            None => NetworkFacts::default(),
        };
        self.put_network(network);
    }

    fn find_network(&mut self, id: NetworkId, facts: NetworkFacts) {
        match self.state.snapshot.networks.get(&id) {
            None => tracing::debug!(network = %id, "facts came of a network that is not known"),
            // Compared before the record is copied: most of what is asked again is as it was.
            Some(known) if known.facts == facts => {}
            Some(known) => {
                let network = Network { facts, ..Network::clone(known) };
                self.put_network(network);
            }
        }
    }

    /// The record keeps its own revision: it counts edits, and is what they are compared with.
    fn put_network(&mut self, network: Network) {
        let networks = &mut self.state.snapshot.networks;
        let known = networks.get(&network.id);
        if known.is_some_and(|known| **known.value() == network) {
            return;
        }
        let before = known.map(|known| Arc::new(ShownNetwork::from(&***known)));
        let transition = Transition::to(before, Arc::new(ShownNetwork::from(&network)));
        networks.insert(network.id, Arc::new(Record::new(Arc::new(network))));
        self.change(Subject::Network(transition));
    }

    fn remove_network(&mut self, id: NetworkId) {
        if let Some(record) = self.state.snapshot.networks.remove(&id) {
            let last = Arc::new(ShownNetwork::from(&**record));
            self.change(Subject::Network(Transition::Deleted(last)));
        }
    }

    // images and the host

    fn put_image(&mut self, image: Image) {
        let snapshot = &mut self.state.snapshot;
        let known = snapshot.images.get(&image.name);
        if let Some((record, transition)) = revise(known, image, snapshot.revision) {
            snapshot.images.insert(record.name.clone(), record);
            self.change(Subject::Image(transition));
        }
    }

    fn remove_image(&mut self, name: &ImageName) {
        if let Some(record) = self.state.snapshot.images.remove(name) {
            self.change(Subject::Image(Transition::Deleted(Arc::clone(record.value()))));
        }
    }

    /// Managers are told by themselves, also before the host is described.
    fn describe_host(&mut self, mut host: Host) {
        host.managers.clone_from(&self.state.snapshot.host.managers);
        self.put_host(host);
    }

    fn edit_host(&mut self, edit: impl FnOnce(&mut Host)) {
        let mut host = Host::clone(self.state.snapshot.host.value());
        edit(&mut host);
        self.put_host(host);
    }

    fn put_host(&mut self, host: Host) {
        let snapshot = &mut self.state.snapshot;
        // Before its first description the host was not known, whatever its record said.
        let known = Some(&snapshot.host).filter(|host| host.revision > Revision::default());
        if let Some((record, transition)) = revise(known, host, snapshot.revision) {
            snapshot.host = record;
            self.change(Subject::Host(transition));
        }
    }
}

/// What becomes of a record that should have this value: the next record and the change to it, at
/// the revision after this one; nothing if it has that value already.
fn revise<T: Revisioned + PartialEq>(
    known: Option<&Arc<Record<T>>>,
    mut value: T,
    revision: Revision,
) -> Option<(Arc<Record<T>>, Transition<T>)> {
    let before = known.map(|record| Arc::clone(record.value()));
    if let Some(before) = &before {
        *value.revision_mut() = before.revision();
        if **before == value {
            return None;
        }
    }
    *value.revision_mut() = revision.next();
    let after = Arc::new(value);
    let record = Arc::new(Record::new(Arc::clone(&after)));
    Some((record, Transition::to(before, after)))
}

fn new_vm(id: VmId, name: VmName, project: ProjectName) -> Vm {
    Vm {
        id,
        name,
        project,
        state: VmState::Stopped,
        want: None,
        revision: Revision::default(),
        task: None,
        problem: None,
        facts: Facts::default(),
        spec: None,
        incarnation: None,
        managed: None,
        memory: None,
        dumped: None,
        addresses: Vec::new(),
        guest: None,
        disks: Vec::new(),
        interrupted: None,
    }
}

/// Where a task stands among the finished ones, if it is one.
fn finished_key(task: &Task) -> Option<(Timestamp, TaskId)> {
    task.state.is_final().then(|| (task.ended.unwrap_or(task.created), task.id))
}

fn unknown(id: VmId) {
    tracing::debug!(vm = %id, "something was said of a VM that is not known");
}

#[cfg(test)]
mod tests;
