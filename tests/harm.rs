//! Do no harm: only what carries Innkeeper's mark and is on record is touched, whatever else runs on
//! the host and whatever it calls itself.

use crate::{
    guests::tiny_parts,
    harness::{BOOT, Bystander, Daemon, Domain, GuestSlots, Harm, Process, Request, SHORT, until},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

fn idle(name: &str) -> Value {
    let disks = json!([{ "name": "root", "size": "8MiB" }]);
    json!({ "name": name, "memory": "32MiB", "display": "none", "disks": disks })
}

/// What is on a host beside the daemon's own.
struct Others {
    /// Calls itself as a VM of the daemon's does, in a folder of such a name, and is none.
    namesake: Bystander,
    /// Started by hand.
    plain: Bystander,
    /// libvirt's, where that is installed.
    domain: Option<Domain>,
}

impl Others {
    fn around(daemon: &Daemon, id: &str) -> Self {
        let folder = daemon.scratch().join("elsewhere/run/vms").join(id).join("private");
        let name = format!("guest=innkeeper-{id},debug-threads=on");
        Self {
            namesake: Bystander::qemu(&folder, &name, &[]),
            plain: Bystander::qemu(&daemon.scratch().join("by-hand"), "by-hand", &[]),
            domain: Domain::start("somebodys"),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Bystander> {
        let domain = self.domain.as_ref().map(|domain| &domain.machine);
        [&self.namesake, &self.plain].into_iter().chain(domain)
    }

    #[track_caller]
    fn assert_untouched(&mut self) {
        self.all().for_each(Bystander::assert_untouched);
        assert_eq!(
            (self.namesake.status(), self.plain.status()),
            ("running".into(), "running".into())
        );
        self.domain.iter_mut().for_each(Domain::assert_running);
    }
}

/// Waits until the daemon shows this process, and returns what it says of it.
#[track_caller]
fn foreign(daemon: &Daemon, process: Process) -> Value {
    until("it is seen as somebody else's", SHORT, || {
        let host: Value = serde_json::from_str(&daemon.inn_ok(&["host", "-o", "json"])).unwrap();
        let is_it = |machine: &&Value| machine["process"]["pid"] == process.pid;
        let foreign = host["foreign"].as_array().and_then(|all| all.iter().find(is_it)).cloned();
        foreign.ok_or_else(|| host["foreign"].clone())
    })
}

/// Does everything to VMs that ends, removes or replaces something. Returns the processes that were
/// the daemon's own.
fn everything(daemon: &mut Daemon, hooks_pids: &Path) -> BTreeSet<u32> {
    let mut ours = BTreeSet::new();
    let mut note = |daemon: &Daemon| {
        ours.insert(daemon.qemu("ours").pid);
    };
    daemon.act("ours", "start");
    note(daemon);
    daemon.act("ours", "pause");
    daemon.act("ours", "resume");
    daemon.act("ours", "reset");
    daemon.act("ours", "suspend");
    daemon.act("ours", "resume");
    note(daemon);
    let forced = json!({ "force": true });
    daemon.done(Request::new("POST", "/v1/vms/ours/reboot").json(&forced));
    note(daemon);
    // The daemon dies, then the machine; then both at once; then the machine alone.
    daemon.kill9();
    daemon.launch();
    daemon.wait_for_state("ours", "running");
    daemon.qemu("ours").kill9();
    daemon.wait_for_state("ours", "stopped");
    daemon.act("ours", "start");
    note(daemon);
    let qemu = daemon.qemu("ours");
    daemon.kill9();
    qemu.kill9();
    daemon.launch();
    daemon.wait_for_state("ours", "stopped");
    daemon.act("ours", "start");
    note(daemon);
    daemon.act("ours", "kill");
    daemon.inn_ok(&["clone", "ours", "copy"]);
    daemon.act("ours", "start");
    note(daemon);
    daemon.done(Request::new("DELETE", "/v1/vms/ours?force=true"));
    daemon.inn_ok(&["delete", "copy"]);
    let hooks = fs::read_to_string(hooks_pids).unwrap();
    ours.extend(hooks.lines().map(|pid| pid.parse::<u32>().unwrap()));
    ours
}

/// A hook that leaves a child behind, which is killed with it. Returns where it notes its group.
fn hook_with_a_child(daemon: &Daemon) -> PathBuf {
    let (folder, pids) = (daemon.state().join("hooks/pre-start"), daemon.scratch().join("hooks"));
    fs::create_dir_all(&folder).unwrap();
    let script = format!("#!/bin/sh\necho $$ >>'{}'\nsleep 600 &\n", pids.display());
    fs::write(folder.join("10-careless"), script).unwrap();
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder.join("10-careless"), executable).unwrap();
    pids
}

#[test]
fn what_is_not_its_own_keeps_process_and_files_through_everything() {
    let mut daemon = Daemon::start();
    let hooks = hook_with_a_child(&daemon);
    let id = daemon.create(&idle("ours"));
    let mut others = Others::around(&daemon, &id);
    let ours = everything(&mut daemon, &hooks);
    others.assert_untouched();
    for bystander in others.all() {
        let seen = foreign(&daemon, bystander.process);
        assert_eq!(seen["process"]["start_ticks"], bystander.process.start_ticks(), "{seen}");
    }
    let vms = daemon.get("/v1/vms")["items"].clone();
    assert_eq!(vms, json!([]));

    // All that was signalled or removed is on record. That it was the daemon's own is seen at the end of
    // every test; here it is known, too, which processes were.
    daemon.settle();
    let harm = daemon.harm();
    for entry in &harm {
        if let Harm::Signal { pid, line, .. } = entry {
            assert!(ours.contains(pid), "{line}; ours are {ours:?}");
        }
    }
    let signals = harm.iter().filter(|entry| matches!(entry, Harm::Signal { .. })).count();
    assert!(signals >= 3, "two machines and a hook's child were killed: {harm:?}");
    let removed = |name: &str| {
        let is_it =
            |entry: &Harm| matches!(entry, Harm::Removal { path, .. } if path.ends_with(name));
        assert!(harm.iter().any(is_it), "{name} was removed, and is not on record: {harm:?}");
    };
    removed(&format!("run/vms/{id}/incarnation.json"));
    removed(&format!("vms/{id}.json"));
    removed(&format!("pool/volumes/{id}/memory.img"));
}

#[test]
fn a_machine_made_by_hand_is_taken_over_by_word_and_one_with_a_manager_is_not() {
    let _slot = GuestSlots::one();
    let daemon = Daemon::start();
    let id = daemon.create(&idle("ours"));
    let (kernel, initrd) = tiny_parts();
    let booted = ["-kernel", &kernel, "-initrd", &initrd, "-append", "console=ttyS0 quiet"];
    let mut polite = Bystander::qemu(&daemon.scratch().join("polite"), "polite", &booted);
    let mut others = Others::around(&daemon, &id);

    for (bystander, manager) in others
        .domain
        .iter()
        .map(|domain| (&domain.machine, "libvirt"))
        .chain([(&others.namesake, "another Innkeeper")])
    {
        let pid = bystander.process.pid.to_string();
        let refused = daemon.inn(&["adopt", &pid]);
        assert!(!refused.status.success(), "{refused:?}");
        assert!(refused.stderr.contains(manager), "{refused:?}");
    }
    assert!(!daemon.inn(&["adopt", &std::process::id().to_string()]).status.success());
    others.assert_untouched();

    let pid = polite.process.pid.to_string();
    daemon.inn_ok(&["adopt", &pid, "--name", "taken"]);
    let vm = daemon.wait_for_state("taken", "running");
    assert_eq!(vm["incarnation"]["process"]["pid"], polite.process.pid, "{vm}");
    assert!(vm["incarnation"]["adopted"] == true && vm["spec"]["draft"] == true, "{vm}");
    assert_eq!(
        (&vm["spec"]["config"]["cpus"], &vm["spec"]["config"]["memory"]),
        (&json!(1), &json!("96MiB"))
    );
    polite.assert_untouched();
    let twice = daemon.inn(&["adopt", &pid, "--name", "twice"]);
    assert!(!twice.status.success(), "{twice:?}");
    let used: Value =
        serde_json::from_str(&daemon.inn_ok(&["stats", "taken", "-o", "json"])).unwrap();
    assert_eq!(used["disks"][0]["name"], "virtio0", "{used}");
    assert!(used["cpu_time_ms"].as_u64() > Some(0) && used["missing"].is_null(), "{used}");
    // Its console is there for whoever asks, and its guest is asked to end as any other.
    let mut console = daemon.console("taken");
    console.send("\n");
    console.log_in();
    drop(console);
    daemon.inn_ok(&["stop", "taken", "--timeout", "60s"]);
    polite.wait_for_its_end();
    polite.assert_files_untouched();
    let vm = daemon.wait_for_state("taken", "stopped");
    assert_eq!(vm["facts"]["last_end"]["reason"], "guest_shutdown", "{vm}");
    // What it was is only guessed, so a person has to have looked before it is started.
    let refused = daemon.inn(&["start", "taken"]);
    assert!(!refused.status.success() && refused.stderr.contains("draft"), "{refused:?}");

    // One whose monitor has a client already is that client's.
    let pid = others.plain.process.pid.to_string();
    let client = others.plain.monitor();
    let refused = daemon.inn(&["adopt", &pid, "--name", "deaf"]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    assert!(refused.stderr.contains("client"), "{refused:?}");
    drop(client);
    daemon.inn_ok(&["adopt", &pid, "--name", "deaf"]);
    daemon.inn_ok(&["kill", "deaf"]);
    others.plain.wait_for_its_end();
    others.plain.assert_files_untouched();
    others.namesake.assert_untouched();
    others.domain.iter_mut().for_each(Domain::assert_running);
}

#[test]
fn a_socket_that_became_another_machines_is_not_used() {
    let mut daemon = Daemon::start();
    let folder = daemon.scratch().join("by-hand");
    let mut first = Bystander::qemu(&folder, "first", &[]);
    daemon.inn_ok(&["adopt", &first.process.pid.to_string(), "--name", "taken"]);
    daemon.wait_for_state("taken", "running");
    daemon.kill9();
    // Somebody starts another machine by the same script, while the first still runs.
    let socket = folder.join("qmp.sock");
    fs::remove_file(&socket).unwrap();
    let same = format!("unix:{},server=on,wait=off", socket.display());
    let second = Bystander::qemu(&daemon.scratch().join("again"), "second", &["-qmp", &same]);
    daemon.launch();
    let id = daemon.vm("taken")["id"].as_str().unwrap().to_owned();
    let vm = daemon.wait_for_state("taken", "unresponsive");
    assert_eq!(vm["incarnation"]["process"]["pid"], first.process.pid, "{vm}");
    let said = daemon.inn_ok(&["get", "taken"]);
    assert!(said.contains("another process listens"), "nobody says why:\n{said}");
    assert!(
        !daemon.inn(&["pause", "taken"]).status.success(),
        "another machine is {}",
        second.status()
    );
    assert_eq!(second.status(), "running");
    // The serial line's path, too: what is typed is for the machine that was adopted.
    let serial = folder.join("serial.sock");
    fs::rename(folder.join("../again/serial.sock"), &serial).unwrap();
    let console = Request::new("GET", "/v1/vms/taken/console").header("Connection", "Upgrade");
    let refused = daemon.send(&console.header("Upgrade", "innkeeper-stream")).json();
    assert!(refused.to_string().contains("another process listens"), "{refused}");
    fs::rename(serial, folder.join("../again/serial.sock")).unwrap();
    daemon.inn_ok(&["kill", "taken"]);
    first.wait_for_its_end();
    second.assert_untouched();
    assert_eq!(second.status(), "running");
    assert!(!daemon.run_folder(&id).join("incarnation.json").exists());
}

#[test]
fn a_pid_that_became_another_programs_is_gone_and_never_signalled() {
    let mut daemon = Daemon::start();
    let id = daemon.create(&idle("web"));
    daemon.act("web", "start");
    let qemu = daemon.qemu("web");
    let record = daemon.run_folder(&id).join("incarnation.json");
    daemon.kill9();
    qemu.kill9();
    let folder = daemon.scratch().join("none");
    let mut sleep = Command::new("sleep");
    sleep.arg("600");
    let sleeper = Bystander::other(sleep, &folder);
    let mut forged: Value = serde_json::from_str(&fs::read_to_string(&record).unwrap()).unwrap();
    assert!(forged["process"]["start_ticks"].as_u64() < Some(sleeper.process.start_ticks()));
    forged["process"]["pid"] = sleeper.process.pid.into();
    fs::write(&record, forged.to_string()).unwrap();
    daemon.launch();

    let vm = until("it is reported gone", BOOT, || {
        let vm = daemon.vm("web");
        let put_away = vm["incarnation"].is_null() && vm["task"].is_null();
        if put_away && vm["facts"]["last_end"].is_object() { Ok(vm) } else { Err(vm) }
    });
    assert_eq!(vm["state"], "stopped", "{vm}");
    assert_eq!(vm["facts"]["last_end"]["reason"], "hypervisor_died", "{vm}");
    let kill = daemon.send(&Request::new("POST", "/v1/vms/web/kill").header("Prefer", "wait=60"));
    assert_eq!((kill.status, &kill.json()["code"]), (409, &json!("wrong-state")));
    daemon.act("web", "start");
    assert_ne!(daemon.qemu("web"), sleeper.process);
    daemon.act("web", "kill");
    sleeper.assert_untouched();
    let named =
        |entry: &Harm| matches!(entry, Harm::Signal { pid, .. } if *pid == sleeper.process.pid);
    assert!(!daemon.harm().iter().any(named), "{:?}", daemon.harm());
}
