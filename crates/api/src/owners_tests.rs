//! Callers who are bound to a project: there is nothing for them but that one's, on every route.

use crate::{
    gate::Entrance,
    router::ROUTES,
    test_support::{Api, Read, network, spec_in, task},
};
use axum::{
    body::{Body, BodyDataStream},
    response::Response,
};
use futures_util::StreamExt;
use http::{Request, StatusCode};
use innkeeper_auth::{Identity, Principal, Role, Scope};
use innkeeper_engine::{PowerVerb, Request as EngineRequest};
use innkeeper_model::{
    Revision, Spec, Task, TaskId, TaskState, Timestamp, VmId,
    network::{Lease, NetworkFacts},
};
use innkeeper_view::Update;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::time::timeout;

/// How long anything may take that ends within a second; less than a hold of file systems lasts by itself.
const SHORT: Duration = Duration::from_secs(15);
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
/// What of another project's is told to nobody who is bound to this one: its name, and those of its VM.
const MARKS: [&str; 2] = ["rivals", "skunkworks"];

/// Two projects, each with a VM of the same name and a task of it; the other one has a VM more.
struct House {
    api: Api,
    own: VmId,
    other: VmId,
    own_task: TaskId,
    other_task: TaskId,
}

fn entrance(role: Role) -> Entrance {
    let name = format!("{role}-of-us").as_str().into();
    let principal = Principal::anonymous(Identity::Issued { name }, role);
    Entrance::Unix(Principal { scope: Scope::Project("us".parse().unwrap()), ..principal })
}

fn task_of(spec: &Spec) -> Task {
    let project = Some(spec.config.project.clone());
    Task { project, subject: "skunkworks".into(), ..task(TaskState::Running, Some(spec.id)) }
}

async fn house() -> House {
    let api = Api::new();
    let (own, other) = (spec_in("us", "web"), spec_in("rivals", "web"));
    let (own_task, other_task) = (task_of(&own), task_of(&other));
    let ids = (own.id, other.id, own_task.id, other_task.id);
    let skunkworks = spec_in("rivals", "skunkworks");
    let lan = network("lan", "10.0.0.0/24");
    let lease = Lease {
        address: "10.0.0.7".parse().unwrap(),
        mac: None,
        hostname: Some("skunkworks".into()),
        expires: None,
    };
    let facts = NetworkFacts { leases: vec![lease], ..NetworkFacts::default() };
    let golden = json!({
        "name": "golden", "kind": "disk", "format": "raw", "size": "1MiB", "virtual_size": "1MiB",
        "digest": "sha256:0", "source": "disk root of VM skunkworks", "created": "2026-01-01T00:00:00Z",
        "lineage": { "vm": skunkworks.id, "vm_name": "skunkworks", "disk": "root", "taken": "2026-01-01T00:00:00Z" },
    });
    let own_task = Task { subject: "web".into(), ..own_task };
    let (network, specs) = (lan.id, [own, other, skunkworks]);
    let specs = specs.into_iter().map(|spec| Update::VmSpec(Arc::new(spec)));
    let others = [
        Update::Task(own_task),
        Update::Task(other_task),
        Update::Network(Arc::new(lan)),
        Update::NetworkFacts { id: network, facts },
        Update::Image(serde_json::from_value(golden).unwrap()),
        Update::Host(innkeeper_model::Host { name: "skunkworks".into(), ..Default::default() }),
    ];
    api.post(specs.chain(others).collect()).await;
    House { api, own: ids.0, other: ids.1, own_task: ids.2, other_task: ids.3 }
}

impl House {
    async fn call(&self, entrance: Entrance, method: &str, uri: &str, body: &str) -> Response {
        let kind = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header("x-request-id", "same")
            .header("connection", "upgrade")
            .header("upgrade", "innkeeper-stream")
            .header("content-type", kind)
            .body(Body::from(body.to_owned()))
            .unwrap();
        // As a connection brings it along that can become something else.
        let upgrade = hyper::upgrade::on(&mut request);
        request.extensions_mut().insert(upgrade);
        self.api.call_through(entrance, request).await
    }

    async fn send(&self, role: Role, method: &str, uri: &str, body: &str) -> Read {
        Read::of(self.call(entrance(role), method, uri, body).await).await
    }

    async fn get(&self, uri: &str) -> Read {
        self.send(Role::Owner, "GET", uri, "").await
    }
}

