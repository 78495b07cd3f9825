//! The authority of this host: made when it is first needed, and followed by another before it ends.
//!
//! `ca.key` has its private key, its own certificate, and those that lead from a former one to it: one file, which is
//! replaced as a whole (mode 0600), so that a key and a certificate always belong together. `ca.crt` is a copy of what
//! callers trust, for people.
//!
//! An authority ends after ten years. A year before, the next one is made, and the former one signs for it: whoever
//! trusts only the former one finds a chain to it until it ends, and whoever trusts the new one needs none. Callers'
//! certificates that the former one signed are trusted as long.
//!
//! What waits for the disk: opening it, and [`Authority::renew_if_due`].

use super::{
    fingerprint::Fingerprint,
    x509::{
        DAY, NotACertificate, after, expiry, for_authority, for_tls, params, requested_key, serial,
    },
};
use crate::private_file::{self, Found};
use innkeeper_model::{Code, Refusal, Timestamp};
use innkeeper_store::{WriteFailed, write_atomically};
use rcgen::{ExtendedKeyUsagePurpose, Issuer, KeyPair, PublicKeyData, SanType};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer,
    pem::{PemObject, SectionKind},
};
use std::{
    fs, io,
    net::IpAddr,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

/// How long an authority lasts, in seconds.
const LASTS: i64 = 3650 * DAY;
/// How long before its end there is the next one. A caller's certificate lasts less.
const FOLLOWED_BEFORE_END: i64 = 365 * DAY;
/// How long a listener's certificate lasts, and after how much of it there is another.
const SERVER_LASTS: i64 = 90 * DAY;
const SERVER_RENEWED_AFTER: i64 = 60 * DAY;
/// The most bytes of its file that are read: a key and three certificates.
const MAX_FILE: u64 = 64 << 10;

/// The authority of this host.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    in_force: RwLock<Arc<InForce>>,
    /// Held while the file is written.
    writing: Mutex<()>,
}

/// What signs now.
struct InForce {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
    ends: Timestamp,
    former: Option<Former>,
}

/// What signed before.
struct Former {
    root: CertificateDer<'static>,
    ends: Timestamp,
    /// The new one's name and key, signed by this one.
    bridge: CertificateDer<'static>,
}

/// What a listener shows.
pub struct ServerCertificate {
    /// The certificate, and what leads from it to what callers may trust.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key, which was made for it and is in memory only.
    pub key: PrivateKeyDer<'static>,
}

/// A certificate that was signed for a caller.
pub(super) struct Signed {
    pub(super) pem: String,
    pub(super) fingerprint: Fingerprint,
    pub(super) serial: String,
}

