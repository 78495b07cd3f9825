//! Boots: directly and through UEFI.

use super::{assert_put_away, disc, reach, tiny};
use crate::harness::{Console, Daemon, GuestSlots, Request, SHORT, guest_file, until};
use serde_json::json;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Child,
};

#[test]
fn a_guest_boots_is_used_and_powers_itself_off() {
    let _slot = GuestSlots::one();
    let daemon = Daemon::start();
    daemon.import_tiny();
    disc::import(&daemon);
    let mut config = tiny("web", "");
    config["nics"] = json!([{ "name": "net" }]);
    config["disks"] = json!([
        { "name": "data", "size": "64MiB", "serial": "DATA-42" },
        { "name": "more", "size": "32MiB", "bus": "virtio-scsi", "serial": "MORE-43" },
        { "name": "cd", "kind": "cdrom", "bus": "virtio-scsi", "image": "disc" },
    ]);
    let id = daemon.create(&config);
    let mut feed = daemon.feed();
    let (mut follower, followed) = follow_log(&daemon, "web");
    daemon.act("web", "start");
    let mut console = daemon.console("web");
    console.log_in_when_online();
    feed.expect_vm("web", "facts.machine", "running");

    // Its disks are those that were asked for, and it can write to them.
    assert_eq!(console.output_of("cat /sys/block/vda/serial"), "DATA-42");
    assert_eq!(console.output_of("cat /sys/block/vda/size"), (64 * 2048).to_string());
    assert_eq!(console.output_of("cat /sys/block/sda/size"), (32 * 2048).to_string());
    let identity = console.output_of("tr -d '\\0' </sys/block/sda/device/vpd_pg80");
    assert!(identity.contains("MORE-43"), "{identity:?}");
    console.output_of(
        "mke2fs /dev/vda >/dev/null && mount -t ext2 /dev/vda /mnt && echo kept >/mnt/word",
    );
    assert_eq!(
        console.output_of("umount /mnt; mount -t ext2 /dev/vda /mnt; cat /mnt/word"),
        "kept"
    );

    its_other_devices_work(&mut console);
    reach::the_outside_and_no_address_of_its_host(&mut console);

    console.send("poweroff\n");
    let vm = daemon.wait_for_state("web", "stopped");
    feed.expect_vm("web", "facts.last_end.reason", "guest_shutdown");
    feed.expect_vm("web", "state", "stopped");
    assert_eq!(vm["want"], "stopped", "{vm}");
    assert_eq!(vm["facts"]["last_end"]["reason"], "guest_shutdown", "{vm}");
    assert!(vm["incarnation"].is_null(), "{vm}");
    assert_put_away(&daemon, &id);
    assert!(disc::is_untouched(&daemon), "the disc was written to");
    let log = daemon.inn_ok(&["logs", "web"]);
    assert!(log.contains("INNKEEPER-GUEST-UP") && log.contains("kept"), "{log}");

    // Who followed the log has seen all of it, beside the console, and is told when the VM is gone.
    until("the log is followed to its end", SHORT, || {
        // The bytes of a disk's identity are no text.
        let followed = String::from_utf8_lossy(&fs::read(&followed).unwrap()).into_owned();
        if followed == log { Ok(()) } else { Err(followed) }
    });
    daemon.done(Request::new("DELETE", "/v1/vms/web"));
    let ended = || follower.try_wait().unwrap().ok_or("it goes on");
    assert!(until("the end of a log whose VM is gone", SHORT, ended).success());
}

/// The CD-ROM, the source of random numbers and the balloon, as the guest has them.
fn its_other_devices_work(console: &mut Console) {
    console
        .output_of("modprobe -a sr_mod virtio_balloon; until [ -b /dev/sr0 ]; do sleep 0.1; done");
    assert_eq!(console.output_of(disc::READ), disc::WORD);
    let (status, said) = console.run("echo SCRATCHED | dd of=/dev/sr0 conv=fsync");
    assert_ne!(status, 0, "{said}");

    let source = console.output_of("cat /sys/class/misc/hw_random/rng_current");
    assert!(source.starts_with("virtio_rng"), "{source:?}");
    assert_eq!(console.output_of("head -c 16 /dev/hwrng | wc -c"), "16");
    let balloons = "ls -d /sys/bus/virtio/drivers/virtio_balloon/virtio* | wc -l";
    assert_eq!(console.output_of(balloons), "1");
}

/// Somebody who follows a VM's log into a file.
fn follow_log(daemon: &Daemon, vm: &str) -> (Child, PathBuf) {
    let path = daemon.scratch().join("followed.log");
    let file = File::create(&path).unwrap();
    let follower = daemon.command(&["logs", vm, "--follow"]).stdout(file).spawn().unwrap();
    (follower, path)
}

#[test]
fn a_guest_boots_through_uefi_with_variables_and_a_disk_of_its_own() {
    let _slot = GuestSlots::one();
    let daemon = Daemon::start();
    daemon.inn_ok(&[
        "image",
        "add",
        &guest_file("tiny/uefi.qcow2"),
        "--name",
        "uefi",
        "--kind",
        "disk",
    ]);
    let image = daemon.state().join("pool/images/uefi/disk.qcow2");
    let image_before = fs::read(&image).unwrap();
    let id = daemon.create(&json!({
        "name": "uefi",
        "memory": "256MiB",
        "boot": { "firmware": "uefi" },
        "disks": [{ "name": "root", "image": "uefi", "size": "64MiB" }],
        "display": "none",
    }));
    let variables = daemon.state().join("pool/volumes").join(&id).join("nvram.fd");
    let new_variables = fs::read(&variables).unwrap();

    let last_sector = 64 * 2048 - 1;
    daemon.act("uefi", "start");
    let mut console = daemon.console("uefi");
    console.log_in();
    console.output_of(&format!("echo WRITTEN | dd of=/dev/vda bs=512 seek={last_sector} && sync"));
    console.send("poweroff\n");
    daemon.wait_for_state("uefi", "stopped");
    let used_variables = fs::read(&variables).unwrap();
    assert!(used_variables != new_variables, "the firmware stored nothing");

    daemon.act("uefi", "start");
    assert!(opens(&daemon, &variables), "the second run has other variables");
    let mut console = daemon.console("uefi");
    console.log_in();
    let read = console
        .output_of(&format!("dd if=/dev/vda bs=512 skip={last_sector} 2>/dev/null | head -1"));
    assert_eq!(read, "WRITTEN");
    daemon.act("uefi", "kill");
    assert!(fs::read(&variables).unwrap() != new_variables, "the variables were made anew");
    assert!(fs::read(&image).unwrap() == image_before, "the image was written to");
}

fn opens(daemon: &Daemon, file: &Path) -> bool {
    daemon.qemu("uefi").descriptors().iter().any(|(path, _)| path == file)
}
