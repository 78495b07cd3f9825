//! Each row of what is known of chypervisord's endpoints, with the repairs.

use super::*;

#[tokio::test]
async fn an_id_in_a_path_is_read_in_any_spelling_and_must_be_one() {
    let fixture = fixture().await.with_other().await;
    for spelling in [OTHER.to_uppercase(), format!("urn:uuid:{OTHER}")] {
        let answered = fixture.get(&host(&spelling)).await;
        assert_eq!(answered.json()["id"], OTHER, "{}", answered.text);
    }
    for path in ["x", "..", "%2e%2e%2fetc", "abcd", "%ff"] {
        is_short(&fixture.get(&host(path)).await, "invalid hypervisor id");
        is_short(&fixture.get(&(host(path) + "/guests")).await, "invalid hypervisor id");
    }
}

#[tokio::test]
async fn what_is_missing_is_404_on_every_route_before_anything_else() {
    let fixture = fixture().await.with_subnet().await;
    for (method, rest) in [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("GET", "/config"),
        ("PATCH", "/config"),
        ("GET", "/subnets"),
        ("PATCH", "/subnets"),
        ("DELETE", &format!("/subnets/{SUBNET}")),
        ("GET", "/guests"),
    ] {
        let answered = fixture.send(method, &(host(NOBODY) + rest), "no JSON").await;
        is_long(&answered, 404, NOBODY);
    }
}

