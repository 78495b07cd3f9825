//! TCP listeners, with TLS or without: the same to whatever is served on them.

use crate::{
    arrival::{Arrival, Front},
    serving::{Gate, no_delay, serve},
    tls::{TlsConnection, TlsListener, TlsSettings},
};
use innkeeper_auth::Source;
use std::{io, net::SocketAddr, sync::Arc};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// A port that is taken.
#[derive(Debug)]
pub struct Listening {
    socket: TcpListener,
    tls: Option<Arc<TlsSettings>>,
    front: Arc<Front>,
}

/// Without TLS, for callers of this host.
impl From<TcpListener> for Listening {
    fn from(socket: TcpListener) -> Self {
        Self { socket, tls: None, front: Arc::default() }
    }
}

impl Listening {
    /// The same with TLS.
    #[must_use]
    pub fn with_tls(self, settings: Arc<TlsSettings>) -> Self {
        Self { tls: Some(settings), ..self }
    }

    /// The same, of a host that is known by names, or behind proxies.
    #[must_use]
    pub fn with_front(self, front: Arc<Front>) -> Self {
        Self { front, ..self }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves whoever connects, as [`serve`] does.
    pub async fn serve<G: Gate>(
        self,
        stopping: CancellationToken,
        admit: impl Fn(Arrival, Source) -> io::Result<G>,
    ) {
        let Self { socket, tls, front } = self;
        let Some(settings) = tls else {
            let admit = |socket: &TcpStream, source| admit(Arrival::plain(socket, &front), source);
            return serve(no_delay(socket), stopping, admit).await;
        };
        let admit = |connection: &TlsConnection, source| {
            let (socket, tls) = connection.stream().get_ref();
            admit(Arrival::over_tls(socket, tls, &front), source)
        };
        serve(TlsListener::new(socket, settings), stopping, admit).await;
    }
}
