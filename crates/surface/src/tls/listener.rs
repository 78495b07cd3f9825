//! Handshakes: each within its time, and many at once, so that none waits for another.
//!
//! A place among those that are served is taken by a connection whose handshake is over. Where there are as many
//! handshakes as may be at once, one is given up for the next: that which has taken longest, of the [`Source`] that has
//! most of them under way. Who goes on with a handshake needs milliseconds, and whoever opens connections and says
//! nothing, however many and however fast, holds up nobody but themselves.

use super::{connection::TlsConnection, settings::TlsSettings, under_way::UnderWay};
use crate::places::Connection;
use axum::serve::Listener;
use innkeeper_auth::Source;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::{Id, JoinError, JoinSet},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The most handshakes at once.
const MOST_AT_ONCE: usize = 512;
/// What a TLS record begins with that begins a handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;
/// What is said to somebody who speaks HTTP without TLS.
const SPEAK_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 53\r\n\
    Connection: close\r\n\r\nThis port speaks TLS: write https:// in the address.\n";

type Finished = io::Result<(TlsStream<TcpStream>, SocketAddr)>;
/// Says from where a connection comes.
type Whence = fn(&TcpStream) -> Source;

/// A TCP listener whose connections have had their handshakes.
pub(crate) struct TlsListener {
    socket: TcpListener,
    settings: Arc<TlsSettings>,
    handshakes: JoinSet<Finished>,
    /// The same, by where they come from.
    under_way: UnderWay,
    whence: Whence,
    timeout: Duration,
    most_at_once: usize,
}

impl TlsListener {
    pub(crate) fn new(socket: TcpListener, settings: Arc<TlsSettings>) -> Self {
        Self {
            socket,
            settings,
            handshakes: JoinSet::new(),
            under_way: UnderWay::default(),
            whence: <TcpStream as Connection>::source,
            timeout: HANDSHAKE_TIMEOUT,
            most_at_once: MOST_AT_ONCE,
        }
    }

    #[cfg(test)]
    pub(super) fn within(self, timeout: Duration, most_at_once: usize) -> Self {
        Self { timeout, most_at_once, ..self }
    }

    #[cfg(test)]
    pub(super) fn telling_by(self, whence: Whence) -> Self {
        Self { whence, ..self }
    }

    fn begin(&mut self, socket: TcpStream, peer: SocketAddr) {
        // Asked once: of a connection within this host the kernel is, which takes some 20 µs.
        let source = (self.whence)(&socket);
        if self.under_way.len() >= self.most_at_once {
            self.under_way.give_one_up();
        }
        let acceptor = TlsAcceptor::from(self.settings.current());
        let within = self.timeout;
        let handshake = self.handshakes.spawn(async move {
            let shaken = timeout(within, shake(acceptor, socket)).await;
            Ok((shaken.map_err(|_| io::ErrorKind::TimedOut)??, peer))
        });
        self.under_way.add(source, handshake);
    }

    /// The connection of a handshake that has ended, if it ended well.
    fn ended(
        &mut self,
        ended: Result<(Id, Finished), JoinError>,
    ) -> Option<(TlsConnection, SocketAddr)> {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let source = self.under_way.remove(id);
        let handshakes = self.settings.handshakes();
        match ended {
            Ok((_, Ok((stream, peer)))) => {
                handshakes.note(true);
                return source.map(|source| (TlsConnection::new(stream, source), peer));
            }
            Ok((_, Err(error))) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(error) if error.is_cancelled() => {
                tracing::debug!("a TLS handshake was given up for others");
            }
            Err(error) => tracing::error!(%error, "a TLS handshake ended by a defect"),
        }
        handshakes.note(false);
        None
    }
}

impl Listener for TlsListener {
    type Io = TlsConnection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                (socket, peer) = Listener::accept(&mut self.socket) => self.begin(socket, peer),
                Some(ended) = self.handshakes.join_next_with_id() => {
                    if let Some(connection) = self.ended(ended) {
                        return connection;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.socket.local_addr()
    }
}

async fn shake(acceptor: TlsAcceptor, mut socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    // Answers are written whole.
    socket.set_nodelay(true)?;
    let mut first = [0];
    if socket.peek(&mut first).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if first[0] != HANDSHAKE && first[0].is_ascii_uppercase() {
        // What is unread when a socket is closed has the other end lose what it was sent.
        let mut unread = [0; 1024];
        let _sent = socket.write_all(SPEAK_TLS).await;
        let _shut = socket.shutdown().await;
        while let Ok(1..) = tokio::io::AsyncReadExt::read(&mut socket, &mut unread).await {}
        return Err(io::Error::new(io::ErrorKind::InvalidData, "HTTP without TLS"));
    }
    acceptor.accept(socket).await
}
