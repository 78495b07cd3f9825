//! Looks at a VM because an operator wants it looked at: what is known of it is asked anew, all of it, and
//! then what follows is done, without the patience that what failed before is otherwise met with.

use crate::engine::Engine;
use innkeeper_model::{Refusal, VmId};
use std::collections::HashSet;
use tokio::task::JoinSet;
use tracing::{info, warn};

/// Examines marked VMs for as long as the engine lives. One that does not answer delays no other, and who
/// is marked while being examined is examined once more.
pub(crate) async fn run(engine: Engine) {
    if engine.recovered().await.is_err() {
        return;
    }
    let mut examined = JoinSet::new();
    let (mut busy, mut again) = (HashSet::new(), HashSet::new());
    loop {
        tokio::select! {
            marked = engine.shared.to_examine.take() => {
                for vm in marked {
                    if !busy.insert(vm) {
                        again.insert(vm);
                        continue;
                    }
                    let engine = engine.clone();
                    examined.spawn(async move {
                        engine.examine(vm).await;
                        vm
                    });
                }
            }
            Some(Ok(vm)) = examined.join_next() => {
                busy.remove(&vm);
                if again.remove(&vm) {
                    engine.shared.to_examine.mark(vm);
                }
            }
        }
    }
}

impl Engine {
    /// Asks the hypervisor, looks at the spec's file and the disks, tries what is owed, and has what the VM's
    /// policy says done.
    async fn examine(&self, id: VmId) {
        info!(vm = %id, "examined");
        if let Err(error) = self.ask_hypervisor_of(id).await {
            warn!(vm = %id, %error, "its hypervisor cannot be asked");
        }
        self.shared.performer.hands.wishes.look_again(id);
        if let Err(error) = self.look_for_edited_specs(move |vm| vm == id).await {
            warn!(vm = %id, %error, "its stored spec cannot be looked at");
        }
        self.settle_of(id).await;
        if !self.is_busy(id)
            && let Some(vm) = self.view().snapshot().vms.get(&id)
        {
            self.look_at_disks_of(vm).await;
        }
        // Readers can see what was found when the policy is asked.
        let _ = self.view().barrier(Vec::new()).await;
        self.shared.noticed.mark_at_once(id);
    }

    async fn ask_hypervisor_of(&self, id: VmId) -> Result<(), Refusal> {
        let record = self.vm(id)?;
        match record.manager() {
            Some(manager) => self.survey_manager(manager).await,
            None => self.shared.performer.drivers.own().look(id).await,
        }
    }
}
