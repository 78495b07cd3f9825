//! What the query of a request asks for: which VMs, which of their fields, from where on.

use super::{
    answer::BadQuery,
    mapping,
    matching::{Conditions, check_key},
};
use innkeeper_model::{Position, Vm, VmId};
use serde::{
    Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value};
use std::fmt;

/// Which VMs a reader wants to see.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// This one; most filters are this alone, and cost nothing.
    only: Option<VmId>,
    conditions: Conditions,
}

impl Filter {
    pub(crate) fn is_everything(&self) -> bool {
        self.only.is_none() && self.conditions.is_empty()
    }

    pub(crate) fn matches(&self, vm: &Vm) -> bool {
        self.only.is_none_or(|id| vm.id == id)
            && (self.conditions.is_empty() || self.conditions.match_vm(&as_json(vm)))
    }

    /// The same, of a VM whose encoding is there, or is made if it is needed.
    pub(crate) fn matches_encoded<E: AsRef<[u8]>>(
        &self,
        id: VmId,
        encoded: impl FnOnce() -> E,
    ) -> bool {
        let looked_at = |key: &str| self.conditions.look_at(key);
        self.only.is_none_or(|only| id == only)
            && (self.conditions.is_empty()
                || self.conditions.match_vm(&members(encoded().as_ref(), looked_at)))
    }
}

/// The VM as JSON.
pub(crate) fn as_json(vm: &Vm) -> Value {
    serde_json::to_value(mapping::object(vm)).unwrap_or_default()
}

/// A query, read.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pub(crate) filter: Filter,
    /// The fields that are shown, each once; all of them where absent.
    pub(crate) fields: Option<Vec<&'static str>>,
    /// After which event a stream goes on.
    pub(crate) since: Option<Position>,
}

/// What a route honours besides filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Honours {
    /// `fields`, and filters.
    FieldsAndFilters,
    /// `fields`.
    Fields,
    /// `since`, and filters.
    SinceAndFilters,
}

impl Query {
    /// # Errors
    /// Something in it is not what this route honours, or has no such value. A misspelt filter must not
    /// be answered with everything.
    pub(crate) fn parse(query: Option<&str>, honours: Honours) -> Result<Self, BadQuery> {
        let mut parsed = Self::default();
        for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match (&*key, honours) {
                ("fields", Honours::FieldsAndFilters | Honours::Fields) => {
                    // An empty one is as good as none.
                    parsed.fields = fields(&value)?;
                }
                ("since", Honours::SinceAndFilters) => {
                    let position =
                        value.parse().map_err(|error| BadQuery(format!("since: {error}")))?;
                    parsed.since = Some(position);
                }
                ("uuid" | "zonename", Honours::FieldsAndFilters | Honours::SinceAndFilters)
                    if parsed.filter.only.is_none() && id(&value).is_some() =>
                {
                    parsed.filter.only = id(&value);
                }
                (_, Honours::FieldsAndFilters | Honours::SinceAndFilters) => {
                    parsed.filter.conditions.add(&key, &value)?;
                }
                (key, Honours::Fields) => {
                    return Err(BadQuery(format!("Unknown parameter: {key}")));
                }
            }
        }
        Ok(parsed)
    }
}

/// An id as this protocol writes it, which is the only way in which it is understood.
pub(crate) fn id(text: &str) -> Option<VmId> {
    let id: VmId = text.parse().ok()?;
    (id.to_string() == text).then_some(id)
}

/// However often a field is named: every VM is looked at by this list.
fn fields(list: &str) -> Result<Option<Vec<&'static str>>, BadQuery> {
    let mut fields = Vec::new();
    for field in list.split(',').filter(|field| !field.is_empty()) {
        let field = check_key(field)?;
        if !fields.contains(&field) {
            fields.push(field);
        }
    }
    Ok((!fields.is_empty()).then_some(fields))
}

/// The members of a VM's encoding that are wanted, in its own order; those that it does not have are absent.
/// What nobody wants of it is passed over, and nothing is made of it: lists do this with every VM.
pub(crate) fn members(encoded: &[u8], wanted: impl Fn(&str) -> bool) -> Value {
    struct Members<F>(F);

    impl<'de, F: Fn(&str) -> bool> Visitor<'de> for Members<F> {
        type Value = Map<String, Value>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a VM")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut vm: A) -> Result<Self::Value, A::Error> {
            let mut members = Map::new();
            while let Some(key) = vm.next_key::<&str>()? {
                if (self.0)(key) {
                    members.insert(key.to_owned(), vm.next_value()?);
                } else {
                    vm.next_value::<IgnoredAny>()?;
                }
            }
            Ok(members)
        }
    }

    let read = serde_json::Deserializer::from_slice(encoded).deserialize_map(Members(wanted));
    Value::Object(read.expect("what was written as an object, with keys that need no escapes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_route_does_not_honour_is_refused() {
        use Honours::{Fields, FieldsAndFilters, SinceAndFilters};
        for (query, honours, refused) in [
            ("state=running&tags.role=web&fields=uuid,state", FieldsAndFilters, false),
            ("since=00000000000000000000000000000000-7&alias=~web", SinceAndFilters, false),
            ("fields=uuid", Fields, false),
            ("stat=running", FieldsAndFilters, true),
            ("state=running", Fields, true),
            ("since=00000000000000000000000000000000-7", FieldsAndFilters, true),
            ("since=7", SinceAndFilters, true),
            ("fields=uuid", SinceAndFilters, true),
            ("fields=uuid,colour", FieldsAndFilters, true),
            ("fields=", FieldsAndFilters, false),
            ("nics.0.ip=10.0.0.1", FieldsAndFilters, false),
            ("nics.0.0.0.0.0.0.0.0=1", FieldsAndFilters, true),
            ("alias=~(", FieldsAndFilters, true),
        ] {
            assert_eq!(Query::parse(Some(query), honours).is_err(), refused, "{query}");
        }
    }

    #[test]
    fn a_field_is_shown_once_however_often_it_is_named() {
        let named = format!("fields={}state", "uuid,state,".repeat(1000));
        let query = Query::parse(Some(&named), Honours::Fields).unwrap();
        assert_eq!(query.fields.unwrap(), ["uuid", "state"]);
    }

    #[test]
    fn of_an_encoding_what_is_wanted_is_read() {
        let encoded = br#"{"uuid":"u","tags":{"a":"\\\"}","uuid":"not this"},"nics":[{"ip":"10.0.0.1"}],"ram":7}"#;
        let read = |keys: &[&str]| members(encoded, |key| keys.contains(&key)).to_string();
        assert_eq!(read(&["ram", "nics"]), r#"{"nics":[{"ip":"10.0.0.1"}],"ram":7}"#);
        assert_eq!(read(&["uuid"]), r#"{"uuid":"u"}"#);
        assert_eq!(read(&["quota"]), "{}");
    }

    #[test]
    fn an_id_is_understood_as_it_is_written() {
        let text = "01234567-89ab-7def-8123-456789abcdef";
        assert_eq!(id(text).unwrap().to_string(), text);
        for other in [&text.to_uppercase(), &text.replace('-', ""), "web", ""] {
            assert_eq!(id(other), None, "{other}");
        }
    }
}
