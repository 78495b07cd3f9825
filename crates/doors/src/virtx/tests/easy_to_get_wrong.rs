//! What is easy to get wrong of virtx, each named for the point. (That firmware is kept is a test of
//! definitions; the points about gossip and migration have nothing here that could go wrong.)

use super::*;
use crate::{Access, Protocol, gate};
use innkeeper_auth::Doorkeeper;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[tokio::test]
async fn point_1_a_get_brings_a_body_over_a_real_socket() {
    let fixture = fixture().await;
    fixture.made(vmdef("web")).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
    let access =
        Access::by_credential(Doorkeeper::default()).or_anonymous(Role::Viewer, [uid].into());
    tokio::spawn(gate::serve(Virtx::open(), listener, fixture.house.context.clone(), access));
    let ask = async |head: &str, body: &str| {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET /vms HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}\r\n{body}"
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer.to_lowercase()
    };
    let answer = ask("Content-Length: 2\r\n", "{}").await;
    assert!(answer.starts_with("http/1.1 200") && answer.contains("\"name\":\"web\""), "{answer}");
    assert!(answer.contains("content-length: "), "{answer}");
    let without = ask("", "").await;
    assert!(
        without.starts_with("http/1.1 400") && without.contains("content-length: "),
        "{without}"
    );
    let chunked = ask("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n").await;
    assert!(chunked.starts_with("http/1.1 400"), "{chunked}");
    let filtered = "{\"filter\":{\"name\":\"nobody\"}}";
    let answer = ask(&format!("Content-Length: {}\r\n", filtered.len()), filtered).await;
    assert!(answer.ends_with("{\"items\":null}"), "{answer}");
}

#[tokio::test]
async fn point_2_enumerations_are_numbers_and_words_are_refused() {
    let fixture = fixture().await;
    let filter = json!({ "filter": { "runstate": "RUNNING" } });
    refused(&fixture.send("GET", "/vms", filter).await, 400, "filter.runstate");
    let mut def = vmdef("web");
    def["osdisk"]["device"] = json!("disk");
    refused(&fixture.send("POST", "/vms", json!({ "vmdef": def })).await, 400, "osdisk.device");
}

#[tokio::test]
async fn point_3_what_is_made_can_be_read_at_once_everywhere() {
    let fixture = fixture().await;
    let path = fixture.made(vmdef("web")).await;
    assert_eq!(fixture.get(&path).await["def"]["name"], "web");
    assert_eq!(fixture.get(&format!("{path}/runstate")).await["runstate"], 2);
    let listed = fixture.send("GET", "/vms", json!({})).await.json();
    assert_eq!(listed["items"][0]["fields"]["name"], "web");
    // So it is with a door that is opened only then: nothing is gathered beforehand.
    let door = fixture.house.door(Virtx::open(), Role::Viewer);
    assert_eq!(door.get(&path).await.status, 200);
}

#[tokio::test]
async fn point_4_powered_off_is_also_crashed() {
    use crate::virtx::{numbers::Vmrunstate, runstate::is_off};
    for number in 0..=9 {
        let state: Vmrunstate = serde_json::from_value(json!(number)).unwrap();
        assert_eq!(is_off(state), [2, 9].contains(&number), "{number}");
    }
}

#[tokio::test]
async fn point_5_what_was_said_of_a_disk_comes_back_its_size_included() {
    let fixture = fixture().await;
    let mut def = vmdef("web");
    def["disks"] = json!([
        { "path": "/vms/ds/web/data.raw", "device": 0, "bus": 1, "man": 1, "prov": 1, "size": 8 },
    ]);
    let path = fixture.made(def.clone()).await;
    assert_eq!(fixture.get(&path).await["def"]["disks"], def["disks"]);
}

#[tokio::test]
async fn unset_is_zero_and_null_is_unset_and_what_is_not_known_is_ignored() {
    let fixture = fixture().await;
    for body in [
        "{}",
        "null",
        "{\"filter\":null}",
        "{\"filter\":{\"name\":null,\"custom\":{\"name\":null}}}",
        "{\"filter\":{\"planet\":\"earth\"},\"page\":{\"index\":1}}",
    ] {
        assert_eq!(fixture.door.send("GET", "/vms", body).await.status, 200, "{body}");
    }
}

#[test]
fn a_body_is_bounded_as_virtx_bounds_it() {
    assert_eq!(<Virtx as Protocol>::MAX_BODY, 1_048_575);
}