/// Why there is no authority.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// Its folder or file cannot be read.
    #[error("the authority's file {path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the host says.
        #[source]
        source: io::Error,
    },
    /// Others may know its key.
    #[error(
        "the authority's key {path} belongs to user {owner} and has mode {mode:04o}, so others may know it: \
         remove it, and the next start makes another authority, whose certificates callers need then"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not what was written.
    #[error(
        "{path} is not a key and its certificates in PEM ({problem}): put a copy of it back; or move it away, \
         and the next start makes another authority, whose certificates callers need then"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The disk fails.
    #[error(transparent)]
    Unwritable(#[from] WriteFailed),
    /// No key or certificate could be made.
    #[error("no certificate can be made")]
    Failed(#[source] rcgen::Error),
    /// The host has no random numbers.
    #[error("this host has no random numbers")]
    NoRandom(#[from] io::Error),
}

impl From<rcgen::Error> for AuthorityError {
    fn from(error: rcgen::Error) -> Self {
        Self::Failed(error)
    }
}

impl Authority {
    /// The authority in this folder; where there is none, a new one. The folder is made with mode 0700.
    ///
    /// # Errors
    /// Its files cannot be read or written, or its key may be known to others.
    pub fn open(folder: &Path, now: Timestamp) -> Result<Self, AuthorityError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|source| AuthorityError::Unreadable { path: folder.into(), source })?;
        let in_force = match load(&folder.join(KEY)) {
            Err(AuthorityError::Unreadable { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                let made = InForce::make(None, now)?;
                made.write(folder, now)?;
                made
            }
            loaded => loaded?,
        };
        let authority = Self {
            folder: folder.into(),
            in_force: RwLock::new(Arc::new(in_force)),
            writing: Mutex::default(),
        };
        if !authority.renew_if_due(now)? {
            authority.in_force().write_copy(folder, now)?;
        }
        Ok(authority)
    }

    /// Makes the next authority if this one ends within a year; whether it did.
    ///
    /// # Errors
    /// The disk fails, and this one goes on; the next call tries again.
    pub fn renew_if_due(&self, now: Timestamp) -> Result<bool, AuthorityError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let former = self.in_force();
        if former.ends > after(now, FOLLOWED_BEFORE_END) {
            return Ok(false);
        }
        let next = InForce::make(Some(&former), now)?;
        next.write(&self.folder, now)?;
        *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        Ok(true)
    }

    /// The certificates that lead to callers who are trusted: its own, and the former one's until that ends.
    pub fn roots(&self, now: Timestamp) -> Vec<CertificateDer<'static>> {
        self.in_force().roots(now)
    }

    /// The same in PEM, for callers to trust.
    pub fn pem(&self, now: Timestamp) -> String {
        self.in_force().pem(now)
    }

    /// A certificate for a listener that is reached by these names and addresses, with a new key.
    ///
    /// # Errors
    /// A name is none that can be in a certificate.
    pub fn for_server(
        &self,
        names: &[String],
        addresses: &[IpAddr],
        now: Timestamp,
    ) -> Result<ServerCertificate, AuthorityError> {
        let in_force = self.in_force();
        let name = names.first().map_or("inn", String::as_str);
        let params = params(name, serial()?.0, now, after(now, SERVER_LASTS));
        let mut params = for_tls(params, ExtendedKeyUsagePurpose::ServerAuth);
        for name in names {
            params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
        }
        let addresses = addresses.iter().copied().map(SanType::IpAddress);
        params.subject_alt_names.extend(addresses);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &in_force.issuer)?;
        let bridge = in_force.former(now).map(|former| former.bridge.clone());
        let mut chain = vec![certificate.der().clone()];
        chain.extend(bridge);
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(ServerCertificate { chain, key })
    }

    /// From when on a listener's certificate that is made now is to be followed by another.
    pub fn renews_at(now: Timestamp) -> Timestamp {
        after(now, SERVER_RENEWED_AFTER)
    }

    /// Signs what a caller asks for: a certificate of this name for its key, and nothing else that it asks for.
    ///
    /// # Errors
    /// It is no request, or was not signed by the key in it.
    pub(super) fn sign(
        &self,
        request: &str,
        name: &str,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<Signed, Refusal> {
        let key = requested_key(request).map_err(|not| {
            let message = "request: it is no request for a certificate";
            Refusal::new(Code::InvalidField, message)
                .at("request")
                .caused_by(&not)
                .with_hint("inn certificate create makes one, and the key that belongs to it")
        })?;
        self.certify(&key, name, expires, now).map_err(|error| {
            Refusal::new(Code::Internal, "the certificate was not signed").caused_by(&error)
        })
    }

    fn certify(
        &self,
        key: &impl PublicKeyData,
        name: &str,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<Signed, AuthorityError> {
        let (number, serial) = serial()?;
        let params =
            for_tls(params(name, number, now, expires), ExtendedKeyUsagePurpose::ClientAuth);
        let certificate = params.signed_by(key, &self.in_force().issuer)?;
        let fingerprint = Fingerprint::of(certificate.der());
        Ok(Signed { pem: certificate.pem(), fingerprint, serial })
    }

    fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner))
    }
}

const KEY: &str = "ca.key";
const COPY: &str = "ca.crt";

impl InForce {
    /// A new one, after this.
    fn make(former: Option<&Self>, now: Timestamp) -> Result<Self, AuthorityError> {
        let (number, serial) = serial()?;
        let ends = after(now, LASTS);
        // Two of the same name and different keys would be taken for one another.
        let name = format!("authority {}", &serial[..8]);
        let mut params = for_authority(params(&name, number, now, ends));
        let key = KeyPair::generate()?;
        let root = params.self_signed(&key)?.der().clone();
        let former = match former {
            None => None,
            Some(Self { issuer, root, ends, .. }) => {
                params.use_authority_key_identifier_extension = true;
                let bridge = params.signed_by(&key, issuer)?.der().clone();
                Some(Former { root: root.clone(), ends: *ends, bridge })
            }
        };
        params.use_authority_key_identifier_extension = false;
        Ok(Self { issuer: Issuer::new(params, key), root, ends, former })
    }

