//! When which guest's agent is asked next. No clock, no channel.
//!
//! One that answers is asked every minute. One that does not is asked ever more seldom, up to five
//! minutes: most guests have none. A machine without a channel is not asked again.

use innkeeper_model::{IncarnationId, VmId};
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};
use tokio::time::Instant;

/// How soon a new machine is first asked, and one again of which something has changed.
const SOON: Duration = Duration::from_secs(2);
/// How often one that answers is asked.
const EVERY: Duration = Duration::from_secs(60);
/// How seldom one that does not is, at most.
const SELDOM: Duration = Duration::from_secs(300);
/// Who is due within this is asked now, so that many are asked at one wake-up.
const TOGETHER: Duration = Duration::from_secs(1);
/// How often in a row one has to be silent until what it told is forgotten.
const GONE_AFTER: u32 = 4;

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It answered, whatever.
    Answered,
    /// It was not asked: its CPUs are held.
    Held,
    /// It did not, or what came was no answer.
    Silent,
    /// Its machine has no channel, and will have none.
    NoChannel,
}

#[derive(Debug)]
struct Asked {
    machine: IncarnationId,
    /// `None` while it is being asked, and for one that is not asked again.
    next: Option<Instant>,
    /// How often in a row it was silent.
    silent: u32,
}

/// All machines, in the order in which they are asked.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    asked: HashMap<VmId, Asked>,
    order: BTreeSet<(Instant, VmId)>,
}

impl Rounds {
    /// A VM has this machine, and something may have changed in it; `None` is no machine.
    pub(super) fn see(&mut self, vm: VmId, machine: Option<IncarnationId>, now: Instant) {
        let known = self.asked.get(&vm);
        let Some(machine) = machine else { return self.forget(vm) };
        let next = now + SOON;
        match known {
            Some(known) if known.machine == machine => {
                // One that is being asked, or has no channel, has no turn that could be earlier.
                if known.next.is_some_and(|planned| planned > next) {
                    let silent = known.silent.min(1);
                    self.plan(vm, Asked { machine, next: Some(next), silent });
                }
            }
            _ => self.plan(vm, Asked { machine, next: Some(next), silent: 0 }),
        }
    }

    /// A VM had this machine before anybody here asked: its turn is now.
    pub(super) fn find(&mut self, vm: VmId, machine: Option<IncarnationId>, now: Instant) {
        if let Some(machine) = machine {
            self.plan(vm, Asked { machine, next: Some(now), silent: 0 });
        }
    }

    /// Takes the turns that have come, at most so many.
    pub(super) fn take(&mut self, now: Instant, at_most: usize) -> Vec<(VmId, IncarnationId)> {
        let mut taken = Vec::new();
        while taken.len() < at_most
            && let Some((at, vm)) = self.order.first().copied()
            && at <= now + TOGETHER
        {
            self.order.pop_first();
            if let Some(asked) = self.asked.get_mut(&vm) {
                asked.next = None;
                taken.push((vm, asked.machine));
            }
        }
        taken
    }

    /// One has been asked. Says whether it has been silent for so long that it is gone.
    pub(super) fn hear(
        &mut self,
        vm: VmId,
        machine: IncarnationId,
        outcome: Outcome,
        now: Instant,
    ) -> bool {
        // Another machine has its own turns.
        let Some(known) = self.asked.get(&vm).filter(|known| known.machine == machine) else {
            return false;
        };
        let silent = if outcome == Outcome::Silent { known.silent.saturating_add(1) } else { 0 };
        let next = match outcome {
            Outcome::Answered | Outcome::Held => Some(now + EVERY),
            Outcome::Silent => {
                let pause = SOON * 2_u32.saturating_pow(silent - 1);
                Some(now + pause.min(SELDOM))
            }
            Outcome::NoChannel => None,
        };
        self.plan(vm, Asked { machine, next, silent });
        silent == GONE_AFTER
    }

