use super::*;
use crate::test_support::{Api, network, running, spec, task};
use innkeeper_model::TaskState;
use innkeeper_view::{Delivery, Subscription, Update};
use serde_json::Value;
use std::time::Duration;

fn values(bytes: &[u8]) -> Vec<Value> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

async fn next(subscription: &mut Subscription) -> Arc<Batch> {
    let next = tokio::time::timeout(Duration::from_secs(10), subscription.next());
    match next.await.unwrap().unwrap() {
        Delivery::Changes(batch) => batch,
        Delivery::Gap(_) => panic!("a gap"),
    }
}

/// What somebody wants to see who sees everything and has said nothing.
fn all() -> Filter {
    Filter { sight: Sight::of_everything(), kinds: Vec::new(), vm: None }
}

/// A VM with a task, another VM, and the batch of changes that made them so.
async fn changes() -> (Vec<VmId>, Arc<Batch>) {
    let api = Api::new();
    let mut subscription = api.view.subscribe(None);
    let specs = [spec("one"), spec("two")];
    let ids: Vec<_> = specs.iter().map(|spec| spec.id).collect();
    let mut updates: Vec<_> = specs.into_iter().map(|spec| Update::VmSpec(spec.into())).collect();
    updates.push(Update::Task(task(TaskState::Running, Some(ids[0]))));
    updates.push(running(ids[1]));
    api.post(updates).await;
    (ids, next(&mut subscription).await)
}

#[tokio::test]
async fn a_batch_is_a_change_a_line_and_encoded_once() {
    let (_, changes) = changes().await;
    let lines = batch(&changes, Framing::Lines, &all()).unwrap();
    let again = batch(&changes, Framing::Lines, &all()).unwrap();
    assert_eq!(lines.as_ptr(), again.as_ptr());
    let values = values(&lines);
    assert_eq!(values.len(), changes.entries().len());
    for (value, change) in values.into_iter().zip(changes.changes()) {
        assert_eq!(value["type"], "change");
        let read: innkeeper_model::Change = serde_json::from_value(value).unwrap();
        assert_eq!(read, change);
    }
}

#[tokio::test]
async fn an_event_has_its_position_its_name_and_the_same_document() {
    let (_, changes) = changes().await;
    let lines = batch(&changes, Framing::Lines, &all()).unwrap();
    let events = batch(&changes, Framing::Events, &all()).unwrap();
    let events = String::from_utf8(events.into()).unwrap();
    let mut names = Vec::new();
    let mut data = Vec::new();
    for (event, entry) in events.split_terminator("\n\n").zip(changes.entries()) {
        let fields: Vec<_> = event.split('\n').map(|line| line.split_once(": ").unwrap()).collect();
        assert_eq!(fields[0], ("id", &*entry.position.to_string()));
        assert_eq!((fields[1].0, fields[2].0, fields.len()), ("event", "data", 3));
        names.push(fields[1].1.to_owned());
        data.push(format!("{}\n", fields[2].1));
    }
    assert_eq!(names, ["vm.create", "vm.create", "task.create", "vm.modify"]);
    assert_eq!(data.concat().as_bytes(), lines);
}

#[tokio::test]
async fn a_reader_sees_only_what_it_asked_for() {
    let (ids, changes) = changes().await;
    let kinds = |filter| {
        let lines = batch(&changes, Framing::Lines, &filter).unwrap_or_default();
        let name = |value: Value| value["kind"].as_str().unwrap().to_owned();
        values(&lines).into_iter().map(name).collect::<Vec<_>>()
    };
    let tasks = || vec![ResourceKind::Task];
    assert_eq!(kinds(Filter { kinds: tasks(), vm: None, ..all() }), ["task"]);
    assert_eq!(kinds(Filter { kinds: vec![], vm: Some(ids[0]), ..all() }), ["vm", "task"]);
    assert_eq!(kinds(Filter { kinds: vec![], vm: Some(ids[1]), ..all() }), ["vm", "vm"]);
    assert_eq!(kinds(Filter { kinds: tasks(), vm: Some(ids[1]), ..all() }), [""; 0]);
    let nothing = Filter { kinds: tasks(), vm: Some(ids[1]), ..all() };
    assert_eq!(batch(&changes, Framing::Events, &nothing), None);
}

fn gap(api: &Api, framing: Framing, filter: &Filter) -> (Vec<Bytes>, Vec<u8>) {
    let chunks: Vec<_> = Gap::new(api.view.snapshot(), framing, filter).collect();
    let whole = chunks.concat();
    (chunks, whole)
}

