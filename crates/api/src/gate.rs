//! The gate: what every request passes before its route, and every answer after it.
//!
//! Before: who is calling, under which id, from which page, and whether they may. After: the problem
//! document where there is a problem, the request's id, the count; and an answer that goes on ends when
//! the token that it was asked with does. One function instead of a tower of layers, since each layer
//! would cost every read an allocation or two.

mod kind;
pub(crate) mod rights;

use crate::{
    protocol::{answer::encode, asked::Admitted, json::MAX_BODY, problem::Problem},
    resources::{
        browser_session, exports, images,
        metrics::Route,
        session::{files::takes_a_file, is_ticketed},
        stream_tickets,
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
    Action, NotAdmitted, Principal, Resource, Scope, Source, Standing,
    limits::{Entry, Kind, Who},
};
use innkeeper_engine::Origin;
use innkeeper_model::{Code, Refusal};
use innkeeper_surface::{
    Arrival, REQUEST_ID, TurnedAway, Wire, answer, browser, certified, check_host, check_length,
    check_origin, no_credential, principal, ready, refusal_of, request_id, routed, say_when,
};
use kind::kind;
use rights::needs;
use std::{net::SocketAddr, sync::Arc};

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
    arrival: Arrival,
    address: Option<SocketAddr>,
    source: Source,
}

impl Gate {
    /// The gate to these routes. Clones of one router share it.
    pub(crate) fn new(state: ApiState, router: Router, entrance: Arc<Entrance>) -> Self {
        let (arrival, source) = (Arrival::default(), Source::ThisHost);
        Self { state, router, entrance, arrival, address: None, source }
    }

    /// The same, of a connection that came so.
    pub(crate) fn with_arrival(self, arrival: Arrival) -> Self {
        Self { address: arrival.peer(), arrival, ..self }
    }

    /// The same, of requests that are for somebody at this address.
    pub(crate) fn with_address(self, address: Option<SocketAddr>) -> Self {
        Self { address, ..self }
    }

    /// The same, of a connection from there.
    pub(crate) fn with_source(self, source: Source) -> Self {
        Self { source, ..self }
    }
}

impl innkeeper_surface::Gate for Gate {
    async fn answer(&self, request: Request<Body>) -> Response {
        let Some((address, source)) = self.arrival.forwarded(request.headers()) else {
            return self.answer_here(request).await;
        };
        let behind = self.clone().with_address(Some(address)).with_source(source);
        behind.answer_here(request).await
    }
}

impl Gate {
    /// Answers a request of whoever is at the gate's address.
    async fn answer_here(&self, mut request: Request<Body>) -> Response {
        ready(request.headers(), self.state.doorkeeper()).await;
        let request_id = request_id(request.headers());
        let route = Route::of(request.uri().path());
        let origin = self.origin();
        // What its route may turn away: whoever shows something to it alone, a ticket or a signature, and whoever
        // asks for what is not its project's.
        let mut in_doubt = None;
        let mut response = match self.admit(&request) {
            Ok(principal) => {
                tracing::debug!(
                    id = request_id.to_str().unwrap_or_default(),
                    method = %request.method(),
                    path = request.uri().path(),
                    "request"
                );
                request.extensions_mut().insert(origin);
                if request.uri().path() == browser_session::PATH {
                    let wire = Wire::of(&self.arrival, request.headers());
                    request.extensions_mut().insert(wire);
                }
                stream_tickets::take_off(&mut request);
                if principal.is_none() {
                    // The route finds out who it is, and puts it on record under this id.
                    request.headers_mut().insert(REQUEST_ID, request_id.clone());
                }
                if principal.as_ref().is_none_or(|caller| caller.scope != Scope::Everything) {
                    let action = (request.method().clone(), request.uri().path().to_owned());
                    in_doubt = Some((principal.clone(), action));
                }
                let standing = principal.as_ref().map(|caller| caller.standing.clone());
                let standing = standing.filter(Standing::can_end);
                if let Some(principal) = principal {
                    let request_id = request_id.clone();
                    request.extensions_mut().insert(Admitted { principal, request_id });
                }
                let refuse = |over| Problem::from(over).into_response();
                routed(answer(self.router.clone(), request), standing.as_ref(), refuse).await
            }
            Err(away) => {
                let (not, caller) = *away;
                let refusal = refusal_of(&not);
                let action = (request.method(), request.uri().path());
                self.note_turned_away(caller.as_ref(), &request_id, action, &refusal);
                let mut response = Problem::from(refusal).into_response();
                say_when(&not, response.headers_mut());
                response
            }
        };
        if let Some((None, (Method::GET, _))) = &in_doubt {
            response = self.count_wrong_ticket(response);
        }
        if let Some(problem) = response.extensions_mut().remove::<Problem>() {
            let refusal = problem.refusal();
            if let Some((caller, (method, path))) = &in_doubt
                && (is_turned_away(refusal)
                    || caller.is_some() && is_not_its_projects(method, refusal))
            {
                self.note_turned_away(caller.as_ref(), &request_id, (method, path), refusal);
            }
            write(&mut response, &problem, &request_id);
        }
        self.state.metrics().count(route, response.status());
        response.headers_mut().insert(REQUEST_ID, request_id);
        response
    }

