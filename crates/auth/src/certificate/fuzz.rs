//! An entrance for fuzzers: anything may be thrown at it, and it must come back.

use super::x509::{common_name, expiry, requested_key};
use base64::{Engine, engine::general_purpose::STANDARD};

/// A request for a certificate in DER, as it is in PEM; and the same bytes as a certificate.
///
/// # Panics
/// There is a mistake: reading it failed in a way of its own.
pub fn request(bytes: &[u8]) {
    let body = STANDARD.encode(bytes);
    let pem =
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n");
    let _key_or_reason = requested_key(&pem);
    let _name_or_reason = common_name(bytes);
    let _end_or_reason = expiry(bytes);
}
