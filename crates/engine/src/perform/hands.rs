//! Does the engine's own steps, and takes them back.

use crate::{
    journal::wishes::Wishes,
    networks::{Networks, wiring::name_within},
    perform::{accountant::Accountant, importing::import_request},
    plan::steps::{OwnStep, Share},
    turn::live::LiveTask,
};
use innkeeper_driver::{StepError, StepProgress};
use innkeeper_hooks::{HookEvent, Hooks, Occasion};
use innkeeper_model::{ByteSize, Code, Refusal, Spec, Timestamp, VmId, Want};
use innkeeper_network::LoopbackGuard;
use innkeeper_storage::{OnProgress, Progress, SeedRequest, Storage};
use innkeeper_view::{Update, View};
use std::sync::{Arc, Weak};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How many addresses a task's log names.
const MAX_NAMED: usize = 64;

/// What the engine's steps act on.
#[derive(Debug)]
pub(crate) struct Hands {
    pub(crate) view: View,
    pub(crate) wishes: Wishes,
    pub(crate) storage: Arc<Storage>,
    pub(crate) guard: LoopbackGuard,
    pub(crate) accountant: Arc<Accountant>,
    pub(crate) hooks: Hooks,
    pub(crate) networks: Networks,
}

impl Hands {
    /// Does one step. One that was done before is done again without harm.
    ///
    /// # Errors
    /// What failed, or that it was cancelled; [`Hands::undo`] then takes back what was begun.
    pub(crate) async fn perform(
        &self,
        step: &OwnStep,
        task: &Arc<LiveTask>,
        on_progress: &OnProgress,
        cancelled: &CancellationToken,
    ) -> Result<(), StepError> {
        let storage = &self.storage;
        match step {
            OwnStep::Reserve { vm, project, share } => {
                self.accountant.reserve(*vm, project, *share)?;
            }
            OwnStep::Release { vm } => self.accountant.release(*vm),
            OwnStep::ReserveDisk { vm, project, size, .. } => {
                self.accountant.reserve_disk(*vm, project, *size)?;
            }
            OwnStep::ClaimVolumes { vm } => storage.claim_volumes(*vm).await?,
            OwnStep::FinishVolumes { vm } => storage.finish_volumes(*vm).await?,
            OwnStep::CreateVolume { vm, disk } => {
                storage.create_volume(*vm, disk).await?;
            }
            OwnStep::RemoveVolume { vm, disk } => storage.remove_volume(*vm, disk).await?,
            OwnStep::RemoveVolumes { vm } => storage.remove_volumes(*vm).await?,
            OwnStep::CloneVolumes { from, to } => {
                // What is large and rare is kept apart, or every task would have room for it.
                Box::pin(storage.clone_volumes(*from, *to, on_progress, cancelled)).await?;
            }
            OwnStep::BringVolumes { vm, from } => {
                Box::pin(storage.bring_volumes(*vm, from, on_progress, cancelled)).await?;
            }
            OwnStep::CreateNvram { vm, template } => {
                storage.create_nvram(*vm, template).await?;
            }
            OwnStep::WriteSeed { vm, hostname, documents, inherit } => {
                let inherit = *inherit;
                let request = SeedRequest { vm: *vm, hostname, documents, inherit };
                Box::pin(storage.write_seed(request)).await?;
            }
            OwnStep::RemoveSeed { vm } => storage.remove_seed(*vm).await?,
            OwnStep::CreateMemory { vm } => {
                storage.create_memory(*vm).await?;
            }
            OwnStep::SealMemory { vm, incarnation } => {
                let sealing = storage.seal_memory(*vm, incarnation, cancelled);
                let image = Box::pin(sealing).await?;
                let memory = Some(Arc::new(image));
                self.tell(Update::VmMemory { id: *vm, memory }).await?;
            }
            OwnStep::CheckMemory { vm } => {
                storage.check_memory(*vm).await?;
            }
            OwnStep::VerifyMemory { vm, image } => {
                Box::pin(storage.verify_memory(*vm, image, on_progress, cancelled)).await?;
            }
            OwnStep::SpendMemory { vm, .. } => storage.spend_memory(*vm).await?,
            OwnStep::RemoveMemory { vm } => self.remove_memory(*vm).await?,
            OwnStep::CheckDisks { vm } => unless(cancelled, self.check_disks(*vm)).await?,
            OwnStep::CreateDump { vm } => {
                storage.create_dump(*vm).await?;
            }
            OwnStep::NoteDump { vm } => {
                let dumped = Some(Timestamp::now());
                self.tell(Update::VmDumped { id: *vm, dumped }).await?;
            }
            OwnStep::SaveSpec { spec, .. } => self.save(spec.clone()).await?,
            OwnStep::RemoveSpec { vm, damaged } => {
                self.wishes.remove(*vm, *damaged).await?;
                self.accountant.forget(*vm);
                self.tell(Update::VmRemoved(*vm)).await?;
            }
            OwnStep::SetWant { vm, want, .. } => self.set_want(*vm, *want).await?,
            OwnStep::NoteWant { vm, want, .. } => self.note_want(*vm, *want, task).await?,
            OwnStep::GuardLoopback => unless(cancelled, self.guard_loopback()).await?,
            OwnStep::ReserveAddresses { vm, claims } => {
                let denied = self.networks.claims.take_chosen(*vm, claims);
                denied.map_err(|denied| {
                    let project = task.snapshot().project;
                    denied.refusal(name_within(&self.view.snapshot(), project.as_ref()))
                })?;
            }
            OwnStep::WireNics { networks, .. } => {
                // A machine that was just put away is not wired any more.
                let told = self.view.barrier(Vec::new()).await;
                told.map_err(|_| Refusal::new(Code::ShuttingDown, "the daemon is stopping"))?;
                unless(cancelled, Box::pin(self.wire(networks))).await?;
            }
            OwnStep::SaveNetwork { network, .. } => Box::pin(self.save_network(network)).await?,
            OwnStep::KeepAddresses { network, subnet, reservations } => {
                Box::pin(self.keep_addresses(*network, *subnet, reservations, true)).await?;
                task.log(kept_addresses(reservations));
            }
            OwnStep::GiveBackAddresses { network, subnet, reservations } => {
                Box::pin(self.keep_addresses(*network, *subnet, reservations, false)).await?;
            }
            OwnStep::WireNetwork { network } => {
                unless(cancelled, Box::pin(self.wire(&[*network]))).await?;
            }
            OwnStep::RemoveNetwork { network } => self.remove_network(*network).await?,
            OwnStep::ReleaseNetwork { network } => {
                Box::pin(self.release_network(network)).await?;
            }
            OwnStep::Hook { vm, event, reason } => {
                Box::pin(self.run_hooks(*vm, *event, reason, task, cancelled)).await?;
            }
            OwnStep::ImportImage(image) => {
                let request = import_request(image, &self.view.snapshot())?;
                let importing = storage.import(request, on_progress, cancelled);
                let image = Box::pin(importing).await?;
                self.tell(Update::Image(image)).await?;
            }
            OwnStep::RemoveImage { name } => {
                match storage.remove_image(name).await {
                    // Removed before, by a daemon that ended before it could note so.
                    Err(refusal) if refusal.code == Code::NotFound => {}
                    removed => removed?,
                }
                self.tell(Update::ImageRemoved(name.clone())).await?;
            }
            // The driver is not among the engine's hands; `perform` passes this one on.
            OwnStep::Forget { .. } => {}
        }
        Ok(())
    }

