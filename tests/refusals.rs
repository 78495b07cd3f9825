//! Bad input: every refused request changes nothing, and says which field, which value and which
//! limit.

mod fixture;

use crate::harness::{Daemon, Request};
use fixture::{Case, Fixture, qcow2, refused};
use serde_json::{Value, json};
use std::fs;

fn create(config: Value) -> Request {
    Request::new("POST", "/v1/vms").json(&config)
}

/// A create of a VM with one more field, or one field that is another.
fn with(field: &str, value: Value) -> Request {
    let mut config = json!({ "name": "new", "memory": "32MiB", "display": "none" });
    config[field] = value;
    create(config)
}

fn with_disk(disk: Value) -> Request {
    let mut disk = disk;
    disk["name"] = "root".into();
    with("disks", json!([disk]))
}

#[test]
fn fields_that_are_not_and_values_that_cannot_be() {
    let host = Fixture::new();
    let memory = host.daemon.get("/v1/host")["memory"].as_str().unwrap().to_owned();
    let long = "x".repeat(64);
    let unknown_names =
        ["", "../new", "a/b", "a,b", "a\"b", "a\nb", "\u{1f980}", "-rf", "a b", &long];
    let bad_names =
        unknown_names.map(|name| refused(with("name", json!(name)), 422, "name").says(name));
    host.check(&bad_names);
    host.check(&[
        refused(with("cpu", json!(2)), 422, "cpu").says("2"),
        refused(with_disk(json!({ "size": "8MiB", "colour": "red" })), 422, "disks[0].colour")
            .says("red"),
        refused(with("boot", json!({ "firmware": "bios", "kernel": {} })), 422, "boot"),
        refused(with("cpus", json!("many")), 422, "cpus").says("many"),
        refused(with("cpus", json!(-1)), 422, "cpus").says("-1"),
        refused(with("name", json!(7)), 422, "name").says("7"),
        refused(with("disks", json!({})), 422, "disks"),
        refused(create(json!({})), 422, "name"),
        refused(create(json!([])), 422, "body"),
        refused(with("cpus", json!(0)), 422, "cpus").limit("1..=288"),
        refused(with("cpus", json!(289)), 422, "cpus").limit("1..=288").says("289"),
        refused(with("cpus", json!(288)), 422, "cpus").says("this host has"),
        refused(with("memory", json!("15MiB")), 422, "memory").limit("16MiB").says("15MiB"),
        refused(with("memory", json!("900TiB")), 422, "memory").limit(&memory),
        refused(with("memory", json!("512")), 422, "memory").says("unit"),
        refused(with("memory", json!(512)), 422, "memory"),
        refused(with("memory", json!("99999999999PiB")), 422, "memory"),
        refused(with("machine", json!("pc-i440fx-10.0")), 422, "machine").limit("pc-q35-*"),
        refused(with("machine", json!("q35,accel=kvm")), 422, "machine"),
        refused(with("cpu_model", json!("Nehalem,+vmx")), 422, "cpu_model"),
        refused(
            with("nics", json!([{ "name": "a", "mac": "53:54:00:00:00:01" }])),
            422,
            "nics[0].mac",
        ),
        refused(with("nics", json!([{ "name": "a" }, { "name": "a" }])), 422, "nics[1].name"),
        refused(with_disk(json!({})), 422, "disks[0]"),
        refused(with_disk(json!({ "size": "0B" })), 422, "disks[0].size").limit("512B"),
        refused(with_disk(json!({ "size": "513B" })), 422, "disks[0].size").limit("512B"),
        refused(with_disk(json!({ "size": "2TiB" })), 422, "disks[root].size").limit("1TiB"),
        refused(with_disk(json!({ "size": "8MiB", "serial": long })), 422, "disks[0].serial")
            .limit("20"),
        refused(with_disk(json!({ "size": "8MiB", "serial": "a\nb" })), 422, "disks[0].serial"),
    ]);
}

