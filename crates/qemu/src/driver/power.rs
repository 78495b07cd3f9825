//! Making a machine, and what its buttons do.

use super::{ANSWERS_WITHIN, QemuDriver, blocking, unless};
use crate::{
    launch::{Opened, start},
    machine::Machine,
    qmp::{
        ANSWER_WITHIN,
        commands::{Cont, Nothing, QueryStatus, Stop, SystemPowerdown, SystemReset},
    },
    run_folder::Logs,
};
use innkeeper_driver::StepError;
use innkeeper_model::{Code, Facts, Incarnation, IncarnationId, MachineState, Refusal, VmId};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the power button is pressed while a guest does not end: one that is still booting
/// has nobody yet who notices.
const PRESS_AGAIN_AFTER: Duration = Duration::from_secs(3);
/// How long it may take to be seen that a process has ended, once it does not answer any more.
const END_SHOWS_WITHIN: Duration = Duration::from_secs(2);
/// How long a reset may take to be reported.
const RESETS_WITHIN: Duration = Duration::from_secs(10);

impl QemuDriver {
    pub(super) async fn prepare(
        &self,
        vm: VmId,
        uid: Option<u32>,
        logs: Logs,
    ) -> Result<(), Refusal> {
        let folder = self.folder(vm);
        blocking(move || folder.prepare(uid, logs)).await
    }

    /// Starts QEMU and reaches it. Only the reaching can be cancelled: a start that went on behind an
    /// undo would leave a machine that nobody watches.
    pub(super) async fn launch(
        &self,
        incarnation: Incarnation,
        cancelled: &CancellationToken,
    ) -> Result<(), StepError> {
        let folder = self.folder(incarnation.vm);
        let (confinement, storage) = (self.confinement.clone(), self.storage.clone());
        let mut taps = Vec::new();
        for plug in &incarnation.plugs {
            taps.push((plug.nic.clone(), self.taps.open(plug).await?));
        }
        let starting =
            move || start(&folder, &confinement, Opened { storage: &storage, taps }, incarnation);
        let (process, incarnation) = blocking(starting).await?;
        let machine = self.watch(process, incarnation, MachineState::Created);
        let connected = async {
            let connected = tokio::time::timeout(ANSWERS_WITHIN, machine.connected()).await;
            connected.map_err(|_| {
                let message = format!("QEMU did not answer within {} s", ANSWERS_WITHIN.as_secs());
                Refusal::new(Code::Timeout, message)
            })?
        };
        unless(cancelled, connected).await
    }

    /// Lets the CPUs run.
    pub(super) async fn resume(&self, vm: VmId, of: Option<IncarnationId>) -> Result<(), Refusal> {
        let machine = self.machine_for(vm, of)?;
        self.refuse_if_saved(&machine).await?;
        // One that has died by now was never let run, and must not be noted as if it might have been: the
        // memory that it was given would be lost with it.
        machine.execute(&QueryStatus {}).await?;
        self.note_that_it_ran(vm).await?;
        machine.execute(&Cont {}).await?;
        self.expect(&machine, MachineState::Running).await
    }

    /// Whether the CPUs were let run, or may have been: a guest that has gone on must never be taken for
    /// one that has not.
    pub(super) async fn went_on(
        &self,
        vm: VmId,
        of: Option<IncarnationId>,
    ) -> Result<bool, Refusal> {
        if !self.knows(vm) {
            self.adopt_unknown(vm).await?;
        }
        let Some(machine) = self.machine_of(vm, of) else {
            let folder = self.folder(vm);
            return blocking(move || {
                let record = folder.read_incarnation()?;
                Ok(record.is_some_and(|it| of.is_none_or(|of| it.id == of)) && folder.it_ran())
            })
            .await;
        };
        // QEMU does what it is told in order: what it says now is what came of it.
        let status = machine.execute(&QueryStatus {}).await;
        let is_held = status.is_ok_and(|it| matches!(it.status.as_str(), "paused" | "inmigrate"));
        Ok(!is_held && self.folder(vm).it_ran())
    }

    /// To be done before it runs: a guest that has begun must never be taken for one that has not.
    async fn note_that_it_ran(&self, vm: VmId) -> Result<(), Refusal> {
        let folder = self.folder(vm);
        blocking(move || folder.note_that_it_ran()).await
    }