    /// Takes back one step, done or half done.
    ///
    /// # Errors
    /// What could not be taken back.
    pub(crate) async fn undo(&self, step: &OwnStep) -> Result<(), StepError> {
        let storage = &self.storage;
        match step {
            OwnStep::Reserve { vm, .. } => self.release_unless_used(*vm).await?,
            OwnStep::ReserveDisk { vm, project, before, .. } => match before {
                // What is stored is what it was before, by now; its project may have been another.
                Some(before) => {
                    let snapshot = self.view.snapshot();
                    let project = snapshot.vms.get(vm).map_or(project, |vm| &vm.project);
                    self.accountant.put_disk(*vm, project, *before);
                }
                None => self.accountant.forget(*vm),
            },
            OwnStep::CreateVolume { vm, disk } => storage.remove_volume(*vm, &disk.name).await?,
            OwnStep::CloneVolumes { to: vm, .. } | OwnStep::ClaimVolumes { vm } => {
                storage.abandon_volumes(*vm).await?;
            }
            OwnStep::BringVolumes { vm, from } => {
                storage.abandon_volumes(*vm).await?;
                storage.discard_arrived(from).await?;
            }
            OwnStep::CreateMemory { vm } | OwnStep::SealMemory { vm, .. } => {
                self.remove_memory(*vm).await?;
            }
            OwnStep::SpendMemory { vm, image } => {
                storage.return_memory(*vm).await?;
                let memory = Some(image.clone());
                self.tell(Update::VmMemory { id: *vm, memory }).await?;
            }
            OwnStep::CreateDump { vm } => storage.remove_dump(*vm).await?,
            OwnStep::SaveSpec { spec, before: None } => {
                self.wishes.remove(spec.id, false).await?;
                self.tell(Update::VmRemoved(spec.id)).await?;
            }
            OwnStep::SaveSpec { before: Some(before), .. } => self.save(before.clone()).await?,
            OwnStep::SetWant { vm, before, .. } | OwnStep::NoteWant { vm, before, .. } => {
                self.set_want(*vm, *before).await?;
            }
            OwnStep::ImportImage(image) => {
                // One that failed has left nothing; one that a daemon died in may just have been done.
                if storage.image(&image.name).is_ok() {
                    storage.remove_image(&image.name).await?;
                    self.tell(Update::ImageRemoved(image.name.clone())).await?;
                }
            }
            OwnStep::ReserveAddresses { vm, .. } => self.settle_claims(*vm),
            OwnStep::WireNics { .. } => {
                // What the machine's record says again is let through again: a guest that sees its cable come in asks
                // for its addresses then.
                let told = self.view.barrier(Vec::new()).await;
                told.map_err(|_| Refusal::new(Code::ShuttingDown, "the daemon is stopping"))?;
                self.networks.rewire.notify_one();
            }
            OwnStep::SaveNetwork { network, before: None } => {
                self.remove_network(network.id).await?;
                Box::pin(self.release_network(network)).await?;
            }
            OwnStep::KeepAddresses { network, subnet, reservations } => {
                Box::pin(self.keep_addresses(*network, *subnet, reservations, false)).await?;
            }
            OwnStep::GiveBackAddresses { network, subnet, reservations } => {
                Box::pin(self.keep_addresses(*network, *subnet, reservations, true)).await?;
            }
            OwnStep::SaveNetwork { before: Some(before), .. } => {
                Box::pin(self.save_network(before)).await?;
                self.networks.rewire.notify_one();
            }
            // What was given back can be taken by others by now.
            OwnStep::Release { .. }
            // A VM that is there keeps these until it is deleted; of a new one all volumes go.
            | OwnStep::WriteSeed { .. }
            | OwnStep::FinishVolumes { .. }
            | OwnStep::CreateNvram { .. }
            // What was removed is gone; plans remove last.
            | OwnStep::RemoveVolume { .. }
            | OwnStep::RemoveVolumes { .. }
            | OwnStep::RemoveSeed { .. }
            | OwnStep::RemoveMemory { .. }
            | OwnStep::RemoveSpec { .. }
            | OwnStep::RemoveImage { .. }
            | OwnStep::RemoveNetwork { .. }
            | OwnStep::ReleaseNetwork { .. }
            | OwnStep::Forget { .. }
            // What the operator's executables did is theirs.
            | OwnStep::Hook { .. }
            | OwnStep::CheckMemory { .. }
            | OwnStep::CheckDisks { .. }
            | OwnStep::NoteDump { .. }
            | OwnStep::VerifyMemory { .. }
            // What is stored says what the host is to be like, and is taken back by its own step.
            | OwnStep::WireNetwork { .. }
            // The rule is every VM's.
            | OwnStep::GuardLoopback => {}
        }
        Ok(())
    }

