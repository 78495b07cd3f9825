//! The keys of a payload, taken one by one; what is left is not known.

use super::BadPayload;
use serde_json::{Map, Value};
use std::{fmt::Display, str::FromStr};

/// The keys of an object, from which those are taken that are known.
pub(super) struct Keys {
    left: Map<String, Value>,
    within: &'static str,
}

impl Keys {
    pub(super) fn of(payload: &Value) -> Result<Self, BadPayload> {
        let left = payload.as_object().cloned().ok_or(BadPayload::NotAnObject)?;
        Ok(Self { left, within: "" })
    }

    pub(super) fn within(self, within: &'static str) -> Self {
        Self { within, ..self }
    }

    pub(super) fn path(&self, key: &str) -> String {
        if self.within.is_empty() { key.into() } else { format!("{}.{key}", self.within) }
    }

    pub(super) fn invalid(&self, key: &str, problem: impl Display) -> BadPayload {
        invalid(self.path(key), problem)
    }

    pub(super) fn take<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<Option<T>, BadPayload> {
        let Some(value) = self.left.remove(key) else { return Ok(None) };
        read(&value).map(Some).map_err(|problem| self.invalid(key, problem))
    }

    /// A value that can be written as a text.
    pub(super) fn parsed<T: FromStr<Err: Display>>(
        &mut self,
        key: &str,
    ) -> Result<Option<T>, BadPayload> {
        self.take(key, |value| {
            let text = text(value).ok_or("is not a text, number or boolean")?;
            text.parse().map_err(|error: T::Err| format!("{text:?}: {error}"))
        })
    }

    pub(super) fn array(&mut self, key: &str) -> Result<Option<Vec<Value>>, BadPayload> {
        self.take(key, |value| value.as_array().cloned().ok_or_else(|| "is not an array".into()))
    }

    pub(super) fn object(&mut self, key: &str) -> Result<Option<Map<String, Value>>, BadPayload> {
        self.take(key, |value| value.as_object().cloned().ok_or_else(|| "is not an object".into()))
    }

    /// A key whose value can only be this one here.
    pub(super) fn must_be(&mut self, key: &str, only: &Value) -> Result<(), BadPayload> {
        let same = |value: &Value| {
            let same_text =
                !value.is_null() && text(value).is_some_and(|it| text(only) == Some(it));
            if same_text || value == only {
                return Ok(());
            }
            Err(format!("only {only} is possible here"))
        };
        self.take(key, same).map(|_| ())
    }

    pub(super) fn nothing_else(self) -> Result<(), BadPayload> {
        match self.left.keys().next() {
            Some(key) => Err(BadPayload::UnknownKey(self.path(key))),
            None => Ok(()),
        }
    }
}

pub(super) fn invalid(key: impl Into<String>, problem: impl Display) -> BadPayload {
    BadPayload::InvalidValue { key: key.into(), problem: problem.to_string() }
}

/// A text, or what is written like one; nothing where there is null.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null => Some(String::new()),
        Value::Array(_) | Value::Object(_) => None,
    }
}
