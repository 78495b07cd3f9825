use super::diff;
use crate::test_data::apply_changes;
use proptest::prelude::*;
use serde_json::{Value, json};

#[track_caller]
fn check(old: Value, new: Value, expected: Value) {
    assert_eq!(serde_json::to_value(diff(&old, &new)).unwrap(), expected);
}

#[test]
fn members_are_named_by_their_path() {
    check(
        json!({"name": "web", "facts": {"machine": "absent", "since": "x"}}),
        json!({"name": "web", "facts": {"machine": "running", "since": "x"}, "task": "t"}),
        json!([
            {"path": ["facts", "machine"], "old": "absent", "new": "running"},
            {"path": ["task"], "new": "t"},
        ]),
    );
}

#[test]
fn elements_are_compared_by_index_and_lost_ones_listed_last_first() {
    check(
        json!({"disks": [{"size": 1}, {"size": 2}, {"size": 3}]}),
        json!({"disks": [{"size": 9}]}),
        json!([
            {"path": ["disks", "0", "size"], "old": 1, "new": 9},
            {"path": ["disks", "2"], "old": {"size": 3}},
            {"path": ["disks", "1"], "old": {"size": 2}},
        ]),
    );
}

#[test]
fn a_long_list_that_shifted_is_replaced_whole_and_one_of_which_little_changed_is_not() {
    let lease = |n: u32| json!({"address": n, "mac": n, "expires": 0});
    let leases = |ns: std::ops::Range<u32>| json!({"leases": ns.map(lease).collect::<Vec<_>>()});
    let shifted = diff(&leases(1..200), &leases(0..200));
    let [change] = &shifted[..] else { panic!("{} changes", shifted.len()) };
    assert_eq!(change.path, ["leases"]);
    let grown = diff(&leases(0..199), &leases(0..200));
    let [change] = &grown[..] else { panic!("{} changes", grown.len()) };
    assert_eq!(change.path, ["leases", "199"]);
    for (old, new) in [(0..200, 1..200), (1..200, 0..200), (0..70, 3..9), (5..80, 0..9)] {
        let mut document = leases(old.clone());
        apply_changes(&mut document, &diff(&leases(old), &leases(new.clone())));
        assert_eq!(document, leases(new));
    }
}

#[test]
fn values_of_another_kind_are_replaced_whole() {
    check(
        json!({"boot": {"firmware": "bios"}}),
        json!({"boot": "none"}),
        json!([{"path": ["boot"], "old": {"firmware": "bios"}, "new": "none"}]),
    );
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (0..3).prop_map(Value::from),
        "[ab]".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[abc]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn applying_the_changes_to_the_old_document_gives_the_new(old in document(), new in document()) {
        let mut document = old.clone();
        apply_changes(&mut document, &diff(&old, &new));
        prop_assert_eq!(document, new);
    }

    #[test]
    fn equal_documents_have_no_changes(document in document()) {
        prop_assert_eq!(diff(&document, &document), []);
    }
}
