//! Doors: programs written for other systems, against a real daemon and real guests.

mod commands;
mod disks;
mod everywhere;
mod streams;

use crate::harness::{
    BOOT, Daemon, GuestSlots, PrivateNetwork, Request, TCG, exchange, guest_file,
    skip_without_root, until,
};
use serde_json::{Value, json};
use std::{fs, net::TcpStream, sync::Arc};

const OWNER: &str = "0x1234567890abcdef1234567890abcdef12345678";

/// The VMM service's door of a daemon, where the daemon is.
struct Vmm<'a> {
    network: &'a PrivateNetwork,
    token: String,
}

impl Vmm<'_> {
    /// Posts a request, and returns the answer's status and body.
    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = Request::new("POST", path)
            .header("Authorization", &format!("Bearer {}", self.token))
            .json(body);
        let reply = self
            .network
            .in_host(|| exchange(TcpStream::connect("127.0.0.1:3002").unwrap(), &request));
        (reply.status, reply.json())
    }

    #[track_caller]
    fn ok(&self, path: &str, body: &Value) -> Value {
        let (status, body) = self.post(path, body);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }
}

#[test]
fn the_printed_request_of_the_vmm_service_boots_a_guest_that_has_its_address() {
    if skip_without_root("a guest of the VMM service on a network") {
        return;
    }
    let _turn = GuestSlots::one();
    let network = Arc::new(PrivateNetwork::new());
    let config = format!("[networks]\nmake_default = true\n{TCG}[door.vmm]\n");
    let mut daemon = Daemon::prepared(&config).in_network(&network);
    daemon.launch();
    let [kernel, initrd, rootfs] = ["vmlinux.bin", "initrd.img", "rootfs.ext4"]
        .map(|file| guest_file(&format!("disk/{file}")));
    let kind = ["--kind", "kernel", "--initrd", &initrd];
    daemon.inn_ok(&[&["image", "add", &kernel, "--name", "vmlinux.bin"][..], &kind].concat());
    let kind = ["--kind", "disk", "--format", "raw"];
    daemon.inn_ok(&[&["image", "add", &rootfs, "--name", "rootfs.ext4"][..], &kind].concat());
    let token = fs::read_to_string(daemon.state().join("token")).unwrap().trim().to_owned();
    let door = Vmm { network: &network, token };

    let created = door.ok(
        "/vm/create",
        &json!({
            "name": "my-instance",
            "owner": OWNER,
            "vm_config": {
                "vcpu_count": 2,
                "mem_size_mib": 2048,
                "disk_size": 10,
                "boot_args": "console=ttyS0 reboot=k panic=1 pci=off",
                "kernel": "vmlinux.bin",
                "rootfs": "rootfs.ext4",
            },
        }),
    );
    let target = json!({ "build_id": created["vm_id"], "owner": OWNER });
    assert_eq!(door.ok("/vm/boot", &target)["message"], "VM boot initiated");
    let id = created["vm_id"].as_str().unwrap();
    daemon.wait_for_log(id, "INNKEEPER-GUEST-UP");
    assert!(daemon.serial_log(id).contains("EXT4-fs (vda): mounted"), "it runs from its disk");

    // The guest has the address that is shown: it took it up itself.
    let address = until("the guest's address", BOOT, || {
        let vm = daemon.vm(id);
        let leased = vm["addresses"].as_array().into_iter().flatten();
        let leased = leased.filter(|known| known["source"] != "reservation");
        let found = leased.filter_map(|known| known["address"].as_str()).next();
        found.map(str::to_owned).ok_or_else(|| vm["addresses"].to_string())
    });
    let info = door.ok("/vm/info", &target);
    assert_eq!((&info["state"], &info["ip_address"]), (&json!("running"), &json!(address)));
    assert_eq!(door.ok("/vm/list", &json!({})), json!([info]));

    // A guest that hears its power button powers off.
    assert_eq!(door.ok("/vm/stop", &target)["message"], "VM stopped successfully");
    assert_eq!(door.post("/vm/boot", &target).0, 409);
    assert_eq!(door.ok("/vm/start", &target)["success"], true);
    door.ok("/vm/stop", &json!({ "build_id": id, "owner": OWNER, "force": true }));
    door.ok("/vm/delete", &target);
    assert_eq!(door.ok("/vm/list", &json!({})), json!([]));
    let anonymous = Request::new("POST", "/vm/list");
    let refused =
        network.in_host(|| exchange(TcpStream::connect("127.0.0.1:3002").unwrap(), &anonymous));
    assert_eq!(refused.status, 401);
}

#[test]
fn a_door_without_a_credential_asks_the_kernel_who_knocks() {
    if skip_without_root("callers who are other users") {
        return;
    }
    let network = Arc::new(PrivateNetwork::new());
    let config = format!("{TCG}[door.vminfod]\nanonymous = 'viewer'\n");
    let mut daemon = Daemon::prepared(&config).in_network(&network);
    daemon.launch();
    let ping = Request::new("GET", "/ping");
    let reply = network.in_host(|| exchange(TcpStream::connect("127.0.0.1:9090").unwrap(), &ping));
    assert_eq!(reply.ok().json(), json!({ "ping": "pong" }));
    let curl = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:9090/vms"];
    let as_nobody = [&["--reuid=65534", "--clear-groups", "curl"][..], &curl].concat();
    assert_eq!(network.output("setpriv", &as_nobody), "403");
}

#[test]
fn a_door_that_nobody_said_enough_about_keeps_the_daemon_from_starting() {
    for (door, why) in [
        ("vminfod=127.0.0.1:0", "credential"),
        ("virtx=127.0.0.1:0", "credential"),
        ("chypervisord=0.0.0.0:0,anonymous=admin", "loopback"),
        ("vmm=127.0.0.1:0,anonymous=admin", "token"),
        ("xen=127.0.0.1:0", "not a door"),
    ] {
        let daemon = Daemon::prepared(TCG);
        let finished = daemon.inn(&["serve", "--door", door]);
        assert_eq!(finished.status.code(), Some(2), "{door}: {finished:?}");
        assert!(finished.stderr.contains(why), "{door}: {}", finished.stderr);
    }
}
