//! Why a token was refused.

use super::{MAX_JTI_LENGTH, MAX_TOKEN_LENGTH};
use crate::{
    claims::BadClaim,
    wallet::{BadSignature, NotAnAddress},
};
use innkeeper_model::{Code, Refusal, Timestamp};
use std::fmt;

/// A part of a token that is JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The first: how it is signed.
    Header,
    /// The second: what it claims.
    Payload,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Header => "header",
            Self::Payload => "payload",
        })
    }
}

/// Why a token was refused, for logs. A caller gets the [`Refusal`] of it, which has the same words for
/// everything that is wrong with a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// It is longer than any that is looked at.
    #[error("the token has {length} bytes, more than {MAX_TOKEN_LENGTH}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// It is not three parts with dots between them.
    #[error("the token is not three parts with dots between them")]
    NotThreeParts,
    /// A part is not base64url, has padding, or has bits left over at its end. (Of the signature, that is
    /// [`BadSignature::Form`].)
    #[error("the token's {0} is not base64url without padding")]
    Encoding(Part),
    /// A part is no JSON object, or one that can be read in two ways.
    #[error("the token's {part} is not JSON as it has to be: {problem}")]
    Json {
        /// Which part.
        part: Part,
        /// What is wrong, and where; without what the token says.
        problem: Box<str>,
    },
    /// Something that every token must have is not there.
    #[error("the token has no {0:?}")]
    Missing(&'static str),
    /// Something has another type than it must have, or is beyond its range.
    #[error(
        "the token's {0:?} is not what it has to be: alg, typ, iss and jti are texts, jti of 1 to \
         {MAX_JTI_LENGTH} bytes without control characters, aud is a text or several, and exp, nbf and iat are seconds since 1970"
    )]
    WrongType(&'static str),
    /// Its header asks for something that is not understood.
    #[error("the token's header has {0:?}, of which nothing is understood here")]
    Critical(&'static str),
    /// It is something else than a JWT.
    #[error("the token's \"typ\" is not JWT")]
    Type,
    /// It is signed in a way that is not allowed.
    #[error("the token's \"alg\" is {0:?}, which is not allowed here")]
    Algorithm(Box<str>),
    /// `iss` is no address.
    #[error("the token's \"iss\" is not the address of an account")]
    Issuer(#[from] NotAnAddress),
    /// It is for somebody else.
    #[error("the token's \"aud\" does not name this door's audience")]
    Audience,
    /// It does not count any more.
    #[error("the token has expired at {expires}")]
    Expired {
        /// When it did.
        expires: Timestamp,
    },
    /// It does not count yet.
    #[error("the token does not count before {from}")]
    NotYet {
        /// When it will.
        from: Timestamp,
    },
    /// It says that it was made later than now.
    #[error("the token says that it was made in the future, at {issued}")]
    IssuedInFuture {
        /// When, as it says.
        issued: Timestamp,
    },
    /// It would count for longer than any may.
    #[error("the token expires at {expires}, more than 24 h after it was made or after now")]
    TooLongLived {
        /// When it would expire.
        expires: Timestamp,
    },
    /// It was not signed by the account that it names.
    #[error("the token's signature is not that of the account in its \"iss\"")]
    Signature(#[from] BadSignature),
    /// It was taken back.
    #[error("the token was revoked")]
    Revoked,
}

impl From<BadClaim> for BadToken {
    fn from(bad: BadClaim) -> Self {
        match bad {
            BadClaim::Missing(name) => Self::Missing(name),
            BadClaim::WrongType(name) => Self::WrongType(name),
            BadClaim::Critical(name) => Self::Critical(name),
            BadClaim::Audience => Self::Audience,
            BadClaim::Expired { expires } => Self::Expired { expires },
            BadClaim::TooLongLived { expires, max_age: _ } => Self::TooLongLived { expires },
            BadClaim::NotYet { from } => Self::NotYet { from },
            BadClaim::IssuedInFuture { issued } => Self::IssuedInFuture { issued },
        }
    }
}

/// As the caller sees it: 401, with what they can do. What stands in the token is told, for they have it;
/// why a signature does not hold is not.
impl From<&BadToken> for Refusal {
    fn from(bad: &BadToken) -> Self {
        let refusal = Self::new(Code::Unauthenticated, bad.to_string());
        match bad {
            BadToken::TooLong { .. } => refusal.with_limit(MAX_TOKEN_LENGTH),
            BadToken::Issuer(problem) => refusal.with_hint(problem.to_string()),
            BadToken::Audience => refusal.with_hint("the audience is in the door's configuration"),
            BadToken::Expired { .. } | BadToken::TooLongLived { .. } | BadToken::Revoked => {
                refusal.with_hint("sign a new one, for at most 24 h")
            }
            BadToken::NotYet { .. } | BadToken::IssuedInFuture { .. } => {
                refusal.with_hint("see whether the clock is right")
            }
            _ => refusal,
        }
    }
}
