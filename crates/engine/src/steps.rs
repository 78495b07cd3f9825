//! The engine's own steps: what every hypervisor shares.

use crate::request::{AddImage, ImageFrom};
use innkeeper_driver::{Step, StepError};
use innkeeper_model::{
    Code, DeviceName, ImageName, Refusal, Spec, Timestamp, VmId, VmName, Want,
    config::{CloudInit, Disk},
};
use innkeeper_network::LoopbackGuard;
use innkeeper_storage::{ImportRequest, ImportSource, OnProgress, SeedRequest, Storage};
use innkeeper_store::SpecStore;
use innkeeper_view::{Update, View};
use std::{path::PathBuf, sync::Arc};
use tokio_util::sync::CancellationToken;

/// One step of a plan: the engine's own, or the driver's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PlanStep {
    Own(OwnStep),
    Driver(Step),
}

impl PlanStep {
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Own(step) => step.name().into(),
            Self::Driver(step) => step.name.clone(),
        }
    }
}

/// A step that the engine does itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum OwnStep {
    /// Begin a new VM's volumes: until they are finished they are known to be half made, whatever
    /// happens to the daemon.
    ClaimVolumes { vm: VmId },
    /// The VM is stored: what was made for it is whole.
    FinishVolumes { vm: VmId },
    /// Make the volume of a disk.
    CreateVolume { vm: VmId, disk: Box<Disk> },
    /// Remove one that its VM no longer has.
    RemoveVolume { vm: VmId, disk: DeviceName },
    /// Remove all volumes of a VM.
    RemoveVolumes { vm: VmId },
    /// Copy all volumes of a VM for another.
    CloneVolumes { from: VmId, to: VmId },
    /// Give a VM its UEFI variables.
    CreateNvram { vm: VmId, template: PathBuf },
    /// Write the cloud-init seed.
    WriteSeed { vm: VmId, hostname: VmName, documents: Box<CloudInit>, inherit: Option<VmId> },
    /// Remove it.
    RemoveSeed { vm: VmId },
    /// Store a new or changed spec.
    SaveSpec { spec: Arc<Spec>, before: Option<Arc<Spec>> },
    /// Remove a spec; a damaged one only where it is given up by name.
    RemoveSpec { vm: VmId, damaged: bool },
    /// Store what a VM should be doing.
    SetWant { vm: VmId, want: Want, before: Want },
    /// The same where the deed counts and not the note of it: what cannot be written is told.
    NoteWant { vm: VmId, want: Want, before: Want },
    /// Keep guests from this host's services.
    GuardLoopback,
    /// Have the driver forget what it keeps of a VM.
    Forget { vm: VmId },
    /// Import an image.
    ImportImage(Box<AddImage>),
    /// Remove one.
    RemoveImage { name: ImageName },
}

impl OwnStep {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::ClaimVolumes { .. } => "claim-volumes",
            Self::FinishVolumes { .. } => "finish-volumes",
            Self::CreateVolume { .. } => "create-volume",
            Self::RemoveVolume { .. } => "remove-volume",
            Self::RemoveVolumes { .. } => "remove-volumes",
            Self::CloneVolumes { .. } => "clone-volumes",
            Self::CreateNvram { .. } => "create-nvram",
            Self::WriteSeed { .. } => "write-seed",
            Self::RemoveSeed { .. } => "remove-seed",
            Self::SaveSpec { .. } => "save-spec",
            Self::RemoveSpec { .. } => "remove-spec",
            Self::SetWant { .. } => "set-want",
            Self::NoteWant { .. } => "note-want",
            Self::GuardLoopback => "guard-loopback",
            Self::Forget { .. } => "forget",
            Self::ImportImage(_) => "import-image",
            Self::RemoveImage { .. } => "remove-image",
        }
    }
}

/// What the engine's steps act on.
#[derive(Debug)]
pub(crate) struct Hands {
    pub(crate) view: View,
    pub(crate) specs: Arc<SpecStore>,
    pub(crate) storage: Arc<Storage>,
    pub(crate) guard: LoopbackGuard,
}

