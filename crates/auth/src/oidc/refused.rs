//! Why a token of an issuer was refused.

use super::token::MAX_TOKEN_LENGTH;
use crate::claims::BadClaim;
use innkeeper_model::{Code, Refusal, Timestamp};
use jiff::SignedDuration;

/// Why a token was refused. All of it stands in the token in clear, but for what is wrong with a signature, of
/// which nothing is said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadToken {
    #[error(
        "the token's {0} is not what it has to be: base64url without padding, of a JSON object"
    )]
    Form(&'static str),
    #[error("the token has no {0:?}")]
    Missing(&'static str),
    #[error(
        "the token's {0:?} is not what it has to be: alg, typ, kid and iss are texts, aud is a text or several, and exp, \
         nbf and iat are seconds since 1970"
    )]
    WrongType(&'static str),
    #[error("the token's header has {0:?}, of which nothing is understood here")]
    Critical(&'static str),
    #[error("the token's \"typ\" is neither JWT nor at+jwt, nor application/at+jwt")]
    Type,
    #[error("the token's \"iss\" is not that of this issuer")]
    Issuer,
    #[error("the token's \"aud\" does not name this daemon's audience")]
    Audience,
    #[error("the token has expired at {expires}")]
    Expired { expires: Timestamp },
    #[error("the token expires at {expires}, more than {max_age:#} after it was made or after now")]
    TooLongLived { expires: Timestamp, max_age: SignedDuration },
    #[error("the token does not count before {from}")]
    NotYet { from: Timestamp },
    #[error("the token says that it was made in the future, at {issued}")]
    IssuedInFuture { issued: Timestamp },
    #[error("the token's {claim:?} does not say who it is of, in 1 to 255 bytes")]
    Subject { claim: Box<str> },
    #[error("the issuer's keys are not known here at the moment")]
    NoKeys,
    #[error("the token's issuer has no keys for tokens now")]
    NoKeysNow,
    #[error("the token's \"kid\" is none of its issuer's keys")]
    UnknownKey,
    #[error("the token names no key, and its issuer has several that it may mean")]
    UnnamedKey,
    #[error("the token's \"alg\" is not that of its key")]
    Algorithm,
    #[error("the token's signature is not its issuer's")]
    Signature,
}

impl From<BadClaim> for BadToken {
    fn from(bad: BadClaim) -> Self {
        match bad {
            BadClaim::Missing(name) => Self::Missing(name),
            BadClaim::WrongType(name) => Self::WrongType(name),
            BadClaim::Critical(name) => Self::Critical(name),
            BadClaim::Audience => Self::Audience,
            BadClaim::Expired { expires } => Self::Expired { expires },
            BadClaim::TooLongLived { expires, max_age } => Self::TooLongLived { expires, max_age },
            BadClaim::NotYet { from } => Self::NotYet { from },
            BadClaim::IssuedInFuture { issued } => Self::IssuedInFuture { issued },
        }
    }
}

impl From<&BadToken> for Refusal {
    fn from(bad: &BadToken) -> Self {
        let refusal = Self::new(Code::Unauthenticated, bad.to_string());
        match bad {
            BadToken::Form(_) => refusal.with_limit(format!("{MAX_TOKEN_LENGTH} bytes")),
            BadToken::Audience => {
                refusal.with_hint("the audience is in the daemon's configuration: [[oidc]]")
            }
            BadToken::Expired { .. } => refusal.with_hint("get a new one of its issuer"),
            BadToken::TooLongLived { max_age, .. } => {
                refusal.with_limit(format!("{max_age:#}")).with_hint(
                    "get one of its issuer that lasts less long; or the daemon's operator allows more: max_age of \
                     [[oidc]]",
                )
            }
            BadToken::NotYet { .. } | BadToken::IssuedInFuture { .. } => {
                refusal.with_hint("see whether the clocks are right")
            }
            BadToken::NoKeys => refusal.with_hint("the daemon's log says why; it goes on trying"),
            _ => refusal,
        }
    }
}
