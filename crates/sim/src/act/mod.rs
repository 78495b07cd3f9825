//! What this driver's steps do to the world, and how they are taken back.
//!
//! What is asked of a machine's process waits while the process does not answer; what is done to the
//! process, or to what is the host's, does not.

mod keeping;
mod making;
mod running;

use crate::{
    change::Change,
    image,
    machine::{Life, Machine},
    steps::SimStep,
    world::{State, World},
};
use innkeeper_driver::StepError;
use innkeeper_model::{Code, IncarnationId, Refusal, VmId};
use std::{io, time::Duration};
use tokio_util::sync::CancellationToken;

type Outcome = Result<(), Refusal>;

impl World {
    /// Does a step.
    pub(crate) async fn perform(
        &self,
        vm: VmId,
        step: SimStep,
        cancelled: &CancellationToken,
    ) -> Result<(), StepError> {
        if let Some(incarnation) = step.asks() {
            unless(cancelled, self.answers(vm, incarnation)).await?;
        }
        match step {
            SimStep::Prepare { incarnation } => self.prepare(vm, incarnation)?,
            SimStep::Launch(launch) => self.launch(vm, *launch)?,
            SimStep::PlugDisk { incarnation, disk: device }
            | SimStep::PlugNic { incarnation, nic: device } => {
                self.plug(vm, incarnation, device)?;
            }
            SimStep::AddNic { incarnation, nic, plug } => {
                self.rewire(vm, incarnation, Some(nic), None, plug.as_deref())?;
            }
            SimStep::RemoveNic { incarnation, nic, .. } => {
                self.rewire(vm, incarnation, None, Some(nic), None)?;
            }
            SimStep::ChangePlug { incarnation, plug, .. } => {
                self.rewire(vm, incarnation, None, None, Some(&plug))?;
            }
            SimStep::SetLink { incarnation, nic, up, .. } => {
                self.set_link(vm, incarnation, &nic, up)?;
            }
            SimStep::LoadMemory { incarnation, file } => {
                self.load_memory(vm, incarnation, file).await?;
            }
            SimStep::Continue { incarnation, .. } => self.let_run(vm, incarnation)?,
            SimStep::Pause { incarnation, .. } => self.pause(vm, incarnation)?,
            SimStep::Reset { incarnation } => self.reset(vm, incarnation)?,
            SimStep::SaveMemory { incarnation, file } => {
                self.save_memory(vm, incarnation, file).await?;
            }
            SimStep::Dump { incarnation, file } => self.dump(vm, incarnation, file).await?,
            SimStep::Kill { incarnation } => self.kill(vm, incarnation),
            SimStep::PutAway { incarnation } => self.put_away(vm, incarnation)?,
            SimStep::Adopt { incarnation, foreign } => self.adopt(vm, *incarnation, *foreign)?,
            SimStep::PowerDown { incarnation, timeout_ms } => {
                let timeout = Duration::from_millis(timeout_ms);
                unless(cancelled, self.power_down(vm, incarnation, timeout)).await??;
            }
            SimStep::Quit { incarnation } => unless(cancelled, self.quit(vm, incarnation)).await?,
        }
        Ok(())
    }

    /// Takes a step back, done or half done; twice is as good as once.
    pub(crate) async fn undo(&self, vm: VmId, step: SimStep) -> Outcome {
        match step {
            SimStep::Prepare { incarnation } => self.put_away(vm, Some(incarnation)),
            SimStep::Launch(launch) => {
                let incarnation = Some(launch.incarnation.id);
                self.kill(vm, incarnation);
                self.put_away(vm, incarnation)
            }
            SimStep::PlugDisk { incarnation, disk: device }
            | SimStep::PlugNic { incarnation, nic: device } => {
                self.unplug(vm, incarnation, device);
                Ok(())
            }
            SimStep::AddNic { incarnation, nic, .. } => {
                self.rewire_unless_gone(vm, incarnation, None, Some(nic), None)
            }
            SimStep::RemoveNic { incarnation, nic, plug } => {
                self.rewire_unless_gone(vm, incarnation, Some(nic), None, plug.as_deref())
            }
            SimStep::ChangePlug { incarnation, before, .. } => {
                self.rewire_unless_gone(vm, incarnation, None, None, Some(&before))
            }
            SimStep::SetLink { incarnation, nic, before, .. } => {
                match self.is_alive(vm, incarnation) {
                    true => self.set_link(vm, incarnation, &nic, before),
                    false => Ok(()),
                }
            }
            SimStep::Continue { incarnation, were_held: true } => {
                self.settle(vm, incarnation, Life::Running, Change::Paused).await
            }
            SimStep::Pause { incarnation, ran: true } => {
                self.settle(vm, incarnation, Life::Paused, Change::Continued).await
            }
            SimStep::SaveMemory { file, .. } | SimStep::Dump { file, .. } => {
                blocking(move || image::empty(&file)).await
            }
            SimStep::Adopt { incarnation, .. } => {
                self.give_back(vm, incarnation.id);
                Ok(())
            }
            // These go forward, or changed nothing that could go back, or the undo of the launch takes
            // it along.
            SimStep::LoadMemory { .. }
            | SimStep::Continue { .. }
            | SimStep::Pause { .. }
            | SimStep::PowerDown { .. }
            | SimStep::Reset { .. }
            | SimStep::Quit { .. }
            | SimStep::Kill { .. }
            | SimStep::PutAway { .. } => Ok(()),
        }
    }

