//! Ends that nobody asked for.

use super::{assert_put_away, tiny};
use crate::harness::{BOOT, Daemon, GuestSlots, Request, new_value, until};
use serde_json::json;

#[test]
fn a_killed_qemu_and_a_panicked_guest_are_told_apart_and_cleared_up() {
    let _slot = GuestSlots::one();
    let daemon = Daemon::start();
    daemon.import_tiny();
    let id = daemon.create(&tiny("fated", ""));
    let mut feed = daemon.feed();

    daemon.act("fated", "start");
    daemon.wait_for_log("fated", "INNKEEPER-GUEST-UP");
    let first = daemon.qemu("fated");
    first.kill9();
    let end = feed.expect("the end is in the feed", BOOT, |change| {
        change["kind"] == "vm" && new_value(change, "facts.last_end.reason").is_some()
    });
    let end = new_value(&end, "facts.last_end").unwrap();
    assert_eq!(end["reason"], "hypervisor_died", "{end}");
    assert!(end["status"].as_str().unwrap().contains("signal 9"), "{end}");
    let vm = daemon.wait_for_state("fated", "stopped");
    assert_eq!(vm["facts"]["last_end"]["reason"], "hypervisor_died", "{vm}");
    assert_put_away(&daemon, &id);

    // It can be started again, and changed before that.
    let change = json!({ "boot": tiny("fated", "inn.panic")["boot"] });
    let patch = Request::new("PATCH", "/v1/vms/fated").bytes(change.to_string());
    daemon.done(patch.header("Content-Type", "application/merge-patch+json"));
    daemon.act("fated", "start");
    feed.expect_vm("fated", "facts.last_end.reason", "guest_panic");
    let vm = daemon.wait_for_state("fated", "stopped");
    assert_eq!(vm["facts"]["last_end"]["reason"], "guest_panic", "{vm}");
    assert_put_away(&daemon, &id);
}

#[test]
fn a_qemu_that_dies_while_nobody_looks_is_found_dead() {
    let mut daemon = Daemon::start();
    let id = daemon.create(&json!({ "name": "lonely", "memory": "32MiB", "display": "none" }));
    daemon.act("lonely", "start");
    let qemu = daemon.qemu("lonely");
    daemon.kill9();
    qemu.kill9();
    daemon.launch();
    let vm = until("what is left of it is put away", BOOT, || {
        let vm = daemon.vm("lonely");
        let found = vm["facts"]["last_end"].is_object() && vm["incarnation"].is_null();
        if found && vm["task"].is_null() { Ok(vm) } else { Err(vm["facts"].clone()) }
    });
    assert_eq!(vm["state"], "stopped", "{vm}");
    assert_eq!(vm["facts"]["last_end"]["reason"], "hypervisor_died", "{vm}");
    assert_put_away(&daemon, &id);
    daemon.act("lonely", "start");
}
