//! Plugging NICs into machines that run, and out of them.
//!
//! QEMU answers `device_del` before anything has happened: the guest is asked to let go, and when it has,
//! QEMU says so by an event. A guest that hangs never does; then the NIC stays, and the step says so. What
//! is only taken back is not waited for as long: it can be owed.

use super::{QemuDriver, blocking, unless};
use crate::{
    machine::{ASK_AGAIN_AFTER, Machine},
    nic::{NicParts, backend_id, device_id},
    qmp::commands::{CloseFd, DeviceAdd, DeviceDel, GetFd, NetdevAdd, NetdevDel, QomList, SetLink},
};
use innkeeper_driver::StepError;
use innkeeper_model::{
    Code, Incarnation, IncarnationId, MachineState, Refusal, VmId, network::Plug,
};
use std::{borrow::Cow, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How long a guest may take to let go of a NIC. One that can does within 0.1 s, or within 7 s where it
/// has no ACPI.
const LETS_GO_WITHIN: Duration = Duration::from_secs(30);
/// The same where a plugging in is taken back. Who waits then is who cancelled, who is promised an end soon;
/// what the guest has not let go of by then is taken back again later, and found gone.
const LETS_GO_SOON: Duration = Duration::from_secs(1);
/// Where QEMU keeps the devices that have an id.
const DEVICES: &str = "/machine/peripheral";

impl QemuDriver {
    /// Plugs a NIC in. Done again, it finds it there.
    pub(super) async fn plug_nic(
        &self,
        vm: VmId,
        of: Option<IncarnationId>,
        nic: &NicParts,
    ) -> Result<(), Refusal> {
        let machine = self.machine_for(vm, of)?;
        // A daemon that died in this may have left all of it, or some. QEMU refuses then, and is not asked before.
        if self.add(&machine, nic).await.is_err() && !is_there(&machine, nic).await? {
            let _ = let_go_of_backend(&machine, nic).await;
            if let Err(refusal) = self.add(&machine, nic).await {
                let _ = let_go_of_backend(&machine, nic).await;
                return Err(refusal);
            }
        }
        if !nic.connected {
            set_link(&machine, nic, false).await?;
        }
        self.change_record(&machine, nic.added_to(&machine.incarnation())?).await
    }

    /// Adds a NIC's backend, and its device. One that is refused may leave its backend.
    async fn add(&self, machine: &Machine, nic: &NicParts) -> Result<(), Refusal> {
        self.add_backend(machine, nic).await?;
        machine.execute(&DeviceAdd(nic.device.clone())).await.map(drop)
    }

    async fn add_backend(&self, machine: &Machine, nic: &NicParts) -> Result<(), Refusal> {
        let name = backend_id(&nic.name);
        let Some(backend) = nic.backend_with(&name) else { return Ok(()) };
        let add = NetdevAdd(backend);
        let Some(plug) = &nic.plug else { return machine.execute(&add).await.map(drop) };
        let tap = self.taps.open(plug).await?;
        let name = GetFd { fdname: Cow::Owned(name) };
        // One is sent behind the other, which QEMU does in this order: its main loop, which may have to wait
        // for the guest's, is then waited for once.
        let (handed, added) =
            tokio::join!(biased; machine.execute_with(&name, tap), machine.execute(&add));
        handed.and(added).map(drop)
    }

    /// Takes a NIC out, as soon as its guest has let go of it. Done again, it finds it gone.
    pub(super) async fn unplug_nic(
        &self,
        vm: VmId,
        of: Option<IncarnationId>,
        nic: &NicParts,
        cancelled: &CancellationToken,
    ) -> Result<(), StepError> {
        let machine = self.machine_for(vm, of)?;
        unless(cancelled, self.remove(&machine, nic, LETS_GO_WITHIN)).await
    }

    async fn remove(
        &self,
        machine: &Machine,
        nic: &NicParts,
        within: Duration,
    ) -> Result<(), Refusal> {
        if is_there(machine, nic).await? {
            let asked = machine.execute(&DeviceDel { id: device_id(&nic.name) }).await;
            // It has been asked before, and thinks about it still.
            let is_asked = |refusal: &Refusal| refusal.to_string().contains("unplug");
            if let Err(refusal) = asked
                && !is_asked(&refusal)
            {
                return Err(refusal);
            }
            tokio::time::timeout(within, gone(machine, nic)).await.map_err(|_| {
                let message = format!(
                    "the guest did not let go of NIC {} within {} s",
                    nic.name,
                    within.as_secs()
                );
                Refusal::new(Code::Timeout, message).with_hint(
                    "a guest that has not booted, hangs or has no PCI hotplug cannot: take the NIC out \
                     while the VM is stopped",
                )
            })??;
        }
        if nic.backend.is_some() {
            let_go_of_backend(machine, nic).await?;
        }
        self.change_record(machine, nic.removed_from(&machine.incarnation())?).await
    }

    /// Gives a plugged NIC another network, other addresses, another rate or other published ports.
    pub(super) async fn change_plug(
        &self,
        vm: VmId,
        of: Option<IncarnationId>,
        before: &Plug,
        plug: &Plug,
    ) -> Result<(), Refusal> {
        let machine = self.machine_for(vm, of)?;
        // The record does not tell: who was cut short may have moved it and not noted that.
        if before.network != plug.network {
            self.taps.replug(plug).await?;
        }
        let mut record = Incarnation::clone(&machine.incarnation());
        record.plugs.retain(|other| other.nic != plug.nic);
        record.plugs.push(plug.clone());
        self.change_record(&machine, record).await
    }

    /// Plugs a NIC's cable in or out, as its guest sees it.
    pub(super) async fn set_link(
        &self,
        vm: VmId,
        of: Option<IncarnationId>,
        nic: &NicParts,
        up: bool,
    ) -> Result<(), Refusal> {
        let machine = self.machine_for(vm, of)?;
        set_link(&machine, nic, up).await?;
        if let Some(plug) = &nic.plug {
            self.taps.set_link(&plug.tap, up).await?;
        }
        Ok(())
    }

    /// Takes back the plugging in of a NIC. Waits a second for a guest that does not let go of it; taken
    /// back again, it is found gone if that has let go since, or asked once more.
    pub(super) async fn withdraw_nic(
        &self,
        vm: VmId,
        of: Option<IncarnationId>,
        nic: &NicParts,
    ) -> Result<(), Refusal> {
        match self.alive(vm, of) {
            Some(machine) => self.remove(&machine, nic, LETS_GO_SOON).await,
            None => Ok(()),
        }
    }

    /// Takes back the taking out of one.
    pub(super) async fn give_nic_back(
        &self,
        vm: VmId,
        of: Option<IncarnationId>,
        nic: &NicParts,
    ) -> Result<(), Refusal> {
        match self.alive(vm, of) {
            Some(_) => self.plug_nic(vm, of, nic).await,
            None => Ok(()),
        }
    }

    /// Gives a NIC the connection that it had.
    pub(super) async fn restore_plug(
        &self,
        vm: VmId,
        of: Option<IncarnationId>,
        before: &Plug,
        plug: &Plug,
    ) -> Result<(), Refusal> {
        match self.alive(vm, of) {
            Some(_) => self.change_plug(vm, of, plug, before).await,
            None => Ok(()),
        }
    }

    /// Plugs a cable in or out as it was.
    pub(super) async fn restore_link(
        &self,
        vm: VmId,
        of: Option<IncarnationId>,
        nic: &NicParts,
        up: bool,
    ) -> Result<(), Refusal> {
        match self.alive(vm, of) {
            Some(_) => self.set_link(vm, of, nic, up).await,
            None => Ok(()),
        }
    }

    /// The machine that something was done to, unless it has ended: then nothing is left to take back.
    fn alive(&self, vm: VmId, of: Option<IncarnationId>) -> Option<Arc<Machine>> {
        let machine = self.machine_of(vm, of);
        machine.filter(|machine| machine.facts().machine != MachineState::Absent)
    }

    /// Writes down what a machine has become, then tells it.
    async fn change_record(&self, machine: &Machine, record: Incarnation) -> Result<(), Refusal> {
        let (folder, written) = (machine.folder.clone(), record.clone());
        blocking(move || folder.write_incarnation(&written)).await?;
        let record = machine.becomes(record);
        self.observer.incarnation(machine.vm, Some(record));
        Ok(())
    }
}

/// Removes the host's side of a NIC, or as much as there is of it.
async fn let_go_of_backend(machine: &Machine, nic: &NicParts) -> Result<(), Refusal> {
    let name = backend_id(&nic.name);
    // A tap that QEMU was handed by a daemon that died before it said what for stays open there, and so busy.
    let close = CloseFd { fdname: Cow::Owned(name.clone()) };
    let (closed, removed) =
        (machine.execute(&close).await, machine.execute(&NetdevDel { id: name.clone() }).await);
    let is_gone = |refusal: &Refusal| refusal.to_string().contains("not found");
    for done in [closed.map(drop), removed.map(drop)] {
        if let Err(refusal) = done
            && !is_gone(&refusal)
        {
            return Err(refusal);
        }
    }
    Ok(())
}

async fn is_there(machine: &Machine, nic: &NicParts) -> Result<bool, Refusal> {
    let id = device_id(&nic.name);
    let devices = machine.execute(&QomList { path: DEVICES }).await?;
    Ok(devices.iter().any(|device| device.name == id))
}

/// Waits until a guest has let go of a NIC.
async fn gone(machine: &Machine, nic: &NicParts) -> Result<(), Refusal> {
    let mut progress = machine.progress();
    loop {
        progress.mark_unchanged();
        if !is_there(machine, nic).await? {
            return Ok(());
        }
        let _ = tokio::time::timeout(ASK_AGAIN_AFTER, progress.changed()).await;
    }
}

async fn set_link(machine: &Machine, nic: &NicParts, up: bool) -> Result<(), Refusal> {
    machine.execute(&SetLink { name: device_id(&nic.name), up }).await.map(drop)
}
