//! Other managers of machines on this host, such as libvirt.
//!
//! Their machines are shown as VMs that are not Innkeeper's, and are left alone. One that was adopted
//! by explicit word is driven, through its manager, by the neighbour's own [`Driver`].

use crate::Driver;
use async_trait::async_trait;
use innkeeper_model::{NeighbourMachine, Refusal, VmId, host::ManagerLost};
use std::sync::Arc;

/// Another manager of machines on this host.
///
/// All that is known of its machines is told to one observer, in the order in which it became so,
/// whether the manager told it, it was asked, or the neighbour's own driver brought it about.
#[async_trait]
pub trait Neighbour: Send + Sync + 'static {
    /// The manager's name, such as `libvirt`: a [`ProjectName`](innkeeper_model::ProjectName), and the
    /// name of [`Self::driver`].
    fn name(&self) -> &'static str;

    /// What drives its machines that were adopted.
    ///
    /// It plans `Start`, `Stop`, `Kill`, `PutAway` (what `Kill` does, where anything is left), `Pause` and
    /// `Resume`, from the VM's id and [`PlanContext::managed`](crate::PlanContext::managed); all else it
    /// refuses as unsupported. The first part of `Stop` asks the guest and waits until the machine is off.
    /// Its steps' names begin with its name and `/`. Steps can be repeated: one whose end is there already
    /// does nothing, and one that ends a machine ends no later run of it. Undoing a start ends the run that
    /// this driver began with it, and leaves one that it did not see begin. Before a step or its undoing
    /// returns, done or not, the observer was told how the machine is by then. A step without a connection
    /// to the manager waits for one for 10 s at most, then fails; every wait ends within two seconds of a
    /// cancel. It finds no machines (`recover`) and keeps nothing of them (`forget`).
    fn driver(&self) -> Arc<dyn Driver>;

    /// Watches the manager, and tells what it has. Connects, and again 5 s after a connection could not be
    /// made or was lost, for ever: it returns only when it is dropped, which closes the connection and
    /// leaves nothing running. Called once.
    async fn watch(&self, observer: Arc<dyn NeighbourObserver>);

    /// Asks the manager anew what it has, and returns when the observer was told. Takes as long as the
    /// manager takes, 10 s at most. Dropping the future changes nothing.
    ///
    /// # Errors
    /// There is no connection, or the manager does not answer.
    async fn survey(&self) -> Result<(), Refusal>;
}

/// Who is told what another manager has. No call ever waits.
pub trait NeighbourObserver: Send + Sync + 'static {
    /// All machines that there are: after every connection, and every survey. Those that are not among
    /// them are gone.
    fn all(&self, machines: Vec<NeighbourMachine>);
    /// A machine came to be, or is other than it was.
    fn changed(&self, machine: NeighbourMachine);
    /// A machine is not defined any more, and does not run.
    fn gone(&self, machine: VmId);
    /// The manager cannot be asked, for this reason: what was told before is true until then and perhaps
    /// not since, until [`Self::all`] is called again. Told once a loss, and once where there never was a
    /// connection; again where the reason is another.
    fn lost(&self, loss: ManagerLost);
}
