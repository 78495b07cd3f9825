//! Ending a machine, and putting away what it leaves. Each of these may come late, after a crash, and
//! find a newer machine of the same VM: that one is left alone.

use super::{QemuDriver, blocking, unreadable};
use crate::{
    qmp::{ANSWER_WITHIN, commands::Quit},
    records::{Record, read_record},
};
use innkeeper_model::{Code, IncarnationId, MachineState, Refusal, VmId};
use std::{io, pin::pin, time::Duration};
use tracing::{debug, warn};

/// How long a QEMU that was asked to quit may take before it is killed.
const QUITS_WITHIN: Duration = Duration::from_secs(5);
/// How long a QEMU that is to be killed is given to hand over what its guest wrote last, which it does in
/// a millisecond if it does it at all.
const LAST_WORDS_WITHIN: Duration = Duration::from_millis(200);
/// How long the kernel may take to end a process that was killed.
const DIES_WITHIN: Duration = Duration::from_secs(30);

impl QemuDriver {
    /// Ends QEMU, taking the last of its guest's serial output first. One that does not answer is told to
    /// quit behind that: it answers both when it goes on, in their order.
    pub(super) async fn quit(&self, vm: VmId, of: Option<IncarnationId>) -> Result<(), Refusal> {
        let Some(machine) = self.machine_of(vm, of) else { return Ok(()) };
        if machine.facts().machine == MachineState::Absent {
            return Ok(());
        }
        let mut keeping = pin!(machine.keep_serial());
        let kept = tokio::time::timeout(ANSWER_WITHIN, &mut keeping).await;
        machine.end_is_ours();
        // QEMU may close the connection before it has answered.
        let _ = tokio::time::timeout(QUITS_WITHIN, machine.execute(&Quit {})).await;
        if tokio::time::timeout(QUITS_WITHIN, machine.gone()).await.is_err() {
            self.kill(vm, of, "it did not quit").await?;
        }
        let kept = match kept {
            // QEMU has ended, and with it this.
            Err(_) => tokio::time::timeout(QUITS_WITHIN, keeping).await,
            kept => kept,
        };
        let late = || Err(Refusal::new(Code::Timeout, "it could not be had in time"));
        if let Err(error) = kept.unwrap_or_else(|_| late()) {
            warn!(%vm, %error, "the last of the serial output is lost");
        }
        Ok(())
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
        if machine.is_connected() && machine.facts().machine != MachineState::Unresponsive {
            let _ = tokio::time::timeout(LAST_WORDS_WITHIN, machine.keep_serial()).await;
        }
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
