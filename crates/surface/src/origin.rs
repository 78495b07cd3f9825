//! From where a request may come: what a web page can send is refused by the names that it comes with.

use crate::arrival::Arrival;
use http::{HeaderMap, HeaderValue, Request, header, uri::Authority};
use innkeeper_model::{Code, Refusal};

/// Refuses requests for other names than this host's own: a page of a foreign site whose name was made
/// to point here (DNS rebinding) comes with that name. Its own are those that the operator said, `localhost`,
/// loopback addresses, and with TLS the address that was called.
///
/// # Errors
/// The name is missing, there are two, or it is another host's.
pub fn check_host<B>(request: &Request<B>, arrival: &Arrival) -> Result<(), Refusal> {
    // Of two, what stands before us may have read the other one (RFC 9112, 3.2).
    if request.headers().get_all(header::HOST).iter().nth(1).is_some() {
        return Err(Refusal::new(Code::BadRequest, "the header Host is there twice"));
    }
    let host = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => {
            let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
            host.ok_or_else(|| Refusal::new(Code::BadRequest, "the header Host is missing"))?
        }
    };
    if is_own(host, arrival) {
        return Ok(());
    }
    let mut refusal =
        Refusal::new(Code::Forbidden, format!("this host is not {host:?}")).at("Host").with_limit(
            "localhost, a loopback address, or a name that the operator said: `names` of [tls]",
        );
    refusal.value = Some(host.into());
    Err(refusal)
}

fn is_own(host: &str, arrival: &Arrival) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    !authority.as_str().contains('@') && arrival.is_named(authority.host())
}

/// Refuses what a page of another origin sends.
///
/// # Errors
/// There is such an origin.
pub fn check_origin(headers: &HeaderMap, arrival: &Arrival) -> Result<(), Refusal> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
    let is_own = |scheme: &&[u8]| {
        origin.as_bytes().strip_prefix(*scheme).is_some_and(|origin| Some(origin) == host)
    };
    if arrival.schemes().iter().any(is_own) {
        return Ok(());
    }
    let origin = String::from_utf8_lossy(origin.as_bytes());
    let mut refusal =
        Refusal::new(Code::Forbidden, "pages of other origins may not call this API").at("Origin");
    refusal.value = Some(origin.into());
    Err(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{arrival::Front, proxies::Proxies};

    #[test]
    fn a_request_names_one_host_and_that_is_this_one() {
        let code = |hosts: &[&str]| {
            let mut request = Request::builder().uri("/v1/vms");
            for host in hosts {
                request = request.header(header::HOST, *host);
            }
            check_host(&request.body(()).unwrap(), &Arrival::default())
                .map_err(|refusal| refusal.code)
        };
        for own in ["localhost", "LocalHost:7100", "127.0.0.1:7100", "127.1.2.3", "[::1]:7100"] {
            assert_eq!(code(&[own]), Ok(()), "{own}");
            assert_eq!(code(&[own, own]), Err(Code::BadRequest), "{own}");
            assert_eq!(code(&[own, "evil.example"]), Err(Code::BadRequest), "{own}");
        }
        assert_eq!(code(&[]), Err(Code::BadRequest));
        for other in ["evil.example", "localhost.evil.example", "x@localhost", "0.0.0.0", "[::]"] {
            assert_eq!(code(&[other]), Err(Code::Forbidden), "{other}");
        }
    }

    #[test]
    fn a_host_is_known_by_the_names_that_were_said_and_the_address_that_was_called() {
        let front = Front { names: vec!["inn.example.org".into()], ..Front::default() };
        let asks = |host: &str, is_tls| {
            let request = Request::builder().uri("/").header(header::HOST, host).body(()).unwrap();
            check_host(&request, &Arrival::for_test(front.clone(), "10.1.2.3", is_tls)).is_ok()
        };
        for own in ["inn.example.org", "INN.example.org:7101", "localhost:7101", "127.0.0.1"] {
            assert!(asks(own, true) && asks(own, false), "{own}");
        }
        assert!(asks("10.1.2.3:7101", true) && !asks("10.1.2.3:7101", false));
        for other in ["10.1.2.4", "evil.example", "inn.example.org.evil.example", "0.0.0.0"] {
            assert!(!asks(other, true), "{other}");
        }
    }

    #[test]
    fn a_page_is_of_this_origin_by_its_scheme_too() {
        let asks = |origin: &'static str, arrival: &Arrival| {
            let own = HeaderValue::from_static("inn.example.org");
            let origin = HeaderValue::from_static(origin);
            let headers = HeaderMap::from_iter([(header::HOST, own), (header::ORIGIN, origin)]);
            check_origin(&headers, arrival).is_ok()
        };
        let (http, https) = ("http://inn.example.org", "https://inn.example.org");
        let tls = Arrival::for_test(Front::default(), "10.1.2.3", true);
        assert!(asks(https, &tls) && !asks(http, &tls));
        assert!(asks(http, &Arrival::default()) && !asks(https, &Arrival::default()));
        let proxies = Proxies::new(["192.0.2.1/32".parse().unwrap()]);
        let proxied = Front { proxies, ..Front::default() };
        let proxied = Arrival::for_test(proxied, "127.0.0.1", false);
        assert!(asks(http, &proxied) && asks(https, &proxied));
        assert!(!asks("https://evil.example", &proxied));
    }
}
