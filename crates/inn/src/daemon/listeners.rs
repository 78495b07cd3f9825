//! The TCP listeners: their ports, what stands before them, and whether TLS is spoken on them.

use super::tls::Tls;
use crate::{
    config::front,
    options::{DaemonOptions, ListenAddress},
};
use anyhow::Context as _;
use innkeeper_surface::{Front, Listening, TlsSettings};
use std::sync::Arc;
use tokio::net::TcpListener;

/// What all TCP listeners of this daemon have in common.
pub(super) struct Listeners {
    front: Arc<Front>,
    tls: Option<Arc<TlsSettings>>,
}

impl Listeners {
    /// Those of a daemon with these options; with TLS where it is spoken.
    ///
    /// # Errors
    /// A proxy is no address.
    pub(super) fn new(options: &DaemonOptions, tls: Option<&Tls>) -> anyhow::Result<Self> {
        let front = Arc::new(front(&options.tls, &options.proxies)?);
        Ok(Self { front, tls: tls.map(|tls| Arc::clone(tls.settings())) })
    }

    /// Takes a port. Who knocks meanwhile waits.
    ///
    /// # Errors
    /// It is taken, or TLS is wanted and nobody said how.
    pub(super) async fn bind(&self, listen: ListenAddress) -> anyhow::Result<Listening> {
        let address = listen.address;
        let socket = TcpListener::bind(address).await.with_context(|| {
            format!(
                "cannot listen on {address}; see who does with `ss -ltnp`, or choose another port"
            )
        })?;
        let listening = Listening::from(socket).with_front(Arc::clone(&self.front));
        if !listen.tls {
            return Ok(listening);
        }
        let settings = self.tls.as_ref().context("TLS was not prepared")?;
        Ok(listening.with_tls(Arc::clone(settings)))
    }

    /// Takes several.
    ///
    /// # Errors
    /// As [`Self::bind`].
    pub(super) async fn bind_all(&self, all: &[ListenAddress]) -> anyhow::Result<Vec<Listening>> {
        let mut bound = Vec::new();
        for listen in all {
            bound.push(self.bind(*listen).await?);
        }
        Ok(bound)
    }
}
