//! Networks, subnets and reservations, through the gate, over an engine that only remembers.

use crate::test_support::{Api, Read, network, spec};
use http::{Request as HttpRequest, StatusCode};
use innkeeper_engine::{NetworkRequest, Request};
use innkeeper_model::{
    Code, GuestAddress, Network, Refusal, Revision, config::Nic, network::AddressSource,
    network::Reservation,
};
use innkeeper_view::Update;
use serde_json::{Value, json};
use std::sync::Arc;

/// Networks `lan` on 10.1.0.0/24, with this many reservations, and `dmz` on 10.2.0.0/24.
async fn with_reservations(count: u8) -> (Api, [Network; 2]) {
    let (mut lan, dmz) = (network("lan", "10.1.0.0/24"), network("dmz", "10.2.0.0/24"));
    let reservation = |last| Reservation {
        address: [10, 1, 0, last].into(),
        mac: Some(format!("52:54:00:00:00:{last:02x}").parse().unwrap()),
        name: Some(format!("host-{last}").parse().unwrap()),
    };
    lan.subnets[0].reservations = (10..10 + count).map(reservation).collect();
    lan.config.labels = [("tier", "front".to_owned())].into();
    let api = Api::new();
    let updates = [&lan, &dmz].map(|network| Update::Network(Arc::new(network.clone())));
    api.post(updates.into()).await;
    (api, [lan, dmz])
}

async fn with_header(api: &Api, method: &str, uri: &str, header: (&str, &str), body: &str) -> Read {
    let request = HttpRequest::builder().method(method).uri(uri).header(header.0, header.1);
    Read::of(api.call(request, body.to_owned()).await).await
}

/// What was asked of the engine, which must be one thing about networks.
#[track_caller]
fn asked(api: &Api) -> NetworkRequest {
    match api.engine.asked().remove(0) {
        Request::Network(request) => request,
        other => panic!("{other:?}"),
    }
}

fn names(list: &Read) -> Vec<Value> {
    let items = list.json()["items"].as_array().unwrap().clone();
    items.into_iter().map(|network| network["config"]["name"].clone()).collect()
}

// reading

#[tokio::test]
async fn networks_are_listed_filtered_and_read_with_the_tag_of_their_record() {
    let (api, [lan, _]) = with_reservations(3).await;
    assert_eq!(names(&api.get("/v1/networks").await), ["lan", "dmz"]);
    assert_eq!(names(&api.get("/v1/networks?name=d*").await), ["dmz"]);
    assert_eq!(names(&api.get("/v1/networks?label.tier=front").await), ["lan"]);
    let some = api.get("/v1/networks?fields=config.name,subnets&limit=1").await.json();
    assert_eq!(some["items"][0]["subnets"][0]["reserved"], 3);
    assert!(some["next"].is_string());
    for text in [&*lan.id.to_string(), "lan", "la"] {
        let read = api.get(&format!("/v1/networks/{text}")).await;
        assert_eq!(read.json()["id"], json!(lan.id));
        assert_eq!(read.header("etag"), "\"1\"");
        assert_eq!(read.json()["subnets"][0].get("reservations"), None);
    }
    let known = with_header(&api, "GET", "/v1/networks/lan", ("if-none-match", "\"1\""), "").await;
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);
    api.get("/v1/networks/wan").await.problem("not-found");
    api.get("/v1/networks?colour=red").await.problem("invalid-field");
    api.get("/v1/networks?fields=colour").await.problem("invalid-field");
}

#[tokio::test]
async fn the_fields_that_can_be_asked_for_are_those_of_a_network() {
    let document: Value = serde_json::from_slice(&crate::document()).unwrap();
    let schema = &document["components"]["schemas"]["ShownNetwork"]["properties"];
    let fields = schema.as_object().unwrap().keys().map(String::as_str);
    let fields = fields.collect::<Vec<_>>().join(",");
    let read = Api::new().get(&format!("/v1/networks?fields={fields}")).await;
    assert_eq!(read.status, StatusCode::OK);
}

#[tokio::test]
async fn a_text_that_means_several_is_refused_with_all_of_them() {
    let api = Api::new();
    let both = [network("lan-1", "10.1.0.0/24"), network("lan-2", "10.2.0.0/24")];
    api.post(both.clone().map(|network| Update::Network(Arc::new(network))).into()).await;
    for (path, ids) in [
        ("/v1/networks/lan", both.each_ref().map(|network| network.id.to_string())),
        ("/v1/subnets/10.", both.each_ref().map(|network| network.subnets[0].id.to_string())),
    ] {
        let problem = api.get(path).await.problem("ambiguous-name");
        let hint = problem["hint"].as_str().unwrap();
        assert!(ids.iter().all(|id| hint.contains(id)), "{hint}");
    }
}

