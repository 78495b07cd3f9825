//! Memory that goes to a file and comes back.

use super::{
    ticks::{Tick, ticks},
    tiny,
};
use crate::harness::{BOOT, Daemon, GuestSlots, Process, Request, qemus_in, until};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::PathBuf,
};

/// How often the guest has booted, going on from its memory or not, since it was last started afresh.
fn boots(daemon: &Daemon) -> usize {
    daemon.serial_log("sleeper").matches("INNKEEPER-GUEST-UP").count()
}

/// The last tick, once there is one after this.
#[track_caller]
fn tick_after(daemon: &Daemon, number: u64) -> Tick {
    until("the guest ticks on", BOOT, || match ticks(&daemon.serial_log("sleeper")).last() {
        Some(tick) if tick.0 > number => Ok(*tick),
        other => Err(format!("{other:?}")),
    })
}

#[test]
fn a_suspended_guest_goes_on_where_it_was_and_from_nothing_else() {
    let _slot = GuestSlots::one();
    let mut daemon = Daemon::start();
    daemon.import_tiny();
    let mut config = tiny("sleeper", "inn.tick=100");
    config["disks"] = json!([{ "name": "data", "size": "8MiB" }]);
    let id = daemon.create(&config);
    daemon.act("sleeper", "start");
    daemon.wait_for_log("sleeper", "INNKEEPER-GUEST-UP");
    let mut console = daemon.console("sleeper");
    console.log_in();
    console.output_of("echo still-here >/tmp/word; echo on-disk >/dev/vda; sync");
    drop(console);
    let first = daemon.qemu("sleeper");
    daemon.inn_ok(&["suspend", "sleeper"]);
    let before = *ticks(&daemon.serial_log("sleeper")).last().unwrap();
    assert_suspended(&daemon, first);

    // Not by chance: whoever starts it would lose its memory, so that has to be said.
    let refused = daemon.inn(&["start", "sleeper"]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    assert!(refused.stderr.contains("suspended"), "{refused:?}");
    assert!(refused.stderr.contains("--discard-memory"), "no advice: {refused:?}");
    let change = json!({ "disks": [] });
    let patch = Request::new("PATCH", "/v1/vms/sleeper").bytes(change.to_string());
    let patch = patch.header("Content-Type", "application/merge-patch+json");
    let refused = daemon.send(&patch.header("Prefer", "wait=60"));
    assert_eq!(refused.status, 409, "its disks are its memory's: {}", refused.text());

    // It outlives the daemon, and its guest notices no more than that the time was short.
    daemon.kill9();
    daemon.launch();
    daemon.wait_for_state("sleeper", "suspended");
    daemon.inn_ok(&["resume", "sleeper"]);
    daemon.wait_for_state("sleeper", "running");
    assert!(daemon.vm("sleeper")["memory"].is_null(), "the memory can be used twice");
    let after = tick_after(&daemon, before.0);
    assert_eq!(boots(&daemon), 1, "it was booted anew, or its log begins with its resume");
    // Its clock stood still with it: still a tick each 100 ms, but for what a slow host costs.
    let began = |(number, clock): Tick| clock - number * 100;
    assert!(began(after).abs_diff(began(before)) < 5000, "{before:?}, then {after:?}");
    let mut console = daemon.console("sleeper");
    console.send("\n");
    // Between ticks.
    assert!(console.output_of("cat /tmp/word").contains("still-here"));
    assert!(console.output_of("head -1 /dev/vda").contains("on-disk"));
    drop(console);

    let second = daemon.qemu("sleeper");
    daemon.inn_ok(&["suspend", "sleeper"]);
    assert_suspended(&daemon, second);
    unusable_images_are_refused(&mut daemon, &id);
    daemon.inn_ok(&["start", "sleeper", "--discard-memory"]);
    until("it has booted afresh", BOOT, || match boots(&daemon) {
        1 => Ok(()),
        boots => Err(boots),
    });
    assert!(ticks(&daemon.serial_log("sleeper"))[0].0 == 0, "it ticks from the beginning");
    assert!(!memory_of(&daemon, &id).exists());
}

#[track_caller]
fn assert_suspended(daemon: &Daemon, was: Process) {
    let vm = daemon.vm("sleeper");
    assert_eq!((&vm["state"], &vm["want"]), (&json!("suspended"), &json!("suspended")), "{vm}");
    assert!(vm["incarnation"].is_null() && vm["memory"]["size"].is_string(), "{vm}");
    assert!(!was.lives());
    assert_eq!(qemus_in(daemon.state()), []);
}

fn memory_of(daemon: &Daemon, id: &str) -> PathBuf {
    daemon.state().join("pool/volumes").join(id).join("memory.img")
}

/// One of another accelerator or of a newer Innkeeper, and one that was cut short: nothing is started for
/// any of them.
#[track_caller]
fn unusable_images_are_refused(daemon: &mut Daemon, id: &str) {
    let path = memory_of(daemon, id);
    let record = path.with_extension("json");
    let whole = fs::read_to_string(&record).unwrap();
    let accelerator = whole.replacen("\"accelerator\": \"tcg\"", "\"accelerator\": \"kvm\"", 1);
    assert_ne!(accelerator, whole);
    fs::write(&record, accelerator).unwrap();
    daemon.kill9();
    daemon.launch();
    daemon.wait_for_state("sleeper", "suspended");
    let problem = refuses_to_resume(daemon);
    for named in ["qemu 1", "pc-q35-", "accelerator kvm", "accelerator tcg", "CPU "] {
        assert!(problem["detail"].as_str().unwrap().contains(named), "{named}: {problem}");
    }
    fs::write(&record, whole).unwrap();
    daemon.kill9();
    daemon.launch();
    daemon.wait_for_state("sleeper", "suspended");

    let image = File::options().read(true).write(true).open(&path).unwrap();
    nothing_of_a_damaged_image_is_loaded(daemon, &image);
    image.set_len(image.metadata().unwrap().len() - 4096).unwrap();
    let problem = refuses_to_resume(daemon);
    for named in ["memory.img is truncated", "qemu 1", "pc-q35-", "accelerator tcg", "CPU "] {
        assert!(problem["detail"].as_str().unwrap().contains(named), "{named}: {problem}");
    }
}

/// What is in it is looked through while its machine is made, and before that machine is given any of it.
#[track_caller]
fn nothing_of_a_damaged_image_is_loaded(daemon: &Daemon, image: &File) {
    let (middle, mut byte) = (image.metadata().unwrap().len() / 2, [0]);
    image.read_exact_at(&mut byte, middle).unwrap();
    image.write_all_at(&[!byte[0]], middle).unwrap();
    let problem = refused_resume(daemon);
    for named in ["memory.img is damaged", "qemu 1", "pc-q35-", "accelerator tcg", "CPU "] {
        assert!(problem["detail"].as_str().unwrap().contains(named), "{named}: {problem}");
    }
    let task = daemon.get(&format!("/v1/tasks/{}", problem["task"].as_str().unwrap()));
    let steps = task["steps"].as_array().unwrap();
    let load = steps.iter().find(|step| step["name"] == "qemu/load-memory").unwrap();
    assert_eq!(load["state"], "waiting", "{task}");
    image.write_all_at(&byte, middle).unwrap();
}

#[track_caller]
fn refuses_to_resume(daemon: &Daemon) -> Value {
    let problem = refused_resume(daemon);
    // Not even made and put away again.
    let task = daemon.get(&format!("/v1/tasks/{}", problem["task"].as_str().unwrap()));
    let launches = |step: &Value| {
        step["name"].as_str().unwrap().contains("qemu/launch") && step["state"] != "waiting"
    };
    assert!(!task["steps"].as_array().is_some_and(|steps| steps.iter().any(launches)), "{task}");
    problem
}

/// Resumes it, which is refused, and nothing is left of the attempt.
#[track_caller]
fn refused_resume(daemon: &Daemon) -> Value {
    let resume = Request::new("POST", "/v1/vms/sleeper/resume").header("Prefer", "wait=60");
    let refused = daemon.send(&resume);
    let problem = refused.json();
    let code = &problem["code"];
    assert_eq!((refused.status, code), (409, &json!("incompatible-memory")), "{problem}");
    assert!(problem["hint"].as_str().unwrap().contains("--discard-memory"), "{problem}");
    assert_eq!(qemus_in(daemon.state()), []);
    assert_eq!(daemon.vm("sleeper")["state"], "suspended");
    problem
}

/// What a newer Innkeeper has written is whole, only not for this one: its guest must find its disks as
/// it left them, when the newer one is back.
#[test]
fn memory_that_this_version_cannot_read_is_not_given_up_by_a_start() {
    let mut daemon = Daemon::start();
    let id = daemon.create(&json!({ "name": "later", "memory": "32MiB", "display": "none" }));
    daemon.act("later", "start");
    daemon.act("later", "suspend");
    let record = memory_of(&daemon, &id).with_extension("json");
    let whole = fs::read_to_string(&record).unwrap();
    let newer = whole.replacen("\"schema\": 1", "\"schema\": 99", 1);
    assert_ne!(newer, whole);
    daemon.kill9();
    fs::write(&record, newer).unwrap();
    daemon.launch();
    for verb in ["start", "resume"] {
        let refused = daemon.inn(&[verb, "later"]);
        assert_eq!(refused.status.code(), Some(4), "{verb}: {refused:?}");
        for said in ["newer Innkeeper", "qemu 1", "machine pc-q35-", "--discard-memory"] {
            assert!(refused.stderr.contains(said), "{verb}: {said}: {refused:?}");
        }
    }
    assert!(daemon.inn_ok(&["get", "later"]).contains("newer"), "nobody says why");
    assert_eq!(qemus_in(daemon.state()), []);
    daemon.kill9();
    fs::write(&record, whole).unwrap();
    daemon.launch();
    daemon.wait_for_state("later", "suspended");
    daemon.act("later", "resume");
}
