//! A change made through any door is seen through all of them, and through the native API, the moment its
//! answer has come: by whoever reads a VM or a list, and by whoever follows a stream.
//!
//! - `changes` is the table of them, and `coverage` compares it with what the surfaces offer;
//! - `shown` is what surfaces show of a VM, in their words.

mod changes;
mod coverage;
pub(super) mod shown;

use super::streams::Stream;
use crate::{
    contracts::address,
    harness::{Daemon, Reply, Request, exchange},
};
use changes::{CHANGES, Change, Has, Is, Then};
use serde_json::{Value, json};
use shown::{Machine, NATIVE, Shown, VIRTX, VIRTX_IN_LISTS, VMINFOD, VMM, Words};
use std::{collections::BTreeMap, fs, net::TcpStream};

/// A daemon of simulated machines with every door open.
pub(super) struct Doors {
    pub(super) daemon: Daemon,
    pub(super) vminfod: String,
    vmm: String,
    chypervisord: String,
    virtx: String,
    token: String,
    /// This host, in chypervisord's registry.
    host: String,
}

/// A surface that shows VMs.
#[derive(Debug, Clone, Copy)]
enum Surface {
    Native,
    Vminfod,
    Vmm,
    Virtx,
}

/// What there should be of each VM, by its id.
type Expected = BTreeMap<String, Shown>;

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
            "chypervisord=127.0.0.1:0,anonymous=admin",
            "--door",
            "virtx=127.0.0.1:0,anonymous=admin",
        ]);
        daemon.launch();
        let rootfs = daemon.scratch().join("rootfs.ext4");
        fs::write(&rootfs, vec![0; 1 << 20]).unwrap();
        let rootfs = rootfs.to_str().unwrap().to_owned();
        let kind = ["--name", "rootfs.ext4", "--kind", "disk", "--format", "raw"];
        daemon.inn_ok(&[&["image", "add", &rootfs][..], &kind].concat());
        daemon.inn_ok(&["network", "create", "default", "--subnet", "10.87.3.0/24"]);
        daemon.inn_ok(&["network", "create", "other"]);
        let token = fs::read_to_string(daemon.state().join("token")).unwrap().trim().to_owned();
        let log = daemon.log();
        let [vminfod, vmm, chypervisord, virtx] =
            ["vminfod", "vmm", "chypervisord", "virtx"].map(|door| address(&log, door));
        let mut doors =
            Self { daemon, vminfod, vmm, chypervisord, virtx, token, host: String::new() };
        let hosts = doors.to_chypervisord("GET", "/hypervisors", &Value::Null).ok().json();
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

    fn to_chypervisord(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.ask(&self.chypervisord, Request::new(method, path).json(body))
    }

    /// How a surface answers who asks for a VM.
    fn ask_for(&self, surface: Surface, vm: &str) -> Reply {
        match surface {
            Surface::Native => self.daemon.send(&Request::new("GET", &format!("/v1/vms/{vm}"))),
            Surface::Vminfod => self.ask(&self.vminfod, Request::new("GET", &format!("/vms/{vm}"))),
            Surface::Vmm => self.to_vmm("/vm/info", &json!({ "build_id": vm })),
            Surface::Virtx => self.to_virtx("GET", &format!("/vms/{vm}"), &json!({})),
        }
    }

    /// What it shows of the VM; `None` where there is none.
    #[track_caller]
    fn shown(&self, surface: Surface, vm: &str) -> Option<Shown> {
        let reply = self.ask_for(surface, vm);
        (reply.status != 404).then(|| Shown::of(surface.words(), &reply.ok().json()))
    }

    /// What it lists, by the ids of VMs.
    #[track_caller]
    fn listed(&self, surface: Surface) -> Expected {
        let list = match surface {
            Surface::Native => self.daemon.get("/v1/vms")["items"].take(),
            Surface::Vminfod => self.ask(&self.vminfod, Request::new("GET", "/vms")).ok().json(),
            Surface::Vmm => self.to_vmm("/vm/list", &json!({})).ok().json(),
            Surface::Virtx => self.to_virtx("GET", "/vms", &json!({})).ok().json()["items"].take(),
        };
        let words = surface.words_in_lists();
        let vms = list.as_array().into_iter().flatten();
        let of = |vm: &Value| {
            let id = vm.pointer(words.id).and_then(Value::as_str).unwrap();
            (id.to_owned(), Shown::of(words, vm))
        };
        vms.map(of).collect()
    }

    /// How far the changes have come that whoever reads now sees.
    fn revision(&self) -> u64 {
        let reply = self.daemon.send(&Request::new("GET", "/v1/vms")).ok();
        reply.header("innkeeper-revision").unwrap().parse().unwrap()
    }

    /// That all surfaces show this and nothing else, of this VM and of all.
    #[track_caller]
    fn check(&self, expected: &Expected, vm: &str, after: &str) {
        for surface in Surface::ALL {
            let of_it = expected.get(vm).map(|vm| vm.in_words(surface.words()));
            assert_eq!(self.shown(surface, vm), of_it, "{surface:?}, after {after}");
            let words = surface.words_in_lists();
            let all = expected.iter().map(|(id, vm)| (id.clone(), vm.in_words(words))).collect();
            assert_eq!(self.listed(surface), all, "{surface:?}'s list, after {after}");
        }
        self.check_registry(expected, after);
    }

    /// The same of chypervisord: which VMs are this host's, and what of its memory they have.
    #[track_caller]
    fn check_registry(&self, expected: &Expected, after: &str) {
        let read = |path: &str| self.to_chypervisord("GET", path, &Value::Null).ok().json();
        let path = format!("/hypervisors/{}", self.host);
        let guests: Vec<&String> = expected.keys().collect();
        assert_eq!(read(&format!("{path}/guests")), json!(guests), "chypervisord, after {after}");
        let host = read(&path);
        let hosts = read("/hypervisors");
        assert!(hosts.as_array().unwrap().contains(&host), "{host} in {hosts}, after {after}");
        let memory = |which: &str| host[which]["memory"].as_u64().unwrap();
        let promised: u64 = expected.values().map(Shown::promised).sum();
        let shown = memory("total_resources") - memory("available_resources");
        assert_eq!(shown, promised, "the memory that is promised, after {after}");
    }

    /// What a VM is after a change, by what the table says of it and by the machine that it has or had.
    #[track_caller]
    fn expected(&self, vm: &str, before: Option<&Shown>, then: Is, after: &str) -> Shown {
        let Is { name, memory, state, has, nics } = then;
        let had = before.and_then(|before| before.machine.clone()).unwrap_or(Machine::None);
        let machine = self.shown(Surface::Native, vm).and_then(|vm| vm.machine).unwrap();
        match has {
            Has::None => assert_eq!(machine, Machine::None, "after {after}"),
            Has::Same => assert_eq!(machine, had, "it is the same machine, after {after}"),
            Has::New => assert!(machine != had && machine != Machine::None, "after {after}"),
        }
        Shown {
            name: name.into(),
            memory: Some(memory),
            state,
            nics: Some(nics.iter().map(|&nic| nic.into()).collect()),
            machine: Some(machine),
        }
    }
}