#[tokio::test]
async fn a_gap_has_everything_in_pieces_of_bounded_size() {
    let names: Vec<_> = (0..200).map(|n| format!("vm-{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let (api, ids) = Api::with(&names).await;
    api.post(vec![Update::Task(task(TaskState::Running, Some(ids[7])))]).await;
    let (chunks, whole) = gap(&api, Framing::Lines, &all());
    assert!(chunks.len() > 1 && chunks.iter().all(|chunk| chunk.len() < 2 * GAP_CHUNK));
    let value: Value = serde_json::from_slice(&whole).unwrap();
    let snapshot = api.view.snapshot();
    assert_eq!(value["type"], "gap");
    assert_eq!(value["position"], snapshot.position().to_string());
    assert_eq!(value["revision"], snapshot.revision.0);
    let shown: Vec<VmId> = value["vms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|vm| vm["id"].as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(shown, snapshot.vms.keys().copied().collect::<Vec<_>>());
    assert_eq!(value["tasks"][0]["vm"], ids[7].to_string());
    assert_eq!(value["images"], serde_json::json!([]));
    assert_eq!(value["networks"], serde_json::json!([]));
    assert_eq!(value.get("host"), None, "nobody has described the host");
}

#[tokio::test]
async fn a_gap_shows_only_what_the_reader_asked_for() {
    let (api, ids) = Api::with(&["one", "two"]).await;
    let of_two = Filter { kinds: vec![], vm: Some(ids[1]), ..all() };
    let value: Value = serde_json::from_slice(&gap(&api, Framing::Lines, &of_two).1).unwrap();
    assert_eq!(value["vms"].as_array().unwrap().len(), 1);
    assert_eq!(value["vms"][0]["name"], "two");
    assert_eq!(value.get("images"), None);
    let tasks = Filter { kinds: vec![ResourceKind::Task], vm: None, ..all() };
    let value: Value = serde_json::from_slice(&gap(&api, Framing::Lines, &tasks).1).unwrap();
    assert_eq!((value.get("vms"), value["tasks"].as_array().map(Vec::len)), (None, Some(0)));
}

#[tokio::test]
async fn a_network_is_in_the_feed_and_in_a_gap_without_the_list_of_what_it_keeps() {
    let api = Api::new();
    let mut subscription = api.view.subscribe(None);
    let mut network = network("lan", "10.0.0.0/24");
    let reservation = innkeeper_model::network::Reservation {
        address: "10.0.0.9".parse().unwrap(),
        mac: None,
        name: None,
    };
    network.subnets[0].reservations.push(reservation);
    api.post(vec![Update::Network(Arc::new(network))]).await;
    let changes = next(&mut subscription).await;
    let filter = Filter { kinds: vec![ResourceKind::Network], vm: None, ..all() };
    let events = batch(&changes, Framing::Events, &filter).unwrap();
    assert!(String::from_utf8_lossy(&events).contains("event: network.create\n"));
    let lines = batch(&changes, Framing::Lines, &filter).unwrap();
    let told = values(&lines).remove(0);
    assert_eq!((&told["kind"], &told["name"]), (&"network".into(), &"lan".into()));
    assert_eq!(told["object"]["subnets"][0]["reserved"], 1);
    let shown: Value = serde_json::from_slice(&gap(&api, Framing::Lines, &filter).1).unwrap();
    assert_eq!(shown["networks"][0], told["object"]);
    assert_eq!(shown.get("vms"), None);
    assert!(!String::from_utf8_lossy(&lines).contains("10.0.0.9"));
}

#[tokio::test]
async fn a_gap_can_be_an_event() {
    let (api, _) = Api::with(&["one"]).await;
    let text = String::from_utf8(gap(&api, Framing::Events, &all()).1).unwrap();
    let position = api.view.snapshot().position();
    let data = text.strip_prefix(&format!("id: {position}\nevent: gap\ndata: ")).unwrap();
    let data = data.strip_suffix("\n\n").unwrap();
    assert!(!data.contains('\n') && serde_json::from_str::<Value>(data).is_ok());
}

#[tokio::test]
async fn a_reader_is_told_where_it_is() {
    let api = Api::new();
    let position = api.view.snapshot().position();
    let line = ready(Framing::Lines, position, Revision(7));
    let value: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(value["position"], position.to_string());
    assert_eq!((&value["type"], &value["revision"]), (&"ready".into(), &7.into()));
    let event = ready(Framing::Events, position, Revision(7));
    assert!(event.starts_with(format!("id: {position}\nevent: ready\ndata: {{").as_bytes()));
    assert!(event.ends_with(b"}\n\n"));
    assert_eq!(keep_alive(Framing::Lines, position), "\n");
    assert!(keep_alive(Framing::Events, position).starts_with(b"id: "));
}
