//! The gate of a door: what every request passes before its route.

use crate::{
    access::{Access, Entrance, Peer, not_let_in},
    body,
    context::Context,
    door::Door,
    protocol::Protocol,
    within::Within,
};
use axum::{Router, body::Body, extract::DefaultBodyLimit, response::Response};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use innkeeper_auth::{
    Action, Identity, NotAdmitted, Principal, Resource, Source, Standing,
    limits::{Entry, Kind, Who},
};
use innkeeper_engine::{Caller, Origin};
use innkeeper_model::Refusal;
use innkeeper_store::audit::AuditLog;
use innkeeper_surface::{
    Arrival, Listening, REQUEST_ID, TurnedAway, answer, certified, check_host, check_length,
    check_origin, no_credential, principal, ready, refusal_of, request_id, routed, say_when,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// Opens a door on a loopback address or with TLS, to whom `access` lets in. Returns when the context's `stopping`
/// is cancelled and all connections have ended, half a second later at the most.
pub async fn serve<P: Protocol>(
    protocol: P,
    listener: impl Into<Listening>,
    context: Context,
    access: Access,
) {
    let stopping = context.stopping().clone();
    let door = Arc::new(Opened::new(protocol, context));
    let admit = |arrival: Arrival, source| {
        let (door, entrance) = (Arc::clone(&door), Arc::new(access.of(source)?));
        Ok(DoorGate { door, entrance, address: arrival.peer(), arrival, source })
    };
    listener.into().serve(stopping, admit).await;
}

/// A door that is open.
pub(crate) struct Opened<P> {
    protocol: P,
    router: Router,
    /// Where what is turned away is on record.
    audit: Option<AuditLog>,
    /// How long the body of a request may take.
    pub(crate) body_timeout: Duration,
}

impl<P: Protocol> Opened<P> {
    pub(crate) fn new(protocol: P, context: Context) -> Self {
        let audit = context.operations().audit().cloned();
        let router = protocol.router(context).layer(DefaultBodyLimit::max(P::MAX_BODY));
        Self { protocol, router, audit, body_timeout: body::TIMEOUT }
    }
}

/// The gate of one connection.
pub(crate) struct DoorGate<P> {
    pub(crate) door: Arc<Opened<P>>,
    pub(crate) entrance: Arc<Entrance>,
    /// How it came.
    pub(crate) arrival: Arrival,
    /// Where it comes from.
    pub(crate) address: Option<SocketAddr>,
    /// The same, as far as callers are told apart by it.
    pub(crate) source: Source,
}

// Derived, it would ask that the protocol can be cloned.
impl<P> Clone for DoorGate<P> {
    fn clone(&self) -> Self {
        let (door, entrance) = (Arc::clone(&self.door), Arc::clone(&self.entrance));
        let arrival = self.arrival.clone();
        Self { door, entrance, arrival, address: self.address, source: self.source }
    }
}

impl<P: Protocol> innkeeper_surface::Gate for DoorGate<P> {
    async fn answer(&self, request: Request<Body>) -> Response {
        match self.arrival.forwarded(request.headers()) {
            None => self.answer_here(request).await,
            Some((address, source)) => {
                self.for_somebody_at(address, source).answer_here(request).await
            }
        }
    }
}

impl<P: Protocol> DoorGate<P> {
    /// The same, of requests that a proxy passes on for somebody: who the proxy is, lets nobody in.
    fn for_somebody_at(&self, address: SocketAddr, source: Source) -> Self {
        let entrance = Entrance { peer: Peer::Nobody, ..(*self.entrance).clone() };
        Self { entrance: Arc::new(entrance), address: Some(address), source, ..self.clone() }
    }

    /// Answers a request of whoever is at the gate's address.
    async fn answer_here(&self, mut request: Request<Body>) -> Response {
        ready(request.headers(), &self.entrance.doorkeeper).await;
        let request_id = request_id(request.headers());
        let door = self.door.protocol.door();
        let mut within = None;
        let mut response = match self.admit(&request) {
            Ok(admitted) => {
                let id = request_id.to_str().unwrap_or_default();
                let (method, path) = (request.method(), request.uri().path());
                tracing::debug!(%door, id, %method, path, "request");
                let standing = admitted.as_ref().map(|caller| caller.standing.clone());
                let standing = standing.filter(Standing::can_end);
                if let Some(principal) = admitted {
                    let name = principal.identity.to_string();
                    let (request_id, origin) = (Some(id.to_owned()), Some(self.origin()));
                    let caller = Caller { name, request_id, origin };
                    within = Within::of(&self.door.protocol, (&caller, &principal), &request);
                    request.extensions_mut().insert(caller);
                    request.extensions_mut().insert(principal);
                }
                let request = request.map(|body| body::in_time(body, self.door.body_timeout));
                let refuse = |over| self.door.protocol.refuse(&over);
                let answer = answer(self.door.router.clone(), request);
                match within.take_if(|within| within.changes_registry()) {
                    None => routed(answer, standing.as_ref(), refuse).await,
                    Some(change) => {
                        let seen_through = change.see_through(self.door.audit.clone(), answer);
                        let answer = async { seen_through.await.unwrap_or_else(refuse) };
                        // Few are such, so that the others have no room for it.
                        Box::pin(routed(answer, standing.as_ref(), refuse)).await
                    }
                }
            }
            Err(away) => {
                let (not, caller) = *away;
                let refusal = refusal_of(&not);
                tracing::debug!(%door, path = request.uri().path(), %refusal, "refused");
                let caller = caller.map(|caller| caller.identity.to_string());
                let action = (request.method(), request.uri().path());
                self.note_turned_away(caller.as_deref(), &request_id, action, &refusal);
                let mut response = self.door.protocol.refuse(&refusal);
                say_when(&not, response.headers_mut());
                response
            }
        };
        if let Some(within) = within {
            within.note(self.door.audit.as_ref(), response.status());
        }
        if response.status() == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"innkeeper\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response.headers_mut().insert(REQUEST_ID, request_id);
        response
    }

    /// Puts on record who is turned away, and why.
    fn note_turned_away(
        &self,
        caller: Option<&str>,
        request_id: &HeaderValue,
        action: (&Method, &str),
        refusal: &Refusal,
    ) {
        let request_id = request_id.to_str().unwrap_or_default();
        let turned_away = TurnedAway { origin: self.origin(), caller, request_id, action };
        turned_away.record(self.door.audit.as_ref(), refusal);
    }

    /// Where its requests come in.
    fn origin(&self) -> Origin {
        Origin { door: self.door.protocol.door().as_str(), address: self.address }
    }

    /// Who is calling, nobody in particular where anybody may; or why it is turned away, and who that is, as
    /// far as it is known.
    fn admit(
        &self,
        request: &Request<Body>,
    ) -> Result<Option<Principal>, Box<(NotAdmitted, Option<Principal>)>> {
        let protocol = &self.door.protocol;
        let needs = protocol.needs(request.method(), request.uri().path());
        let kind = kind(needs);
        let entry = match protocol.door() {
            Door::Vmm => Entry::Vmm,
            _ => Entry::Other,
        };
        let count = |who: Who<'_>| self.entrance.doorkeeper.count(who, entry, kind);
        let (principal, (action, resource)) = match (self.identify(request, needs), needs) {
            (Ok(Some(principal)), Some(needs)) => (principal, needs),
            (Ok(_), _) => return Ok(None),
            (Err(NotAdmitted::Refused(refusal)), _) => {
                let counted = count(Who::Unknown(self.source));
                return Err(Box::new((
                    counted.err().map_or(refusal.into(), NotAdmitted::from),
                    None,
                )));
            }
            (Err(too_soon), _) => return Err(Box::new((too_soon, None))),
        };
        let allowed = count(Who::Known(&principal)).map_err(NotAdmitted::from).and_then(|()| {
            check(protocol.door(), &principal, action, resource)?;
            Ok(check_length(request.headers(), P::MAX_BODY)?)
        });
        match allowed {
            Ok(()) => Ok(Some(principal)),
            Err(not) => Err(Box::new((not, Some(principal)))),
        }
    }

    /// Who is calling; nobody in particular where nothing is needed.
    fn identify(
        &self,
        request: &Request<Body>,
        needs: Option<(Action, Resource)>,
    ) -> Result<Option<Principal>, NotAdmitted> {
        check_host(request, &self.arrival)?;
        check_origin(request.headers(), &self.arrival)?;
        needs.map(|_| self.caller(request.headers())).transpose()
    }

    /// Who shows a credential, else whoever's the connection is.
    fn caller(&self, headers: &HeaderMap) -> Result<Principal, NotAdmitted> {
        let Entrance { doorkeeper, peer } = &*self.entrance;
        if let Some(principal) = principal(headers, doorkeeper, self.source)? {
            return Ok(principal);
        }
        if let Some(principal) = certified(&self.arrival, doorkeeper)? {
            return Ok(principal);
        }
        match peer {
            Peer::Nobody => Err(no_credential().into()),
            Peer::LetIn(principal) => Ok(principal.clone()),
            Peer::Other(identity) => Err(not_let_in(identity).into()),
        }
    }
}

/// What a request takes from its caller's limits.
fn kind(needs: Option<(Action, Resource)>) -> Kind {
    match needs {
        // They are what stays open.
        Some((Action::Read, Resource::Event)) => Kind::Stream,
        None | Some((Action::Read, _)) => Kind::Read,
        Some(_) => Kind::Write,
    }
}

/// Refuses what this caller of a door may not.
///
/// # Errors
/// [`Code::Forbidden`](innkeeper_model::Code::Forbidden).
pub(crate) fn check(
    door: Door,
    principal: &Principal,
    action: Action,
    resource: Resource,
) -> Result<(), Refusal> {
    principal.check(action, resource).map_err(|refusal| match principal.identity {
        Identity::User { .. } => refusal.with_hint(format!(
            "the daemon's operator says what its local callers are: --door {door}=…,anonymous=ROLE"
        )),
        _ => refusal,
    })
}
