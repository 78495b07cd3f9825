//! Importing and removing images.

use super::{AfterCrash, Plan};
use crate::{accept::request::AddImage, plan::steps::OwnStep};
use innkeeper_model::ImageName;

/// Imports an image. One that a crash interrupted is not imported again: where it comes from may have
/// been for that moment only.
pub(crate) fn add_image(image: AddImage) -> Plan {
    let mut plan = Plan::new(AfterCrash::Back);
    plan.own(OwnStep::ImportImage(Box::new(image)));
    plan
}

/// Removes an image.
pub(crate) fn remove_image(name: ImageName) -> Plan {
    let mut plan = Plan::new(AfterCrash::Forward);
    plan.no_way_back();
    plan.own(OwnStep::RemoveImage { name });
    plan
}
