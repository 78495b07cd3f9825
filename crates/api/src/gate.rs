//! The gate: what every request passes before its route, and every answer after it.
//!
//! Before: who is calling, under which id, from which page, and whether they may. After: the problem
//! document where there is a problem, the request's id, the count; and an answer that goes on ends when
//! the token that it was asked with does. One function instead of a tower of layers, since each layer
//! would cost every read an allocation or two.

mod kind;
pub(crate) mod rights;

use crate::{
    protocol::{
        answer::encode,
        asked::Admitted,
        json::{MAX_BODY, too_large},
        problem::Problem,
    },
    resources::{
        exports, images,
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
use http::{HeaderMap, HeaderValue, Method, Request, header};
use innkeeper_auth::{
    Action, Doorkeeper, Principal, Resource,
    limits::{Entry, Kind, Who},
};
use innkeeper_engine::Origin;
use innkeeper_model::{Code, Refusal};
use innkeeper_surface::{
    NotNow, REQUEST_ID, TurnedAway, check_host, check_origin, no_credential, principal, request_id,
    while_it_holds,
};
use kind::kind;
use rights::needs;
use std::{net::SocketAddr, sync::Arc};
use tower::Service;

/// How a caller came in, and what it is without a credential. One that it shows counts in any case.
#[derive(Debug, Clone)]
pub(crate) enum Entrance {
    /// By the unix socket, as this.
    Unix(Principal),
    /// By TCP, as nobody.
    Tcp,
}

/// The gate of one connection.
#[derive(Clone)]
pub(crate) struct Gate {
    state: ApiState,
    router: Router,
    entrance: Arc<Entrance>,
    address: Option<SocketAddr>,
}

impl Gate {
    /// The gate to these routes. Clones of one router share it.
    pub(crate) fn new(state: ApiState, router: Router, entrance: Arc<Entrance>) -> Self {
        Self { state, router, entrance, address: None }
    }

    /// The same, of a connection from this address.
    pub(crate) fn with_address(self, address: Option<SocketAddr>) -> Self {
        Self { address, ..self }
    }
}

impl innkeeper_surface::Gate for Gate {
    async fn answer(&self, mut request: Request<Body>) -> Response {
        let request_id = request_id(request.headers());
        let route = Route::of(request.uri().path());
        let origin = self.origin();
        // A request that shows something to its route: a ticket, or a signature.
        let mut of_nobody = None;
        let mut response = match self.admit(&request) {
            Ok(principal) => {
                tracing::debug!(
                    id = request_id.to_str().unwrap_or_default(),
                    method = %request.method(),
                    path = request.uri().path(),
                    "request"
                );
                request.extensions_mut().insert(origin);
                if principal.is_none() {
                    of_nobody = Some((request.method().clone(), request.uri().path().to_owned()));
                }
                let can_end =
                    principal.as_ref().filter(|caller| Doorkeeper::can_end(caller)).cloned();
                if let Some(principal) = principal {
                    let request_id = request_id.clone();
                    request.extensions_mut().insert(Admitted { principal, request_id });
                }
                let response = match self.router.clone().call(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                };
                match can_end {
                    Some(caller) => while_it_holds(response, &caller, self.state.doorkeeper()),
                    None => response,
                }
            }
            Err(away) => {
                let (not_now, caller) = *away;
                let refusal = not_now.refusal();
                let action = (request.method(), request.uri().path());
                self.note_turned_away(caller.as_ref(), &request_id, action, &refusal);
                let mut response = Problem::from(refusal).into_response();
                not_now.add_to(response.headers_mut());
                response
            }
        };
        if let Some(problem) = response.extensions_mut().remove::<Problem>() {
            let refusal = problem.refusal();
            if let Some((method, path)) = &of_nobody
                && matches!(refusal.code, Code::Unauthenticated | Code::Forbidden)
            {
                self.note_turned_away(None, &request_id, (method, path), refusal);
            }
            write(&mut response, &problem, &request_id);
        }
        self.state.metrics().count(route, response.status());
        response.headers_mut().insert(REQUEST_ID, request_id);
        response
    }
}

impl Gate {
    /// Puts on record who is turned away, and why.
    fn note_turned_away(
        &self,
        caller: Option<&Principal>,
        request_id: &HeaderValue,
        action: (&Method, &str),
        refusal: &Refusal,
    ) {
        let caller = caller.map(|caller| caller.identity.to_string());
        let request_id = request_id.to_str().unwrap_or_default();
        let turned_away =
            TurnedAway { origin: self.origin(), caller: caller.as_deref(), request_id, action };
        turned_away.record(self.state.operations().audit(), refusal);
    }

    /// Where its requests come in.
    fn origin(&self) -> Origin {
        let door = match *self.entrance {
            Entrance::Unix(_) => "unix",
            Entrance::Tcp => "tcp",
        };
        Origin { door, address: self.address }
    }

    /// Who is calling, nobody in particular where no credential is needed; or why it is turned away, and who
    /// that is, as far as it is known.
    fn admit(
        &self,
        request: &Request<Body>,
    ) -> Result<Option<Principal>, Box<(NotNow, Option<Principal>)>> {
        let kind = kind(request.method(), request.uri());
        let count = |who: Who<'_>| self.state.doorkeeper().count(who, Entry::Other, kind);
        let needs = match self.identify(request) {
            Ok(Some(needs)) => needs,
            // What anybody may ask, and what costs something, nobody may ask for ever.
            Ok(None) if kind == Kind::Write => {
                let counted = count(Who::Anybody(self.address.map(|address| address.ip())));
                return counted
                    .map(|()| None)
                    .map_err(|exceeded| Box::new((exceeded.into(), None)));
            }
            Ok(None) => return Ok(None),
            Err(refusal) => {
                let counted = count(Who::Unknown(self.address.map(|address| address.ip())));
                return Err(Box::new((counted.err().map_or(refusal.into(), NotNow::from), None)));
            }
        };
        let (principal, action, resource) = needs;
        let allowed = count(Who::Known(&principal)).map_err(NotNow::from).and_then(|()| {
            check_size(request)?;
            principal.check(action, resource)?;
            Ok(principal.check_sees_all(resource)?)
        });
        match allowed {
            Ok(()) => Ok(Some(principal)),
            Err(not_now) => Err(Box::new((not_now, Some(principal)))),
        }
    }

    /// Who is calling, and what that needs; nobody in particular where no credential is needed.
    fn identify(
        &self,
        request: &Request<Body>,
    ) -> Result<Option<(Principal, Action, Resource)>, Refusal> {
        let headers = request.headers();
        let (method, path) = (request.method(), request.uri().path());
        if matches!(*self.entrance, Entrance::Tcp) {
            check_host(request)?;
            let uri = request.uri();
            if is_ticketed(uri.path(), uri.query(), headers) {
                // The route asks whose ticket it is. A page of whatever origin may show one.
                check_size(request)?;
                return Ok(None);
            }
            check_origin(headers)?;
        }
        let Some((action, resource)) = needs(method, path) else {
            check_size(request)?;
            return Ok(None);
        };
        Ok(Some((self.caller(headers)?, action, resource)))
    }

    /// Who shows a credential, else whoever's the connection is.
    fn caller(&self, headers: &HeaderMap) -> Result<Principal, Refusal> {
        if let Some(principal) = principal(headers, self.state.doorkeeper())? {
            return Ok(principal);
        }
        match &*self.entrance {
            Entrance::Unix(principal) => Ok(principal.clone()),
            Entrance::Tcp => Err(no_credential()),
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

/// Refuses a body that is too large before any of it is read, unless it is a file.
fn check_size(request: &Request<Body>) -> Result<(), Refusal> {
    let (method, path) = (request.method(), request.uri().path());
    let is_a_file = takes_a_file(method, path)
        || images::file::takes_a_file(method, path)
        || exports::takes_a_file(method, path);
    if is_a_file { Ok(()) } else { check_length(request.headers()) }
}

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
#[cfg(test)]
#[path = "gate/turned_away_tests.rs"]
mod turned_away_tests;
