//! The list of VMs, and what of it fits a filter.

use super::{
    State,
    answer::{Answer, Any, json},
    body::Body,
    definition, runstate,
    subject::{host_id, seen_at},
    wire::{CustomField, VmList, VmListFields, VmListItem, VmListOptions, items},
};
use http::StatusCode;
use innkeeper_model::{Timestamp, Vm};
use innkeeper_view::Snapshot;

/// List VMs in the order of their ids
#[utoipa::path(
    get,
    path = "/vms",
    operation_id = "vm_list",
    tag = "vms",
    request_body = VmListOptions,
    responses((status = 200, description = "The VMs that fit", body = VmList), Any),
)]
pub(super) async fn list(
    state: State,
    Body(VmListOptions { filter }): Body<VmListOptions>,
) -> Answer {
    let seen = state.visit.seen();
    let now = seen.whole();
    let (host, at) = (host_id(now), Timestamp::now());
    let fitting = seen.vms().filter_map(|vm| item(vm, &host, at, &filter, now));
    Ok(json(StatusCode::OK, &VmList { items: items(fitting.collect()) }))
}

/// What the list shows of a VM; `None` if it does not fit.
fn item(
    vm: &Vm,
    host: &str,
    at: Timestamp,
    filter: &VmListFields,
    now: &Snapshot,
) -> Option<VmListItem> {
    let definition::Listed { name, vlanid, custom } = definition::listed(vm);
    let fields = VmListFields {
        name,
        host: host.to_owned(),
        runstate: runstate::of(vm, now),
        vlanid,
        custom: fitting(custom, &filter.custom)?,
        ts: seen_at(vm, at),
    };
    fits(&fields, filter).then(|| VmListItem { uuid: vm.id.to_string(), fields })
}

/// The first field that a filter asks for; `None` if there is none of them. A part that is not set is any.
fn fitting(custom: Vec<CustomField>, filter: &CustomField) -> Option<CustomField> {
    let is_set = *filter != CustomField::default();
    let is_part = |asked: &str, has: &str| asked.is_empty() || asked == has;
    let fits = |field: &CustomField| {
        is_part(&filter.name, &field.name) && is_part(&filter.value, &field.value)
    };
    match custom.into_iter().find(fits) {
        None if !is_set => Some(CustomField::default()),
        found => found,
    }
}

/// Whether everything that is set fits, but for the custom field.
fn fits(fields: &VmListFields, filter: &VmListFields) -> bool {
    let VmListFields { name, host, runstate, vlanid, custom: _, ts } = filter;
    fields.name.contains(name.as_str())
        && (host.is_empty() || *host == fields.host)
        && (*runstate == Default::default() || *runstate == fields.runstate)
        && (*vlanid <= 0 || *vlanid == fields.vlanid)
        && (*ts <= 0 || fields.ts <= *ts)
}
