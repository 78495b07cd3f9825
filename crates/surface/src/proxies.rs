//! Proxies that stand before a listener, and whom they say they speak for.
//!
//! Of what proxies add, only `X-Forwarded-For` counts, and only from those that the operator listed: each adds the
//! address that it was called from to the end, so what comes before the last one that is not a listed proxy's was
//! written by whoever wanted to. What a proxy says of `Host` or of TLS does not count. Whatever comes by a proxy is
//! somebody's behind it, also where it does not say whose: nobody may pass for the proxy by what they have it pass on.

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies that are believed; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Those with these addresses.
    pub fn new(addresses: impl IntoIterator<Item = IpNet>) -> Self {
        Self(addresses.into_iter().collect())
    }

    /// Whether this is one of them.
    pub fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|proxies| proxies.contains(&address))
    }

    /// For whom a request from this peer is, if that is a proxy: for somebody at the last address that is no proxy's.
    /// Where all that are named are proxies, it is the first of them; where none is, the peer.
    pub fn forwarded(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        if !self.has(peer) {
            return None;
        }
        let values = headers.get_all(FORWARDED_FOR).iter();
        let named: Vec<&[u8]> =
            values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).collect();
        let mut last = peer.to_canonical();
        for text in named.iter().rev() {
            // What is no address was not written by a proxy that is believed.
            let Some(address) = str::from_utf8(text).ok().and_then(|text| address(text.trim()))
            else {
                break;
            };
            last = address;
            if !self.has(address) {
                break;
            }
        }
        Some(last)
    }
}

/// An address as proxies write it, some with the port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let parsed = bare.parse().ok();
    let address = parsed.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn forwarded(peer: &str, values: &[&str]) -> Option<String> {
        forwarded_bytes(peer, &values.iter().map(|value| value.as_bytes()).collect::<Vec<_>>())
    }

    fn forwarded_bytes(peer: &str, values: &[&[u8]]) -> Option<String> {
        let proxies = ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::1/128"];
        let proxies = Proxies::new(proxies.map(|net| net.parse().unwrap()));
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(value).unwrap());
        }
        proxies.forwarded(peer.parse().unwrap(), &headers).map(|address| address.to_string())
    }

    #[test]
    fn a_proxy_that_is_listed_says_for_whom_a_request_is() {
        for (values, expected) in [
            (&["203.0.113.5"][..], "203.0.113.5"),
            (&["1.1.1.1, 203.0.113.5"], "203.0.113.5"),
            (&["1.1.1.1", "203.0.113.5, 10.2.2.2"], "203.0.113.5"),
            (&["203.0.113.5:4711"], "203.0.113.5"),
            (&["2001:db8::9, 2001:db8::1"], "2001:db8::9"),
            (&["[2001:db8::9]:4711"], "2001:db8::9"),
            (&["[2001:db8::9]"], "2001:db8::9"),
            (&["::ffff:203.0.113.5"], "203.0.113.5"),
            (&["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
            (&["nonsense, 10.2.2.2"], "10.2.2.2"),
        ] {
            assert_eq!(forwarded("10.0.0.1", values).as_deref(), Some(expected), "{values:?}");
            assert_eq!(forwarded("::ffff:10.0.0.1", values).as_deref(), Some(expected));
        }
    }

    #[test]
    fn whoever_else_says_so_is_not_believed() {
        assert_eq!(forwarded("192.0.2.8", &["203.0.113.5"]), None);
        assert_eq!(forwarded("127.0.0.1", &["203.0.113.5"]), None);
    }

    #[test]
    fn nobody_passes_for_a_proxy_by_what_it_passes_on() {
        for nothing in [&[][..], &[""], &["unknown"], &["203.0.113.5, "], &["203.0.113.5, unix:"]] {
            assert_eq!(forwarded("10.0.0.1", nothing).as_deref(), Some("10.0.0.1"), "{nothing:?}");
        }
        for one_line in [&[&b"\xff, 203.0.113.5"[..]][..], &[b"\xff", b"203.0.113.5"]] {
            assert_eq!(forwarded_bytes("10.0.0.1", one_line).as_deref(), Some("203.0.113.5"));
        }
    }
}
