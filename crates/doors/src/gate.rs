//! The gate of a door: what every request passes before its route.

use crate::{
    access::{Access, Entrance, not_let_in},
    body,
    context::Context,
    door::Door,
    protocol::Protocol,
};
use axum::{Router, body::Body, extract::DefaultBodyLimit, response::Response};
use http::{HeaderMap, Request, header};
use innkeeper_auth::{Identity, Role};
use innkeeper_engine::Caller;
use innkeeper_model::{Code, Refusal};
use innkeeper_surface::{
    REQUEST_ID, check_host, check_origin, check_token, no_delay, request_id, serve as serve_within,
};
use std::{sync::Arc, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tower::Service;

/// Opens a door on a loopback address, to whom `access` lets in. Returns when the context's `stopping`
/// is cancelled and all connections have ended, half a second later at the most.
pub async fn serve<P: Protocol>(
    protocol: P,
    listener: TcpListener,
    context: Context,
    access: Access,
) {
    let stopping = context.stopping().clone();
    let door = Arc::new(Opened::new(protocol, context));
    let admit = |socket: &TcpStream| {
        Ok(DoorGate { door: Arc::clone(&door), entrance: Arc::new(access.of(socket)?) })
    };
    serve_within(no_delay(listener), stopping, admit).await;
}

/// A door that is open.
pub(crate) struct Opened<P> {
    protocol: P,
    router: Router,
    /// How long the body of a request may take.
    pub(crate) body_timeout: Duration,
}

impl<P: Protocol> Opened<P> {
    pub(crate) fn new(protocol: P, context: Context) -> Self {
        let router = protocol.router(context).layer(DefaultBodyLimit::max(P::MAX_BODY));
        Self { protocol, router, body_timeout: body::TIMEOUT }
    }
}

/// The gate of one connection.
pub(crate) struct DoorGate<P> {
    pub(crate) door: Arc<Opened<P>>,
    pub(crate) entrance: Arc<Entrance>,
}

// Derived, it would ask that the protocol can be cloned.
impl<P> Clone for DoorGate<P> {
    fn clone(&self) -> Self {
        Self { door: Arc::clone(&self.door), entrance: Arc::clone(&self.entrance) }
    }
}

impl<P: Protocol> innkeeper_surface::Gate for DoorGate<P> {
    async fn answer(&self, mut request: Request<Body>) -> Response {
        let request_id = request_id(request.headers());
        let door = self.door.protocol.door();
        let mut response = match self.admit(&request) {
            Ok(admitted) => {
                let id = request_id.to_str().unwrap_or_default();
                let (method, path) = (request.method(), request.uri().path());
                tracing::debug!(%door, id, %method, path, "request");
                if let Some((identity, role)) = admitted {
                    let caller =
                        Caller { name: identity.to_string(), request_id: Some(id.to_owned()) };
                    request.extensions_mut().insert(caller);
                    request.extensions_mut().insert(role);
                }
                let request = request.map(|body| body::in_time(body, self.door.body_timeout));
                match self.door.router.clone().call(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            }
            Err(refusal) => {
                tracing::debug!(%door, path = request.uri().path(), %refusal, "refused");
                self.door.protocol.refuse(&refusal)
            }
        };
        response.headers_mut().insert(REQUEST_ID, request_id);
        response
    }
}

impl<P: Protocol> DoorGate<P> {
    /// Who is calling; nobody in particular where anybody may.
    fn admit(&self, request: &Request<Body>) -> Result<Option<(Identity, Role)>, Refusal> {
        let headers = request.headers();
        check_host(request)?;
        check_origin(headers)?;
        let action = self.door.protocol.action(request.method(), request.uri().path());
        let Some(action) = action else { return Ok(None) };
        let (identity, role) = self.caller(headers)?;
        if !role.may(action) {
            let door = self.door.protocol.door();
            return Err(forbidden(door, role));
        }
        check_length(headers, P::MAX_BODY)?;
        Ok(Some((identity, role)))
    }

    fn caller(&self, headers: &HeaderMap) -> Result<(Identity, Role), Refusal> {
        match &*self.entrance {
            Entrance::Token(token) => {
                check_token(headers, token)?;
                Ok((Identity::Token, Role::Admin))
            }
            Entrance::Peer { identity, role: Some(role) } => Ok((*identity, *role)),
            Entrance::Peer { identity, role: None } => Err(not_let_in(*identity)),
        }
    }
}

/// That callers in this role may not do this.
pub(crate) fn forbidden(door: Door, role: Role) -> Refusal {
    Refusal::new(Code::Forbidden, format!("callers of this door are {role}s, who may not do this"))
        .with_hint(format!(
            "the daemon's operator says what they are: --door {door}=…,anonymous=ROLE"
        ))
}

/// Refuses a body that is too large before any of it is read.
fn check_length(headers: &HeaderMap, at_most: usize) -> Result<(), Refusal> {
    let Some(length) = headers.get(header::CONTENT_LENGTH) else {
        return Ok(());
    };
    match length.to_str().ok().and_then(|length| length.parse::<u64>().ok()) {
        Some(length) if length <= at_most as u64 => Ok(()),
        _ => Err(Refusal::new(Code::TooLarge, "the body is too large").with_limit(at_most)),
    }
}
