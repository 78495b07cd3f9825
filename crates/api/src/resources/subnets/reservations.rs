//! `/v1/subnets/{subnet}/reservations`: addresses that are kept for something other than a NIC of a VM.

use super::find;
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
use innkeeper_engine::{NetworkRequest, Request, ReservationWish};
use innkeeper_model::{NetworkName, Refusal, config::MacAddress, network::Reservation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::IpAddr;
use utoipa::ToSchema;

/// The most addresses that one request asks for or gives back.
const MAX_AT_ONCE: usize = 65_536;

/// Reservations, in the order of their addresses.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReservationList<'a> {
    /// The reservations.
    items: Vec<&'a Reservation>,
    /// The view's revision that they are of.
    revision: u64,
    /// What to give as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// List what a subnet keeps
#[utoipa::path(
    get,
    path = "/v1/subnets/{subnet}/reservations",
    tag = "networks",
    operation_id = "listReservations",
    params(
        ("subnet" = String, Path, description = "Its id, range or name, or the beginning of one of them if only one begins so; `/` is written `%2F`"),
        ("name" = Option<String>, Query, description = "Only what is kept for this"),
        ("mac" = Option<String>, Query, description = "Only what is kept for this hardware address"),
        ("limit" = Option<u32>, Query, description = "At most so many"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses((status = 200, description = "Reservations", body = ReservationList), ReadProblems),
)]
pub(crate) async fn list(state: Visit, Segment(text): Segment, mut params: Params) -> Answer {
    let name: Option<NetworkName> = params.parsed("name")?;
    let mac: Option<MacAddress> = params.parsed("mac")?;
    let page = Page::parse(&mut params)?;
    params.nothing_else()?;
    let seen = state.seen();
    let snapshot = seen.whole();
    let subnet = find(snapshot, &text)?;
    let wanted = |reservation: &&Reservation| {
        (name.is_none() || reservation.name == name) && (mac.is_none() || reservation.mac == mac)
    };
    let all = subnet.subnet().reservations.iter().filter(wanted);
    let (items, next) = page.of(all, |reservation| reservation.address);
    let list = ReservationList { items, revision: snapshot.revision.0, next };
    Ok(answer::json(snapshot.revision, answer::encode(&list)))
}

/// An address to keep.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewReservation {
    /// Which. Default: one that is free.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    address: Option<IpAddr>,
    /// Who gets it by DHCP. Default: nobody.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    mac: Option<MacAddress>,
    /// What it is kept for.
    #[serde(default)]
    name: Option<NetworkName>,
}

/// So many addresses, whichever are free.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CountOfReservations {
    /// How many, from 1 to 65536.
    count: usize,
    /// What they are kept for.
    #[serde(default)]
    name: Option<NetworkName>,
}

/// Addresses to keep: a list of them, or a number.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum NewReservations {
    /// These.
    List(Vec<NewReservation>),
    /// So many.
    Count(CountOfReservations),
}

impl NewReservations {
    pub(crate) fn decode(body: &[u8]) -> Result<Vec<ReservationWish>, Refusal> {
        // By hand: of an untagged choice serde does not say what is wrong in which field.
        let document: Value = json::decode(body)?;
        let wanted = if document.is_array() {
            #[derive(Deserialize)]
            struct Named {
                reservations: Vec<NewReservation>,
            }
            // Named, since the engine says which of the `reservations` it refuses.
            let named = json!({ "reservations": document });
            Self::List(json::decode_value::<Named>(&named)?.reservations)
        } else {
            Self::Count(json::decode_value(&document)?)
        };
        match wanted {
            Self::List(list) => {
                in_bounds("reservations", list.len())?;
                let wish =
                    |NewReservation { address, mac, name }| ReservationWish { address, mac, name };
                Ok(list.into_iter().map(wish).collect())
            }
            Self::Count(CountOfReservations { count, name }) => {
                in_bounds("count", count)?;
                let wish = ReservationWish { name, ..ReservationWish::default() };
                Ok(vec![wish; count])
            }
        }
    }
}

fn in_bounds(field: &str, count: usize) -> Result<(), Refusal> {
    if (1..=MAX_AT_ONCE).contains(&count) {
        return Ok(());
    }
    let limit = format!("1 to {MAX_AT_ONCE}");
    Err(Refusal::invalid(
        field,
        count,
        "is not a number of addresses that can be asked for at once",
    )
    .with_limit(limit))
}

