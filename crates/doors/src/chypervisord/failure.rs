//! Failures, in chypervisord's two shapes.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use innkeeper_model::{Code, Refusal};
use innkeeper_store::registry::HostsFailed;
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request was not done.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    message: String,
    shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Short,
    Long,
}

/// The shape of a request that cannot be read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Failure)]
// In the document: an answer of this shape has nothing else.
#[serde(deny_unknown_fields)]
pub(crate) struct ShortDocument {
    /// What is wrong with it.
    message: String,
}

/// The shape of a request that was not done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FailureWithCode)]
pub(crate) struct LongDocument {
    /// Why not.
    message: String,
    /// The HTTP status once more.
    code: u16,
    /// Nothing: where in a program it happened is not for its callers. It is here for those who read it.
    stack: Vec<String>,
}

/// Either: where what is wrong with the path and with the body is told apart.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EitherFailure)]
#[serde(untagged)]
#[expect(dead_code, reason = "it stands for answers in the document")]
pub(crate) enum EitherDocument {
    /// This is no id.
    Short(ShortDocument),
    /// The body is not what it should be.
    Long(LongDocument),
}

impl Failure {
    /// A request that cannot be read.
    pub(crate) fn short(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status: StatusCode::BAD_REQUEST, message, shape: Shape::Short }
    }

    /// A request that is not done.
    pub(crate) fn long(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), shape: Shape::Long }
    }

    /// The same failure with a code and a stack, for the routes that always said it so.
    pub(crate) fn lengthened(self) -> Self {
        Self { shape: Shape::Long, ..self }
    }
}

impl From<HostsFailed> for Failure {
    fn from(failed: HostsFailed) -> Self {
        match failed {
            HostsFailed::Missing(_) => Self::long(StatusCode::NOT_FOUND, failed.to_string()),
            HostsFailed::Taken(_) | HostsFailed::NotEmpty(_) | HostsFailed::Contended(_) => {
                Self::long(StatusCode::CONFLICT, failed.to_string())
            }
            HostsFailed::TooLarge { .. } | HostsFailed::Store(_) => Refusal::from(failed).into(),
            HostsFailed::Damaged { .. } => {
                let refusal = Refusal::from(failed);
                Self::long(StatusCode::INTERNAL_SERVER_ERROR, with_hint(&refusal))
            }
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.code {
            Code::BadRequest | Code::InvalidField => StatusCode::BAD_REQUEST,
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::Forbidden => StatusCode::FORBIDDEN,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::OutOfSpace => StatusCode::INSUFFICIENT_STORAGE,
            Code::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            tracing::warn!(%refusal, causes = ?refusal.causes, "a request to chypervisord's door failed");
        }
        Self::long(status, with_hint(&refusal))
    }
}

/// These clients show a message and nothing else, so what to do is part of it.
fn with_hint(refusal: &Refusal) -> String {
    match &refusal.hint {
        Some(hint) => format!("{}; {hint}", refusal.message),
        None => refusal.message.clone(),
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self { status, message, shape } = self;
        match shape {
            Shape::Short => (status, Json(ShortDocument { message })).into_response(),
            Shape::Long => {
                let code = status.as_u16();
                let stack = Vec::new();
                (status, Json(LongDocument { message, code, stack })).into_response()
            }
        }
    }
}
