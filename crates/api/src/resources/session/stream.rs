//! Carries a session's bytes over a connection, until either side ends, the credential that it was opened with, or
//! the daemon; or until the VM is given to a project that its viewer is not of.

use super::opening::{RAW, Upgrade};
use crate::{protocol::answer, state::ApiState};
use axum::{
    extract::ws::{Message, WebSocket},
    response::Response,
};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, StatusCode, header};
use hyper_util::rt::TokioIo;
use innkeeper_auth::Standing;
use innkeeper_driver::ByteStream;
use innkeeper_surface::until_it_ends;
use std::{fmt::Display, sync::Arc};
use tokio::io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// What is read at once, and the most of one message to a viewer, in bytes.
const PIECE: usize = 32 << 10;
/// The subprotocol that viewers of a screen ask for.
const BINARY: &str = "binary";

/// Answers with the switch of protocols; then the connection is the session's.
pub(super) fn open(
    state: &ApiState,
    upgrade: Upgrade,
    stream: Box<dyn ByteStream>,
    standing: Standing,
    about: impl Display,
) -> Response {
    let about: Arc<str> = about.to_string().into();
    let ends = Ends { standing, stopping: state.stopping().clone() };
    let upgrade = match upgrade {
        Upgrade::WebSocket(upgrade) => {
            return upgrade
                .protocols([BINARY])
                .on_upgrade(|socket| until(ends, about, serve_websocket(socket, stream)));
        }
        Upgrade::Raw(upgrade) => upgrade,
    };
    let mut response = answer::empty(StatusCode::SWITCHING_PROTOCOLS, state.revision());
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(RAW));
    tokio::spawn(until(ends, about, async {
        let viewer = upgrade.await.map_err(io::Error::other)?;
        connect(TokioIo::new(viewer), stream).await
    }));
    response
}

/// What ends a session, whatever its two sides do.
struct Ends {
    /// Its caller is let in no more, or the VM is not there for them.
    standing: Standing,
    /// The daemon ends.
    stopping: CancellationToken,
}

async fn until(ends: Ends, about: Arc<str>, serving: impl Future<Output = io::Result<()>> + Send) {
    debug!(session = &*about, "opened");
    let ended = tokio::select! {
        ended = serving => ended,
        () = until_it_ends(&ends.standing) => {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, "what it was opened with ended"))
        }
        // Whatever is left of a session ends with the daemon.
        () = ends.stopping.cancelled() => Ok(()),
    };
    match ended {
        Err(error) => debug!(session = &*about, %error, "broke off"),
        Ok(()) => debug!(session = &*about, "closed"),
    }
}

/// Carries bytes both ways until one side ends; then both are closed.
async fn connect(
    viewer: impl AsyncRead + AsyncWrite,
    stream: impl AsyncRead + AsyncWrite,
) -> io::Result<()> {
    let (mut viewer_reads, mut viewer_writes) = io::split(viewer);
    let (mut stream_reads, mut stream_writes) = io::split(stream);
    let ended = tokio::select! {
        typed = io::copy(&mut viewer_reads, &mut stream_writes) => typed,
        shown = io::copy(&mut stream_reads, &mut viewer_writes) => shown,
    };
    // The rest of what was shown is on its way; then the viewer is told that this was all.
    let closed = viewer_writes.shutdown().await;
    ended.and(closed)
}

/// The same with messages; their borders mean nothing.
async fn serve_websocket(viewer: WebSocket, stream: Box<dyn ByteStream>) -> io::Result<()> {
    let (mut to_viewer, mut from_viewer) = viewer.split();
    let (mut stream_reads, mut stream_writes) = io::split(stream);
    let shown = async {
        let mut piece = vec![0; PIECE];
        loop {
            let length = stream_reads.read(&mut piece).await?;
            if length == 0 {
                return Ok::<_, io::Error>(());
            }
            let message = Message::Binary(Bytes::copy_from_slice(&piece[..length]));
            to_viewer.send(message).await.map_err(io::Error::other)?;
        }
    };
    let typed = async {
        while let Some(message) = from_viewer.next().await {
            match message.map_err(io::Error::other)? {
                Message::Binary(bytes) => stream_writes.write_all(&bytes).await?,
                Message::Text(text) => stream_writes.write_all(text.as_bytes()).await?,
                Message::Close(_) => break,
                // Pings are answered by what is below.
                Message::Ping(_) | Message::Pong(_) => {}
            }
        }
        Ok(())
    };
    let ended = tokio::select! {
        ended = shown => ended,
        ended = typed => ended,
    };
    let closed = to_viewer.close().await.map_err(io::Error::other);
    ended.and(closed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    #[tokio::test]
    async fn bytes_go_both_ways_until_the_viewer_leaves() {
        let ((mut viewer, there), (here, mut guest)) = (duplex(64), duplex(64));
        let connected = tokio::spawn(connect(there, here));
        let mut heard = [0; 4];
        viewer.write_all(b"ping").await.unwrap();
        guest.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"ping");
        guest.write_all(b"pong").await.unwrap();
        viewer.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"pong");
        drop(viewer);
        let _ = connected.await.unwrap();
        assert_eq!(guest.read(&mut heard).await.unwrap(), 0, "the console is still open");
    }

    #[tokio::test]
    async fn the_viewer_reads_all_that_the_guest_wrote_before_it_ended() {
        let ((mut viewer, there), (here, mut guest)) = (duplex(64), duplex(64));
        let connected = tokio::spawn(connect(there, here));
        guest.write_all(b"reboot: Power down").await.unwrap();
        drop(guest);
        let mut shown = String::new();
        viewer.read_to_string(&mut shown).await.unwrap();
        assert_eq!(shown, "reboot: Power down");
        connected.await.unwrap().unwrap();
    }
}
