//! What is written into certificates, and read out of them: X.509 as far as this daemon needs it.

use innkeeper_model::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SerialNumber, SubjectPublicKeyInfo,
};
use rustls::pki_types::{CertificateSigningRequestDer, pem::PemObject};
use std::{io, time::Duration};
use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer};

/// A day, in seconds.
pub(super) const DAY: i64 = 24 * 60 * 60;
/// How long before now a certificate holds already, for clocks that are behind.
const BACKDATED: Duration = Duration::from_secs(60 * 60);
/// The random bytes of a serial number; RFC 5280 allows 20.
const SERIAL_BYTES: usize = 16;
/// How many certificates an authority may stand over that are authorities themselves: its successor is one.
const PATH_LENGTH: u8 = 1;

/// That something is no certificate.
#[derive(Debug, thiserror::Error)]
#[error("it is no X.509 certificate")]
pub struct NotACertificate;

/// From when on a certificate in DER holds no more.
///
/// # Errors
/// It is none.
pub fn expiry(certificate: &[u8]) -> Result<Timestamp, NotACertificate> {
    let (_rest, parsed) =
        x509_parser::parse_x509_certificate(certificate).map_err(|_| NotACertificate)?;
    let ends = parsed.validity().not_after.timestamp();
    Timestamp::from_second(ends).map_err(|_| NotACertificate)
}

/// Whose a certificate in DER says to be: the first common name of its subject. It proves nothing.
///
/// # Errors
/// It is no certificate, or nobody's.
pub fn common_name(certificate: &[u8]) -> Result<String, NotACertificate> {
    let (_rest, parsed) =
        x509_parser::parse_x509_certificate(certificate).map_err(|_| NotACertificate)?;
    let name = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    name.map(str::to_owned).ok_or(NotACertificate)
}

/// The serial number of a certificate in DER, in hexadecimal.
///
/// # Errors
/// It is no certificate.
pub(super) fn serial_of(certificate: &[u8]) -> Result<String, NotACertificate> {
    let (_rest, parsed) =
        x509_parser::parse_x509_certificate(certificate).map_err(|_| NotACertificate)?;
    Ok(parsed.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Why something is no request for a certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotARequest {
    #[error("it is not PKCS #10 in PEM")]
    Form,
    #[error("the key in it has not signed it")]
    NotSigned,
    #[error("its key is of no kind that can be certified")]
    Key(#[source] rcgen::Error),
}

/// The key that a request is for, which has signed it. Whatever else it asks for is not looked at.
pub(super) fn requested_key(request: &str) -> Result<SubjectPublicKeyInfo, NotARequest> {
    let der = CertificateSigningRequestDer::from_pem_slice(request.as_bytes());
    let der = der.map_err(|_| NotARequest::Form)?;
    let (_rest, asked) = X509CertificationRequest::from_der(&der).map_err(|_| NotARequest::Form)?;
    asked.verify_signature().map_err(|_| NotARequest::NotSigned)?;
    let key = asked.certification_request_info.subject_pki.raw;
    SubjectPublicKeyInfo::from_der(key).map_err(NotARequest::Key)
}

/// A new serial number, and how it is written.
///
/// # Errors
/// The host has no random numbers.
pub(super) fn serial() -> io::Result<(SerialNumber, String)> {
    let mut bytes = [0; SERIAL_BYTES];
    getrandom::fill(&mut bytes)?;
    // A positive number of always the same length.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    let text = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((SerialNumber::from_slice(&bytes), text))
}

/// What a certificate of this name says that holds from now, or a little earlier, until then.
pub(super) fn params(
    name: &str,
    serial: SerialNumber,
    now: Timestamp,
    ends: Timestamp,
) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "Innkeeper");
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    params.serial_number = Some(serial);
    let begun = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = begun + since_1970(now).saturating_sub(BACKDATED);
    params.not_after = begun + since_1970(ends);
    params
}

/// What an authority's says.
pub(super) fn for_authority(mut params: CertificateParams) -> CertificateParams {
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(PATH_LENGTH));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// What one says that is shown in TLS, by a server or a client.
pub(super) fn for_tls(
    mut params: CertificateParams,
    by: ExtendedKeyUsagePurpose,
) -> CertificateParams {
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![by];
    params.use_authority_key_identifier_extension = true;
    params
}

/// So many seconds after this.
pub(super) fn after(time: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_second(time.as_second().saturating_add(seconds)).unwrap_or(Timestamp::MAX)
}

fn since_1970(time: Timestamp) -> Duration {
    Duration::from_secs(time.as_second().try_into().unwrap_or_default())
}
