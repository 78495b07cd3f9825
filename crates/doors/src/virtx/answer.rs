//! Answers: JSON for what was asked, nothing for what was done, and one line of text for what was not.

use super::subject::NO_UUID;
use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use innkeeper_model::{Code, Refusal};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::{
    IntoResponses,
    openapi::{ContentBuilder, ObjectBuilder, RefOr, ResponseBuilder, schema::Type},
};

/// What a handler returns.
pub(super) type Answer = Result<Response, Refused>;

/// A refusal on its way out: a status, and a line that says why.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    line: String,
}

impl Refused {
    /// With this status, whatever the refusal is otherwise.
    pub(super) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, line: why.into() }
    }

    /// A failure of the hypervisor, as this protocol calls whatever keeps a machine from doing something;
    /// but a machine of another manager's is no failure.
    pub(super) fn of_machine(refusal: Refusal) -> Self {
        match refusal.code {
            Code::ManagedElsewhere | Code::NotFound => refusal.into(),
            _ => Self::new(StatusCode::FAILED_DEPENDENCY, line(&refusal)),
        }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::new(status(&refusal), line(&refusal))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        text(self.status, &self.line)
    }
}

fn line(refusal: &Refusal) -> String {
    match &refusal.hint {
        Some(hint) => format!("{refusal}; {hint}"),
        None => refusal.to_string(),
    }
}

/// The statuses that virtx has, 409 for what is taken or another manager's, and 429.
fn status(refusal: &Refusal) -> StatusCode {
    match refusal.code {
        // A disk whose file cannot be opened, and not one that may not be.
        Code::InvalidField if is_of_file(refusal) => StatusCode::INSUFFICIENT_STORAGE,
        Code::BadRequest | Code::InvalidField | Code::TooLarge | Code::Unsupported => {
            StatusCode::BAD_REQUEST
        }
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::WrongState => StatusCode::UNPROCESSABLE_ENTITY,
        Code::NameTaken
        | Code::AmbiguousName
        | Code::RevisionConflict
        | Code::InUse
        | Code::Protected
        | Code::IdempotencyConflict
        | Code::ManagedElsewhere => StatusCode::CONFLICT,
        Code::OutOfSpace | Code::OutOfCapacity | Code::DiskFailed => {
            StatusCode::INSUFFICIENT_STORAGE
        }
        Code::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Code::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::FAILED_DEPENDENCY,
    }
}

fn is_of_file(refusal: &Refusal) -> bool {
    let is_path = refusal.field.as_ref().is_some_and(|field| field.ends_with(".path"));
    is_path && !refusal.causes.is_empty()
}

/// A line of text, as Go's servers write their errors.
fn text(status: StatusCode, line: &str) -> Response {
    let line = line.replace(['\r', '\n'], " ");
    let mut response = Response::new(Body::from(line + "\n"));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A refusal as this door says it.
pub(super) fn refused(refusal: &Refusal) -> Response {
    text(status(refusal), &line(refusal))
}

/// This value as JSON.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    let bytes = serde_json::to_vec(value).expect("plain values with text keys, written to memory");
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// That it was done: nothing more to say, or a warning.
pub(super) fn done(warnings: &[String]) -> Response {
    let status = if warnings.is_empty() { StatusCode::NO_CONTENT } else { StatusCode::OK };
    warned(status.into_response(), warnings)
}

/// The same answer with what its caller should know.
pub(super) fn warned(mut response: Response, warnings: &[String]) -> Response {
    if !warnings.is_empty() {
        let printable = |c: char| match c {
            '"' | '\\' => '\'',
            ' '..='~' => c,
            _ => '?',
        };
        let said: String = warnings.join("; ").chars().map(printable).collect();
        let value = HeaderValue::try_from(format!("299 VirtX \"{said}\""))
            .expect("what is not printable in ASCII was replaced");
        response.headers_mut().insert(header::WARNING, value);
    }
    response
}

/// A route that does not exist: Go's own words.
pub(super) async fn no_route(request: Request) -> Response {
    let mut segments = request.uri().path().split('/').skip(1);
    let is_kind = matches!(segments.next(), Some("vms" | "hosts"));
    if is_kind && segments.next() == Some("") {
        return text(StatusCode::BAD_REQUEST, NO_UUID);
    }
    text(StatusCode::NOT_FOUND, "404 page not found")
}

/// A route that exists with another method: Go's own words.
pub(super) async fn no_method() -> Response {
    text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}

/// Groups of refusals, for the document.
macro_rules! refusals {
    ($($name:ident { $($status:literal: $why:literal),+ $(,)? })+) => {$(
        pub(super) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
                [$(described($status, $why)),+].into()
            }
        }
    )+};
}

refusals! {
    Any {
        400: "The body or the request is not what it should be",
        401: "The credential that was shown does not hold",
        403: "The caller may not do this",
        405: "Not with this method",
        429: "There were too many requests; Retry-After says when to come again",
    }
    NoVm { 404: "There is no such VM" }
    NoHost { 404: "There is no such host" }
    Managed { 409: "Another manager of this host has the VM, and it was not adopted" }
    Conflict { 409: "The name is taken, or it was changed meanwhile, or another manager has it" }
    NotOff { 422: "It is not powered off" }
    Failed { 424: "The hypervisor refused, or failed" }
    Defect { 500: "What is stored of it cannot be read, or Innkeeper has a defect" }
    Stopping { 503: "The daemon is stopping" }
    Storage { 507: "A disk cannot be had, or would be lost" }
    OtherHost { 503: "This is no host that is known and active; or the daemon is stopping" }
    Migration {
        422: "It is there already, or the state that it is in does not allow it",
        500: "The host is not known",
        501: "No host is named, and none is chosen",
    }
    Registration {
        422: "It is of another host",
        424: "There is no such VM",
    }
}

/// What stands for 204 where there is something to know, for the document.
#[derive(IntoResponses)]
#[response(
    status = 200,
    description = "It is done, or goes on, with a warning",
    headers(("Warning" = String, description = "What its caller should know of it"))
)]
pub(super) struct Warned;

fn described(status: u16, why: &str) -> (String, RefOr<utoipa::openapi::Response>) {
    let line = ObjectBuilder::new().schema_type(Type::String).build();
    let content = ContentBuilder::new().schema(Some(line)).build();
    let response = ResponseBuilder::new().description(why).content("text/plain", content);
    (status.to_string(), RefOr::T(response.build()))
}
