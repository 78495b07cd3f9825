//! Another manager on the host, and its one machine, which is to be adopted.

use crate::daemon::Daemon;
use anyhow::Context;
use innkeeper_driver::conformance::PaperManager;
use innkeeper_engine::Request;
use innkeeper_model::{MachineState, ManagedMachine, Mebibytes, NeighbourMachine, VmId};
use std::sync::Arc;
use uuid::Uuid;

/// The machine's id, the same for every daemon of a trial: the manager outlives them all.
const MACHINE: Uuid = Uuid::from_u128(0x0192_b4f2_0000_7000_8000_0000_0000_0001);

fn machine() -> VmId {
    VmId::from_uuid(MACHINE)
}

/// The manager, with its machine, which is off, as it was before any daemon came.
pub(crate) fn manager() -> Arc<PaperManager> {
    let manager = PaperManager::default();
    let is = ManagedMachine {
        name: "theirs".into(),
        cpus: 1,
        memory: Mebibytes(32),
        persistent: true,
        ..ManagedMachine::default()
    };
    let machine = MachineState::Absent;
    manager.put(NeighbourMachine { id: self::machine(), machine, last_end: None, is });
    Arc::new(manager)
}

/// Waits until a daemon has heard of the machine.
pub(crate) async fn is_seen(daemon: &Daemon) -> anyhow::Result<()> {
    let is_heard_of = |daemon: &Daemon| daemon.vm(machine()).is_some_and(|vm| vm.managed.is_some());
    daemon.until("told of the neighbour's machine", is_heard_of).await
}

/// What adopts the machine.
pub(crate) fn adopt() -> Request {
    Request::AdoptManaged { vm: machine(), name: None }
}

/// Has a VM adopted if it is the neighbour's still: whatever became of adopting it, that can be done again.
pub(crate) async fn see_adopted(daemon: &Daemon, vm: VmId) -> anyhow::Result<()> {
    if daemon.vm(vm).is_some_and(|vm| vm.is_foreign()) {
        daemon.must(Request::AdoptManaged { vm, name: None }).await.context("adopted again")?;
    }
    Ok(())
}
