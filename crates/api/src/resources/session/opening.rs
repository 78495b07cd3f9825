//! How a connection becomes a session: who asks, and what the connection is to be.

use crate::{
    protocol::{asked::Admitted, params::Params, problem::Problem},
    state::ApiState,
    visit::Visit,
};
use axum::extract::{FromRequestParts, WebSocketUpgrade};
use http::{HeaderMap, header, request::Parts};
use hyper::upgrade::OnUpgrade;
use innkeeper_auth::{Principal, Standing};
use innkeeper_engine::{Caller, Origin};
use innkeeper_model::{Code, Refusal, Timestamp, VmId};
use innkeeper_session::{Purpose, TicketRefused};
use innkeeper_surface::request_id;
use std::time::Instant;

pub(super) use crate::resources::stream_tickets::TICKET;

/// What a connection is upgraded to where it carries nothing but the bytes.
pub(super) const RAW: &str = "innkeeper-stream";
const WEBSOCKET: &str = "websocket";
/// The most bytes of one message from a viewer.
const MAX_MESSAGE: usize = 1 << 20;

/// What a connection can become.
pub(super) enum Upgrade {
    Raw(OnUpgrade),
    WebSocket(WebSocketUpgrade),
}

/// Somebody who wants a connection to become a session.
pub(crate) struct Opening {
    pub(super) upgrade: Upgrade,
    principal: Option<Principal>,
    request_id: Option<String>,
    origin: Option<Origin>,
}

impl<S: Send + Sync> FromRequestParts<S> for Opening {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let principal = parts.extensions.get::<Admitted>();
        let principal = principal.map(|admitted| admitted.principal.clone());
        let request_id = request_id(&parts.headers).to_str().ok().map(str::to_owned);
        let origin = parts.extensions.get().copied();
        let upgrade = Upgrade::of(parts, state).await?;
        Ok(Self { upgrade, principal, request_id, origin })
    }
}

impl Upgrade {
    async fn of<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if lists(&parts.headers, &header::UPGRADE, WEBSOCKET) {
            let upgrade = WebSocketUpgrade::from_request_parts(parts, state).await;
            let upgrade = upgrade.map_err(|rejection| {
                Refusal::new(Code::BadRequest, rejection.body_text()).at("Upgrade")
            })?;
            return Ok(Self::WebSocket(upgrade.max_message_size(MAX_MESSAGE)));
        }
        let asked = lists(&parts.headers, &header::CONNECTION, "upgrade")
            && lists(&parts.headers, &header::UPGRADE, RAW);
        match parts.extensions.remove::<OnUpgrade>().filter(|_| asked) {
            Some(upgrade) => Ok(Self::Raw(upgrade)),
            None => Err(Refusal::new(Code::BadRequest, "this is a stream, not a document")
                .at("Upgrade")
                .with_limit(format!("{RAW} or {WEBSOCKET}"))
                .with_hint(format!("send Connection: Upgrade and Upgrade: {RAW}"))
                .into()),
        }
    }
}

impl Opening {
    /// Which VM is meant, who asks and for how long: by a ticket, where there is one, else by what the gate
    /// found. `vm` finds it among those that there are for that caller.
    ///
    /// # Errors
    /// The ticket is not valid, in the same words whatever is wrong with it, the VM and the credential that it
    /// was issued for included; nobody said who is calling; or there is no such VM.
    pub(super) fn authorise(
        &self,
        state: &ApiState,
        ticket: Option<String>,
        purpose: Purpose,
        vm: impl FnOnce(&Visit) -> Result<VmId, Refusal>,
    ) -> Result<(VmId, Caller, Standing), Refusal> {
        let (principal, vm) = match ticket {
            None => {
                let principal = self.principal.clone().ok_or_else(|| {
                    // A router that is served without the gate would let everybody in.
                    Refusal::new(Code::Unauthenticated, "nobody asked who is calling")
                })?;
                let vm = vm(&Visit::of(state, &principal))?;
                (principal, vm)
            }
            Some(ticket) => {
                let of = |whose: &Principal| vm(&Visit::of(state, whose)).ok();
                let (whose, vm) = state.tickets().redeem(&ticket, purpose, Instant::now(), of)?;
                // One who is known by something else, too, is one and the same.
                let is_another = self.principal.as_ref().is_some_and(|known| *known != whose);
                if is_another || !whose.standing.holds(Timestamp::now()) {
                    return Err(TicketRefused.into());
                }
                (whose, vm)
            }
        };
        let visit = Visit::of(state, &principal);
        let request_id = self.request_id.clone();
        let Principal { identity, standing, .. } = principal;
        let name = identity.to_string();
        let caller = Caller { name, request_id, origin: self.origin };
        Ok((vm, caller, visit.while_it_sees(vm, standing)))
    }
}

/// Whether a request shows a ticket where one is enough: it opens a session, from a browser maybe.
pub(crate) fn is_ticketed(path: &str, query: Option<&str>, headers: &HeaderMap) -> bool {
    let opens = path.strip_prefix("/v1/vms/").and_then(|rest| rest.split_once('/'));
    opens.is_some_and(|(_, what)| matches!(what, "console" | "vnc"))
        && lists(headers, &header::UPGRADE, WEBSOCKET)
        && matches!(Params::parse(query.unwrap_or_default()).one(TICKET), Ok(Some(_)))
}

/// Whether a header that is a list has this word in it.
fn lists(headers: &HeaderMap, name: &header::HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(word))
}
