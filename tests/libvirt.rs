//! A real libvirt beside the daemon's own hypervisor: its domains are seen, followed and left alone, and
//! driven once they are adopted.

mod doors;
#[path = "../crates/libvirt/tests/support/mod.rs"]
mod private;

use crate::harness::{BOOT, Daemon, Process, Request, SHORT, TCG, until};
use private::Daemon as Libvirt;
use serde_json::{Value, json};
use std::time::Duration;

/// How soon something must be seen once virsh says that it is so.
const SEEN_WITHIN: Duration = Duration::from_secs(1);

/// A domain whose firmware finds nothing to boot.
fn domain(name: &str) -> String {
    format!(
        "<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>\
         <os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features><devices>\
         <emulator>/usr/bin/qemu-system-x86_64</emulator>\
         <interface type='user'><mac address='52:54:00:11:22:33'/><model type='virtio'/></interface>\
         <controller type='usb' model='none'/><memballoon model='none'/></devices></domain>"
    )
}

/// A daemon that is to look at this libvirt, and has not been started.
fn prepared(libvirt: &Libvirt) -> Daemon {
    let socket = libvirt.socket();
    Daemon::prepared(&format!("{TCG}[libvirt]\nsocket = {socket:?}\n"))
}

fn beside(libvirt: &Libvirt) -> Daemon {
    let mut daemon = prepared(libvirt);
    daemon.launch();
    daemon
}

fn define(libvirt: &Libvirt, name: &str) {
    libvirt.define("qemu:///session", &domain(name));
}

/// Waits until what is said of a VM is so; a VM that is not there is null.
#[track_caller]
fn soon(daemon: &Daemon, vm: &str, within: Duration, is_so: impl Fn(&Value) -> bool) -> Value {
    until(vm, within, || {
        let said = daemon.send(&Request::new("GET", &format!("/v1/vms/{vm}")));
        let said = if said.status == 404 { Value::Null } else { said.ok().json() };
        if is_so(&said) { Ok(said) } else { Err(said) }
    })
}

#[track_caller]
fn is_soon(daemon: &Daemon, vm: &str, state: &str) -> Value {
    soon(daemon, vm, SEEN_WITHIN, |said| said["state"] == state)
}

fn process_of(said: &Value) -> Process {
    let pid = said["managed"]["machine"]["pid"].as_u64();
    Process { pid: pid.unwrap_or_else(|| panic!("no process: {said}")).try_into().unwrap() }
}

/// The processes that are shown as nobody's.
fn strangers(daemon: &Daemon) -> Vec<Value> {
    let host = daemon.get("/v1/host");
    let foreign = host["foreign"].as_array().cloned().unwrap_or_default();
    foreign.into_iter().map(|machine| machine["process"]["pid"].clone()).collect()
}

#[test]
fn its_domains_are_seen_within_a_second_and_followed_from_definition_to_undefinition() {
    let libvirt = Libvirt::start();
    define(&libvirt, "earlier");
    let daemon = beside(&libvirt);
    soon(&daemon, "earlier", SHORT, |said| said["state"] == "stopped");
    let mut feed = daemon.feed();

    define(&libvirt, "web");
    let said = is_soon(&daemon, "web", "stopped");
    assert_eq!((&said["project"], &said["spec"]), (&json!("libvirt"), &Value::Null));
    let machine = &said["managed"]["machine"];
    assert_eq!((&machine["cpus"], &machine["memory"]), (&json!(1), &json!("64MiB")));
    assert_eq!(machine["nics"][0]["mac"], "52:54:00:11:22:33");
    feed.expect("it came to be", SHORT, |change| {
        change["action"] == "create" && change["name"] == "web"
    });

    libvirt.virsh(&["start", "web"]);
    let qemu = process_of(&is_soon(&daemon, "web", "running"));
    feed.expect_vm("web", "facts.machine", "running");
    libvirt.virsh(&["suspend", "web"]);
    is_soon(&daemon, "web", "paused");
    libvirt.virsh(&["resume", "web"]);
    is_soon(&daemon, "web", "running");
    assert!(!strangers(&daemon).contains(&json!(qemu.pid)), "it is shown once");
    let listed = daemon.inn_ok(&["list"]);
    assert!(listed.contains("libvirt/web") && listed.contains("libvirt's"), "{listed}");
    let shown = daemon.inn_ok(&["get", "web"]);
    assert!(shown.contains("not adopted") && shown.contains("52:54:00:11:22:33"), "{shown}");

    // libvirt itself takes what was killed for running until init has reaped it; where that has other things to do,
    // for more than a second. From libvirt's word on it is one.
    qemu.kill9();
    until("libvirt's word", SHORT, || match libvirt.virsh(&["domstate", "--reason", "web"]) {
        crashed if crashed.contains("shut off (crashed)") => Ok(()),
        other => Err(other),
    });
    let said = is_soon(&daemon, "web", "stopped");
    assert_eq!(said["facts"]["last_end"]["reason"], "hypervisor_died");
    feed.expect_vm("web", "facts.machine", "absent");
    libvirt.virsh(&["undefine", "web"]);
    soon(&daemon, "web", SEEN_WITHIN, Value::is_null);
    is_soon(&daemon, "earlier", "stopped");
}

