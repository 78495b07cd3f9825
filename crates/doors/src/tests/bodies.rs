//! Bodies that are too large, that never end, and that never come.

use super::*;
use crate::{
    access::Entrance,
    gate::Opened,
    testing::{Answered, TestDoor},
};
use axum::body::{Body, Bytes};
use futures_util::stream;
use http::Request;
use innkeeper_auth::Identity;
use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

const CHUNK: &[u8] = &[b' '; 4096];

/// A route of the door that reads its body; vminfod's has none.
fn reads_a_body(door: Door) -> Option<(&'static str, &'static str)> {
    match door {
        Door::Vminfod => None,
        Door::Vmm => Some(("POST", "/vm/info")),
        Door::Chypervisord => Some(("POST", "/hypervisors")),
        Door::Virtx => Some(("POST", "/vms")),
    }
}

async fn send<P: Protocol>(
    door: &TestDoor<P>,
    (method, path): (&str, &str),
    length: Option<usize>,
    body: Body,
) -> Answered {
    let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
    if let Some(length) = length {
        request = request.header("content-length", length);
    }
    door.answer(request.body(body).unwrap()).await
}

struct TooLarge;

impl Check for TooLarge {
    async fn check<P: Protocol>(&self, house: &House, name: Door, open: impl Fn() -> P) {
        let door = house.door(open(), Role::Admin);
        let read = Arc::new(AtomicUsize::new(0));
        let endless = || {
            let read = Arc::clone(&read);
            Body::from_stream(stream::repeat_with(move || {
                read.fetch_add(CHUNK.len(), Ordering::Relaxed);
                Ok::<_, Infallible>(Bytes::from_static(CHUNK))
            }))
        };
        let route = reads_a_body(name).unwrap_or(("GET", "/vms"));
        // One that says so is refused before any of it is read.
        let said = send(&door, route, Some(P::MAX_BODY + 1), endless()).await;
        // virtx has one status for every length that it does not take.
        let status = if name == Door::Virtx { 400 } else { 413 };
        assert_eq!((said.status.as_u16(), read.load(Ordering::Relaxed)), (status, 0), "{name}");
        // One that does not, or lies, when it has become too large.
        for length in [None, Some(100)] {
            let answered = send(&door, route, length, endless()).await;
            let refused = reads_a_body(name).is_none() || answered.status.is_client_error();
            assert!(refused, "{name}: {}", answered.text);
            let most = P::MAX_BODY + 2 * CHUNK.len();
            assert!(
                read.swap(0, Ordering::Relaxed) <= most,
                "{name}: more is read than is allowed"
            );
        }
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_never_read_whole() {
    of_each_door(TooLarge).await;
}

struct NeverComes;

impl Check for NeverComes {
    async fn check<P: Protocol>(&self, house: &House, name: Door, open: impl Fn() -> P) {
        let Some(route) = reads_a_body(name) else { return };
        let mut opened = Opened::new(open(), house.context.clone());
        opened.body_timeout = Duration::from_millis(20);
        let entrance = Entrance::of_peer(Identity::User { uid: 0 }, Some(Role::Admin));
        let door = TestDoor::new(opened, entrance);
        let body = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let answered = send(&door, route, Some(100), body).await;
        assert_eq!(answered.status, 400, "{name}: {}", answered.text);
    }
}

#[tokio::test]
async fn a_body_that_never_comes_holds_nothing_for_ever() {
    of_each_door(NeverComes).await;
}
