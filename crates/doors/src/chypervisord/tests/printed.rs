//! Each request and answer that chypervisord's document prints, byte for byte.

use super::*;

const CREATED: &str = r#"{"id":"abcd1234-abcd-1234-abcd-1234abcd1234","metadata":{},"ip":"10.100.101.35","netmask":"255.255.255.255","gateway":"10.100.101.35","mac":"01:23:45:67:89:ac","total_resources":{"memory":1024,"disk":1024,"cpu":1},"available_resources":{"memory":1024,"disk":1024,"cpu":1}}"#;
const CHANGED: &str = r#"{"id":"abcd1234-abcd-1234-abcd-1234abcd1234","metadata":{"foo":"bar"},"ip":"10.100.101.35","netmask":"255.255.255.255","gateway":"10.100.101.35","mac":"01:23:45:67:89:ac","total_resources":{"memory":0,"disk":0,"cpu":0},"available_resources":{"memory":0,"disk":0,"cpu":0}}"#;

#[track_caller]
fn is(answered: &Answered, status: u16, text: &str) {
    assert_eq!((answered.status.as_u16(), &*answered.text), (status, &*format!("{text}\n")));
    assert_eq!(answered.headers["content-type"], "application/json");
}

/// The document's own order: each request finds what those before it left.
#[tokio::test]
async fn the_documents_requests_and_answers() {
    let fixture = fixture().await.with_subnet().await;
    let listed = r#"[{"id":"e88a75a6-7ae6-487c-9634-6553d3793437","metadata":{},"ip":"10.100.101.34","netmask":"","gateway":"","mac":"01:23:45:67:89:ab","total_resources":{"memory":0,"disk":0,"cpu":0},"available_resources":{"memory":0,"disk":0,"cpu":0}}]"#;
    is(&fixture.get("/hypervisors").await, 200, listed);
    is(&fixture.send("POST", "/hypervisors", CREATED).await, 201, CREATED);
    is(&fixture.get(&host(OTHER)).await, 200, CREATED);

    let config = host(OTHER) + "/config";
    fixture.send("PATCH", &config, r#"{"bar":"baz"}"#).await;
    is(&fixture.get(&config).await, 200, r#"{"bar":"baz"}"#);
    let changed = fixture.send("PATCH", &config, r#"{"bar":"","foobar":"asdf"}"#).await;
    is(&changed, 200, r#"{"foobar":"asdf"}"#);

    let subnets = host(OTHER) + "/subnets";
    let attached = r#"{"c6430cba-648a-41aa-aee4-b59dacfc790d":"br0"}"#;
    is(&fixture.send("PATCH", &subnets, attached).await, 200, attached);
    is(&fixture.get(&subnets).await, 200, attached);
    is(&fixture.send("DELETE", &format!("{subnets}/{SUBNET}"), "").await, 200, "{}");

    let noted = fixture.send("PATCH", &host(OTHER), r#"{"metadata":{"foo":"bar"}}"#).await;
    is(&noted, 200, CHANGED);
    is(&fixture.send("DELETE", &host(OTHER), "").await, 200, CHANGED);
    is(&fixture.get("/hypervisors").await, 200, listed);
}

#[tokio::test]
async fn the_documents_guests() {
    let fixture = fixture().await;
    // The younger one first: they come in the order of their ids.
    for id in ["f2011319-ad59-42fb-9bad-92e261f0651c", "ad762efc-3c23-402b-8e1f-a248a005efb9"] {
        fixture.create_vm(id, json!({ "memory": "64MiB" })).await;
    }
    let guests = fixture.get(&(host(THIS) + "/guests")).await;
    let printed =
        r#"["ad762efc-3c23-402b-8e1f-a248a005efb9","f2011319-ad59-42fb-9bad-92e261f0651c"]"#;
    is(&guests, 200, printed);
}

/// Whoever makes the document's examples names their ids, and each once.
#[tokio::test]
async fn the_ids_of_the_documents_examples_can_be_taken_once() {
    let fixture = fixture().await.with_subnet().await;
    let vm = "ad762efc-3c23-402b-8e1f-a248a005efb9";
    fixture.create_vm(vm, json!({ "memory": "64MiB" })).await;
    let config = serde_json::from_value(json!({ "name": "another" })).unwrap();
    let again = Request::Create { config, id: Some(vm.parse().unwrap()) };
    let network = fixture.house.context.view().snapshot().networks.keys().next().copied().unwrap();
    let config = serde_json::from_value(json!({ "range": "10.87.4.0/24" })).unwrap();
    let id = Some(SUBNET.parse().unwrap());
    let subnet = Request::Network(NetworkRequest::CreateSubnet { network, config, id });
    for request in [again, subnet] {
        let refused = fixture.house.context.perform(&Caller::innkeeper(), request, LONG).await;
        assert_eq!(refused.unwrap_err().code, innkeeper_model::Code::NameTaken);
    }
}

#[tokio::test]
async fn the_documents_structs() {
    let fixture = fixture().await.with_subnet().await;
    let shape = json!({
        "id": "abcd1234-abcd-1234-abcd-1234abcd1234",
        "metadata": {},
        "ip": "10.100.101.35",
        "netmask": "255.255.255.255",
        "gateway": "10.100.101.35",
        "mac": "01:23:45:67:89:ac",
        "total_resources": { "memory": 1024, "disk": 1024, "cpu": 1 },
        "available_resources": { "memory": 1024, "disk": 1024, "cpu": 1 },
    });
    assert_eq!(fixture.send("POST", "/hypervisors", &shape.to_string()).await.json(), shape);
    let config = json!({ "foo": "bar" });
    let path = host(OTHER) + "/config";
    assert_eq!(fixture.send("PATCH", &path, &config.to_string()).await.json(), config);
    let subnets = json!({ SUBNET: "br0" });
    let path = host(OTHER) + "/subnets";
    assert_eq!(fixture.send("PATCH", &path, &subnets.to_string()).await.json(), subnets);
}
