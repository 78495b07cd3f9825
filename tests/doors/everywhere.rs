//! A change made through any door is seen through all of them, and through the native API, the moment its
//! answer has come: by whoever reads, and by whoever follows a stream.

use super::streams::Stream;
use crate::{
    contracts::address,
    harness::{Daemon, Reply, Request, exchange},
};
use serde_json::{Value, json};
use std::{fs, net::TcpStream};

/// A daemon of simulated machines with every door open.
pub(super) struct Doors {
    pub(super) daemon: Daemon,
    pub(super) vminfod: String,
    vmm: String,
    chypervisord: String,
    virtx: String,
    token: String,
    host: String,
}

impl Doors {
    fn open() -> Self {
        let mut daemon = Daemon::prepared("").with_flags(&[
            "--driver",
            "sim",
            "--door",
            "vminfod=127.0.0.1:0,anonymous=viewer",
            "--door",
            "vmm=127.0.0.1:0",
            "--door",
            "chypervisord=127.0.0.1:0,anonymous=viewer",
            "--door",
            "virtx=127.0.0.1:0,anonymous=admin",
        ]);
        daemon.launch();
        let rootfs = daemon.scratch().join("rootfs.ext4");
        fs::write(&rootfs, vec![0; 1 << 20]).unwrap();
        let rootfs = rootfs.to_str().unwrap().to_owned();
        let kind = ["--name", "rootfs.ext4", "--kind", "disk", "--format", "raw"];
        daemon.inn_ok(&[&["image", "add", &rootfs][..], &kind].concat());
        let token = fs::read_to_string(daemon.state().join("token")).unwrap().trim().to_owned();
        let log = daemon.log();
        let [vminfod, vmm, chypervisord, virtx] =
            ["vminfod", "vmm", "chypervisord", "virtx"].map(|door| address(&log, door));
        let mut doors =
            Self { daemon, vminfod, vmm, chypervisord, virtx, token, host: String::new() };
        let hosts = doors.ask(&doors.chypervisord, Request::new("GET", "/hypervisors")).ok().json();
        doors.host = hosts[0]["id"].as_str().unwrap().to_owned();
        doors
    }

    fn ask(&self, door: &str, request: Request) -> Reply {
        exchange(TcpStream::connect(door).unwrap(), &request)
    }

    fn to_vmm(&self, path: &str, body: &Value) -> Reply {
        let token = format!("Bearer {}", self.token);
        let request = Request::new("POST", path).header("Authorization", &token).json(body);
        self.ask(&self.vmm, request)
    }

    fn to_virtx(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.ask(&self.virtx, Request::new(method, path).json(body))
    }

    /// Has virtx do something to a VM's machine.
    fn virtx_power(&self, method: &str, vm: &str, what: &str, body: &Value) {
        self.to_virtx(method, &format!("/vms/{vm}/runstate/{what}"), body).ok();
    }

    /// Has the VMM service do something to a VM.
    fn vmm_verb(&self, vm: &str, verb: &str) {
        let body = json!({ "build_id": vm, "force": true });
        self.to_vmm(&format!("/vm/{verb}"), &body).ok();
    }

    /// What each shows of a VM, by its own words; `None` where it has none.
    fn shown(&self, vm: &str) -> [(&'static str, Option<Shown>); 4] {
        let native = self.daemon.send(&Request::new("GET", &format!("/v1/vms/{vm}")));
        let vminfod = self.ask(&self.vminfod, Request::new("GET", &format!("/vms/{vm}")));
        let vmm = self.to_vmm("/vm/info", &json!({ "build_id": vm }));
        let virtx = self.to_virtx("GET", &format!("/vms/{vm}"), &json!({}));
        [
            ("native", of(&native, "/name", "/spec/config/memory", "/state")),
            ("vminfod", of(&vminfod, "/alias", "/ram", "/state")),
            ("vmm", of(&vmm, "/name", "/resources/mem_size_mib", "/state")),
            ("virtx", of(&virtx, "/def/name", "/def/memory/total", "/runinfo/runstate")),
        ]
    }

    /// How far the changes have come that whoever reads now sees.
    fn revision(&self) -> u64 {
        let reply = self.daemon.send(&Request::new("GET", "/v1/vms")).ok();
        reply.header("innkeeper-revision").unwrap().parse().unwrap()
    }

    /// Whether chypervisord's registry shows it on this host.
    fn is_guest(&self, vm: &str) -> bool {
        let path = format!("/hypervisors/{}/guests", self.host);
        let guests = self.ask(&self.chypervisord, Request::new("GET", &path)).ok().json();
        guests.as_array().unwrap().iter().any(|guest| guest == vm)
    }
}

/// What is shown of a VM: its name, its memory in MiB and its state.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    name: String,
    memory: u64,
    state: &'static str,
}

