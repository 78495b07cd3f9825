//! `/v1/browser-session`: a cookie for a browser, in place of the credential that was shown once.

use crate::{
    protocol::{
        answer::{self, encode},
        asked::{Admitted, Asked},
        audit,
        params::Params,
        problem::Answer,
    },
    router::{ReadProblems, WriteProblems},
    state::ApiState,
};
use axum::{Extension, extract::State};
use http::{HeaderMap, StatusCode, header};
use innkeeper_auth::{KnownSession, Principal, Role, Scope};
use innkeeper_model::{Code, ProjectName, Refusal, Secret, Timestamp, secret::as_text};
use innkeeper_surface::{Wire, bearer};
use serde::Serialize;
use utoipa::ToSchema;

/// Where cookies are given and taken away.
pub(crate) const PATH: &str = "/v1/browser-session";

/// The session of a browser, as its pages are told of it. The cookie itself is for no script.
#[derive(Serialize, ToSchema)]
pub(crate) struct BrowserSessionDocument {
    /// What to send as `Innkeeper-CSRF` with whatever changes something.
    #[serde(with = "as_text")]
    csrf: Secret,
    /// Until when it lasts at the most: twelve hours, and no longer than what was shown for it.
    #[schema(value_type = String, format = DateTime)]
    expires: Timestamp,
    /// Who its requests are of, as tasks and logs know it.
    caller: String,
    /// What they may do.
    role: Role,
    /// The only project that is there for them, if they are bound to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<ProjectName>,
}

/// Begin a session of a browser
///
/// Whoever shows a credential as `Authorization: Bearer` is given a cookie that stands for it from then on: at each
/// request, whoever the credential stands for then. It ends when the credential does, after twelve hours, or with the
/// daemon; a caller's seventeenth ends the first. With the cookie, what changes something needs the header
/// `Innkeeper-CSRF`.
#[utoipa::path(
    post,
    path = "/v1/browser-session",
    tag = "tokens",
    operation_id = "beginBrowserSession",
    responses(
        (
            status = 201,
            description = "The session; the cookie is in `Set-Cookie`",
            body = BrowserSessionDocument,
        ),
        WriteProblems,
    ),
)]
pub(crate) async fn begin(
    State(state): State<ApiState>,
    params: Params,
    Extension(Admitted { principal, .. }): Extension<Admitted>,
    Extension(wire): Extension<Wire>,
    asked: Asked,
    headers: HeaderMap,
) -> Answer {
    params.nothing_else()?;
    let Some(credential) = bearer(&headers) else {
        let message = "there is nothing that a session could stand for";
        return Err(Refusal::new(Code::WrongState, message)
            .with_hint("send Authorization: Bearer TOKEN")
            .into());
    };
    let now = Timestamp::now();
    let begun = state.doorkeeper().begin_browser_session(&principal, credential, now);
    audit::note(&state, &asked, ("browser-session-begin", &principal.identity), &begun);
    let begun = begun?;
    let value = begun.cookie.expose().unwrap_or_default();
    let set = wire.set_cookie(value, begun.known.expires, now)?;
    let document = BrowserSessionDocument::of(begun.known, &principal);
    let mut answer = answer::created(state.revision(), &document);
    answer.headers_mut().insert(header::SET_COOKIE, set);
    Ok(answer)
}

/// Read the session that the cookie is of
#[utoipa::path(
    get,
    path = "/v1/browser-session",
    tag = "tokens",
    operation_id = "getBrowserSession",
    responses(
        (status = 200, description = "The session", body = BrowserSessionDocument),
        ReadProblems,
    ),
)]
pub(crate) async fn read(
    State(state): State<ApiState>,
    params: Params,
    Extension(Admitted { principal, .. }): Extension<Admitted>,
    Extension(wire): Extension<Wire>,
    headers: HeaderMap,
) -> Answer {
    params.nothing_else()?;
    let cookie = wire.cookie(&headers)?.filter(|_| bearer(&headers).is_none());
    let known = cookie
        .and_then(|cookie| state.doorkeeper().browser_session(cookie, Timestamp::now()))
        .ok_or_else(no_cookie)?;
    let document = BrowserSessionDocument::of(known, &principal);
    Ok(answer::json(state.revision(), encode(&document)))
}

/// End the session that the cookie is of
///
/// What it follows breaks off, and the browser is told to forget the cookie. What was shown for it goes on to count.
#[utoipa::path(
    delete,
    path = "/v1/browser-session",
    tag = "tokens",
    operation_id = "endBrowserSession",
    responses((status = 204, description = "It is over"), WriteProblems),
)]
pub(crate) async fn end(
    State(state): State<ApiState>,
    params: Params,
    Extension(wire): Extension<Wire>,
    asked: Asked,
    headers: HeaderMap,
) -> Answer {
    params.nothing_else()?;
    let cookie = wire.cookie(&headers)?.ok_or_else(no_cookie)?;
    let ended = state.doorkeeper().end_browser_session(cookie);
    let result = if ended { Ok(()) } else { Err(no_cookie()) };
    audit::note(&state, &asked, ("browser-session-end", &asked.caller.name), &result);
    result?;
    let mut answer = answer::empty(StatusCode::NO_CONTENT, state.revision());
    answer.headers_mut().insert(header::SET_COOKIE, wire.clear_cookie());
    Ok(answer)
}

impl BrowserSessionDocument {
    fn of(known: KnownSession, principal: &Principal) -> Self {
        let Principal { identity, role, scope, .. } = principal;
        let project = match scope {
            Scope::Everything => None,
            Scope::Project(project) => Some(project.clone()),
        };
        let KnownSession { csrf, expires } = known;
        Self { csrf, expires, caller: identity.to_string(), role: *role, project }
    }
}

fn no_cookie() -> Refusal {
    Refusal::new(Code::WrongState, "this request is of no session of a browser")
        .with_hint("POST /v1/browser-session begins one")
}

#[cfg(test)]
#[path = "browser_session_tests.rs"]
mod tests;
