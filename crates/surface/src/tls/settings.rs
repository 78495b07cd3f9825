//! What a listener shows and whom it trusts; it can be replaced while the listener serves.

use arc_swap::ArcSwap;
use rustls::{
    Error, RootCertStore, ServerConfig,
    crypto::ring::{Ticketer, default_provider},
    pki_types::{CertificateDer, PrivateKeyDer},
    server::{VerifierBuilderError, WebPkiClientVerifier},
    version::TLS13,
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// A certificate with its key, and whose certificates are trusted.
pub struct Material {
    /// The listener's certificate, and what leads from it to what callers trust.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of it.
    pub key: PrivateKeyDer<'static>,
    /// The authorities of callers' certificates. With none, none is asked for.
    pub client_authorities: Vec<CertificateDer<'static>>,
}

/// Why TLS cannot be spoken with this.
#[derive(Debug, thiserror::Error)]
pub enum UnusableMaterial {
    /// The certificate and key are not usable, or not of one another.
    #[error("the listener's certificate cannot be shown")]
    Certificate(#[source] Error),
    /// An authority is no certificate.
    #[error("an authority of callers' certificates is no certificate")]
    Authority(#[source] Error),
    /// They cannot be verified against.
    #[error("callers' certificates cannot be verified")]
    Verifier(#[source] VerifierBuilderError),
    /// The host has no random numbers.
    #[error("no tickets for later handshakes can be made")]
    Tickets(#[source] Error),
}

/// How a listener speaks TLS, for now.
pub struct TlsSettings {
    current: ArcSwap<ServerConfig>,
    handshakes: Arc<Handshakes>,
}

/// How many handshakes came to what.
#[derive(Debug, Default)]
pub struct Handshakes {
    done: AtomicU64,
    failed: AtomicU64,
}

impl TlsSettings {
    /// With this certificate and these authorities.
    ///
    /// # Errors
    /// They cannot be used.
    pub fn new(material: Material) -> Result<Self, UnusableMaterial> {
        let current = ArcSwap::from_pointee(config(material)?);
        Ok(Self { current, handshakes: Arc::default() })
    }

    /// Has connections that come from now on begin with these. What tickets were given before is forgotten, so that
    /// nobody goes on by an authority that is trusted no more.
    ///
    /// # Errors
    /// They cannot be used; then nothing changes.
    pub fn replace(&self, material: Material) -> Result<(), UnusableMaterial> {
        self.current.store(Arc::new(config(material)?));
        Ok(())
    }

    pub(super) fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// What came of handshakes.
    pub const fn handshakes(&self) -> &Arc<Handshakes> {
        &self.handshakes
    }
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsSettings")
    }
}

impl Handshakes {
    pub(super) fn note(&self, is_done: bool) {
        let counter = if is_done { &self.done } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were done.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// How many were not, whatever the reason.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

fn config(material: Material) -> Result<ServerConfig, UnusableMaterial> {
    let Material { chain, key, client_authorities } = material;
    let provider = Arc::new(default_provider());
    let mut roots = RootCertStore::empty();
    for authority in client_authorities {
        roots.add(authority).map_err(UnusableMaterial::Authority)?;
    }
    let verifier = match roots.is_empty() {
        true => WebPkiClientVerifier::no_client_auth(),
        false => {
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .map_err(UnusableMaterial::Verifier)?
        }
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(UnusableMaterial::Certificate)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(UnusableMaterial::Certificate)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // What is needed to resume is in the ticket, and so nothing of it here.
    config.ticketer = Ticketer::new().map_err(UnusableMaterial::Tickets)?;
    Ok(config)
}