#[tokio::test]
async fn a_subnet_is_read_with_how_much_of_it_is_taken() {
    let (api, [lan, _]) = with_reservations(3).await;
    let mut spec = spec("web");
    spec.config.nics = ["lan", "dmz", "user"]
        .map(|name| Nic { network: name.parse().unwrap(), ..Nic::new(name.parse().unwrap()) })
        .into();
    spec.assigned.addresses = [
        ("lan", vec!["10.1.0.2".parse().unwrap()]),
        ("dmz", vec!["10.2.0.2".parse().unwrap(), "fd00::2".parse().unwrap()]),
    ]
    .into();
    api.post(vec![Update::VmSpec(Arc::new(spec))]).await;
    let id = lan.subnets[0].id;
    for text in [&*id.to_string(), "10.1.0.0%2F24", "10.1"] {
        let subnet = api.get(&format!("/v1/subnets/{text}")).await.json();
        assert_eq!(subnet["id"], json!(id));
        assert_eq!((&subnet["size"], &subnet["taken"]), (&json!(253), &json!(4)));
        assert_eq!((&subnet["network"], &subnet["network_name"]), (&json!(lan.id), &json!("lan")));
        assert_eq!(subnet["config"]["range"], "10.1.0.0/24");
    }
    let list = api.get("/v1/subnets?limit=1").await.json();
    assert_eq!(list["items"][0]["taken"], 4);
    let next = list["next"].as_str().unwrap();
    let list = api.get(&format!("/v1/subnets?limit=1&after={next}")).await.json();
    assert_eq!((&list["items"][0]["taken"], list.get("next")), (&json!(1), None));
    let list = api.get("/v1/subnets?network=dmz").await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    api.get("/v1/subnets?network=wan").await.problem("not-found");
    api.get("/v1/subnets/10.3.0.0%2F24").await.problem("not-found");
}

#[tokio::test]
async fn reservations_are_listed_in_pages_and_by_what_they_are_for() {
    let (api, _) = with_reservations(5).await;
    let (mut seen, mut query) = (Vec::new(), "limit=2".to_owned());
    loop {
        let list = api.get(&format!("/v1/subnets/10.1.0.0%2F24/reservations?{query}")).await.json();
        seen.extend(list["items"].as_array().unwrap().iter().map(|r| r["address"].clone()));
        let Some(next) = list.get("next") else { break };
        query = format!("limit=2&after={}", next.as_str().unwrap());
    }
    assert_eq!(seen, ["10.1.0.10", "10.1.0.11", "10.1.0.12", "10.1.0.13", "10.1.0.14"]);
    for query in ["name=host-12", "mac=52:54:00:00:00:0c"] {
        let list = api.get(&format!("/v1/subnets/10.1/reservations?{query}")).await.json();
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
        assert_eq!(list["items"][0]["address"], "10.1.0.12", "{query}");
    }
    api.get("/v1/subnets/10.1/reservations?name=a%20b").await.problem("invalid-field");
    api.get("/v1/subnets/10.1/reservations?after=x").await.problem("invalid-field");
}

#[tokio::test]
async fn a_vm_shows_the_addresses_of_its_guest() {
    let (api, ids) = Api::with(&["web"]).await;
    let addresses = vec![GuestAddress {
        nic: Some("net0".parse().unwrap()),
        address: "10.1.0.2".parse().unwrap(),
        source: AddressSource::Lease,
    }];
    api.post(vec![Update::VmAddresses { id: ids[0], addresses }]).await;
    let shown = json!([{ "nic": "net0", "address": "10.1.0.2", "source": "lease" }]);
    assert_eq!(api.get("/v1/vms/web").await.json()["addresses"], shown);
    let list = api.get("/v1/vms?fields=addresses").await.json();
    assert_eq!(list["items"][0]["addresses"], shown);
}

// changing

