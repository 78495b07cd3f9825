//! `key=value` filters, as `vmadm lookup` has them, on the server and on the command line.
//!
//! They are callers', so each part of one has a bound. Together they keep a filter below the largest body that
//! a caller may send (1 MiB), whatever it says, and what it costs to ask it about one VM below some thousand
//! steps a character: an expression of a few bytes may stand for a machine of any size (`\w{9}{9}{9}`), and a
//! class that knows all of Unicode for some thousand bytes each time that it is written. So expressions know
//! ASCII's classes and cases only; the ancestor's knew no other classes either.

use super::object::KEYS;
use regex_lite::{Regex, RegexBuilder};
use serde_json::Value;

/// The most conditions of one filter.
const MAX_CONDITIONS: usize = 64;
/// The most expressions among them.
const MAX_EXPRESSIONS: usize = 8;
/// The longest expression, in bytes.
const MAX_LENGTH: usize = 128;
/// The most bytes that one takes when it is compiled: enough for the longest text.
const MAX_COMPILED: usize = 8 << 10;
/// The most groups of one that remember what they found: to find anything takes as many times the room. Those
/// that only hold together, `(?:…)`, are not counted.
const MAX_GROUPS: usize = 4;
/// The most keys of a path.
const MAX_PATH: usize = 8;

/// Why a filter is none.
#[derive(Debug, thiserror::Error)]
pub enum NotAFilter {
    /// VMs have no such key.
    #[error("Unknown key: {0}")]
    UnknownKey(String),
    /// There is no `=` in it.
    #[error("Not a filter: {0:?} (write key=value or key=~expression)")]
    Incomplete(String),
    /// There is more of something than a filter may have.
    #[error("Too many {0}: at most {1}")]
    TooMany(&'static str, usize),
    /// The expression cannot be read, or is too large when it is compiled.
    #[error("Not an expression: {0:?}")]
    Expression(String, #[source] regex_lite::Error),
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
    /// It begins with a key that VMs do not have, or the expression cannot be read, or there is too much of
    /// something.
    pub fn add(&mut self, key: &str, value: &str) -> Result<(), NotAFilter> {
        at_most(MAX_CONDITIONS, "conditions", self.0.len() + 1)?;
        let path = path(key)?;
        let test = match value.strip_prefix('~') {
            Some(text) => {
                let is_one = |condition: &&Condition| matches!(condition.test, Test::Finds(_));
                let before = self.0.iter().filter(is_one).count();
                at_most(MAX_EXPRESSIONS, "expressions", before + 1)?;
                Test::Finds(expression(text)?)
            }
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

/// The keys of a condition, the first of which VMs have.
fn path(key: &str) -> Result<Vec<String>, NotAFilter> {
    let first = key.split('.').next().unwrap_or_default();
    check_key(first)?;
    Ok(match key.split_once('.') {
        // A tag's name may have dots in it.
        Some((map @ ("tags" | "customer_metadata" | "internal_metadata"), member)) => {
            vec![map.to_owned(), member.to_owned()]
        }
        _ => {
            at_most(MAX_PATH, "keys of a path", key.split('.').count())?;
            key.split('.').map(str::to_owned).collect()
        }
    })
}

fn expression(text: &str) -> Result<Regex, NotAFilter> {
    at_most(MAX_LENGTH, "bytes of an expression", text.len())?;
    let mut builder = RegexBuilder::new(text);
    let compiled = builder.case_insensitive(true).size_limit(MAX_COMPILED).build();
    let expression = compiled.map_err(|error| NotAFilter::Expression(text.into(), error))?;
    // The whole of what it finds is a group too.
    at_most(MAX_GROUPS, "groups of an expression", expression.captures_len() - 1)?;
    Ok(expression)
}

fn at_most(most: usize, what: &'static str, count: usize) -> Result<(), NotAFilter> {
    if count > most { Err(NotAFilter::TooMany(what, most)) } else { Ok(()) }
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

/// The key of VMs that this is.
///
/// # Errors
/// They have no such key.
pub fn check_key(key: &str) -> Result<&'static str, NotAFilter> {
    let known = KEYS.binary_search(&key).map(|place| KEYS[place]);
    known.map_err(|_| NotAFilter::UnknownKey(key.chars().take(80).collect()))
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
