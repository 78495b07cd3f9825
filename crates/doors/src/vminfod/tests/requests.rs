//! Each row of the table of requests, byte for byte where the protocol fixes it.

use super::*;
use http::StatusCode;
use innkeeper_model::{Task, TaskId, Timestamp};
use innkeeper_view::Update;

/// The address of what is not there.
const ABSENT: &str = "01234567-89ab-7def-8123-456789abcdef";

#[tokio::test]
async fn ping_is_answered_with_pong() {
    let house = House::new().await;
    let door = house.door(Vminfod, Role::Viewer);
    for path in ["/ping", "/ping/", "/ping/x", "//ping", "/x/../ping", "/ping?x=y"] {
        let answered = door.get(path).await;
        assert_eq!(
            (answered.status, &*answered.text),
            (StatusCode::OK, r#"{"ping":"pong"}"#),
            "{path}"
        );
        assert_eq!(answered.headers["content-type"], "application/json");
    }
}

#[tokio::test]
async fn what_is_not_there_is_404_in_a_sentence() {
    let house = House::new().await;
    let door = house.door(Vminfod, Role::Viewer);
    for (path, text) in [
        ("/", "Unsupported URL Path"),
        ("/pong", "Unsupported URL Path"),
        ("/vms/x", "VM Not Found: x"),
        (&format!("/vms/{ABSENT}"), &format!("VM Not Found: {ABSENT}")),
        ("/vms/%2e%2e%2fx", "VM Not Found: %2e%2e%2fx"),
    ] {
        let answered = door.get(path).await;
        assert_eq!((answered.status, &*answered.text), (StatusCode::NOT_FOUND, text), "{path}");
        assert_eq!(answered.headers["content-type"], "application/json", "{path}");
    }
}

#[tokio::test]
async fn another_method_than_get_is_405_without_a_body_and_head_is_get_without_one() {
    let house = House::new().await;
    let door = house.door(Vminfod, Role::Viewer);
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answered = door.send(method, "/vms", "").await;
        assert_eq!(
            (answered.status, &*answered.text),
            (StatusCode::METHOD_NOT_ALLOWED, ""),
            "{method}"
        );
        assert_eq!(answered.headers["allow"], "GET, HEAD");
    }
    house.create(config("web")).await;
    for path in ["/ping", "/vms", "/events"] {
        let answered = door.send("HEAD", path, "").await;
        assert_eq!((answered.status, &*answered.text), (StatusCode::OK, ""), "{path}");
    }
    let (head, get) = (door.send("HEAD", "/vms", "").await, door.get("/vms").await);
    assert_eq!(head.headers["content-length"], *get.text.len().to_string());
    assert_eq!(door.send("HEAD", "/vms/x", "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn vms_are_listed_whole_in_the_order_in_which_they_came() {
    let house = House::new().await;
    let door = house.door(Vminfod, Role::Viewer);
    assert_eq!(door.get("/vms").await.text, "[]");
    let mut ids = Vec::new();
    for name in ["b", "a", "c"] {
        ids.push(house.create(config(name)).await);
    }
    for path in ["/vms", "/vms/"] {
        let list = door.get(path).await.json();
        let found: Vec<_> = list.as_array().unwrap().iter().map(|vm| vm["uuid"].clone()).collect();
        assert_eq!(found, ids.iter().map(|id| json!(id)).collect::<Vec<_>>());
        let one = door.get(&format!("/vms/{}", ids[1])).await;
        assert_eq!((one.status, one.json()), (StatusCode::OK, list[1].clone()));
    }
    // A further segment is not looked at.
    assert_eq!(door.get(&format!("/vms/{}/x", ids[0])).await.json()["alias"], "b");
    // One that changes keeps its place.
    house.start(ids[0]).await;
    let list = door.get("/vms").await.json();
    let found: Vec<_> = list.as_array().unwrap().iter().map(|vm| &vm["alias"]).collect();
    assert_eq!(found, ["b", "a", "c"]);
    assert_eq!(list[0]["state"], "running");
}

#[tokio::test]
async fn every_answer_says_that_it_is_json_whatever_it_is() {
    let house = House::new().await;
    let door = house.door(Vminfod, Role::Viewer);
    let vm = house.create(config("web")).await;
    for (method, path, status) in [
        ("GET", "/ping", 200),
        ("GET", "/status", 200),
        ("GET", "/vms", 200),
        ("GET", &*format!("/vms/{vm}"), 200),
        ("HEAD", "/events", 200),
        ("GET", "/vms?stat=running", 400),
        ("GET", "/pong", 404),
        ("GET", "/vms/x", 404),
        ("POST", "/vms", 405),
    ] {
        let answered = door.send(method, path, "").await;
        assert_eq!(answered.status, status, "{method} {path}");
        assert_eq!(answered.headers["content-type"], "application/json", "{method} {path}");
    }
}

/// Ids that were made elsewhere say nothing of when.
#[tokio::test]
async fn a_vm_whose_id_was_given_to_it_is_listed_where_its_age_puts_it() {
    let house = House::new().await;
    let own = house.create(config("own")).await;
    let given = [
        ("f0000000-0000-4000-8000-000000000000", 1),
        ("00000000-0000-4000-8000-000000000000", i64::from(u32::MAX)),
    ];
    let update = |(id, second): (&str, i64)| {
        let mut given =
            testing::spec(id.parse().unwrap(), serde_json::from_value(config(&id[..8])).unwrap());
        given.created = Timestamp::from_second(second).unwrap();
        Update::VmSpec(Arc::new(given))
    };
    house.context.view().barrier(given.into_iter().map(update).collect()).await.unwrap();
    let ordered = [json!(given[0].0), json!(own), json!(given[1].0)];
    let uuids = |list: &Value| -> Vec<Value> {
        list.as_array().unwrap().iter().map(|vm| vm["uuid"].clone()).collect()
    };
    let door = house.door(Vminfod, Role::Viewer);
    for path in ["/vms", "/vms?fields=uuid", "/vms?brand=kvm"] {
        assert_eq!(uuids(&door.get(path).await.json()), ordered, "{path}");
    }
    for path in ["/events", "/events?brand=kvm"] {
        let ready = at_once(&house.context, path).await;
        let ready: Value = serde_json::from_str(ready.lines().next().unwrap()).unwrap();
        let vms = serde_json::from_str(ready["vms"].as_str().unwrap()).unwrap();
        assert_eq!(uuids(&vms), ordered, "{path}");
    }
}

#[tokio::test]
async fn a_list_of_many_chunks_is_one_array_with_its_length() {
    let house = House::new().await;
    let door = house.door(Vminfod, Role::Viewer);
    let note = "x".repeat(240);
    for number in 0..40 {
        let labels: serde_json::Map<_, _> =
            (0..16).map(|label| (format!("label-{label}"), json!(note))).collect();
        house.create(json!({ "name": format!("vm-{number}"), "labels": labels })).await;
    }
    let answered = door.get("/vms").await;
    assert!(answered.text.len() > 2 * (64 << 10), "{}", answered.text.len());
    assert_eq!(answered.headers["content-length"], *answered.text.len().to_string());
    assert_eq!(answered.json().as_array().unwrap().len(), 40);
}

#[tokio::test]
async fn filters_and_fields_are_honoured_and_what_is_no_key_is_refused() {
    let house = House::new().await;
    let door = house.door(Vminfod, Role::Viewer);
    let web = house.create(config("web")).await;
    house.create(json!({ "name": "db" })).await;
    house.start(web).await;
    for (query, expected) in [
        ("state=running&tags.role=web", json!([{ "alias": "web" }])),
        ("state=stopped", json!([{ "alias": "db" }])),
        ("tags.role=db", json!([])),
        ("alias=~^W", json!([{ "alias": "web" }])),
        ("nics.*.nic_tag=user", json!([{ "alias": "web" }])),
        (&format!("uuid={web}"), json!([{ "alias": "web" }])),
        ("uuid=x", json!([])),
    ] {
        let answered = door.get(&format!("/vms?{query}&fields=alias")).await;
        assert_eq!(answered.json(), expected, "{query}");
    }
    let whole = door.get("/vms?state=running").await.json();
    assert_eq!(whole[0], door.get(&format!("/vms/{web}")).await.json());
    let some = door.get(&format!("/vms/{web}?fields=state,quota,alias")).await;
    assert_eq!(some.text, r#"{"alias":"web","state":"running"}"#);
    for (path, text) in [
        ("/vms?stat=running", "Unknown key: stat"),
        ("/vms?alias=~(", "Not an expression: \"(\""),
        (&format!("/vms/{web}?state=running"), "Unknown parameter: state"),
        ("/events?since=7", "since: not a position of a feed"),
    ] {
        let answered = door.get(path).await;
        assert_eq!((answered.status, &*answered.text), (StatusCode::BAD_REQUEST, text), "{path}");
    }
}

#[tokio::test]
async fn status_says_how_the_daemon_is() {
    let house = House::new().await;
    let door = house.door(Vminfod, Role::Viewer);
    house.create(config("web")).await;
    let status = door.get("/status").await.json();
    assert_eq!(status["pid"], std::process::id());
    assert!(status["uptime"].is_u64() && status["memory"]["rss"].as_u64().unwrap() > 1 << 20);
    assert!(status["memory"]["heapTotal"].is_u64() && status["memory"]["heapUsed"].is_u64());
    assert_eq!((&status["state"], &status["numVms"]), (&json!("running"), &json!(1)));
    assert_eq!((&status["lastRefresh"], &status["refreshErrors"]), (&json!(null), &json!([])));
    assert_eq!(status["eventsListeners"], json!({}));
    let queue = &status["queue"];
    assert_eq!((&queue["paused"], &queue["idle"]), (&json!(false), &json!(true)));
    let tasks = &queue["vasync_queue"];
    assert_eq!((&tasks["npending"], &tasks["nqueued"]), (&json!(0), &json!(0)));
    assert_eq!((&tasks["pending"], &tasks["queued"]), (&json!({}), &json!([])));
    let time = status["curTime"].as_str().unwrap();
    assert!(time.contains("s (") && time.ends_with(')'), "{time}");
    assert_eq!((status.get("refreshLog"), status.get("fswatcher")), (None, None));
}

#[tokio::test]
async fn status_has_each_of_its_members_and_full_adds_two() {
    let house = House::new().await;
    let door = house.door(Vminfod, Role::Viewer);
    let keys = |value: &Value| {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort_unstable();
        keys
    };
    let always = [
        "curDate",
        "curTime",
        "eventsListeners",
        "lastRefresh",
        "memory",
        "numVms",
        "pid",
        "queue",
        "refreshErrors",
        "state",
        "status",
        "uptime",
    ];
    let status = door.get("/status").await.json();
    assert_eq!(keys(&status), always);
    assert_eq!(keys(&status["memory"]), ["heapTotal", "heapUsed", "rss"]);
    let queue = &status["queue"];
    assert_eq!(keys(queue), ["idle", "now", "paused", "vasync_queue"]);
    let of_tasks = ["concurrency", "npending", "nqueued", "pending", "queued"];
    assert_eq!(keys(&queue["vasync_queue"]), of_tasks);
    assert_eq!(status["status"], "working");
    assert!(status["curDate"].as_str().unwrap().parse::<Timestamp>().is_ok());

    let full = door.get("/status?full=1").await.json();
    let added: Vec<_> = keys(&full).into_iter().filter(|key| !always.contains(&&**key)).collect();
    assert_eq!((keys(&full).len(), added.len()), (14, 2));
    assert_eq!(added, ["fswatcher", "refreshLog"]);
    let watcher = [
        "message_delays",
        "not_yet_watching",
        "pending_actions",
        "running",
        "watcher_pid",
        "watching",
    ];
    assert_eq!(keys(&full["fswatcher"]), watcher);
    assert_eq!(keys(&full["fswatcher"]["message_delays"]), ["1", "10", "100", "1000"]);
}

/// Seconds of a length of time, by its exact part.
fn seconds(length: &Value) -> f64 {
    let (exact, _) = length.as_str().unwrap().split_once("s (").unwrap();
    exact.parse().unwrap()
}

#[tokio::test]
async fn status_has_the_tasks_that_are_done_and_those_that_wait() {
    let house = House::new().await;
    let door = house.door(Vminfod, Role::Viewer);
    let now = Timestamp::now().as_second();
    let ago = |seconds: i64| Timestamp::from_second(now - seconds).unwrap();
    let task = |operation: &str, state: &str, started: Option<i64>| {
        let task = json!({
            "id": TaskId::new(), "operation": operation, "subject": "web", "caller": "x",
            "state": state, "cancellable": true, "created": ago(60), "started": started.map(ago),
            "steps": [],
        });
        serde_json::from_value::<Task>(task).unwrap()
    };
    let running = task("start", "running", Some(20));
    let tasks = [
        task("create", "done", Some(40)),
        running.clone(),
        task("pause", "queued", None),
        task("resume", "queued", None),
    ];
    house.context.view().barrier(tasks.map(Update::Task).into()).await.unwrap();

    let queue = &door.get("/status").await.json()["queue"];
    assert_eq!((&queue["paused"], &queue["idle"]), (&json!(false), &json!(false)));
    let tasks = &queue["vasync_queue"];
    assert_eq!((&tasks["npending"], &tasks["nqueued"]), (&json!(1), &json!(2)));
    assert_eq!(tasks["pending"].as_object().unwrap().len(), 1);
    let pending = &tasks["pending"][running.id.to_string()];
    assert_eq!(pending.as_object().unwrap().len(), 6);
    assert_eq!(pending["description"], "start: web");
    for (key, at_least) in [("created_ago", 60.0), ("started_ago", 20.0), ("start_latency", 39.0)] {
        let length = seconds(&pending[key]);
        assert!((at_least..at_least + 30.0).contains(&length), "{key}: {length}");
    }
    // Both were before the door was opened, where its clock begins.
    assert_eq!((seconds(&pending["created_at"]), seconds(&pending["started_at"])), (0.0, 0.0));
    let queued = tasks["queued"].as_array().unwrap();
    let descriptions: Vec<_> = queued.iter().map(|task| &task["description"]).collect();
    assert_eq!(descriptions, ["pause: web", "resume: web"], "oldest first");
    for task in queued {
        assert_eq!(task.as_object().unwrap().len(), 3);
        assert!(seconds(&task["created_ago"]) >= 60.0 && seconds(&task["created_at"]) == 0.0);
    }
}

#[tokio::test]
async fn any_value_of_full_asks_for_everything() {
    let house = House::new().await;
    let door = house.door(Vminfod, Role::Viewer);
    for (query, full) in [
        ("?full", true),
        ("?full=true", true),
        ("?full=false", true),
        ("?full=", false),
        ("", false),
    ] {
        let status = door.get(&format!("/status{query}")).await.json();
        assert_eq!(status.get("refreshLog").is_some(), full, "{query}");
        assert_eq!(status["fswatcher"]["watching"] == json!([]), full, "{query}");
    }
}