    /// Gives back what was taken for a machine, unless there is one: one that was to be ended first, and
    /// has not been. That one keeps what it takes itself, which may be other than the next would have.
    pub(crate) async fn release_unless_used(&self, vm: VmId) -> Result<(), StepError> {
        let told = self.view.barrier(Vec::new()).await;
        told.map_err(|_| Refusal::new(Code::ShuttingDown, "the daemon is stopping"))?;
        let snapshot = self.view.snapshot();
        let known = snapshot.vms.get(&vm);
        match known.and_then(|vm| Some((vm, vm.incarnation.as_ref()?))) {
            Some((known, machine)) => {
                self.accountant.found(vm, &known.project, Share::of(machine));
            }
            None if known.is_some_and(|vm| vm.is_on()) => {}
            None => self.accountant.release(vm),
        }
        Ok(())
    }

    async fn save(&self, spec: Arc<Spec>) -> Result<(), StepError> {
        self.wishes.save(spec.clone()).await?;
        self.tell(Update::VmSpec(spec)).await
    }

    async fn remove_memory(&self, vm: VmId) -> Result<(), StepError> {
        self.storage.remove_memory(vm).await?;
        self.tell(Update::VmMemory { id: vm, memory: None }).await
    }

    async fn set_want(&self, vm: VmId, want: Want) -> Result<(), StepError> {
        match self.wanting(vm, want) {
            Some(spec) => self.save(spec).await,
            None => Ok(()),
        }
    }