    /// When the next turn comes.
    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    fn plan(&mut self, vm: VmId, asked: Asked) {
        self.forget(vm);
        self.order.extend(asked.next.map(|next| (next, vm)));
        self.asked.insert(vm, asked);
    }

    fn forget(&mut self, vm: VmId) {
        if let Some(next) = self.asked.remove(&vm).and_then(|asked| asked.next) {
            self.order.remove(&(next, vm));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> (Rounds, VmId, IncarnationId, Instant) {
        (Rounds::default(), VmId::new(), IncarnationId::new(), Instant::now())
    }

    /// How long after this the next turn is, in seconds.
    fn pause(rounds: &Rounds, now: Instant) -> Option<u64> {
        rounds.next().map(|next| (next - now).as_secs())
    }

    #[test]
    fn who_answers_is_asked_every_minute_and_sooner_after_a_change() {
        let (mut rounds, vm, machine, now) = one();
        rounds.see(vm, Some(machine), now);
        assert_eq!(pause(&rounds, now), Some(2));
        assert_eq!(rounds.take(now, 9), []);
        assert_eq!(rounds.take(now + SOON, 9), [(vm, machine)]);
        rounds.see(vm, Some(machine), now);
        assert_eq!(rounds.next(), None, "it is being asked");
        assert!(!rounds.hear(vm, machine, Outcome::Answered, now));
        assert_eq!(pause(&rounds, now), Some(60));
        rounds.see(vm, Some(machine), now);
        assert_eq!(pause(&rounds, now), Some(2));
        rounds.see(vm, None, now);
        assert_eq!(rounds.next(), None);
    }

    #[test]
    fn who_was_there_before_is_asked_at_once() {
        let (mut rounds, vm, machine, now) = one();
        rounds.find(VmId::new(), None, now);
        rounds.find(vm, Some(machine), now);
        // That it was marked meanwhile does not put it off.
        rounds.see(vm, Some(machine), now);
        assert_eq!(rounds.take(now, 9), [(vm, machine)]);
    }

    #[test]
    fn who_is_silent_is_asked_ever_more_seldom_and_is_gone_once() {
        let (mut rounds, vm, machine, now) = one();
        rounds.see(vm, Some(machine), now);
        let mut gone = Vec::new();
        let pauses: Vec<_> = (0..40)
            .map(|_| {
                assert_eq!(rounds.take(now + SELDOM, 9), [(vm, machine)]);
                gone.push(rounds.hear(vm, machine, Outcome::Silent, now));
                pause(&rounds, now).unwrap()
            })
            .collect();
        assert_eq!(pauses[..9], [2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!(pauses[39], 300);
        assert_eq!(gone.iter().position(|gone| *gone), Some(3));
        assert_eq!(gone.iter().filter(|gone| **gone).count(), 1);
    }

    #[test]
    fn a_machine_without_a_channel_is_asked_once_and_the_next_one_again() {
        let (mut rounds, vm, machine, now) = one();
        rounds.see(vm, Some(machine), now);
        rounds.take(now + SOON, 9);
        rounds.hear(vm, machine, Outcome::NoChannel, now);
        rounds.see(vm, Some(machine), now);
        assert_eq!(rounds.next(), None);
        let next = IncarnationId::new();
        rounds.see(vm, Some(next), now);
        // What an earlier machine said late changes nothing.
        assert!(!rounds.hear(vm, machine, Outcome::NoChannel, now));
        assert_eq!(rounds.take(now + SOON, 9), [(vm, next)]);
    }

    #[test]
    fn no_more_are_asked_at_once_than_there_is_room_for() {
        let (mut rounds, _, machine, now) = one();
        (0..5).for_each(|_| rounds.see(VmId::new(), Some(machine), now));
        assert_eq!(rounds.take(now + SOON, 3).len(), 3);
        assert_eq!(rounds.take(now + SOON, 3).len(), 2);
    }
}