#[tokio::test]
async fn a_network_is_made_once_with_its_subnets_and_the_id_that_was_chosen() {
    let api = Api::new();
    let id = innkeeper_model::NetworkId::new();
    let body = r#"{"name":"lan","mtu":9000,"subnets":[{"range":"10.9.0.0/24"}]}"#;
    let uri = format!("/v1/networks?id={id}");
    let made = with_header(&api, "POST", &uri, ("prefer", "wait=5"), body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    assert_eq!(made.header("location"), format!("/v1/networks/{id}"));
    assert_eq!(made.json()["network"]["config"]["mtu"], 9000);
    let NetworkRequest::Create { config, id: chosen, subnets } = asked(&api) else { panic!() };
    assert_eq!((config.name.as_str(), chosen, subnets.len()), ("lan", Some(id), 1));

    let key = ("idempotency-key", "once");
    let first = with_header(&api, "POST", "/v1/networks", key, r#"{"name":"dmz"}"#).await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    assert!(first.header("location").starts_with("/v1/tasks/"));
    let again = with_header(&api, "POST", "/v1/networks", key, r#"{"name":"dmz"}"#).await;
    assert_eq!(first.json()["task"]["id"], again.json()["task"]["id"]);
    with_header(&api, "POST", "/v1/networks", key, r#"{"name":"wan"}"#)
        .await
        .problem("idempotency-conflict");
    assert_eq!(api.engine.asked().len(), 1);
}

#[tokio::test]
async fn bad_networks_are_refused_by_field_value_and_limit_and_nothing_is_asked() {
    let (api, _) = with_reservations(0).await;
    for (uri, body, field) in [
        ("/v1/networks", r#"{"name":"lan","vlan":4095,"bridge":"br0"}"#, "vlan"),
        ("/v1/networks", r#"{"name":"lan","mtu":100}"#, "mtu"),
        ("/v1/networks", r#"{"name":"x","subnets":[{"range":"10.0.0.0/31"}]}"#, "subnets[0].range"),
        ("/v1/networks?id=7", r#"{"name":"x"}"#, "id"),
        ("/v1/subnets", r#"{"network":"lan","range":"127.0.0.0/8"}"#, "range"),
        ("/v1/subnets", r#"{"range":"10.3.0.0/24"}"#, "network"),
        (
            "/v1/subnets",
            r#"{"network":"lan","range":"10.3.0.0/24","gateway":"10.4.0.1"}"#,
            "gateway",
        ),
        (
            "/v1/subnets/10.1/reservations",
            r#"[{"mac":"ff:ff:ff:ff:ff:ff"}]"#,
            "reservations[0].mac",
        ),
        ("/v1/subnets/10.1/reservations", r#"{"count":0}"#, "count"),
    ] {
        let problem = api.send("POST", uri, body).await.problem("invalid-field");
        assert_eq!(problem["field"], field, "{uri} {body}");
    }
    let problem = api.send("POST", "/v1/subnets", r#"{"network":"wan","range":"10.3.0.0/24"}"#);
    assert_eq!(problem.await.problem("not-found")["field"], "network");
    assert!(api.engine.asked().is_empty());
    // What only the engine can know.
    let taken = Refusal::new(Code::InUse, "range 10.1.0.0/24 overlaps subnet 10.1.0.0/24")
        .at("range")
        .with_hint("take another");
    api.engine.plan(Err(taken));
    let refused = api.send("POST", "/v1/subnets", r#"{"network":"lan","range":"10.1.0.0/24"}"#);
    let refused = refused.await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(refused.problem("in-use")["field"], "range");
}

#[tokio::test]
async fn a_network_is_replaced_and_merged_at_the_revision_that_was_read() {
    let (api, [lan, _]) = with_reservations(0).await;
    let body = r#"{"name":"lan","isolated":true}"#;
    assert_eq!(api.send("PUT", "/v1/networks/lan", body).await.status, StatusCode::ACCEPTED);
    let NetworkRequest::Edit { network, config, expected } = asked(&api) else { panic!() };
    assert_eq!((network, config.isolated, expected), (lan.id, true, None));
    assert!(config.labels.is_empty());

    let merge = ("content-type", "application/merge-patch+json");
    with_header(&api, "PATCH", "/v1/networks/lan", merge, r#"{"mtu":1400}"#).await;
    let NetworkRequest::Edit { config, expected, .. } = asked(&api) else { panic!() };
    assert_eq!((config.mtu, expected), (Some(1400), Some(Revision(1))));
    assert_eq!(config.labels.len(), 1);

    let stale = with_header(&api, "PUT", "/v1/networks/lan", ("if-match", "\"7\""), body).await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
    let problem = stale.problem("revision-conflict");
    assert_eq!(problem["detail"], "the network is at revision 1, not 7");
    let wrong = with_header(&api, "PATCH", "/v1/networks/lan", merge, r#"{"mtu":"big"}"#).await;
    assert_eq!(wrong.problem("invalid-field")["field"], "mtu");
    api.send("PUT", "/v1/networks/wan", body).await.problem("not-found");
    assert!(api.engine.asked().is_empty());
}

#[tokio::test]
async fn networks_and_subnets_are_deleted() {
    let (api, [lan, dmz]) = with_reservations(0).await;
    assert_eq!(api.send("DELETE", "/v1/networks/lan", "").await.status, StatusCode::ACCEPTED);
    assert_eq!(asked(&api), NetworkRequest::Delete { network: lan.id });
    let subnet = dmz.subnets[0].id;
    let deleted =
        with_header(&api, "DELETE", "/v1/subnets/10.2.0.0%2F24", ("prefer", "wait=5"), "").await;
    assert_eq!(deleted.status, StatusCode::OK);
    assert_eq!(deleted.json()["network"]["id"], json!(dmz.id));
    assert_eq!(asked(&api), NetworkRequest::DeleteSubnet { subnet });
    api.engine.plan(Err(Refusal::new(Code::InUse, "network lan is in use by web")));
    assert_eq!(api.send("DELETE", "/v1/networks/lan", "").await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_subnet_is_made_on_the_network_that_the_body_names() {
    let (api, [lan, _]) = with_reservations(0).await;
    let body = r#"{"network":"lan","range":"fd00:9::/64","dns":["fd00:9::53"]}"#;
    let made = with_header(&api, "POST", "/v1/subnets", ("prefer", "wait=5"), body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let NetworkRequest::CreateSubnet { network, config, id: Some(id) } = asked(&api) else {
        panic!()
    };
    assert_eq!((network, config.range.to_string()), (lan.id, "fd00:9::/64".into()));
    assert_eq!(made.header("location"), format!("/v1/subnets/{id}"));
    let twice = async || {
        let request = HttpRequest::post("/v1/subnets").header("prefer", "wait=5");
        Read::of(api.call(request.header("idempotency-key", "once"), body).await).await
    };
    let (first, again) = (twice().await, twice().await);
    assert_eq!(first.header("location"), again.header("location"), "the one that was made");
    assert_eq!(api.engine.asked().len(), 1);
    let own = innkeeper_model::SubnetId::new();
    api.send("POST", &format!("/v1/subnets?id={own}"), body).await;
    assert!(matches!(
        asked(&api), NetworkRequest::CreateSubnet { id: Some(id), .. } if id == own
    ));
}

#[tokio::test]
async fn addresses_are_kept_and_given_back() {
    let (api, [lan, _]) = with_reservations(2).await;
    let id = lan.subnets[0].id;
    let uri = format!("/v1/subnets/{id}/reservations");
    let kept = api.send("POST", &uri, r#"[{"address":"10.1.0.99","name":"printer"}]"#).await;
    assert_eq!(kept.status, StatusCode::ACCEPTED, "{kept:?}");
    let NetworkRequest::Reserve { subnet, wanted } = asked(&api) else { panic!() };
    assert_eq!((subnet, wanted.len()), (id, 1));
    assert_eq!(wanted[0].name.as_ref().unwrap().as_str(), "printer");
    api.send("POST", &uri, r#"{"count":10000}"#).await;
    let NetworkRequest::Reserve { wanted, .. } = asked(&api) else { panic!() };
    assert_eq!(wanted.len(), 10_000);

    let both = NetworkRequest::Release {
        subnet: id,
        addresses: vec!["10.1.0.10".parse().unwrap(), "10.1.0.11".parse().unwrap()],
    };
    api.send("DELETE", &uri, r#"{"addresses":["10.1.0.10","10.1.0.11"]}"#).await;
    assert_eq!(asked(&api), both);
    api.send("DELETE", &format!("{uri}?address=10.1.0.10,10.1.0.11"), "").await;
    assert_eq!(asked(&api), both);
    let wrong = api.send("DELETE", &format!("{uri}?address=10.1.0"), "").await;
    assert_eq!(wrong.problem("invalid-field")["value"], "10.1.0");
    api.send("DELETE", &uri, "").await.problem("bad-request");
    api.send("DELETE", &uri, r#"{"addresses":[]}"#).await.problem("invalid-field");
    assert!(api.engine.asked().is_empty());
}
