//! Lists, and their filters.

use super::*;
use innkeeper_model::Timestamp;

/// The names of the VMs that fit.
async fn names(fixture: &Fixture, filter: Value) -> Vec<String> {
    let listed = fixture.send("GET", "/vms", json!({ "filter": filter })).await;
    assert_eq!(listed.status, 200, "{}", listed.text);
    let items = listed.json()["items"].clone();
    let name = |item: &Value| item["fields"]["name"].as_str().unwrap().to_owned();
    items.as_array().map(|items| items.iter().map(name).collect()).unwrap_or_default()
}

#[tokio::test]
async fn an_empty_list_is_null() {
    let fixture = fixture().await;
    assert_eq!(fixture.door.send("GET", "/vms", "{}").await.text, "{\"items\":null}");
    let none = json!({ "filter": { "name": "nobody" } });
    assert_eq!(fixture.send("GET", "/hosts", none).await.text, "{\"items\":null}");
}

#[tokio::test]
async fn each_part_of_a_filter_narrows() {
    let fixture = fixture().await;
    fixture.running("web-1").await;
    let mut other = vmdef("web-2");
    other["custom"] = json!([{ "name": "a", "value": "1" }, { "name": "role", "value": "db" }]);
    other["vlanid"] = json!(7);
    fixture.made(other).await;
    for (filter, expected) in [
        (json!({}), &["web-1", "web-2"][..]),
        (json!({ "name": "b-" }), &["web-1", "web-2"]),
        (json!({ "name": "2" }), &["web-2"]),
        (json!({ "host": THIS }), &["web-1", "web-2"]),
        (json!({ "host": OTHER }), &[]),
        (json!({ "runstate": 4 }), &["web-1"]),
        (json!({ "runstate": 2 }), &["web-2"]),
        (json!({ "vlanid": 7 }), &["web-2"]),
        (json!({ "vlanid": -1 }), &["web-1", "web-2"]),
        (json!({ "custom": { "name": "role", "value": "web" } }), &["web-1"]),
        (json!({ "custom": { "name": "role", "value": "db" } }), &["web-2"]),
        (json!({ "custom": { "name": "role", "value": "x" } }), &[]),
        (json!({ "custom": { "name": "role" } }), &["web-1", "web-2"]),
        (json!({ "custom": { "name": "virtx.vlanid", "value": "7" } }), &[]),
        (json!({ "ts": i64::MAX }), &["web-1", "web-2"]),
        (json!({ "ts": 1 }), &[]),
        (json!({ "name": "web", "runstate": 4, "vlanid": 7 }), &[]),
    ] {
        assert_eq!(names(&fixture, filter.clone()).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn a_list_shows_the_vms_own_custom_field_and_not_the_filters() {
    let fixture = fixture().await;
    let mut def = vmdef("web");
    def["custom"] = json!([{ "name": "a", "value": "1" }, { "name": "b", "value": "2" }]);
    fixture.made(def).await;
    for (custom, shown) in [
        (json!({}), json!({ "name": "a", "value": "1" })),
        (json!({ "name": "b" }), json!({ "name": "b", "value": "2" })),
    ] {
        let filter = json!({ "filter": { "custom": custom } });
        let listed = fixture.send("GET", "/vms", filter).await.json();
        assert_eq!(listed["items"][0]["fields"]["custom"], shown);
    }
}

#[tokio::test]
async fn hosts_are_filtered_too() {
    let fixture = fixture().await;
    for (filter, count) in [
        (json!({ "name": "inn", "cstate": 1 }), 1),
        (json!({ "cstate": 3 }), 0),
        (json!({ "cpudef": { "nodes": 1000 } }), 0),
    ] {
        let listed = fixture.send("GET", "/hosts", json!({ "filter": filter })).await.json();
        assert_eq!(listed["items"].as_array().map_or(0, Vec::len), count, "{filter}");
    }
}

/// What a manager that cannot be asked any more had said of its VM is as old as its `ts`.
#[tokio::test]
async fn a_vm_whose_manager_is_lost_has_the_age_of_what_is_known_of_it() {
    let fixture = fixture().await;
    let path = fixture.domain().await;
    let id = fixture.vm(&path).id;
    let at: Timestamp = "2026-03-01T12:30:05.250Z".parse().unwrap();
    let lost = Update::VmManagerLost { id, at, reason: "no socket".into() };
    fixture.house.context.view().barrier(vec![lost]).await.unwrap();
    let shown = fixture.get(&path).await;
    assert_eq!(
        (&shown["runinfo"]["runstate"], &shown["ts"]),
        (&json!(4), &json!(1772368205250_i64))
    );
    let listed = fixture.send("GET", "/vms", json!({})).await.json();
    assert_eq!(listed["items"][0]["fields"]["ts"], shown["ts"]);
}
