//! `/v1/sign-in`: wallets that show a person what they sign (EIP-4361), the sessions that come of it, and their
//! end.

use crate::{
    protocol::{
        answer,
        asked::{Admitted, Asked, Segment},
        json,
        on_disk::on_disk,
        params::Params,
        problem::Answer,
    },
    router::WriteProblems,
    state::ApiState,
};
use axum::{Extension, body::Body, extract::State};
use http::{HeaderMap, StatusCode};
use innkeeper_auth::{
    Accounts, Address, Identity, Role,
    wallet::{MAX_JTI_LENGTH, Session},
};
use innkeeper_engine::{Caller, Origin};
use innkeeper_model::{Code, Refusal, Secret, Timestamp, secret::as_text};
use innkeeper_surface::{bearer, note, request_id};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a nonce is given, and where a message with it is taken: by anybody, since that is what is to be
/// found out.
pub(crate) const OPEN: [&str; 2] = ["/v1/sign-in/challenges", "/v1/sign-in"];

/// The most bytes of what a wallet signed: a message, which has 4096 at most, as JSON, and the signature.
const MAX_BODY: usize = 16 << 10;

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
    #[serde(with = "as_text")]
    #[schema(value_type = String)]
    token: Secret,
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
    Ok(answer::created(state.revision(), &document))
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
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    params.nothing_else()?;
    // Anybody may ask: where it is of no use, nothing is listened to, and nowhere to more than is of use.
    let accounts = state.doorkeeper().accounts()?;
    let SignedMessage { message, signature } =
        json::required_within(MAX_BODY, &headers, body).await?;
    let (principal, session) = accounts.sign_in(&message, &signature, Timestamp::now())?;
    let Identity::Wallet(account) = principal.identity else {
        return Err(Refusal::new(Code::Internal, "a session was begun of nobody").into());
    };
    let request_id = request_id(&headers).to_str().ok().map(str::to_owned);
    let caller = Caller { name: account.to_string(), request_id, origin: Some(origin) };
    let done = Ok::<_, Refusal>(());
    note(state.operations().audit(), &caller, ("sign-in", account.to_string()), &done);
    let Session { token, expires } = session;
    let document = SignedIn { token, expires, account, role: principal.role };
    Ok(answer::created(state.revision(), &document))
}

/// Sign out
///
/// What a wallet's request shows is refused from then on: its session ends, or the token that it signed itself
/// is revoked, with all that it signed under the same `jti`. What was opened with it ends.
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
    asked: Asked,
    headers: HeaderMap,
) -> Answer {
    params.nothing_else()?;
    let Identity::Wallet(account) = admitted.principal.identity else {
        return Err(Refusal::new(Code::WrongState, "what was shown is no wallet's").into());
    };
    let Some(token) = bearer(&headers).map(Secret::new) else {
        return Err(Refusal::new(Code::WrongState, "the cookie of a browser's session was shown")
            .with_hint("show the token itself; DELETE /v1/browser-session ends the session alone")
            .into());
    };
    let sign_out = move |accounts: &Accounts| {
        accounts.sign_out(token.expose().unwrap_or_default(), Timestamp::now())
    };
    let (accounts, about) = (state.doorkeeper().accounts()?, ("sign-out", account));
    on_disk(accounts, (&state, asked), about, sign_out).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT, state.revision()))
}

/// Have what an account showed refused from now on
///
/// Its sessions end, and all that it has signed until now is revoked; with `jti`, only what it signs under that.
/// What was opened with any of it ends. What the account signs later counts, its own tokens once they say that they
/// were made more than 30 s later: to keep it out, take it off the configuration.
#[utoipa::path(
    delete,
    path = "/v1/sign-in/{account}",
    tag = "tokens",
    operation_id = "signAccountOut",
    params(
        ("account" = String, Path, description = "Its address"),
        ("jti" = Option<String>, Query, description = "Only its tokens of this name"),
    ),
    responses((status = 204, description = "It is refused from now on"), WriteProblems),
)]
pub(crate) async fn sign_account_out(
    State(state): State<ApiState>,
    Segment(text): Segment,
    mut params: Params,
    asked: Asked,
) -> Answer {
    let jti = params.one("jti")?;
    params.nothing_else()?;
    let account: Address = text.parse().map_err(|problem| {
        Refusal::invalid("account", &text, format!("is no address: {problem}"))
    })?;
    if let Some(jti) = jti.as_ref().filter(|jti| !(1..=MAX_JTI_LENGTH).contains(&jti.len())) {
        let limit = format!("1 to {MAX_JTI_LENGTH} bytes");
        return Err(Refusal::invalid("jti", jti, format!("is not {limit}"))
            .with_limit(limit)
            .into());
    }
    let take_back =
        move |accounts: &Accounts| accounts.take_back(account, jti.as_deref(), Timestamp::now());
    let (accounts, about) = (state.doorkeeper().accounts()?, ("wallet-revoke", account));
    on_disk(accounts, (&state, asked), about, take_back).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT, state.revision()))
}

#[cfg(test)]
#[path = "sign_in_tests.rs"]
mod tests;
