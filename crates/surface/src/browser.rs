//! Browsers' cookies: believed where a page of this very site sent them, and set.
//!
//! A browser adds a cookie to whatever is sent here, whoever's page has it sent. So a cookie alone only reads: what
//! changes something shows a second value beside it, which only the pages of the session were told; and where the
//! browser says from where a request comes, it comes from here. Who shows a credential itself is not asked for a cookie:
//! no page makes a browser do that.

use crate::Arrival;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use innkeeper_auth::{Doorkeeper, NotAdmitted, Principal, Source};
use innkeeper_model::{Code, Refusal, Timestamp};

/// What a page shows beside its cookie with whatever changes something.
pub const CSRF: HeaderName = HeaderName::from_static("innkeeper-csrf");
/// From where a request comes, as the browser says it.
const SENT_FROM: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether others can read what goes over a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wire {
    /// They could: it does not leave this host.
    #[default]
    Plain,
    /// They cannot.
    Tls,
}

impl Wire {
    /// That of a request with this head. Before a proxy that is believed there is TLS if the browser says so: by a
    /// page's origin, or by a cookie that it has of no other.
    pub fn of(arrival: &Arrival, headers: &HeaderMap) -> Self {
        let origin = headers.get(header::ORIGIN).map(HeaderValue::as_bytes);
        let says_so = || {
            origin.is_some_and(|origin| origin.starts_with(b"https://"))
                || !matches!(Self::Tls.cookie(headers), Ok(None))
        };
        if arrival.is_tls() || arrival.is_by_a_proxy() && says_so() {
            Self::Tls
        } else {
            Self::Plain
        }
    }

    /// What the cookie is called. By the prefix a browser takes it over TLS only, from this host alone, and so of
    /// nobody who has another name below the same domain, or this host's without TLS.
    pub const fn cookie_name(self) -> &'static str {
        match self {
            Self::Plain => "innkeeper-session",
            Self::Tls => "__Host-innkeeper-session",
        }
    }

    const fn more(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Tls => "; Secure",
        }
    }

    /// What gives a browser the cookie of a session that lasts until then.
    ///
    /// # Errors
    /// It is no value of a cookie.
    pub fn set_cookie(
        self,
        value: &str,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<HeaderValue, Refusal> {
        let seconds = (expires.as_second() - now.as_second()).max(0);
        let (name, more) = (self.cookie_name(), self.more());
        let text =
            format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{more}");
        let mut set = HeaderValue::try_from(text).map_err(|error| {
            Refusal::new(Code::Internal, "the session has no cookie").caused_by(&error)
        })?;
        set.set_sensitive(true);
        Ok(set)
    }

    /// What takes the cookie away from a browser.
    pub const fn clear_cookie(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Plain => "innkeeper-session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict",
            Self::Tls => {
                "__Host-innkeeper-session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure"
            }
        })
    }

    /// The value of the cookie that came over it, if it did.
    ///
    /// # Errors
    /// There are two: somebody else on this host may have set one of them.
    pub fn cookie(self, headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
        let lines = headers.get_all(header::COOKIE).iter();
        let pairs = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
        let mut own = pairs.filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == self.cookie_name()).then_some(value)
        });
        match (own.next(), own.next()) {
            (Some(_), Some(_)) => {
                let message = "the cookie of the session is there twice";
                Err(Refusal::new(Code::Unauthenticated, message).at("Cookie"))
            }
            (value, _) => Ok(value),
        }
    }
}

/// Who sent a request from there, by the cookie that it has; nobody where it has none.
///
/// # Errors
/// Its session is over; another site's page sent it; or it changes something, and does not show what the pages of its
/// session were told.
pub fn browser(
    method: &Method,
    headers: &HeaderMap,
    wire: Wire,
    (doorkeeper, source): (&Doorkeeper, Source),
) -> Result<Option<Principal>, NotAdmitted> {
    let Some(cookie) = wire.cookie(headers)? else { return Ok(None) };
    check_sent_from(headers)?;
    let principal = doorkeeper.admit_browser(cookie, source, Timestamp::now())?;
    let only_reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if !only_reads {
        check_csrf(headers, cookie, doorkeeper)?;
    }
    Ok(Some(principal))
}

fn check_sent_from(headers: &HeaderMap) -> Result<(), Refusal> {
    // `none` is a person who typed the address.
    let is_own = |from: &HeaderValue| matches!(from.as_bytes(), b"same-origin" | b"none");
    match headers.get_all(SENT_FROM).iter().all(is_own) {
        true => Ok(()),
        false => {
            let message = "pages of other origins may not use this session";
            Err(Refusal::new(Code::Forbidden, message).at("Sec-Fetch-Site"))
        }
    }
}

