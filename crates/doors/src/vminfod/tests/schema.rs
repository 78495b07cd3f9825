//! Lines of the events, held against what the door's OpenAPI document says of them. No program that makes
//! requests of such documents can do it, since the events never end.

use super::{client::EventStream, *};
use crate::vminfod::document;
use innkeeper_model::{Mebibytes, Timestamp};
use std::{collections::BTreeSet, panic::catch_unwind, sync::LazyLock};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(&document()).unwrap());

/// That a line is one of those that the document describes, and has nothing in it that it does not.
#[track_caller]
pub(super) fn is_line(line: &Value) {
    let described = "/paths/~1events/get/responses/200/content/application~1json/schema";
    check(DOCUMENT.pointer(described).unwrap(), line, "")
        .unwrap_or_else(|why| panic!("{why}: {line}"));
    if let Some(vms) = line.get("vms") {
        let vms: Vec<Value> = serde_json::from_str(vms.as_str().unwrap()).unwrap();
        let vm = DOCUMENT.pointer("/components/schemas/Vm").unwrap();
        vms.iter().for_each(|shown| check(vm, shown, "vms").unwrap());
    }
}

/// Whether a value is what a schema describes, or what in it is not. Knows the words of JSON Schema that the
/// document has.
fn check(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    for (word, says) in schema.as_object().unwrap() {
        let is_so = match &**word {
            "description" | "example" | "additionalProperties" | "propertyNames" => true,
            "$ref" => {
                let named = DOCUMENT.pointer(says.as_str().unwrap().trim_start_matches('#'));
                check(named.unwrap(), value, at)?;
                true
            }
            "oneOf" => {
                let fits = |schema: &&Value| check(schema, value, at).is_ok();
                says.as_array().unwrap().iter().filter(fits).count() == 1
            }
            "type" => says.as_array().map_or_else(
                || is_a(value, says),
                |types| types.iter().any(|one| is_a(value, one)),
            ),
            "enum" => says.as_array().unwrap().contains(value),
            "minimum" => value.as_f64() >= says.as_f64(),
            "format" => has_format(value, says.as_str().unwrap()),
            "required" => says
                .as_array()
                .unwrap()
                .iter()
                .all(|name| value.get(name.as_str().unwrap()).is_some()),
            "properties" => {
                for (name, member) in value.as_object().into_iter().flatten() {
                    let described =
                        says.get(name).ok_or_else(|| format!("{at}/{name} is not described"))?;
                    check(described, member, &format!("{at}/{name}"))?;
                }
                true
            }
            "items" => {
                for element in value.as_array().into_iter().flatten() {
                    check(says, element, &format!("{at}/*"))?;
                }
                true
            }
            other => panic!("nobody checks {other:?}"),
        };
        if !is_so {
            return Err(format!("{at}: {value} is not {word} {says}"));
        }
    }
    Ok(())
}

fn is_a(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("nobody knows {other:?}"),
    }
}

fn has_format(value: &Value, format: &str) -> bool {
    let Some(text) = value.as_str() else { return true };
    match format {
        "uuid" => text.parse::<uuid::Uuid>().is_ok(),
        "date-time" => text.parse::<Timestamp>().is_ok(),
        other => panic!("nobody checks {other:?}"),
    }
}

/// What every stream of these tests is told is checked so; this one is told of everything.
#[tokio::test]
async fn each_line_of_the_events_is_as_the_openapi_document_says() {
    let house = House::new().await;
    let address = opened(&house.context).await;
    let mut stream = EventStream::open(address, "/events").await;
    let vm = house.create(config("web")).await;
    house.start(vm).await;
    kill(&house, vm).await;
    let mut edited = house.vm(vm).unwrap().spec.clone().unwrap().config.clone();
    (edited.memory, edited.nics) = (Mebibytes(32), Vec::new());
    house.perform(Request::Edit { vm, config: Box::new(edited), expected: None }).await;
    let created = stream.until(|event| event["type"] == "create").await;
    let position = created["position"].as_str().unwrap();
    EventStream::open(address, &format!("/events?since={position}")).await;
    // With a VM in it.
    EventStream::open(address, "/events").await;
    house.perform(Request::Delete { vm, force: false }).await;
    let mut told = BTreeSet::new();
    while !told.contains("delete") {
        let event = stream.next().await.unwrap();
        let changes = event["changes"].as_array().cloned().unwrap_or_default();
        let words = changes.iter().map(|change| &change["action"]).chain([&event["type"]]);
        told.extend(words.map(|word| word.as_str().unwrap().to_owned()));
    }
    assert_eq!(told, ["added", "changed", "delete", "modify", "removed"].map(str::to_owned).into());
}

#[test]
fn what_the_document_does_not_say_is_found() {
    let event = json!({
        "type": "delete", "date": "2026-01-02T03:04:05.678Z", "zonename": VmId::new(),
        "uuid": VmId::new(), "position": "00000000000000000000000000000000-7",
    });
    is_line(&event);
    for (member, value) in [
        ("type", json!("ready")),
        ("type", json!("destroy")),
        ("date", json!("yesterday")),
        ("uuid", json!("web")),
        ("position", json!(7)),
        ("colour", json!("red")),
        ("changes", json!([{ "path": [], "prettyPath": "", "action": "moved" }])),
    ] {
        let mut other = event.clone();
        other[member] = value;
        assert!(catch_unwind(|| is_line(&other)).is_err(), "{other}");
    }
}
