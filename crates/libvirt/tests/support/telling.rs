//! An observer that remembers what it was told, and a neighbour that tells it.

use super::DEADLINE;
use innkeeper_driver::{Neighbour, NeighbourObserver};
use innkeeper_libvirt::{Libvirt, LibvirtOptions};
use innkeeper_model::{MachineState, NeighbourMachine, VmId, host::ManagerLost};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

/// What was told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// The machines that there are.
    pub(crate) machines: BTreeMap<VmId, NeighbourMachine>,
    /// When the manager was lost, and why; none while it is there.
    pub(crate) lost: Option<ManagerLost>,
    /// How often it was told that it was lost.
    pub(crate) losses: usize,
    /// How often all machines were told.
    pub(crate) surveys: usize,
    /// The states that machines were told to be in, one after the other.
    pub(crate) states: Vec<MachineState>,
}

/// Remembers what it is told.
#[derive(Debug, Default)]
pub(crate) struct Ear {
    told: Mutex<Told>,
    changed: Notify,
}

impl Ear {
    /// What was told until now.
    pub(crate) fn told(&self) -> Told {
        self.told.lock().unwrap().clone()
    }

    fn hear(&self, hear: impl FnOnce(&mut Told)) {
        hear(&mut self.told.lock().unwrap());
        self.changed.notify_waiters();
    }

    /// Waits until what was told is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Told) -> bool) -> Told {
        self.within(DEADLINE, what, is_so).await
    }

    /// The same, and no longer than this.
    pub(crate) async fn within(
        &self,
        time: Duration,
        what: &str,
        is_so: impl Fn(&Told) -> bool,
    ) -> Told {
        let reached = async {
            loop {
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                let told = self.told();
                if is_so(&told) {
                    return told;
                }
                changed.await;
            }
        };
        let waited = tokio::time::timeout(time, reached).await;
        waited
            .unwrap_or_else(|_| panic!("not so within {time:?}: {what}; told: {:#?}", self.told()))
    }

    /// Waits until a machine of this name is so.
    pub(crate) async fn until_machine(
        &self,
        name: &str,
        is_so: impl Fn(&NeighbourMachine) -> bool,
    ) -> NeighbourMachine {
        let named = |told: &Told| told.machine(name).filter(|machine| is_so(machine)).cloned();
        let told = self.until(name, |told| named(told).is_some()).await;
        named(&told).unwrap()
    }
}

impl Told {
    /// The machine of this name.
    pub(crate) fn machine(&self, name: &str) -> Option<&NeighbourMachine> {
        self.machines.values().find(|machine| machine.is.name == name)
    }
}

impl NeighbourObserver for Ear {
    fn all(&self, machines: Vec<NeighbourMachine>) {
        self.hear(|told| {
            told.lost = None;
            told.surveys += 1;
            told.states.extend(machines.iter().map(|machine| machine.machine));
            told.machines = machines.into_iter().map(|machine| (machine.id, machine)).collect();
        });
    }

    fn changed(&self, machine: NeighbourMachine) {
        self.hear(|told| {
            told.states.push(machine.machine);
            told.machines.insert(machine.id, machine);
        });
    }

    fn gone(&self, machine: VmId) {
        self.hear(|told| drop(told.machines.remove(&machine)));
    }

    fn lost(&self, loss: ManagerLost) {
        self.hear(|told| {
            told.lost = Some(loss);
            told.losses += 1;
        });
    }
}

/// A libvirt that is watched, until this is dropped.
pub(crate) struct Watched {
    pub(crate) libvirt: Arc<Libvirt>,
    pub(crate) ear: Arc<Ear>,
    _watch: AbortOnDropHandle<()>,
}

impl Watched {
    /// Watches the libvirt at a socket.
    pub(crate) fn at(socket: PathBuf, uri: Option<&str>) -> Self {
        Self::with(socket, uri, Arc::new(Ear::default()), |ear| ear)
    }

    /// The same, told to somebody who may pass it on.
    pub(crate) fn with(
        socket: PathBuf,
        uri: Option<&str>,
        ear: Arc<Ear>,
        observer: impl FnOnce(Arc<Ear>) -> Arc<dyn NeighbourObserver>,
    ) -> Self {
        let libvirt = Arc::new(Libvirt::new(LibvirtOptions { socket, uri: uri.map(Into::into) }));
        let observer = observer(ear.clone());
        let watching = libvirt.clone();
        let watch = tokio::spawn(async move { watching.watch(observer).await });
        Self { libvirt, ear, _watch: AbortOnDropHandle::new(watch) }
    }
}
