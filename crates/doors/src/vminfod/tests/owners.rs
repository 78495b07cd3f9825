//! Callers who are bound to a project: lists, filters and streams have its VMs alone.

use super::{client::EventStream, *};
use crate::{access::Entrance, testing::of_project};
use innkeeper_auth::{IssuedTokens, NewToken};
use innkeeper_model::{Timestamp, VmConfig};

fn config_in(project: &str, name: &str) -> Value {
    let mut config = config(name);
    config["project"] = project.into();
    config
}

#[tokio::test]
async fn a_list_has_ones_own_whatever_is_asked_for() {
    let house = House::new().await;
    let own = house.create(config_in("us", "web")).await;
    let other = house.create(config_in("rivals", "secret")).await;
    let door = house.door_at(Vminfod, Entrance::of(of_project("us", Role::Viewer)));
    let all = house.door(Vminfod, Role::Viewer);
    for (query, everybodys) in [
        ("".to_owned(), 2),
        ("?state=stopped".to_owned(), 2),
        ("?fields=uuid,alias".to_owned(), 2),
        (format!("?uuid={own}"), 1),
    ] {
        // The list that is kept is everybody's, and is not handed to somebody who is bound.
        let listed = all.get(&format!("/vms{query}")).await.json();
        assert_eq!(listed.as_array().unwrap().len(), everybodys, "{query}");
        let listed = door.get(&format!("/vms{query}")).await;
        let uuids: Vec<Value> =
            listed.json().as_array().unwrap().iter().map(|vm| vm["uuid"].clone()).collect();
        assert_eq!(uuids, [json!(own)], "{query}");
        assert!(!listed.text.contains("secret"), "{query}");
    }
    for query in [format!("?uuid={other}"), "?alias=secret".into(), "?owner_uuid=rivals".into()] {
        assert_eq!(door.get(&format!("/vms{query}")).await.text, "[]", "{query}");
    }
}

/// The door on a real socket, and what somebody of this project shows there.
async fn door_for(house: &House, project: &str) -> (SocketAddr, String, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let issued = Arc::new(IssuedTokens::open(&folder.path().join("tokens.json")).unwrap());
    let wanted = NewToken {
        name: project.parse().unwrap(),
        role: Role::Viewer,
        project: Some(project.parse().unwrap()),
        expires: None,
        privileged: false,
    };
    let (_, text) = issued.create(wanted, "uid:0", Timestamp::now()).unwrap();
    let text = text.expose().unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let access = Access::by_credential(Doorkeeper::default().with_issued(issued));
    tokio::spawn(gate::serve(Vminfod, listener, house.context.clone(), access));
    (address, text, folder)
}

#[tokio::test]
async fn a_stream_tells_of_ones_own_and_goes_on_after_what_was_others() {
    let house = House::new().await;
    let own = house.create(config_in("us", "web")).await;
    let other = house.create(config_in("rivals", "secret")).await;
    let (address, token, _folder) = door_for(&house, "us").await;
    let mut stream = EventStream::open_as(address, "/events", &token).await;
    let vms = stream.vms();
    assert_eq!((vms.len(), &vms[0]["uuid"]), (1, &json!(own)));
    house.start(other).await;
    house.start(own).await;
    let event = stream.next().await.unwrap();
    assert_eq!(event["uuid"], json!(own), "{event}");
    let position = event["position"].as_str().unwrap().to_owned();
    drop(stream);
    kill(&house, other).await;
    kill(&house, own).await;
    let since = format!("/events?since={position}");
    let mut resumed = EventStream::open_as(address, &since, &token).await;
    assert_eq!(resumed.ready["resumed"], true);
    let stopped = resumed
        .until(|event| {
            assert_eq!(event["uuid"], json!(own), "{event}");
            event["vm"]["state"] == "stopped"
        })
        .await;
    assert_eq!(stopped["uuid"], json!(own));
}

#[tokio::test]
async fn a_vm_that_is_given_away_is_gone_for_those_who_had_it() {
    let house = House::new().await;
    let vm = house.create(config_in("us", "web")).await;
    let (address, token, _folder) = door_for(&house, "us").await;
    let (there, theirs, _there) = door_for(&house, "rivals").await;
    let mut ours = EventStream::open_as(address, "/events", &token).await;
    let mut their = EventStream::open_as(there, "/events", &theirs).await;
    assert_eq!((ours.vms().len(), their.vms().len()), (1, 0));
    let config: VmConfig = serde_json::from_value(config_in("rivals", "web")).unwrap();
    let edit = Request::Edit { vm, config: Box::new(config), expected: None };
    house.perform(edit).await;
    let gone = ours.until(|event| event["type"] == "delete").await;
    assert_eq!(gone["uuid"], json!(vm));
    assert!(!gone.to_string().contains("rivals"), "{gone}");
    let come = their.next().await.unwrap();
    assert_eq!((&come["type"], &come["uuid"]), (&json!("create"), &json!(vm)), "{come}");
}
