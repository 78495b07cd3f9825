//! What becomes of a VM whose guest ends by itself, where that is not the default.

use super::{assert_put_away, tiny};
use crate::harness::{BOOT, Daemon, GuestSlots, until};
use serde_json::json;
use std::fs;

#[test]
fn a_panicked_guest_is_preserved_with_its_memory_in_a_file() {
    let _slot = GuestSlots::one();
    let daemon = Daemon::start();
    daemon.import_tiny();
    let mut config = tiny("witness", "inn.panic");
    config["on"] = json!({ "crash": "preserve" });
    let id = daemon.create(&config);
    daemon.act("witness", "start");
    let vm = until("its memory is in a file", BOOT, || {
        let vm = daemon.vm("witness");
        let done = vm["dumped"].is_string() && vm["task"].is_null();
        if done { Ok(vm) } else { Err(vm["facts"].clone()) }
    });
    assert_eq!((&vm["state"], &vm["want"]), (&json!("ended"), &json!("running")), "{vm}");
    assert_eq!(vm["facts"]["last_end"]["reason"], "guest_panic", "{vm}");
    assert!(daemon.qemu("witness").lives(), "its machine was not kept");

    // What a debugger finds: all of the guest's memory, with what its kernel last said in it.
    let dump = daemon.state().join("pool/volumes").join(&id).join("dump.elf");
    let memory = fs::read(&dump).unwrap();
    assert!(memory.starts_with(b"\x7fELF"), "no ELF file");
    assert!(memory.len() > 96 << 20, "{} bytes of 96 MiB", memory.len());
    let said = b"sysrq triggered crash";
    assert!(memory.windows(said.len()).any(|part| part == said), "it is of another guest");

    // It stays so until somebody has looked.
    daemon.inn_ok(&["kill", "witness"]);
    daemon.wait_for_state("witness", "stopped");
    assert_put_away(&daemon, &id);
    assert!(dump.exists(), "the dump went with the machine");
    daemon.inn_ok(&["delete", "witness"]);
    assert!(!dump.exists(), "the dump stayed without its VM");
}

#[test]
fn a_guest_that_powers_itself_off_is_preserved_where_that_is_wanted() {
    let _slot = GuestSlots::one();
    let daemon = Daemon::start();
    daemon.import_tiny();
    let mut config = tiny("archive", "");
    config["on"] = json!({ "shutdown": "preserve" });
    let id = daemon.create(&config);
    daemon.act("archive", "start");
    let mut console = daemon.console("archive");
    console.log_in();
    console.send("poweroff\n");
    let vm = until("its memory is in a file", BOOT, || {
        let vm = daemon.vm("archive");
        let done = vm["dumped"].is_string() && vm["task"].is_null();
        if done { Ok(vm) } else { Err(vm["facts"].clone()) }
    });
    assert_eq!(
        (&vm["state"], &vm["facts"]["last_end"]["reason"]),
        (&json!("ended"), &json!("guest_shutdown"))
    );
    let dump = daemon.state().join("pool/volumes").join(&id).join("dump.elf");
    assert!(fs::metadata(&dump).unwrap().len() > 96 << 20, "not all of its memory");
    daemon.inn_ok(&["kill", "archive"]);
    daemon.wait_for_state("archive", "stopped");
    assert_put_away(&daemon, &id);
}

#[test]
fn a_guest_that_reboots_is_stopped_where_that_is_wanted() {
    let _slot = GuestSlots::one();
    let daemon = Daemon::start();
    daemon.import_tiny();
    let mut config = tiny("once", "");
    config["on"] = json!({ "reboot": "stop" });
    let id = daemon.create(&config);
    daemon.act("once", "start");
    let mut console = daemon.console("once");
    console.log_in();
    // A reset by its owner is none of its own.
    daemon.inn_ok(&["reset", "once"]);
    console.log_in();
    console.send("reboot\n");
    let vm = daemon.wait_for_state("once", "stopped");
    assert_eq!((&vm["want"], &vm["facts"]["resets"]), (&json!("stopped"), &json!(1)), "{vm}");
    assert_eq!(vm["facts"]["last_end"]["reason"], "guest_reset", "{vm}");
    assert_put_away(&daemon, &id);
}
