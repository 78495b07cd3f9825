//! The gate: what every request passes before its route, and every answer after it.
//!
//! Before: who is calling, under which id, from which page. After: the problem document where there
//! is a problem, the request's id, the count. One function instead of a tower of layers, since each
//! layer would cost every read an allocation or two.

use crate::{
    protocol::{
        answer::encode,
        asked::Admitted,
        json::{MAX_BODY, too_large},
        problem::Problem,
    },
    resources::{
        exports, health, images,
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
use http::{HeaderMap, HeaderValue, Request, header};
use innkeeper_auth::{Identity, Token};
use innkeeper_model::{Code, Refusal};
use innkeeper_surface::{REQUEST_ID, check_host, check_origin, check_token, request_id};
use std::sync::Arc;
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
}

impl innkeeper_surface::Gate for Gate {
    async fn answer(&self, mut request: Request<Body>) -> Response {
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
}

impl Gate {
    /// Who is calling; nobody in particular where no credential is needed.
    fn admit(&self, request: &Request<Body>) -> Result<Option<Identity>, Refusal> {
        let headers = request.headers();
        let (method, path) = (request.method(), request.uri().path());
        if !takes_a_file(method, path)
            && !images::file::takes_a_file(method, path)
            && !exports::takes_a_file(method, path)
        {
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
                check_token(headers, token)?;
                Ok(Some(Identity::Token))
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
