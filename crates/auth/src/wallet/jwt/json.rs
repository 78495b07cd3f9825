//! JSON as it has to be where it is signed: it means one thing to every reader.
//!
//! A key that is there twice means the first to one reader and the last to another; a number beyond 2^53 is
//! rounded by one and not by another (RFC 7493). Both are refused at any depth, in what nobody reads, too.

use super::{BadToken, Part};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};
use std::fmt;

/// The largest whole number that every reader of JSON has exactly.
const MAX_NUMBER: u64 = (1 << 53) - 1;

/// The object that these bytes are, and nothing after it.
pub(super) fn object(part: Part, bytes: &[u8]) -> Result<Map<String, Value>, BadToken> {
    match serde_json::from_slice(bytes) {
        Ok(Strict(Value::Object(object))) => Ok(object),
        Ok(_) => Err(BadToken::Json { part, problem: "it is no object".into() }),
        Err(error) => Err(BadToken::Json { part, problem: error.to_string().into() }),
    }
}

/// The same of a token that somebody else signed.
pub(crate) fn strict_json(bytes: &[u8]) -> Option<Map<String, Value>> {
    object(Part::Payload, bytes).ok()
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Strict, E> {
        Ok(Strict(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Strict, E> {
        within(value.unsigned_abs() <= MAX_NUMBER, value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Strict, E> {
        within(value <= MAX_NUMBER, value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Strict, E> {
        within(value.abs() <= MAX_NUMBER as f64, value)
    }

    fn visit_str<E>(self, value: &str) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Strict, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Strict(Value::Array(array)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Strict, A::Error> {
        let mut object = Map::new();
        while let Some((key, Strict(value))) = members.next_entry::<String, _>()? {
            if object.insert(key, value).is_some() {
                return Err(A::Error::custom("a key is there twice"));
            }
        }
        Ok(Strict(Value::Object(object)))
    }
}

fn within<E: Error>(is_within: bool, number: impl Into<Value>) -> Result<Strict, E> {
    if is_within {
        return Ok(Strict(number.into()));
    }
    Err(E::custom("a number is beyond 2^53"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value, String> {
        match object(Part::Payload, text.as_bytes()) {
            Ok(object) => Ok(Value::Object(object)),
            Err(BadToken::Json { problem, .. }) => Err(problem.into()),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn ordinary_json_is_read_as_it_is() {
        let text = r#" {"a":[1,-2,0.5,true,null,"\u0061"],"b":{"a":9007199254740991}} "#;
        assert_eq!(read(text).unwrap(), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for (text, problem) in [
            (r#"{"a":1,"a":1}"#, "twice"),
            (r#"{"a":1,"\u0061":2}"#, "twice"),
            (r#"{"x":[{"b":{"a":1,"a":2}}]}"#, "twice"),
            (r#"{"x":9007199254740992}"#, "2^53"),
            (r#"{"x":-9007199254740992}"#, "2^53"),
            (r#"{"x":123456789012345678901234567890}"#, "2^53"),
            (r#"{"x":[1e300]}"#, "2^53"),
            (r#"{"x":1e400}"#, "out of range"),
            (r#"{"x":NaN}"#, "expected"),
            (r#"{"x":1} {}"#, "trailing"),
            ("{\"x\":1}\0", "trailing"),
            ("[]", "no object"),
            ("\"{}\"", "no object"),
            ("", "EOF"),
            ("{'x':1}", "key must be a string"),
            ("{\"x\":1,}", "trailing comma"),
            ("\u{feff}{}", "expected"),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.contains(problem), "{text}: {refused}");
        }
        assert!(object(Part::Header, b"{\"x\":\"\xff\"}").is_err(), "no UTF-8");
        assert!(read(&format!("{{\"x\":{}", "[".repeat(2000))).unwrap_err().contains("recursion"));
    }
}
