//! Refusals as RFC 9457 problem documents.
//!
//! A handler returns a [`Problem`]; the gate, which alone knows the request's id, writes the
//! document. So every refusal looks the same, whether it comes from the engine, from a malformed
//! query or from a route that does not exist.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use innkeeper_model::{Code, Refusal, TaskId};
use serde::Serialize;
use utoipa::ToSchema;

/// What a handler returns: an answer, or why there is none.
pub(crate) type Answer = Result<Response, Problem>;

/// Why a request is refused, before it is written.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    refusal: Box<Refusal>,
    task: Option<TaskId>,
}

impl Problem {
    /// The task that failed, or that was begun in vain.
    pub(crate) fn of_task(mut self, task: TaskId) -> Self {
        self.task = Some(task);
        self
    }
}

impl Problem {
    /// Why.
    pub(crate) fn refusal(&self) -> &Refusal {
        &self.refusal
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self { refusal: Box::new(refusal), task: None }
    }
}

/// The answer's head, and the problem for the gate to write.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status(self.refusal.code);
        if self.refusal.code == Code::Unauthenticated {
            let scheme = HeaderValue::from_static("Bearer realm=\"innkeeper\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// A problem document (RFC 9457), `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Document<'a> {
    /// `urn:innkeeper:error:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:innkeeper:error:invalid-field")]
    kind: String,
    /// What kind of problem this is, in a few words.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What happened, in a sentence.
    detail: &'a str,
    /// The stable code for programs.
    code: Code,
    /// The field at fault, as a path: `disks[0].size`.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// The value at fault, as it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    /// The bound that the value broke, or what was expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'a str>,
    /// What the caller can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    /// What led to it, outermost first.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    causes: &'a [String],
    /// The request's id, as in the header `X-Request-Id`.
    instance: &'a str,
    /// The task that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<TaskId>,
}

impl Problem {
    /// The problem as a document about this request.
    pub(crate) fn document<'a>(&'a self, instance: &'a str) -> Document<'a> {
        let refusal = &*self.refusal;
        Document {
            kind: format!("urn:innkeeper:error:{}", refusal.code),
            title: title(refusal.code),
            status: status(refusal.code).as_u16(),
            detail: &refusal.message,
            code: refusal.code,
            field: refusal.field.as_deref(),
            value: refusal.value.as_deref(),
            limit: refusal.limit.as_deref(),
            hint: refusal.hint.as_deref(),
            causes: &refusal.causes,
            instance,
            task: self.task,
        }
    }
}

/// The HTTP status of a refusal.
pub(crate) const fn status(code: Code) -> StatusCode {
    match code {
        Code::BadRequest => StatusCode::BAD_REQUEST,
        Code::InvalidField => StatusCode::UNPROCESSABLE_ENTITY,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::NameTaken
        | Code::AmbiguousName
        | Code::WrongState
        | Code::InUse
        | Code::Protected
        | Code::ManagedElsewhere
        | Code::Quarantined
        | Code::Interrupted
        | Code::Leftovers
        | Code::IncompatibleMemory
        | Code::IdempotencyConflict
        | Code::OutOfCapacity
        | Code::Cancelled => StatusCode::CONFLICT,
        Code::RevisionConflict => StatusCode::PRECONDITION_FAILED,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::OutOfSpace => StatusCode::INSUFFICIENT_STORAGE,
        Code::Unsupported => StatusCode::NOT_IMPLEMENTED,
        Code::MissingProgram | Code::ShuttingDown | Code::DiskFailed => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Code::HypervisorFailed | Code::HookFailed | Code::OutcomeUnknown => StatusCode::BAD_GATEWAY,
        Code::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Code::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

const fn title(code: Code) -> &'static str {
    match code {
        Code::BadRequest => "Unreadable request",
        Code::InvalidField => "Invalid field",
        Code::Unauthenticated => "Credential needed",
        Code::Forbidden => "Not allowed",
        Code::NotFound => "Not found",
        Code::MethodNotAllowed => "Method not allowed",
        Code::NameTaken => "Name taken",
        Code::AmbiguousName => "Ambiguous name",
        Code::WrongState => "Not possible in this state",
        Code::RevisionConflict => "Changed meanwhile",
        Code::InUse => "In use",
        Code::Protected => "Protected",
        Code::IdempotencyConflict => "Idempotency key used before",
        Code::TooLarge => "Too large",
        Code::OutOfCapacity => "Not enough capacity",
        Code::OutOfSpace => "Not enough space",
        Code::DiskFailed => "Disk fails",
        Code::Unsupported => "Not supported here",
        Code::MissingProgram => "Program missing",
        Code::ManagedElsewhere => "Another manager's",
        Code::Quarantined => "Quarantined",
        Code::Interrupted => "Interrupted",
        Code::Leftovers => "Leftovers in the way",
        Code::OutcomeUnknown => "Outcome unknown",
        Code::HookFailed => "Hook failed",
        Code::IncompatibleMemory => "Incompatible memory image",
        Code::HypervisorFailed => "Hypervisor failed",
        Code::TooManyRequests => "Too many requests",
        Code::Timeout => "Took too long",
        Code::Cancelled => "Cancelled",
        Code::ShuttingDown => "Shutting down",
        Code::Internal => "Defect in Innkeeper",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_says_what_the_refusal_says_and_no_more() {
        let refusal = Refusal::invalid("cpus", 500, "is not in 1..=288").with_limit("1..=288");
        let document = serde_json::to_value(Problem::from(refusal).document("req-1")).unwrap();
        let expected = json!({
            "type": "urn:innkeeper:error:invalid-field",
            "title": "Invalid field",
            "status": 422,
            "detail": "cpus: \"500\" is not in 1..=288",
            "code": "invalid-field",
            "field": "cpus",
            "value": "500",
            "limit": "1..=288",
            "instance": "req-1",
        });
        assert_eq!(document, expected);
    }

    #[test]
    fn a_document_names_the_task_and_the_chain_of_causes() {
        let cause = std::io::Error::other("no such device");
        let refusal = Refusal::new(Code::HypervisorFailed, "QEMU ended").caused_by(&cause);
        let task = TaskId::new();
        let problem = Problem::from(refusal).of_task(task);
        let document = serde_json::to_value(problem.document("req-1")).unwrap();
        assert_eq!(document["task"], json!(task));
        assert_eq!(document["causes"], json!(["no such device"]));
        assert_eq!(problem.into_response().status(), StatusCode::BAD_GATEWAY);
    }
}
