//! JSON bodies of requests: read with a bound, and refused by field.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use innkeeper_model::{Code, Refusal};
use innkeeper_surface::too_large;
use serde::de::DeserializeOwned;
use serde_json::{Value, error::Category};
use serde_path_to_error::{Path, Segment};
use std::{error::Error, time::Duration};

/// The most bytes of a request's body.
pub(crate) const MAX_BODY: usize = 1 << 20;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Where the secrets of a configuration are: what was wrong there is said without repeating it.
const SECRETS: &str = "cloud_init";

/// What a whole change is.
const JSON: &str = "application/json";
/// What a change of some members is (RFC 7396).
const MERGE_PATCH: &str = "application/merge-patch+json";

/// A body that is JSON.
///
/// # Errors
/// It says that it is something else, is larger than [`MAX_BODY`], does not arrive, or breaks off.
pub(crate) async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    expect_type(headers, JSON)?;
    whole(MAX_BODY, body).await
}

/// A body that is a JSON Merge Patch.
///
/// # Errors
/// As [`read`].
pub(crate) async fn read_patch(headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    expect_type(headers, MERGE_PATCH)?;
    whole(MAX_BODY, body).await
}

async fn whole(at_most: usize, body: Body) -> Result<Bytes, Refusal> {
    let collected = Limited::new(body, at_most).collect();
    match tokio::time::timeout(BODY_TIMEOUT, collected).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if is_too_long(&*error) => Err(too_large(at_most)),
        Ok(Err(error)) => {
            Err(Refusal::new(Code::BadRequest, "the body broke off").caused_by(&*error))
        }
        Err(_elapsed) => Err(Refusal::new(Code::BadRequest, "the body did not arrive in time")
            .with_limit(format!("{} s", BODY_TIMEOUT.as_secs()))),
    }
}

fn is_too_long(error: &(dyn Error + 'static)) -> bool {
    error.is::<LengthLimitError>() || error.source().is_some_and(is_too_long)
}

/// A body that is a value of this type.
///
/// # Errors
/// As [`read`] and [`decode`].
pub(crate) async fn required<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
) -> Result<T, Refusal> {
    required_within(MAX_BODY, headers, body).await
}

/// The same, of so many bytes at the most.
///
/// # Errors
/// As [`required`].
pub(crate) async fn required_within<T: DeserializeOwned>(
    at_most: usize,
    headers: &HeaderMap,
    body: Body,
) -> Result<T, Refusal> {
    expect_type(headers, JSON)?;
    decode(&whole(at_most, body).await?)
}

/// A body that may as well be empty, or an object without members.
///
/// # Errors
/// As [`required`].
pub(crate) async fn optional<T: DeserializeOwned + Default>(
    headers: &HeaderMap,
    body: Body,
) -> Result<T, Refusal> {
    let body = whole(MAX_BODY, body).await?;
    if body.is_empty() {
        return Ok(T::default());
    }
    expect_type(headers, JSON)?;
    decode(&body)
}

/// Refuses a body that says it is something else than JSON.
///
/// # Errors
/// The content type is another than `expected`. None at all is taken for it.
fn expect_type(headers: &HeaderMap, expected: &str) -> Result<(), Refusal> {
    let Some(given) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let given = String::from_utf8_lossy(given.as_bytes());
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    let mut refusal = Refusal::new(Code::BadRequest, format!("the body is {essence:?}"))
        .at("Content-Type")
        .with_limit(expected)
        .with_hint(format!("send the header Content-Type: {expected}"));
    refusal.value = Some(essence.into());
    Err(refusal)
}

/// The body as a value of this type.
///
/// # Errors
/// It is no JSON: where. It is, but no such value: in which field, with which value, and what was
/// expected.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        match error.inner().classify() {
            Category::Data => {
                let document = serde_json::from_slice(body).unwrap_or_default();
                wrong_data(error.path(), &error.inner().to_string(), &document)
            }
            // An object with two keys where one is wanted is a syntax error to serde_json.
            _ => match serde_json::from_slice::<Value>(body) {
                Ok(document) => decode_value::<T>(&document).err(),
                Err(_) => None,
            }
            .unwrap_or_else(|| no_json(error.inner())),
        }
    })?;
    json.end().map_err(|error| no_json(&error))?;
    Ok(value)
}

