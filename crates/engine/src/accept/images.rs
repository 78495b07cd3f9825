//! Images: which name is free, which image nobody needs, and what can be made into one.

use crate::{
    accept::{
        legality::Operation,
        preparing::Prepared,
        request::{AddImage, ImageFrom},
        submit::Subject,
        work::Work,
    },
    engine::Engine,
    perform::{
        hands::blocking,
        importing::{disk_of, import_request},
    },
};
use innkeeper_model::{Code, ImageName, Refusal, Spec, Vm, config::Boot};
use innkeeper_view::Record;
use std::sync::Arc;

impl Engine {
    /// An image to import, or to make of the disk of a VM that legality is then asked of.
    pub(crate) async fn prepare_image(&self, mut image: AddImage) -> Result<Prepared, Refusal> {
        self.image_name_is_free(&image.name)?;
        let mut subject = None;
        if let ImageFrom::Disk { vm, disk } = &mut image.from {
            let record = self.vm(*vm)?;
            *disk = Some(disk_of(&record, disk.as_ref())?.name.clone());
            subject = Some(Subject::of(&record, Operation::Commit));
        }
        let storage = self.shared.performer.hands.storage.clone();
        let import = import_request(&image, &self.view().snapshot())?;
        blocking(move || storage.check_import(&import)).await?;
        Ok(Prepared { subject, ..Prepared::of(Work::AddImage(Box::new(image))) })
    }

    /// Asked twice: an import that finds its name taken must not begin, or its undo would take away what
    /// another one brought in.
    pub(crate) fn image_name_is_free(&self, name: &ImageName) -> Result<(), Refusal> {
        if self.view().snapshot().images.contains_key(name) {
            let message = format!("there is an image named {name}");
            return Err(Refusal::new(Code::NameTaken, message).at("name"));
        }
        Ok(())
    }

    pub(crate) fn image_is_free(&self, name: &ImageName) -> Result<(), Refusal> {
        let snapshot = self.view().snapshot();
        if !snapshot.images.contains_key(name) {
            return Err(Refusal::not_found("image", name));
        }
        let uses = |vm: &&Arc<Record<Vm>>| vm.spec.as_ref().is_some_and(|spec| names(spec, name));
        let users: Vec<&str> =
            snapshot.vms.values().filter(uses).take(5).map(|vm| vm.name.as_str()).collect();
        if users.is_empty() {
            return Ok(());
        }
        let message = format!("image {name} is in use by {}", users.join(", "));
        Err(Refusal::new(Code::InUse, message).with_hint("delete those VMs first"))
    }
}

/// Whether a spec needs an image.
fn names(spec: &Spec, image: &ImageName) -> bool {
    let kernel =
        matches!(&spec.config.boot, Boot::Kernel(kernel) if kernel.image.as_ref() == Some(image));
    kernel || spec.config.disks.iter().any(|disk| disk.image.as_ref() == Some(image))
}
