//! Certificates of callers: signed, found by what TLS shows, renewed, revoked.

use super::{
    Authority, Fingerprint,
    authority::Signed,
    x509::{DAY, after, expiry, serial_of},
};
use crate::{
    issued::{
        CredentialState, IssuedList, Kind, NotIssued, ShownCredential, Stored, StoredCertificate,
        check,
    },
    list_file::ListError,
    principal::Principal,
    role::Role,
    standing::Standing,
};
use innkeeper_model::{Code, ProjectName, Refusal, Timestamp, TokenName};
use innkeeper_store::WriteFailed;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde::{Deserialize, Serialize};
use std::{path::Path, sync::Arc};
use utoipa::ToSchema;

/// How long a certificate lasts of which nobody said.
const USUALLY_LASTS: i64 = 90 * DAY;
/// How long one may last: less than is left of an authority that signs.
const MOST: i64 = 364 * DAY;

/// The certificates of callers, and the authority that signs them.
#[derive(Debug)]
pub struct Certificates {
    authority: Arc<Authority>,
    list: IssuedList,
}

/// What somebody wants a certificate to be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCertificate {
    /// Its name; tasks and logs know its bearers as `cert:NAME`.
    pub name: TokenName,
    /// What its bearers may do.
    pub role: Role,
    /// The only project that is there for them. An owner has one, an admin none.
    #[serde(default)]
    pub project: Option<ProjectName>,
    /// From when on it is refused; at most 364 days ahead. Default: 90 days.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Timestamp>,
    /// Whether they have a privileged caller's room in the limits; admins do in any case.
    #[serde(default)]
    pub privileged: bool,
    /// The request for it (PKCS #10, in PEM), signed by the key that it is for. Of what it asks for, nothing but
    /// the key counts.
    #[serde(default)]
    pub request: Option<String>,
    /// In place of a request: a certificate, in PEM, that an authority of `client_authorities` has signed. It is what
    /// is shown then, until its own end at the longest.
    #[serde(default)]
    pub certificate: Option<String>,
}

/// A certificate of a caller, as those who answer for it see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownCertificate {
    /// What there is to see of every credential.
    #[serde(flatten)]
    pub credential: ShownCredential,
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// The SHA-256 of the whole certificate, in hexadecimal.
    pub fingerprint: String,
}

impl From<(Stored, CredentialState)> for ShownCertificate {
    fn from((stored, state): (Stored, CredentialState)) -> Self {
        let fingerprint = Fingerprint(stored.digest).to_string();
        let serial = stored.certificate.as_ref().map(|certificate| certificate.serial.clone());
        let serial = serial.unwrap_or_default();
        Self { credential: (stored, state).into(), serial, fingerprint }
    }
}

impl Certificates {
    /// Those on the list in this file, none where it is not there yet; signed by this authority.
    ///
    /// # Errors
    /// The file cannot be read, was damaged, or others could have written to it.
    pub fn open(path: &Path, authority: Arc<Authority>) -> Result<Self, ListError> {
        Ok(Self { authority, list: IssuedList::open(Kind::Certificates, path)? })
    }

    /// Who signs them.
    pub const fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// Who shows this certificate now.
    pub(crate) fn find(&self, shown: Fingerprint, now: Timestamp) -> Result<Principal, NotIssued> {
        self.list.find(&shown.0, now)
    }

    /// All of them, by name.
    pub fn all(&self, now: Timestamp) -> Vec<ShownCertificate> {
        self.list.all(now).into_iter().map(ShownCertificate::from).collect()
    }

    /// Signs a certificate, or takes one that another authority has signed, and says it in PEM. It waits for the disk.
    ///
    /// # Errors
    /// A field has a value that is not allowed, there is one of this name, there are too many, or the disk
    /// fails; then there is no such certificate.
    pub fn create(
        &self,
        wanted: NewCertificate,
        by: &str,
        now: Timestamp,
    ) -> Result<(ShownCertificate, String), Refusal> {
        let NewCertificate { name, role, project, expires, privileged, .. } = &wanted;
        check(*role, project.as_ref(), *expires, now)?;
        let known = match (&wanted.request, &wanted.certificate) {
            (Some(request), None) => {
                let lifetime_s = lifetime(*expires, now)?;
                let expires = expires.unwrap_or_else(|| after(now, lifetime_s));
                let signed = self.authority.sign(request, name.as_str(), expires, now)?;
                Known { lifetime_s: Some(lifetime_s), expires, signed }
            }
            (None, Some(certificate)) => foreign(certificate, *expires, now)?,
            _ => {
                let message = "request: there is to be a request, or a certificate in its place";
                return Err(Refusal::new(Code::InvalidField, message).at("request"));
            }
        };
        let Known { lifetime_s, expires, signed } = known;
        let Signed { pem, fingerprint, serial } = signed;
        let stored = Stored {
            name: name.clone(),
            digest: fingerprint.0,
            role: *role,
            project: project.clone(),
            privileged: *privileged,
            created: now,
            created_by: by.into(),
            expires: Some(expires),
            last_used: None,
            certificate: Some(StoredCertificate { serial, lifetime_s, former: None }),
        };
        self.list.add(stored.clone())?;
        Ok(((stored, CredentialState::Valid).into(), pem))
    }