impl Shown {
    /// By the words of whichever surface.
    #[track_caller]
    pub(super) fn of(name: &Value, memory: &Value, state: &Value) -> Self {
        let memory = match memory {
            Value::String(text) => text.strip_suffix("MiB").unwrap().parse().unwrap(),
            number => number.as_u64().unwrap(),
        };
        let state = match state.to_string().trim_matches('"') {
            "stopped" | "2" => "stopped",
            "running" | "4" => "running",
            "paused" | "5" => "paused",
            other => panic!("{name}: {other}"),
        };
        Self { name: name.as_str().unwrap().to_owned(), memory, state }
    }
}

#[track_caller]
fn of(reply: &Reply, name: &str, memory: &str, state: &str) -> Option<Shown> {
    if reply.status == 404 {
        return None;
    }
    let vm = reply.json();
    let at = |pointer: &str| vm.pointer(pointer).unwrap_or_else(|| panic!("{pointer}: {vm}"));
    Some(Shown::of(at(name), at(memory), at(state)))
}

/// A change: of which surface, what, and what all show afterwards. It is given the VM of the change before
/// it, and says which it made or changed.
struct Change {
    by: &'static str,
    what: &'static str,
    make: fn(&Doors, &str) -> String,
    expected: Option<(&'static str, u64, &'static str)>,
}

const fn change(
    by: &'static str,
    what: &'static str,
    make: fn(&Doors, &str) -> String,
    expected: Option<(&'static str, u64, &'static str)>,
) -> Change {
    Change { by, what, make, expected }
}

/// virtx's definition of a VM with a disk of its own.
fn vmdef(name: &str, memory: u64) -> Value {
    json!({
        "name": name,
        "cpudef": { "model": "host-model", "nodes": 1, "sockets": 1, "cores": 1, "threads": 1 },
        "memory": { "total": memory },
        "osdisk": { "path": "/vms/ds/os.qcow2", "man": 1, "prov": 1, "size": 4 },
    })
}

