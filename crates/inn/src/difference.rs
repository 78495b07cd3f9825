//! Where two documents differ, field by field.

use innkeeper_model::FieldChange;
use serde_json::Value;
use std::{collections::BTreeSet, fmt::Write};

/// What has to change in the old document to make it the new one.
pub(crate) fn differences(old: &Value, new: &Value) -> Vec<FieldChange> {
    let mut found = Vec::new();
    compare(&mut found, &mut Vec::new(), Some(old), Some(new));
    found
}

fn compare(
    found: &mut Vec<FieldChange>,
    path: &mut Vec<String>,
    old: Option<&Value>,
    new: Option<&Value>,
) {
    if old == new {
        return;
    }
    let keys: BTreeSet<String> = match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            old.keys().chain(new.keys()).cloned().collect()
        }
        _ => BTreeSet::new(),
    };
    let length = match (old, new) {
        (Some(Value::Array(old)), Some(Value::Array(new))) => old.len().max(new.len()),
        _ => 0,
    };
    if keys.is_empty() && length == 0 {
        let (old, new) = (old.cloned(), new.cloned());
        found.push(FieldChange { path: path.clone(), old, new });
        return;
    }
    for key in keys {
        let at = |value: Option<&'_ Value>| value.and_then(|value| value.get(&key)).cloned();
        path.push(key.clone());
        compare(found, path, at(old).as_ref(), at(new).as_ref());
        path.pop();
    }
    for index in 0..length {
        path.push(index.to_string());
        let at = |value: Option<&'_ Value>| value.and_then(|value| value.get(index)).cloned();
        compare(found, path, at(old).as_ref(), at(new).as_ref());
        path.pop();
    }
}

/// One difference for people: `disks[0].size: 10GiB -> 20GiB`.
pub(crate) fn show(change: &FieldChange) -> String {
    let FieldChange { path, old, new } = change;
    format!("{}: {} -> {}", show_path(path), shown(old.as_ref()), shown(new.as_ref()))
}

/// The same for people who see many go by: of a whole object only that it is one.
pub(crate) fn show_briefly(change: &FieldChange) -> String {
    let brief = |value: &Option<Value>| match value {
        Some(Value::Object(_)) => "{...}".to_owned(),
        Some(Value::Array(_)) => "[...]".to_owned(),
        value => shown(value.as_ref()),
    };
    format!("{}: {} -> {}", show_path(&change.path), brief(&change.old), brief(&change.new))
}

fn show_path(path: &[String]) -> String {
    let mut shown = String::new();
    for part in path {
        if !shown.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            write!(shown, "[{part}]").expect("a string takes any text");
        } else {
            let dot = if shown.is_empty() { "" } else { "." };
            write!(shown, "{dot}{part}").expect("a string takes any text");
        }
    }
    shown
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "(none)".into(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(old: &Value, new: &Value, expected: &[&str]) {
        let lines: Vec<_> = differences(old, new).iter().map(show).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn each_field_that_differs_is_named_once() {
        let old = json!({"cpus": 1, "memory": "512MiB", "disks": [{"name": "a", "size": "1GiB"}]});
        let new = json!({"cpus": 2, "memory": "512MiB", "disks": [{"name": "a", "size": "2GiB"}]});
        check(&old, &new, &["cpus: 1 -> 2", "disks[0].size: 1GiB -> 2GiB"]);
        check(&old, &old, &[]);
    }

    #[test]
    fn what_comes_and_goes_is_shown_as_none() {
        let old = json!({"labels": {"a": "1"}, "nics": []});
        let new = json!({"labels": {}, "nics": [{"name": "n"}], "boot": {"firmware": "uefi"}});
        check(
            &old,
            &new,
            &[
                "boot: (none) -> {\"firmware\":\"uefi\"}",
                "labels.a: 1 -> (none)",
                "nics[0]: (none) -> {\"name\":\"n\"}",
            ],
        );
    }
}