/// A request to a route that is whole but for what it is about.
fn body_of(method: &str, path: &str) -> &'static str {
    match (method, path) {
        ("put", "/v1/vms/{vm}") => r#"{"name":"web"}"#,
        ("patch", _) => "{}",
        ("post", "/v1/vms/{vm}/clone") => r#"{"name":"copy"}"#,
        ("post", "/v1/vms/{vm}/nics") => r#"{"name":"nic9"}"#,
        ("put", "/v1/vms/{vm}/nics/{nic}") => r#"{"name":"nic0"}"#,
        ("post", "/v1/vms/{vm}/keys") => r#"{"keys":["a"]}"#,
        ("post", "/v1/vms/{vm}/tickets") => r#"{"kind":"console"}"#,
        ("post", "/v1/vms/{vm}/exec") => r#"{"argv":["true"]}"#,
        _ => "",
    }
}

/// The route's address, with this in the place of a VM or a task.
fn uri_of(path: &str, id: &str) -> String {
    let segments = path.split('/').map(|segment| match segment {
        "{vm}" | "{id}" => id,
        "{nic}" => "nic0",
        "{disk}" => "root",
        "{network}" => "lan",
        "{subnet}" => "10.0.0.0%2F24",
        "{name}" => "golden",
        "{pid}" => "7",
        other if other.starts_with('{') => "nobody",
        other => other,
    });
    let uri = segments.collect::<Vec<_>>().join("/");
    if path.ends_with("/files") { format!("{uri}?path=/etc/hosts") } else { uri }
}

/// What is answered, without what was asked for.
fn without(answered: &Read, id: &str) -> String {
    format!("{} {:?} {}", answered.status, answered.headers, answered.text).replace(id, "IT")
}

#[tokio::test]
async fn anothers_vm_or_task_answers_as_one_that_does_not_exist_on_every_route() {
    let house = house().await;
    let mut checked = 0;
    for (method, path) in ROUTES {
        let is_of_a_task = path.starts_with("/v1/tasks/{id}");
        let asked: Vec<(String, &str)> = match path.contains("{vm}") {
            // A name, and what it begins with, too.
            true => vec![
                (house.other.to_string(), NOBODY),
                ("skunkworks".into(), "nobodyatal"),
                ("skun".into(), "nobo"),
            ],
            false if is_of_a_task => vec![(house.other_task.to_string(), NOBODY)],
            false => continue,
        };
        checked += 1;
        let (verb, body) = (method.to_uppercase(), body_of(method, path));
        for role in [Role::Viewer, Role::Operator, Role::Owner] {
            for (other, nobody) in &asked {
                let others = house.send(role, &verb, &uri_of(path, other), body).await;
                let missing = house.send(role, &verb, &uri_of(path, nobody), body).await;
                assert_eq!(without(&others, other), without(&missing, nobody), "{role} {path}");
                assert!(!others.text.contains("rivals"), "{}", others.text);
                // Nothing else is in its way: what is not found is the VM.
                let status = others.status;
                let is_refused = status == StatusCode::FORBIDDEN && role != Role::Owner
                    || path.ends_with("/adopt");
                assert!(
                    is_refused || status == StatusCode::NOT_FOUND,
                    "{role} {method} {path}: {}",
                    others.text
                );
            }
        }
    }
    assert!(checked > 35, "{checked}");
    assert_eq!(house.api.engine.asked(), []);
    assert_eq!(house.api.engine.done_by_hand(), [""; 0]);
}

#[tokio::test]
async fn of_ones_own_one_is_answered_as_an_administrator_is() {
    for (method, path) in ROUTES {
        let is_of_a_task = path.starts_with("/v1/tasks/{id}");
        if !path.contains("{vm}") && !is_of_a_task || path.ends_with("/adopt") {
            continue;
        }
        // What goes on is not read to its end.
        let verb = if path.ends_with("/events") { "HEAD".into() } else { method.to_uppercase() };
        let mut answers = Vec::new();
        for name in ["web", ""] {
            let house = house().await;
            let id = match (is_of_a_task, name) {
                (true, _) => house.own_task.to_string(),
                (false, "") => house.own.to_string(),
                (false, name) => name.to_owned(),
            };
            let (uri, body) = (uri_of(path, &id), body_of(method, path));
            let owner = house.call(entrance(Role::Owner), &verb, &uri, body).await;
            let id = if is_of_a_task { house.own_task.to_string() } else { house.own.to_string() };
            let root = Entrance::Unix(Principal::admin(Identity::User { uid: 0 }));
            let admin = house.call(root, &verb, &uri_of(path, &id), body).await;
            assert_eq!(owner.status(), admin.status(), "{method} {path}");
            answers.push(owner.status());
        }
        assert_eq!(answers[0], answers[1], "by its name and by its id: {method} {path}");
    }
}