impl Surface {
    const ALL: [Self; 4] = [Self::Native, Self::Vminfod, Self::Vmm, Self::Virtx];

    fn words(self) -> &'static Words {
        match self {
            Self::Native => &NATIVE,
            Self::Vminfod => &VMINFOD,
            Self::Vmm => &VMM,
            Self::Virtx => &VIRTX,
        }
    }

    fn words_in_lists(self) -> &'static Words {
        match self {
            Self::Virtx => &VIRTX_IN_LISTS,
            other => other.words(),
        }
    }
}

/// What every stream is to have told of a VM by a revision.
struct Told {
    after: String,
    vm: String,
    shown: Option<Shown>,
    revision: u64,
}

#[test]
fn a_change_made_through_any_door_is_seen_through_all() {
    let doors = Doors::open();
    let streams = Stream::all(&doors);
    let mut expected = Expected::new();
    let mut vm = String::new();
    let mut told = Vec::new();
    for Change { by, what, make, then } in CHANGES {
        let after = format!("{by}'s {what}");
        vm = make(&doors, &vm);
        let revision = doors.revision();
        match then {
            Then::Gone => drop(expected.remove(&vm)),
            Then::Same => {}
            Then::Is(is) => {
                let shown = doors.expected(&vm, expected.get(&vm), *is, &after);
                expected.insert(vm.clone(), shown);
            }
        }
        doors.check(&expected, &vm, &after);
        told.push(Told { after, vm: vm.clone(), shown: expected.get(&vm).cloned(), revision });
    }
    // When a stream tells of this, it has told of all that was before.
    let last = doors.daemon.create(&json!({ "name": "last", "memory": "16MiB" }));
    for stream in streams {
        let all = stream.until_made(&last);
        for Told { after, vm, shown, revision } in &told {
            assert_eq!(all.of(vm, *revision), *shown, "{}, after {after}", stream.name);
        }
    }
}
