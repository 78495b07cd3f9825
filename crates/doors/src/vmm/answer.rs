//! Answers: JSON of one shape for what was done, and of one for what was not.

use axum::{
    Json,
    extract::{FromRequest, Request},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use innkeeper_model::{Code, Refusal};
use serde::{Serialize, de::DeserializeOwned};
use utoipa::{IntoResponses, ToSchema};

/// What a handler returns.
pub(super) type Answer<T> = Result<Json<T>, Refused>;

/// A refusal on its way out.
#[derive(Debug)]
pub(super) struct Refused(Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        refused(&self.0)
    }
}

/// Something was not done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Failure)]
pub(super) struct Failure {
    /// False.
    success: bool,
    /// What was wrong, and what can be done about it.
    message: String,
}

/// What every route but the probe may answer.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it stands for answers in the document")]
pub(super) enum Failures {
    /// The body is not what it should be
    #[response(status = 400)]
    BadRequest(Failure),
    /// The token is missing, or another
    #[response(status = 401)]
    Unauthorized(Failure),
    /// The request came from another site's page, or for another host
    #[response(status = 403)]
    Forbidden(Failure),
    /// There is no such VM, image, task or device
    #[response(status = 404)]
    NotFound(Failure),
    /// It is not possible in the state that the VM is in, or something is taken
    #[response(status = 409)]
    Conflict(Failure),
    /// The body is too large
    #[response(status = 413)]
    TooLarge(Failure),
    /// There were too many requests; Retry-After says when to come again
    #[response(status = 429)]
    TooManyRequests(Failure),
    /// It failed
    #[response(status = 500)]
    Failed(Failure),
    /// This host cannot do it
    #[response(status = 501)]
    Unsupported(Failure),
    /// The disk is full
    #[response(status = 507)]
    OutOfSpace(Failure),
}

/// What the probe may answer, which needs no caller.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it stands for answers in the document")]
pub(super) enum ProbeFailures {
    /// The request is not one of HTTP
    #[response(status = 400)]
    BadRequest(Failure),
    /// The request came from another site's page, or for another host
    #[response(status = 403)]
    Forbidden(Failure),
    /// There were too many requests; Retry-After says when to come again
    #[response(status = 429)]
    TooManyRequests(Failure),
}

/// A refusal as this door says it.
pub(super) fn refused(refusal: &Refusal) -> Response {
    let message = match &refusal.hint {
        Some(hint) => format!("{refusal}; {hint}"),
        None => refusal.to_string(),
    };
    let mut response = Json(Failure { success: false, message }).into_response();
    *response.status_mut() = status(refusal.code);
    response
}

/// The statuses that the service documents, and four for what fits none of them.
const fn status(code: Code) -> StatusCode {
    match code {
        Code::BadRequest | Code::InvalidField => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::NotFound | Code::MethodNotAllowed => StatusCode::NOT_FOUND,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::Unsupported => StatusCode::NOT_IMPLEMENTED,
        Code::OutOfSpace => StatusCode::INSUFFICIENT_STORAGE,
        Code::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Code::NameTaken
        | Code::AmbiguousName
        | Code::WrongState
        | Code::RevisionConflict
        | Code::InUse
        | Code::Protected
        | Code::ManagedElsewhere
        | Code::IdempotencyConflict
        | Code::OutOfCapacity
        | Code::Quarantined
        | Code::Interrupted
        | Code::Leftovers
        | Code::IncompatibleMemory
        | Code::HookFailed
        | Code::Cancelled => StatusCode::CONFLICT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A body of JSON; an empty one is an empty object. Its type is not asked for: the service's own clients
/// do not all send one.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let bytes = axum::body::Bytes::from_request(request, state).await.map_err(|rejection| {
            match rejection.into_response().status() {
                StatusCode::PAYLOAD_TOO_LARGE => {
                    Refusal::new(Code::TooLarge, "the body is too large")
                }
                _ => Refusal::new(Code::BadRequest, "the body broke off"),
            }
        })?;
        Ok(Self(read(&bytes)?))
    }
}

/// What a body says.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let text: &[u8] = if bytes.iter().all(u8::is_ascii_whitespace) { b"{}" } else { bytes };
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let (path, inner) = (error.path().to_string(), error.inner().to_string());
        let refusal = Refusal::new(Code::BadRequest, format!("the body: {path}: {inner}"));
        if path == "." { refusal } else { refusal.at(path) }
    })?;
    reader.end().map_err(|error| Refusal::new(Code::BadRequest, format!("the body: {error}")))?;
    Ok(value)
}

/// A route that does not exist.
pub(super) async fn no_route(request: Request) -> Refused {
    Refusal::not_found("endpoint", request.uri().path()).into()
}

/// A route that exists with another method.
pub(super) async fn no_method(request: Request) -> Refused {
    let (method, path) = (request.method(), request.uri().path());
    let message = format!("there is no endpoint {method} {path}");
    Refusal::new(Code::MethodNotAllowed, message).with_hint("all but GET /health are POST").into()
}
