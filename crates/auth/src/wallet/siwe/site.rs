//! The site that accounts sign in to, as their wallets know it.

use super::uri::{Authority, Uri};
use std::str::FromStr;

/// Where the daemon is found by those who sign in: `https://vms.example.org`, `http://localhost:7100`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    scheme: &'static str,
    /// In lower case.
    host: String,
    port: u16,
}

/// A text does not name a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a site is https:// or http://, a host, and a port if it is another than usual; without a path"
)]
pub struct NotASite;

const SCHEMES: [(&str, u16); 2] = [("https", 443), ("http", 80)];

impl Site {
    pub(super) fn has_scheme(&self, scheme: &str) -> bool {
        scheme.eq_ignore_ascii_case(self.scheme)
    }

    /// Whether this text, `host` or `host:port`, is this site. One with a user before it never is.
    pub(super) fn is_domain(&self, domain: &str) -> bool {
        Authority::parse(domain).is_some_and(|authority| self.has_authority(&authority))
    }

    /// Whether this URI is one of this site.
    pub(super) fn is_origin_of(&self, uri: &str) -> bool {
        Uri::parse(uri).is_some_and(|uri| {
            self.has_scheme(uri.scheme)
                && uri.authority.is_some_and(|authority| self.has_authority(&authority))
        })
    }

    fn has_authority(&self, authority: &Authority<'_>) -> bool {
        let Authority { userinfo, host, port } = authority;
        let usual = SCHEMES.into_iter().find(|(scheme, _)| *scheme == self.scheme);
        let port = match port {
            None | Some("") => usual.map(|(_, port)| port),
            Some(port) => port.parse().ok(),
        };
        userinfo.is_none() && host.eq_ignore_ascii_case(&self.host) && port == Some(self.port)
    }
}

impl FromStr for Site {
    type Err = NotASite;

    fn from_str(text: &str) -> Result<Self, NotASite> {
        let (scheme, authority) = text.split_once("://").ok_or(NotASite)?;
        let (scheme, usual) = SCHEMES
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(scheme))
            .ok_or(NotASite)?;
        match Authority::parse(authority) {
            Some(Authority { userinfo: None, host, port }) if !host.is_empty() => {
                let port = port.map_or(Ok(usual), str::parse).map_err(|_| NotASite)?;
                Ok(Self { scheme, host: host.to_ascii_lowercase(), port })
            }
            _ => Err(NotASite),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_knows_its_own_names() {
        let site: Site = "https://VMs.example.org".parse().unwrap();
        for domain in
            ["vms.example.org", "VMS.EXAMPLE.ORG", "vms.example.org:443", "vms.example.org:"]
        {
            assert!(site.is_domain(domain), "{domain}");
            assert!(site.is_origin_of(&format!("https://{domain}/login?a#b")), "{domain}");
            assert!(!site.is_origin_of(&format!("http://{domain}/login")), "{domain}");
        }
        for other in [
            "",
            "example.org",
            "evil.example",
            "vms.example.org.evil.example",
            "vms.example.org:80",
            "vms.example.org:65979",
            "vms.example.org@evil.example",
            "evil@vms.example.org",
            "vms.example.org/",
            "xvms.example.org",
            "vms.example.org.",
        ] {
            assert!(!site.is_domain(other), "{other}");
            if !other.ends_with('/') {
                assert!(!site.is_origin_of(&format!("https://{other}/login")), "{other}");
            }
        }
        assert!(site.is_origin_of("https://vms.example.org"));
        assert!(!site.is_origin_of("mailto:vms.example.org"));
    }

    #[test]
    fn a_site_can_have_a_port_of_its_own() {
        for (text, domain) in [
            ("http://localhost:7100", "localhost:7100"),
            ("https://[2001:db8::1]:7100", "[2001:DB8::1]:7100"),
            ("HTTP://127.0.0.1:80", "127.0.0.1"),
        ] {
            let site: Site = text.parse().unwrap();
            assert!(site.is_domain(domain) && site.is_origin_of(&format!("{text}/")), "{text}");
        }
        assert!(!"http://localhost:7100".parse::<Site>().unwrap().is_domain("localhost"));
    }

    #[test]
    fn nothing_else_is_a_site() {
        for text in [
            "",
            "example.org",
            "ftp://example.org",
            "https://",
            "https://:443",
            "https://a/",
            "https://a?b",
            "https://u@a",
            "https://a:x",
            "https://a:70000",
            "https://a:",
            "https:a",
        ] {
            assert_eq!(text.parse::<Site>(), Err(NotASite), "{text}");
        }
    }
}
