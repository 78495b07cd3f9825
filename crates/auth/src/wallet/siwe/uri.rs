//! URIs, as far as a message has them (RFC 3986): taken apart, and each character looked at.

/// A URI's parts that say where it leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Uri<'a> {
    pub(super) scheme: &'a str,
    /// What follows `//`.
    pub(super) authority: Option<Authority<'a>>,
}

/// `[ userinfo "@" ] host [ ":" port ]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    pub(super) userinfo: Option<&'a str>,
    pub(super) host: &'a str,
    /// Digits; none or no colon is the scheme's own port.
    pub(super) port: Option<&'a str>,
}

impl<'a> Uri<'a> {
    /// `scheme ":" hier-part [ "?" query ] [ "#" fragment ]`
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (text, query) = text.split_once('?').unwrap_or((text, ""));
        let (scheme, rest) = text.split_once(':')?;
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (Some(Authority::parse(authority)?), path)
            }
            None => (None, rest),
        };
        let is_legal = is_scheme(scheme)
            && consists_of(path, b":@/")
            && consists_of(query, b":@/?")
            && consists_of(fragment, b":@/?");
        is_legal.then_some(Self { scheme, authority })
    }
}

impl<'a> Authority<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (userinfo, rest) = match text.split_once('@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, text),
        };
        // An address in brackets has colons of its own.
        let host_end = if rest.starts_with('[') { rest.find(']')? + 1 } else { 0 };
        let (host, port) = match rest[host_end..].find(':') {
            Some(colon) => {
                let (host, port) = rest.split_at(host_end + colon);
                (host, Some(&port[1..]))
            }
            None => (rest, None),
        };
        let is_legal = userinfo.is_none_or(|userinfo| consists_of(userinfo, b":"))
            && is_host(host)
            && port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
        is_legal.then_some(Self { userinfo, host, port })
    }
}

/// `ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )`
pub(super) fn is_scheme(text: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(rest)
}

fn is_host(text: &str) -> bool {
    let Some(literal) = text.strip_prefix('[') else { return consists_of(text, b"") };
    let Some(literal) = literal.strip_suffix(']') else { return false };
    literal.parse::<std::net::Ipv6Addr>().is_ok() || is_future_address(literal)
}

/// `"v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )`
fn is_future_address(text: &str) -> bool {
    let Some((version, address)) = text.strip_prefix(['v', 'V']).and_then(|t| t.split_once('.'))
    else {
        return false;
    };
    let is_legal = |byte: u8| is_unreserved(byte) || is_sub_delimiter(byte) || byte == b':';
    !version.is_empty()
        && version.bytes().all(|byte| byte.is_ascii_hexdigit())
        && !address.is_empty()
        && address.bytes().all(is_legal)
}

/// Whether there is nothing but `unreserved / pct-encoded / sub-delims` and these in a text.
pub(super) fn consists_of(text: &str, others: &[u8]) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let is_legal = match byte {
            b'%' => [bytes.next(), bytes.next()]
                .iter()
                .all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit())),
            _ => is_unreserved(byte) || is_sub_delimiter(byte) || others.contains(&byte),
        };
        if !is_legal {
            return false;
        }
    }
    true
}

pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

pub(super) fn is_sub_delimiter(byte: u8) -> bool {
    b"!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_3986_are_uris() {
        for text in [
            "ftp://ftp.is.co.za/rfc/rfc1808.txt",
            "http://www.ietf.org/rfc/rfc2396.txt",
            "ldap://[2001:db8::7]/c=GB?objectClass?one",
            "mailto:John.Doe@example.com",
            "news:comp.infosystems.www.servers.unix",
            "tel:+1-816-555-1212",
            "telnet://192.0.2.16:80/",
            "urn:oasis:names:specification:docbook:dtd:xml:4.1.2",
            "foo://example.com:8042/over/there?name=ferret#nose",
            "http://[v7.a:b]/",
            "http://a%20b/%7e?%3F#/?",
            "a:",
            "file:///etc",
        ] {
            assert!(Uri::parse(text).is_some(), "{text}");
        }
    }

    #[test]
    fn what_has_another_character_or_none_of_the_parts_is_no_uri() {
        for text in [
            "",
            ":",
            "1a://b",
            "example.com",
            "//example.com",
            "a b:",
            "http://a b/",
            "http://a/ b",
            "http://a/%2",
            "http://a/%zz",
            "http://[::1",
            "http://[::1]x/",
            "http://[1.2.3.4]/",
            "http://[fe80::1%25eth0]/",
            "http://[v.a]/",
            "http://[v1.]/",
            "http://a:8x/",
            "http://a@b@c/",
            "http://a/\"",
            "http://a/<b>",
            "http://a/\\",
            "http://a/#b#c",
            "http://é/",
            "http://a/\n",
            "http://a/[b]",
            "http://a:1:2/",
        ] {
            assert_eq!(Uri::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_authority_is_taken_apart() {
        let parse = |text| Authority::parse(text).map(|a| (a.userinfo, a.host, a.port));
        assert_eq!(parse("example.com"), Some((None, "example.com", None)));
        assert_eq!(parse("u:p@example.com:80"), Some((Some("u:p"), "example.com", Some("80"))));
        assert_eq!(parse("[::1]:443"), Some((None, "[::1]", Some("443"))));
        assert_eq!(parse("[::1]"), Some((None, "[::1]", None)));
        assert_eq!(parse("a:"), Some((None, "a", Some(""))));
        assert_eq!(
            Uri::parse("https://a.example@evil.example/").unwrap().authority.unwrap().host,
            "evil.example"
        );
    }
}
