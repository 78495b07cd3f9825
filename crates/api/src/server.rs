//! Who is served what: a surface's own bounds of connections are [`innkeeper_surface::serve`]'s.

use crate::{
    gate::{Entrance, Gate},
    router::{diagnostics_router, router},
    state::ApiState,
};
use axum::Router;
use innkeeper_auth::{Identity, Principal};
use innkeeper_surface::{Listening, serve};
use std::{io, sync::Arc};
use tokio::net::{UnixListener, UnixStream};

/// Serves the native API on a unix socket, to whoever can open it. Returns when the state's
/// `stopping` is cancelled and all connections have ended, half a second later at the most.
pub async fn serve_unix(listener: UnixListener, state: ApiState) {
    let router = router(state.clone());
    serve_peers(listener, router, state).await;
}

/// Serves the diagnosis alone on a unix socket, to whoever can open it: what waits for no other thread. Called
/// on a runtime of its own it answers while every thread of the daemon's is stuck. Returns as
/// [`serve_unix`].
pub async fn serve_diagnostics(listener: UnixListener, state: ApiState) {
    let router = diagnostics_router(state.clone());
    serve_peers(listener, router, state).await;
}

async fn serve_peers(listener: UnixListener, router: Router, state: ApiState) {
    let stopping = state.stopping().clone();
    let own_uid = Identity::own_uid();
    let admit = |socket: &UnixStream, source| -> io::Result<Gate> {
        let principal = match Identity::of_peer(socket)? {
            Identity::User { uid } => Principal::of_socket(uid, own_uid),
            other => Principal::admin(other),
        };
        let entrance = Arc::new(Entrance::Unix(principal));
        Ok(Gate::new(state.clone(), router.clone(), entrance).with_source(source))
    };
    serve(listener, stopping, admit).await;
}

/// Serves the native API over TCP, to whoever shows a credential: on a loopback address, or with TLS. Returns when
/// the state's `stopping` is cancelled and all connections have ended, half a second later at the most.
pub async fn serve_tcp(listener: impl Into<Listening>, state: ApiState) {
    let entrance = Arc::new(Entrance::Tcp);
    let router = router(state.clone());
    let stopping = state.stopping().clone();
    let admit = |arrival, source| {
        let gate = Gate::new(state.clone(), router.clone(), Arc::clone(&entrance));
        Ok(gate.with_arrival(arrival).with_source(source))
    };
    listener.into().serve(stopping, admit).await;
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
