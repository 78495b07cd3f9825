use crate::{
    gate::Entrance,
    test_support::{Api, Read},
};
use axum::body::Body;
use http::{Request, request::Builder};
use innkeeper_auth::{Identity, Principal, Role, Scope};
use innkeeper_engine::{Capacity, Projects};
use innkeeper_model::Quota;
use innkeeper_store::QuotaStore;
use serde_json::{Value, json};

async fn api() -> (Api, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let quota = Quota { vms: Some(5), cpus: Some(8), ..Quota::default() };
    let capacity = Capacity {
        quotas: [("shop".parse().unwrap(), quota)].into(),
        default_quota: Quota { vms: Some(1), ..Quota::default() },
        ..Capacity::default()
    };
    let store = QuotaStore::open(folder.path().join("projects")).unwrap();
    let api = Api::new();
    api.engine.projects.set(Projects::open(store, capacity).await.unwrap()).unwrap();
    (api, folder)
}

/// Somebody who is bound to a project.
fn bound_to(project: &str, role: Role) -> Entrance {
    let principal = Principal::admin(Identity::User { uid: 1000 });
    let scope = Scope::Project(project.parse().unwrap());
    Entrance::Unix(Principal { role, scope, ..principal })
}

async fn by(api: &Api, entrance: Entrance, request: Builder, body: &str) -> Read {
    let request = request.body(Body::from(body.to_owned())).unwrap();
    Read::of(api.call_through(entrance, request).await).await
}

