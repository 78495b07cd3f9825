//! What goes wrong on request, and by the seed's draw.

use crate::{
    randomness::{draw, finish, fraction},
    world::World,
};
use innkeeper_driver::Step;
use innkeeper_model::{Code, Refusal, VmId};
use std::{
    collections::{HashMap, VecDeque},
    ops::RangeInclusive,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

/// How many calls are kept for [`World::calls`].
const CALLS_KEPT: usize = 100_000;

/// Something that goes wrong in a call of the driver.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// It takes this much longer.
    Slow(Duration),
    /// It fails, and nothing is done.
    Fails(Refusal),
    /// It never ends, until it is cancelled or the fault is taken away; nothing is done in the first
    /// case.
    Hangs,
    /// The VM's hypervisor dies just before.
    DiesBefore,
    /// The VM's hypervisor dies just after.
    DiesAfter,
    /// A lie: it says that it was done, and nothing is done.
    ClaimsDone,
    /// A lie: it is done, and says that it failed.
    ClaimsFailed(Refusal),
}

/// What is done with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// It is performed.
    Perform,
    /// It is undone.
    Undo,
    /// It is asked whether it happened.
    Probe,
}

/// A call of the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallMade {
    /// The VM.
    pub vm: VmId,
    /// The step's name.
    pub step: String,
    /// Which of several like it.
    pub about: Option<String>,
    /// What is done with it.
    pub kind: CallKind,
}

/// Which calls go wrong, and how. Of several rules for one call the oldest counts.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultRule {
    vm: Option<VmId>,
    step: String,
    about: Option<String>,
    kind: CallKind,
    nth: Option<u64>,
    fault: Fault,
}

impl FaultRule {
    /// This goes wrong whenever a step whose name begins so is performed: `sim/launch`, or `sim/plug`
    /// for all kinds of devices, or nothing for all steps.
    pub fn new(step: impl Into<String>, fault: Fault) -> Self {
        let step = step.into();
        Self { vm: None, step, about: None, kind: CallKind::Perform, nth: None, fault }
    }

    /// The same for one VM only.
    #[must_use]
    pub fn of(mut self, vm: VmId) -> Self {
        self.vm = Some(vm);
        self
    }

    /// The same for one of several such steps: for the disk or NIC of this name.
    #[must_use]
    pub fn about(mut self, which: impl Into<String>) -> Self {
        self.about = Some(which.into());
        self
    }

    /// The same when the step is undone or asked after, instead of performed.
    #[must_use]
    pub const fn when(mut self, kind: CallKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same for one of the calls only, counted from 1 when the rule is made.
    #[must_use]
    pub const fn nth(mut self, nth: u64) -> Self {
        self.nth = Some(nth);
        self
    }

    fn covers(&self, call: &Call<'_>) -> bool {
        self.kind == call.kind
            && self.vm.is_none_or(|vm| vm == call.vm)
            && call.step.name.starts_with(&self.step)
            && (self.about.is_none() || self.about == call.step.about)
    }
}

/// Names a rule that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FaultId(u64);

/// A call that is being made.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) vm: VmId,
    pub(crate) step: &'a Step,
    pub(crate) kind: CallKind,
}

/// What is to become of a call.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    /// How long it takes in any case.
    pub(crate) takes: Duration,
    pub(crate) fault: Option<Fault>,
    /// The rule that it is by.
    pub(crate) rule: Option<FaultId>,
}

/// Chance, as a world's options have it.
#[derive(Debug, Clone)]
pub(crate) struct Chance {
    pub(crate) seed: u64,
    pub(crate) fault_rate: f64,
    pub(crate) step_time: RangeInclusive<Duration>,
}

impl Chance {
    fn takes_part(&self) -> bool {
        self.fault_rate > 0.0 || !self.step_time.end().is_zero()
    }
}

