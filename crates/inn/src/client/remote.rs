//! A daemon that is reached over TCP: where it is, whom to trust there, and what to show.

use super::broken;
use crate::failure::{Exit, Failure};
use http::{HeaderValue, Uri, uri::Scheme};
use innkeeper_model::Secret;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error as TlsError, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use std::{
    error::Error,
    fmt, fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// What somebody said of a daemon elsewhere.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    /// `https://HOST[:PORT]`, or `http://` and a loopback address.
    pub(crate) url: String,
    /// The certificates of the authority to trust, in PEM.
    pub(crate) ca: Option<PathBuf>,
    /// The certificate to show, and its key.
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    /// The token to show.
    pub(crate) token: Option<Secret>,
}

/// A daemon that is reached over TCP.
#[derive(Clone)]
pub(crate) struct Remote {
    /// The host as it was written, with its port: what requests name.
    authority: String,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    credential: Option<HeaderValue>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Remote").field(&self.authority).finish()
    }
}

/// A connection to it.
pub(super) enum Connected {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Remote {
    /// Reads what was said. No connection is made yet.
    ///
    /// # Errors
    /// The address is none, or a file cannot be used.
    pub(crate) fn new(said: &Said) -> Result<Self, Failure> {
        let wrong = |problem: &str| {
            Failure::usage(format!("--url {:?} {problem}", said.url))
                .with_hint("write https://HOST:PORT")
        };
        let uri: Uri = said.url.parse().map_err(|_| wrong("is no address"))?;
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
        if !matches!(uri.path(), "" | "/")
            || uri.query().is_some()
            || authority.as_str().contains('@')
        {
            return Err(wrong("has more in it than a host and a port"));
        }
        let is_tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(wrong("is neither https:// nor http://")),
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if !is_tls && !is_loopback(&host) {
            return Err(wrong("would send credentials over the network, readable by anybody")
                .with_hint("write https://; http:// is for loopback addresses"));
        }
        let credential = said.token.as_ref().map(credential).transpose()?;
        let name = ServerName::try_from(host.clone()).map_err(|_| wrong("names no host"))?;
        let tls = match is_tls {
            true => Some((TlsConnector::from(Arc::new(config(said)?)), name)),
            false => None,
        };
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Ok(Self { authority: authority.to_string(), host, port, tls, credential })
    }

    /// What a request names as its host, and shows.
    pub(super) fn headers(&self) -> (HeaderValue, Option<&HeaderValue>) {
        let host = HeaderValue::from_str(&self.authority).ok();
        (host.unwrap_or_else(|| HeaderValue::from_static("localhost")), self.credential.as_ref())
    }