/// Keep addresses
///
/// All of them, or none.
#[utoipa::path(
    post,
    path = "/v1/subnets/{subnet}/reservations",
    tag = "networks",
    operation_id = "reserveAddresses",
    params(
        ("subnet" = String, Path, description = "Its id, range or name, or the beginning of one of them if only one begins so; `/` is written `%2F`"),
        ("Idempotency-Key" = Option<String>, Header, description = "Do this once, however often it is sent with this key; remembered for a day"),
        ("dry_run" = Option<bool>, Query, description = "Do nothing, and answer what it would come to"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    request_body = NewReservations,
    responses(
        (status = 200, description = "Kept; or planned, with `dry_run`", body = DoneOrPlanned),
        (status = 202, description = "Accepted", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn reserve(
    state: Visit,
    Segment(text): Segment,
    mut params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let dry_run = params.flag("dry_run")?;
    params.nothing_else()?;
    let key = asked::idempotency_key(&headers)?;
    let body = json::read(&headers, body).await?;
    let wanted = NewReservations::decode(&body)?;
    let subnet = find(state.seen().whole(), &text)?.subnet().id;
    let request = Request::Network(NetworkRequest::Reserve { subnet, wanted });
    if dry_run {
        return mutation::plan(&state, &asked, request).await;
    }

    let creation = Creation {
        fingerprint: fingerprint(&[b"reserve", subnet.to_string().as_bytes(), &body]),
        request,
        start: false,
        subject: Subject::Network,
        key,
    };
    mutation::create(&state, asked, creation).await
}

/// Addresses to give back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Released {
    /// The addresses.
    #[schema(value_type = Vec<String>)]
    addresses: Vec<IpAddr>,
}

/// Give addresses back
///
/// All of them, or none. Which ones, the body says, or `address` for those who cannot send one.
#[utoipa::path(
    delete,
    path = "/v1/subnets/{subnet}/reservations",
    tag = "networks",
    operation_id = "releaseAddresses",
    params(
        ("subnet" = String, Path, description = "Its id, range or name, or the beginning of one of them if only one begins so; `/` is written `%2F`"),
        ("address" = Option<String>, Query, description = "The addresses, with commas between, in place of a body"),
        ("dry_run" = Option<bool>, Query, description = "Do nothing, and answer what it would come to"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    request_body(content = Option<Released>),
    responses(
        (status = 200, description = "Given back; or planned, with `dry_run`", body = DoneOrPlanned),
        (status = 202, description = "Accepted", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn release(
    state: Visit,
    Segment(text): Segment,
    mut params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let addresses = params.list("address");
    let dry_run = params.flag("dry_run")?;
    params.nothing_else()?;
    let addresses = match addresses {
        Some(texts) => texts.iter().map(|text| address(text)).collect::<Result<_, _>>()?,
        None => {
            let Released { addresses } = json::required(&headers, body).await?;
            addresses
        }
    };
    in_bounds("addresses", addresses.len())?;
    let subnet = find(state.seen().whole(), &text)?.subnet().id;
    let request = Request::Network(NetworkRequest::Release { subnet, addresses });
    mutation::perform_or_plan(&state, &asked, request, Subject::Network, dry_run).await
}

fn address(text: &str) -> Result<IpAddr, Refusal> {
    text.parse().map_err(|problem| Refusal::invalid("address", text, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(body: Value) -> Result<Vec<ReservationWish>, Refusal> {
        NewReservations::decode(body.to_string().as_bytes())
    }

    #[test]
    fn addresses_are_asked_for_by_name_or_by_number() {
        let list = decode(json!([{"address": "10.0.0.5", "name": "printer"}, {}])).unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!(list[0].address, Some("10.0.0.5".parse().unwrap()));
        assert_eq!(list[1], ReservationWish::default());
        let some = decode(json!({"count": 3, "name": "pool"})).unwrap();
        assert_eq!(some.len(), 3);
        assert!(some.iter().all(|wish| wish.address.is_none() && wish.name.is_some()));
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        for (body, field) in [
            (json!([{"address": "10.0.0"}]), "reservations[0].address"),
            (json!([{}, {"mac": "01:00:00:00:00:00"}]), "reservations[1].mac"),
            (json!([{"colour": 1}]), "reservations[0].colour"),
            (json!([]), "reservations"),
            (json!({"count": 0}), "count"),
            (json!({"count": 65_537}), "count"),
            (json!({"count": -1}), "count"),
            (json!({}), "count"),
        ] {
            let refusal = decode(body.clone()).unwrap_err();
            assert_eq!(refusal.field.as_deref(), Some(field), "{body}");
        }
    }
}