const CHANGES: &[Change] = &[
    change(
        "native",
        "create",
        |doors, _| doors.daemon.create(&json!({ "name": "a", "memory": "64MiB" })),
        Some(("a", 64, "stopped")),
    ),
    change(
        "native",
        "start",
        |doors, vm| {
            doors.daemon.act(vm, "start");
            vm.into()
        },
        Some(("a", 64, "running")),
    ),
    change(
        "virtx",
        "pause",
        |doors, vm| {
            doors.virtx_power("POST", vm, "pause", &json!({}));
            vm.into()
        },
        Some(("a", 64, "paused")),
    ),
    change(
        "virtx",
        "resume",
        |doors, vm| {
            doors.virtx_power("DELETE", vm, "pause", &json!({}));
            vm.into()
        },
        Some(("a", 64, "running")),
    ),
    change(
        "vmm",
        "stop",
        |doors, vm| {
            doors.vmm_verb(vm, "stop");
            vm.into()
        },
        Some(("a", 64, "stopped")),
    ),
    change(
        "vmadm",
        "update",
        |doors, vm| {
            doors.daemon.inn_ok(&["vmadm", "update", vm, "alias=b", "ram=96"]);
            vm.into()
        },
        Some(("b", 96, "stopped")),
    ),
    change(
        "vmadm",
        "start",
        |doors, vm| {
            doors.daemon.inn_ok(&["vmadm", "start", vm]);
            vm.into()
        },
        Some(("b", 96, "running")),
    ),
    change(
        "virtx",
        "shutdown",
        |doors, vm| {
            doors.virtx_power("DELETE", vm, "boot", &json!({ "force": 1 }));
            vm.into()
        },
        Some(("b", 96, "stopped")),
    ),
    change(
        "native",
        "delete",
        |doors, vm| {
            doors.daemon.done(Request::new("DELETE", &format!("/v1/vms/{vm}")));
            vm.into()
        },
        None,
    ),
    change(
        "vmm",
        "create",
        |doors, _| {
            let vm_config = json!({ "mem_size_mib": 128, "rootfs": "rootfs.ext4" });
            let created =
                doors.to_vmm("/vm/create", &json!({ "name": "c", "vm_config": vm_config })).ok();
            created.json()["vm_id"].as_str().unwrap().into()
        },
        Some(("c", 128, "stopped")),
    ),
    change(
        "vmm",
        "boot",
        |doors, vm| {
            doors.vmm_verb(vm, "boot");
            vm.into()
        },
        Some(("c", 128, "running")),
    ),
    change(
        "vmm",
        "delete",
        |doors, vm| {
            doors.vmm_verb(vm, "delete");
            vm.into()
        },
        None,
    ),
    change(
        "virtx",
        "create",
        |doors, _| {
            let created = doors.to_virtx("POST", "/vms", &json!({ "vmdef": vmdef("d", 64) })).ok();
            created.json().as_str().unwrap().into()
        },
        Some(("d", 64, "stopped")),
    ),
    change(
        "virtx",
        "update",
        |doors, vm| {
            doors.to_virtx("PUT", &format!("/vms/{vm}"), &json!({ "vmdef": vmdef("e", 80) })).ok();
            vm.into()
        },
        Some(("e", 80, "stopped")),
    ),
    change(
        "virtx",
        "boot",
        |doors, vm| {
            doors.virtx_power("POST", vm, "boot", &json!({}));
            vm.into()
        },
        Some(("e", 80, "running")),
    ),
    change(
        "vmadm",
        "stop",
        |doors, vm| {
            doors.daemon.inn_ok(&["vmadm", "stop", vm]);
            vm.into()
        },
        Some(("e", 80, "stopped")),
    ),
    change(
        "virtx",
        "delete",
        |doors, vm| {
            let body = json!({ "deletestorage": true });
            doors.to_virtx("DELETE", &format!("/vms/{vm}"), &body).ok();
            vm.into()
        },
        None,
    ),
];

/// What every stream is to have told of a VM by a revision.
struct Expected {
    after: String,
    vm: String,
    shown: Option<Shown>,
    revision: u64,
}

#[test]
fn a_change_made_through_any_door_is_seen_through_all() {
    let doors = Doors::open();
    let streams = Stream::all(&doors);
    let mut vm = String::new();
    let mut told = Vec::new();
    for Change { by, what, make, expected } in CHANGES {
        vm = make(&doors, &vm);
        let revision = doors.revision();
        let expected =
            expected.map(|(name, memory, state)| Shown { name: name.into(), memory, state });
        for (surface, shown) in doors.shown(&vm) {
            assert_eq!(shown, expected, "{surface}, after {by}'s {what}");
        }
        assert_eq!(doors.is_guest(&vm), expected.is_some(), "chypervisord, after {by}'s {what}");
        let after = format!("{by}'s {what}");
        told.push(Expected { after, vm: vm.clone(), shown: expected, revision });
    }
    // When a stream tells of this, it has told of all that was before.
    let last = doors.daemon.create(&json!({ "name": "last", "memory": "16MiB" }));
    for stream in streams {
        let all = stream.until_made(&last);
        for Expected { after, vm, shown, revision } in &told {
            assert_eq!(all.of(vm, *revision), *shown, "{}, after {after}", stream.name);
        }
    }
}
