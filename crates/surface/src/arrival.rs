//! Arrivals: what is known of a connection before anything was read from it.

use crate::proxies::Proxies;
use http::HeaderMap;
use innkeeper_auth::{Fingerprint, Source};
use rustls::ServerConnection;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::net::TcpStream;

/// What stands before the TCP listeners of this host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Front {
    /// The names by which callers know this host, beside `localhost` and addresses.
    pub names: Vec<String>,
    /// The proxies that are believed.
    pub proxies: Proxies,
}

/// How a connection came in. By default it is one within this host, of which nothing else is known.
#[derive(Debug, Clone, Default)]
pub struct Arrival {
    front: Arc<Front>,
    /// The address that was called.
    local: Option<IpAddr>,
    /// Who called.
    peer: Option<SocketAddr>,
    is_tls: bool,
    certificate: Option<Fingerprint>,
}

impl Arrival {
    /// That of a connection without TLS.
    pub(crate) fn plain(socket: &TcpStream, front: &Arc<Front>) -> Self {
        Self {
            front: Arc::clone(front),
            local: socket.local_addr().ok().map(|address| address.ip().to_canonical()),
            // It may be over already.
            peer: socket.peer_addr().ok(),
            is_tls: false,
            certificate: None,
        }
    }

    /// That of a connection whose handshake is over.
    pub(crate) fn over_tls(socket: &TcpStream, tls: &ServerConnection, front: &Arc<Front>) -> Self {
        let shown = tls.peer_certificates().and_then(|chain| chain.first());
        let certificate = shown.map(|certificate| Fingerprint::of(certificate));
        Self { is_tls: true, certificate, ..Self::plain(socket, front) }
    }

    /// From where it came.
    pub const fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The certificate that its caller showed, which leads to an authority that is trusted. A proxy's own is not that of
    /// whom it speaks for.
    pub fn certificate(&self) -> Option<Fingerprint> {
        self.certificate.filter(|_| !self.is_by_a_proxy())
    }

    /// Whether it came over TLS.
    pub(crate) const fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// For whom a request on it is, where a proxy opened it that is believed: from where they come.
    pub fn forwarded(&self, headers: &HeaderMap) -> Option<(SocketAddr, Source)> {
        let address = self.front.proxies.forwarded(self.peer?.ip(), headers)?;
        // Its port is the proxy's secret.
        Some(((address, 0).into(), Source::of_address(address)))
    }

    /// Whether this host is known by this name, or has this address where it was called.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        if name.eq_ignore_ascii_case("localhost")
            || self.front.names.iter().any(|own| own.eq_ignore_ascii_case(name))
        {
            return true;
        }
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        address.is_ok_and(|address| {
            address.is_loopback()
                || Some(address.to_canonical()) == self.local.filter(|_| self.is_tls)
        })
    }

    /// What a browser's pages of this very origin say to come from. Before a proxy there may be TLS or none, and
    /// nobody but the proxy knows.
    pub(crate) fn schemes(&self) -> &'static [&'static [u8]] {
        match (self.is_by_a_proxy(), self.is_tls) {
            (true, _) => &[b"http://", b"https://"],
            (false, true) => &[b"https://"],
            (false, false) => &[b"http://"],
        }
    }

    /// Whether a proxy opened it that is believed.
    pub(crate) fn is_by_a_proxy(&self) -> bool {
        self.peer.is_some_and(|peer| self.front.proxies.has(peer.ip()))
    }

    #[cfg(test)]
    pub(crate) fn for_test(front: Front, local: &str, is_tls: bool) -> Self {
        let local = Some(local.parse().unwrap());
        let peer = Some("192.0.2.1:4711".parse().unwrap());
        Self { front: Arc::new(front), local, peer, is_tls, certificate: None }
    }
}