#[tokio::test]
async fn get_hypervisors_lists_all_in_the_order_of_ids() {
    let fixture = fixture().await.with_other().await;
    let ids = |listed: &Answered| -> Vec<String> {
        let ids = listed.json().as_array().unwrap().clone();
        ids.iter().map(|host| host["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&fixture.get("/hypervisors").await), [OTHER, THIS]);
    fixture.send("POST", "/hypervisors", &json!({ "id": NOBODY }).to_string()).await;
    assert_eq!(ids(&fixture.get("/hypervisors").await), [NOBODY, OTHER, THIS]);
    fixture.send("DELETE", &host(OTHER), "").await;
    assert_eq!(ids(&fixture.get("/hypervisors").await), [NOBODY, THIS]);
}

#[tokio::test]
async fn the_list_shows_what_each_hypervisor_shows() {
    let fixture = fixture().await.with_other().await;
    for body in [r#"{"ip":"10.0.0.1"}"#, r#"{"ip":"10.0.0.2","metadata":{"a":"b"}}"#] {
        let changed = fixture.send("PATCH", &host(OTHER), body).await.json();
        let listed = fixture.get("/hypervisors").await.json();
        assert_eq!(listed[0], changed);
        assert_eq!(listed[1], fixture.get(&host(THIS)).await.json());
    }
}

#[tokio::test]
async fn maps_are_in_the_order_of_their_keys() {
    let fixture = fixture().await.with_other().await.with_subnet().await;
    let changed = fixture.send("PATCH", &(host(OTHER) + "/config"), r#"{"b":"1","a":"2"}"#).await;
    assert_eq!(changed.text, "{\"a\":\"2\",\"b\":\"1\"}\n");
    assert_eq!(fixture.get(&(host(OTHER) + "/config")).await.text, changed.text);
    let metadata = r#"{"metadata":{"z":"1","y":"2"}}"#;
    let changed = fixture.send("PATCH", &host(OTHER), metadata).await;
    assert!(changed.text.contains(r#""metadata":{"y":"2","z":"1"}"#), "{}", changed.text);
}

#[tokio::test]
async fn post_makes_an_id_where_there_is_none() {
    let fixture = fixture().await;
    for body in ["{}", "null", r#"{"id":""}"#, r#"{"id":null}"#] {
        let answered = fixture.send("POST", "/hypervisors", body).await;
        let made = answered.json();
        assert_eq!(answered.status, 201);
        assert!(made["id"].as_str().unwrap().parse::<HostId>().is_ok());
        assert_eq!(
            (&made["metadata"], &made["ip"], &made["mac"]),
            (&json!({}), &json!(""), &json!(""))
        );
        assert_eq!(fixture.get(&host(made["id"].as_str().unwrap())).await.json(), made);
    }
    assert_eq!(fixture.get("/hypervisors").await.json().as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn post_of_what_cannot_be_read_is_400() {
    let fixture = fixture().await;
    is_short(&fixture.send("POST", "/hypervisors", "").await, "EOF");
    for body in [
        "{",
        "[]",
        "7",
        "no JSON",
        r#"{"id":7}"#,
        r#"{"ip":"10.0.0.256"}"#,
        r#"{"ip":"localhost"}"#,
        r#"{"netmask":"/24"}"#,
        r#"{"gateway":["10.0.0.1"]}"#,
        r#"{"mac":"01:23"}"#,
        r#"{"metadata":[]}"#,
        r#"{"metadata":{"a":1}}"#,
        r#"{"total_resources":7}"#,
        r#"{"total_resources":{"memory":-1}}"#,
        r#"{"total_resources":{"memory":1.5}}"#,
        r#"{"total_resources":{"memory":"1"}}"#,
        r#"{"available_resources":{"cpu":4294967296}}"#,
        r#"{"available_resources":{"disk":18446744073709551616}}"#,
    ] {
        is_short(&fixture.send("POST", "/hypervisors", body).await, "");
    }
    is_short(&fixture.send("POST", "/hypervisors", r#"{"id":"x"}"#).await, "invalid id");
    is_short(&fixture.send("POST", "/hypervisors", r#"{"id":"a/../b"}"#).await, "invalid id");
    assert_eq!(fixture.get("/hypervisors").await.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn post_takes_what_is_not_checked() {
    let fixture = fixture().await;
    let body = json!({
        "id": OTHER,
        "ip": "fd00::1",
        "netmask": "225.225.225.225",
        "gateway": "::ffff:10.0.0.1",
        "mac": "00-00-5E-00-53-01-AB-CD",
        "total_resources": { "memory": 1, "disk": u64::MAX, "cpu": u32::MAX },
        "available_resources": { "memory": 2 },
        "metadata": { "none": null },
        "unknown": [1, 2],
    });
    let made = fixture.send("POST", "/hypervisors", &body.to_string()).await.json();
    assert_eq!(made["gateway"], "10.0.0.1");
    assert_eq!(made["mac"], "00:00:5e:00:53:01:ab:cd");
    assert_eq!(made["total_resources"]["disk"], u64::MAX);
    assert_eq!(made["available_resources"], json!({ "memory": 2, "disk": 0, "cpu": 0 }));
    assert_eq!(made["metadata"], json!({ "none": "" }));
    assert_eq!(fixture.get(&host(OTHER)).await.json(), made);
}

#[tokio::test]
async fn names_of_fields_match_in_any_case_and_what_follows_the_first_value_is_ignored() {
    let fixture = fixture().await;
    let body = format!(r#"{{"ID":"{OTHER}","Ip":"10.0.0.1"}}{{"id":7}} and more"#);
    let made = fixture.send("POST", "/hypervisors", &body).await;
    assert_eq!((made.status.as_u16(), &made.json()["ip"]), (201, &json!("10.0.0.1")));
}

#[tokio::test]
async fn post_of_an_id_that_is_taken_is_409_and_changes_nothing() {
    let fixture = fixture().await.with_other().await;
    for id in [OTHER, THIS, &OTHER.to_uppercase()] {
        let body = json!({ "id": id, "ip": "10.9.9.9" }).to_string();
        let answered = fixture.send("POST", "/hypervisors", &body).await;
        is_long(&answered, 409, "already");
        assert_ne!(fixture.get(&host(id)).await.json()["ip"], "10.9.9.9");
    }
}

#[tokio::test]
async fn patch_of_what_cannot_be_read_is_400() {
    let fixture = fixture().await.with_other().await;
    is_short(&fixture.send("PATCH", &host(OTHER), "").await, "EOF");
    is_short(&fixture.send("PATCH", &host(OTHER), r#"{"id":"x"}"#).await, "invalid id");
    is_short(&fixture.send("PATCH", &host(OTHER), "[").await, "");
}

#[tokio::test]
async fn patch_with_another_id_is_409_and_moves_nothing() {
    let fixture = fixture().await.with_other().await;
    let answered = fixture.send("PATCH", &host(OTHER), &json!({ "id": NOBODY }).to_string()).await;
    is_long(&answered, 409, "cannot be changed");
    assert_eq!(fixture.get(&host(NOBODY)).await.status, 404);
    // Another case is no other id.
    let same = json!({ "id": OTHER.to_uppercase() }).to_string();
    assert_eq!(fixture.send("PATCH", &host(OTHER), &same).await.json()["id"], OTHER);
}

#[tokio::test]
async fn patch_leaves_config_subnets_and_guests() {
    let fixture = fixture().await.with_other().await.with_subnet().await;
    let (attached, guest) = (json!({ SUBNET: "br0" }), VmId::new());
    fixture.send("PATCH", &(host(OTHER) + "/config"), r#"{"a":"b"}"#).await;
    fixture.send("PATCH", &(host(OTHER) + "/subnets"), &attached.to_string()).await;
    fixture.hosts.assign(OTHER.parse().unwrap(), guest).await.unwrap();
    for body in ["null", r#"{"metadata":{"a":"c"}}"#] {
        assert_eq!(fixture.send("PATCH", &host(OTHER), body).await.status, 200);
    }
    assert_eq!(fixture.get(&(host(OTHER) + "/config")).await.text, "{\"a\":\"b\"}\n");
    assert_eq!(fixture.get(&(host(OTHER) + "/subnets")).await.json(), attached);
    assert_eq!(fixture.get(&(host(OTHER) + "/guests")).await.json(), json!([guest]));
}

#[tokio::test]
async fn delete_with_guests_is_409() {
    let fixture = fixture().await.with_other().await;
    let vm = VmId::new();
    fixture.hosts.assign(OTHER.parse().unwrap(), vm).await.unwrap();
    is_long(&fixture.send("DELETE", &host(OTHER), "").await, 409, "not empty");
    let guests = fixture.get(&(host(OTHER) + "/guests")).await;
    assert_eq!(guests.json(), json!([vm]));
    fixture.hosts.unassign(OTHER.parse().unwrap(), vm).await.unwrap();
    assert_eq!(fixture.send("DELETE", &host(OTHER), "").await.status, 200);
}

#[tokio::test]
async fn delete_takes_config_and_subnets_along() {
    let fixture = fixture().await.with_other().await.with_subnet().await;
    fixture.send("PATCH", &(host(OTHER) + "/config"), r#"{"a":"b"}"#).await;
    let attached = json!({ SUBNET: "br0" }).to_string();
    fixture.send("PATCH", &(host(OTHER) + "/subnets"), &attached).await;
    assert_eq!(fixture.send("DELETE", &host(OTHER), "").await.status, 200);
    let fixture = fixture.with_other().await;
    assert_eq!(fixture.get(&(host(OTHER) + "/config")).await.text, "{}\n");
    assert_eq!(fixture.get(&(host(OTHER) + "/subnets")).await.text, "{}\n");
}

#[tokio::test]
async fn patch_of_config_that_cannot_be_read_is_400_in_the_long_shape() {
    let fixture = fixture().await.with_other().await;
    let config = host(OTHER) + "/config";
    for body in ["", "{", "[]", "7", r#"{"a":1}"#, r#"{"a":{}}"#] {
        is_long(&fixture.send("PATCH", &config, body).await, 400, "");
    }
    for body in ["null", "{}", r#"{"absent":""}"#] {
        assert_eq!(fixture.send("PATCH", &config, body).await.text, "{}\n");
    }
}

#[tokio::test]
async fn patch_of_config_with_a_key_that_climbs_is_400_and_does_nothing() {
    let fixture = fixture().await.with_other().await;
    let config = host(OTHER) + "/config";
    for key in ["", "a/b", "guests/x", "../metadata", "..", ".", "a\nb"] {
        let body = json!({ "0-first": "told", key: "x" }).to_string();
        is_long(&fixture.send("PATCH", &config, &body).await, 400, "config key");
        is_long(&fixture.send("PATCH", &config, &json!({ key: "" }).to_string()).await, 400, "");
    }
    assert_eq!(fixture.get(&config).await.text, "{}\n");
    assert_eq!(fixture.get("/hypervisors").await.status, 200);
}

#[tokio::test]
async fn patch_of_subnets_adds_and_never_removes() {
    let fixture = fixture().await.with_other().await.with_subnet().await;
    let subnets = host(OTHER) + "/subnets";
    for (sent, shown) in [("br0", "br0"), ("br1", "br1"), ("", "")] {
        let body = json!({ SUBNET.to_uppercase(): sent }).to_string();
        let answered = fixture.send("PATCH", &subnets, &body).await;
        assert_eq!(answered.json(), json!({ SUBNET: shown }));
    }
    assert_eq!(fixture.send("PATCH", &subnets, "{}").await.json(), json!({ SUBNET: "" }));
}

#[tokio::test]
async fn patch_of_subnets_with_one_that_there_is_none_of_is_404_and_does_nothing() {
    let fixture = fixture().await.with_other().await.with_subnet().await;
    let subnets = host(OTHER) + "/subnets";
    let unknown = SubnetId::new().to_string();
    for id in [&*unknown, "no id", ""] {
        let body = json!({ SUBNET: "br0", id: "br0" }).to_string();
        is_long(&fixture.send("PATCH", &subnets, &body).await, 404, "no subnet");
    }
    for body in ["", "[]", &format!(r#"{{"{SUBNET}":7}}"#)] {
        is_long(&fixture.send("PATCH", &subnets, body).await, 400, "");
    }
    assert_eq!(fixture.get(&subnets).await.text, "{}\n");
}

#[tokio::test]
async fn delete_of_a_subnet_is_404_only_where_there_is_none() {
    let fixture = fixture().await.with_other().await.with_subnet().await;
    let subnets = host(OTHER) + "/subnets";
    // Known, and not attached.
    assert_eq!(fixture.send("DELETE", &format!("{subnets}/{SUBNET}"), "").await.text, "{}\n");
    for id in [&*SubnetId::new().to_string(), "no-id", "%2e%2e%2f"] {
        is_long(&fixture.send("DELETE", &format!("{subnets}/{id}"), "").await, 404, "no subnet");
    }
    // Attached, and gone itself.
    let body = json!({ SUBNET: "br0" }).to_string();
    fixture.send("PATCH", &subnets, &body).await;
    let gone = NetworkRequest::DeleteSubnet { subnet: SUBNET.parse().unwrap() };
    fixture.house.perform(Request::Network(gone)).await;
    let answered = fixture.send("DELETE", &format!("{subnets}/{SUBNET}"), "").await;
    assert_eq!((answered.status.as_u16(), &*answered.text), (200, "{}\n"));
}

#[tokio::test]
async fn other_methods_and_paths_are_not_found() {
    let fixture = fixture().await.with_other().await;
    let host = host(OTHER);
    for (method, path) in [
        ("PUT", &*host),
        ("DELETE", "/hypervisors"),
        ("POST", &(host.clone() + "/guests")),
        ("DELETE", &(host.clone() + "/guests")),
        ("GET", &format!("{host}/subnets/{SUBNET}")),
        ("PATCH", &format!("{host}/subnets/{SUBNET}")),
        ("GET", "/"),
        ("GET", "/v1/hypervisors"),
        ("GET", "/metrics"),
        ("PUT", "/hypervisors/"),
    ] {
        let answered = fixture.send(method, path, "").await;
        is_page_not_found(&answered);
    }
    let headers_only = fixture.send("HEAD", "/hypervisors", "").await;
    assert_eq!((headers_only.status, &*headers_only.text), (StatusCode::NOT_FOUND, ""));
}

#[tokio::test]
async fn slashes_too_many_lead_to_the_path_without() {
    let fixture = fixture().await.with_other().await;
    let host = host(OTHER);
    for (method, path, to) in [
        ("GET", "/hypervisors/", "/hypervisors"),
        ("PATCH", &*format!("{host}/config/"), &*format!("{host}/config")),
        ("GET", "//hypervisors", "/hypervisors"),
        ("PUT", "/hypervisors//x", "/hypervisors/x"),
        ("GET", "/hypervisors/?a=b", "/hypervisors?a=b"),
        ("GET", "/hypervisors//config", "/hypervisors/config"),
        // One after the other.
        ("GET", "//hypervisors/", "/hypervisors/"),
        // To nobody else's host.
        ("GET", "//example.org//x", "/example.org/x"),
    ] {
        let answered = fixture.send(method, path, "").await;
        assert_eq!(answered.status, 301, "{method} {path}: {}", answered.text);
        assert_eq!(answered.headers["location"], to);
    }
}

#[tokio::test]
async fn dots_in_a_path_lead_nowhere() {
    let fixture = fixture().await.with_other().await;
    let host = host(OTHER);
    for path in ["/hypervisors/../x", "/./hypervisors", &format!("{host}/./config"), "//", "/../"] {
        is_page_not_found(&fixture.get(path).await);
    }
    for id in ["..", ".", "%2e%2e"] {
        is_short(&fixture.get(&format!("/hypervisors/{id}")).await, "invalid hypervisor id");
        is_short(&fixture.get(&format!("/hypervisors/{id}/config")).await, "invalid hypervisor id");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413() {
    let fixture = fixture().await.with_other().await;
    let large = format!(r#"{{"metadata":{{"a":"{}"}}}}"#, "x".repeat(300 << 10));
    is_long(&fixture.send("PATCH", &host(OTHER), &large).await, 413, "at most");
    let larger = "x".repeat(Chypervisord::MAX_BODY + 1);
    assert_eq!(fixture.send("PATCH", &host(OTHER), &larger).await.status, 413);
}

#[tokio::test]
async fn a_viewer_reads_and_changes_nothing() {
    let fixture = fixture().await.with_other().await;
    let this_host =
        ThisHost { id: THIS.parse().unwrap(), ip: None, mac: None, total: Resources::default() };
    let door = Chypervisord::open(fixture.hosts.clone(), this_host).await.unwrap();
    let door = fixture.house.door(door, Role::Operator);
    assert_eq!(door.get("/hypervisors").await.status, 200);
    for (method, path) in [("POST", "/hypervisors".into()), ("DELETE", host(OTHER))] {
        is_long(&door.send(method, &path, "{}").await, 403, "operator");
    }
}
