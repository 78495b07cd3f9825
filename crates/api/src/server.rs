//! Who is served what: a surface's own bounds of connections are [`innkeeper_surface::serve`]'s.

use crate::{
    gate::{Entrance, Gate},
    router::{diagnostics_router, router},
    state::ApiState,
};
use axum::Router;
use innkeeper_auth::{Identity, Token};
use innkeeper_surface::{no_delay, serve};
use std::{io, sync::Arc};
use tokio::net::{TcpListener, UnixListener, UnixStream};

/// Serves the native API on a unix socket, to whoever can open it. Returns when the state's
/// `stopping` is cancelled and all connections have ended, half a second later at the most.
pub async fn serve_unix(listener: UnixListener, state: ApiState) {
    let router = router(state.clone());
    serve_peers(listener, router, state).await;
}

/// Serves the diagnosis alone on a unix socket, to whoever can open it: what waits for nothing. Called
/// on a runtime of its own it answers while every thread of the daemon's is stuck. Returns as
/// [`serve_unix`].
pub async fn serve_diagnostics(listener: UnixListener, state: ApiState) {
    let router = diagnostics_router(state.clone());
    serve_peers(listener, router, state).await;
}

async fn serve_peers(listener: UnixListener, router: Router, state: ApiState) {
    let stopping = state.stopping().clone();
    let admit = |socket: &UnixStream| -> io::Result<Gate> {
        let entrance = Arc::new(Entrance::Unix(Identity::of_peer(socket)?));
        Ok(Gate::new(state.clone(), router.clone(), entrance))
    };
    serve(listener, stopping, admit).await;
}

/// Serves the native API on a loopback address, to whoever shows the token. Returns when the state's
/// `stopping` is cancelled and all connections have ended, half a second later at the most.
pub async fn serve_tcp(listener: TcpListener, state: ApiState, token: Token) {
    let entrance = Arc::new(Entrance::Tcp(token));
    let router = router(state.clone());
    let stopping = state.stopping().clone();
    let admit = |_: &_| Ok(Gate::new(state.clone(), router.clone(), Arc::clone(&entrance)));
    serve(no_delay(listener), stopping, admit).await;
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
