//! JSON Merge Patch (RFC 7396).

use crate::protocol::json;
use innkeeper_model::{Code, Refusal};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// What a value becomes by the patch that a body has.
///
/// # Errors
/// It is no JSON; what comes of it is no such value: in which field.
pub(crate) fn merged<T: Serialize + DeserializeOwned>(
    before: &T,
    body: &[u8],
) -> Result<T, Refusal> {
    let patch = json::decode(body)?;
    let before = serde_json::to_value(before).map_err(|error| {
        Refusal::new(Code::Internal, "what is to be changed has no JSON form").caused_by(&error)
    })?;
    json::decode_value(&merge(before, patch))
}

/// What `target` becomes by the patch: members are replaced or merged, and removed by `null`.
pub(crate) fn merge(target: Value, patch: Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch;
    };
    let mut members = match target {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, value) in patch {
        if value.is_null() {
            members.remove(&name);
        } else {
            let member = members.remove(&name).unwrap_or_default();
            members.insert(name, merge(member, value));
        }
    }
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_examples_of_the_standard() {
        for (target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            assert_eq!(merge(target.clone(), patch.clone()), result, "{target} {patch}");
        }
    }
}
