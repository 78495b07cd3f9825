//! Looks from time to time for what no event tells: machines that somebody else made, and files that were
//! changed by hand. What it finds becomes ordinary changes.

use crate::{engine::Engine, networks::keeping, perform::hands::blocking, turn::live::LiveTask};
use innkeeper_model::Vm;
use innkeeper_view::Update;
use std::{collections::HashSet, time::Duration};
use tracing::{info, warn};

/// How often.
const EVERY: Duration = Duration::from_secs(30);

/// Surveys for as long as the engine lives.
pub(crate) async fn run(engine: Engine) {
    loop {
        engine.survey().await;
        // What is looked for here is what no event tells.
        tokio::time::sleep(EVERY).await;
    }
}

impl Engine {
    /// Looks once, at everything.
    pub async fn survey(&self) {
        self.survey_neighbours().await;
        self.look_for_foreign_machines().await;
        if let Err(error) = self.look_for_edited_specs(|_| true).await {
            warn!(%error, "the stored specs cannot be looked at");
        }
        self.look_at_disks().await;
        keeping::survey(self).await;
        // Readers can see what was found when this returns.
        let _ = self.view().barrier(Vec::new()).await;
    }

    async fn look_for_foreign_machines(&self) {
        let mut foreign = self.shared.performer.drivers.own().foreign().await;
        let snapshot = self.view().snapshot();
        let managed = snapshot.vms.values().filter_map(|vm| vm.managed.as_ref()?.machine.pid);
        let pids: HashSet<u32> = managed.collect();
        // Those that are VMs are shown as that.
        foreign.retain(|machine| !pids.contains(&machine.process.pid));
        if snapshot.host.foreign != foreign {
            info!(count = foreign.len(), "machines of others on this host");
            self.view().post(Update::Foreign(foreign));
        }
    }

    /// Looks whether the disks are as large as they are thought to be.
    async fn look_at_disks(&self) {
        for vm in self.view().snapshot().vms.values().filter(|vm| !self.is_busy(vm.id)) {
            self.look_at_disks_of(vm).await;
        }
    }

    /// The same, of the VM of a task that changed them.
    pub(crate) async fn look_at_disks_of_task(&self, task: &LiveTask) {
        // What the task told is in the view after this: a VM that it has made among it.
        let _ = self.view().barrier(Vec::new()).await;
        let snapshot = self.view().snapshot();
        if let Some(vm) = task.vm.and_then(|vm| snapshot.vms.get(&vm)) {
            self.look_at_disks_of(vm).await;
        }
    }

    pub(crate) async fn look_at_disks_of(&self, vm: &Vm) {
        let Some(spec) = vm.spec.clone() else { return };
        if spec.config.disks.is_empty() && vm.disks.is_empty() {
            return;
        }
        let storage = self.shared.performer.hands.storage.clone();
        let id = vm.id;
        match blocking(move || Ok(storage.disk_facts(id, &spec.config.disks))).await {
            Ok(disks) if disks != vm.disks => {
                self.view().post(Update::VmDisks { id, disks });
                self.shared.noticed.to_note().mark(id);
            }
            Ok(_) => {}
            Err(error) => warn!(vm = %id, %error, "its disks cannot be looked at"),
        }
    }
}
