//! Letting machines run, holding them, and ending them.

use super::{Outcome, wrong};
use crate::{
    change::Change,
    machine::{Life, Machine},
    world::World,
};
use innkeeper_model::{Code, EndReason, IncarnationId, Refusal, VmId};
use std::time::Duration;

/// How often the power button is pressed while a guest does not end, as the QEMU driver does.
const PRESS_AGAIN_AFTER: Duration = Duration::from_secs(3);
/// How long a process that was told to quit may take before it is killed.
const QUITS_WITHIN: Duration = Duration::from_secs(5);
/// How long an undo waits for a process to answer.
const UNDOES_WITHIN: Duration = Duration::from_secs(5);

impl World {
    pub(super) fn let_run(&self, vm: VmId, incarnation: Option<IncarnationId>) -> Outcome {
        let mut state = self.state();
        let machine = state.alive(vm, incarnation)?;
        let boots = machine.memory.boots == 0;
        // A guest that ended a moment after it ran did run.
        if matches!(machine.life, Life::Created | Life::Paused) {
            self.change(&mut state, vm, Change::Continued);
            if boots {
                self.guest_has_booted(&mut state, vm);
            }
        }
        Ok(())
    }

    pub(super) fn pause(&self, vm: VmId, incarnation: Option<IncarnationId>) -> Outcome {
        let mut state = self.state();
        match state.alive(vm, incarnation)?.life {
            Life::Running => self.change(&mut state, vm, Change::Paused),
            Life::Created => return Err(wrong("its guest has not begun")),
            Life::Paused | Life::Ended | Life::Dead => {}
        }
        Ok(())
    }

    pub(super) fn reset(&self, vm: VmId, incarnation: Option<IncarnationId>) -> Outcome {
        let mut state = self.state();
        match state.alive(vm, incarnation)?.life {
            Life::Running | Life::Paused => {
                self.change(&mut state, vm, Change::Reset { by_guest: false });
                self.guest_has_booted(&mut state, vm);
                Ok(())
            }
            Life::Created | Life::Ended | Life::Dead => Err(wrong("its guest does not run")),
        }
    }

    /// Brings a machine from one life back to the other, where it is in the one.
    pub(super) async fn settle(
        &self,
        vm: VmId,
        incarnation: Option<IncarnationId>,
        from: Life,
        by: Change,
    ) -> Outcome {
        let answered = self.time.within(UNDOES_WITHIN, self.answers(vm, incarnation)).await;
        answered.ok_or_else(|| {
            let refusal = Refusal::new(Code::Timeout, "the hypervisor does not answer");
            refusal.with_hint("`inn kill VM` ends it")
        })?;
        let mut state = self.state();
        if state.meant(vm, incarnation).is_some_and(|machine| machine.life == from) {
            self.change(&mut state, vm, by);
        }
        Ok(())
    }

    /// Presses the power button until the guest has ended.
    pub(super) async fn power_down(
        &self,
        vm: VmId,
        incarnation: Option<IncarnationId>,
        timeout: Duration,
    ) -> Outcome {
        let press_until_ended = async {
            loop {
                self.answers(vm, incarnation).await;
                {
                    let mut state = self.state();
                    if state.has_ended(vm, incarnation) {
                        return;
                    }
                    self.press_power_button(&mut state, vm);
                }
                let ended = self.wait_for(vm, |host| host.has_ended(vm, incarnation).then_some(()));
                self.time.within(PRESS_AGAIN_AFTER, ended).await;
            }
        };
        self.time.within(timeout, press_until_ended).await.ok_or_else(|| {
            let message =
                format!("the guest did not power itself off in {} s", timeout.as_secs_f32());
            Refusal::new(Code::Timeout, message)
                .with_hint("give it longer with --timeout, or end it with `inn stop --force`")
        })
    }

    /// Tells a machine's process to quit; kills it where it does not.
    pub(super) async fn quit(&self, vm: VmId, incarnation: Option<IncarnationId>) {
        let answers = self.time.within(QUITS_WITHIN, self.answers(vm, incarnation)).await;
        self.end(vm, incarnation, answers.is_some());
    }

    /// Kills a machine's process, whether it answers or not.
    pub(super) fn kill(&self, vm: VmId, incarnation: Option<IncarnationId>) {
        self.end(vm, incarnation, false);
    }

    fn end(&self, vm: VmId, incarnation: Option<IncarnationId>, politely: bool) {
        let mut state = self.state();
        if state.meant(vm, incarnation).is_some_and(Machine::is_alive) {
            let reason = EndReason::Killed;
            self.change(&mut state, vm, Change::Died { reason, politely });
        }
    }
}