#[test]
fn changes_and_copies_that_cannot_be() {
    let host = Fixture::new();
    let change = |field: &str, value: Value| {
        let mut config = host.daemon.vm("still")["spec"]["config"].clone();
        config[field] = value;
        Request::new("PUT", "/v1/vms/still").json(&config)
    };
    let disk = |disk: Value| {
        let mut disk = disk;
        disk["name"] = "more".into();
        change("disks", json!([disk]))
    };
    let merge = |patch: Value| {
        let patch_type = "application/merge-patch+json";
        Request::new("PATCH", "/v1/vms/still").json(&patch).header("Content-Type", patch_type)
    };
    host.check(&[
        refused(disk(json!({ "size": "2TiB" })), 422, "disks[more].size").limit("1TiB"),
        refused(disk(json!({ "image": "base", "size": "512B" })), 422, "disks[more].size")
            .limit("1MiB"),
        refused(disk(json!({ "image": "absent" })), 404, "disks[more].image"),
        refused(disk(json!({ "image": "base", "kind": "cdrom" })), 422, "disks[more].image"),
        refused(disk(json!({ "kind": "cdrom", "size": "1MiB" })), 422, "disks[more].kind"),
        refused(change("cpus", json!(0)), 422, "cpus").limit("1..=288"),
        refused(merge(json!({ "memory": "1MiB" })), 422, "memory").limit("16MiB"),
        refused(
            merge(json!({ "disks": [{ "name": "more", "size": "2TiB" }] })),
            422,
            "disks[more].size",
        )
        .limit("1TiB"),
    ]);
}

#[test]
fn images_and_paths_that_are_not_or_may_not_be() {
    let host = Fixture::new();
    let path = |path: &str| with_disk(json!({ "path": path, "format": "raw" }));
    let at = "disks[root].path";
    let file = |name: &str| host.files().join(name).to_str().unwrap().to_owned();
    let kernel = |kernel: Value| with("boot", json!({ "kernel": kernel }));
    host.check(&[
        refused(path("/etc/passwd"), 422, at).says("/etc/passwd"),
        refused(path(&file("outside/disk.raw")), 422, at),
        refused(path(&file("allowed/../outside/disk.raw")), 422, at),
        refused(path(&file("allowed/link.raw")), 422, at),
        refused(path(&file("allowed/folder/disk.raw")), 422, at),
        refused(path(&file("allowed/absent.raw")), 422, at),
        refused(path(&file("allowed")), 422, at),
        refused(path("allowed/disk.raw"), 422, at),
        refused(path(host.daemon.state().join("token").to_str().unwrap()), 422, at),
        refused(with_disk(json!({ "path": file("allowed/disk.raw") })), 422, "disks[0].format"),
        refused(with_disk(json!({ "image": "absent" })), 404, "disks[root].image").says("absent"),
        refused(with_disk(json!({ "image": "../base" })), 422, "disks[0].image"),
        refused(with_disk(json!({ "image": "base", "kind": "cdrom" })), 422, "disks[root].image"),
        refused(with_disk(json!({ "kind": "cdrom", "size": "1MiB" })), 422, "disks[root].kind"),
        refused(with_disk(json!({ "path": file("allowed/disk.raw"), "format": "qcow2" })), 422, at),
        refused(with_disk(json!({ "image": "base", "size": "512B" })), 422, "disks[root].size")
            .limit("1MiB"),
        refused(kernel(json!({ "image": "absent" })), 404, "boot.kernel.image"),
        refused(kernel(json!({ "image": "base" })), 422, "boot.kernel.image"),
        refused(kernel(json!({ "path": "/etc/passwd" })), 422, "boot.kernel.path"),
        refused(kernel(json!({ "path": file("allowed/disk.raw") })), 422, "boot.kernel.path"),
        refused(kernel(json!({})), 422, "boot.kernel"),
        refused(
            kernel(json!({ "image": "base", "cmdline": "x".repeat(2048) })),
            422,
            "boot.kernel.cmdline",
        )
        .limit("2047"),
    ]);
}

