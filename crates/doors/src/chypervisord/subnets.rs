//! `/hypervisors/{id}/subnets`: through which interface a host reaches which subnet.

use super::{
    Named, Registered,
    body::{Sent, Written, first_value, line},
    change::texts_of,
    failure::{EitherDocument, Failure, LongDocument, ShortDocument},
    parameter,
};
use axum::extract::{FromRequestParts, State};
use http::{StatusCode, request::Parts};
use innkeeper_model::SubnetId;
use innkeeper_store::registry::{Key, Subnets};

/// Read which subnets a host reaches
#[utoipa::path(
    get,
    path = "/hypervisors/{hypervisorID}/subnets",
    tag = "subnets",
    operation_id = "getSubnets",
    params(("hypervisorID" = String, Path, description = "The host's id, in any spelling of a UUID")),
    responses(
        (status = 200, description = "Interfaces, by the ids of subnets", body = BTreeMap<String, String>),
        (status = 400, description = "This is no id", body = ShortDocument),
        (status = 404, description = "There is no such host", body = LongDocument),
        (status = 500, description = "A record is damaged, or the registry fails", body = LongDocument),
    ),
)]
pub(super) async fn read(named: Named) -> Result<Written, Failure> {
    named.now.check(Key::Subnets(named.id))?;
    Ok(match named.now.subnets(named.id) {
        Some(subnets) => Written::ok(line::<Subnets>(subnets)),
        None => Written::ok(line(&Subnets::new())),
    })
}

/// Say through which interfaces a host reaches subnets
///
/// What is not named stays; what is empty is an interface without a name. All is done, or nothing.
#[utoipa::path(
    patch,
    path = "/hypervisors/{hypervisorID}/subnets",
    tag = "subnets",
    operation_id = "changeSubnets",
    params(("hypervisorID" = String, Path, description = "The host's id, in any spelling of a UUID")),
    request_body = BTreeMap<String, Option<String>>,
    responses(
        (status = 200, description = "All interfaces, by the ids of subnets", body = BTreeMap<String, String>),
        (status = 400, description = "The body cannot be read, or this is no id", body = EitherDocument),
        (status = 404, description = "There is no such host, or no such subnet", body = LongDocument),
        (status = 409, description = "Others change it all the time", body = LongDocument),
        (status = 413, description = "It is too large", body = LongDocument),
        (status = 500, description = "A record is damaged, or the registry fails", body = LongDocument),
        (status = 507, description = "The disk is full", body = LongDocument),
    ),
)]
pub(super) async fn change(
    State(state): State<Registered>,
    named: Named,
    sent: Sent,
) -> Result<Written, Failure> {
    let attached = first_value(sent).and_then(|body| texts_of(&body));
    let attached = attached.map_err(Failure::lengthened)?;
    let view = state.context.view().snapshot();
    let known = |(text, interface): (String, String)| {
        let id = text.parse::<SubnetId>().ok().filter(|id| view.subnet(*id).is_some());
        id.map(|id| (id, interface)).ok_or_else(|| no_subnet(&text))
    };
    let attached: Subnets = attached.into_iter().map(known).collect::<Result<_, _>>()?;
    let edited = state.hosts.edit_subnets(named.id, |subnets| {
        subnets.extend(attached.clone());
        Ok::<(), Failure>(())
    });
    Ok(Written::ok(line(&edited.await?)))
}

/// Have a host not reach a subnet any more
#[utoipa::path(
    delete,
    path = "/hypervisors/{hypervisorID}/subnets/{subnetID}",
    tag = "subnets",
    operation_id = "removeSubnet",
    params(
        ("hypervisorID" = String, Path, description = "The host's id, in any spelling of a UUID"),
        ("subnetID" = String, Path, description = "The subnet's id, in any spelling of a UUID"),
    ),
    responses(
        (status = 200, description = "The interfaces that are left, by the ids of subnets", body = BTreeMap<String, String>),
        (status = 400, description = "This is no id of a host", body = ShortDocument),
        (status = 404, description = "There is no such host, or no such subnet", body = LongDocument),
        (status = 409, description = "Others change it all the time", body = LongDocument),
        (status = 500, description = "A record is damaged, or the registry fails", body = LongDocument),
        (status = 507, description = "The disk is full", body = LongDocument),
    ),
)]
pub(super) async fn remove(
    State(state): State<Registered>,
    named: Named,
    NamedSubnet(text): NamedSubnet,
) -> Result<Written, Failure> {
    let id: SubnetId = text.parse().map_err(|_| no_subnet(&text))?;
    let exists = state.context.view().snapshot().subnet(id).is_some();
    let edited = state.hosts.edit_subnets(named.id, |subnets| {
        // One that is gone itself can be detached still.
        match subnets.remove(&id).is_some() || exists {
            true => Ok(()),
            false => Err(no_subnet(&text)),
        }
    });
    Ok(Written::ok(line(&edited.await?)))
}

/// The subnet in a path, whatever it is.
pub(super) struct NamedSubnet(String);

impl FromRequestParts<Registered> for NamedSubnet {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Registered) -> Result<Self, Failure> {
        let named = parameter(parts, "subnet").await;
        named.map(Self).ok_or_else(|| no_subnet(""))
    }
}

fn no_subnet(text: &str) -> Failure {
    let shown: String = text.chars().take(64).collect();
    Failure::long(StatusCode::NOT_FOUND, format!("there is no subnet {shown:?}"))
}