/// All that can go wrong in one world. Whoever drives the world without it pays one load.
#[derive(Debug)]
pub(crate) struct Faults {
    active: AtomicBool,
    chance: Chance,
    kept: Mutex<Kept>,
    /// Changes whenever a rule is hit, made or taken away.
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Kept {
    rules: Vec<Active>,
    last_id: u64,
    /// How often each call was made, where chance takes part: what it draws depends on this and not
    /// on the order among VMs.
    made: HashMap<VmId, HashMap<u64, u64>>,
    calls: Option<VecDeque<CallMade>>,
}

#[derive(Debug)]
struct Active {
    id: FaultId,
    rule: FaultRule,
    covered: u64,
    hits: u64,
}

impl Faults {
    pub(crate) fn new(chance: Chance) -> Self {
        Self {
            active: AtomicBool::new(chance.takes_part()),
            chance,
            kept: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Only map operations happen under the lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> T {
        let mut kept = self.kept();
        let changed = change(&mut kept);
        let active = self.chance.takes_part() || !kept.rules.is_empty() || kept.calls.is_some();
        self.active.store(active, Ordering::Relaxed);
        drop(kept);
        self.changed.send_replace(());
        changed
    }

    /// What is to become of a call.
    pub(crate) fn decide(&self, call: Call<'_>) -> Fate {
        if !self.active.load(Ordering::Relaxed) {
            return Fate::default();
        }
        let mut kept = self.kept();
        if let Some(calls) = &mut kept.calls {
            let Step { name, about, .. } = call.step;
            let (step, about) = (name.clone(), about.clone());
            calls.push_back(CallMade { vm: call.vm, step, about, kind: call.kind });
            if calls.len() > CALLS_KEPT {
                calls.pop_front();
            }
        }
        let drawn = self.chance.takes_part().then(|| kept.draw(self.chance.seed, call));
        let takes = drawn.map_or(Duration::ZERO, |drawn| self.chance.takes(drawn));
        match kept.hit(call) {
            Some((rule, fault)) => {
                drop(kept);
                self.changed.send_replace(());
                Fate { takes, fault: Some(fault), rule: Some(rule) }
            }
            None => {
                let performs = call.kind == CallKind::Perform;
                let fault = drawn.filter(|_| performs).and_then(|drawn| self.chance.fault(drawn));
                Fate { takes, fault, rule: None }
            }
        }
    }

    pub(crate) fn forget(&self, vm: VmId) {
        if self.chance.takes_part() {
            self.kept().made.remove(&vm);
        }
    }

    /// Waits until a rule is taken away.
    pub(crate) async fn gone(&self, id: Option<FaultId>) {
        let Some(id) = id else { return };
        self.until(|kept| kept.rules.iter().all(|rule| rule.id != id)).await;
    }

    async fn until(&self, is_so: impl Fn(&Kept) -> bool) {
        let mut changed = self.changed.subscribe();
        while !is_so(&self.kept()) {
            // The sender is part of self, so it cannot go away.
            let _ = changed.changed().await;
        }
    }
}

impl Kept {
    /// The oldest rule that makes this call go wrong.
    fn hit(&mut self, call: Call<'_>) -> Option<(FaultId, Fault)> {
        let mut hit = None;
        for active in self.rules.iter_mut().filter(|active| active.rule.covers(&call)) {
            active.covered += 1;
            let is_it = active.rule.nth.is_none_or(|nth| nth == active.covered);
            if is_it && hit.is_none() {
                active.hits += 1;
                hit = Some((active.id, active.rule.fault.clone()));
            }
        }
        hit
    }

    /// Draws a number for a call: the same for the same call of the same VM, whatever others do.
    fn draw(&mut self, seed: u64, call: Call<'_>) -> u64 {
        let about = call.step.about.as_deref().unwrap_or_default();
        let kind = [call.kind as u8];
        let vm = call.vm.as_uuid();
        let parts = [vm.as_bytes(), call.step.name.as_bytes(), about.as_bytes(), &kind];
        let path = draw(seed, &parts);
        let made = self.made.entry(call.vm).or_default().entry(path).or_default();
        *made += 1;
        finish(path ^ finish(*made))
    }
}

impl Chance {
    fn takes(&self, drawn: u64) -> Duration {
        let (least, most) = (*self.step_time.start(), *self.step_time.end());
        least + most.saturating_sub(least).mul_f64(fraction(finish(drawn ^ 1)))
    }

    fn fault(&self, drawn: u64) -> Option<Fault> {
        if fraction(drawn) >= self.fault_rate {
            return None;
        }
        let refusal = || {
            Refusal::new(Code::HypervisorFailed, "a simulated fault")
                .with_hint("it was drawn at random: try again")
        };
        // A lie about something that was not done is left out: no daemon could be right after it.
        Some(match finish(drawn ^ 2) % 5 {
            0 => Fault::Slow(Duration::from_millis(100)),
            1 => Fault::ClaimsFailed(refusal()),
            2 => Fault::DiesBefore,
            3 => Fault::DiesAfter,
            _ => Fault::Fails(refusal()),
        })
    }
}

impl World {
    /// Has calls of drivers go wrong from now on. Rules last until they are taken away or the world is
    /// dropped; they are not written down.
    pub fn inject(&self, rule: FaultRule) -> FaultId {
        self.faults.change(|kept| {
            kept.last_id += 1;
            let id = FaultId(kept.last_id);
            kept.rules.push(Active { id, rule, covered: 0, hits: 0 });
            id
        })
    }

    /// Takes a rule away, and lets what hangs because of it go on. Returns how many calls it hit.
    pub fn take_away(&self, id: FaultId) -> u64 {
        self.faults.change(|kept| {
            let hits = kept.rules.iter().find(|active| active.id == id).map_or(0, |rule| rule.hits);
            kept.rules.retain(|active| active.id != id);
            hits
        })
    }

    /// Takes all rules away.
    pub fn take_away_all(&self) {
        self.faults.change(|kept| kept.rules.clear());
    }

    /// Waits until a rule has hit a call, or is taken away.
    pub async fn until_hit(&self, id: FaultId) {
        let hit = |kept: &Kept| {
            kept.rules.iter().find(|active| active.id == id).is_none_or(|active| active.hits > 0)
        };
        self.faults.until(hit).await;
    }

    /// Keeps account of the calls that drivers get, from now on and anew.
    pub fn watch_calls(&self) {
        self.faults.change(|kept| kept.calls = Some(VecDeque::new()));
    }

    /// The calls since [`World::watch_calls`], in their order; the last 100,000.
    pub fn calls(&self) -> Vec<CallMade> {
        self.faults.kept().calls.iter().flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use innkeeper_driver::Crash;

    fn step(name: &str) -> Step {
        Step::new(name, 1, Crash::Repeat, &())
    }

    fn chance(seed: u64, fault_rate: f64) -> Faults {
        let most = Duration::from_millis(9);
        Faults::new(Chance { seed, fault_rate, step_time: Duration::ZERO..=most })
    }

    fn drawn(faults: &Faults, vm: VmId) -> Vec<(Option<Fault>, Duration)> {
        let step = step("sim/launch");
        let fate = |_| faults.decide(Call { vm, step: &step, kind: CallKind::Perform });
        (0..100).map(fate).map(|fate| (fate.fault, fate.takes)).collect()
    }

    #[test]
    fn chance_is_the_seeds_and_the_vms_and_no_other_order() {
        let (one, other) = (VmId::new(), VmId::new());
        let first = chance(7, 0.3);
        let of_one = drawn(&first, one);
        let of_other = drawn(&first, other);
        let second = chance(7, 0.3);
        assert_eq!(drawn(&second, other), of_other);
        assert_eq!(drawn(&second, one), of_one);
        assert_ne!(of_one, of_other);
        assert_ne!(drawn(&chance(8, 0.3), one), of_one);
        let hit = of_one.iter().filter(|(fault, _)| fault.is_some()).count();
        assert!((10..50).contains(&hit), "{hit} of 100 at 30 %");
        assert!(of_one.iter().all(|(_, takes)| *takes <= Duration::from_millis(9)));
        assert!(drawn(&chance(7, 0.0), one).iter().all(|(fault, _)| fault.is_none()));
        first.forget(one);
        assert_eq!(drawn(&first, one), of_one, "a VM that was deleted begins anew");
    }
}
