//! One task: shown, followed, stopped, and seen through where it stands halfway.

use crate::{
    check_exit, data,
    fake::{FakeDaemon, Reply, TASK_ID, begin_stream, not_found, ok, problem, task},
    inn, inn_in, talk,
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
};

fn with(mut task: Value, more: Value) -> Value {
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    task
}

fn failed() -> Value {
    with(
        task("start", "failed"),
        json!({
            "request_id": "build-7", "project": "shop", "resources": ["vm/web"], "cancellable": false, "taken_up": 1,
            "started": "2026-01-01T00:00:01Z", "ended": "2026-01-01T00:00:02Z",
            "steps": [
                {"name": "a", "state": "undone", "started": "2026-01-01T00:00:01Z", "took_us": 2500},
                {"name": "b", "state": "stuck", "started": "2026-01-01T00:00:01.5Z", "took_us": 4_000_000},
                {"name": "c", "state": "waiting"},
            ],
            "log": [{"at": "2026-01-01T00:00:01.7Z", "text": "a hook said no"}],
            "warnings": ["recorded: false; the disk is full"],
            "leftovers": ["b could not be undone: it is in use"],
            "error": {"code": "hook-failed", "message": "the hook failed", "causes": ["it exited with 2"],
                "hint": "mend it"},
        }),
    )
}

/// The line of the feed of a task.
fn notice(task: &Value) -> String {
    let position = "0192a4b0000070008000000000000001-7";
    let line = json!({"type": "task", "position": position, "revision": 7, "task": task});
    format!("{line}\n")
}

/// A daemon that tells these in the feed of a task, and then ends it.
fn telling(tasks: Vec<Value>) -> impl Fn() -> Reply {
    move || {
        let tasks = tasks.clone();
        Reply::Stream(Box::new(move |mut stream| {
            begin_stream(&mut stream);
            tasks.iter().for_each(|task| stream.write_all(notice(task).as_bytes()).unwrap());
        }))
    }
}

