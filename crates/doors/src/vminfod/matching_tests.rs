use super::*;
use crate::vminfod::object::KEYS;
use serde_json::json;

fn vm() -> Value {
    json!({
        "uuid": "01234567-89ab-7def-8123-456789abcdef",
        "alias": "Web-1",
        "brand": "kvm",
        "state": "running",
        "ram": 1024,
        "autoboot": true,
        "tags": { "role": "web", "a.b": "dotted" },
        "nics": [{ "mac": "m", "ip": "10.0.0.1" }, { "mac": "n", "ip": "10.0.0.2" }],
    })
}

fn fits(filters: &[&str]) -> bool {
    Conditions::parse(filters).unwrap().match_vm(&vm())
}

#[test]
fn filters_narrow_each_other_and_compare_as_texts() {
    for (filters, expected) in [
        (&[][..], true),
        (&["state=running"], true),
        (&["state=running", "ram=1024"], true),
        (&["state=running", "ram=1025"], false),
        (&["ram=1024.0"], false),
        (&["autoboot=true"], true),
        (&["alias=web-1"], false),
        (&["tags.role=web"], true),
        (&["tags.a.b=dotted"], true),
        (&["tags.other=web"], false),
        (&["quota=10"], false),
        (&["type=KVM"], true),
        (&["type=LX"], false),
    ] {
        assert_eq!(fits(filters), expected, "{filters:?}");
    }
}

/// So that a VM can be read that far and no further.
#[test]
fn what_is_not_looked_at_makes_no_difference() {
    for filter in ["state=running", "tags.a.b=dotted", "nics.*.ip=10.0.0.2", "type=KVM", "ram=1"] {
        let conditions = Conditions::parse([filter]).unwrap();
        let mut reduced = vm();
        reduced.as_object_mut().unwrap().retain(|key, _| conditions.look_at(key));
        assert_eq!(reduced.as_object().unwrap().len(), 1, "{filter}");
        assert_eq!(conditions.match_vm(&reduced), conditions.match_vm(&vm()), "{filter}");
    }
}

#[test]
fn an_expression_finds_a_part_whatever_the_case() {
    assert!(fits(&["alias=~web"]) && fits(&["alias=~B-\\d$"]) && fits(&["ram=~^10"]));
    assert!(!fits(&["alias=~^eb"]) && !fits(&["quota=~"]));
}

#[test]
fn an_element_is_any_or_one() {
    assert!(fits(&["nics.*.ip=10.0.0.2"]) && fits(&["nics.1.ip=10.0.0.2"]));
    assert!(!fits(&["nics.0.ip=10.0.0.2"]) && !fits(&["nics.2.ip=10.0.0.2"]));
    assert!(fits(&["nics.*.ip=~^10\\."]));
}

#[test]
fn what_is_no_filter_is_named() {
    for (filter, text) in [
        ("colour=red", "Unknown key: colour"),
        ("state", "Not a filter: \"state\" (write key=value or key=~expression)"),
        ("alias=~(", "Not an expression: \"(\""),
    ] {
        assert_eq!(Conditions::parse([filter]).unwrap_err().to_string(), text);
    }
    // An expression that would take more memory than a caller may have.
    assert!(Conditions::parse(["alias=~(a{1000}){1000}"]).is_err());
}

#[test]
fn the_keys_are_sorted() {
    assert!(KEYS.is_sorted());
}

/// Whatever there is too much of is refused with its limit, and just as much as there may be is not.
#[test]
fn each_part_of_a_filter_has_its_bound() {
    for (most, filter, says) in [
        (64, "alias=web", "Too many conditions: at most 64"),
        (8, "alias=~^web", "Too many expressions: at most 8"),
    ] {
        Conditions::parse(vec![filter; most]).unwrap();
        let refused = Conditions::parse(vec![filter; most + 1]).unwrap_err();
        assert_eq!(refused.to_string(), says);
    }
    let repeated = |text: &str, count: usize| [format!("alias=~{}", text.repeat(count))];
    for (most, text, says) in [
        (128, "a", "Too many bytes of an expression: at most 128"),
        (4, "(a)", "Too many groups of an expression: at most 4"),
    ] {
        Conditions::parse(repeated(text, most)).unwrap();
        let refused = Conditions::parse(repeated(text, most + 1)).unwrap_err();
        assert_eq!(refused.to_string(), says);
    }
    Conditions::parse(["nics.1.2.3.4.5.6.7=x", "tags.a.b.c.d.e.f.g.h.i.j=x"]).unwrap();
    let refused = Conditions::parse(["nics.1.2.3.4.5.6.7.8=x"]).unwrap_err();
    assert_eq!(refused.to_string(), "Too many keys of a path: at most 8");
}

/// What is short and stands for much: repetitions of repetitions, and classes, which know ASCII alone.
#[test]
fn a_short_expression_is_no_large_one() {
    for large in ["(a{1000}){1000}", "\\w{9}{9}{9}{9}", "(((.{40}){40}){40})", "[a-z]{4000}"] {
        let refused = Conditions::parse([format!("alias=~{large}")]).unwrap_err();
        assert!(matches!(refused, NotAFilter::Expression(..)), "{large}: {refused}");
    }
    assert!(fits(&["alias=~^\\w{3}-\\d$"]) && fits(&["alias=~^[a-z]+-[0-9]{1,63}$"]));
    let of = |alias: &str, filter: &str| {
        Conditions::parse([filter]).unwrap().match_vm(&json!({ "alias": alias }))
    };
    assert!(of("straße", "alias=~^stra.e$") && of("straße", "alias=~STRAß"));
    assert!(!of("straße", "alias=~^\\w+$") && !of("CAFÉ", "alias=~café"));
}