impl Hands {
    /// Does one step.
    ///
    /// # Errors
    /// What failed, or that it was cancelled; [`Hands::undo`] then takes back what was begun.
    pub(crate) async fn perform(
        &self,
        step: &OwnStep,
        on_progress: &OnProgress,
        cancelled: &CancellationToken,
    ) -> Result<(), StepError> {
        let storage = &self.storage;
        match step {
            OwnStep::CreateVolume { vm, disk } => {
                storage.create_volume(*vm, disk).await?;
            }
            OwnStep::RemoveVolume { vm, disk } => storage.remove_volume(*vm, disk).await?,
            OwnStep::RemoveVolumes { vm } => storage.remove_volumes(*vm).await?,
            OwnStep::CloneVolumes { from, to } => {
                storage.clone_volumes(*from, *to, on_progress, cancelled).await?;
            }
            OwnStep::CreateNvram { vm, template } => {
                storage.create_nvram(*vm, template).await?;
            }
            OwnStep::WriteSeed { vm, hostname, documents, inherit } => {
                let inherit = *inherit;
                storage.write_seed(SeedRequest { vm: *vm, hostname, documents, inherit }).await?;
            }
            OwnStep::RemoveSeed { vm } => storage.remove_seed(*vm).await?,
            OwnStep::SaveSpec { spec, .. } => self.save(spec.clone()).await?,
            OwnStep::RemoveSpec { vm, damaged: false } => self.remove(*vm).await?,
            OwnStep::RemoveSpec { vm, damaged: true } => self.discard(*vm).await?,
            OwnStep::SetWant { vm, want, .. } | OwnStep::NoteWant { vm, want, .. } => {
                self.set_want(*vm, *want).await?;
            }
            OwnStep::GuardLoopback => self.guard_loopback().await?,
            OwnStep::ImportImage(image) => {
                let image = storage.import(import(image)?, on_progress, cancelled).await?;
                self.tell(Update::Image(image)).await?;
            }
            OwnStep::RemoveImage { name } => {
                storage.remove_image(name).await?;
                self.tell(Update::ImageRemoved(name.clone())).await?;
            }
            OwnStep::ClaimVolumes { vm } => storage.claim_volumes(*vm).await?,
            OwnStep::FinishVolumes { vm } => storage.finish_volumes(*vm).await?,
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
            OwnStep::CreateVolume { vm, disk } => storage.remove_volume(*vm, &disk.name).await?,
            OwnStep::CloneVolumes { to: vm, .. } | OwnStep::ClaimVolumes { vm } => {
                storage.abandon_volumes(*vm).await?;
            }
            OwnStep::SaveSpec { spec, before: None } => self.remove(spec.id).await?,
            OwnStep::SaveSpec { before: Some(before), .. } => self.save(before.clone()).await?,
            OwnStep::SetWant { vm, before, .. } | OwnStep::NoteWant { vm, before, .. } => {
                self.set_want(*vm, *before).await?;
            }
            // A VM that is there keeps these until it is deleted; of a new one all volumes go.
            OwnStep::WriteSeed { .. }
            | OwnStep::FinishVolumes { .. }
            | OwnStep::CreateNvram { .. }
            // An import that failed has left nothing; one that did not is the plan's last step.
            | OwnStep::ImportImage(_)
            // What was removed is gone; plans remove last.
            | OwnStep::RemoveVolume { .. }
            | OwnStep::RemoveVolumes { .. }
            | OwnStep::RemoveSeed { .. }
            | OwnStep::RemoveSpec { .. }
            | OwnStep::RemoveImage { .. }
            | OwnStep::Forget { .. }
            // The rule is every VM's.
            | OwnStep::GuardLoopback => {}
        }
        Ok(())
    }

    async fn save(&self, spec: Arc<Spec>) -> Result<(), StepError> {
        let (specs, stored) = (self.specs.clone(), spec.clone());
        blocking(move || Ok(specs.save(&stored)?)).await?;
        self.tell(Update::VmSpec(spec)).await
    }

    async fn remove(&self, vm: VmId) -> Result<(), StepError> {
        let specs = self.specs.clone();
        blocking(move || Ok(specs.remove(vm)?)).await?;
        self.tell(Update::VmRemoved(vm)).await
    }

    async fn discard(&self, vm: VmId) -> Result<(), StepError> {
        let specs = self.specs.clone();
        blocking(move || Ok(specs.discard_damaged(vm)?)).await?;
        self.tell(Update::VmRemoved(vm)).await
    }

    /// Safe because a VM's queue lets one task at a time change its spec.
    async fn set_want(&self, vm: VmId, want: Want) -> Result<(), StepError> {
        let snapshot = self.view.snapshot();
        let spec = snapshot.vms.get(&vm).and_then(|vm| vm.spec.clone());
        let Some(mut spec) = spec.filter(|spec| spec.want != want) else { return Ok(()) };
        let changed = Arc::make_mut(&mut spec);
        changed.want = want;
        changed.updated = Timestamp::now();
        self.save(spec).await
    }

    /// Sets the rule that keeps guests from this host, and tells whether it stands.
    pub(crate) async fn guard_loopback(&self) -> Result<(), Refusal> {
        let outcome = self.guard.ensure().await;
        let mut host = self.view.snapshot().host.value().as_ref().clone();
        let stands = self.guard.safeguard();
        host.confinement.retain(|safeguard| safeguard.name != stands.name);
        host.confinement.push(stands);
        self.view.post(Update::Host(host));
        outcome
    }

    /// Tells the view, and waits until readers can see it.
    async fn tell(&self, update: Update) -> Result<(), StepError> {
        let told = self.view.barrier(vec![update]).await;
        told.map_err(|_| Refusal::new(Code::ShuttingDown, "the daemon is stopping"))?;
        Ok(())
    }
}

fn import(image: &AddImage) -> Result<ImportRequest, Refusal> {
    let source = match &image.from {
        ImageFrom::File(path) => ImportSource::File(path.clone()),
        ImageFrom::Url { url, checksum } => {
            let checksum = checksum.as_deref().ok_or_else(|| {
                let problem = "needs the checksum of what is expected there";
                Refusal::invalid("checksum", url, problem).with_hint("add --checksum sha256:…")
            })?;
            let digest = checksum.strip_prefix("sha256:").unwrap_or(checksum);
            ImportSource::Url { url: url.clone(), checksum: format!("sha256:{digest}") }
        }
    };
    Ok(ImportRequest {
        name: image.name.clone(),
        kind: image.kind,
        source,
        format: image.format,
        initrd: image.initrd.clone(),
    })
}

/// Runs something that waits for the disk on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.map_err(|error| Refusal::new(Code::Internal, error.to_string()))?
}
