//! Keeps the guard between guests and their host in force while there are guests, and no longer.
//!
//! Whoever flushes the host's firewall takes the guard's rule away. So it is set anew as soon as that is told, and
//! from time to time, since it is not told everywhere. It costs one short process, and only while a guest runs that
//! it is for. With the last of them it goes, so that nothing is left on a host that has done with Innkeeper.

use crate::engine::Engine;
use innkeeper_model::{Vm, config::Attachment};
use innkeeper_view::Update;
use std::time::Duration;
use tracing::warn;

/// How often.
const EVERY: Duration = Duration::from_secs(10);

/// Guards for as long as the engine lives.
pub(crate) async fn run(engine: Engine) {
    let mut disturbed = engine.shared.performer.hands.networks.host.disturbed();
    loop {
        if engine.view().snapshot().vms.values().any(|vm| needs_guard(vm)) {
            let guarded = engine.shared.performer.hands.guard_loopback().await;
            if let Err(error) = guarded {
                warn!(%error, "guests with a NIC are not kept from this host");
            }
        } else {
            lift(&engine).await;
        }
        // The time may pass without a word; then it is time.
        let _ = tokio::time::timeout(EVERY, disturbed.changed()).await;
    }
}

/// Takes the guard away, if it is nobody's. Whoever begins a machine is busy from before the guard is set for
/// it until it is told that it is on.
pub(crate) async fn lift(engine: &Engine) {
    let is_needed = || {
        let snapshot = engine.view().snapshot();
        snapshot.vms.values().any(|vm| needs_guard(vm) || engine.is_busy(vm.id))
    };
    if let Err(refusal) = engine.shared.performer.hands.guard.lift(is_needed).await {
        warn!(%refusal, "the rule that keeps guests from this host cannot be taken away");
    }
}

/// Whether a machine has a NIC with a way out, as far as can be told: one that was not built from the
/// spec as it is now may have a NIC that the spec has no more.
fn needs_guard(vm: &Vm) -> bool {
    let built_from = vm.incarnation.as_ref().map(|machine| machine.spec_revision);
    let may_have_way_out = vm.spec.as_ref().is_none_or(|spec| {
        built_from != Some(spec.revision)
            || spec.config.nics.iter().any(|nic| nic.network == Attachment::User)
    });
    vm.is_on() && vm.manager().is_none() && may_have_way_out
}

impl Engine {
    /// Tells the view what stands between guests and this host by now, and what runs them.
    pub async fn refresh_host(&self) {
        let own = self.shared.performer.drivers.own().safeguards();
        let guard = self.shared.performer.hands.guard.safeguard();
        for safeguard in own.into_iter().chain([guard]) {
            self.view().post(Update::Safeguard(safeguard));
        }
        if let Err(refusal) = self.hypervisor().await {
            warn!(hint = refusal.hint, "no hypervisor: {refusal}");
        }
    }
}