#[tokio::test]
async fn no_route_that_is_about_no_vm_tells_of_others() {
    let house = house().await;
    let ids = [house.other.to_string(), house.other_task.to_string()];
    for (method, path) in ROUTES {
        if path.contains("{vm}") || path.starts_with("/v1/tasks/{id}") {
            continue;
        }
        let verb = if path.ends_with("/events") { "HEAD".into() } else { method.to_uppercase() };
        for role in [Role::Viewer, Role::Owner] {
            let answered = house.send(role, &verb, &uri_of(path, NOBODY), "{}").await;
            let told = format!("{:?} {}", answered.headers, answered.text);
            let ids = ids.iter().map(String::as_str);
            let found = ids.chain(MARKS).find(|mark| told.contains(mark));
            assert_eq!(found, None, "{role} {method} {path}: {told}");
        }
    }
}

#[tokio::test]
async fn lists_and_their_pages_have_ones_own_alone() {
    let house = house().await;
    let more: Vec<_> = (0..4).map(|n| spec_in("us", &format!("more-{n}"))).collect();
    let foreign: Vec<_> = (0..4).map(|n| spec_in("rivals", &format!("theirs-{n}"))).collect();
    let ids: Vec<_> = more.iter().map(|spec| json!(spec.id)).collect();
    let specs = more.iter().zip(&foreign).flat_map(|(own, other)| [other, own]);
    let specs = specs.map(|spec| Update::VmSpec(Arc::new(spec.clone())));
    let tasks = more.iter().chain(&foreign).map(|spec| Update::Task(task_of(spec)));
    house.api.post(specs.chain(tasks).collect()).await;
    let names = |list: &Value, key: &str| -> Vec<Value> {
        list["items"].as_array().unwrap().iter().map(|item| item[key].clone()).collect()
    };
    let listed = async |query: &str| {
        let answered = house.get(&format!("/v1/vms?{query}")).await;
        assert!(!answered.text.contains("rivals"), "{}", answered.text);
        names(&answered.json(), "name")
    };
    let own = ["web", "more-0", "more-1", "more-2", "more-3"];
    for query in ["", "project=us", "state=stopped", "manager=innkeeper"] {
        let mut found = listed(query).await;
        found.sort_by_key(ToString::to_string);
        let mut expected: Vec<_> = own.iter().map(|name| json!(name)).collect();
        expected.sort_by_key(ToString::to_string);
        assert_eq!(found, expected, "{query}");
    }
    for query in ["project=rivals", "name=theirs*", "name=skunkworks", "project=none"] {
        assert_eq!(listed(query).await, [Value::Null; 0], "{query}");
    }
    assert_eq!(listed("name=web&fields=name,project").await, ["web"]);
    // A page is as long as it is asked to be, whatever is between.
    let first = house.get("/v1/vms?limit=3").await.json();
    assert_eq!(names(&first, "name").len(), 3);
    let next = first["next"].as_str().unwrap();
    let second = house.get(&format!("/v1/vms?limit=3&after={next}")).await.json();
    assert_eq!(names(&second, "name").len(), 2);
    assert_eq!(second["next"], Value::Null);

    let tasks = house.get("/v1/tasks").await;
    let mut of: Vec<Value> = names(&tasks.json(), "vm");
    of.sort_by_key(ToString::to_string);
    let mut expected = [ids.clone(), vec![json!(house.own)]].concat();
    expected.sort_by_key(ToString::to_string);
    assert_eq!(of, expected);
    let of_other = house.get(&format!("/v1/tasks?vm={}", house.other)).await;
    let of_nobody = house.get(&format!("/v1/tasks?vm={NOBODY}")).await;
    assert_eq!(without(&of_other, ""), without(&of_nobody, ""));
    assert_eq!(names(&house.get("/v1/tasks?vm=web").await.json(), "vm"), [json!(house.own)]);
    house.get("/v1/tasks?vm=skunkworks").await.problem("not-found");
}

