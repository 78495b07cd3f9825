//! Connections: accepted within bounds, and ended in time.
//!
//! Every wait on a connection has an end: for a request's head and between requests, for its body,
//! and at the daemon's stop for whatever still runs. A caller who does not keep to them loses the
//! connection and nothing else.

use crate::{
    gate::{Entrance, Gate},
    router::{diagnostics_router, router},
    state::ApiState,
};
use axum::{
    Router,
    body::Body,
    serve::{Listener, ListenerExt},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use innkeeper_auth::{Identity, Token};
use std::{convert::Infallible, io, pin::pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener, UnixStream},
    sync::Semaphore,
};
use tokio_util::task::TaskTracker;

/// The most connections at a time on one listener; more wait to be accepted.
const MAX_CONNECTIONS: usize = 4096;
/// How long a request's head may take, and how long a connection may be idle before it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of a request's head.
const MAX_HEAD: usize = 32 << 10;
/// The most headers of a request.
const MAX_HEADERS: usize = 64;
/// The bytes that are read ahead, or wait to be written, on one connection.
const BUFFER: usize = 64 << 10;
/// How long answers that are being written may take when the daemon stops.
const GRACE: Duration = Duration::from_millis(500);

/// Serves the native API on a unix socket, to whoever can open it. Returns when the state's
/// `stopping` is cancelled and all connections have ended, half a second later at the most.
pub async fn serve_unix(listener: UnixListener, state: ApiState) {
    let router = router(state.clone());
    serve(listener, router, state, identify_peer).await;
}

/// Serves the diagnosis alone on a unix socket, to whoever can open it: what waits for nothing. Called
/// on a runtime of its own it answers while every thread of the daemon's is stuck. Returns as
/// [`serve_unix`].
pub async fn serve_diagnostics(listener: UnixListener, state: ApiState) {
    let router = diagnostics_router(state.clone());
    serve(listener, router, state, identify_peer).await;
}

fn identify_peer(socket: &UnixStream) -> io::Result<Entrance> {
    Ok(Entrance::Unix(Identity::of_peer(socket)?))
}

/// Serves the native API on a loopback address, to whoever shows the token. Returns when the state's
/// `stopping` is cancelled and all connections have ended, half a second later at the most.
pub async fn serve_tcp(listener: TcpListener, state: ApiState, token: Token) {
    let listener = listener.tap_io(|socket| {
        // Answers are written whole; waiting for more would only hold them up.
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
    });
    let entrance = Arc::new(Entrance::Tcp(token));
    let router = router(state.clone());
    serve(listener, router, state, move |_| Ok(Entrance::clone(&entrance))).await;
}

async fn serve<L: Listener>(
    mut listener: L,
    router: Router,
    state: ApiState,
    identify: impl Fn(&L::Io) -> io::Result<Entrance>,
) where
    L::Io: AsyncRead + AsyncWrite,
{
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await.0)
        };
        let (place, socket) = tokio::select! {
            () = state.stopping().cancelled() => break,
            accepted = accepted => accepted,
        };
        let entrance = match identify(&socket) {
            Ok(entrance) => entrance,
            Err(error) => {
                tracing::warn!(%error, "a connection was dropped: nobody knows who opened it");
                continue;
            }
        };
        let gate = Gate::new(state.clone(), Router::clone(&router), Arc::new(entrance));
        let connection = serve_connection(socket, gate, state.clone());
        connections.spawn(async move {
            connection.await;
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn serve_connection<Io>(socket: Io, gate: Gate, state: ApiState)
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let gate = gate.clone();
        async move { Ok::<_, Infallible>(gate.answer(request.map(Body::new)).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_header_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(socket), service)
            .with_upgrades()
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = state.stopping().cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(GRACE, connection).await {
                Ok(ended) => ended,
                Err(_elapsed) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
