//! Addresses to listen on, and whether TLS is spoken there.

use super::misuse;
use crate::{config::TlsConfig, failure::Failure};
use innkeeper_model::Refusal;
use std::{fmt, net::SocketAddr};

/// What follows an address on which TLS is spoken.
const TLS: &str = ",tls";
/// The longest name of a host (RFC 1035).
const LONGEST_NAME: usize = 253;

/// Where something listens: on a loopback address, or with TLS. Written `ADDR` or `ADDR,tls`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenAddress {
    /// The address and port.
    pub address: SocketAddr,
    /// Whether TLS is spoken there.
    pub tls: bool,
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self { address, tls: false }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.address, if self.tls { TLS } else { "" })
    }
}

impl ListenAddress {
    /// Reads what was written under this key.
    ///
    /// # Errors
    /// It is no address, or one that others can reach, without TLS.
    pub(super) fn read(key: &str, text: &str) -> Result<Self, Failure> {
        let (bare, tls) = match text.strip_suffix(TLS) {
            Some(bare) => (bare, true),
            None => (text, false),
        };
        let address: SocketAddr = bare.parse().map_err(|_| {
            let problem = "is not an address and port, such as 127.0.0.1:7100 or 0.0.0.0:7101,tls";
            misuse(Refusal::invalid(key, text, problem))
        })?;
        if tls || address.ip().is_loopback() {
            return Ok(Self { address, tls });
        }
        let problem = "is not a loopback address: without TLS, credentials and guests' data would cross the \
                       network readable by anybody";
        Err(misuse(Refusal::invalid(key, text, problem).with_hint(format!(
            "write {address}{TLS}; or listen on 127.0.0.1:{} and reach it through ssh -L",
            address.port()
        ))))
    }
}

/// Refuses what TLS cannot be spoken with.
///
/// # Errors
/// A certificate without its key or a key without its certificate, or what cannot be a host's name.
pub(super) fn check_tls(tls: &TlsConfig) -> Result<(), Failure> {
    let (certificate, key) = (&tls.certificate, &tls.key);
    if certificate.is_some() != key.is_some() {
        let (there, missing) = match key {
            Some(_) => ("tls.key", "certificate"),
            None => ("tls.certificate", "key"),
        };
        let path = certificate.as_ref().or(key.as_ref()).map(|path| path.display().to_string());
        let problem = format!("is of no use without `{missing}`");
        return Err(misuse(Refusal::invalid(there, path.unwrap_or_default(), problem)));
    }
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        (1..=63).contains(&bytes.len())
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_name = |name: &&String| name.len() <= LONGEST_NAME && name.split('.').all(is_label);
    match tls.names.iter().find(|name| !is_name(name)) {
        None => Ok(()),
        Some(wrong) => {
            let problem = "is not a name of a host, such as inn.example.org";
            Err(misuse(Refusal::invalid("tls.names", wrong, problem)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_as_it_is_written() {
        for text in ["127.0.0.1:7100", "[::1]:7100,tls", "0.0.0.0:7101,tls", "[::]:7101,tls"] {
            assert_eq!(ListenAddress::read("listen", text).unwrap().to_string(), text);
        }
        for text in ["localhost:1", "127.0.0.1", ":7100", "", "127.0.0.1:1,ssl", "127.0.0.1:1 ,tls"]
        {
            assert!(ListenAddress::read("listen", text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_certificate_has_a_key_and_names_are_names() {
        let tls = |text: &str| check_tls(&toml::from_str(text).unwrap());
        for fine in ["", "names = ['inn', 'a-1.example.org']", "certificate = '/a'\nkey = '/b'"] {
            tls(fine).unwrap();
        }
        for (wrong, key) in [
            ("certificate = '/a'", "tls.certificate"),
            ("key = '/a'", "tls.key"),
            ("names = ['a b']", "tls.names"),
            ("names = ['inn:7101']", "tls.names"),
            ("names = ['-a']", "tls.names"),
            ("names = ['']", "tls.names"),
        ] {
            assert!(tls(wrong).unwrap_err().to_string().starts_with(key), "{wrong}");
        }
    }
}