/// A JSON value as a value of this type.
///
/// # Errors
/// It is no such value: in which field, with which value, and what was expected.
pub fn decode_value<T: DeserializeOwned>(document: &Value) -> Result<T, Refusal> {
    serde_path_to_error::deserialize(document)
        .map_err(|error| wrong_data(error.path(), &error.inner().to_string(), document))
}

fn no_json(error: &serde_json::Error) -> Refusal {
    let (line, column) = (error.line(), error.column());
    let problem = without_place(&error.to_string()).to_owned();
    let message = format!("the body is not JSON: {problem} at line {line} column {column}");
    Refusal::new(Code::BadRequest, message).at(format!("line {line} column {column}"))
}

/// The refusal of what serde says in `problem` about the value at `path`.
fn wrong_data(path: &Path, problem: &str, document: &Value) -> Refusal {
    let problem = without_place(problem);
    if let Some(name) = quoted_after(problem, "missing field ") {
        let field = below(path, name);
        return Refusal::new(Code::InvalidField, format!("{field} is missing")).at(field);
    }
    let (said, expected) = match problem.split_once(", expected ") {
        Some((said, expected)) => (said, Some(expected)),
        None => (problem, None),
    };
    let (field, said) = match quoted_after(said, "unknown field ") {
        Some(name) if !ends_with(path, name) => (below(path, name), "there is no such field"),
        Some(_) => (text(path), "there is no such field"),
        None => (text(path), said),
    };
    let secret = field.starts_with(SECRETS);
    let said = if secret { "not allowed here" } else { said };
    let message = match expected {
        Some(expected) => format!("{field}: {said}, expected {expected}"),
        None => format!("{field}: {said}"),
    };
    let mut refusal = Refusal::new(Code::InvalidField, message).at(field);
    refusal.limit = expected.map(str::to_owned);
    if !secret {
        refusal.value = value_at(document, path).map(shown);
    }
    refusal
}

fn text(path: &Path) -> String {
    match path.iter().len() {
        0 => "body".into(),
        _ => path.to_string(),
    }
}

fn below(path: &Path, name: &str) -> String {
    match path.iter().len() {
        0 => name.into(),
        _ => format!("{path}.{name}"),
    }
}

fn ends_with(path: &Path, name: &str) -> bool {
    matches!(path.iter().next_back(), Some(Segment::Map { key }) if key == name)
}

fn value_at<'a>(document: &'a Value, path: &Path) -> Option<&'a Value> {
    path.iter().try_fold(document, |value, segment| match segment {
        Segment::Seq { index } => value.get(index),
        Segment::Map { key } => value.get(key),
        // A variant without data is the value itself.
        Segment::Enum { variant } => value.get(variant).or(Some(value)),
        Segment::Unknown => None,
    })
}

/// The longest piece of a value that is repeated, in characters.
const SHOWN_LENGTH: usize = 120;

fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars().take(SHOWN_LENGTH).collect()
}

/// What an error of `serde_json` says, without where: that is of use in a syntax error only.
fn without_place(problem: &str) -> &str {
    problem.rfind(" at line ").map_or(problem, |end| &problem[..end])
}

