//! What listeners show in TLS, kept current: certificates of this host's own authority, or the operator's files.
//!
//! A certificate of the own authority has its key in memory only. It is made at the start, and again when two thirds of
//! its time are over, when the authority is followed by another, and when this host has other addresses than it says.

use crate::options::DaemonOptions;
use anyhow::{Context as _, ensure};
use innkeeper_auth::{
    Authority, Certificates, Doorkeeper,
    certificate::{self, ServerCertificate},
};
use innkeeper_model::Timestamp;
use innkeeper_surface::{Material, TlsSettings};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::task::spawn_blocking;
use tracing::{info, warn};

/// How often is looked whether something else is to be shown.
const LOOKED_EVERY: Duration = Duration::from_secs(10);
/// The most addresses that are in a certificate; a host may have thousands.
const MOST_ADDRESSES: usize = 64;
/// The most bytes of a file that are read.
const MAX_FILE: u64 = 1 << 20;
/// Who may not read a key.
const OTHERS: u32 = 0o007;

/// TLS of this daemon.
pub(super) struct Tls {
    settings: Arc<TlsSettings>,
    certificates: Arc<Certificates>,
    shown: Shown,
    /// What has further authorities of callers' certificates.
    further: Option<PathBuf>,
    /// The operator's files as they were when they were read.
    read: Stamp,
    /// The own authority's certificates, as listeners trust them.
    trusted: Vec<CertificateDer<'static>>,
}

/// What is shown, and of what it was made.
#[derive(Clone)]
enum Shown {
    /// A certificate of the own authority.
    Own { names: Vec<String>, listen: Vec<SocketAddr>, made: Made },
    /// The operator's.
    Files { certificate: PathBuf, key: PathBuf },
}

/// Of what a certificate of the own authority was made.
#[derive(Clone)]
struct Made {
    addresses: BTreeSet<IpAddr>,
    renew_at: Timestamp,
}

/// What tells whether files have changed: of each, which it is, how long, and since when.
type Stamp = Vec<Option<(u64, u64, i64, i64)>>;

impl Tls {
    /// What is to be shown now; `None` where TLS is spoken on no address. It waits for the disk.
    ///
    /// # Errors
    /// The authority, or the operator's files, cannot be read or used; or the list of certificates cannot.
    pub(super) fn open(options: &DaemonOptions, now: Timestamp) -> anyhow::Result<Option<Self>> {
        let listen = options.tls_addresses();
        if listen.is_empty() {
            return Ok(None);
        }
        let authority = Authority::open(&options.authority_dir(), now)
            .context("there is no authority to sign certificates")?;
        let certificates = Certificates::open(&options.certificates_file(), Arc::new(authority))
            .context("it is not known which certificates were issued")?;
        let certificates = Arc::new(certificates);
        let shown = match (&options.tls.certificate, &options.tls.key) {
            (Some(certificate), Some(key)) => {
                Shown::Files { certificate: certificate.clone(), key: key.clone() }
            }
            _ => {
                let names = names(&options.tls.names);
                let made = Made::of(&listen, now)?;
                Shown::Own { names, listen, made }
            }
        };
        let further = options.tls.client_authorities.clone();
        Ok(Some(Self::showing(shown, further, certificates, now)?))
    }

    fn showing(
        shown: Shown,
        further: Option<PathBuf>,
        certificates: Arc<Certificates>,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let read = stamp(&shown, further.as_deref());
        let material = material(&shown, further.as_deref(), certificates.authority(), now)?;
        let settings = Arc::new(TlsSettings::new(material)?);
        let trusted = certificates.authority().roots(now);
        Ok(Self { settings, certificates, shown, further, read, trusted })
    }

    /// How TLS is spoken.
    pub(super) const fn settings(&self) -> &Arc<TlsSettings> {
        &self.settings
    }

    /// A doorkeeper who knows the certificates, too.
    pub(super) fn known_to(&self, doorkeeper: Doorkeeper) -> Doorkeeper {
        doorkeeper.with_certificates(Arc::clone(&self.certificates))
    }

    /// Looks now and then whether something else is to be shown, as long as the daemon runs.
    pub(super) async fn keep(mut self) {
        let mut told: Option<String> = None;
        loop {
            // Nobody waits for this: certificates are renewed weeks before they end.
            tokio::time::sleep(LOOKED_EVERY).await;
            let looked = spawn_blocking(move || {
                let outcome = self.look(Timestamp::now());
                (self, outcome)
            });
            // It fails with the runtime's end only, or by a defect that was logged.
            let Ok((same, outcome)) = looked.await else { return };
            self = same;
            let problem = outcome.err().map(|error| format!("{error:#}"));
            // What is due is tried each time, and said once.
            if let Some(problem) = problem.as_ref().filter(|_| told != problem) {
                warn!("TLS goes on as it was: {problem}");
            }
            told = problem;
        }
    }

