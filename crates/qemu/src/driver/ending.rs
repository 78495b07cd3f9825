//! Ending a machine, and putting away what it leaves. Each of these may come late, after a crash, and
//! find a newer machine of the same VM: that one is left alone.

use super::{QemuDriver, blocking, unreadable};
use crate::{
    qmp::commands::Quit,
    records::{Record, read_record},
};
use innkeeper_model::{Code, IncarnationId, MachineState, Refusal, VmId};
use std::{io, time::Duration};
use tracing::{debug, warn};

/// How long a QEMU that was asked to quit may take before it is killed.
const QUITS_WITHIN: Duration = Duration::from_secs(5);
/// How long the kernel may take to end a process that was killed.
const DIES_WITHIN: Duration = Duration::from_secs(30);

impl QemuDriver {
    /// Ends QEMU, taking the last of its guest's serial output first.
    pub(super) async fn quit(&self, vm: VmId, of: Option<IncarnationId>) -> Result<(), Refusal> {
        let Some(machine) = self.machine_of(vm, of) else { return Ok(()) };
        if machine.facts().machine != MachineState::Absent {
            if let Err(error) = machine.keep_serial().await {
                warn!(%vm, %error, "the last of the serial output is not kept");
            }
            machine.end_is_ours();
            // QEMU may close the connection before it has answered.
            let _ = machine.execute(&Quit {}).await;
        }
        if tokio::time::timeout(QUITS_WITHIN, machine.gone()).await.is_ok() {
            return Ok(());
        }
        self.kill(vm, of, "it did not quit").await
    }

    pub(super) async fn kill(
        &self,
        vm: VmId,
        of: Option<IncarnationId>,
        why: &str,
    ) -> Result<(), Refusal> {
        if !self.knows(vm) {
            self.adopt_unknown(vm).await?;
        }
        let Some(machine) = self.machine_of(vm, of) else { return Ok(()) };
        machine.kill(why);
        tokio::time::timeout(DIES_WITHIN, machine.gone()).await.map_err(|_| {
            let message =
                format!("QEMU was killed and has not ended in {} s", DIES_WITHIN.as_secs());
            Refusal::new(Code::Timeout, message)
                .with_hint("the host's kernel holds it, most likely in a file system that hangs")
        })
    }

    /// Ends and forgets a machine whose start is undone, whether this daemon knows it or not.
    pub(super) async fn withdraw(&self, vm: VmId, of: IncarnationId) -> Result<(), Refusal> {
        self.kill(vm, Some(of), "its start was undone").await?;
        self.put_away(vm, Some(of)).await
    }

    pub(super) async fn put_away(
        &self,
        vm: VmId,
        of: Option<IncarnationId>,
    ) -> Result<(), Refusal> {
        let known = self.machine_of(vm, None);
        if let Some(machine) = &known {
            if of.is_some_and(|of| machine.incarnation().id != of) {
                debug!(%vm, ?of, "there is a newer machine; nothing is put away");
                return Ok(());
            }
            if machine.facts().machine != MachineState::Absent {
                return Err(Refusal::new(
                    Code::Internal,
                    "a machine that lives cannot be put away",
                ));
            }
        }
        let (folder, confinement) = (self.folder(vm), self.confinement.clone());
        let (known, boot_id) = (known.is_some(), self.options.boot_id.clone());
        let put_away = move || {
            match read_record(&folder, vm, &boot_id).filter(|_| !known) {
                Some(Record::Unreadable { problem, .. }) => {
                    return Err(io::Error::other(unreadable(problem)));
                }
                Some(Record::Running(_, incarnation) | Record::Died { incarnation, .. })
                    if of.is_some_and(|of| incarnation.id != of) =>
                {
                    return Ok(false);
                }
                _ => {}
            }
            confinement.remove_cgroups(vm)?;
            folder.put_away()?;
            Ok(true)
        };
        if blocking(put_away).await? {
            self.machines().remove(&vm);
            self.observer.incarnation(vm, None);
        }
        Ok(())
    }
}
