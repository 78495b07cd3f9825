//! The gate: what every request passes before its route, and every answer after it.
//!
//! Before: who is calling, under which id, from which page. After: the problem document where there
//! is a problem, the request's id, the count. One function instead of a tower of layers, since each
//! layer would cost every read an allocation or two.

use crate::{
    protocol::{
        answer::encode,
        asked::{Admitted, REQUEST_ID, request_id},
        json::{MAX_BODY, too_large},
        problem::Problem,
    },
    resources::{
        health, images,
        metrics::Route,
        session::{files::takes_a_file, is_ticketed},
    },
    state::ApiState,
};
use axum::{
    Router,
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Request, header, uri::Authority};
use innkeeper_auth::{Identity, Token};
use innkeeper_model::{Code, Refusal};
use std::{net::IpAddr, sync::Arc};
use tower::Service;

/// How a caller came in, and by what it is known.
#[derive(Debug, Clone)]
pub(crate) enum Entrance {
    /// By the unix socket, as this user.
    Unix(Identity),
    /// By TCP; known by this token if it shows it.
    Tcp(Token),
}

/// The gate of one connection.
#[derive(Clone)]
pub(crate) struct Gate {
    state: ApiState,
    router: Router,
    entrance: Arc<Entrance>,
}

impl Gate {
    /// The gate to these routes. Clones of one router share it.
    pub(crate) fn new(state: ApiState, router: Router, entrance: Arc<Entrance>) -> Self {
        Self { state, router, entrance }
    }

    /// Answers a request.
    pub(crate) async fn answer(&self, mut request: Request<Body>) -> Response {
        let request_id = request_id(request.headers());
        let route = Route::of(request.uri().path());
        let mut response = match self.admit(&request) {
            Ok(identity) => {
                tracing::debug!(
                    id = request_id.to_str().unwrap_or_default(),
                    method = %request.method(),
                    path = request.uri().path(),
                    "request"
                );
                if let Some(identity) = identity {
                    let request_id = request_id.clone();
                    request.extensions_mut().insert(Admitted { identity, request_id });
                }
                match self.router.clone().call(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            }
            Err(refusal) => Problem::from(refusal).into_response(),
        };
        if let Some(problem) = response.extensions_mut().remove::<Problem>() {
            write(&mut response, &problem, &request_id);
        }
        self.state.metrics().count(route, response.status());
        response.headers_mut().insert(REQUEST_ID, request_id);
        response
    }

    /// Who is calling; nobody in particular where no credential is needed.
    fn admit(&self, request: &Request<Body>) -> Result<Option<Identity>, Refusal> {
        let headers = request.headers();
        let (method, path) = (request.method(), request.uri().path());
        if !takes_a_file(method, path) && !images::file::takes_a_file(method, path) {
            check_length(headers)?;
        }
        match &*self.entrance {
            Entrance::Unix(identity) => Ok(Some(*identity)),
            Entrance::Tcp(token) => {
                check_host(request)?;
                let uri = request.uri();
                if is_ticketed(uri.path(), uri.query(), headers) {
                    // The route asks whose ticket it is. A page of whatever origin may show one.
                    return Ok(None);
                }
                check_origin(headers)?;
                if request.uri().path() == health::PATH {
                    return Ok(None);
                }
                check_token(headers, token).map(Some)
            }
        }
    }
}

/// Writes the document of a problem into its answer.
fn write(response: &mut Response, problem: &Problem, request_id: &HeaderValue) {
    let document = problem.document(request_id.to_str().unwrap_or_default());
    *response.body_mut() = Body::from(encode(&document));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.remove(header::CONTENT_LENGTH);
}

/// Refuses a body that is too large before any of it is read.
fn check_length(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(length) = headers.get(header::CONTENT_LENGTH) else {
        return Ok(());
    };
    match length.to_str().ok().and_then(|length| length.parse::<u64>().ok()) {
        Some(length) if length <= MAX_BODY as u64 => Ok(()),
        _ => Err(too_large()),
    }
}

fn check_token(headers: &HeaderMap, token: &Token) -> Result<Identity, Refusal> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Err(Refusal::new(Code::Unauthenticated, "this address needs a token").with_hint(
            "send Authorization: Bearer and what is in the file `token` of the state folder",
        ));
    };
    let presented = value.to_str().ok().and_then(bearer);
    if presented.is_some_and(|presented| token.matches(presented)) {
        return Ok(Identity::Token);
    }
    Err(Refusal::new(Code::Unauthenticated, "this is not the daemon's token")
        .with_hint("the token is in the file `token` of the state folder"))
}

fn bearer(credentials: &str) -> Option<&str> {
    let (scheme, token) = credentials.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Refuses requests for other names than this host's own: a page of a foreign site whose name was made
/// to point here (DNS rebinding) comes with that name.
fn check_host(request: &Request<Body>) -> Result<(), Refusal> {
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
fn check_origin(headers: &HeaderMap) -> Result<(), Refusal> {
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

/// A route that does not exist.
pub(crate) async fn no_route(request: Request<Body>) -> Problem {
    let path = request.uri().path();
    Refusal::not_found("route", path).with_hint("the routes are in /v1/openapi.json").into()
}

/// A method that a route does not have; `Allow` is set by the router.
pub(crate) async fn no_method(request: Request<Body>) -> Problem {
    let message = format!("{} is not possible here", request.method());
    let mut refusal =
        Refusal::new(Code::MethodNotAllowed, message).with_hint("the header Allow says what is");
    refusal.value = Some(request.method().to_string());
    refusal.into()
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