    /// The answer to whoever showed a ticket to its route; where that opened nothing, it counts as any wrong
    /// credential.
    fn count_wrong_ticket(&self, response: Response) -> Response {
        let problem = response.extensions().get::<Problem>();
        if !problem.is_some_and(|problem| is_turned_away(problem.refusal())) {
            return response;
        }
        let who = Who::Unknown(self.source);
        match self.state.doorkeeper().count(who, Entry::Other, Kind::Stream) {
            Ok(()) => response,
            Err(exceeded) => {
                let not = NotAdmitted::from(exceeded);
                let mut response = Problem::from(refusal_of(&not)).into_response();
                say_when(&not, response.headers_mut());
                response
            }
        }
    }

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
    ) -> Result<Option<Principal>, Box<(NotAdmitted, Option<Principal>)>> {
        let kind = kind(request.method(), request.uri());
        let count = |who: Who<'_>| self.state.doorkeeper().count(who, Entry::Other, kind);
        let needs = match self.identify(request) {
            Ok(Some(needs)) => needs,
            // What anybody may ask, and what costs something, nobody may ask for ever.
            Ok(None) if kind == Kind::Write => {
                let counted = count(Who::Anybody(self.source));
                return counted
                    .map(|()| None)
                    .map_err(|exceeded| Box::new((exceeded.into(), None)));
            }
            Ok(None) => return Ok(None),
            Err(NotAdmitted::Refused(refusal)) => {
                let counted = count(Who::Unknown(self.source));
                return Err(Box::new((
                    counted.err().map_or(refusal.into(), NotAdmitted::from),
                    None,
                )));
            }
            Err(too_soon) => return Err(Box::new((too_soon, None))),
        };
        let (principal, action, resource) = needs;
        let allowed = count(Who::Known(&principal)).map_err(NotAdmitted::from).and_then(|()| {
            check_size(request)?;
            Ok(principal.check(action, resource)?)
        });
        match allowed {
            Ok(()) => Ok(Some(principal)),
            Err(not) => Err(Box::new((not, Some(principal)))),
        }
    }

    /// Who is calling, and what that needs; nobody in particular where no credential is needed.
    fn identify(
        &self,
        request: &Request<Body>,
    ) -> Result<Option<(Principal, Action, Resource)>, NotAdmitted> {
        let headers = request.headers();
        let (method, path) = (request.method(), request.uri().path());
        if matches!(*self.entrance, Entrance::Tcp) {
            check_host(request, &self.arrival)?;
            let uri = request.uri();
            if is_ticketed(uri.path(), uri.query(), headers) {
                // The route asks whose ticket it is. A page of whatever origin may show one.
                check_size(request)?;
                return Ok(None);
            }
            check_origin(headers, &self.arrival)?;
        }
        let Some((action, resource)) = needs(method, path) else {
            check_size(request)?;
            return Ok(None);
        };
        let caller = match stream_tickets::caller(&self.state, request) {
            Some(whose) => whose?,
            None => self.caller(method, headers)?,
        };
        Ok(Some((caller, action, resource)))
    }

    /// Who shows a credential, else whose session's cookie it is, else whoever's the connection is.
    fn caller(&self, method: &Method, headers: &HeaderMap) -> Result<Principal, NotAdmitted> {
        let doorkeeper = self.state.doorkeeper();
        if let Some(principal) = principal(headers, doorkeeper, self.source)? {
            return Ok(principal);
        }
        let wire = Wire::of(&self.arrival, headers);
        if let Some(principal) = browser(method, headers, wire, (doorkeeper, self.source))? {
            return Ok(principal);
        }
        match &*self.entrance {
            Entrance::Unix(principal) => Ok(principal.clone()),
            Entrance::Tcp => {
                let certified = certified(&self.arrival, self.state.doorkeeper())?;
                Ok(certified.ok_or_else(no_credential)?)
            }
        }
    }
}

/// Whether a refusal is that of whoever is not let in.
const fn is_turned_away(refusal: &Refusal) -> bool {
    matches!(refusal.code, Code::Unauthenticated | Code::Forbidden | Code::TooManyRequests)
}

/// Whether somebody who is bound to a project wanted to change what is not there for them: another's, or nothing.
fn is_not_its_projects(method: &Method, refusal: &Refusal) -> bool {
    refusal.code == Code::NotFound && !matches!(*method, Method::GET | Method::HEAD)
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
    if is_a_file { Ok(()) } else { check_length(request.headers(), MAX_BODY) }
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
#[path = "gate/oidc_tests.rs"]
mod oidc_tests;
#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
#[cfg(test)]
#[path = "gate/turned_away_tests.rs"]
mod turned_away_tests;
