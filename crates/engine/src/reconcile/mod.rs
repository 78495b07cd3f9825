//! Facts that nobody asked for, turned into operations.
//!
//! The driver tells of facts at any moment and never waits; they go to the view, and the VM is marked
//! (`noticed`). One task drains the marks and looks at each VM as it is by then. What nobody tells is found by
//! surveys (`survey`), what persons write into files among it (`by_hand`); one VM at an operator's word
//! (`examining`).

pub(crate) mod by_hand;
pub(crate) mod examining;
pub(crate) mod guarding;
pub(crate) mod marks;
pub(crate) mod noticed;
pub(crate) mod owed;
pub(crate) mod policy;
pub(crate) mod quotas;
pub(crate) mod survey;

use crate::{
    accept::{legality::MachineVerb, request::Caller},
    engine::Engine,
    reconcile::{noticed::Noticed, policy::Action},
};
use innkeeper_model::{Vm, VmId};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use tracing::debug;

/// Looks at marked VMs for as long as the engine lives.
pub(crate) async fn run(engine: Engine, noticed: Noticed) {
    let mut patience = Patience::default();
    if engine.recovered().await.is_err() {
        return;
    }
    loop {
        let marked = noticed.take().await;
        // All that was told before the marks were taken is in the view after this.
        if engine.view().barrier(Vec::new()).await.is_err() {
            return;
        }
        let snapshot = engine.view().snapshot();
        noticed.take_impatient().into_iter().for_each(|id| patience.forget(id));
        for id in marked {
            let Some(vm) = snapshot.vms.get(&id) else {
                patience.forget(id);
                continue;
            };
            if vm.manager().is_some() {
                engine.settle_share(vm);
            }
            let Some(action) = policy::action(vm) else {
                patience.forget(id);
                continue;
            };
            if !engine.is_busy(id) && patience.may_try(id, &noticed) {
                debug!(vm = %id, end = ?vm.facts.last_end, ?action, "its guest has ended");
                engine.act(vm, action).await;
            }
        }
    }
}

impl Engine {
    async fn act(&self, vm: &Vm, action: Action) {
        let id = vm.id;
        // That of an attempt that came to nothing.
        let _stale = self.shared.left_off.take(id);
        let verb = match action {
            Action::Leave(problem) => return self.put_away_and_leave(id, problem).await,
            Action::PutAway => MachineVerb::PutAway,
            Action::PutAwayForGood => MachineVerb::PutAwayForGood,
            Action::Restart => MachineVerb::Start,
            Action::Preserve => MachineVerb::Preserve,
        };
        // A refusal means that somebody else was faster; their task's end marks it again.
        let _ = self.submit_power(&Caller::innkeeper(), id, verb).await;
    }

    /// Puts a machine away, and has its end say why it is not started again.
    async fn put_away_and_leave(&self, id: VmId, problem: String) {
        let left_off = &self.shared.left_off;
        left_off.reasons().insert(id, problem);
        let put_away = self.submit_power(&Caller::innkeeper(), id, MachineVerb::PutAway).await;
        if put_away.is_err() {
            left_off.reasons().remove(&id);
        }
    }
}

/// Why machines that are being put away are not started again. The end of that says it: whoever sees a VM stopped
/// sees why, and so does the next daemon.
#[derive(Debug, Default)]
pub(crate) struct LeftOff(Mutex<HashMap<VmId, String>>);

impl LeftOff {
    /// The reason, which is said now.
    pub(crate) fn take(&self, vm: VmId) -> Option<String> {
        self.reasons().remove(&vm)
    }

    fn reasons(&self) -> MutexGuard<'_, HashMap<VmId, String>> {
        // A map is whole after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long what failed is left alone before it is tried again: twice as long each time.
#[derive(Default)]
struct Patience(HashMap<VmId, Attempts>);

struct Attempts {
    next: Instant,
    pause: Duration,
}

const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Patience {
    fn forget(&mut self, vm: VmId) {
        self.0.remove(&vm);
    }

    /// Whether a VM may be tried now. If not, it is marked again when it may.
    fn may_try(&mut self, vm: VmId, noticed: &Noticed) -> bool {
        let now = Instant::now();
        let attempts = self.0.entry(vm).or_insert(Attempts { next: now, pause: SHORTEST_PAUSE });
        if now >= attempts.next {
            attempts.next = now + attempts.pause;
            attempts.pause = (attempts.pause * 2).min(LONGEST_PAUSE);
            return true;
        }
        let (noticed, next) = (noticed.clone(), attempts.next);
        tokio::spawn(async move {
            tokio::time::sleep_until(next).await;
            noticed.mark(vm);
        });
        false
    }
}