#[tokio::test]
async fn what_is_everybodys_says_nothing_of_others_vms() {
    let house = house().await;
    for path in ["/v1/images", "/v1/images/golden", "/v1/networks", "/v1/networks/lan"] {
        let (own, root) = (house.get(path).await, house.api.get(path).await);
        assert_eq!((own.status, root.status), (StatusCode::OK, StatusCode::OK), "{path}");
        assert!(
            root.text.contains("skunkworks") && !own.text.contains("skunkworks"),
            "{path}: {}",
            own.text
        );
    }
    let chosen = house.get("/v1/networks?fields=facts").await;
    assert!(!chosen.text.contains("skunkworks"), "{}", chosen.text);
    // Nor how many addresses they have.
    let mut spec = spec_in("rivals", "one-more");
    let nic = json!([{ "name": "lan", "network": "lan" }]);
    spec.config.nics = serde_json::from_value(nic).unwrap();
    let given = json!({ "lan": ["10.0.0.9"] });
    spec.assigned.addresses = serde_json::from_value(given).unwrap();
    house.api.post(vec![Update::VmSpec(Arc::new(spec))]).await;
    let taken = |read: &Read| read.json()["items"][0]["taken"].clone();
    assert_eq!(taken(&house.api.get("/v1/subnets").await), 1);
    assert_eq!(taken(&house.get("/v1/subnets").await), 0);
}

