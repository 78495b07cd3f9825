//! Problem documents (RFC 9457), as the daemon refuses with.

use crate::failure::{Exit, Failure};
use http::StatusCode;
use innkeeper_model::Code;
use serde::Deserialize;

#[derive(Deserialize)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    #[serde(default)]
    causes: Vec<String>,
    limit: Option<String>,
    hint: Option<String>,
    /// Text, since a newer daemon may have codes that this program does not know.
    code: Option<String>,
}

/// The daemon's refusal as a failure of the command.
pub(super) fn failure(status: StatusCode, body: &[u8]) -> Failure {
    let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
        let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
        let message = format!("the daemon answered {status} {text:?}");
        let in_doubt = status.is_server_error();
        return Failure { in_doubt, ..Failure::new(by_status(status), message) };
    };
    let code: Option<Code> =
        problem.code.and_then(|code| serde_json::from_value(serde_json::Value::String(code)).ok());
    let message = problem.detail.or(problem.title);
    Failure {
        exit: code.map_or_else(|| by_status(status), Exit::from),
        message: message.unwrap_or_else(|| format!("the daemon answered {status}")),
        causes: problem.causes,
        limit: problem.limit,
        hint: problem.hint,
        code,
        in_doubt: code.is_none() && status.is_server_error(),
    }
}

fn by_status(status: StatusCode) -> Exit {
    match status {
        StatusCode::NOT_FOUND => Exit::NotFound,
        StatusCode::GATEWAY_TIMEOUT => Exit::Timeout,
        status if status.is_client_error() => Exit::Refused,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemons_words_are_the_failures() {
        let body = br#"{"type":"urn:innkeeper:error:wrong-state","title":"wrong state","status":409,
            "detail":"cannot pause web: it is stopped","code":"wrong-state","hint":"inn start web"}"#;
        let failure = failure(StatusCode::CONFLICT, body);
        assert_eq!((failure.exit, failure.code), (Exit::Refused, Some(Code::WrongState)));
        assert_eq!(failure.to_string(), "cannot pause web: it is stopped\n  hint: inn start web");
    }

    #[test]
    fn what_is_no_problem_document_still_fails_by_its_status() {
        for (status, exit) in [(404, Exit::NotFound), (422, Exit::Refused), (500, Exit::Failed)] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(failure(status, b"<html>").exit, exit);
            assert_eq!(failure(status, br#"{"code":"of-tomorrow"}"#).exit, exit);
        }
    }
}
