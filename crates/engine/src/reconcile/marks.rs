//! Marks: VMs that are to be looked at. A mark says "look", never "do"; marks of one VM are one mark,
//! however many come, and to make one never waits.

use innkeeper_model::VmId;
use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// The VMs that are marked.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    vms: Mutex<BTreeSet<VmId>>,
    some: Notify,
}

impl Marks {
    fn vms(&self) -> MutexGuard<'_, BTreeSet<VmId>> {
        // Only set operations happen under the lock.
        self.vms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks a VM.
    pub(crate) fn mark(&self, vm: VmId) {
        self.mark_all([vm]);
    }

    /// Marks VMs.
    pub(crate) fn mark_all(&self, vms: impl IntoIterator<Item = VmId>) {
        self.vms().extend(vms);
        self.some.notify_one();
    }

    /// Takes those that are marked now.
    pub(crate) fn take_now(&self) -> BTreeSet<VmId> {
        std::mem::take(&mut *self.vms())
    }

    /// Waits until some are marked, and takes them. Dropped before it is done, it has taken none.
    pub(crate) async fn take(&self) -> BTreeSet<VmId> {
        loop {
            let waiting = self.some.notified();
            let taken = self.take_now();
            if !taken.is_empty() {
                return taken;
            }
            waiting.await;
        }
    }
}