    /// Signs the next certificate of the same name, for as long as that was signed for. That one counts until this
    /// is shown, or until its end. It waits for the disk. `shown` is the standing of whoever asks, who shows it.
    ///
    /// # Errors
    /// There is none of this name, what was shown does not hold any more, it is no request, or the disk fails; then
    /// nothing has changed.
    pub fn renew(
        &self,
        name: &TokenName,
        shown: &Standing,
        request: &str,
        now: Timestamp,
    ) -> Result<(ShownCertificate, String), Refusal> {
        let before = self.list.get(name)?;
        let lifetime_s =
            before.certificate.and_then(|before| before.lifetime_s).ok_or_else(|| {
                Refusal::new(Code::WrongState, format!("{name} was signed by another authority"))
                    .with_hint(
                        "have the next one signed there; then inn certificate revoke, and accept",
                    )
            })?;
        let expires = after(now, lifetime_s);
        let signed = self.authority.sign(request, name.as_str(), expires, now)?;
        let Signed { pem, fingerprint, serial } = signed;
        let renewed = |before: &Stored| Stored {
            digest: fingerprint.0,
            expires: Some(expires),
            certificate: Some(StoredCertificate {
                serial,
                lifetime_s: Some(lifetime_s),
                former: None,
            }),
            ..before.clone()
        };
        let stored = self.list.replace(name, || shown.holds(now), renewed)?;
        Ok(((stored, CredentialState::Valid).into(), pem))
    }

    /// Takes one off the list. It is refused from the call on, whatever the disk says; it waits for that.
    ///
    /// # Errors
    /// There is none of this name. Or the disk fails: it is refused until the daemon ends, and revoking it again
    /// tries the disk again.
    pub fn revoke(&self, name: &TokenName, now: Timestamp) -> Result<ShownCertificate, Refusal> {
        self.list.revoke(name, now).map(ShownCertificate::from)
    }

    /// Writes down when certificates were last used, if any was since the last time.
    ///
    /// # Errors
    /// The disk fails; the next call tries again.
    pub fn save_uses(&self) -> Result<(), WriteFailed> {
        self.list.save_uses()
    }
}

/// A certificate that is to be put on the list.
struct Known {
    /// For how many seconds it is renewed; not at all, if it was not signed here.
    lifetime_s: Option<i64>,
    expires: Timestamp,
    signed: Signed,
}

/// A certificate that another authority has signed. Whether that is one that is trusted, TLS finds out each time.
fn foreign(
    certificate: &str,
    expires: Option<Timestamp>,
    now: Timestamp,
) -> Result<Known, Refusal> {
    let refused = |problem: &str| {
        Refusal::new(Code::InvalidField, format!("certificate: {problem}")).at("certificate")
    };
    let der = CertificateDer::from_pem_slice(certificate.as_bytes());
    let der = der.map_err(|_| refused("it is none in PEM"))?;
    let (Ok(ends), Ok(serial)) = (expiry(&der), serial_of(&der)) else {
        return Err(refused("it is no X.509 certificate"));
    };
    if ends <= now {
        return Err(refused("it has expired"));
    }
    let expires = expires.map_or(ends, |expires| expires.min(ends));
    let (pem, fingerprint) = (certificate.to_owned(), Fingerprint::of(&der));
    Ok(Known { lifetime_s: None, expires, signed: Signed { pem, fingerprint, serial } })
}

/// For how many seconds a certificate is to be signed that ends then.
fn lifetime(expires: Option<Timestamp>, now: Timestamp) -> Result<i64, Refusal> {
    let Some(expires) = expires else { return Ok(USUALLY_LASTS) };
    let lifetime = expires.as_second().saturating_sub(now.as_second());
    if lifetime <= MOST {
        return Ok(lifetime);
    }
    Err(Refusal::invalid("expires", expires, "is more than 364 days ahead")
        .with_limit("364 days")
        .with_hint("ask for less, and renew it before it ends: inn certificate renew"))
}
