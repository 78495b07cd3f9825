//! What is easily got wrong about this protocol, each named for the point.

use super::{client::EventStream, *};
use crate::testing::scripted::Script;
use innkeeper_driver::conformance::PaperManager;
use innkeeper_model::{Code, MachineState, Refusal, Revision, TaskState, Timestamp, VmConfig};
use innkeeper_view::Update;
use std::sync::Arc;

#[tokio::test]
async fn point_1_the_vms_of_ready_are_a_text_of_json_and_its_uuid_is_the_listeners() {
    let house = House::new().await;
    let awkward = json!({ "name": "web", "labels": { "quote": "\"\\\n名前" } });
    let vm = house.create(awkward).await;
    let address = opened(&house.context).await;
    let stream = EventStream::open(address, "/events").await;
    assert!(stream.ready["vms"].is_string());
    assert_eq!(json!(stream.vms()), super::client::get(address, "/vms").await.json());
    assert_ne!(stream.ready["uuid"], json!(vm));
    assert_eq!(stream.vms()[0]["tags"]["quote"], "\"\\\n名前");
}

#[tokio::test]
async fn point_2_an_update_that_changes_nothing_shows_its_time_alone_and_is_not_waited_for() {
    let house = House::new().await;
    let vm = house.create(config("web")).await;
    let address = opened(&house.context).await;
    let mut stream = EventStream::open(address, "/events").await;
    let spec = house.vm(vm).unwrap().spec.clone().unwrap();
    // It returns, though nothing is to be seen of it but the time of the change.
    let same = Request::Edit { vm, config: Box::new(spec.config.clone()), expected: None };
    house.perform(same).await;
    house.perform(Request::Delete { vm, force: false }).await;
    loop {
        let event = stream.next().await.unwrap();
        if event["type"] == "delete" {
            break;
        }
        for change in event["changes"].as_array().unwrap() {
            assert_eq!(change["prettyPath"], "last_modified");
        }
    }
}

/// The door itself changes nothing: this is what every other door does for its readers.
#[tokio::test]
async fn point_3_the_wait_begins_after_the_action_and_done_but_not_seen_is_an_answer_of_its_own() {
    let config: VmConfig = serde_json::from_value(config("web")).unwrap();
    let caller = innkeeper_engine::Caller::innkeeper();
    let create = async |context: &Context| {
        let request = Request::Create { config: Box::new(config.clone()), id: None };
        context.perform(&caller, request, crate::testing::LONG).await
    };
    let house = House::new().await;
    // Seen: at this revision, which every reader has reached.
    let done = create(&house.context).await.unwrap();
    let revision = house.context.view().snapshot().revision;
    assert!(done.seen.unwrap() <= revision);
    // That a task has ended is told a moment before what it did is: that moment is waited for.
    let stage = Script::seen().staged().await;
    assert!(create(&stage.context).await.unwrap().seen.is_some());
    // Done, and not seen: neither the same nor a failure, and told at once.
    let stage = Script::unseen(TaskState::Done).staged().await;
    let done = create(&stage.context).await.unwrap();
    assert_eq!((done.task.state, done.seen), (TaskState::Done, None));
    // Still going on, and failed.
    let stage = Script::unseen(TaskState::Running).staged().await;
    assert_eq!(create(&stage.context).await.unwrap_err().code, Code::Timeout);
    let stage = Script::failed(Refusal::new(Code::OutOfSpace, "the disk is full")).staged().await;
    assert_eq!(create(&stage.context).await.unwrap_err().code, Code::OutOfSpace);
}

