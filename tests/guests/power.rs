//! The verbs, through the command line.

use super::assert_put_away;
use crate::harness::{BOOT, Daemon, GuestSlots, Request, SHORT, until};
use serde_json::{Value, json};
use std::{
    thread,
    time::{Duration, Instant},
};

#[test]
fn a_guest_is_driven_through_the_command_line() {
    let _slot = GuestSlots::one();
    let daemon = Daemon::start();
    daemon.import_tiny();
    let mut feed = daemon.feed();
    daemon.inn_ok(&[
        "create",
        "web",
        "--kernel",
        "tiny",
        "--cmdline",
        "console=ttyS0 quiet inn.tick=100",
        "--memory",
        "96MiB",
        "--no-display",
    ]);
    daemon.inn_ok(&["start", "web"]);
    daemon.inn_ok(&["wait", "web", "--for", "running", "--timeout", "60s"]);
    feed.expect_vm("web", "state", "running");
    let listed = daemon.inn_ok(&["list"]);
    assert!(listed.contains("web") && listed.contains("running"), "{listed}");
    daemon.wait_for_log("web", "INNKEEPER-GUEST-UP");
    let first = daemon.qemu("web");

    daemon.inn_ok(&["pause", "web"]);
    feed.expect_vm("web", "state", "paused");
    let held = daemon.serial_log("web");
    // That nothing happens has no event to wait for: ten ticks would have come in this time.
    thread::sleep(Duration::from_secs(1));
    assert_eq!(daemon.serial_log("web"), held, "a paused guest ticks");
    let refused = daemon.inn(&["stop", "web"]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    assert!(refused.stderr.contains("stop") && refused.stderr.contains("paused"), "{refused:?}");
    daemon.inn_ok(&["resume", "web"]);
    feed.expect_vm("web", "state", "running");
    until("ticks after a pause", BOOT, || {
        if daemon.serial_log("web") == held { Err("none") } else { Ok(()) }
    });

    let boots = || daemon.serial_log("web").matches("INNKEEPER-GUEST-UP").count();
    let booted_again = |count| {
        until("another boot", BOOT, || if boots() >= count { Ok(()) } else { Err(boots()) });
    };
    daemon.inn_ok(&["reset", "web"]);
    feed.expect("the reset is in the feed", BOOT, |change| change["event"]["name"] == "RESET");
    booted_again(2);
    assert_eq!(daemon.qemu("web"), first, "a reset is in place");
    assert_eq!(daemon.vm("web")["facts"]["resets"], 1);

    daemon.inn_ok(&["reboot", "web", "--timeout", "60s"]);
    feed.expect_vm("web", "facts.last_end.reason", "guest_shutdown");
    feed.expect_vm("web", "state", "running");
    assert_ne!(daemon.qemu("web"), first, "a reboot makes the machine anew");
    daemon.wait_for_log("web", "INNKEEPER-GUEST-UP");

    daemon.inn_ok(&["stop", "web", "--timeout", "60s"]);
    feed.expect_vm("web", "facts.last_end.reason", "guest_shutdown");
    daemon.inn_ok(&["wait", "web", "--for", "stopped", "--timeout", "60s"]);
    feed.expect_vm("web", "state", "stopped");

    daemon.inn_ok(&["start", "web"]);
    let begun = Instant::now();
    daemon.inn_ok(&["kill", "web"]);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    feed.expect_vm("web", "facts.last_end.reason", "killed");
    let vm = daemon.wait_for_state("web", "stopped");
    assert_eq!(vm["want"], "stopped");
    let tasks = daemon.inn_ok(&["tasks", "--all"]);
    for operation in ["create", "start", "pause", "resume", "reset", "reboot", "stop", "kill"] {
        assert!(tasks.contains(operation), "{operation} is not in\n{tasks}");
    }
}

/// Firmware that finds nothing to boot does not know the power button.
#[test]
fn a_guest_that_does_not_hear_is_left_alone_or_ended_as_asked() {
    let daemon = Daemon::start();
    daemon.create(&json!({ "name": "deaf", "memory": "32MiB", "display": "none" }));
    daemon.act("deaf", "start");
    let stop = |timeout: u32| {
        Request::new("POST", "/v1/vms/deaf/stop").json(&json!({ "timeout_s": timeout }))
    };
    let refused = daemon.send(&stop(1).header("Prefer", "wait=60"));
    assert_eq!((refused.status, &refused.json()["code"]), (504, &json!("timeout")));
    // The failed stop is over and undone by now, and in nobody's way.
    daemon.act("deaf", "pause");
    daemon.act("deaf", "resume");
    assert_eq!(daemon.vm("deaf")["want"], "running");

    // A kill does not wait for the stop before it.
    let accepted = daemon.send(&stop(600));
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    let begun = Instant::now();
    daemon.act("deaf", "kill");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let location = accepted.header("location").unwrap();
    let task = daemon.get(&format!("{location}?wait=60"));
    assert_eq!(task["state"], "cancelled", "{task}");
    daemon.wait_for_state("deaf", "stopped");

    daemon.inn_ok(&["start", "deaf"]);
    daemon.inn_ok(&["stop", "deaf", "--force"]);
    daemon.wait_for_state("deaf", "stopped");
}

/// Has something done to a VM that takes its time, waits until it is in such a step, and cancels it after
/// something has happened `then`. How its task ended, and how long it went on after the cancel was accepted;
/// `None` if it was done sooner.
#[track_caller]
fn cancelled_in(
    daemon: &Daemon,
    request: &Request,
    step: &str,
    then: impl FnOnce(),
) -> Option<(Value, Duration)> {
    let accepted = daemon.send(request);
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    let task = accepted.header("location").unwrap().to_owned();
    until(&format!("it is in {step}"), SHORT, || {
        let task = daemon.get(&task);
        let is_in =
            |at: &Value| at["name"].as_str().unwrap().starts_with(step) && at["state"] == "running";
        let is_there = task["steps"].as_array().unwrap().iter().any(is_in);
        if is_there || task["state"] == "done" { Ok(()) } else { Err(task) }
    });
    then();
    let cancel = daemon.send(&Request::new("POST", &format!("{task}/cancel")));
    let begun = Instant::now();
    let ended = daemon.get(&format!("{task}?wait=60"));
    let took = begun.elapsed();
    let is_accepted = cancel.status < 300;
    assert_eq!(ended["state"], if is_accepted { "cancelled" } else { "done" }, "{ended}");
    is_accepted.then_some((ended, took))
}

/// Of what takes as long as the guest likes, and of what takes as long as its memory is large.
#[test]
fn what_is_cancelled_has_ended_within_two_seconds() {
    let _slots = GuestSlots::all();
    let daemon = Daemon::start();
    daemon.create(&json!({ "name": "deaf", "memory": "2GiB", "display": "none" }));
    daemon.act("deaf", "start");
    let qemu = daemon.qemu("deaf");
    let stop = Request::new("POST", "/v1/vms/deaf/stop").json(&json!({ "timeout_s": 600 }));
    let suspend = Request::new("POST", "/v1/vms/deaf/suspend");
    let cancelled_suspend = || {
        let took = cancelled_in(&daemon, &suspend, "qemu/save-memory", || ());
        // It took a fifth of a second in all, and this test did not look in that time.
        if took.is_none() {
            daemon.act("deaf", "resume");
        }
        took
    };
    let is_as_promised = |verb: &str, took: Option<(Value, Duration)>| {
        let (_, took) = took.unwrap_or_else(|| panic!("{verb} was done"));
        assert!(took < Duration::from_secs(2), "{verb}: {took:?}");
        let vm = daemon.wait_for_state("deaf", "running");
        assert_eq!((&vm["want"], &vm["memory"]), (&json!("running"), &Value::Null), "{vm}");
    };
    is_as_promised("stop", cancelled_in(&daemon, &stop, "qemu/power-down", || ()));
    assert_eq!(daemon.qemu("deaf"), qemu);
    is_as_promised("suspend", (0..20).find_map(|_| cancelled_suspend()));
    daemon.act("deaf", "kill");
}

/// How soon what was cancelled has ended where QEMU does not answer.
const CANCELLED_WITHIN: Duration = Duration::from_secs(30);

/// Its process is stopped, as by a debugger or a host that has no time for it.
#[test]
fn what_a_qemu_that_is_held_does_not_answer_to_is_cancelled_in_bounds() {
    let daemon = Daemon::start();
    daemon.create(&json!({ "name": "held", "memory": "32MiB", "display": "none" }));
    daemon.act("held", "start");
    let qemu = daemon.qemu("held");
    for verb in ["stop", "pause"] {
        qemu.hold(true);
        let request = Request::new("POST", &format!("/v1/vms/held/{verb}"));
        let (_, took) = cancelled_in(&daemon, &request, "qemu/", || ()).unwrap();
        assert!(took < CANCELLED_WITHIN, "{verb}: {took:?}");
        qemu.hold(false);
        is_taken_back(&daemon, "running");
    }
    assert_eq!((daemon.qemu("held"), &daemon.vm("held")["want"]), (qemu, &json!("running")));
    daemon.act("held", "kill");
}

/// Waits until what could not be taken back of a VM meanwhile is taken back.
#[track_caller]
fn is_taken_back(daemon: &Daemon, state: &str) {
    until("as it was", SHORT, || {
        let (vm, owed) = (daemon.vm("held"), daemon.diagnosis()["owed"].clone());
        let is_back = vm["state"] == state && owed == json!([]);
        if is_back { Ok(()) } else { Err(format!("{} {owed}", vm["state"])) }
    });
}

/// It is held in the midst of writing its memory, which takes it a fifth of a second.
#[test]
fn a_suspend_of_a_qemu_that_is_held_is_cancelled_in_bounds_and_its_machine_goes_on_or_is_killed() {
    let _slot = GuestSlots::one();
    let daemon = Daemon::start();
    let id = daemon.create(&json!({ "name": "held", "memory": "2GiB", "display": "none" }));
    daemon.act("held", "start");
    let memory = daemon.state().join("pool/volumes").join(&id).join("memory.img");
    let suspend = Request::new("POST", "/v1/vms/held/suspend");
    let held_while_it_saves = || {
        let qemu = daemon.qemu("held");
        let hold = || qemu.hold(true);
        let Some((task, took)) = cancelled_in(&daemon, &suspend, "qemu/save-memory", hold) else {
            daemon.act("held", "resume");
            return None;
        };
        assert!(took < CANCELLED_WITHIN, "{took:?}");
        let steps = task["steps"].as_array().unwrap();
        let save = steps.iter().find(|step| step["name"] == "qemu/save-memory").unwrap();
        // Otherwise it had saved all of it, and was held after that.
        let in_the_midst = save["state"] == "stuck";
        if !in_the_midst {
            qemu.hold(false);
            is_taken_back(&daemon, "running");
        }
        in_the_midst.then_some((qemu, task))
    };
    let held_while_it_saves = || (0..20).find_map(|_| held_while_it_saves()).expect("it was held");

    let (qemu, task) = held_while_it_saves();
    let left = task["leftovers"].to_string();
    assert!(left.contains("qemu/save-memory could not be undone"), "{left}");
    let vm = daemon.wait_for_state("held", "unresponsive");
    assert_eq!((&vm["want"], &vm["memory"]), (&json!("running"), &Value::Null), "{vm}");
    assert!(vm["problem"].as_str().unwrap().contains("qemu/save-memory"), "{vm}");
    qemu.hold(false);
    is_taken_back(&daemon, "running");
    assert_eq!(daemon.qemu("held"), qemu);
    assert!(!memory.exists());
    daemon.act("held", "suspend");
    daemon.act("held", "resume");

    let (qemu, _) = held_while_it_saves();
    let begun = Instant::now();
    daemon.act("held", "kill");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    is_taken_back(&daemon, "stopped");
    assert!(!qemu.lives() && !memory.exists());
    assert_put_away(&daemon, &id);
    daemon.act("held", "start");
    daemon.act("held", "kill");
}