    /// The former one, if it has not ended.
    fn former(&self, now: Timestamp) -> Option<&Former> {
        self.former.as_ref().filter(|former| now < former.ends)
    }

    fn roots(&self, now: Timestamp) -> Vec<CertificateDer<'static>> {
        let former = self.former(now).map(|former| former.root.clone());
        [self.root.clone()].into_iter().chain(former).collect()
    }

    fn pem(&self, now: Timestamp) -> String {
        self.roots(now).iter().map(|root| pem(root)).collect()
    }

    fn write(&self, folder: &Path, now: Timestamp) -> Result<(), AuthorityError> {
        let mut text = self.issuer.key().serialize_pem() + &pem(&self.root);
        if let Some(Former { root, bridge, .. }) = self.former(now) {
            text += &(pem(root) + &pem(bridge));
        }
        write_atomically(&folder.join(KEY), text.as_bytes(), 0o600)?;
        self.write_copy(folder, now)
    }

    /// Writes what callers trust, unless it is there.
    fn write_copy(&self, folder: &Path, now: Timestamp) -> Result<(), AuthorityError> {
        let (path, text) = (folder.join(COPY), self.pem(now));
        if fs::read(&path).is_ok_and(|found| found == text.as_bytes()) {
            return Ok(());
        }
        Ok(write_atomically(&path, text.as_bytes(), 0o600)?)
    }
}

impl std::fmt::Debug for InForce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InForce").field("ends", &self.ends).finish_non_exhaustive()
    }
}

fn load(path: &Path) -> Result<InForce, AuthorityError> {
    let Found { bytes, owner, mode } = private_file::read(path, MAX_FILE)
        .map_err(|source| AuthorityError::Unreadable { path: path.into(), source })?;
    if mode & 0o077 != 0 || owner != rustix::process::geteuid().as_raw() {
        return Err(AuthorityError::Exposed { path: path.into(), owner, mode });
    }
    parse(&bytes).map_err(|problem| AuthorityError::Malformed { path: path.into(), problem })
}

fn parse(bytes: &[u8]) -> Result<InForce, String> {
    let (mut keys, mut certificates) = (Vec::new(), Vec::new());
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes) {
        match section.map_err(|error| error.to_string())? {
            (SectionKind::PrivateKey, der) => keys.push(der),
            (SectionKind::Certificate, der) => certificates.push(CertificateDer::from(der)),
            _ => return Err("there is something else in it".into()),
        }
    }
    let ([key], [root, before @ ..]) = (&keys[..], &certificates[..]) else {
        return Err("there is not one key, or no certificate".into());
    };
    let key = KeyPair::try_from(key.as_slice()).map_err(|error| error.to_string())?;
    if !certifies(root, &key).map_err(|error| error.to_string())? {
        return Err("the first certificate is another key's".into());
    }
    let ends =
        |certificate| expiry(certificate).map_err(|error: NotACertificate| error.to_string());
    let former = match before {
        [] => None,
        [former, bridge] => {
            Some(Former { root: former.clone(), ends: ends(former)?, bridge: bridge.clone() })
        }
        _ => return Err("there is one certificate too many, or too few".into()),
    };
    let issuer = Issuer::from_ca_cert_der(root, key).map_err(|error| error.to_string())?;
    Ok(InForce { issuer, ends: ends(root)?, root: root.clone(), former })
}

/// Whether a certificate is this key's.
fn certifies(certificate: &CertificateDer<'_>, key: &KeyPair) -> Result<bool, NotACertificate> {
    let (_rest, parsed) =
        x509_parser::parse_x509_certificate(certificate).map_err(|_| NotACertificate)?;
    Ok(parsed.public_key().raw == key.subject_public_key_info())
}

/// A certificate in PEM, in lines of 64 characters (RFC 7468).
fn pem(certificate: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let text = STANDARD.encode(certificate);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().copied().map(char::from));
        pem.push('\n');
    }
    pem + "-----END CERTIFICATE-----\n"
}
