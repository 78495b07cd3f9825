//! What holds whenever nothing is being done, of a bench.

use crate::support::{Bench, LONG};
use innkeeper_engine::agreement::{Ground, Hypervisor};
pub(crate) use innkeeper_engine::agreement::{holders, names};
use innkeeper_model::{MachineState, VmId};
use std::time::Duration;

impl Hypervisor for Bench {
    fn machine(&self, vm: VmId) -> Option<MachineState> {
        Some(Self::machine(self, vm))
    }

    fn leftovers(&self, vm: VmId) -> Vec<String> {
        self.world.leftovers(vm).into_iter().filter(|left| left != "logs").collect()
    }

    fn vms(&self) -> Vec<VmId> {
        self.world.vms()
    }
}

impl Bench {
    fn ground(&self) -> Ground<'_> {
        let (engine, storage) = (&self.engine, &*self.storage);
        Ground { engine, storage, folder: self.path(), hypervisor: self }
    }

    /// Waits until nothing is being done or owed, and nothing that was noticed is still to be looked at.
    pub(crate) async fn idle(&self) {
        let waited = tokio::time::timeout(LONG, async {
            while !(self.ground().is_idle() && self.engine.diagnose().owed.is_empty()) {
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

    /// Waits until nothing is being done, then looks at everything.
    pub(crate) async fn is_sound(&self) {
        self.idle().await;
        let found = self.ground().disagreements().await;
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