    /// Shows something else where that is due; whether it did. It waits for the disk.
    fn look(&mut self, now: Timestamp) -> anyhow::Result<bool> {
        let authority = self.certificates.authority();
        if authority.renew_if_due(now)? {
            info!("this host has a new authority, which the former one vouches for: docs/tls.md");
        }
        // Whoever showed what: callers have certificates of the new authority from now on.
        let trusted = authority.roots(now);
        let again = self.shown.again(now)?;
        let is_due = self.shown.is_due(&again, now) || self.trusted != trusted;
        let found = stamp(&again, self.further.as_deref());
        if !is_due && self.read == found {
            return Ok(false);
        }
        // What cannot be used is not read again until it changes again, or something else is due.
        self.read = found;
        let material = material(&again, self.further.as_deref(), authority, now)?;
        self.settings.replace(material)?;
        (self.shown, self.trusted) = (again, trusted);
        info!("listeners show another certificate, or trust another authority");
        Ok(true)
    }
}

impl Shown {
    /// The same, as it is made now.
    fn again(&self, now: Timestamp) -> anyhow::Result<Self> {
        let mut again = self.clone();
        if let Self::Own { listen, made, .. } = &mut again {
            *made = Made::of(listen, now)?;
        }
        Ok(again)
    }

    /// Whether it is to be made `again`.
    fn is_due(&self, again: &Self, now: Timestamp) -> bool {
        match (self, again) {
            (Self::Own { made: was, .. }, Self::Own { made, .. }) => {
                now >= was.renew_at || was.addresses != made.addresses
            }
            _ => false,
        }
    }
}

impl Made {
    /// That of one that is made now.
    fn of(listen: &[SocketAddr], now: Timestamp) -> anyhow::Result<Self> {
        Ok(Self { addresses: addresses(listen)?, renew_at: Authority::renews_at(now) })
    }
}

/// What tells whether the operator's files have changed.
fn stamp(shown: &Shown, further: Option<&Path>) -> Stamp {
    let of = |path: &Path| {
        let found = fs::metadata(path).ok()?;
        Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
    };
    let files = match shown {
        Shown::Own { .. } => [None, None],
        Shown::Files { certificate, key } => [Some(certificate.as_path()), Some(key.as_path())],
    };
    files.into_iter().chain([further]).flatten().map(of).collect()
}

/// What is to be shown now, and who is trusted.
fn material(
    shown: &Shown,
    further: Option<&Path>,
    authority: &Authority,
    now: Timestamp,
) -> anyhow::Result<Material> {
    let mut client_authorities = authority.roots(now);
    if let Some(path) = further {
        client_authorities.extend(chain(path)?);
    }
    match shown {
        Shown::Own { names, made, .. } => {
            let certified: Vec<IpAddr> = made.addresses.iter().copied().collect();
            let ServerCertificate { chain, key } = authority.for_server(names, &certified, now)?;
            Ok(Material { chain, key, client_authorities })
        }
        Shown::Files { certificate, key } => {
            let (chain, shown) = (chain(certificate)?, certificate.display());
            let ends = certificate::expiry(&chain[0]).with_context(|| format!("{shown}"))?;
            if ends <= now {
                warn!(%ends, "the certificate in {shown} has expired: callers will refuse it");
            }
            let pem = read(key, Some(OTHERS))?;
            let key = PrivateKeyDer::from_pem_slice(&pem)
                .with_context(|| format!("{} has no private key in PEM", key.display()))?;
            Ok(Material { chain, key, client_authorities })
        }
    }
}

/// The certificates in a file; one at least.
fn chain(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let (pem, shown) = (read(path, None)?, path.display());
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let chain = chain.with_context(|| format!("{shown} is not in PEM"))?;
    ensure!(!chain.is_empty(), "{shown} has no certificate");
    Ok(chain)
}

/// Reads a file, unless one of these may, too.
fn read(path: &Path, forbidden: Option<u32>) -> anyhow::Result<Vec<u8>> {
    let shown = path.display();
    let read = || -> io::Result<(Vec<u8>, u32)> {
        let file = File::open(path)?;
        let mode = file.metadata()?.mode();
        let mut bytes = Vec::new();
        file.take(MAX_FILE).read_to_end(&mut bytes)?;
        Ok((bytes, mode))
    };
    let (bytes, mode) = read().with_context(|| format!("cannot read {shown}"))?;
    ensure!(
        mode & forbidden.unwrap_or_default() == 0,
        "everybody can read the key {shown}: make another one, and chmod 600 {shown}"
    );
    Ok(bytes)
}

/// The names in a certificate.
fn names(said: &[String]) -> Vec<String> {
    let own = (!said.iter().any(|name| name == "localhost")).then(|| "localhost".to_owned());
    said.iter().cloned().chain(own).collect()
}

/// The addresses by which listeners are reached.
fn addresses(listen: &[SocketAddr]) -> anyhow::Result<BTreeSet<IpAddr>> {
    let mut all = BTreeSet::from([Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    let said = listen.iter().map(SocketAddr::ip);
    all.extend(said.clone().filter(|address| !address.is_unspecified()));
    if said.clone().any(|address| address.is_unspecified()) {
        let found = innkeeper_network::addresses_of_this_host();
        let found = found.context("cannot find out which addresses this host has")?;
        let found: BTreeSet<IpAddr> = found.into_iter().collect();
        all.extend(found.into_iter().take(MOST_ADDRESSES));
    }
    Ok(all)
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
