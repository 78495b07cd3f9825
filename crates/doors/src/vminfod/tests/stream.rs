//! The events, over a real socket.

use super::{client::EventStream, *};
use innkeeper_model::{Revision, Timestamp};
use innkeeper_view::Update;

#[tokio::test]
async fn what_happens_is_told_in_order_and_what_is_not_shown_is_not() {
    let house = House::new().await;
    let address = opened(&house.context).await;
    let mut stream = EventStream::open(address, "/events").await;
    assert_eq!(stream.ready["vms"], "[]");
    let vm = house.create(config("web")).await;
    house.start(vm).await;
    kill(&house, vm).await;
    house.perform(Request::Delete { vm, force: false }).await;
    let mut seen = Vec::new();
    loop {
        let event = stream.next().await.unwrap();
        assert_eq!((&event["uuid"], &event["zonename"]), (&json!(vm), &json!(vm)));
        let date = event["date"].as_str().unwrap();
        assert!(date.ends_with('Z') && date.len() == "2026-01-02T03:04:05.678Z".len(), "{date}");
        assert!(event["position"].is_string());
        let kind = event["type"].as_str().unwrap().to_owned();
        match &*kind {
            "create" => assert_eq!(event["vm"]["alias"], "web"),
            "modify" => assert!(
                event["vm"].is_object() && !event["changes"].as_array().unwrap().is_empty(),
                "{event}"
            ),
            _ => assert_eq!((event.get("vm"), event.get("changes")), (None, None)),
        }
        let deleted = kind == "delete";
        seen.push(event);
        if deleted {
            break;
        }
    }
    assert_eq!(seen[0]["type"], "create");
    let states: Vec<_> = seen
        .iter()
        .flat_map(|event| event["changes"].as_array().cloned().unwrap_or_default())
        .filter(|change| change["prettyPath"] == "state")
        .map(|change| change["newValue"].clone())
        .collect();
    assert!(
        states.contains(&json!("running")) && states.last() == Some(&json!("stopped")),
        "{states:?}"
    );
}

/// Whoever is told of a change and looks finds it, or what came after it.
#[tokio::test]
async fn what_is_told_is_there_to_be_read() {
    let (view, context) = view();
    let mut changing = spec(json!({ "name": "web" }));
    let path = format!("/vms/{}", changing.id);
    view.barrier(vec![Update::VmSpec(Arc::new(changing.clone()))]).await.unwrap();
    let address = opened(&context).await;
    let mut stream = EventStream::open(address, "/events").await;
    let writing = tokio::spawn(async move {
        for second in 1..=50 {
            changing.updated = Timestamp::from_second(second).unwrap();
            changing.revision = Revision(second.unsigned_abs() + 1);
            view.barrier(vec![Update::VmSpec(Arc::new(changing.clone()))]).await.unwrap();
        }
    });
    let mut told = 0;
    while told < 50 {
        let event = stream.next().await.unwrap();
        let at = |vm: &Value| vm["last_modified"].as_str().unwrap().parse::<Timestamp>().unwrap();
        told = at(&event["vm"]).as_second();
        let read = at(&client::get(address, &path).await.json()).as_second();
        assert!(read >= told, "told of {told}, and {read} was read");
    }
    writing.await.unwrap();
}

#[tokio::test]
async fn what_changes_at_once_is_one_event_and_all_listeners_are_told_the_same() {
    let (view, context) = view();
    let before = spec(config("web"));
    view.barrier(vec![Update::VmSpec(Arc::new(before.clone()))]).await.unwrap();
    let address = opened(&context).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(EventStream::open(address, "/events").await);
    }
    let mut after = before.clone();
    after.revision = Revision(2);
    after.config.name = "other".parse().unwrap();
    after.config.memory = innkeeper_model::Mebibytes(32);
    after.config.labels = [("role", "db".to_owned())].into();
    let id = after.id;
    view.post(Update::VmSpec(Arc::new(after)));
    view.post(Update::VmRemoved(id));
    let mut told = Vec::new();
    for stream in &mut streams {
        let mut events = Vec::new();
        while events.last().is_none_or(|event: &Value| event["type"] != "delete") {
            events.push(stream.next().await.unwrap());
        }
        told.push(events);
    }
    let [modified, _deleted] = &told[0][..] else { panic!("{:?}", told[0]) };
    let changes = modified["changes"].as_array().unwrap().iter();
    let changed: Vec<_> = changes.map(|change| change["prettyPath"].as_str().unwrap()).collect();
    for path in ["alias", "ram", "tags.role"] {
        assert!(changed.contains(&path), "{path} in {changed:?}");
    }
    assert_eq!((&told[0], &told[0]), (&told[1], &told[2]));
}

