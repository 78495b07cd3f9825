//! `fields=a,b.c`: an answer with some of a record's fields only.

use innkeeper_model::Refusal;
use serde::Serialize;
use serde_json::{Map, Value};

/// The fields that a caller wants to see.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields {
    paths: Vec<Vec<String>>,
}

impl Fields {
    /// The fields of these paths, of a record that has the fields of these names.
    ///
    /// # Errors
    /// A path begins with something else. Further down it is not checked: what is absent in one
    /// record can be there in the next.
    pub(crate) fn parse(paths: &[String], known: &[&str]) -> Result<Self, Refusal> {
        let parse = |path: &String| {
            let segments: Vec<_> = path.split('.').map(str::to_owned).collect();
            if known.contains(&segments[0].as_str()) {
                return Ok(segments);
            }
            Err(Refusal::invalid("fields", path, "is not a field").with_limit(known.join(", ")))
        };
        Ok(Self { paths: paths.iter().map(parse).collect::<Result<_, _>>()? })
    }

    /// The record with these fields only; those that it does not have are absent.
    pub(crate) fn of(&self, record: &impl Serialize) -> Value {
        let whole = serde_json::to_value(record).unwrap_or_default();
        let mut chosen = Value::Object(Map::new());
        for path in &self.paths {
            copy(&whole, &mut chosen, path);
        }
        chosen
    }
}

fn copy(from: &Value, to: &mut Value, path: &[String]) {
    let Some((first, rest)) = path.split_first() else {
        *to = from.clone();
        return;
    };
    if let (Some(from), Value::Object(to)) = (from.get(first), to) {
        let empty = || Value::Object(Map::new());
        copy(from, to.entry(first).or_insert_with(empty), rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(fields: &[&str], record: &Value) -> Value {
        let fields: Vec<_> = fields.iter().map(|field| (*field).to_owned()).collect();
        Fields::parse(&fields, &["id", "spec", "facts"]).unwrap().of(record)
    }

    #[test]
    fn the_fields_keep_their_place() {
        let record = json!({ "id": 1, "spec": { "a": { "x": 1, "y": 2 }, "b": [3] }, "facts": 4 });
        assert_eq!(of(&["id"], &record), json!({ "id": 1 }));
        let chosen = json!({ "id": 1, "spec": { "a": { "x": 1 }, "b": [3] } });
        assert_eq!(of(&["id", "spec.a.x", "spec.b"], &record), chosen);
        assert_eq!(of(&["spec", "spec.a"], &record), json!({ "spec": record["spec"] }));
    }

    #[test]
    fn a_field_that_no_record_has_is_refused_and_one_that_this_has_not_is_absent() {
        let refusal = Fields::parse(&["colour".into()], &["id"]).unwrap_err();
        assert_eq!(refusal.value.as_deref(), Some("colour"));
        assert_eq!(of(&["facts"], &json!({ "id": 1 })), json!({}));
    }
}