fn names(list: &Read) -> Vec<String> {
    let list = list.json();
    let items = list["items"].as_array().unwrap().iter();
    items.map(|project| project["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_quota_is_set_changed_and_taken_away() {
    let (api, folder) = api().await;
    api.get("/v1/projects/web").await.problem("not-found");
    let bounds = r#"{ "vms": 10, "memory": "64GiB" }"#;
    let set = api.send("PUT", "/v1/projects/web", bounds).await;
    assert_eq!(set.status.as_u16(), 200);
    let first = set.header("etag").to_owned();
    let nothing = json!({ "vms": 0, "cpus": 0, "memory": "0B", "disk": "0B", "addresses": 0 });
    let quota = json!({
        "vms": 10, "cpus": null, "memory": "64GiB", "disk": null, "addresses": null,
    });
    let mut shown = set.json();
    assert!(shown["updated"].take().is_string());
    assert_eq!(format!("\"{}\"", shown["revision"].take()), first);
    assert_eq!(
        shown,
        json!({
            "name": "web", "revision": null, "updated": null, "quota_from": "own", "quota": quota,
            "used": nothing, "over": [],
        })
    );
    // What is not named stays, and null takes a bound away.
    let changed = api.send("PATCH", "/v1/projects/web", r#"{ "vms": null, "disk": "1GiB" }"#).await;
    assert_ne!(changed.header("etag"), first);
    let quota = json!({
        "vms": null, "cpus": null, "memory": "64GiB", "disk": "1GiB", "addresses": null,
    });
    assert_eq!(changed.json()["quota"], quota);
    assert!(folder.path().join("projects/web.json").exists());
    assert_eq!(api.get("/v1/projects/web").await.text, changed.text);
    let known = Request::get("/v1/projects/web").header("if-none-match", changed.header("etag"));
    assert_eq!(api.call(known, Body::empty()).await.status(), 304);

    for method in ["PUT", "PATCH", "DELETE"] {
        let stale = Request::builder().method(method).uri("/v1/projects/web");
        let stale = stale.header("if-match", &first);
        let body = if method == "DELETE" { "" } else { "{}" };
        let refused = Read::of(api.call(stale, body.to_owned()).await).await;
        refused.problem("revision-conflict");
    }
    let removed = api.send("DELETE", "/v1/projects/web", "").await.json();
    assert_eq!((&removed["quota_from"], &removed["quota"]["vms"]), (&json!("default"), &json!(1)));
    api.send("DELETE", "/v1/projects/web?force=true", "").await.problem("not-found");
    api.get("/v1/projects/web").await.problem("not-found");
    assert!(!folder.path().join("projects/web.json").exists());
}

#[tokio::test]
async fn a_change_is_of_what_is_in_force_whoever_said_that() {
    let (api, _folder) = api().await;
    let shop = api.get("/v1/projects/shop").await;
    assert_eq!(
        (shop.header("etag"), &shop.json()["quota_from"]),
        ("\"0\"", &json!("configuration"))
    );
    let changed = api.send("PATCH", "/v1/projects/shop", r#"{ "vms": 6 }"#).await.json();
    assert_eq!((&changed["quota"]["vms"], &changed["quota"]["cpus"]), (&json!(6), &json!(8)));
    assert_eq!(changed["quota_from"], "own");
    assert_eq!(names(&api.get("/v1/projects").await), ["shop"]);
}

#[tokio::test]
async fn what_is_no_quota_is_refused_by_its_field() {
    let (api, _folder) = api().await;
    for (body, field) in [
        (r#"{ "vms": -1 }"#, "vms"),
        (r#"{ "memory": "64" }"#, "memory"),
        (r#"{ "vcpus": 1 }"#, "vcpus"),
        (r#"{ "disk": 7 }"#, "disk"),
    ] {
        for method in ["PUT", "PATCH"] {
            let problem = api.send(method, "/v1/projects/web", body).await.problem("invalid-field");
            assert_eq!(problem["field"], field, "{method} {problem}");
        }
    }
    let problem = api.send("PUT", "/v1/projects/a%20b", "{}").await.problem("invalid-field");
    assert_eq!(problem["field"], "name");
    for method in ["GET", "DELETE"] {
        api.send(method, "/v1/projects/a%20b", "").await.problem("not-found");
    }
    api.send("DELETE", "/v1/projects/web?force=perhaps", "").await.problem("invalid-field");
    assert_eq!(names(&api.get("/v1/projects").await), ["shop"]);
}

#[tokio::test]
async fn an_owner_sees_its_own_and_no_other() {
    let (api, _folder) = api().await;
    api.send("PUT", "/v1/projects/web", r#"{ "vms": 3 }"#).await;
    for role in [Role::Owner, Role::Viewer, Role::Admin] {
        let ask = async |project: &str, request: Builder, body: &str| {
            by(&api, bound_to(project, role), request, body).await
        };
        let own = ask("web", Request::get("/v1/projects/web"), "").await;
        assert_eq!(own.json()["quota"]["vms"], 3);
        assert_eq!(names(&ask("web", Request::get("/v1/projects"), "").await), ["web"]);
        // Its own is there before it has anything.
        let new = ask("new", Request::get("/v1/projects/new"), "").await;
        assert_eq!(new.json()["quota"]["vms"], 1);
        assert_eq!(names(&ask("new", Request::get("/v1/projects"), "").await), ["new"]);
        // Another's is as one that is not.
        let others = ask("web", Request::get("/v1/projects/shop"), "").await;
        let nobodys = ask("web", Request::get("/v1/projects/nobody"), "").await;
        let words = |read: &Read, name: &str| {
            let mut problem = read.problem("not-found");
            let instance: Value = problem["instance"].take();
            assert!(instance.is_string());
            problem.to_string().replace(name, "NAME")
        };
        assert_eq!(words(&others, "shop"), words(&nobodys, "nobody"));
        for project in ["web", "shop"] {
            let uri = format!("/v1/projects/{project}");
            for method in ["PUT", "PATCH", "DELETE"] {
                let request = Request::builder().method(method).uri(&uri);
                ask("web", request, "{}").await.problem("forbidden");
            }
        }
    }
    assert_eq!(api.get("/v1/projects/web").await.json()["quota"]["vms"], 3);
}

#[tokio::test]
async fn a_server_that_only_shows_has_no_projects() {
    Api::new().get("/v1/projects").await.problem("unsupported");
}