#[test]
fn a_domain_is_left_alone_until_it_is_adopted_and_then_driven() {
    let libvirt = Libvirt::start();
    define(&libvirt, "web");
    libvirt.virsh(&["start", "web"]);
    let mut daemon = prepared(&libvirt).with_flags(doors::OPEN);
    daemon.launch();
    let said = soon(&daemon, "web", SHORT, |said| said["state"] == "running");
    let qemu = process_of(&said);
    let began = qemu.start_ticks();
    let id = said["id"].as_str().unwrap().to_owned();
    let is = || [libvirt.virsh(&["dumpxml", "web"]), libvirt.virsh(&["domstate", "web"])];
    let was = is();
    doors::show_it_and_leave_it_alone(&daemon, &id, qemu.pid);
    assert!(qemu.lives() && qemu.start_ticks() == began, "it is the same process");
    assert_eq!(is(), was, "libvirt has it as it had it");

    daemon.inn_ok(&["adopt", "web"]);
    doors::show_that_it_is_paused(&daemon, &id);
    assert!(libvirt.virsh(&["domstate", "web"]).contains("paused"));
    // The next daemon drives it as well.
    daemon.kill9();
    daemon.launch();
    soon(&daemon, "web", SHORT, |said| said["state"] == "paused");
    daemon.inn_ok(&["resume", "web"]);
    assert!(libvirt.virsh(&["domstate", "web"]).contains("running"));
    assert!(qemu.lives() && qemu.start_ticks() == began, "it was never another");
    let refused = daemon.inn(&["reboot", "web"]);
    assert!(refused.stderr.contains("unsupported by driver libvirt"), "{}", refused.stderr);
    daemon.inn_ok(&["kill", "web"]);
    assert!(libvirt.virsh(&["domstate", "web"]).contains("shut off"));
    daemon.inn_ok(&["start", "web"]);
    let qemu = process_of(&daemon.vm("web"));
    assert!(libvirt.virsh(&["domstate", "web"]).contains("running"));
    // A machine of the daemon's own goes its way beside it.
    daemon.create(&json!({ "name": "own", "memory": "32MiB", "display": "none" }));
    daemon.act("own", "start");
    daemon.act("own", "kill");

    let given_back = daemon.inn(&["delete", "web", "--yes"]);
    assert!(given_back.stderr.contains("given back"), "{given_back:?}");
    assert!(qemu.lives());
    let said = daemon.vm(&id);
    assert_eq!((&said["state"], &said["spec"]), (&json!("running"), &Value::Null));
    assert!(libvirt.virsh(&["list", "--all", "--name"]).contains("web"));
}

#[test]
fn while_libvirt_is_away_its_domains_are_shown_with_their_age_and_nothing_else_waits() {
    let mut libvirt = Libvirt::start();
    define(&libvirt, "web");
    libvirt.virsh(&["start", "web"]);
    let daemon = beside(&libvirt);
    let qemu = process_of(&soon(&daemon, "web", SHORT, |said| said["state"] == "running"));
    assert!(daemon.inn_ok(&["host"]).contains("its machines are shown"));
    libvirt.kill();
    let said = soon(&daemon, "web", SEEN_WITHIN, |said| !said["managed"]["as_of"].is_null());
    assert_eq!(said["state"], "running", "as far as is known");
    assert!(daemon.inn_ok(&["get", "web"]).contains("as of"));
    for verb in ["host", "doctor", "diagnose"] {
        let said = daemon.inn(&[verb]).stdout;
        assert!(said.contains("start libvirt's daemon"), "{verb}: {said}");
    }
    daemon.create(&json!({ "name": "own", "memory": "32MiB", "display": "none" }));
    assert!(!strangers(&daemon).contains(&json!(qemu.pid)), "it is known whose that is");
    libvirt.run();
    soon(&daemon, "web", BOOT, |said| {
        said["managed"]["as_of"].is_null() && said["state"] == "running"
    });
    assert!(qemu.lives());
}