#[tokio::test]
async fn a_listener_is_shown_while_it_listens() {
    let house = House::new().await;
    let door = house.door(Vminfod, Role::Viewer);
    let address = opened(&house.context).await;
    // The door without a socket is another one, with listeners of its own.
    let stream = EventStream::open(address, "/events").await;
    let id = stream.ready["uuid"].as_str().unwrap().to_owned();
    assert_eq!(door.get("/status").await.json()["eventsListeners"], json!({}));
    let listeners =
        || async { client::get(address, "/status").await.json()["eventsListeners"].clone() };
    let shown = listeners().await[&id].clone();
    assert_eq!(shown["userAgent"], client::USER_AGENT);
    for field in ["createdTime", "createdDate", "createdAgo"] {
        assert!(shown[field].is_string(), "{shown}");
    }
    drop(stream);
    client::eventually(async || listeners().await == json!({})).await;
}

#[tokio::test]
async fn a_reader_goes_on_where_it_was() {
    let house = House::new().await;
    let address = opened(&house.context).await;
    let mut stream = EventStream::open(address, "/events").await;
    let first = house.create(config("first")).await;
    let seen = stream.until(|event| event["type"] == "create").await;
    drop(stream);
    house.create(config("second")).await;
    let position = seen["position"].as_str().unwrap();
    let mut resumed = EventStream::open(address, &format!("/events?since={position}")).await;
    assert_eq!((&resumed.ready["resumed"], resumed.ready.get("vms")), (&json!(true), None));
    let next = resumed.until(|event| event["type"] == "create").await;
    assert_eq!(next["vm"]["alias"], "second");
    // Of an earlier run of the daemon: what it missed nobody knows, and it begins anew.
    let other = format!("/events?since={}-1", uuid::Uuid::new_v4().simple());
    let anew = EventStream::open(address, &other).await;
    assert_eq!(anew.ready.get("resumed"), None);
    assert!(anew.ready["vms"].as_str().unwrap().contains(&first.to_string()));
}

#[tokio::test]
async fn a_reader_of_one_vm_is_told_of_no_other() {
    let house = House::new().await;
    let address = opened(&house.context).await;
    let (one, other) = (house.create(config("one")).await, house.create(config("other")).await);
    let mut stream = EventStream::open(address, &format!("/events?uuid={one}")).await;
    let vms = stream.vms();
    assert_eq!((vms.len(), &vms[0]["uuid"]), (1, &json!(one)));
    house.start(other).await;
    house.start(one).await;
    let event = stream.next().await.unwrap();
    assert_eq!(event["uuid"], json!(one));
    // One that leaves a filter is told of when it does.
    let mut running = EventStream::open(address, "/events?state=running&alias=one").await;
    kill(&house, one).await;
    let left = running
        .until(|event| {
            let changes = event["changes"].as_array().unwrap();
            changes.iter().any(|change| change["prettyPath"] == "state")
        })
        .await;
    assert_eq!(left["uuid"], json!(one));
}

#[tokio::test]
async fn a_write_is_in_reads_and_in_the_stream_when_it_returns() {
    let house = House::new().await;
    let door = house.door(Vminfod, Role::Viewer);
    for round in 0..20 {
        let position = house.context.view().snapshot().position();
        let vm = house.create(config(&format!("vm-{round}"))).await;
        // At once: nothing is waited for.
        assert_eq!(door.get(&format!("/vms/{vm}")).await.json()["state"], "stopped");
        house.start(vm).await;
        assert_eq!(door.get(&format!("/vms/{vm}")).await.json()["state"], "running");
        // All that there is after the position is there already.
        let since = format!("/events?since={position}&uuid={vm}");
        let chunk = at_once(&house.context, &since).await;
        let running = |line: &Value| line["vm"]["state"] == "running";
        let lines: Vec<Value> =
            chunk.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines.iter().any(running), "{chunk}");
        house.perform(Request::Delete { vm, force: true }).await;
        assert_eq!(door.get(&format!("/vms/{vm}")).await.status, 404);
    }
}

#[tokio::test]
async fn the_stream_ends_with_the_daemon() {
    let house = House::new().await;
    let address = opened(&house.context).await;
    let mut stream = EventStream::open(address, "/events").await;
    house.context.stopping().cancel();
    assert_eq!(stream.next().await, None);
}