#[test]
fn all_of_a_task_is_shown() {
    let daemon = FakeDaemon::start(|_| ok(failed()));
    let output = inn_in(daemon.folder(), &["task", "show", TASK_ID]);
    check_exit(&output, 0);
    let text = data(&output);
    for part in [
        "operation:    start",
        "project:      shop",
        "holds:        vm/web",
        "by:           uid:0",
        "request:      build-7",
        "taken up:     once",
        "warning:      recorded: false; the disk is full",
        "left behind:  b could not be undone: it is in use",
        "error:        the hook failed",
        "because:      it exited with 2",
        "hint:         mend it",
        "a     undone               +0.000s  2.5ms",
        "b     could not be undone  +0.500s  4.000s",
        "2026-01-01T00:00:01.700Z  a hook said no",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let whole = inn_in(daemon.folder(), &["task", "show", TASK_ID, "-o", "json"]);
    assert_eq!(serde_json::from_slice::<Value>(&whole.stdout).unwrap(), failed());
}

#[test]
fn a_watched_task_is_a_line_a_change_and_ends_with_it() {
    let running = |state: &str, more: Value| {
        let step =
            with(json!({"name": "a", "state": state, "started": "2026-01-01T00:00:01Z"}), more);
        with(task("start", "running"), json!({"steps": [step]}))
    };
    let done = with(
        task("start", "done"),
        json!({"ended": "2026-01-01T00:00:02Z", "steps": [
            {"name": "a", "state": "done", "started": "2026-01-01T00:00:01Z", "took_us": 1000}]}),
    );
    let tell = telling(vec![
        running("waiting", json!({})),
        running("running", json!({})),
        running("done", json!({"took_us": 1000})),
        done,
    ]);
    let daemon = FakeDaemon::start(move |_| tell());
    let output = inn_in(daemon.folder(), &["task", "watch", TASK_ID]);
    check_exit(&output, 0);
    assert_eq!(
        data(&output),
        "2026-01-01T00:00:00.000Z start of web: running\n\
         2026-01-01T00:00:01.000Z start of web: a: running\n\
         2026-01-01T00:00:01.001Z start of web: a: done after 1.0ms\n\
         2026-01-01T00:00:02.000Z start of web: done\n"
    );
    assert_eq!(daemon.lines(), [format!("GET /v1/tasks/{TASK_ID}/events")]);
    let whole = inn_in(daemon.folder(), &["task", "watch", TASK_ID, "-o", "json"]);
    assert_eq!(data(&whole).lines().count(), 4);
    assert_eq!(data(&inn_in(daemon.folder(), &["task", "watch", TASK_ID, "-o", "name"])), "done\n");
}

#[test]
fn a_watch_exits_as_its_task_ended() {
    let interrupted = with(
        task("start", "interrupted"),
        json!({"error": {"code": "interrupted", "message": "a step is not known"}}),
    );
    let cancelled = with(
        task("start", "cancelled"),
        json!({"error": {"code": "cancelled", "message": "the task was cancelled"}}),
    );
    for (ended, exit, word) in [
        (failed(), 1, "left behind: b could not be undone"),
        (cancelled, 1, "the task was cancelled"),
        (interrupted, 4, "a step is not known"),
    ] {
        let tell = telling(vec![ended]);
        let daemon = FakeDaemon::start(move |_| tell());
        let output = inn_in(daemon.folder(), &["task", "watch", TASK_ID]);
        check_exit(&output, exit);
        assert!(talk(&output).contains(word), "{}", talk(&output));
    }
    let nothing = FakeDaemon::start(|_| not_found());
    check_exit(&inn_in(nothing.folder(), &["task", "watch", TASK_ID]), 3);
}

#[test]
fn a_watch_goes_on_when_the_daemon_is_back() {
    let attempts = AtomicUsize::new(0);
    let daemon = FakeDaemon::start(move |_| match attempts.fetch_add(1, Ordering::SeqCst) {
        0 => telling(vec![task("start", "running")])(),
        _ => telling(vec![with(task("start", "done"), json!({"taken_up": 1}))])(),
    });
    let output = inn_in(daemon.folder(), &["task", "watch", TASK_ID]);
    check_exit(&output, 0);
    assert!(data(&output).ends_with(" start of web: done\n"), "{}", data(&output));
    assert!(talk(&output).contains("the daemon is gone") && talk(&output).contains("back"));
    assert_eq!(daemon.lines().len(), 2);
}

#[test]
fn a_watch_that_is_stopped_stops_nothing() {
    let daemon = FakeDaemon::start(|_| {
        Reply::Stream(Box::new(|mut stream| {
            begin_stream(&mut stream);
            stream.write_all(notice(&task("start", "running")).as_bytes()).unwrap();
            // Until the other side is gone.
            let _ = BufReader::new(stream).read_line(&mut String::new());
        }))
    });
    let mut child = inn(&["task", "watch", TASK_ID, "--state-dir"])
        .arg(daemon.folder())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    check_exit(&output, 130);
    assert!(talk(&output).contains(&format!("the task goes on: {TASK_ID}")), "{}", talk(&output));
    assert_eq!(daemon.lines().len(), 1);
}

#[test]
fn an_interrupted_task_goes_on_or_back() {
    let run = |word: &'static str, ended: Value| {
        let tell = telling(vec![task("start", "running"), ended]);
        let daemon = FakeDaemon::start(move |request| match request.line.as_str() {
            line if line.starts_with("POST") => {
                Reply::Json(202, json!({"task": task("start", "running")}))
            }
            _ => tell(),
        });
        let output = inn_in(daemon.folder(), &["task", word, TASK_ID]);
        let asked = format!("POST /v1/tasks/{TASK_ID}/{word}");
        assert_eq!(daemon.lines(), [asked, format!("GET /v1/tasks/{TASK_ID}/events")]);
        output
    };
    check_exit(&run("resume", task("start", "done")), 0);
    check_exit(&run("resume", failed()), 1);
    // Undone is what was asked for, and that it has not been done is how it ends.
    let undone = with(failed(), json!({"leftovers": []}));
    check_exit(&run("undo", undone), 0);
    let halfway = run("undo", failed());
    check_exit(&halfway, 1);
    assert!(talk(&halfway).contains("not all undone"), "{}", talk(&halfway));
    check_exit(&run("undo", task("start", "done")), 1);
}

#[test]
fn what_cannot_be_done_to_a_task_is_refused_with_the_reason() {
    let daemon = FakeDaemon::start(|_| problem(409, "wrong-state", "the task has ended: done"));
    for word in ["cancel", "resume", "undo"] {
        let output = inn_in(daemon.folder(), &["task", word, TASK_ID]);
        check_exit(&output, 4);
        assert!(talk(&output).contains("has ended: done"));
    }
    for word in ["show", "watch", "cancel", "resume", "undo"] {
        check_exit(&inn_in(daemon.folder(), &["task", word, "web"]), 2);
    }
}

#[test]
fn who_waits_for_a_task_that_is_interrupted_is_told_so() {
    let daemon = FakeDaemon::start(|request| {
        let interrupted = with(
            task("start", "interrupted"),
            json!({"error": {"code": "interrupted", "message": "a step is not known"}}),
        );
        if request.line.starts_with("POST") {
            Reply::Json(202, json!({"task": task("start", "running")}))
        } else {
            ok(interrupted)
        }
    });
    let output = inn_in(daemon.folder(), &["start", "web"]);
    check_exit(&output, 4);
    assert_eq!(talk(&output), "error: a step is not known\n");
}
