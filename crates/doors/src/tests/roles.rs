//! Who may do what: every route, for every role.

use super::*;
use crate::{access::Entrance, testing::TestDoor};
use innkeeper_auth::Identity;
use std::collections::BTreeSet;

struct EachRoute;

impl Check for EachRoute {
    async fn check<P: Protocol>(&self, house: &House, name: Door, open: impl Fn() -> P) {
        let (routes, _) = routes(name);
        for role in Role::ALL {
            let door = house.door(open(), role);
            for route in routes {
                let may = route.2.is_none_or(|least| role >= least);
                assert_eq!(status(&door, route).await != 403, may, "{name}: {role}: {route:?}");
            }
        }
        // Somebody whose user is none of those who are let in.
        let identity = Identity::User { uid: 65534 };
        let door = house.door_at(open(), Entrance::Peer { identity, role: None });
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

async fn status<P: Protocol>(door: &TestDoor<P>, route: &Route) -> u16 {
    let (method, path) = request_of(route);
    door.send(method, &path, "{}").await.status.as_u16()
}

#[tokio::test]
async fn each_role_may_what_is_its_own_on_every_route() {
    of_each_door(EachRoute).await;
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
