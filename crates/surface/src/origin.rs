//! From where a request may come: what a web page can send is refused by the names that it comes with.

use http::{HeaderMap, HeaderValue, Request, header, uri::Authority};
use innkeeper_model::{Code, Refusal};
use std::net::IpAddr;

/// Refuses requests for other names than this host's own: a page of a foreign site whose name was made
/// to point here (DNS rebinding) comes with that name.
///
/// # Errors
/// The name is missing, there are two, or it is another host's.
pub fn check_host<B>(request: &Request<B>) -> Result<(), Refusal> {
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
    if is_loopback(host) {
        return Ok(());
    }
    let mut refusal = Refusal::new(Code::Forbidden, format!("this host is not {host:?}"))
        .at("Host")
        .with_limit("localhost, or a loopback address");
    refusal.value = Some(host.into());
    Err(refusal)
}

fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    if authority.as_str().contains('@') {
        return false;
    }
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Refuses what a page of another origin sends.
///
/// # Errors
/// There is such an origin.
pub fn check_origin(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
    if origin.as_bytes().strip_prefix(b"http://").is_some_and(|origin| Some(origin) == host) {
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

    #[test]
    fn a_request_names_one_host_and_that_is_this_one() {
        let code = |hosts: &[&str]| {
            let mut request = Request::builder().uri("/v1/vms");
            for host in hosts {
                request = request.header(header::HOST, *host);
            }
            check_host(&request.body(()).unwrap()).map_err(|refusal| refusal.code)
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
}
