//! An event's hooks together: their order, their exit statuses, and what the caller is told.

use super::*;
use crate::{
    fixture::{Fixture, set_mode},
    input,
    input::Occasion,
};
use innkeeper_model::TaskId;
use std::fs;

async fn run(fixture: &Fixture) -> (Result<(), Refusal>, Vec<String>) {
    let mut log = Vec::new();
    let input = serde_json::json!({"id": "an-id", "name": "web", "n": 1});
    let cancelled = CancellationToken::new();
    let hooks = fixture.hooks();
    let ran = hooks.run(HookEvent::PreStart, &input, &cancelled, |line| log.push(line)).await;
    (ran, log)
}

fn notes(fixture: &Fixture) -> String {
    fs::read_to_string(fixture.note("log")).unwrap_or_default()
}

#[tokio::test]
async fn all_run_in_order_with_the_vm_on_their_input() {
    let fixture = Fixture::new();
    for name in ["20-b", "10-a", "30-c"] {
        fixture.script(name, &format!("echo {name} $INN_VM_ID $INN_VM_NAME $(cat) >> NOTES/log"));
    }
    let (ran, log) = run(&fixture).await;
    ran.unwrap();
    assert_eq!(log, [""; 0], "what ends well says nothing");
    let told = r#"an-id web {"id":"an-id","n":1,"name":"web"}"#;
    let line = |name: &str| format!("{name} {told}\n");
    assert_eq!(notes(&fixture), [line("10-a"), line("20-b"), line("30-c")].concat());
}

#[tokio::test]
async fn one_is_logged_and_the_next_runs() {
    let fixture = Fixture::new();
    fixture.script("10-a", "seq 1 100; echo but >&2; exit 1");
    fixture.script("20-b", "echo went on >> NOTES/log");
    let (ran, log) = run(&fixture).await;
    ran.unwrap();
    assert_eq!(log[0], "the hook pre-start/10-a ended with exit status 1; going on");
    assert!(log[1].starts_with("pre-start/10-a: (") && log[1].contains("left out"), "{log:?}");
    assert_eq!(log[2], "pre-start/10-a: 82");
    assert_eq!(log.last().unwrap(), "pre-start/10-a: but");
    assert_eq!(log.len(), 2 + LOGGED_LINES);
    assert_eq!(notes(&fixture), "went on\n");
}

#[tokio::test]
async fn anything_else_aborts_with_the_last_it_said() {
    for (text, how) in [("exit 2", "exit status 2"), ("kill -9 $$", "signal 9")] {
        let fixture = Fixture::new();
        fixture.script("10-a", &format!("seq 1 5; echo no room; {text}"));
        fixture.script("20-b", "echo went on >> NOTES/log");
        let (ran, log) = run(&fixture).await;
        let refusal = ran.unwrap_err();
        assert_eq!(refusal.code, Code::HookFailed);
        assert!(refusal.message.starts_with("the hook pre-start/10-a "), "{refusal}");
        assert!(refusal.message.ends_with(how), "{refusal}");
        assert_eq!(refusal.value.as_deref(), Some("pre-start/10-a"));
        assert_eq!(refusal.causes, ["1", "2", "3", "4", "5", "no room"]);
        assert_eq!(log, [""; 0]);
        assert_eq!(notes(&fixture), "", "the next one does not run");
    }
}

#[tokio::test]
async fn one_that_takes_too_long_aborts() {
    let fixture = Fixture::new().with_deadline(Duration::from_millis(500));
    fixture.script("10-a", "echo waiting; sleep 600");
    let refusal = run(&fixture).await.0.unwrap_err();
    assert_eq!(refusal.code, Code::HookFailed);
    assert_eq!(refusal.limit.as_deref(), Some("0.5 s"));
    assert_eq!(refusal.causes, ["waiting"]);
}