    /// Connects.
    ///
    /// # Errors
    /// Nobody answers there, or whoever does is not to be trusted.
    pub(super) async fn connect(&self) -> Result<Connected, Failure> {
        let unreachable = |error: io::Error| {
            let message = format!("no daemon answers on {}", self.authority);
            Failure::new(Exit::Unreachable, message)
                .because(&error)
                .with_hint("does it listen there? inn serve --listen ADDR,tls")
        };
        let socket =
            TcpStream::connect((self.host.as_str(), self.port)).await.map_err(unreachable)?;
        // Requests are written whole.
        socket.set_nodelay(true).map_err(unreachable)?;
        let Some((connector, name)) = &self.tls else { return Ok(Connected::Plain(socket)) };
        match connector.connect(name.clone(), socket).await {
            Ok(stream) => Ok(Connected::Tls(Box::new(stream))),
            Err(error) => Err(tls_failure(&error).unwrap_or_else(|| {
                let message = format!("{} does not speak TLS, or not this", self.authority);
                Failure::new(Exit::Unreachable, message).because(&error)
            })),
        }
    }
}

/// Why a connection broke, where TLS says so: that a certificate is not wanted is told after the handshake.
pub(super) fn broken_by_tls(error: &hyper::Error) -> Failure {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(inner) = cause {
        if let Some(failure) = inner.downcast_ref::<io::Error>().and_then(tls_failure) {
            return failure;
        }
        cause = inner.source();
    }
    broken(error)
}

/// What TLS found wrong, and what to do about it.
fn tls_failure(error: &io::Error) -> Option<Failure> {
    let tls = error.get_ref()?.downcast_ref::<TlsError>()?;
    let (message, hint) = match tls {
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer) => (
            "nobody who is trusted here vouches for the daemon's certificate",
            "save what `inn certificate authority` prints on its host, and name that file: --ca FILE",
        ),
        TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => (
            "the daemon's certificate is for other names than this",
            "add the name to `names` in [tls] of its configuration, or call it by an address",
        ),
        TlsError::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => ("the daemon's certificate has expired", "are the clocks of both hosts right?"),
        TlsError::AlertReceived(AlertDescription::CertificateExpired) => (
            "the daemon refuses the certificate that is shown: it has expired",
            "an administrator can issue another: inn certificate create",
        ),
        TlsError::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::DecryptError
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate,
        ) => (
            "the daemon refuses the certificate that is shown: its own authority has not signed it",
            "have one issued there: inn certificate create",
        ),
        _ => return None,
    };
    Some(Failure::new(Exit::Unreachable, message).because(tls).with_hint(hint))
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn credential(token: &Secret) -> Result<HeaderValue, Failure> {
    let text = token.expose().unwrap_or_default().trim();
    let value = HeaderValue::try_from(format!("Bearer {text}"));
    let mut value = value.map_err(|_| Failure::usage("what is in INN_TOKEN is no token"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn config(said: &Said) -> Result<ClientConfig, Failure> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::new(Exit::Failed, "cannot speak TLS").because(&error))?
        .with_root_certificates(roots(said.ca.as_deref())?);
    let mut config = match (&said.certificate, &said.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            let pair = (certificates(certificate)?, private_key(key)?);
            builder.with_client_auth_cert(pair.0, pair.1).map_err(|error| {
                let (certificate, key) = (certificate.display(), key.display());
                let message = format!("{certificate} cannot be shown with the key {key}");
                Failure::usage(message).because(&error)
            })?
        }
        _ => {
            return Err(Failure::usage("a certificate is shown with its key")
                .with_hint("say --certificate FILE and --key FILE"));
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The authorities in this file, or those that the system trusts.
fn roots(ca: Option<&Path>) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    let Some(ca) = ca else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    for certificate in certificates(ca)? {
        roots.add(certificate).map_err(|error| {
            let message = format!("{} is not an authority's certificate", ca.display());
            Failure::usage(message).because(&error)
        })?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let pem = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(Failure::usage(format!("{} has no certificate in PEM", path.display()))),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Failure> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| {
        Failure::usage(format!("{} has no private key in PEM", path.display())).because(&error)
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path)
        .map_err(|error| Failure::usage(format!("cannot read {}", path.display())).because(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(url: &str) -> Result<Remote, Failure> {
        Remote::new(&Said { url: url.into(), ..Said::default() })
    }

    #[test]
    fn an_address_has_a_scheme_a_host_and_maybe_a_port() {
        for (url, host, port) in [
            ("https://inn.example.org:7101", "inn.example.org", 7101),
            ("https://inn.example.org/", "inn.example.org", 443),
            ("https://[2001:db8::1]:7101", "2001:db8::1", 7101),
            ("http://127.0.0.1:7100", "127.0.0.1", 7100),
            ("http://localhost", "localhost", 80),
        ] {
            let remote = remote(url).unwrap();
            assert_eq!((remote.host.as_str(), remote.port), (host, port), "{url}");
            assert_eq!(remote.tls.is_some(), url.starts_with("https"));
        }
        for wrong in [
            "inn.example.org:7101",
            "ftp://inn",
            "https://",
            "https://inn/v1/vms",
            "https://inn?x=1",
            "https://me@inn",
            "http://192.0.2.1:7100",
            "",
        ] {
            assert_eq!(remote(wrong).unwrap_err().exit, Exit::Usage, "{wrong}");
        }
    }

    #[test]
    fn a_certificate_without_its_key_is_refused() {
        let said = Said {
            url: "https://inn".into(),
            certificate: Some("/nowhere".into()),
            ..Said::default()
        };
        assert!(Remote::new(&said).unwrap_err().to_string().contains("--key"));
    }

    #[test]
    fn each_fault_of_a_certificate_has_its_remedy() {
        for (fault, remedy) in [
            (TlsError::InvalidCertificate(CertificateError::UnknownIssuer), "--ca FILE"),
            (TlsError::InvalidCertificate(CertificateError::NotValidForName), "[tls]"),
            (TlsError::AlertReceived(AlertDescription::CertificateExpired), "certificate create"),
            (TlsError::AlertReceived(AlertDescription::UnknownCA), "certificate create"),
        ] {
            let failure = tls_failure(&io::Error::new(io::ErrorKind::InvalidData, fault)).unwrap();
            assert!(failure.to_string().contains(remedy), "{failure}");
        }
        assert!(tls_failure(&io::ErrorKind::ConnectionReset.into()).is_none());
    }
}
