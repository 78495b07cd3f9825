//! What is easy to get wrong, one test a point.

use super::*;
use std::sync::Arc;

/// As chypervisord's own client sends it: `ContentType`, misspelt, and no `Content-Type`.
async fn as_hv_sends(fixture: &Fixture, method: &str, path: &str, body: &str) -> Answered {
    let request = HttpRequest::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost:17000")
        .header("user-agent", "Go-http-client/1.1")
        .header("accept-encoding", "gzip")
        .header("ContentType", "application/json")
        .header("content-length", body.len())
        .body(Body::from(body.to_owned()))
        .unwrap();
    fixture.door.answer(request).await
}

#[tokio::test]
async fn point_1_no_content_type_is_needed() {
    let fixture = fixture().await.with_other().await;
    let changed = as_hv_sends(&fixture, "PATCH", &host(OTHER), r#"{"ip":"10.0.0.1"}"#).await;
    assert_eq!((changed.status.as_u16(), &changed.json()["ip"]), (200, &json!("10.0.0.1")));
    let path = host(OTHER) + "/config";
    assert_eq!(as_hv_sends(&fixture, "PATCH", &path, r#"{"a":"b"}"#).await.status, 200);
    assert_eq!(as_hv_sends(&fixture, "DELETE", &host(OTHER), "").await.status, 200);
}

#[tokio::test]
async fn point_2_delete_answers_with_an_object() {
    let fixture = fixture().await.with_other().await.with_subnet().await;
    let subnet = format!("{}/subnets/{SUBNET}", host(OTHER));
    let detached = fixture.send("DELETE", &subnet, "").await;
    assert_eq!((detached.status.as_u16(), detached.json()), (200, json!({})));
    let before = fixture.get(&host(OTHER)).await.json();
    let removed = fixture.send("DELETE", &host(OTHER), "").await;
    assert_eq!((removed.status.as_u16(), removed.json()), (200, before));
}

#[tokio::test]
async fn point_3_post_is_201_and_patch_200_with_all_there_is() {
    let fixture = fixture().await.with_subnet().await;
    let made = fixture.send("POST", "/hypervisors", &json!({ "id": OTHER }).to_string()).await;
    assert_eq!((made.status.as_u16(), made.json().as_object().unwrap().len()), (201, 8));
    let changed = fixture.send("PATCH", &host(OTHER), r#"{"metadata":{"a":"b"}}"#).await;
    assert_eq!((changed.status.as_u16(), changed.json().as_object().unwrap().len()), (200, 8));
    let config = host(OTHER) + "/config";
    fixture.send("PATCH", &config, r#"{"a":"1"}"#).await;
    let whole = fixture.send("PATCH", &config, r#"{"b":"2"}"#).await;
    assert_eq!((whole.status.as_u16(), whole.json()), (200, json!({ "a": "1", "b": "2" })));
}

#[tokio::test]
async fn point_4_what_is_empty_is_never_null() {
    let fixture = fixture().await.with_other().await;
    let made = fixture.get(&host(OTHER)).await.json();
    for field in ["ip", "netmask", "gateway", "mac"] {
        assert_eq!(made[field], "");
    }
    assert_eq!(made["metadata"], json!({}));
    assert_eq!(fixture.get(&(host(OTHER) + "/guests")).await.text, "[]\n");
    assert_eq!(fixture.get(&(host(OTHER) + "/config")).await.text, "{}\n");
    assert_eq!(fixture.get(&(host(OTHER) + "/subnets")).await.text, "{}\n");
    // And empty on the way in leaves what there is.
    let all =
        r#"{"ip":"10.0.0.1","netmask":"255.0.0.0","gateway":"10.0.0.2","mac":"0a:00:00:00:00:01"}"#;
    let before = fixture.send("PATCH", &host(OTHER), all).await.json();
    let empty = r#"{"id":"","ip":"","netmask":"","gateway":"","mac":""}"#;
    assert_eq!(fixture.send("PATCH", &host(OTHER), empty).await.json(), before);
}

#[tokio::test]
async fn point_5_ids_are_strings_in_the_list_and_nowhere_in_maps() {
    let fixture = fixture().await.with_other().await;
    for listed in fixture.get("/hypervisors").await.json().as_array().unwrap() {
        assert!(listed["id"].is_string());
    }
    for rest in ["/config", "/subnets"] {
        assert!(fixture.get(&(host(OTHER) + rest)).await.json().get("id").is_none());
    }
}

#[tokio::test]
async fn point_6_patch_replaces_metadata_and_zeroes_resources_that_are_absent() {
    let fixture = fixture().await.with_other().await;
    let all = json!({
        "metadata": { "a": "1", "b": "2" },
        "ip": "10.0.0.1",
        "total_resources": { "memory": 1, "disk": 2, "cpu": 3 },
        "available_resources": { "memory": 1, "disk": 2, "cpu": 3 },
    });
    let patch = async |body: &str| fixture.send("PATCH", &host(OTHER), body).await.json();
    patch(&all.to_string()).await;
    let partial = patch(r#"{"metadata":{"c":"3"},"total_resources":{"disk":5}}"#).await;
    assert_eq!(partial["metadata"], json!({ "c": "3" }));
    assert_eq!(partial["total_resources"], json!({ "memory": 0, "disk": 5, "cpu": 0 }));
    assert_eq!(partial["available_resources"], json!({ "memory": 0, "disk": 0, "cpu": 0 }));
    for body in ["null", "{}", r#"{"metadata":null,"ip":null,"total_resources":null}"#] {
        patch(&all.to_string()).await;
        let left = patch(body).await;
        assert_eq!((&left["metadata"], &left["ip"]), (&all["metadata"], &all["ip"]), "{body}");
        assert_eq!(left["total_resources"], json!({ "memory": 0, "disk": 0, "cpu": 0 }));
    }
    assert_eq!(patch(r#"{"metadata":{}}"#).await["metadata"], json!({}));
}

#[tokio::test]
async fn point_7_empty_deletes_of_config_and_not_of_subnets() {
    let fixture = fixture().await.with_other().await.with_subnet().await;
    let config = host(OTHER) + "/config";
    fixture.send("PATCH", &config, r#"{"a":"1","b":"2","c":"3"}"#).await;
    let left = fixture.send("PATCH", &config, r#"{"a":"","b":null}"#).await;
    assert_eq!(left.json(), json!({ "c": "3" }));
    let subnets = host(OTHER) + "/subnets";
    for empty in [json!(""), json!(null)] {
        let body = json!({ SUBNET: empty }).to_string();
        assert_eq!(fixture.send("PATCH", &subnets, &body).await.json(), json!({ SUBNET: "" }));
    }
}

#[tokio::test]
async fn point_8_what_is_missing_or_taken_is_404_or_409_with_a_message() {
    let fixture = fixture().await.with_other().await;
    is_long(&fixture.get(&host(NOBODY)).await, 404, NOBODY);
    let again = fixture.send("POST", "/hypervisors", &json!({ "id": OTHER }).to_string()).await;
    is_long(&again, 409, OTHER);
}

#[tokio::test]
async fn point_9_an_id_has_one_case_and_one_bad_record_breaks_no_list() {
    let fixture = fixture().await;
    let body = json!({ "id": OTHER.to_uppercase() }).to_string();
    let made = fixture.send("POST", "/hypervisors", &body).await;
    assert_eq!((made.status.as_u16(), &made.json()["id"]), (201, &json!(OTHER)));
    assert_eq!(fixture.get(&host(OTHER)).await.status, 200);

    // Its record is damaged on the disk, while nobody has it open.
    let Fixture { door, hosts, house } = fixture;
    drop((door, hosts));
    let file = house.folder.path().join("registry.redb");
    let bytes = std::fs::read(&file).unwrap();
    let (id, other) = (OTHER.as_bytes(), b"\"id\":\"Xbcd1234");
    let json = [b"\"id\":\"".as_slice(), id].concat();
    let mut damaged = bytes.clone();
    let places: Vec<usize> =
        (0..bytes.len() - json.len()).filter(|at| bytes[*at..].starts_with(&json)).collect();
    assert!(!places.is_empty());
    for at in places {
        damaged[at..at + other.len()].copy_from_slice(other);
    }
    std::fs::write(&file, damaged).unwrap();
    let hosts = Hosts::new(Arc::new(EmbeddedRegistry::open(&file).unwrap()));
    let total = Resources::default();
    let this_host = ThisHost { id: THIS.parse().unwrap(), ip: None, mac: None, total };
    let door = Chypervisord::open(hosts.clone(), this_host).await.unwrap();
    let fixture = Fixture { door: house.door(door, Role::Admin), hosts, house };

    let listed = fixture.get("/hypervisors").await;
    assert_eq!(listed.status, 200);
    assert_eq!(listed.json().as_array().unwrap().len(), 1, "{}", listed.text);
    for (method, rest) in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/guests")] {
        is_long(&fixture.send(method, &(host(OTHER) + rest), "{}").await, 500, "damaged");
    }
    // The message says how it is mended.
    let fixture = fixture.with_other().await;
    assert_eq!(fixture.get("/hypervisors").await.json().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn point_10_paths_are_exact_and_errors_have_a_message() {
    let fixture = fixture().await.with_other().await;
    assert_eq!(Door::Chypervisord.usual_address().port(), 17000);
    for path in ["/hypervisors", &host(OTHER), &(host(OTHER) + "/config")] {
        assert_eq!(fixture.get(path).await.status, 200, "no redirection of {path}");
    }
    for mac in ["01-23-45-67-89-AB", "0123.4567.89ab"] {
        let body = json!({ "mac": mac }).to_string();
        let changed = fixture.send("PATCH", &host(OTHER), &body).await.json();
        assert_eq!(changed["mac"], "01:23:45:67:89:ab");
    }
    // What is refused before any route is reached has one, too.
    let foreign = HttpRequest::get("/hypervisors").header("host", "evil.example");
    let foreign = fixture.door.answer(foreign.body(Body::empty()).unwrap()).await;
    is_long(&foreign, 403, "evil.example");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn overlapping_patches_lose_nothing() {
    let fixture = fixture().await.with_other().await;
    let mut subnets = Vec::new();
    for number in 0..8 {
        let (name, range) = (format!("lan-{number}"), format!("10.87.{number}.0/24"));
        let id = SubnetId::new();
        fixture.make_subnet(&name, &range, id).await;
        subnets.push(id.to_string());
    }
    let fixture = Arc::new(fixture);
    let patches = (0..24).flat_map(|number: usize| {
        let subnet = &subnets[number % subnets.len()];
        [
            ("/config", json!({ format!("key-{number}"): "told" })),
            ("", json!({ "metadata": { "a": "1" } })),
            ("/subnets", json!({ subnet: "br0" })),
        ]
    });
    let patches = patches.map(|(part, body)| {
        let (fixture, path) = (Arc::clone(&fixture), host(OTHER) + part);
        tokio::spawn(async move { fixture.send("PATCH", &path, &body.to_string()).await.status })
    });
    for patch in patches.collect::<Vec<_>>() {
        assert_eq!(patch.await.unwrap(), 200);
    }
    for (part, count) in [("/config", 24), ("/subnets", subnets.len())] {
        let told = fixture.get(&(host(OTHER) + part)).await.json();
        assert_eq!(told.as_object().unwrap().len(), count, "{part}: {told}");
    }
    assert_eq!(fixture.get(&host(OTHER)).await.json()["metadata"], json!({ "a": "1" }));
}