    /// A machine whose memory is kept must not go on: its guest would live twice.
    async fn refuse_if_saved(&self, machine: &Machine) -> Result<(), Refusal> {
        let incarnation = machine.incarnation();
        // A record that cannot be read is of a machine of before: of this one it was just written.
        let image = self.storage.memory(incarnation.vm).await.unwrap_or_default();
        if image.is_some_and(|image| image.incarnation.id == incarnation.id) {
            let message = "the machine's memory is kept: it is suspended, and must not go on";
            return Err(Refusal::new(Code::WrongState, message)
                .with_hint("once it is put away, `inn resume VM` goes on from its memory"));
        }
        Ok(())
    }

    pub(super) async fn pause(&self, vm: VmId, of: Option<IncarnationId>) -> Result<(), Refusal> {
        let machine = self.machine_for(vm, of)?;
        machine.execute(&Stop {}).await?;
        self.expect(&machine, MachineState::Paused).await
    }

    /// Takes a pause back. One that was cancelled may still be on its way to QEMU, which does what it is
    /// asked in order, so that it is asked to go on although it seems to run. One that does not answer may
    /// be held.
    pub(super) async fn unpause(&self, vm: VmId, of: Option<IncarnationId>) -> Result<(), Refusal> {
        let Some(machine) = self.machine_of(vm, of) else { return Ok(()) };
        match machine.facts().machine {
            MachineState::Running | MachineState::Paused | MachineState::Unresponsive => {
                self.resume(vm, of).await
            }
            MachineState::Absent | MachineState::Created | MachineState::Ended => Ok(()),
        }
    }

    /// Waits until a machine has entered a state, or has ended instead.
    async fn expect(&self, machine: &Machine, wanted: MachineState) -> Result<(), Refusal> {
        let settled = |facts: &Facts| {
            let over = matches!(facts.machine, MachineState::Ended | MachineState::Absent);
            facts.machine == wanted || over
        };
        let waited = tokio::time::timeout(ANSWERS_WITHIN, machine.wait_for(settled)).await;
        match waited.map(|facts| facts.machine) {
            // A guest that ended a moment after it ran did run.
            Ok(found) if found == wanted || found == MachineState::Ended => Ok(()),
            Ok(_) => Err(Refusal::new(Code::HypervisorFailed, "QEMU ended")),
            Err(_) => Err(Refusal::new(Code::Timeout, format!("the machine is not {wanted:?}"))),
        }
    }

    pub(super) async fn reset(&self, vm: VmId, of: Option<IncarnationId>) -> Result<(), Refusal> {
        let machine = self.machine_for(vm, of)?;
        if !machine.ends_on_reboot() {
            return press_reset(&machine).await;
        }
        machine.let_reset().await?;
        let pressed = press_reset(&machine).await;
        machine.end_on_reboot();
        pressed
    }

    /// Presses the power button until the guest has ended.
    pub(super) async fn power_down(
        &self,
        vm: VmId,
        of: Option<IncarnationId>,
        timeout: Duration,
    ) -> Result<(), Refusal> {
        let Some(machine) = self.machine_of(vm, of) else { return Ok(()) };
        let ended =
            |facts: &Facts| matches!(facts.machine, MachineState::Ended | MachineState::Absent);
        let press_until_ended = async {
            // A daemon that has just begun may not have reached it yet.
            let _ = tokio::time::timeout(ANSWER_WITHIN, machine.connected()).await;
            while !ended(&machine.facts()) {
                let pressed = machine.execute(&SystemPowerdown {}).await;
                let soon = if pressed.is_ok() { PRESS_AGAIN_AFTER } else { END_SHOWS_WITHIN };
                let waited = tokio::time::timeout(soon, machine.wait_for(ended)).await;
                // One that took no press because it was ending has done what was wanted.
                if waited.is_err() {
                    let Nothing {} = pressed?;
                }
            }
            Ok(())
        };
        tokio::time::timeout(timeout, press_until_ended).await.map_err(|_| {
            let seconds = timeout.as_secs_f32();
            Refusal::new(
                Code::Timeout,
                format!("the guest did not power itself off in {seconds} s"),
            )
            .with_hint("give it longer with --timeout, or end it with `inn stop --force`")
        })?
    }
}

async fn press_reset(machine: &Machine) -> Result<(), Refusal> {
    let before = machine.facts().resets;
    machine.execute(&SystemReset {}).await?;
    let was_reset =
        machine.wait_for(|facts| facts.resets > before || facts.machine == MachineState::Absent);
    let waited = tokio::time::timeout(RESETS_WITHIN, was_reset).await;
    let facts = waited.map_err(|_| Refusal::new(Code::Timeout, "QEMU reported no reset"))?;
    match facts.machine {
        MachineState::Absent => Err(Refusal::new(Code::HypervisorFailed, "QEMU ended")),
        _ => Ok(()),
    }
}
