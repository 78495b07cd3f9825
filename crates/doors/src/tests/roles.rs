//! Who may do what: every route, for every role.

use super::*;
use crate::{
    access::{Entrance, Peer},
    testing::{Answered, TestDoor, of_project},
};
use axum::body::Body;
use http::Request;
use innkeeper_auth::{Doorkeeper, Identity, IssuedTokens, NewToken, Principal};
use innkeeper_model::Timestamp;
use std::collections::BTreeSet;

struct EachRoute;

impl Check for EachRoute {
    async fn check<P: Protocol>(&self, house: &House, name: Door, open: impl Fn() -> P) {
        let (routes, _) = routes(name);
        for role in [Role::Viewer, Role::Operator, Role::Admin] {
            let door = house.door(open(), role);
            for route in routes {
                let may = route.2.is_none_or(|least| role >= least);
                assert_eq!(status(&door, route).await != 403, may, "{name}: {role}: {route:?}");
            }
        }
        // Somebody of a project: no more than its owner, no more than the role, and nothing of what is
        // everybody's.
        for role in Role::ALL {
            let door = house.door_at(open(), Entrance::of(of_project("web", role)));
            for route in routes {
                let of_role = route.2.is_none_or(|least| role >= least.min(Role::Owner));
                let may = of_role && !is_everybodys(name, route.1);
                assert_eq!(status(&door, route).await != 403, may, "{name}: {role}: {route:?}");
            }
        }
        // Somebody whose user is none of those who are let in.
        let identity = Identity::User { uid: 65534 };
        let door = house.door_at(open(), Entrance::of_peer(identity, None));
        for route in routes {
            assert_eq!(status(&door, route).await == 403, route.2.is_some(), "{name}: {route:?}");
        }
        if !name.has_credential() {
            return;
        }
        // Somebody without the token is told nothing but that: not what there is, and what not yet.
        let (door, _token) = house.door_with_token(open());
        for route in routes.iter().chain(&[("POST", "/nonsense", ADMIN)]) {
            assert_eq!(status(&door, route).await == 401, route.2.is_some(), "{name}: {route:?}");
        }
    }
}

/// Whether a route is about what belongs to no project.
fn is_everybodys(door: Door, path: &str) -> bool {
    match door {
        Door::Vminfod => path == "/status",
        Door::Vmm => path == "/vm/commit",
        Door::Chypervisord => true,
        Door::Virtx => ["/hosts", "/hosts/{uuid}"].contains(&path),
    }
}

async fn status<P: Protocol>(door: &TestDoor<P>, route: &Route) -> u16 {
    let (method, path) = request_of(route);
    door.send(method, &path, "{}").await.status.as_u16()
}

#[tokio::test]
async fn each_role_may_what_is_its_own_on_every_route() {
    of_each_door(EachRoute).await;
}

/// The ways to write one path that lead there, too.
const STATUS: [&str; 8] = [
    "/status",
    "/status/",
    "//status",
    "/status/x",
    "/./status",
    "/x/../status",
    "/vms/../status?full",
    "/../status",
];

#[tokio::test]
async fn however_a_path_is_written_it_is_for_the_same_callers() {
    let house = House::new().await;
    house.create(serde_json::json!({ "name": "secret", "memory": "16MiB" })).await;
    for path in STATUS {
        for role in Role::ALL {
            let bound = house.door_at(Vminfod, Entrance::of(of_project("web", role)));
            let answered = bound.get(path).await;
            assert_eq!(answered.status, 403, "{role}: {path}: {}", answered.text);
        }
        let everybodys = house.door(Vminfod, Role::Viewer).get(path).await;
        assert_eq!(everybodys.status, 200, "{path}: {}", everybodys.text);
    }
    // What only ends like a path of virtx's is none that turns machines on and off.
    let operator = house.door(Virtx::open(), Role::Operator);
    for path in ["/runstate/boot", "/vms/x/y/runstate/pause", "/vms/runstate/boot/runstate/boot/x"]
    {
        assert_eq!(operator.send("POST", path, "{}").await.status, 403, "{path}");
    }
}

struct ShownCredential;

impl Check for ShownCredential {
    async fn check<P: Protocol>(&self, house: &House, name: Door, open: impl Fn() -> P) {
        let folder = tempfile::tempdir().unwrap();
        let issued = Arc::new(IssuedTokens::open(&folder.path().join("tokens.json")).unwrap());
        let wanted = NewToken {
            name: "ci".parse().unwrap(),
            role: Role::Viewer,
            project: None,
            expires: None,
            privileged: false,
        };
        let (_, text) = issued.create(wanted, "uid:0", Timestamp::now()).unwrap();
        let text = text.expose().unwrap().to_owned();
        let doorkeeper = Doorkeeper::default().with_issued(issued);
        let admin = Principal::anonymous(Identity::User { uid: 0 }, Role::Admin);
        let entrance = Entrance { doorkeeper, peer: Peer::LetIn(admin) };
        let door = house.door_at(open(), entrance);
        for route in routes(name).0.iter().filter(|route| route.2.is_some()) {
            let may = route.2 == VIEWER;
            let as_viewer = shown(&door, route, &format!("Bearer {text}")).await;
            assert_eq!(as_viewer.status != 403, may, "{name}: {route:?}: {}", as_viewer.text);
            for wrong in ["Bearer x", "Basic eDp5", "Bearer inn_x"] {
                let refused = shown(&door, route, wrong).await;
                assert_eq!(refused.status, 401, "{name}: {route:?}: {wrong}");
                let scheme = &refused.headers["www-authenticate"];
                assert!(scheme.to_str().unwrap().starts_with("Bearer"), "{name}: {scheme:?}");
            }
        }
    }
}

/// What is answered to whoever shows this.
async fn shown<P: Protocol>(door: &TestDoor<P>, route: &Route, credential: &str) -> Answered {
    let (method, path) = request_of(route);
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    let request = request.header("authorization", credential).header("content-length", 2);
    door.answer(request.body(Body::from("{}")).unwrap()).await
}

#[tokio::test]
async fn a_credential_that_is_shown_counts_in_place_of_the_doors_own_role() {
    of_each_door(ShownCredential).await;
}

#[test]
fn the_table_has_every_route() {
    for door in Door::ALL {
        let (routes, document) = routes(door);
        let known: BTreeSet<_> =
            routes.iter().map(|route| (route.0.to_lowercase(), route.1)).collect();
        let mut documented = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            let methods = ["get", "put", "post", "delete", "patch", "head"];
            for method in methods.into_iter().filter(|method| item.get(method).is_some()) {
                documented.insert((method.to_owned(), path.as_str()));
            }
        }
        // A HEAD is a GET to a gate.
        documented.retain(|(method, _)| method != "head");
        assert_eq!(known, documented, "{door}");
    }
}
