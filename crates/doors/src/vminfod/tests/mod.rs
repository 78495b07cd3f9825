//! The door, through its gate, over a real engine and simulated machines.

mod client;
mod easy_to_get_wrong;
mod owners;
mod requests;
mod schema;
mod stream;
mod waiters;

use super::Vminfod;
use crate::{
    Access, Context, Protocol, gate,
    testing::{self, House},
};
use axum::body::Body;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use innkeeper_auth::{Doorkeeper, Identity, Principal, Role};
use innkeeper_engine::{PowerVerb, Request};
use innkeeper_model::{Spec, VmConfig, VmId};
use innkeeper_surface::ReadOnly;
use innkeeper_view::{View, ViewOptions};
use serde_json::{Value, json};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::Service;

/// A VM with everything that the door shows of one.
fn config(name: &str) -> Value {
    json!({
        "name": name,
        "memory": "16MiB",
        "labels": { "role": "web" },
        "disks": [{ "name": "root", "size": "1MiB" }],
        "nics": [{ "name": "net0" }],
    })
}

/// A view that nothing but the test writes to, which remembers few changes.
fn view() -> (View, Context) {
    let options = ViewOptions { max_changes: 64, ..ViewOptions::new(uuid::Uuid::now_v7()) };
    let view = View::start(options);
    let context = Context::new(view.clone(), Arc::new(ReadOnly), CancellationToken::new());
    (view, context)
}

/// A VM's spec, for such a view.
fn spec(config: Value) -> Spec {
    let config: VmConfig = serde_json::from_value(config).unwrap();
    testing::spec(VmId::new(), config)
}

/// The door of this house on a real socket, until the house is gone.
async fn opened(context: &Context) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let access =
        Access::by_credential(Doorkeeper::default()).or_anonymous(Role::Viewer, [own_uid()].into());
    tokio::spawn(gate::serve(Vminfod, listener, context.clone(), access));
    address
}

/// Who this process runs as.
fn own_uid() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid()
}

async fn kill(house: &House, vm: VmId) {
    house.perform(Request::Power { vm, verb: PowerVerb::Kill }).await;
}

/// What a stream sends of itself, without anything being waited for.
async fn at_once(context: &Context, path: &str) -> String {
    let mut request = http::Request::get(path).body(Body::empty()).unwrap();
    // As the gate does it.
    let principal = Principal::anonymous(Identity::User { uid: own_uid() }, Role::Viewer);
    request.extensions_mut().insert(principal);
    let response = Vminfod.router(context.clone()).call(request).await.unwrap();
    let mut body = response.into_body();
    let mut text = String::new();
    while let Some(Some(frame)) = body.frame().now_or_never() {
        text.push_str(std::str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap());
    }
    text
}