#[tokio::test]
async fn point_4_filters_work_on_the_server_and_fields_make_an_answer_smaller() {
    let house = House::new().await;
    let door = house.door(Vminfod, Role::Viewer);
    let vm = house.create(config("web")).await;
    let (whole, some) = (
        door.get(&format!("/vms/{vm}")).await.text,
        door.get(&format!("/vms/{vm}?fields=state")).await.text,
    );
    assert_eq!(some, r#"{"state":"stopped"}"#);
    assert!(whole.len() > some.len());
    assert_eq!(door.get("/vms?state=running").await.text, "[]");
}

#[tokio::test]
async fn point_5_another_order_of_nics_is_a_change_and_is_shown() {
    let (view, context) = view();
    let two = json!({ "name": "web", "nics": [
        { "name": "net0", "mac": "52:54:00:00:00:01" }, { "name": "net1", "mac": "52:54:00:00:00:02" },
    ] });
    let before = spec(two);
    let mut after = before.clone();
    after.config.nics.reverse();
    view.barrier(vec![Update::VmSpec(Arc::new(before.clone()))]).await.unwrap();
    let address = opened(&context).await;
    let mut stream = EventStream::open(address, "/events").await;
    view.barrier(vec![Update::VmSpec(Arc::new(after))]).await.unwrap();
    let event = stream.next().await.unwrap();
    let changes = event["changes"].as_array().unwrap();
    let whole = changes.iter().find(|change| change["prettyPath"] == "nics").unwrap();
    assert_eq!(whole["newValue"][0]["mac"], "52:54:00:00:00:02");
    let shown = client::get(address, &format!("/vms/{}", before.id)).await.json();
    assert_eq!(shown["nics"][0]["mac"], "52:54:00:00:00:02");
}

/// The ancestor drops a task that is like one that waits; here every change is an event of its own.
#[tokio::test]
async fn point_6_no_change_is_dropped_because_another_like_it_waits() {
    let (view, context) = view();
    let spec = spec(json!({ "name": "web" }));
    let id = spec.id;
    view.barrier(vec![Update::VmSpec(Arc::new(spec))]).await.unwrap();
    let address = opened(&context).await;
    let mut stream = EventStream::open(address, "/events").await;
    for round in 0..20 {
        let machine = if round % 2 == 0 { MachineState::Running } else { MachineState::Paused };
        let facts = innkeeper_model::Facts { machine, ..Default::default() };
        view.post(Update::VmFacts { id, facts });
    }
    for round in 0..20 {
        let state = if round % 2 == 0 { "running" } else { "paused" };
        assert_eq!(stream.next().await.unwrap()["vm"]["state"], state);
    }
}

/// Between a snapshot and the events after it nothing is left out and nothing comes twice.
#[tokio::test]
async fn point_7_nothing_falls_between_ready_and_the_first_event() {
    let (view, context) = view();
    let address = opened(&context).await;
    let writing = tokio::spawn({
        let view = view.clone();
        async move {
            for number in 0..40 {
                let spec = spec(json!({ "name": format!("vm-{number}") }));
                view.barrier(vec![Update::VmSpec(Arc::new(spec))]).await.unwrap();
            }
        }
    });
    for _ in 0..8 {
        let mut stream = EventStream::open(address, "/events").await;
        let mut seen: Vec<String> =
            stream.vms().iter().map(|vm| vm["alias"].as_str().unwrap().to_owned()).collect();
        while seen.len() < 40 {
            seen.push(stream.next().await.unwrap()["vm"]["alias"].as_str().unwrap().to_owned());
        }
        let expected: Vec<_> = (0..40).map(|number| format!("vm-{number}")).collect();
        assert_eq!(seen, expected);
    }
    writing.await.unwrap();
}

/// No file is watched, so a VM's file that another takes the place of is no VM that is gone.
#[tokio::test]
async fn point_7_a_file_that_is_replaced_by_rename_makes_no_event() {
    let house = House::new().await;
    let vm = house.create(config("web")).await;
    house.start(vm).await;
    let address = opened(&house.context).await;
    let mut stream = EventStream::open(address, "/events").await;
    let (file, beside) = (format!("vms/{vm}.json"), house.folder.path().join("beside"));
    for text in ["one", "two"] {
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(&beside, house.folder.path().join(&file)).unwrap();
    }
    let status = client::get(address, "/status?full").await.json();
    assert_eq!(status["fswatcher"]["running"], false);
    assert_eq!(status["fswatcher"]["watching"], json!([]));
    // What is told next is what happens to it next.
    assert!(house.world.pause_behind(vm));
    let told = stream.until(|event| event["type"] != "modify" || event["vm"]["state"] == "paused");
    assert_eq!(told.await["type"], "modify");
}

/// What nobody told of is found by looking, and is an event like any other.
#[tokio::test]
async fn point_8_what_a_survey_finds_are_ordinary_events() {
    let manager = Arc::new(PaperManager::default());
    let vm = manager.define("web");
    let house = House::beside(vec![manager.neighbour()]).await;
    house.engine.survey().await;
    let address = opened(&house.context).await;
    let mut stream = EventStream::open(address, "/events").await;
    // Behind the daemon's back, and no word of it comes.
    manager.change_silently(vm, MachineState::Running);
    house.engine.survey().await;
    let begun = json!({ "type": "modify", "uuid": vm, "vm": { "state": "running" } });
    stream.watch_for_event(&begun).await;
}

#[tokio::test]
async fn point_9_what_is_absent_says_something_and_a_delete_has_no_object() {
    let house = House::new().await;
    let door = house.door(Vminfod, Role::Viewer);
    let vm = house.create(config("web")).await;
    let off = door.get(&format!("/vms/{vm}")).await.json();
    for key in ["pid", "boot_timestamp", "quota", "failed", "problem", "exit_status", "managed_by"]
    {
        assert_eq!(off.get(key), None, "{key}");
    }
    assert_eq!((&off["state"], &off["zone_state"]), (&json!("stopped"), &json!("installed")));
    let address = opened(&house.context).await;
    let mut stream = EventStream::open(address, "/events").await;
    house.perform(Request::Delete { vm, force: false }).await;
    let gone = stream.until(|event| event["type"] == "delete").await;
    let keys: Vec<_> = gone.as_object().unwrap().keys().map(String::as_str).collect();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, ["date", "position", "type", "uuid", "zonename"]);
}

#[tokio::test]
async fn point_10_a_reader_that_is_too_slow_is_told_and_its_stream_ends() {
    let (view, context) = view();
    let big: serde_json::Map<_, _> =
        (0..60).map(|label| (format!("label-{label}"), json!("x".repeat(250)))).collect();
    let mut spec = spec(json!({ "name": "web", "labels": big }));
    view.barrier(vec![Update::VmSpec(Arc::new(spec.clone()))]).await.unwrap();
    let address = opened(&context).await;
    let mut stream = EventStream::open(address, "/events").await;
    // It does not read; the sockets between fill, and what comes after is forgotten.
    for revision in 2..4000 {
        spec.revision = Revision(revision);
        spec.updated = Timestamp::from_second(revision as i64).unwrap();
        view.barrier(vec![Update::VmSpec(Arc::new(spec.clone()))]).await.unwrap();
    }
    // Memory is bounded by what the view remembers, not by what the reader has not read.
    assert!(view.figures().changes <= 64);
    let mut last = Value::Null;
    while let Some(event) = stream.next().await {
        last = event;
    }
    assert_eq!(last["type"], "gap");
    assert!(last["position"].is_string() && last["message"].is_string());
    // It begins anew, and has everything.
    let anew = EventStream::open(address, "/events").await;
    assert_eq!(anew.vms()[0]["last_modified"], "1970-01-01T01:06:39.000Z");
}