#[test]
fn imports_of_what_could_be_used_against_the_host() {
    let host = Fixture::new();
    let import = |body: Value| {
        let mut body = body;
        body["name"] = "new".into();
        Request::new("POST", "/v1/images").json(&body)
    };
    let disk = |name: &str, bytes: &[u8]| {
        let path = host.files().join("outside").join(name);
        fs::write(&path, bytes).unwrap();
        let said = path.to_str().unwrap().to_owned();
        refused(import(json!({ "kind": "disk", "path": said })), 422, "path").says(name)
    };
    let url = |url: &str| {
        import(
            json!({ "kind": "disk", "url": url, "checksum": format!("sha256:{}", "0".repeat(64)) }),
        )
    };
    let whole = qcow2(|_| {});
    host.check(&[
        disk(
            "backed.qcow2",
            &qcow2(|bytes| {
                bytes[8..16].copy_from_slice(&512_u64.to_be_bytes());
                bytes[16..20].copy_from_slice(&11_u32.to_be_bytes());
                bytes[512..523].copy_from_slice(b"/etc/passwd");
            }),
        )
        .says("backing file"),
        disk("split.qcow2", &qcow2(|bytes| bytes[79] |= 4)).says("another file"),
        disk("future.qcow2", &qcow2(|bytes| bytes[72] |= 0x80)).says("features"),
        disk("encrypted.qcow2", &qcow2(|bytes| bytes[35] = 2)).says("encrypted"),
        disk("corrupt.qcow2", &qcow2(|bytes| bytes[79] |= 2)).says("corrupt"),
        disk("cut.qcow2", &whole[..whole.len() / 2]).says("cut short"),
        disk("shorter.qcow2", &whole[..60]).says("cut short"),
        disk(
            "vast.qcow2",
            &qcow2(|bytes| bytes[24..32].copy_from_slice(&(1_u64 << 60).to_be_bytes())),
        ),
        disk("foreign.vmdk", &[b"KDMV".as_slice(), &[0; 2044]].concat()),
        disk("empty.raw", b""),
        disk("odd.raw", &[1; 1000]),
    ]);
    let vmlinuz = host.files().join("outside/disk.raw");
    host.check(&[
        refused(import(json!({ "kind": "disk", "path": "/nowhere/disk.raw" })), 422, "path")
            .says("/nowhere"),
        refused(import(json!({ "kind": "disk", "path": "/etc" })), 422, "path"),
        refused(import(json!({ "kind": "kernel", "path": vmlinuz })), 422, "path"),
        refused(import(json!({ "kind": "iso", "path": vmlinuz })), 422, "path"),
        refused(import(json!({ "kind": "disk", "path": vmlinuz, "format": "qcow2" })), 422, "path"),
        refused(
            import(json!({ "kind": "disk", "path": vmlinuz, "initrd": vmlinuz })),
            422,
            "initrd",
        ),
        refused(import(json!({ "kind": "floppy", "path": vmlinuz })), 422, "kind"),
        refused(import(json!({ "kind": "disk" })), 422, "path"),
        refused(import(json!({ "kind": "disk", "url": "http://example.org/x" })), 422, "checksum"),
        refused(url("http://127.0.0.1:9/disk.raw"), 422, "url").says("127.0.0.1"),
        refused(url("http://169.254.169.254/latest"), 422, "url").says("169.254.169.254"),
        refused(url("http://[::1]:9/disk.raw"), 422, "url"),
        refused(url("file:///etc/passwd"), 422, "url"),
        refused(url("ftp://example.org/disk.raw"), 422, "url").says("ftp://example.org/disk.raw"),
        refused(
            import(
                json!({ "kind": "disk", "url": "http://example.org/x", "checksum": "sha256:12" }),
            ),
            422,
            "checksum",
        )
        .says("sha256:12"),
        refused(
            import(json!({ "kind": "disk", "path": vmlinuz, "checksum": "sha256:12" })),
            422,
            "checksum",
        ),
        refused(import(json!({ "kind": "iso", "path": vmlinuz, "format": "raw" })), 422, "format"),
        refused(
            import(json!({ "kind": "disk", "path": vmlinuz, "format": "vmdk" })),
            422,
            "format",
        ),
        refused(import(json!({ "kind": "disk", "path": "relative/disk.raw" })), 422, "path")
            .says("absolute"),
        refused(Request::new("DELETE", "/v1/images/absent"), 404, "").says("absent"),
    ]);
    let taken = json!({ "name": "base", "kind": "disk", "path": vmlinuz });
    host.check(&[
        refused(Request::new("POST", "/v1/images").json(&taken), 409, "name").code("name-taken")
    ]);
}