#[tokio::test]
async fn what_is_made_is_ones_own() {
    let house = house().await;
    let made = async |uri: &str, body: &str| house.send(Role::Owner, "POST", uri, body).await;
    for body in [r#"{"name":"a"}"#, r#"{"name":"a","project":"us"}"#] {
        let answered = made("/v1/vms", body).await;
        assert_eq!(answered.status, StatusCode::ACCEPTED, "{}", answered.text);
        assert_eq!(answered.json()["vm"]["project"], "us");
        let task = answered.json()["task"]["id"].as_str().unwrap().to_owned();
        assert_eq!(house.get(&format!("/v1/tasks/{task}")).await.status, StatusCode::OK);
    }
    house.api.engine.asked();
    for uri in ["/v1/vms", "/v1/vms?dry_run=true", "/v1/vms?start=true"] {
        for project in ["rivals", "nobodys", "default"] {
            let body = format!(r#"{{"name":"a","project":"{project}"}}"#);
            let refused = made(uri, &body).await.problem("forbidden");
            assert_eq!(refused["field"], "project");
        }
    }
    let file = r#"{"name":"a","disks":[{"name":"root","path":"/etc/shadow","format":"raw"}]}"#;
    assert_eq!(made("/v1/vms", file).await.problem("forbidden")["field"], "disks[root].path");
    made("/v1/imports?project=rivals", "").await.problem("forbidden");
    assert_eq!(house.api.engine.asked(), []);
}

#[tokio::test]
async fn what_has_a_file_of_the_host_is_copied_by_nobody_who_could_not_give_it_that() {
    let house = house().await;
    let mut spec = spec_in("us", "given");
    let disks =
        json!([{ "name": "data", "path": "/srv/data.raw", "format": "raw", "read_only": true }]);
    spec.config.disks = serde_json::from_value(disks).unwrap();
    house.api.post(vec![Update::VmSpec(Arc::new(spec))]).await;
    let copy = |vm: &str, query: &str| format!("/v1/vms/{vm}/clone{query}");
    for query in ["", "?dry_run=true"] {
        let body = r#"{"name":"copy"}"#;
        let refused = house.send(Role::Owner, "POST", &copy("given", query), body).await;
        assert_eq!(refused.problem("forbidden")["field"], "disks[data].path", "{query}");
    }
    assert_eq!(house.api.engine.asked(), []);
    house.api.send("POST", &copy("given", ""), r#"{"name":"copy"}"#).await;
    house.send(Role::Owner, "POST", &copy("web", ""), r#"{"name":"copy"}"#).await;
    let asked = house.api.engine.asked();
    assert!(matches!(&asked[..], [EngineRequest::Clone { .. }, EngineRequest::Clone { .. }]));
}

#[tokio::test]
async fn what_is_changed_stays_ones_own() {
    let house = house().await;
    let change =
        async |method: &str, body: &str| house.send(Role::Owner, method, "/v1/vms/web", body).await;
    for (method, body) in [
        ("PATCH", r#"{"project":"rivals"}"#),
        ("PATCH", r#"{"project":null}"#),
        ("PUT", r#"{"name":"web","project":"rivals"}"#),
        ("PATCH", r#"{"disks":[{"name":"a","path":"/etc/shadow","format":"raw"}]}"#),
        ("PATCH", r#"{"boot":{"firmware":null,"kernel":{"path":"/boot/vmlinuz"}}}"#),
    ] {
        change(method, body).await.problem("forbidden");
    }
    assert_eq!(house.api.engine.asked(), []);
    for (method, body) in [
        ("PATCH", r#"{"cpus":2}"#),
        ("PATCH", r#"{"project":"us"}"#),
        ("PUT", r#"{"name":"web"}"#),
        ("PUT", r#"{"name":"web","project":"us"}"#),
    ] {
        let changed = change(method, body).await;
        assert_eq!(changed.status, StatusCode::ACCEPTED, "{method} {body}: {}", changed.text);
        let [EngineRequest::Edit { vm, config, expected }] = &house.api.engine.asked()[..] else {
            panic!("{method} {body} is no edit");
        };
        assert_eq!((*vm, config.project.as_str()), (house.own, "us"), "{method} {body}");
        // What it may keep was compared with this one.
        assert_eq!(*expected, Some(Revision(1)), "{method} {body}");
    }
}

#[tokio::test]
async fn what_goes_on_of_a_vm_ends_when_that_is_given_to_another_project() {
    let house = house().await;
    let engine = &house.api.engine;
    engine.has_agents.store(true, Ordering::Release);
    engine.keys_stick.store(true, Ordering::Release);
    let uri = |what: &str| format!("/v1/vms/web/{what}");
    let mut streams = Vec::new();
    for (method, what) in [
        ("GET", "export"),
        ("GET", "disks/root/file"),
        ("GET", "files?path=/etc/motd"),
        ("POST", "agent/freeze"),
    ] {
        let stream = house.call(entrance(Role::Owner), method, &uri(what), "").await;
        assert_eq!(stream.status(), StatusCode::OK, "{what}");
        streams.push((what, stream.into_body().into_data_stream()));
    }
    let send = async |method: &str, what: &str, body: Body| {
        let request = Request::builder().method(method).uri(uri(what));
        let request = request.header("content-type", "application/json").body(body).unwrap();
        Read::of(house.api.call_through(entrance(Role::Owner), request).await).await
    };
    let begun = futures_util::stream::iter([Ok::<_, Infallible>("begun")]);
    let endless = Body::from_stream(begun.chain(futures_util::stream::pending()));
    let (ran, written, pressed, ()) = tokio::join!(
        send("POST", "exec", r#"{"argv":["sleep","9"]}"#.into()),
        send("PUT", "files?path=/etc/motd", endless),
        send("POST", "keys", r#"{"keys":["a"]}"#.into()),
        async {
            let mut given = spec_in("rivals", "web");
            given.id = house.own;
            house.api.post(vec![Update::VmSpec(Arc::new(given))]).await;
        }
    );
    for work in [ran, written, pressed] {
        work.problem("not-found");
    }
    for (what, mut pieces) in streams {
        if what == "agent/freeze" {
            // The guest is let go on, which takes no longer than the rest.
            let lines = timeout(SHORT, pieces.collect::<Vec<_>>()).await.expect("it ends");
            let last = lines.last().unwrap().as_ref().unwrap();
            assert_eq!(&last[..], b"{\"state\":\"thawed\"}\n");
            continue;
        }
        let next = timeout(SHORT, pieces.next()).await.expect("it ends");
        next.expect("an end of its own").expect_err(what);
        assert!(pieces.next().await.is_none(), "{what}");
    }
}

#[tokio::test]
async fn a_key_is_another_projects_whose_token_has_the_same_name() {
    let house = house().await;
    let create = async |project: &str| {
        let name = "ci".into();
        let principal = Principal::anonymous(Identity::Issued { name }, Role::Owner);
        let scope = Scope::Project(project.parse().unwrap());
        let request = Request::post("/v1/vms")
            .header("content-type", "application/json")
            .header("idempotency-key", "one")
            .body(Body::from(r#"{"name":"made"}"#))
            .unwrap();
        let entrance = Entrance::Unix(Principal { scope, ..principal });
        Read::of(house.api.call_through(entrance, request).await).await.json()["vm"].clone()
    };
    let first = create("us").await;
    assert_eq!(create("us").await["id"], first["id"]);
    let second = create("rivals").await;
    assert_eq!(second["project"], "rivals");
    assert_ne!(second["id"], first["id"]);
}

/// The documents of a stream, one at a time.
struct Lines(BodyDataStream, Vec<Value>);

impl Lines {
    async fn next(&mut self) -> Value {
        let next = async {
            while self.1.is_empty() {
                let chunk = self.0.next().await.expect("it goes on").unwrap();
                let text = String::from_utf8(chunk.to_vec()).unwrap();
                self.1
                    .extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
            }
            self.1.remove(0)
        };
        timeout(2 * SHORT, next).await.expect("nothing comes")
    }
}

impl House {
    async fn follow(&self, uri: &str) -> Lines {
        let response = self.call(entrance(Role::Viewer), "GET", uri, "").await;
        assert_eq!(response.status(), StatusCode::OK);
        Lines(response.into_body().into_data_stream(), Vec::new())
    }

    /// A change of the other project's VM and its task, then one of this one's.
    async fn happens(&self, cpus: u16) {
        let snapshot = self.api.view.snapshot();
        let changed = |id: VmId| {
            let mut spec = Spec::clone(snapshot.vms[&id].spec.as_ref().unwrap());
            spec.config.cpus = cpus;
            Update::VmSpec(Arc::new(spec))
        };
        let task = Task::clone(&snapshot.tasks[&self.other_task]);
        let task = Task { percent: Some(u8::try_from(cpus).unwrap()), ..task };
        let host = innkeeper_model::Host { cpus, ..Default::default() };
        let updates =
            vec![changed(self.other), Update::Task(task), Update::Host(host), changed(self.own)];
        self.api.post(updates).await;
    }
}

#[tokio::test]
async fn a_stream_tells_of_ones_own_and_goes_on_after_what_was_others() {
    let house = house().await;
    let mut lines = house.follow("/v1/events").await;
    assert_eq!(lines.next().await["type"], "ready");
    let mut last = Value::Null;
    for cpus in [3, 4] {
        house.happens(cpus).await;
        let change = lines.next().await;
        assert_eq!((&change["kind"], &change["id"]), (&json!("vm"), &json!(house.own)), "{change}");
        last = change["position"].clone();
    }
    // What was missed is told from there, and nothing of others between.
    house.happens(5).await;
    house.happens(6).await;
    let since = last.as_str().unwrap();
    let mut resumed = house.follow(&format!("/v1/events?since={since}")).await;
    assert_eq!(resumed.next().await["type"], "ready");
    for _ in 0..2 {
        let change = resumed.next().await;
        assert_eq!((&change["kind"], &change["id"]), (&json!("vm"), &json!(house.own)), "{change}");
    }
    // Of another's VM nothing is told, as of none.
    let mut of_other = house.follow(&format!("/v1/events?vm={}", house.other)).await;
    assert_eq!(of_other.next().await["type"], "ready");
    let mut own = house.follow("/v1/events?vm=web&kind=vm").await;
    assert_eq!(own.next().await["type"], "ready");
    house.happens(7).await;
    assert_eq!(own.next().await["id"], json!(house.own));
    house.get("/v1/events?vm=skunkworks").await.problem("not-found");
    house.get("/v1/events?kind=host").await.problem("forbidden");
}

#[tokio::test]
async fn a_gap_shows_what_there_is_for_its_reader() {
    let house = house().await;
    // A place in another run of the daemon.
    let mut lines = house.follow("/v1/events?since=00000000000000000000000000000000-7").await;
    assert_eq!(lines.next().await["type"], "ready");
    let gap = lines.next().await;
    assert_eq!(gap["type"], "gap");
    assert_eq!(gap["vms"].as_array().unwrap().len(), 1, "{gap}");
    assert_eq!(gap["tasks"].as_array().unwrap().len(), 1, "{gap}");
    assert_eq!((&gap["images"][0]["name"], gap.get("host")), (&json!("golden"), None));
    let text = gap.to_string();
    assert!(MARKS.iter().all(|mark| !text.contains(mark)), "{text}");
}

#[tokio::test]
async fn a_vm_that_is_given_away_is_gone_for_those_who_had_it() {
    let house = house().await;
    let mut events = house.follow("/v1/events").await;
    assert_eq!(events.next().await["type"], "ready");
    house.api.engine.has_written(b"boot\n");
    let mut log = house
        .call(entrance(Role::Viewer), "GET", "/v1/vms/web/logs?follow=true", "")
        .await
        .into_body()
        .into_data_stream();
    assert_eq!(log.next().await.unwrap().unwrap(), "boot\n");
    let snapshot = house.api.view.snapshot();
    let mut spec = Spec::clone(snapshot.vms[&house.own].spec.as_ref().unwrap());
    spec.config.project = "rivals".parse().unwrap();
    house.api.post(vec![Update::VmSpec(Arc::new(spec))]).await;
    let gone = events.next().await;
    assert_eq!((&gone["action"], &gone["id"]), (&json!("delete"), &json!(house.own)), "{gone}");
    assert!(!gone.to_string().contains("rivals"), "{gone}");
    assert!(log.next().await.is_none());
    house.get("/v1/vms/web").await.problem("not-found");
}

#[tokio::test]
async fn a_task_is_there_for_its_project_when_its_vm_is_gone() {
    let house = house().await;
    let gone = spec_in("us", "gone");
    let kept =
        Task { state: TaskState::Done, ended: Some(Timestamp::UNIX_EPOCH), ..task_of(&gone) };
    house.api.engine.remember(kept.clone());
    let uri = format!("/v1/tasks/{}", kept.id);
    assert_eq!(house.get(&uri).await.json()["vm"], json!(gone.id));
    let others =
        Task { project: Some("rivals".parse().unwrap()), id: TaskId::new(), ..kept.clone() };
    let nobodys = Task { project: None, id: TaskId::new(), ..kept };
    for hidden in [others, nobodys] {
        house.api.engine.remember(hidden.clone());
        let answered = house.get(&format!("/v1/tasks/{}", hidden.id)).await;
        let missing = house.get(&format!("/v1/tasks/{NOBODY}")).await;
        let (id, nobody) = (hidden.id.to_string(), NOBODY);
        assert_eq!(without(&answered, &id), without(&missing, nobody));
    }
}

#[tokio::test]
async fn a_verb_reaches_the_vm_of_ones_own_that_has_the_name() {
    let house = house().await;
    // Two have it; for who sees both, it takes more than the name.
    house.api.send("POST", "/v1/vms/web/start", "").await.problem("ambiguous-name");
    let started = house.send(Role::Operator, "POST", "/v1/vms/web/start", "").await;
    assert_eq!(started.status, StatusCode::ACCEPTED, "{}", started.text);
    let verb = PowerVerb::Start { discard_memory: false };
    assert_eq!(house.api.engine.asked(), [EngineRequest::Power { vm: house.own, verb }]);
    let named = house.send(Role::Operator, "POST", "/v1/vms/web/start?project=rivals", "").await;
    named.problem("not-found");
}

#[tokio::test]
async fn a_ticket_opens_what_its_owner_sees() {
    let house = house().await;
    let ticket = async |vm: &str| {
        let uri = format!("/v1/vms/{vm}/tickets");
        house.send(Role::Owner, "POST", &uri, r#"{"kind":"console"}"#).await
    };
    let issued = ticket("web").await;
    assert_eq!(issued.status, StatusCode::CREATED, "{}", issued.text);
    let shown = issued.json()["ticket"].as_str().unwrap().to_owned();
    // The name is meant as its owner means it, though nobody else who has it is named.
    let open = async |vm: String, ticket: &str| {
        let mut request = Request::get(format!("/v1/vms/{vm}/console?ticket={ticket}"))
            .header("host", "localhost")
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .body(Body::empty())
            .unwrap();
        let upgrade = hyper::upgrade::on(&mut request);
        request.extensions_mut().insert(upgrade);
        Read::of(house.api.call_through(Entrance::Tcp, request).await).await
    };
    assert_eq!(open("web".into(), &shown).await.status, StatusCode::SWITCHING_PROTOCOLS);
    let again = ticket("web").await.json()["ticket"].as_str().unwrap().to_owned();
    let refused = open(house.other.to_string(), &again).await;
    refused.problem("forbidden");
}
