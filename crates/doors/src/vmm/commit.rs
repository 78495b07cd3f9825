//! An image of a VM's disk.

use super::{
    PATIENCE, State,
    answer::{Answer, Body, Failures},
    outcome::outcome,
    wire::{Commit, Committed, Target},
};
use axum::{Extension, Json};
use innkeeper_engine::{AddImage, Caller, ImageFrom, Request};
use innkeeper_model::{
    DeviceName, ImageKind, ImageName, Refusal, Timestamp, VmName, names::MAX_LENGTH,
};

/// Make an image of a stopped VM's disk
///
/// New VMs can begin as it: it is a `rootfs`. Its lineage says which disk it is of, and what that was a copy
/// of.
#[utoipa::path(
    post,
    path = "/vm/commit",
    operation_id = "commit",
    request_body = Commit,
    responses((status = 200, description = "There is the image, or will be", body = Committed), Failures),
)]
pub(super) async fn commit(
    state: State,
    Extension(caller): Extension<Caller>,
    Body(Commit { build_id, owner, name, disk }): Body<Commit>,
) -> Answer<Committed> {
    let vm = state.vm(&Target { build_id, owner })?;
    let name = match name {
        Some(text) => text.parse().map_err(|problem| Refusal::invalid("name", &text, problem))?,
        None => {
            let seen = state.seen();
            let is_taken = |name: &ImageName| seen.whole().images.contains_key(name);
            default_name(&vm.name, Timestamp::now(), is_taken)
        }
    };
    let disk: Option<DeviceName> = disk
        .map(|text| text.parse().map_err(|problem| Refusal::invalid("disk", &text, problem)))
        .transpose()?;
    let image = name.to_string();
    let from = ImageFrom::Disk { vm: vm.id, disk };
    let add = AddImage { name, kind: ImageKind::Disk, from, format: None, initrd: None };
    let request = Request::AddImage(Box::new(add));
    let performed = state.begin(&caller, request, PATIENCE).await?;
    let (message, task_id) =
        outcome(&performed, "VM committed successfully", "VM commit initiated");
    Ok(Json(Committed { success: true, message, image, task_id }))
}

/// The VM's name, as much of it as fits, and the time; with a number where there is such an image already.
fn default_name(vm: &VmName, now: Timestamp, is_taken: impl Fn(&ImageName) -> bool) -> ImageName {
    let time = now.strftime("-%Y%m%d-%H%M%S").to_string();
    let ends = std::iter::once(time.clone()).chain((2..).map(|n| format!("{time}-{n}")));
    let mut names = ends.map(|end| {
        let begun = vm.as_str().get(..MAX_LENGTH - end.len()).unwrap_or(vm.as_str());
        format!("{begun}{end}").parse().expect("a name, digits and dashes are a name")
    });
    names.find(|name| !is_taken(name)).expect("of all numbers one is free")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_nobody_names_has_its_vms_name_and_the_time() {
        let now = "2026-03-01T12:30:05.7Z".parse().unwrap();
        let name = |vm: &str| default_name(&vm.parse().unwrap(), now, |_| false).to_string();
        assert_eq!(name("my-instance"), "my-instance-20260301-123005");
        assert_eq!(name(&"x".repeat(63)), format!("{}-20260301-123005", "x".repeat(47)));
        let taken = |name: &ImageName| !name.as_str().ends_with("-3");
        let third = default_name(&"web".parse().unwrap(), now, taken);
        assert_eq!(third.as_str(), "web-20260301-123005-3");
    }
}
