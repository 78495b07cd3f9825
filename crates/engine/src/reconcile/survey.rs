//! Looks from time to time for what no event tells: machines that somebody else made, and files that were
//! changed by hand. What it finds becomes ordinary changes.

use crate::{engine::Engine, networks::keeping, perform::hands::blocking, turn::live::LiveTask};
use innkeeper_model::{Code, Refusal, Spec, Vm};
use innkeeper_store::StoredSpec;
use innkeeper_view::Update;
use std::{sync::Arc, time::Duration};
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
        self.look_for_foreign_machines().await;
        if let Err(error) = self.look_for_edited_specs().await {
            warn!(%error, "the stored specs cannot be looked at");
        }
        self.look_at_disks().await;
        keeping::survey(self).await;
        // Readers can see what was found when this returns.
        let _ = self.view().barrier(Vec::new()).await;
    }

    async fn look_for_foreign_machines(&self) {
        let foreign = self.shared.performer.driver.foreign().await;
        let mut host = self.view().snapshot().host.value().as_ref().clone();
        if host.foreign != foreign {
            info!(count = foreign.len(), "machines of others on this host");
            host.foreign = foreign;
            self.view().post(Update::Host(host));
        }
    }

    /// Takes over specs that a person changed in their files.
    async fn look_for_edited_specs(&self) -> Result<(), Refusal> {
        let (engine, wishes) = (self.clone(), self.shared.performer.hands.wishes.clone());
        // One of a busy VM is left to a later survey, where whoever works on it does not store it again.
        let changed = move || wishes.changed_by_hand(|vm| engine.is_busy(vm));
        for changed in blocking(changed).await? {
            let id = changed.id();
            if self.is_busy(id) {
                // Since it was looked at.
                self.shared.performer.hands.wishes.look_again(id);
                continue;
            }
            let snapshot = self.view().snapshot();
            let Some(known) = snapshot.vms.get(&id) else { continue };
            match changed {
                StoredSpec::Whole(spec) => self.take_over(known, spec).await,
                StoredSpec::Damaged { file, reason, .. } => {
                    let problem = format!("{} is damaged: {reason}", file.display());
                    warn!(vm = %id, problem, "quarantined");
                    let (name, project) = (known.name.clone(), known.project.clone());
                    self.view().post(Update::VmQuarantined { id, name, project, problem });
                }
            }
        }
        Ok(())
    }

    /// Takes a spec over as if its VM had been edited: what an edit would be refused is not taken over.
    async fn take_over(&self, known: &Vm, spec: Box<Spec>) {
        let id = spec.id;
        if let Err(refusal) = self.admit_by_hand(known, &spec).await {
            warn!(vm = %id, %refusal, "its spec was changed by hand, and is not taken over");
            let problem = format!("its file was changed by hand, and is not taken over: {refusal}");
            self.view().post(Update::VmProblem { id, problem: Some(problem) });
            return;
        }
        info!(vm = %id, "its spec was changed by hand");
        self.view().post(Update::VmSpec(Arc::from(spec)));
    }

    async fn admit_by_hand(&self, known: &Vm, spec: &Spec) -> Result<(), Refusal> {
        let (config, in_use) = (spec.config.clone(), known.is_on() || known.memory.is_some());
        config.validate()?;
        let snapshot = self.view().snapshot();
        if snapshot.vm_named(&config.project, &config.name).is_some_and(|vm| vm.id != known.id) {
            let message = format!("there is another VM named {}", config.name);
            return Err(Refusal::new(Code::NameTaken, message).at("name"));
        }
        let Some(before) = known.spec.clone() else { return Ok(()) };
        let hypervisor = self.hypervisor().await?;
        self.admit(hypervisor, move |admission| admission.edit(&before, config, in_use)).await?;
        Ok(())
    }

    /// Looks whether the disks are as large as they are thought to be.
    async fn look_at_disks(&self) {
        for vm in self.view().snapshot().vms.values().filter(|vm| !self.is_busy(vm.id)) {
            self.look_at_disks_of(vm).await;
        }
    }

    /// The same, of the VM of a task that changed them.
    pub(crate) async fn look_at_disks_of_task(&self, task: &LiveTask) {
        let snapshot = self.view().snapshot();
        if let Some(vm) = task.vm.and_then(|vm| snapshot.vms.get(&vm)) {
            self.look_at_disks_of(vm).await;
        }
    }

    async fn look_at_disks_of(&self, vm: &Vm) {
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