#[tokio::test]
async fn one_that_must_not_run_stops_those_before_it_too() {
    let fixture = Fixture::new();
    fixture.script("10-a", "echo ran >> NOTES/log");
    let path = fixture.script("20-b", "echo ran >> NOTES/log");
    set_mode(&path, 0o777);
    let refusal = run(&fixture).await.0.unwrap_err();
    assert_eq!(refusal.value.as_deref(), path.to_str());
    assert_eq!(notes(&fixture), "", "nothing has run");
}

#[tokio::test]
async fn one_that_cannot_be_started_says_what_is_missing() {
    let fixture = Fixture::new();
    fixture.file("10-a", "#!/no/such/interpreter\n");
    let refusal = run(&fixture).await.0.unwrap_err();
    assert_eq!(refusal.code, Code::HookFailed);
    assert!(refusal.message.contains("pre-start/10-a could not be started"), "{refusal}");
    assert!(refusal.hint.unwrap().contains("first line"));
    assert_eq!(refusal.causes.len(), 1, "the kernel's words");
    fixture.file("10-a", "echo this has no first line\n");
    let refusal = run(&fixture).await.0.unwrap_err();
    assert!(refusal.hint.unwrap().contains("#!/bin/sh"));
}

#[tokio::test]
async fn one_that_is_replaced_while_another_runs_is_not_swapped_in() {
    let fixture = Fixture::new();
    let second = fixture.script("20-b", "echo looked at >> NOTES/log");
    let swap =
        "rm FILE; printf '#!/bin/sh\\necho swapped in >> NOTES/log\\n' > FILE; chmod 755 FILE";
    fixture.script("10-a", &swap.replace("FILE", second.to_str().unwrap()));
    run(&fixture).await.0.unwrap();
    assert_eq!(notes(&fixture), "looked at\n");
}

#[tokio::test]
async fn a_cancel_stops_between_two_and_within_one() {
    let fixture = Fixture::new();
    fixture.script("10-a", "echo first >> NOTES/log; echo > NOTES/runs; sleep 600");
    fixture.script("20-b", "echo second >> NOTES/log");
    let (hooks, input, cancelled) =
        (fixture.hooks(), serde_json::json!({}), CancellationToken::new());
    let (ran, ()) =
        tokio::join!(hooks.run(HookEvent::PreStart, &input, &cancelled, |_| ()), async {
            fixture.noted("runs").await;
            cancelled.cancel();
        });
    assert_eq!(ran.unwrap_err().code, Code::Cancelled);
    assert_eq!(notes(&fixture), "first\n");

    // It could not even be started.
    fixture.file("10-a", "#!/no/such/interpreter\n");
    let ran = hooks.run(HookEvent::PreStart, &input, &cancelled, |_| ()).await;
    assert_eq!(ran.unwrap_err().code, Code::Cancelled, "nothing is begun after a cancel");
}

#[tokio::test]
async fn runs_of_several_vms_do_not_hinder_each_other() {
    let fixture = Fixture::new();
    // Each waits until all eight run.
    let all = "echo > NOTES/$INN_VM_NAME; while [ $(ls NOTES | wc -l) -lt 8 ]; do sleep 0.01; done";
    fixture.script("10-a", all);
    let mut runs = tokio::task::JoinSet::new();
    for n in 0..8 {
        let hooks = fixture.hooks();
        runs.spawn(async move {
            let input = serde_json::json!({"name": format!("vm-{n}")});
            hooks.run(HookEvent::PreStart, &input, &CancellationToken::new(), |_| ()).await
        });
    }
    for ran in runs.join_all().await {
        ran.unwrap();
    }
}

#[tokio::test]
async fn without_hooks_nothing_happens_even_if_cancelled() {
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    let fixture = Fixture::new();
    let occasion = Occasion { operation: "stop", reason: "stop", task: TaskId::new() };
    let told = input(HookEvent::PreStop, &crate::fixture::vm(), occasion);
    let hooks = fixture.hooks();
    hooks.run(HookEvent::PreStop, &told, &cancelled, |_| panic!("said something")).await.unwrap();
}
