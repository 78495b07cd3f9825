//! `/v1/tokens`: the tokens that were issued. A token's text is in the answer to its creation, and in no
//! other.

use crate::{
    protocol::{
        answer::{self, encode},
        asked::{Asked, Segment},
        json,
        on_disk::on_disk,
        params::Params,
        problem::Answer,
    },
    router::{ReadProblems, WriteProblems},
    state::ApiState,
};
use axum::{body::Body, extract::State};
use http::HeaderMap;
use innkeeper_auth::{IssuedTokens, NewToken, ShownCredential};
use innkeeper_model::{Refusal, Secret, Timestamp, TokenName, secret::as_text};
use serde::Serialize;
use utoipa::ToSchema;

/// Tokens, by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenList {
    /// The tokens; at most 1024.
    items: Vec<ShownCredential>,
}

/// A token that was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedToken {
    /// What to show, as `Authorization: Bearer`. It is told this once.
    #[serde(with = "as_text")]
    #[schema(value_type = String)]
    text: Secret,
    /// The token.
    token: ShownCredential,
}

/// List tokens
///
/// Expired ones, too, until they are revoked.
#[utoipa::path(
    get,
    path = "/v1/tokens",
    tag = "tokens",
    operation_id = "listTokens",
    responses((status = 200, description = "Tokens", body = TokenList), ReadProblems),
)]
pub(crate) async fn list(State(state): State<ApiState>, params: Params) -> Answer {
    params.nothing_else()?;
    let items = state.doorkeeper().issued()?.all(Timestamp::now());
    Ok(answer::json(state.revision(), encode(&TokenList { items })))
}

/// Issue a token
///
/// Whoever shows it is known as `token:NAME`, and may what its role may. What is stored is a digest of its
/// text: a token that was lost is revoked, and another issued.
#[utoipa::path(
    post,
    path = "/v1/tokens",
    tag = "tokens",
    operation_id = "createToken",
    request_body = NewToken,
    responses((status = 201, description = "The token", body = CreatedToken), WriteProblems),
)]
pub(crate) async fn create(
    State(state): State<ApiState>,
    params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    params.nothing_else()?;
    let wanted: NewToken = json::required(&headers, body).await?;
    let (by, name) = (asked.caller.name.clone(), wanted.name.clone());
    let work = move |issued: &IssuedTokens| issued.create(wanted, &by, Timestamp::now());
    let (list, about) = (state.doorkeeper().issued()?, ("token-create", name));
    let (token, text) = on_disk(list, (&state, asked), about, work).await?;
    Ok(answer::created(state.revision(), &CreatedToken { text, token }))
}

/// Revoke a token
///
/// It is refused from then on, and what its bearers follow or have opened ends within a second.
#[utoipa::path(
    delete,
    path = "/v1/tokens/{name}",
    tag = "tokens",
    operation_id = "revokeToken",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "As it was", body = ShownCredential), WriteProblems),
)]
pub(crate) async fn revoke(
    State(state): State<ApiState>,
    Segment(text): Segment,
    params: Params,
    asked: Asked,
) -> Answer {
    params.nothing_else()?;
    // What is no name is nobody's.
    let name: TokenName = text.parse().map_err(|_| Refusal::not_found("token", &text))?;
    let revoked = name.clone();
    let work = move |issued: &IssuedTokens| issued.revoke(&revoked, Timestamp::now());
    let (list, about) = (state.doorkeeper().issued()?, ("token-revoke", name));
    let token = on_disk(list, (&state, asked), about, work).await?;
    Ok(answer::json(state.revision(), encode(&token)))
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