    /// The same where the deed counts: what cannot be stored is told, and stored when it can be.
    async fn note_want(&self, vm: VmId, want: Want, task: &Arc<LiveTask>) -> Result<(), StepError> {
        let Some(spec) = self.wanting(vm, want) else { return Ok(()) };
        if let Err(error) = self.wishes.save(spec.clone()).await {
            warn!(%vm, %error, ?want, "what is wanted is not recorded");
            let want = format!("{want:?}").to_lowercase();
            task.warn_once(format!("recorded: false; that it is wanted {want}: {error}"));
            self.wishes.keep(spec.clone());
        }
        self.tell(Update::VmSpec(spec)).await
    }

    /// A VM's spec with something else wanted; nothing, where that is wanted already. Safe to store
    /// because a VM's queue lets one task at a time change its spec.
    fn wanting(&self, vm: VmId, want: Want) -> Option<Arc<Spec>> {
        let snapshot = self.view.snapshot();
        let spec = snapshot.vms.get(&vm).and_then(|vm| vm.spec.clone());
        let mut spec = spec.filter(|spec| spec.want != want)?;
        let changed = Arc::make_mut(&mut spec);
        changed.want = want;
        changed.updated = Timestamp::now();
        Some(spec)
    }

    async fn run_hooks(
        &self,
        vm: VmId,
        event: HookEvent,
        reason: &str,
        task: &Arc<LiveTask>,
        cancelled: &CancellationToken,
    ) -> Result<(), StepError> {
        let snapshot = self.view.snapshot();
        let Some(vm) = snapshot.vms.get(&vm) else { return Ok(()) };
        let occasion = Occasion { operation: task.kind(), reason, task: task.id };
        let input = innkeeper_hooks::input(event, vm.value(), occasion);
        let log = |line: String| task.log(line);
        Ok(self.hooks.run(event, &input, cancelled, log).await?)
    }

    /// Sets the rule that keeps guests from this host, and tells whether it stands.
    pub(crate) async fn guard_loopback(&self) -> Result<(), Refusal> {
        let outcome = self.guard.ensure().await;
        self.view.post(Update::Safeguard(self.guard.safeguard()));
        outcome
    }

    /// Tells the view, and waits until readers can see it.
    async fn tell(&self, update: Update) -> Result<(), StepError> {
        let told = self.view.barrier(vec![update]).await;
        told.map_err(|_| Refusal::new(Code::ShuttingDown, "the daemon is stopping"))?;
        Ok(())
    }
}

/// What was chosen where the request left it open, for who asked.
fn kept_addresses(reservations: &[innkeeper_model::network::Reservation]) -> String {
    let named = reservations.iter().take(MAX_NAMED).map(|kept| kept.address.to_string());
    let named = named.collect::<Vec<_>>().join(", ");
    match reservations.len().saturating_sub(MAX_NAMED) {
        0 => format!("kept {named}"),
        more => format!("kept {named} and {more} more"),
    }
}

/// Waits for something that may be dropped at any of its waits, until it is cancelled.
async fn unless(
    cancelled: &CancellationToken,
    work: impl Future<Output = Result<(), Refusal>>,
) -> Result<(), StepError> {
    tokio::select! {
        biased;
        () = cancelled.cancelled() => Err(StepError::Cancelled),
        outcome = work => Ok(outcome?),
    }
}

/// Runs something that waits for the disk on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.map_err(|error| Refusal::new(Code::Internal, error.to_string()))?
}

/// Notes progress in the task, whenever another percent is done.
pub(crate) fn progress_of(task: &Arc<LiveTask>) -> OnProgress {
    let task: Weak<LiveTask> = Arc::downgrade(task);
    Arc::new(move |progress: Progress| {
        let Some(task) = task.upgrade() else { return };
        let Some(total) = progress.total.filter(|total| total.0 > 0) else { return };
        task.percent(percent(progress.done, total));
    })
}

/// The same of what a driver's step tells.
pub(crate) fn step_progress_of(task: &Arc<LiveTask>) -> StepProgress {
    let task: Weak<LiveTask> = Arc::downgrade(task);
    StepProgress::to(move |done, whole| {
        if let Some(task) = task.upgrade().filter(|_| whole.0 > 0) {
            task.percent(percent(done, whole));
        }
    })
}

fn percent(done: ByteSize, whole: ByteSize) -> u8 {
    let percent = u128::from(done.0) * 100 / u128::from(whole.0.max(1));
    u8::try_from(percent.min(100)).unwrap_or(100)
}
