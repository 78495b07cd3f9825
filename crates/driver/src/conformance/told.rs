//! An observer that remembers.

use super::DEADLINE;
use crate::Observer;
use innkeeper_model::{Facts, HypervisorEvent, Incarnation, MachineState, VmId};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Notify;

/// What was last told of one VM.
#[derive(Debug, Default)]
struct Last {
    facts: Facts,
    incarnation: Option<Arc<Incarnation>>,
}

/// Remembers what a driver tells.
#[derive(Debug, Default)]
pub struct Told {
    last: Mutex<HashMap<VmId, Last>>,
    changed: Notify,
}

impl Told {
    /// The facts of a VM, as last told.
    pub fn facts(&self, vm: VmId) -> Facts {
        self.with(vm, |last| last.facts.clone())
    }

    /// What a VM's machine was built from, as last told.
    pub fn incarnation_of(&self, vm: VmId) -> Option<Arc<Incarnation>> {
        self.with(vm, |last| last.incarnation.clone())
    }

    /// Waits until a VM's machine is in this state.
    ///
    /// # Panics
    /// It is not within a minute.
    pub async fn until(&self, vm: VmId, machine: MachineState) {
        let reached = async {
            loop {
                let changed = self.changed.notified();
                if self.facts(vm).machine == machine {
                    return;
                }
                changed.await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, reached).await;
        waited.unwrap_or_else(|_| panic!("not {machine:?}; last told: {:?}", self.facts(vm)));
    }

    fn with<T>(&self, vm: VmId, read: impl FnOnce(&mut Last) -> T) -> T {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        read(last.entry(vm).or_default())
    }
}

impl Observer for Told {
    fn facts(&self, vm: VmId, facts: Facts) {
        self.with(vm, |last| last.facts = facts);
        self.changed.notify_waiters();
    }

    fn incarnation(&self, vm: VmId, incarnation: Option<Arc<Incarnation>>) {
        self.with(vm, |last| last.incarnation = incarnation);
        self.changed.notify_waiters();
    }

    fn problem(&self, _: VmId, _: Option<String>) {}

    fn event(&self, _: VmId, _: HypervisorEvent) {}
}
