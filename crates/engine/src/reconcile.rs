//! Facts that nobody asked for, turned into operations.
//!
//! The driver tells of facts at any moment and never waits; here they go to the view, and the VM is
//! marked. One task drains the marks and looks at each VM as it is by then: a mark says "look", never
//! "do". Marks of one VM are one mark, however many come.

use crate::{engine::Engine, legality::Operation, request::Caller};
use innkeeper_driver::Observer;
use innkeeper_model::{Facts, HypervisorEvent, Incarnation, MachineState, Vm, VmId};
use innkeeper_view::{Update, View};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Notify;
use tracing::debug;

/// What drivers tell, and what reconciling begins from.
#[derive(Debug, Clone)]
pub struct Noticed {
    view: View,
    marks: Arc<Marks>,
}

#[derive(Debug, Default)]
struct Marks {
    vms: Mutex<BTreeSet<VmId>>,
    some: Notify,
}

impl Noticed {
    /// Tells this view.
    pub fn new(view: View) -> Self {
        Self { view, marks: Arc::default() }
    }

    /// Has a VM looked at.
    pub(crate) fn mark(&self, vm: VmId) {
        self.marks.vms.lock().unwrap_or_else(PoisonError::into_inner).insert(vm);
        self.marks.some.notify_one();
    }

    /// Waits for marks, and takes them.
    async fn take(&self) -> BTreeSet<VmId> {
        loop {
            let waiting = self.marks.some.notified();
            let taken =
                std::mem::take(&mut *self.marks.vms.lock().unwrap_or_else(PoisonError::into_inner));
            if !taken.is_empty() {
                return taken;
            }
            waiting.await;
        }
    }
}

impl Observer for Noticed {
    fn facts(&self, vm: VmId, facts: Facts) {
        let look = matches!(facts.machine, MachineState::Ended | MachineState::Absent);
        self.view.post(Update::VmFacts { id: vm, facts });
        if look {
            self.mark(vm);
        }
    }

    fn incarnation(&self, vm: VmId, incarnation: Option<Arc<Incarnation>>) {
        self.view.post(Update::VmIncarnation { id: vm, incarnation });
    }

    fn event(&self, vm: VmId, event: HypervisorEvent) {
        self.view.post(Update::VmEvent { id: vm, event });
    }
}

/// Looks at marked VMs for as long as the engine lives.
pub(crate) async fn run(engine: Engine, noticed: Noticed) {
    loop {
        let marked = noticed.take().await;
        // All that was told before the marks were taken is in the view after this.
        if engine.view().barrier(Vec::new()).await.is_err() {
            return;
        }
        let snapshot = engine.view().snapshot();
        for id in marked {
            let Some(vm) = snapshot.vms.get(&id) else { continue };
            if needs_putting_away(vm) && !engine.is_busy(id) {
                debug!(vm = %id, end = ?vm.facts.last_end, "puts away what has ended");
                // A refusal means that somebody else was faster; their task's end marks it again.
                let _ = engine.submit_power(&Caller::innkeeper(), id, Operation::PutAway).await;
            }
        }
    }
}

/// Whether a machine has ended and its remains are still there.
fn needs_putting_away(vm: &Vm) -> bool {
    match vm.facts.machine {
        MachineState::Ended => true,
        MachineState::Absent => vm.incarnation.is_some(),
        _ => false,
    }
}
