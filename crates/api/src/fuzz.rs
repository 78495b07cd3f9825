//! Entrances for fuzzers: bodies and queries of the native API.

use crate::{
    protocol::{
        fields::Fields,
        json::{decode, decode_value},
        list::Page,
        matching::{Labels, Name},
        merge::{merge, merged},
        params::Params,
    },
    resources::{
        certificates::Renewal,
        diagnostics::{SetLog, SetQueue, WhichVm},
        foreign::Adoption,
        images::NewImage,
        networks::create::NewNetwork,
        power::StopOptions,
        session::{
            agent::Clock, exec::Program, freeze::Freeze, screen::KeysToPress, tickets::TicketWish,
        },
        sign_in::SignedMessage,
        stream_tickets::StreamTicketWish,
        subnets::{
            NewSubnet,
            reservations::{NewReservations, Released},
        },
        vms::{create::CloneOptions, filter::Filter},
    },
};
use innkeeper_auth::{NewToken, certificate::NewCertificate};
use innkeeper_model::{NetworkConfig, Quota, Refusal, VmConfig, VmId, config::Nic};
use serde_json::{Value, json};

/// Reads a body as each of those that there are, and as a change to a VM.
///
/// # Panics
/// There is a mistake: a VM was taken that is another when it is read again, or reading one failed in a
/// way of its own.
pub fn body(bytes: &[u8]) {
    if let Ok(config) = decode::<VmConfig>(bytes) {
        let _ = config.validate();
        // Compared as written: of a secret only the digest is, and that reads as one that was there.
        let write =
            |config: &VmConfig| serde_json::to_value(config).expect("what was JSON is JSON");
        let written = write(&config);
        let again = decode_value::<VmConfig>(&written).map(|again| write(&again));
        assert_eq!(again, Ok(written));
    }
    if let Ok(changes) = decode::<Value>(bytes) {
        let before = json!({ "name": "web", "cpus": 2, "labels": { "tier": "front" } });
        let _ = decode_value::<VmConfig>(&merge(before, changes));
    }
    let _ = decode::<NetworkConfig>(bytes).and_then(|config| config.validate());
    let _ = NewNetwork::decode(bytes);
    let _ = NewSubnet::decode(bytes);
    let _ = NewReservations::decode(bytes);
    let _ = decode::<Nic>(bytes);
    let _ = decode::<NewImage>(bytes);
    let _ = decode::<NewToken>(bytes);
    let _ = decode::<NewCertificate>(bytes);
    let _ = decode::<Renewal>(bytes);
    let _ = decode::<Quota>(bytes);
    let _ = decode::<CloneOptions>(bytes);
    let _ = decode::<Adoption>(bytes);
    let _ = decode::<SignedMessage>(bytes);
    let _ = decode::<StopOptions>(bytes);
    let _ = decode::<Program>(bytes);
    let _ = decode::<KeysToPress>(bytes);
    let _ = decode::<Clock>(bytes);
    let _ = decode::<Freeze>(bytes);
    let _ = decode::<TicketWish>(bytes);
    let _ = decode::<StreamTicketWish>(bytes);
    let _ = decode::<SetQueue>(bytes);
    let _ = decode::<SetLog>(bytes);
    let _ = decode::<WhichVm>(bytes);
    let _ = decode::<Released>(bytes);
    let _ = merged(&Quota::default(), bytes);
    let lan = json!({ "name": "lan" });
    let _ = decode_value::<NetworkConfig>(&lan).and_then(|network| merged(&network, bytes));
    let _ = decode_value::<Nic>(&lan).and_then(|nic| merged(&nic, bytes));
}

/// Reads the query of a list.
pub fn query(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let _ = vms(Params::parse(text));
    let _ = networks(Params::parse(text));
}

fn vms(mut params: Params) -> Result<(), Refusal> {
    Filter::parse(&mut params)?;
    let fields = params.list("fields").unwrap_or_default();
    Fields::parse(&fields, &["id", "facts"])?.of(&json!({ "id": 1, "facts": { "machine": {} } }));
    Page::<VmId>::parse(&mut params)?;
    params.flag("force")?;
    params.nothing_else()
}

fn networks(mut params: Params) -> Result<(), Refusal> {
    if let Some(name) = Name::parse(&mut params)? {
        name.matches("default");
    }
    Labels::parse(&mut params).matches(&[("tier".to_owned(), "front".to_owned())].into());
    params.nothing_else()
}