#[test]
fn requests_that_are_none() {
    let host = Fixture::new();
    let post = |body: &[u8]| {
        Request::new("POST", "/v1/vms").header("Content-Type", "application/json").bytes(body)
    };
    let get = |path: &str| Request::new("GET", path);
    let put = |if_match: &str| {
        let config = host.daemon.vm("still")["spec"]["config"].clone();
        Request::new("PUT", "/v1/vms/still").header("If-Match", if_match).json(&config)
    };
    let start = |body: &[u8]| {
        Request::new("POST", "/v1/vms/busy/stop")
            .header("Content-Type", "application/json")
            .bytes(body)
    };
    host.check(&[
        refused(post(b"{\"name\": \"new\",\n  oops}"), 400, "line 2 column 3")
            .says("line 2 column 3"),
        refused(post(b"{\"name\": \"new\""), 400, "line 1 column 14"),
        refused(post(b""), 400, "line 1 column 0"),
        refused(post(b"\xff\xfe\x00"), 400, "line 1 column 1"),
        refused(post(&vec![b' '; (1 << 20) + 1]), 413, "").code("too-large").limit("1048576 bytes"),
        refused(post(b"name=new").header("Content-Type", "text/plain"), 400, "Content-Type"),
        refused(start(br#"{"timeout_s": -1}"#), 422, "timeout_s").says("-1"),
        refused(start(br#"{"timeout": 1}"#), 422, "timeout"),
        refused(get("/v1/vms?stat=running"), 422, "?stat").says("running"),
        refused(get("/v1/vms?state=running&state=asleep"), 422, "state").says("asleep"),
        refused(get("/v1/vms?limit=many"), 422, "limit").says("many"),
        refused(get("/v1/vms?after=nonsense"), 422, "after"),
        refused(get("/v1/events?since=yesterday"), 422, "since").says("yesterday"),
        refused(get("/v1/vms/absent"), 404, "").says("absent"),
        refused(get("/v1/vms/..%2f..%2fetc%2fpasswd"), 404, ""),
        refused(get("/v1/tasks/not-an-id"), 404, "").says("not-an-id"),
        refused(get("/v1/nothing"), 404, ""),
        refused(Request::new("PATCH", "/v1/host"), 405, "").code("method-not-allowed"),
        refused(Request::new("POST", "/v1/vms/still/explode"), 404, ""),
        refused(
            Request::new("POST", "/v1/vms?id=not-an-id").json(&json!({ "name": "new" })),
            422,
            "id",
        )
        .says("not-an-id"),
        refused(create(json!({ "name": "still", "memory": "32MiB" })), 409, "name")
            .code("name-taken"),
        refused(put("\"999\""), 412, "If-Match").code("revision-conflict"),
        refused(
            create(json!({ "name": "other" })).header("Idempotency-Key", fixture::USED_KEY),
            409,
            "Idempotency-Key",
        )
        .code("idempotency-conflict"),
    ]);
}

#[test]
fn verbs_in_states_that_they_do_not_fit() {
    let host = Fixture::new();
    let act = |vm: &str, verb: &str, state: &str| {
        refused(Request::new("POST", &format!("/v1/vms/{vm}/{verb}")), 409, "")
            .code("wrong-state")
            .says(verb)
            .says(state)
    };
    let mut cases: Vec<Case> = ["stop", "kill", "reboot", "reset", "pause", "resume"]
        .map(|verb| act("still", verb, "stopped"))
        .into();
    cases.extend(["start", "resume"].map(|verb| act("busy", verb, "running")));
    let clone = Request::new("POST", "/v1/vms/busy/clone").json(&json!({ "name": "new" }));
    cases.push(refused(clone, 409, "").code("wrong-state").says("clone").says("running"));
    let delete = |vm: &str| refused(Request::new("DELETE", &format!("/v1/vms/{vm}")), 409, "");
    cases.push(delete("busy").code("wrong-state").says("delete").says("running"));
    cases.push(delete("kept").code("protected"));
    cases.push(
        refused(Request::new("DELETE", "/v1/vms/kept?force=true"), 409, "").code("protected"),
    );
    host.check(&cases);

    let finished = host.daemon.inn(&["start", "busy"]);
    assert_eq!(finished.status.code(), Some(4), "{finished:?}");
    assert_eq!(finished.stdout, "");
    assert!(
        finished.stderr.contains("start") && finished.stderr.contains("running"),
        "{finished:?}"
    );
    let finished = host.daemon.inn(&["create", "new", "--memory", "1KiB"]);
    assert!(finished.stderr.contains("memory"), "{finished:?}");
    assert_eq!(host.daemon.inn(&["get", "absent"]).status.code(), Some(3));
}

#[test]
fn a_host_without_qemu_serves_and_names_the_package() {
    let daemon =
        Daemon::configured("[qemu]\nprogram = \"qemu-system-nowhere\"\naccelerator = \"tcg\"\n");
    assert_eq!(daemon.get("/v1/vms")["items"], json!([]));
    let reply = daemon.send(&with("cpus", json!(1)));
    let problem = reply.json();
    assert_eq!((reply.status, &problem["code"]), (503, &json!("missing-program")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("qemu-system-nowhere"), "{problem}");
    assert!(problem["hint"].as_str().unwrap().contains("qemu-system-x86"), "{problem}");
    let doctor = daemon.inn(&["doctor"]);
    assert!(!doctor.stdout.is_empty(), "{doctor:?}");
}
