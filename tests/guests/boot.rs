//! Boots: directly and through UEFI.

use super::{assert_put_away, tiny};
use crate::harness::{
    Console, Daemon, GREETING, Greeter, GuestSlots, Neighbour, SHORT, guest_file,
    skip_without_root, until,
};
use serde_json::json;
use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    path::Path,
};

#[test]
fn a_guest_boots_is_used_and_powers_itself_off() {
    let _slot = GuestSlots::one();
    let daemon = Daemon::start();
    daemon.import_tiny();
    let mut config = tiny("web", "");
    config["nics"] = json!([{ "name": "net" }]);
    config["disks"] = json!([
        { "name": "data", "size": "64MiB", "serial": "DATA-42" },
        { "name": "more", "size": "32MiB", "bus": "virtio-scsi", "serial": "MORE-43" },
    ]);
    let id = daemon.create(&config);
    let mut feed = daemon.feed();
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

    does_not_reach_its_host(&mut console);
    reaches_the_outside_and_no_address_of_its_host(&mut console);

    console.send("poweroff\n");
    let vm = daemon.wait_for_state("web", "stopped");
    feed.expect_vm("web", "facts.last_end.reason", "guest_shutdown");
    feed.expect_vm("web", "state", "stopped");
    assert_eq!(vm["want"], "stopped", "{vm}");
    assert_eq!(vm["facts"]["last_end"]["reason"], "guest_shutdown", "{vm}");
    assert!(vm["incarnation"].is_null(), "{vm}");
    assert_put_away(&daemon, &id);
    let log = daemon.inn_ok(&["logs", "web"]);
    assert!(log.contains("INNKEEPER-GUEST-UP") && log.contains("kept"), "{log}");
}

/// A server on the host, which the host itself can reach.
fn server(address: Ipv4Addr) -> Greeter {
    let greeter = Greeter::listen(address);
    TcpStream::connect((address, greeter.port)).unwrap();
    let visited = || (greeter.visits() == 1).then_some(()).ok_or("nobody came");
    until("the host's own visit", SHORT, visited);
    greeter
}

fn visit(address: Ipv4Addr, port: u16) -> String {
    format!("nc -w 5 {address} {port} </dev/null")
}

/// QEMU's name for the host's 127.0.0.1.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

fn does_not_reach_its_host(console: &mut Console) {
    let loopback = server(Ipv4Addr::LOCALHOST);
    let (_, output) = console.run(&visit(GATEWAY, loopback.port));
    assert!(!output.contains(GREETING), "the guest reached its host");
    assert_eq!(loopback.visits(), 1, "the guest reached its host");
}

fn reaches_the_outside_and_no_address_of_its_host(console: &mut Console) {
    if skip_without_root("that a guest reaches the outside, and no address of its host") {
        return;
    }
    let neighbour = Neighbour::new();
    let (loopback, own) = (server(Ipv4Addr::LOCALHOST), server(neighbour.host_address));
    let outside = visit(neighbour.address, neighbour.greeter.port);
    assert_eq!(console.output_of(&outside), GREETING, "the guest does not reach the outside");
    let attempts = [
        visit(GATEWAY, loopback.port),
        visit(GATEWAY, own.port),
        visit(neighbour.host_address, own.port),
        visit(neighbour.host_address, loopback.port),
    ];
    // All at once, since QEMU lets a guest wait for what its host refuses.
    let output = console.output_of(&format!("{} & wait", attempts.join(" & ")));
    assert!(!output.contains(GREETING), "the guest reached its host: {output}");
    assert_eq!((loopback.visits(), own.visits()), (1, 1), "the guest reached its host");
    // It was not the guest's network that had broken by then.
    assert_eq!(console.output_of(&outside), GREETING);
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
