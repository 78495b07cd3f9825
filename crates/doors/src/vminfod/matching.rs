//! `key=value` filters, as `vmadm lookup` has them, on the server and on the command line.

use super::object::KEYS;
use regex::{Regex, RegexBuilder};
use serde_json::Value;

/// The most bytes that one compiled expression takes: it is a caller's.
const MAX_EXPRESSION: usize = 256 << 10;
/// The most expressions of one filter: each takes that, and some more while it is compiled.
const MAX_EXPRESSIONS: usize = 8;

/// Why a filter is none.
#[derive(Debug, thiserror::Error)]
pub enum NotAFilter {
    /// VMs have no such key.
    #[error("Unknown key: {0}")]
    UnknownKey(String),
    /// There is no `=` in it.
    #[error("Not a filter: {0:?} (write key=value or key=~expression)")]
    Incomplete(String),
    /// There are more expressions than are looked for at once.
    #[error("Too many expressions: at most {MAX_EXPRESSIONS}")]
    TooManyExpressions,
    /// The expression cannot be read.
    #[error("Not an expression: {0:?}")]
    Expression(String, #[source] Box<regex::Error>),
}

/// Conditions on a VM, all of which it has to fulfil.
#[derive(Debug, Clone, Default)]
pub struct Conditions(Vec<Condition>);

#[derive(Debug, Clone)]
struct Condition {
    path: Vec<String>,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    /// It is this text, or is written so.
    Is(String),
    /// The expression finds something in it, whatever the case.
    Finds(Regex),
}

impl Conditions {
    /// Conditions written `key=value` or `key=~expression`.
    ///
    /// # Errors
    /// One of them is not.
    pub fn parse<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Result<Self, NotAFilter> {
        let mut conditions = Self::default();
        for text in texts {
            let text = text.as_ref();
            let (key, value) =
                text.split_once('=').ok_or_else(|| NotAFilter::Incomplete(text.into()))?;
            conditions.add(key, value)?;
        }
        Ok(conditions)
    }

    /// One more condition: a path with dots between its keys, `*` for any element of an array; and a value,
    /// or `~` with an expression.
    ///
    /// # Errors
    /// It begins with a key that VMs do not have, or the expression cannot be read, or there are too many.
    pub fn add(&mut self, key: &str, value: &str) -> Result<(), NotAFilter> {
        let path: Vec<_> = match key.split_once('.') {
            // A tag's name may have dots in it.
            Some((map @ ("tags" | "customer_metadata" | "internal_metadata"), member)) => {
                vec![map.to_owned(), member.to_owned()]
            }
            _ => key.split('.').map(str::to_owned).collect(),
        };
        check_key(&path[0])?;
        let is_full = || {
            let tests = self.0.iter().filter(|condition| matches!(condition.test, Test::Finds(_)));
            tests.count() >= MAX_EXPRESSIONS
        };
        let test = match value.strip_prefix('~') {
            Some(_) if is_full() => return Err(NotAFilter::TooManyExpressions),
            Some(expression) => Test::Finds(
                RegexBuilder::new(expression)
                    .case_insensitive(true)
                    .size_limit(MAX_EXPRESSION)
                    .dfa_size_limit(MAX_EXPRESSION)
                    .build()
                    .map_err(|error| NotAFilter::Expression(expression.into(), error.into()))?,
            ),
            None => Test::Is(value.into()),
        };
        self.0.push(Condition { path, test });
        Ok(())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether [`match_vm`](Self::match_vm) looks at what a VM has under this key.
    pub(crate) fn look_at(&self, key: &str) -> bool {
        self.0.iter().any(|condition| match &*condition.path[0] {
            "type" => key == "brand",
            first => key == first,
        })
    }

    /// Whether this VM, an object of the protocol, fulfils all of them.
    pub fn match_vm(&self, vm: &Value) -> bool {
        self.0.iter().all(|condition| match &condition.path[..] {
            [key] if key == "type" => condition.test.passes(&Value::from(type_of(vm))),
            path => condition.test.passes_at(vm, path),
        })
    }
}

/// What the table of VMs calls the kind of this one; the object does not say it.
pub fn type_of(vm: &Value) -> &'static str {
    match vm.get("brand").and_then(Value::as_str) {
        Some("bhyve") => "BHYV",
        Some("lx") => "LX",
        Some("joyent" | "joyent-minimal") => "OS",
        _ => "KVM",
    }
}

/// Whether VMs have this key.
///
/// # Errors
/// They have not.
pub fn check_key(key: &str) -> Result<(), NotAFilter> {
    let known = KEYS.binary_search(&key);
    known.map(|_| ()).map_err(|_| NotAFilter::UnknownKey(key.chars().take(80).collect()))
}

impl Test {
    fn passes_at(&self, value: &Value, path: &[String]) -> bool {
        match (path, value) {
            ([], value) => self.passes(value),
            ([first, rest @ ..], Value::Object(members)) => {
                members.get(first).is_some_and(|member| self.passes_at(member, rest))
            }
            ([first, rest @ ..], Value::Array(elements)) if first == "*" => {
                elements.iter().any(|element| self.passes_at(element, rest))
            }
            ([first, rest @ ..], Value::Array(elements)) => {
                let at = first.parse().ok().and_then(|index: usize| elements.get(index));
                at.is_some_and(|element| self.passes_at(element, rest))
            }
            _ => false,
        }
    }

    /// What is no text is compared as it is written.
    fn passes(&self, value: &Value) -> bool {
        let written;
        let text = match value {
            Value::String(text) => text,
            Value::Number(_) | Value::Bool(_) => {
                written = value.to_string();
                &written
            }
            Value::Null | Value::Array(_) | Value::Object(_) => return false,
        };
        match self {
            Self::Is(wanted) => text == wanted,
            Self::Finds(expression) => expression.is_match(text),
        }
    }
}

#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;