/// The word in backticks that follows `prefix`.
fn quoted_after<'a>(problem: &'a str, prefix: &str) -> Option<&'a str> {
    problem.strip_prefix(prefix)?.strip_prefix('`')?.split('`').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use innkeeper_model::VmConfig;

    fn refused(body: &str) -> Refusal {
        decode::<VmConfig>(body.as_bytes()).unwrap_err()
    }

    #[track_caller]
    fn check(body: &str, field: &str, value: Option<&str>, detail: &str) {
        let refusal = refused(body);
        assert_eq!(refusal.code, Code::InvalidField, "{refusal:?}");
        assert_eq!(refusal.field.as_deref(), Some(field), "{refusal:?}");
        assert_eq!(refusal.value.as_deref(), value, "{refusal:?}");
        assert!(refusal.message.contains(detail), "{refusal:?}");
    }

    #[test]
    fn a_wrong_type_is_refused_with_field_value_and_what_was_expected() {
        check(r#"{"name":"a","cpus":"many"}"#, "cpus", Some("many"), "expected u16");
        check(r#"{"name":"a","cpus":-1}"#, "cpus", Some("-1"), "expected u16");
        check(r#"{"name":7}"#, "name", Some("7"), "expected a string");
        check(r#"[]"#, "body", Some("[]"), "expected");
        let two = r#"{"name":"a","boot":{"firmware":"bios","kernel":{}}}"#;
        check(
            two,
            "boot",
            Some(r#"{"firmware":"bios","kernel":{}}"#),
            "expected map with a single key",
        );
    }

    #[test]
    fn an_unknown_field_is_refused_wherever_it_is() {
        check(r#"{"name":"a","cpu":1}"#, "cpu", Some("1"), "no such field");
        let body = r#"{"name":"a","disks":[{"name":"d","size":"1GiB","colour":"red"}]}"#;
        check(body, "disks[0].colour", Some("red"), "no such field");
        assert!(refused(body).limit.unwrap().contains("`size`"));
    }

    #[test]
    fn a_missing_field_is_named() {
        check("{}", "name", None, "is missing");
        check(r#"{"name":"a","nics":[{}]}"#, "nics[0].name", None, "is missing");
    }

    #[test]
    fn what_a_type_of_the_model_refuses_is_refused_at_its_field() {
        check(r#"{"name":"../a"}"#, "name", Some("../a"), "is not a name");
        check(r#"{"name":"a","memory":"512"}"#, "memory", Some("512"), "has no unit");
        check(r#"{"name":"a","boot":{"firmware":"dos"}}"#, "boot.firmware", Some("dos"), "uefi");
    }

    #[test]
    fn a_secret_is_not_repeated() {
        let refusal = refused(r#"{"name":"a","cloud_init":{"user_data":["hunter2"]}}"#);
        assert_eq!(refusal.field.as_deref(), Some("cloud_init.user_data"));
        assert!(!format!("{refusal:?}").contains("hunter2"), "{refusal:?}");
        let refusal = refused(r#"{"name":"a","cloud_init":"hunter2"}"#);
        assert!(!format!("{refusal:?}").contains("hunter2"), "{refusal:?}");
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        for (body, place) in [
            ("{\n  \"name\": \"a\",\n  oops\n}", "line 3 column 3"),
            ("{\"name\":\"a\"} x", "line 1 column 14"),
            ("", "line 1 column 0"),
            ("{\"name\":\"a\"", "line 1 column 11"),
        ] {
            let refusal = refused(body);
            assert_eq!(refusal.code, Code::BadRequest, "{refusal:?}");
            assert_eq!(refusal.field.as_deref(), Some(place), "{refusal:?}");
            assert!(refusal.message.contains(place), "{refusal:?}");
        }
        assert_eq!(refused(&"[".repeat(100_000)).code, Code::InvalidField);
        assert_eq!(
            decode::<Value>("[".repeat(100_000).as_bytes()).unwrap_err().code,
            Code::BadRequest
        );
    }

    #[test]
    fn a_document_that_was_put_together_here_is_refused_alike() {
        let document = serde_json::json!({ "name": "a", "cpus": "many" });
        let refusal = decode_value::<VmConfig>(&document).unwrap_err();
        assert_eq!(refusal.field.as_deref(), Some("cpus"));
        assert_eq!(refusal.value.as_deref(), Some("many"));
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused() {
        assert_eq!(whole(9, Body::from(vec![0; 9])).await.unwrap().len(), 9);
        let refusal = whole(9, Body::from(vec![0; 10])).await.unwrap_err();
        assert_eq!(refusal.code, Code::TooLarge);
    }

    #[test]
    fn a_body_of_another_type_is_refused() {
        let of = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static(value));
            expect_type(&headers, "application/json")
        };
        assert!(of("application/json; charset=utf-8").is_ok());
        assert!(expect_type(&HeaderMap::new(), "application/json").is_ok());
        let refusal = of("text/plain").unwrap_err();
        assert_eq!(
            (refusal.code, refusal.value.as_deref()),
            (Code::BadRequest, Some("text/plain"))
        );
    }
}
