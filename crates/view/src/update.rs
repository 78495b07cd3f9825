//! What the engine and the drivers tell the view.

use innkeeper_model::{
    DiskFacts, Facts, Foreign, GuestAddress, GuestSystem, Host, HypervisorEvent, Image, ImageName,
    Incarnation, MemoryImage, NeighbourMachine, Network, NetworkId, ProjectName, Spec, Task,
    TaskId, Timestamp, VmId, VmName,
    host::{Hypervisor, Manager, Safeguard},
    network::NetworkFacts,
};
use std::sync::Arc;

/// One thing to apply. One that changes nothing makes no revision and no change in the feed.
///
/// The revisions in what is posted do not matter, but for a spec's and a network's, which count edits:
/// the writer sets them. What is said of a VM or a network that the view does not know is dropped, since
/// it was removed meanwhile.
#[derive(Debug, Clone)]
pub enum Update {
    /// A wish: a VM as it is stored now. The view forgets the texts of its secrets.
    VmSpec(Arc<Spec>),
    /// A VM whose stored spec cannot be read. Its facts are kept: its guest may well be running.
    VmQuarantined {
        /// The VM.
        id: VmId,
        /// Its name, as far as it could be found out.
        name: VmName,
        /// Its project, as far as it could be found out.
        project: ProjectName,
        /// What is wrong with the spec.
        problem: String,
    },
    /// A VM is gone. One whose machine another manager has is that manager's again.
    VmRemoved(VmId),
    /// A machine of another manager as it is now: a VM that is not Innkeeper's, or one that was adopted.
    /// Dropped where the id is that of a VM of Innkeeper's own, or of a third manager's.
    VmManaged {
        /// The manager's name, which is the VM's project too.
        by: ProjectName,
        /// The machine.
        machine: Box<NeighbourMachine>,
    },
    /// Another manager cannot be asked: of its VM, what was told is known to be true until then.
    VmManagerLost {
        /// The VM.
        id: VmId,
        /// Until when.
        at: Timestamp,
        /// Why it cannot be asked.
        reason: String,
    },
    /// Another manager does not have a machine any more, or never had one that was adopted.
    VmUnmanaged {
        /// The VM: gone, unless it was adopted. One that was has no machine from now on.
        id: VmId,
        /// What is said of it, if it was.
        problem: String,
    },
    /// What the hypervisor says of a VM now. Dropped for one whose machine another manager has.
    VmFacts {
        /// The VM.
        id: VmId,
        /// All that is known.
        facts: Facts,
    },
    /// What a VM's machine was built from; `None` when there is no machine any more.
    VmIncarnation {
        /// The VM.
        id: VmId,
        /// The record.
        incarnation: Option<Arc<Incarnation>>,
    },
    /// The memory that is kept of a VM's last machine; `None` when there is none any more.
    VmMemory {
        /// The VM.
        id: VmId,
        /// What is known of the image.
        memory: Option<Arc<MemoryImage>>,
    },
    /// When the memory of a VM's crashed guest was written to a file.
    VmDumped {
        /// The VM.
        id: VmId,
        /// When.
        dumped: Option<Timestamp>,
    },
    /// What a VM's disks are, as their files say.
    VmDisks {
        /// The VM.
        id: VmId,
        /// Those that have a file of their own.
        disks: Vec<DiskFacts>,
    },
    /// The addresses that are kept for a VM's guest, or that it took up by DHCP, in the order in which they
    /// are to be shown. Those that its agent told come after them, and stay.
    VmAddresses {
        /// The VM.
        id: VmId,
        /// All that are known.
        addresses: Vec<GuestAddress>,
    },
    /// What the agent in a VM's guest told; forgotten with the VM's machine, and dropped when there is none.
    VmGuest {
        /// The VM.
        id: VmId,
        /// What it is, if it told.
        guest: Option<Arc<GuestSystem>>,
        /// All addresses that it told, with that as their source.
        addresses: Vec<GuestAddress>,
    },
    /// The task that stopped halfway and waits for a person; `None` when it does not any more.
    VmInterrupted {
        /// The VM.
        id: VmId,
        /// The task.
        task: Option<TaskId>,
    },
    /// How a VM differs from what was asked for. Dropped for a quarantined VM, which keeps the reason
    /// of its quarantine.
    VmProblem {
        /// The VM.
        id: VmId,
        /// The difference in words; `None` when there is none any more.
        problem: Option<String>,
    },
    /// Something that a hypervisor reported about a VM. It is a change in the feed and nowhere else.
    VmEvent {
        /// The VM.
        id: VmId,
        /// The hypervisor's own words.
        event: HypervisorEvent,
    },
    /// Which task is being done to a VM, or comes first in its queue.
    VmTask {
        /// The VM.
        id: VmId,
        /// The task.
        task: Option<TaskId>,
    },
    /// A task as it is now.
    Task(Task),
    /// A task is not remembered any longer.
    TaskForgotten(TaskId),
    /// An image as it is now.
    Image(Image),
    /// An image is gone.
    ImageRemoved(ImageName),
    /// A wish: a network as it is stored now. The facts in it are not looked at: the view keeps its own.
    Network(Arc<Network>),
    /// What there is of a network now.
    NetworkFacts {
        /// The network.
        id: NetworkId,
        /// All that is known.
        facts: NetworkFacts,
    },
    /// A network is gone.
    NetworkRemoved(NetworkId),
    /// The host as it begins. The managers in it are not looked at: the view keeps those that it was told of.
    ///
    /// What is learnt of it later is told by itself, below: who described the whole host again would take back
    /// what another has told meanwhile.
    Host(Host),
    /// What runs the machines on the host.
    Hypervisor(Arc<Hypervisor>),
    /// One thing that stands between guests and the host, as it is now, in the place of what bore its name.
    Safeguard(Safeguard),
    /// All machines on the host that are nobody's VM.
    Foreign(Vec<Foreign>),
    /// Another manager of machines on the host, as it is now.
    Manager(Manager),
}
