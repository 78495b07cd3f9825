//! What a real guest writes: held to its VM's quota, and in the images that are made of its disk.

use crate::{
    contracts::address,
    guests::tiny,
    harness::{BOOT, Console, Daemon, GuestSlots, Request, SHORT, TCG, exchange, until},
};
use serde_json::{Value, json};
use std::{fs, net::TcpStream};

const DOORS: &[&str] =
    &["--door", "vminfod=127.0.0.1:0,anonymous=viewer", "--door", "vmm=127.0.0.1:0"];

#[test]
fn what_a_guest_writes_is_held_to_its_quota_and_is_in_the_images_of_its_disk() {
    let _slot = GuestSlots::one();
    let mut daemon = Daemon::prepared(TCG).with_flags(DOORS);
    daemon.launch();
    daemon.import_tiny();
    let mut config = tiny("writer", "");
    config["quota"] = json!("8MiB");
    config["disks"] = json!([{ "name": "data", "size": "64MiB" }]);
    let id = daemon.create(&config);
    daemon.act("writer", "start");
    let mut console = daemon.console("writer");
    console.log_in();
    console.output_of("mke2fs /dev/vda >/dev/null && mount -t ext2 /dev/vda /mnt");
    console.output_of("echo kept >/mnt/word && sync");

    begin_to_write(&mut console, "first", 16);
    is_paused(&daemon, &id, "8MiB");
    let refused = daemon.inn(&["resume", "writer"]);
    assert!(!refused.status.success() && refused.stderr.contains("quota"), "{refused:?}");
    raise(&daemon, &id, json!(0.03125));
    has_written(&mut console, "first");
    // The new one holds as well.
    begin_to_write(&mut console, "second", 24);
    is_paused(&daemon, &id, "32MiB");
    raise(&daemon, &id, json!(1));
    has_written(&mut console, "second");
    let written = console.output_of("cat /mnt/* 2>/dev/null | md5sum");
    console.output_of("umount /mnt");
    console.send("poweroff\n");
    daemon.wait_for_state("writer", "stopped");

    daemon.inn_ok(&["image", "commit", "writer", "--name", "by-inn"]);
    let committed = commit(&daemon, &json!({ "build_id": id, "name": "by-door" }));
    assert_eq!(committed["image"], "by-door", "{committed}");
    let mut config = tiny("reader", "");
    config["disks"] =
        json!([{ "name": "one", "image": "by-inn" }, { "name": "other", "image": "by-door" }]);
    daemon.create(&config);
    daemon.inn_ok(&["delete", "writer"]);
    daemon.act("reader", "start");
    let mut console = daemon.console("reader");
    console.log_in();
    for disk in ["vda", "vdb"] {
        console.output_of(&format!("mount -t ext2 /dev/{disk} /mnt"));
        assert_eq!(console.output_of("cat /mnt/word"), "kept");
        assert_eq!(console.output_of("cat /mnt/* 2>/dev/null | md5sum"), written);
        console.output_of("umount /mnt");
    }
    for image in ["by-inn", "by-door"] {
        assert_eq!(daemon.get(&format!("/v1/images/{image}"))["lineage"]["vm"], id);
    }
    daemon.act("reader", "kill");
}

/// Has the guest write a file of so many MiB, and say when it is on its disk; nobody waits for that.
fn begin_to_write(console: &mut Console, file: &str, mebibytes: u32) {
    let write = format!("dd if=/dev/urandom of=/mnt/{file} bs=1M count={mebibytes} 2>/dev/null");
    // The quotes keep the echo of the command from looking like its end.
    console.send(&format!("{write} && sync && echo \"WROTE\"\"-{file}\"\n"));
}

/// Waits until it is there.
#[track_caller]
fn has_written(console: &mut Console, file: &str) {
    console.expect(&format!("WROTE-{file}"), BOOT);
    console.expect("~# ", SHORT);
}

/// The VM, as vminfod's door shows it.
fn shown(daemon: &Daemon, id: &str) -> Value {
    let door = TcpStream::connect(address(&daemon.log(), "vminfod")).unwrap();
    exchange(door, &Request::new("GET", &format!("/vms/{id}"))).ok().json()
}

/// Waits until the VM is paused, and says that it is for this quota.
#[track_caller]
fn is_paused(daemon: &Daemon, id: &str, quota: &str) {
    until(&format!("it is paused for its quota of {quota}"), BOOT, || {
        let vm = shown(daemon, id);
        let problem = vm["problem"].as_str().unwrap_or_default();
        let is_for_it = problem.starts_with("over its quota") && problem.contains(quota);
        if vm["state"] == "paused" && is_for_it { Ok(()) } else { Err(vm) }
    });
}

/// Raises the quota to so many GiB, as the ancestor's command does, and has the VM go on.
fn raise(daemon: &Daemon, id: &str, quota: Value) {
    daemon.inn_ok(&["vmadm", "update", id, &format!("quota={quota}")]);
    assert_eq!(shown(daemon, id)["quota"], quota);
    daemon.inn_ok(&["resume", "writer"]);
}

/// Has the VMM service make an image.
fn commit(daemon: &Daemon, of: &Value) -> Value {
    let token = fs::read_to_string(daemon.state().join("token")).unwrap();
    let request = Request::new("POST", "/vm/commit").json(of);
    let request = request.header("Authorization", &format!("Bearer {}", token.trim()));
    exchange(TcpStream::connect(address(&daemon.log(), "vmm")).unwrap(), &request).ok().json()
}
