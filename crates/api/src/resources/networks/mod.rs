//! `/v1/networks`: the networks, read and deleted. Making and changing them is beside.

pub(crate) mod create;
pub(crate) mod edit;

use crate::{
    protocol::{
        answer,
        asked::{Asked, Segment},
        conditional::IfNoneMatch,
        fields::Fields,
        list::{self, Page, Rows},
        matching::{Labels, Name},
        mutation::{self, DoneOrPlanned, Outcome, Subject},
        params::Params,
        problem::Answer,
    },
    router::{ReadProblems, WriteProblems},
    visit::Visit,
};
use innkeeper_engine::{NetworkRequest, Request};
use innkeeper_model::{Code, Network, Refusal, ShownNetwork};
use innkeeper_view::{Lookup, Record, Snapshot};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// The fields that a network can have, for `fields=`.
const FIELDS: &[&str] =
    &["id", "revision", "created", "updated", "config", "bridge", "subnets", "facts"];

/// Networks, oldest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct NetworkList {
    /// The networks.
    items: Vec<ShownNetwork>,
    /// The view's revision that they are of.
    revision: u64,
    /// What to give as `after` for the next page; absent on the last.
    next: Option<String>,
}

/// List networks
///
/// Oldest first, all of one revision. What a subnet keeps is counted; `/v1/subnets/{id}/reservations`
/// lists it.
#[utoipa::path(
    get,
    path = "/v1/networks",
    tag = "networks",
    operation_id = "listNetworks",
    params(
        ("name" = Option<String>, Query, description = "Only of this name; a `*` at its end stands for anything"),
        ("label.KEY" = Option<String>, Query, description = "Only with this value of the label KEY; may be given for several keys"),
        ("fields" = Option<String>, Query, description = "Only these fields of each, as paths with commas between: `id,config.name`"),
        ("limit" = Option<u32>, Query, description = "At most so many"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses((status = 200, description = "Networks", body = NetworkList), ReadProblems),
)]
pub(crate) async fn list(state: Visit, mut params: Params) -> Answer {
    let (name, labels) = (Name::parse(&mut params)?, Labels::parse(&mut params));
    let fields = params.list("fields");
    let fields = fields.map(|fields| Fields::parse(&fields, FIELDS)).transpose()?;
    let page = Page::parse(&mut params)?;
    params.nothing_else()?;

    let seen = state.seen();
    let rows = Rows::new(&seen.whole().networks, page, seen.sight()).showing(fields);
    let rows = rows.only(move |network: &Network| {
        let config = &network.config;
        name.as_ref().is_none_or(|name| name.matches(config.name.as_str()))
            && labels.matches(&config.labels)
    });
    Ok(list::answer(seen.revision(), rows))
}

/// Read a network
///
/// Its entity tag is the revision of its record: it does not change with its facts.
#[utoipa::path(
    get,
    path = "/v1/networks/{network}",
    tag = "networks",
    operation_id = "getNetwork",
    params(
        ("network" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("If-None-Match" = Option<String>, Header, description = "The entity tag of the record that the caller has"),
    ),
    responses(
        (status = 200, description = "The network", body = ShownNetwork, headers(("ETag" = String, description = "The record's revision"))),
        (status = 304, description = "The caller has the record already"),
        ReadProblems,
    ),
)]
pub(crate) async fn read(
    state: Visit,
    Segment(text): Segment,
    params: Params,
    if_none_match: IfNoneMatch,
) -> Answer {
    params.nothing_else()?;
    let seen = state.seen();
    let network = find(seen.whole(), &text)?;
    let document = || answer::seen(&network, seen.sight());
    Ok(if_none_match.answer(network.revision, seen.revision(), document))
}

/// Delete a network that no VM is on, and its subnets
///
/// A bridge that was joined stays as it is; one that Innkeeper made goes.
#[utoipa::path(
    delete,
    path = "/v1/networks/{network}",
    tag = "networks",
    operation_id = "deleteNetwork",
    params(
        ("network" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("dry_run" = Option<bool>, Query, description = "Do nothing, and answer what it would come to"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    responses(
        (status = 200, description = "Deleted; or planned, with `dry_run`", body = DoneOrPlanned),
        (status = 202, description = "Accepted", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn delete(
    state: Visit,
    Segment(text): Segment,
    mut params: Params,
    asked: Asked,
) -> Answer {
    let dry_run = params.flag("dry_run")?;
    params.nothing_else()?;
    let network = find(state.seen().whole(), &text)?.id;
    let request = Request::Network(NetworkRequest::Delete { network });
    mutation::perform_or_plan(&state, &asked, request, Subject::Network, dry_run).await
}

/// The network that this text means.
///
/// # Errors
/// There is none, or more than one; those are in the hint.
pub(crate) fn find(snapshot: &Snapshot, text: &str) -> Result<Arc<Record<Network>>, Refusal> {
    let name = |network: &Record<Network>| format!("{} ({})", network.config.name, network.id);
    one("network", text, snapshot.find_network(text), name)
}

/// The one thing of this kind that a text means.
pub(crate) fn one<T>(
    kind: &str,
    text: &str,
    found: Lookup<T>,
    name: impl Fn(&T) -> String,
) -> Result<Arc<T>, Refusal> {
    match found {
        Lookup::Found(thing) => Ok(thing),
        Lookup::None => Err(Refusal::not_found(kind, text)),
        Lookup::Ambiguous(candidates) => {
            let names: Vec<_> = candidates.iter().map(|candidate| name(candidate)).collect();
            let message = format!("{text:?} means more than one {kind}");
            let mut refusal = Refusal::new(Code::AmbiguousName, message)
                .with_hint(format!("use an id: {}", names.join(", ")));
            refusal.value = Some(text.to_owned());
            Err(refusal)
        }
    }
}
