//! The bearer token of a request.

use http::{HeaderMap, header};
use innkeeper_auth::Token;
use innkeeper_model::{Code, Refusal};

/// Refuses a request that does not show this token.
///
/// # Errors
/// It shows none, or another.
pub fn check_token(headers: &HeaderMap, token: &Token) -> Result<(), Refusal> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Err(Refusal::new(Code::Unauthenticated, "this address needs a token").with_hint(
            "send Authorization: Bearer and what is in the file `token` of the state folder",
        ));
    };
    let presented = value.to_str().ok().and_then(bearer);
    if presented.is_some_and(|presented| token.matches(presented)) {
        return Ok(());
    }
    Err(Refusal::new(Code::Unauthenticated, "this is not the daemon's token")
        .with_hint("the token is in the file `token` of the state folder"))
}

fn bearer(credentials: &str) -> Option<&str> {
    let (scheme, token) = credentials.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