fn check_csrf(headers: &HeaderMap, cookie: &str, doorkeeper: &Doorkeeper) -> Result<(), Refusal> {
    let mut values = headers.get_all(CSRF).iter();
    let only = values.next().filter(|_| values.next().is_none());
    let shown = only.and_then(|value| value.to_str().ok());
    if shown.is_some_and(|shown| doorkeeper.is_csrf(shown, cookie)) {
        return Ok(());
    }
    let message = "what changes something needs what the pages of this session were told";
    Err(Refusal::new(Code::Forbidden, message)
        .at("Innkeeper-CSRF")
        .with_hint("GET /v1/browser-session says it: `csrf`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{arrival::Front, proxies::Proxies};

    fn headers(values: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_cookie_is_found_among_others_by_its_whole_name() {
        let found = |wire: Wire, lines: &[&'static str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
            wire.cookie(&headers(&lines)).map(|value| value.map(str::to_owned))
        };
        let value = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(found(Wire::Plain, &["a=b; innkeeper-session=x; c=d"]), value("x"));
        assert_eq!(found(Wire::Plain, &["a=b", "innkeeper-session=x"]), value("x"));
        assert_eq!(
            found(Wire::Tls, &["__Host-innkeeper-session=y; innkeeper-session=x"]),
            value("y")
        );
        for none in ["", "a=b", "xinnkeeper-session=x", "Innkeeper-Session=x", "innkeeper-session"]
        {
            assert_eq!(found(Wire::Plain, &[none]), Ok(None), "{none}");
        }
        // One without TLS is of no use over it.
        assert_eq!(found(Wire::Tls, &["innkeeper-session=x"]), Ok(None));
        for twice in [
            &["innkeeper-session=x; innkeeper-session=x"][..],
            &["innkeeper-session=x", "innkeeper-session=y"],
        ] {
            assert_eq!(found(Wire::Plain, twice).unwrap_err().code, Code::Unauthenticated);
        }
    }

    #[test]
    fn there_is_tls_before_a_proxy_if_the_browser_says_so() {
        let behind =
            Front { proxies: Proxies::new(["192.0.2.1/32".parse().unwrap()]), ..Front::default() };
        let of = |front: &Front, is_tls, head: &[_]| {
            Wire::of(&Arrival::for_test(front.clone(), "127.0.0.1", is_tls), &headers(head))
        };
        let said = [
            &[("origin", "https://vms.example.org")][..],
            &[("cookie", "a=b; __Host-innkeeper-session=x")],
        ];
        for head in said {
            assert_eq!(of(&behind, false, head), Wire::Tls);
            assert_eq!(of(&Front::default(), false, head), Wire::Plain);
        }
        for head in
            [&[("origin", "http://vms.example.org")][..], &[], &[("x-forwarded-proto", "https")]]
        {
            assert_eq!(of(&behind, false, head), Wire::Plain);
            assert_eq!(of(&behind, true, head), Wire::Tls);
        }
    }

    #[test]
    fn a_cookie_is_for_no_script_and_for_no_other_site() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let plain = Wire::Plain.set_cookie("x", at(70), at(10)).unwrap();
        assert_eq!(
            plain.to_str().unwrap(),
            "innkeeper-session=x; Path=/; Max-Age=60; HttpOnly; SameSite=Strict"
        );
        assert!(!format!("{plain:?}").contains("session"), "it is printed: {plain:?}");
        let tls = Wire::Tls.set_cookie("x", at(10), at(70)).unwrap();
        assert_eq!(
            tls.to_str().unwrap(),
            "__Host-innkeeper-session=x; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure"
        );
        for wire in [Wire::Plain, Wire::Tls] {
            let cleared = wire.clear_cookie();
            let set = wire.set_cookie("", at(0), at(0)).unwrap();
            assert_eq!(cleared, set, "a browser takes away what is the same but for its value");
        }
    }

    #[test]
    fn what_another_sites_page_sends_is_refused_whatever_it_shows() {
        let doorkeeper = Doorkeeper::default();
        let of = |site: &'static str| {
            let headers = headers(&[("cookie", "innkeeper-session=x"), ("sec-fetch-site", site)]);
            let caller = (&doorkeeper, Source::ThisHost);
            let refused = browser(&Method::GET, &headers, Wire::Plain, caller).unwrap_err();
            crate::refusal_of(&refused).code
        };
        for foreign in ["cross-site", "same-site", "", "Same-Origin"] {
            assert_eq!(of(foreign), Code::Forbidden, "{foreign}");
        }
        for own in ["same-origin", "none"] {
            assert_eq!(of(own), Code::Unauthenticated, "{own}");
        }
    }
}
