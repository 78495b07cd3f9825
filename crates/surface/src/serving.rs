//! Connections: accepted within bounds, and ended in time.
//!
//! Every wait on a connection has an end: for a request's head and between requests, for its body,
//! for its caller to read any of the answer, and at the daemon's stop for whatever still runs. A caller who does not
//! keep to them loses the connection and nothing else. How long a session goes on that a connection has become is
//! that session's.

use crate::{
    places::{Connection, Places},
    unread::Impatient,
};
use axum::{
    body::Body,
    response::Response,
    serve::{Listener, ListenerExt},
};
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use innkeeper_auth::Source;
use std::{
    convert::Infallible,
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long a request's head may take, and how long a connection may be idle before it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long nothing of an answer may be read that is there to be.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of a request's head.
pub const MAX_HEAD: usize = 32 << 10;
/// The most headers of a request.
pub const MAX_HEADERS: usize = 64;
/// The bytes that are read ahead, or wait to be written, on one connection.
const BUFFER: usize = 64 << 10;
/// How long answers that are being written may take when the daemon stops.
const GRACE: Duration = Duration::from_millis(500);

/// What stands before the routes of one connection: it knows who opened it.
pub trait Gate: Clone + Send + Sync + 'static {
    /// Answers a request, whoever sent it.
    fn answer(&self, request: Request<Body>) -> impl Future<Output = Response> + Send;
}

/// Serves whoever connects, through the gate that `admit` makes for a connection from there; one for which it
/// fails is dropped, and so is one whose source has as many as it may. Returns when `stopping` is cancelled and all
/// connections have ended, half a second later at the most.
pub async fn serve<L: Listener, G: Gate>(
    listener: L,
    stopping: CancellationToken,
    admit: impl Fn(&L::Io, Source) -> io::Result<G>,
) where
    L::Io: AsyncRead + AsyncWrite + Connection,
{
    serve_within((Places::default(), UNREAD_TIMEOUT), listener, stopping, admit).await;
}

/// The same, with so many places, for callers who leave answers unread for so long at the most.
async fn serve_within<L: Listener, G: Gate>(
    (places, unread): (Places, Duration),
    mut listener: L,
    stopping: CancellationToken,
    admit: impl Fn(&L::Io, Source) -> io::Result<G>,
) where
    L::Io: AsyncRead + AsyncWrite + Connection,
{
    let connections = TaskTracker::new();
    loop {
        let accepted = async {
            let free = places.free().await;
            (free, listener.accept().await.0)
        };
        let (free, socket) = tokio::select! {
            () = stopping.cancelled() => break,
            accepted = accepted => accepted,
        };
        let source = socket.source();
        let Some(place) = places.take(free, source) else {
            tracing::debug!(%source, "a connection was closed: it has as many as it may");
            continue;
        };
        let gate = match admit(&socket, source) {
            Ok(gate) => gate,
            Err(error) => {
                tracing::warn!(%error, "a connection was dropped: nobody knows who opened it");
                continue;
            }
        };
        let connection = serve_connection((socket, unread), gate, stopping.clone());
        connections.spawn(async move {
            connection.await;
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// The listener with connections that send at once: answers are written whole, and waiting for more
/// would only hold them up.
pub fn no_delay(
    listener: TcpListener,
) -> impl Listener<Io = TcpStream, Addr = std::net::SocketAddr> {
    listener.tap_io(|socket| {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
    })
}

async fn serve_connection<Io>(
    (socket, unread): (Io, Duration),
    gate: impl Gate,
    stopping: CancellationToken,
) where
    Io: AsyncRead + AsyncWrite + Connection + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let gate = gate.clone();
        async move { Ok::<_, Infallible>(gate.answer(request.map(Body::new)).await) }
    });
    let is_session = Arc::new(AtomicBool::new(false));
    let socket = Impatient::new(socket, unread, Arc::clone(&is_session));
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
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(GRACE, connection).await {
                Ok(ended) => ended,
                Err(_elapsed) => return,
            }
        }
    };
    // Whoever it was handed to, if anybody, says how long it goes on.
    is_session.store(true, Ordering::Release);
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

#[cfg(test)]
#[path = "serving_tests.rs"]
mod tests;
