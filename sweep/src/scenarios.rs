//! What is swept: how a VM is brought into a state, and the one operation that is asked for then.

use crate::{
    booted,
    daemon::Daemon,
    hooks,
    host::{Host, Kind},
    neighbour, networks, requests,
};
use anyhow::Context;
use innkeeper_engine::{Accepted, PowerVerb, Request};
use innkeeper_model::{MachineState, Policy, VmConfig, VmId};
use innkeeper_sim::Happening;
use std::time::Duration;

/// How long a guest may take to power itself off.
pub(crate) const STOP: PowerVerb = PowerVerb::Stop { timeout: Duration::from_secs(20) };
pub(crate) const START: PowerVerb = PowerVerb::Start { discard_memory: false };

/// One operation from one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Scenario {
    Create,
    Start,
    StartHooked,
    StartAfresh,
    Stop,
    Kill,
    Reboot,
    ForcedReboot,
    Reset,
    Pause,
    Resume,
    Suspend,
    SuspendPaused,
    Restore,
    Clone,
    Import,
    Edit,
    EditProject,
    Delete,
    ForcedDelete,
    GuestEnds,
    HypervisorDies,
    Preserve,
    Adopt,
    AdoptManaged,
    AddImage,
    CommitImage,
    RemoveImage,
    NetworkCreate,
    NetworkEdit,
    NetworkDelete,
    SubnetCreate,
    SubnetDelete,
    SubnetReserve,
    SubnetRelease,
    CreateOnNetwork,
    StartOnNetwork,
    StartOnHostFile,
    RestoreOnNetwork,
    RestoreOnHostFile,
    CloneOnNetwork,
    EditNics,
    NicAdd,
    NicRemove,
    NicChange,
    NicRate,
    NicPublish,
    NicCableOut,
    NicCableIn,
    DeleteOnNetwork,
}

