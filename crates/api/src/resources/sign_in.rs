//! `/v1/sign-in`: wallets that show a person what they sign (EIP-4361), and the sessions that come of it.

use crate::{
    protocol::{
        answer::{self, encode},
        asked::Admitted,
        json,
        params::Params,
        problem::Answer,
    },
    router::WriteProblems,
    state::ApiState,
};
use axum::{Extension, body::Body, extract::State};
use http::{HeaderMap, StatusCode};
use innkeeper_auth::{Address, Identity, Role};
use innkeeper_model::{Code, Refusal, Timestamp};
use innkeeper_surface::bearer;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::task::spawn_blocking;
use utoipa::ToSchema;

/// Where a nonce is given, and where a message with it is taken: by anybody, since that is what is to be
/// found out.
pub(crate) const OPEN: [&str; 2] = ["/v1/sign-in/challenges", "/v1/sign-in"];

/// A nonce for a message.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChallengeDocument {
    /// 32 letters and digits, to be used once.
    nonce: String,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    expires: Timestamp,
}

/// What a wallet signed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignedMessage {
    /// The message of EIP-4361, exactly as it was signed.
    message: String,
    /// What `personal_sign` made of it: `0x` and 130 hexadecimal digits.
    signature: String,
}

/// A session that was begun.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignedIn {
    /// What to show, as `Authorization: Bearer`. It is told this once.
    token: String,
    /// Until when it counts.
    #[schema(value_type = String, format = DateTime)]
    expires: Timestamp,
    /// The account that signed.
    account: Address,
    /// What it may do.
    role: Role,
}

/// Get a nonce for signing in with a wallet
///
/// It can be used once, within five minutes. It needs no credential.
#[utoipa::path(
    post,
    path = "/v1/sign-in/challenges",
    tag = "tokens",
    operation_id = "createChallenge",
    security(()),
    responses((status = 201, description = "The nonce", body = ChallengeDocument), WriteProblems),
)]
pub(crate) async fn challenge(State(state): State<ApiState>, params: Params) -> Answer {
    params.nothing_else()?;
    let challenge = state.doorkeeper().accounts()?.challenge(Timestamp::now())?;
    let document = ChallengeDocument { nonce: challenge.nonce, expires: challenge.expires };
    created(&state, &document)
}

/// Sign in with a wallet
///
/// The token counts for an hour, at the VMM service's door, too. It needs no other credential.
#[utoipa::path(
    post,
    path = "/v1/sign-in",
    tag = "tokens",
    operation_id = "signIn",
    security(()),
    request_body = SignedMessage,
    responses((status = 201, description = "The session", body = SignedIn), WriteProblems),
)]
pub(crate) async fn sign_in(
    State(state): State<ApiState>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    params.nothing_else()?;
    json::expect_type(&headers, "application/json")?;
    let SignedMessage { message, signature } = json::decode(&json::read(body).await?)?;
    let accounts = state.doorkeeper().accounts()?;
    let (principal, session) = accounts.sign_in(&message, &signature, Timestamp::now())?;
    let (Identity::Wallet(account), Some(token)) = (principal.identity, session.token.expose())
    else {
        return Err(Refusal::new(Code::Internal, "a session was begun of nobody").into());
    };
    let (token, role) = (token.to_owned(), principal.role);
    created(&state, &SignedIn { token, expires: session.expires, account, role })
}

/// Sign out
///
/// What a wallet's request shows is refused from then on: its session ends, or the token that it signed itself
/// is revoked, with all that it signed under the same `jti`. What it opened goes on to its end.
#[utoipa::path(
    delete,
    path = "/v1/sign-in",
    tag = "tokens",
    operation_id = "signOut",
    responses((status = 204, description = "It is refused from now on"), WriteProblems),
)]
pub(crate) async fn sign_out(
    State(state): State<ApiState>,
    params: Params,
    Extension(admitted): Extension<Admitted>,
    headers: HeaderMap,
) -> Answer {
    params.nothing_else()?;
    let Identity::Wallet(_) = admitted.principal.identity else {
        return Err(Refusal::new(Code::WrongState, "what was shown is no wallet's").into());
    };
    let token = bearer(&headers).unwrap_or_default().to_owned();
    let accounts = Arc::clone(state.doorkeeper().accounts()?);
    let signing_out = spawn_blocking(move || accounts.sign_out(&token, Timestamp::now()));
    signing_out.await.unwrap_or_else(|error| {
        Err(Refusal::new(Code::Internal, "it was not signed out").caused_by(&error))
    })?;
    Ok(answer::empty(StatusCode::NO_CONTENT, state.view().snapshot().revision))
}

fn created(state: &ApiState, document: &impl Serialize) -> Answer {
    let mut answer = answer::json(state.view().snapshot().revision, encode(document));
    *answer.status_mut() = StatusCode::CREATED;
    Ok(answer)
}

#[cfg(test)]
#[path = "sign_in_tests.rs"]
mod tests;