    /// Whether the machine of an incarnation is there and alive.
    pub(crate) fn is_alive(&self, vm: VmId, incarnation: IncarnationId) -> bool {
        let state = self.state();
        state.meant(vm, Some(incarnation)).is_some_and(Machine::is_alive)
    }

    /// Whether a machine's guest has gone on: it runs, or has ended since.
    pub(crate) fn went_on(&self, vm: VmId, incarnation: Option<IncarnationId>) -> bool {
        let state = self.state();
        state.meant(vm, incarnation).is_some_and(|machine| match machine.life {
            Life::Running | Life::Ended => true,
            Life::Created | Life::Paused => false,
            Life::Dead => machine.ran,
        })
    }

    /// Waits until a machine's process answers, or there is none that could.
    async fn answers(&self, vm: VmId, incarnation: Option<IncarnationId>) {
        self.wait_for(vm, |host| {
            let silent = host.meant(vm, incarnation).is_some_and(|machine| machine.held);
            (!silent).then_some(())
        })
        .await;
    }
}

impl SimStep {
    /// The machine whose process must answer for this step, where it asks one.
    const fn asks(&self) -> Option<Option<IncarnationId>> {
        match self {
            Self::PlugDisk { incarnation, .. }
            | Self::PlugNic { incarnation, .. }
            | Self::AddNic { incarnation, .. }
            | Self::RemoveNic { incarnation, .. }
            | Self::ChangePlug { incarnation, .. }
            | Self::SetLink { incarnation, .. }
            | Self::LoadMemory { incarnation, .. }
            | Self::SaveMemory { incarnation, .. } => Some(Some(*incarnation)),
            Self::Continue { incarnation, .. }
            | Self::Pause { incarnation, .. }
            | Self::Reset { incarnation }
            | Self::Dump { incarnation, .. } => Some(*incarnation),
            _ => None,
        }
    }
}

impl crate::host::Host {
    /// A VM's machine, if it is the one that is meant.
    fn meant(&self, vm: VmId, incarnation: Option<IncarnationId>) -> Option<&Machine> {
        let machine = self.vms.get(&vm)?.machine.as_deref()?;
        is_meant(incarnation, machine.id()).then_some(machine)
    }

    /// Whether a guest has ended; one that is not there has.
    fn has_ended(&self, vm: VmId, incarnation: Option<IncarnationId>) -> bool {
        let machine = self.meant(vm, incarnation);
        machine.is_none_or(|machine| matches!(machine.life, Life::Ended | Life::Dead))
    }
}

impl State {
    fn meant(&self, vm: VmId, incarnation: Option<IncarnationId>) -> Option<&Machine> {
        self.host.meant(vm, incarnation)
    }

    fn has_ended(&self, vm: VmId, incarnation: Option<IncarnationId>) -> bool {
        self.host.has_ended(vm, incarnation)
    }

    /// The machine that is meant, if it can be asked something.
    fn alive(&self, vm: VmId, incarnation: Option<IncarnationId>) -> Result<&Machine, Refusal> {
        match self.meant(vm, incarnation) {
            Some(machine) if machine.is_alive() => Ok(machine),
            Some(_) => Err(died()),
            None if self.machine(vm).is_some() => Err(wrong("it has another machine by now")),
            None => Err(Refusal::new(Code::WrongState, "the VM has no running machine")),
        }
    }
}

fn is_meant(wanted: Option<IncarnationId>, found: IncarnationId) -> bool {
    wanted.is_none_or(|wanted| wanted == found)
}

fn died() -> Refusal {
    Refusal::new(Code::HypervisorFailed, "the hypervisor ended")
        .with_hint("see `inn logs --hypervisor VM`")
}

fn wrong(why: &str) -> Refusal {
    Refusal::new(Code::WrongState, format!("the VM cannot do this: {why}"))
}

/// Waits for something that may be dropped at any of its waits, until it is cancelled.
pub(crate) async fn unless<T>(
    cancelled: &CancellationToken,
    work: impl Future<Output = T>,
) -> Result<T, StepError> {
    tokio::select! {
        biased;
        () = cancelled.cancelled() => Err(StepError::Cancelled),
        done = work => Ok(done),
    }
}

/// Runs something that waits for the host's file system on a thread that may. It is not cancelled: it
/// writes 64 KiB.
async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> Outcome {
    let outcome = tokio::task::spawn_blocking(work).await;
    let outcome = outcome.map_err(|error| Refusal::new(Code::Internal, error.to_string()))?;
    Ok(outcome?)
}
