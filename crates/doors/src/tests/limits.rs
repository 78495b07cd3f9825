//! How often who may call, on every door.

use super::*;
use crate::{
    access::{Entrance, Peer},
    testing::{Answered, TestDoor},
};
use http::Request;
use innkeeper_auth::{Class, Doorkeeper, Identity, Principal, limits::Quotas};

fn quotas() -> Quotas {
    let quota = |text: &str| text.parse().unwrap();
    Quotas {
        vmm_standard: quota("3/h"),
        vmm_privileged: quota("5/h"),
        reads: quota("3/h"),
        writes: quota("3/h"),
        streams: quota("3/h"),
        unauthenticated: quota("2/h"),
    }
}

#[track_caller]
fn is_too_much(name: Door, answered: &Answered, kind: &str, quota: &str) {
    let Answered { status, headers, text } = answered;
    assert_eq!(status.as_u16(), 429, "{name}: {text}");
    let wait: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=3600).contains(&wait), "{name}: {wait}");
    assert_eq!(headers["ratelimit-policy"], format!("\"{kind}\";q={quota};w=3600"), "{name}");
    assert_eq!(headers["ratelimit"], format!("\"{kind}\";r=0;t={wait}"), "{name}");
    assert!(text.contains("too many"), "{name}: {text}");
    if name == Door::Vmm {
        assert_eq!(answered.json()["success"], false);
    }
}

struct TooOften;

impl Check for TooOften {
    async fn check<P: Protocol>(&self, house: &House, name: Door, open: impl Fn() -> P) {
        let (routes, _) = routes(name);
        let of = |role: Option<Role>| routes.iter().find(|route| route.2 == role);
        let read = of(VIEWER).unwrap();
        for (class, count) in [(Class::Standard, 3), (Class::Privileged, 5)] {
            let count = if name == Door::Vmm { count } else { 3 };
            let principal =
                Principal { class, ..Principal::anonymous(Identity::User { uid: 7 }, Role::Admin) };
            let doorkeeper = Doorkeeper::default().with_limits(quotas());
            let door = house.door_at(open(), Entrance { doorkeeper, peer: Peer::LetIn(principal) });
            for _ in 0..count {
                assert_ne!(ask(&door, read).await.status.as_u16(), 429, "{name}");
            }
            is_too_much(name, &ask(&door, read).await, "reads", &count.to_string());
            // A flood of reads does not keep anybody from stopping something.
            if let Some(write) = of(OPERATOR).or(of(ADMIN)) {
                assert_ne!(ask(&door, write).await.status.as_u16(), 429, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_stream_counts_as_one_however_its_path_is_written() {
    let house = House::new().await;
    let principal = Principal::anonymous(Identity::User { uid: 7 }, Role::Viewer);
    let doorkeeper = Doorkeeper::default().with_limits(quotas());
    let door = house.door_at(Vminfod, Entrance { doorkeeper, peer: Peer::LetIn(principal) });
    for path in ["/events/", "//events", "/events/x"] {
        assert_eq!(door.send("HEAD", path, "").await.status, 200, "{path}");
    }
    for path in ["/x/../events", "/events"] {
        let answered = door.send("HEAD", path, "").await;
        assert_eq!(answered.status, 429, "{path}");
        assert_eq!(answered.headers["ratelimit-policy"], "\"streams\";q=3;w=3600", "{path}");
    }
    // And what only ends so is none.
    assert_eq!(door.get("/vms/events").await.status, 404);
}

async fn ask<P: Protocol>(door: &TestDoor<P>, route: &Route) -> Answered {
    let (method, path) = request_of(route);
    door.send(method, &path, "{}").await
}

#[tokio::test]
async fn who_comes_too_often_is_told_so_and_when_to_come_again() {
    of_each_door(TooOften).await;
}

#[tokio::test]
async fn wrong_credentials_have_an_end_and_right_ones_go_on() {
    let house = House::new().await;
    let defaults = || vmm::Defaults { kernel: None, rootfs: None, boot_args: "quiet".into() };
    let protocol = || Vmm::new(defaults());
    let (_, text) = house.door_with_token(protocol());
    let file = house.folder.path().join("token");
    let token = innkeeper_auth::Token::load_or_create(&file).unwrap();
    let doorkeeper = Doorkeeper::default().with_token(token).with_limits(quotas());
    let door = house.door_at(protocol(), Entrance { doorkeeper, peer: Peer::Nobody });
    let list = async |token: &str| {
        let request = Request::post("/vm/list")
            .header("host", "localhost")
            .header("authorization", format!("Bearer {token}"));
        door.answer(request.body("{}".into()).unwrap()).await
    };
    for _ in 0..2 {
        assert_eq!(list("wrong").await.status.as_u16(), 401);
    }
    is_too_much(Door::Vmm, &list("wrong").await, "reads", "2");
    for _ in 0..5 {
        assert_eq!(list(&text).await.status.as_u16(), 200);
    }
    is_too_much(Door::Vmm, &list(&text).await, "reads", "5");
}
