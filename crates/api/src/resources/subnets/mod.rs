//! `/v1/subnets`: ranges of addresses on networks, made, read and deleted. What they keep is beside.

pub(crate) mod reservations;
mod usage;

use super::networks::{create::split_off, find as find_network, one};
use crate::{
    protocol::{
        answer,
        asked::{self, Asked, Segment},
        idempotency::fingerprint,
        json,
        list::Page,
        mutation::{self, Creation, DoneOrPlanned, Outcome, Subject},
        params::Params,
        problem::Answer,
    },
    router::{ReadProblems, WriteProblems},
    visit::Visit,
};
use axum::body::Body;
use http::HeaderMap;
use innkeeper_engine::{NetworkRequest, Request};
use innkeeper_model::{NetworkId, Refusal, SubnetConfig, SubnetId, task::PlannedOperation};
use innkeeper_view::{Snapshot, SubnetOf};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use usage::{SubnetRecord, Usages};
use utoipa::ToSchema;

/// Subnets, by network, in the order they were made.
#[derive(Serialize, ToSchema)]
pub(crate) struct SubnetList {
    /// The subnets.
    items: Vec<SubnetRecord>,
    /// The view's revision that they are of.
    revision: u64,
    /// What to give as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// List subnets
///
/// By network, in the order they were made, with how many of their addresses are taken.
#[utoipa::path(
    get,
    path = "/v1/subnets",
    tag = "networks",
    operation_id = "listSubnets",
    params(
        ("network" = Option<String>, Query, description = "Only of this network: its id or name"),
        ("limit" = Option<u32>, Query, description = "At most so many"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses((status = 200, description = "Subnets", body = SubnetList), ReadProblems),
)]
pub(crate) async fn list(state: Visit, mut params: Params) -> Answer {
    let network = params.one("network")?;
    let page = Page::<Place>::parse(&mut params)?;
    params.nothing_else()?;
    let seen = state.seen();
    let snapshot = seen.whole();
    let network = network.map(|text| find_network(snapshot, &text)).transpose()?;
    let all = snapshot
        .networks
        .values()
        .filter(|known| network.as_ref().is_none_or(|network| network.id == known.id));
    let all = all.flat_map(|network| {
        (0_u32..).zip(&network.subnets).map(move |(index, subnet)| (network, index, subnet))
    });
    let (page, next) = page.of(all, |(network, index, _)| Place(network.id, *index));
    let usages = Usages::of(&seen);
    let items = page.iter().map(|(network, _, subnet)| usages.show(network, subnet)).collect();
    let list = SubnetList { items, revision: snapshot.revision.0, next };
    Ok(answer::json(snapshot.revision, answer::encode(&list)))
}

/// Where a subnet stands in the list of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place(NetworkId, u32);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.0, self.1)
    }
}

impl std::str::FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (network, index) = text.split_once(' ').ok_or(())?;
        Ok(Self(network.parse().map_err(|_| ())?, index.parse().map_err(|_| ())?))
    }
}

/// Read a subnet
#[utoipa::path(
    get,
    path = "/v1/subnets/{subnet}",
    tag = "networks",
    operation_id = "getSubnet",
    params(("subnet" = String, Path, description = "Its id, range or name, or the beginning of one of them if only one begins so; `/` is written `%2F`")),
    responses((status = 200, description = "The subnet", body = SubnetRecord), ReadProblems),
)]
pub(crate) async fn read(state: Visit, Segment(text): Segment, params: Params) -> Answer {
    params.nothing_else()?;
    let seen = state.seen();
    let subnet = find(seen.whole(), &text)?;
    let shown = Usages::of(&seen).show(&subnet.network, subnet.subnet());
    Ok(answer::json(seen.revision(), answer::encode(&shown)))
}

/// A subnet to make.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewSubnet {
    /// The network that it is on: its id or name.
    network: String,
    #[serde(flatten)]
    config: SubnetConfig,
}

impl NewSubnet {
    pub(crate) fn decode(body: &[u8]) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct On {
            network: String,
        }
        let (config, network) = split_off::<SubnetConfig>(body, "network")?;
        let On { network } = json::decode_value(&network)?;
        config.validate()?;
        Ok(Self { network, config })
    }
}

/// Create a subnet
#[utoipa::path(
    post,
    path = "/v1/subnets",
    tag = "networks",
    operation_id = "createSubnet",
    params(
        ("id" = Option<String>, Query, description = "Its id, where the caller chooses one; a UUID"),
        ("Idempotency-Key" = Option<String>, Header, description = "Do this once, however often it is sent with this key; remembered for a day"),
        ("dry_run" = Option<bool>, Query, description = "Do nothing, and answer what it would come to"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    request_body = NewSubnet,
    responses(
        (status = 200, description = "Planned, with `dry_run`", body = PlannedOperation),
        (status = 201, description = "Created", body = Outcome),
        (status = 202, description = "Accepted", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn create(
    state: Visit,
    mut params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let given: Option<SubnetId> = params.parsed("id")?;
    let dry_run = params.flag("dry_run")?;
    params.nothing_else()?;
    let key = asked::idempotency_key(&headers)?;
    let body = json::read(&headers, body).await?;
    let NewSubnet { network, config } = NewSubnet::decode(&body)?;
    let network =
        find_network(state.seen().whole(), &network).map_err(|refusal| refusal.at("network"))?.id;

    let own_id = given.map(|id| id.to_string()).unwrap_or_default();
    // Chosen here, so that the answer can name it.
    let id = given.unwrap_or_else(SubnetId::new);
    let request = NetworkRequest::CreateSubnet { network, config: Box::new(config), id: Some(id) };
    let request = Request::Network(request);
    if dry_run {
        return mutation::plan(&state, &asked, request).await;
    }
    let creation = Creation {
        fingerprint: fingerprint(&[b"subnet", own_id.as_bytes(), &body]),
        request,
        start: false,
        subject: Subject::NewSubnet(id),
        key,
    };
    mutation::create(&state, asked, creation).await
}

/// Delete a subnet that no guest has an address of
#[utoipa::path(
    delete,
    path = "/v1/subnets/{subnet}",
    tag = "networks",
    operation_id = "deleteSubnet",
    params(
        ("subnet" = String, Path, description = "Its id, range or name, or the beginning of one of them if only one begins so; `/` is written `%2F`"),
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
    let subnet = find(state.seen().whole(), &text)?.subnet().id;
    let request = Request::Network(NetworkRequest::DeleteSubnet { subnet });
    mutation::perform_or_plan(&state, &asked, request, Subject::Network, dry_run).await
}

/// The subnet that this text means.
///
/// # Errors
/// There is none, or more than one; those are in the hint.
fn find(snapshot: &Snapshot, text: &str) -> Result<Arc<SubnetOf>, Refusal> {
    let name = |found: &SubnetOf| {
        let subnet = found.subnet();
        let network = &found.network.config.name;
        format!("{} of {network} ({})", subnet.config.label(), subnet.id)
    };
    one("subnet", text, snapshot.find_subnet(text), name)
}
