//! The operator's guide: what it shows is what happens.

use crate::{
    HookEvent, Occasion,
    fixture::{self, Fixture},
    folder::MAX_SCRIPTS,
    hooks::DEFAULT_DEADLINE,
    input,
};
use innkeeper_model::{Code, Refusal};
use serde_json::{Value, json};
use std::fs;
use tokio_util::sync::CancellationToken;

const GUIDE: &str = include_str!("../../../docs/hooks.md");

/// The first block of the guide in this language.
fn block(language: &str) -> &'static str {
    let (_, rest) = GUIDE.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

/// What the guide says that a hook reads.
pub(crate) fn example_input() -> Value {
    serde_json::from_str(block("json")).unwrap()
}

#[test]
fn the_input_that_it_shows_is_what_a_hook_reads() {
    let example = example_input();
    let text = |field: &str| example[field].as_str().unwrap();
    let occasion = Occasion {
        operation: text("operation"),
        reason: text("reason"),
        task: text("task").parse().unwrap(),
    };
    let event = text("event").parse().unwrap();
    let told = input(event, &fixture::vm(), occasion);
    assert!(has(&told, &example), "{told:#}");
}

/// Whether a document has all that a shortened one has.
fn has(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(field, part)| whole.get(field).is_some_and(|whole| has(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len()
                && whole.iter().zip(part).all(|(whole, part)| has(whole, part))
        }
        _ => whole == part,
    }
}

#[test]
fn it_names_every_event_and_the_bounds() {
    let rows = GUIDE.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let events = rows.filter_map(|(name, _)| name.parse::<HookEvent>().ok());
    assert_eq!(events.collect::<Vec<_>>(), HookEvent::ALL);
    assert!(GUIDE.contains(&format!("{} seconds", DEFAULT_DEADLINE.as_secs())));
    assert!(GUIDE.contains(&format!("more than {MAX_SCRIPTS} hooks")));
}

/// Runs the guide's example for its VM, on a host in maintenance, with this label.
async fn in_maintenance(label: Option<&str>) -> Result<(), Refusal> {
    let fixture = Fixture::new();
    let notice = fixture.note("maintenance");
    fs::write(&notice, "new disks until six\n").unwrap();
    let script = block("sh").replace("/etc/innkeeper/maintenance", notice.to_str().unwrap());
    fixture.file("10-maintenance", &script);
    run(&fixture, label).await
}

async fn run(fixture: &Fixture, label: Option<&str>) -> Result<(), Refusal> {
    let mut input = example_input();
    input["spec"]["config"]["labels"] = json!({"maintenance": label});
    let said = |line| panic!("it went on after {line}");
    fixture.hooks().run(HookEvent::PreStart, &input, &CancellationToken::new(), said).await
}

#[tokio::test]
async fn its_example_does_what_it_says() {
    let fixture = Fixture::new();
    fixture.file("10-maintenance", block("sh"));
    if !fs::exists("/etc/innkeeper/maintenance").unwrap() {
        run(&fixture, None).await.unwrap();
    }
    let refusal = in_maintenance(None).await.unwrap_err();
    assert_eq!(refusal.code, Code::HookFailed);
    assert_eq!(refusal.message, "the hook pre-start/10-maintenance ended with exit status 2");
    if !fs::exists("/usr/bin/jq").unwrap() {
        eprintln!("skipped: there is no jq, which the example takes its input apart with");
        return;
    }
    assert_eq!(
        refusal.causes,
        ["web does not start: this host is in maintenance", "new disks until six"]
    );
    in_maintenance(Some("allowed")).await.unwrap();
    in_maintenance(Some("other")).await.unwrap_err();
}