impl Scenario {
    pub(crate) const ALL: [Self; 50] = [
        Self::Create,
        Self::Start,
        Self::StartHooked,
        Self::StartAfresh,
        Self::Stop,
        Self::Kill,
        Self::Reboot,
        Self::ForcedReboot,
        Self::Reset,
        Self::Pause,
        Self::Resume,
        Self::Suspend,
        Self::SuspendPaused,
        Self::Restore,
        Self::Clone,
        Self::Import,
        Self::Edit,
        Self::EditProject,
        Self::Delete,
        Self::ForcedDelete,
        Self::GuestEnds,
        Self::HypervisorDies,
        Self::Preserve,
        Self::Adopt,
        Self::AdoptManaged,
        Self::AddImage,
        Self::CommitImage,
        Self::RemoveImage,
        Self::NetworkCreate,
        Self::NetworkEdit,
        Self::NetworkDelete,
        Self::SubnetCreate,
        Self::SubnetDelete,
        Self::SubnetReserve,
        Self::SubnetRelease,
        Self::CreateOnNetwork,
        Self::StartOnNetwork,
        Self::StartOnHostFile,
        Self::RestoreOnNetwork,
        Self::RestoreOnHostFile,
        Self::CloneOnNetwork,
        Self::EditNics,
        Self::NicAdd,
        Self::NicRemove,
        Self::NicChange,
        Self::NicRate,
        Self::NicPublish,
        Self::NicCableOut,
        Self::NicCableIn,
        Self::DeleteOnNetwork,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Start => "start",
            Self::StartHooked => "start-hooked",
            Self::StartAfresh => "start-afresh",
            Self::Stop => "stop",
            Self::Kill => "kill",
            Self::Reboot => "reboot",
            Self::ForcedReboot => "reboot-forced",
            Self::Reset => "reset",
            Self::Pause => "pause",
            Self::Resume => "unpause",
            Self::Suspend => "suspend",
            Self::SuspendPaused => "suspend-paused",
            Self::Restore => "resume",
            Self::Clone => "clone",
            Self::Import => "import",
            Self::Edit => "edit",
            Self::EditProject => "edit-project",
            Self::Delete => "delete",
            Self::ForcedDelete => "delete-forced",
            Self::GuestEnds => "guest-ends",
            Self::HypervisorDies => "hypervisor-dies",
            Self::Preserve => "preserve",
            Self::Adopt => "adopt",
            Self::AdoptManaged => "adopt-managed",
            Self::AddImage => "image-add",
            Self::CommitImage => "image-commit",
            Self::RemoveImage => "image-remove",
            Self::NetworkCreate => "network-create",
            Self::NetworkEdit => "network-edit",
            Self::NetworkDelete => "network-delete",
            Self::SubnetCreate => "subnet-create",
            Self::SubnetDelete => "subnet-delete",
            Self::SubnetReserve => "subnet-reserve",
            Self::SubnetRelease => "subnet-release",
            Self::CreateOnNetwork => "create-on-network",
            Self::StartOnNetwork => "start-on-network",
            Self::StartOnHostFile => "start-on-host-file",
            Self::RestoreOnNetwork => "resume-on-network",
            Self::RestoreOnHostFile => "resume-on-host-file",
            Self::CloneOnNetwork => "clone-on-network",
            Self::EditNics => "edit-nics",
            Self::NicAdd => "nic-add",
            Self::NicRemove => "nic-remove",
            Self::NicChange => "nic-change",
            Self::NicRate => "nic-rate",
            Self::NicPublish => "nic-publish",
            Self::NicCableOut => "nic-cable-out",
            Self::NicCableIn => "nic-cable-in",
            Self::DeleteOnNetwork => "delete-on-network",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    /// Whether it is swept on a hypervisor: everything on the simulator, ten on QEMU.
    pub(crate) fn is_swept_on(self, kind: Kind) -> bool {
        let on_qemu = [
            Self::Create,
            Self::Start,
            Self::Stop,
            Self::Reboot,
            Self::Suspend,
            Self::Restore,
            Self::Clone,
            Self::Delete,
            Self::NicCableOut,
            Self::NicCableIn,
        ];
        kind == Kind::Sim || on_qemu.contains(&self)
    }

    /// Brings a VM into the state that the operation begins in.
    pub(crate) async fn prepare(self, daemon: &Daemon) -> anyhow::Result<Option<VmId>> {
        requests::write_host_files(daemon)?;
        requests::bound(daemon).await?;
        match self {
            Self::Create | Self::AddImage | Self::AdoptManaged => return Ok(None),
            Self::RemoveImage => {
                daemon.must(requests::add_image(daemon)?).await?;
                return Ok(None);
            }
            Self::Adopt => {
                requests::add_foreign(daemon);
                return Ok(None);
            }
            Self::NetworkCreate => return Ok(None),
            _ => {}
        }
        if self.is_about_networks() || self.is_on_network() {
            networks::prepare(daemon).await?;
        }
        if self.is_about_networks() || self == Self::CreateOnNetwork {
            return Ok(None);
        }
        let vm = self.create(daemon).await?;
        let power = |verb| Request::Power { vm, verb };
        let before: &[PowerVerb] = match self {
            Self::Start
            | Self::StartHooked
            | Self::Clone
            | Self::CommitImage
            | Self::Import
            | Self::Edit
            | Self::EditProject
            | Self::StartOnHostFile
            | Self::Delete => &[],
            Self::StartOnNetwork | Self::CloneOnNetwork | Self::DeleteOnNetwork => &[],
            Self::Resume | Self::SuspendPaused => &[START, PowerVerb::Pause],
            Self::Restore
            | Self::RestoreOnNetwork
            | Self::RestoreOnHostFile
            | Self::StartAfresh => &[START, PowerVerb::Suspend],
            _ => &[START],
        };
        for verb in before {
            daemon.must(power(*verb)).await?;
            if *verb == START && daemon.host.boots_a_kernel() {
                booted::is_up(daemon, vm).await?;
            }
        }
        if self == Self::StartHooked {
            hooks::write(&daemon.folder)?;
        }
        Ok(Some(vm))
    }

    async fn create(self, daemon: &Daemon) -> anyhow::Result<VmId> {
        let mut config = self.config(daemon);
        if self == Self::Preserve {
            config.on.crash = Policy::Preserve;
        }
        let create = Request::Create { config: Box::new(config), id: None };
        daemon.must(create).await?.vm.context("a create makes a VM")
    }

    fn config(self, daemon: &Daemon) -> VmConfig {
        let mut config = daemon.host.config("swept", &requests::payload(daemon));
        if self.is_on_network() {
            config.nics.push(networks::nic("net"));
        }
        if matches!(self, Self::NicCableOut | Self::NicCableIn) {
            config.nics.push(networks::with_cable(self == Self::NicCableOut));
        }
        if matches!(self, Self::StartOnHostFile | Self::RestoreOnHostFile) {
            config.disks.push(requests::host_file(daemon));
        }
        config
    }

    /// Whether it changes networks, and no VM.
    const fn is_about_networks(self) -> bool {
        matches!(
            self,
            Self::NetworkCreate
                | Self::NetworkEdit
                | Self::NetworkDelete
                | Self::SubnetCreate
                | Self::SubnetDelete
                | Self::SubnetReserve
                | Self::SubnetRelease
        )
    }

    /// Whether there is another manager on the host.
    pub(crate) fn is_beside_a_manager(self) -> bool {
        self == Self::AdoptManaged
    }

    /// Whether its VM has a NIC on a network.
    const fn is_on_network(self) -> bool {
        matches!(
            self,
            Self::CreateOnNetwork
                | Self::StartOnNetwork
                | Self::RestoreOnNetwork
                | Self::CloneOnNetwork
                | Self::EditNics
                | Self::NicAdd
                | Self::NicRemove
                | Self::NicChange
                | Self::NicRate
                | Self::NicPublish
                | Self::DeleteOnNetwork
        )
    }

    /// Asks for the operation, or has happen what it follows from.
    pub(crate) async fn begin(
        self,
        daemon: &Daemon,
        vm: Option<VmId>,
    ) -> anyhow::Result<Option<Accepted>> {
        let power = |verb| vm.map(|vm| Request::Power { vm, verb });
        let request = match self {
            Self::Create | Self::CreateOnNetwork => {
                Some(Request::Create { config: Box::new(self.config(daemon)), id: None })
            }
            Self::Start | Self::StartHooked | Self::StartOnNetwork | Self::StartOnHostFile => {
                power(START)
            }
            Self::StartAfresh => power(PowerVerb::Start { discard_memory: true }),
            Self::Stop => power(STOP),
            Self::Kill => power(PowerVerb::Kill),
            Self::Reboot => {
                power(PowerVerb::Reboot { timeout: Duration::from_secs(20), force: false })
            }
            Self::ForcedReboot => {
                power(PowerVerb::Reboot { timeout: Duration::from_secs(20), force: true })
            }
            Self::Reset => power(PowerVerb::Reset),
            Self::Pause => power(PowerVerb::Pause),
            Self::Resume | Self::Restore | Self::RestoreOnNetwork | Self::RestoreOnHostFile => {
                power(PowerVerb::Resume)
            }
            Self::Suspend | Self::SuspendPaused => power(PowerVerb::Suspend),
            Self::Clone | Self::CloneOnNetwork => {
                let name = "copy".parse().expect("a name");
                vm.map(|vm| Request::Clone { vm, name })
            }
            Self::Import => Some(requests::import(daemon, vm.context("there is a VM")?).await?),
            Self::Edit => vm.and_then(|vm| requests::edited(daemon, vm)),
            Self::EditProject => vm.and_then(|vm| requests::moved(daemon, vm)),
            Self::EditNics => vm.and_then(|vm| networks::edited(daemon, vm)),
            Self::NicAdd => vm.map(networks::nic_added),
            Self::NicRemove => vm.map(networks::nic_removed),
            Self::NicChange => vm.and_then(|vm| networks::nic_moved(daemon, vm)),
            Self::NicRate => vm.and_then(|vm| networks::nic_limited(daemon, vm)),
            Self::NicPublish => vm.and_then(|vm| networks::nic_published(daemon, vm)),
            Self::NicCableOut | Self::NicCableIn => {
                let connected = self == Self::NicCableIn;
                vm.map(|vm| networks::set(vm, networks::with_cable(connected)))
            }
            Self::Delete | Self::DeleteOnNetwork => {
                vm.map(|vm| Request::Delete { vm, force: false })
            }
            Self::ForcedDelete => vm.map(|vm| Request::Delete { vm, force: true }),
            Self::AddImage => Some(requests::add_image(daemon)?),
            Self::CommitImage => vm.map(requests::commit_image),
            Self::RemoveImage => {
                Some(Request::RemoveImage { name: "swept".parse().expect("a name") })
            }
            Self::Adopt => {
                let pid = requests::foreign_pid(daemon).context("there is a foreign machine")?;
                let name = Some("adopted".parse().expect("a name"));
                Some(Request::Adopt { pid, name })
            }
            Self::AdoptManaged => Some(neighbour::adopt()),
            Self::NetworkCreate => Some(networks::create("net", "10.1.0.0/29")?),
            Self::NetworkEdit => Some(networks::edit(daemon)?),
            Self::NetworkDelete => Some(networks::delete(networks::find(daemon, "spare")?)),
            Self::SubnetCreate => Some(networks::create_subnet(daemon)?),
            Self::SubnetDelete => Some(networks::delete_subnet(daemon)?),
            Self::SubnetReserve => Some(networks::reserve(daemon)?),
            Self::SubnetRelease => Some(networks::release(daemon)?),
            Self::GuestEnds | Self::Preserve | Self::HypervisorDies => None,
        };
        if let Some(request) = request {
            return Ok(Some(daemon.submit(request).await?));
        }
        let vm = vm.context("something happens to a VM")?;
        match (self, &*daemon.host) {
            (Self::GuestEnds, Host::Sim(world)) => drop(world.guest(vm, Happening::PowersOff)),
            (Self::Preserve, Host::Sim(world)) => drop(world.guest(vm, Happening::Panics)),
            _ => drop(daemon.host.kill_hypervisor(vm)),
        }
        Ok(None)
    }
}

/// Brings a VM to where it can be started, whatever state it is in.
pub(crate) async fn bring_to_rest(daemon: &Daemon, vm: VmId) -> anyhow::Result<()> {
    let record = daemon.vm(vm).context("the VM is there")?;
    let power = |verb| Request::Power { vm, verb };
    if record.memory.is_some() && record.facts.machine == MachineState::Absent {
        daemon.must(power(PowerVerb::Resume)).await?;
        if daemon.host.boots_a_kernel() {
            booted::has_gone_on(daemon, vm).await?;
        }
    } else if record.facts.machine == MachineState::Absent {
        return Ok(());
    } else if record.facts.machine == MachineState::Paused {
        daemon.must(power(PowerVerb::Resume)).await?;
    }
    // One that was kept, or was never let run, or whose guest does not listen, is ended at once.
    daemon.must(power(PowerVerb::Kill)).await?;
    Ok(())
}

/// What is done to a VM at the end of a trial: it starts, stops and goes.
pub(crate) async fn exercise(daemon: &Daemon, vm: VmId) -> anyhow::Result<()> {
    neighbour::see_adopted(daemon, vm).await?;
    bring_to_rest(daemon, vm).await?;
    let power = |verb| Request::Power { vm, verb };
    let draft = daemon.vm(vm).and_then(|vm| vm.spec).is_some_and(|spec| spec.draft);
    if !draft {
        daemon.must(power(START)).await?;
        if daemon.host.boots_a_kernel() {
            booted::is_up(daemon, vm).await?;
        }
        daemon.must(power(STOP)).await?;
        if daemon.host.boots_a_kernel() {
            booted::has_powered_off(daemon, vm).await?;
        }
    }
    daemon.must(Request::Delete { vm, force: true }).await?;
    Ok(())
}
