//! Requests for certificates (PKCS #10), as callers make them: the key stays where it was made.

use innkeeper_model::Secret;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

/// Why there is no request.
#[derive(Debug, thiserror::Error)]
pub enum CannotAsk {
    /// What should be a private key is none.
    #[error("it is no private key in PEM (PKCS #8) that this program can sign with")]
    NoKey(#[source] rcgen::Error),
    /// The host has no random numbers.
    #[error("no key can be made")]
    Failed(#[source] rcgen::Error),
}

/// A private key, and a request to have its public half certified; both in PEM.
#[derive(Debug)]
pub struct KeyAndRequest {
    /// The key (PKCS #8), which is nobody else's business.
    pub key: Secret,
    /// The request, which has no secret in it.
    pub request: String,
}

impl KeyAndRequest {
    /// With a new key (ECDSA P-256), for a certificate of this name.
    ///
    /// # Errors
    /// The host has no random numbers.
    pub fn generate(name: &str) -> Result<Self, CannotAsk> {
        of(KeyPair::generate().map_err(CannotAsk::Failed)?, name)
    }

    /// With the key that there is already.
    ///
    /// # Errors
    /// It is no private key.
    pub fn again(key: &Secret, name: &str) -> Result<Self, CannotAsk> {
        of(KeyPair::from_pem(key.expose().unwrap_or_default()).map_err(CannotAsk::NoKey)?, name)
    }
}

fn of(key: KeyPair, name: &str) -> Result<KeyAndRequest, CannotAsk> {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    let request = params.serialize_request(&key).and_then(|request| request.pem());
    let request = request.map_err(CannotAsk::Failed)?;
    Ok(KeyAndRequest { key: Secret::new(key.serialize_pem()), request })
}
