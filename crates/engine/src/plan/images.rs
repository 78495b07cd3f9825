//! Importing and removing images.

use crate::{
    request::AddImage,
    steps::{OwnStep, PlanStep},
};
use innkeeper_model::ImageName;

/// Imports an image.
pub(crate) fn add_image(image: AddImage) -> Vec<PlanStep> {
    vec![PlanStep::Own(OwnStep::ImportImage(Box::new(image)))]
}

/// Removes an image.
pub(crate) fn remove_image(name: ImageName) -> Vec<PlanStep> {
    vec![PlanStep::Own(OwnStep::RemoveImage { name })]
}
