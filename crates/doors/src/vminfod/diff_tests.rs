//! One check a rule.

use super::{ChangeAction::*, *};
use serde_json::json;

/// What changed, as `prettyPath action old -> new (ident)`.
fn changes(old: Value, new: Value) -> Vec<String> {
    let show = |value: Option<Value>| value.map_or_else(|| "-".into(), |value| value.to_string());
    diff(&old, &new)
        .into_iter()
        .map(|change| {
            let action = serde_json::to_value(change.action).unwrap();
            let ident = change.ident.map(|ident| format!(" ({ident})")).unwrap_or_default();
            let (old, new) = (show(change.old_value), show(change.new_value));
            format!("{} {} {old} -> {new}{ident}", change.pretty_path, action.as_str().unwrap())
        })
        .collect()
}

#[test]
fn every_kind_of_value_equals_itself() {
    for value in [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(""),
        json!("text"),
        json!([]),
        json!([1, [2]]),
        json!([{ "a": 1 }]),
        json!({}),
        json!({ "a": { "b": [null] } }),
    ] {
        let object = json!({ "value": value });
        assert_eq!(diff(&object, &object.clone()), [], "{object}");
    }
}

#[test]
fn a_change_is_shown_with_its_path_and_both_values() {
    let found = diff(&json!({ "ram": 1024 }), &json!({ "ram": 2048 }));
    assert_eq!(
        serde_json::to_value(&found).unwrap(),
        json!([{ "prettyPath": "ram", "path": ["ram"], "action": "changed", "oldValue": 1024, "newValue": 2048 }])
    );
    let added = diff(&json!({}), &json!({ "quota": 10 }));
    assert_eq!(
        serde_json::to_value(&added).unwrap(),
        json!([{ "prettyPath": "quota", "path": ["quota"], "action": "added", "newValue": 10 }])
    );
    let removed = diff(&json!({ "quota": 10 }), &json!({}));
    assert_eq!(
        serde_json::to_value(&removed).unwrap(),
        json!([{ "prettyPath": "quota", "path": ["quota"], "action": "removed", "oldValue": 10 }])
    );
}

#[test]
fn a_number_is_not_its_text_and_null_is_a_value() {
    assert_eq!(
        changes(json!({ "a": "1024" }), json!({ "a": 1024 })),
        ["a changed \"1024\" -> 1024"]
    );
    assert_eq!(changes(json!({ "a": null }), json!({ "a": 1 })), ["a changed null -> 1"]);
    // The ancestor dies of this one.
    assert_eq!(changes(json!({ "a": null }), json!({ "a": {} })), ["a changed null -> {}"]);
}

#[test]
fn objects_are_compared_within_and_appear_whole() {
    assert_eq!(
        changes(
            json!({ "tags": { "a": "1", "b": "2" }, "x": 1 }),
            json!({ "tags": { "a": "3", "c": "4" }, "x": 2 }),
        ),
        [
            "tags.a changed \"1\" -> \"3\"",
            "tags.b removed \"2\" -> -",
            "tags.c added - -> \"4\"",
            "x changed 1 -> 2"
        ]
    );
    assert_eq!(
        changes(json!({}), json!({ "docker": { "a": { "b": 1 } } })),
        ["docker added - -> {\"a\":{\"b\":1}}"]
    );
}

#[test]
fn keys_with_dots_and_brackets_stay_one_segment() {
    let found = diff(&json!({ "tags": {} }), &json!({ "tags": { "a.b": "1", "c[d]": "2" } }));
    let pretty: Vec<_> = found.iter().map(|change| &*change.pretty_path).collect();
    assert_eq!(pretty, ["tags[a.b]", "tags[c\\[d\\]]"]);
    assert_eq!(found[0].path, [Some("tags".to_owned()), Some("a.b".to_owned())]);
}

#[test]
fn elements_without_a_key_are_removed_and_added() {
    assert_eq!(
        changes(json!({ "resolvers": ["a", "b"] }), json!({ "resolvers": ["a", "c"] })),
        ["resolvers.* removed \"b\" -> -", "resolvers.* added - -> \"c\""]
    );
    let found = diff(&json!({ "resolvers": [] }), &json!({ "resolvers": ["a"] }));
    assert_eq!(found[0].path, [Some("resolvers".to_owned()), None]);
    // Not at the top, the same names mean nothing.
    let nested = |ip: &str| json!({ "x": { "nics": [{ "mac": "m", "ip": ip }] } });
    assert_eq!(diff(&nested("1"), &nested("2")).len(), 2);
}

#[test]
fn disks_and_nics_are_known_by_their_keys() {
    let nic = |mac: &str, ip: &str| json!({ "mac": mac, "ip": ip, "ips": [ip] });
    assert_eq!(
        changes(json!({ "nics": [nic("m", "1")] }), json!({ "nics": [nic("m", "2")] })),
        [
            "nics.*.ip changed \"1\" -> \"2\" (m)",
            "nics.*.ips.* removed \"1\" -> - (m)",
            "nics.*.ips.* added - -> \"2\" (m)"
        ]
    );
    let found = diff(&json!({ "nics": [nic("m", "1")] }), &json!({ "nics": [nic("n", "1")] }));
    let actions: Vec<_> =
        found.iter().map(|change| (change.action, change.ident.as_deref())).collect();
    assert_eq!(actions, [(Removed, Some("m")), (Added, Some("n"))]);
    assert_eq!(found[1].path, [Some("nics".to_owned()), None]);
    let disk = |size: u64| json!({ "disks": [{ "path": "/d", "size": size }] });
    assert_eq!(changes(disk(1), disk(2)), ["disks.*.size changed 1 -> 2 (/d)"]);
}

/// The ancestor finds nothing in either.
#[test]
fn another_order_and_another_number_of_the_same_are_changes() {
    assert_eq!(
        changes(json!({ "resolvers": ["a", "b"] }), json!({ "resolvers": ["b", "a"] })),
        ["resolvers changed [\"a\",\"b\"] -> [\"b\",\"a\"]"]
    );
    assert_eq!(
        changes(json!({ "resolvers": ["a", "a"] }), json!({ "resolvers": ["a"] })),
        ["resolvers.* removed \"a\" -> -"]
    );
    let nics = |macs: &[&str]| {
        let nics: Vec<_> = macs.iter().map(|mac| json!({ "mac": mac })).collect();
        json!({ "nics": nics })
    };
    let found = diff(&nics(&["m", "n"]), &nics(&["n", "m"]));
    assert_eq!((found.len(), &*found[0].pretty_path, found[0].action), (1, "nics", Changed));
    assert_eq!(found[0].ident, None);
    // One came in at the front: those that stayed are in their order.
    assert_eq!(diff(&nics(&["m", "n"]), &nics(&["x", "m", "n"])).len(), 1);
}

#[test]
fn the_order_of_members_is_no_change() {
    let (one, other) = (r#"{"x":[{"a":1,"b":2}]}"#, r#"{"x":[{"b":2,"a":1}]}"#);
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(diff(&parse(one), &parse(other)), []);
}
