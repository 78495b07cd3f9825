//! What stands between a guest and its host, as the host's kernel sees it.

use crate::harness::{Daemon, Process, SHORT, is_root, skip_without_root, until};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
};

/// A VM that is cheap to start: firmware that finds nothing to boot.
fn idle(name: &str) -> Value {
    json!({
        "name": name,
        "memory": "32MiB",
        "display": "none",
        "disks": [{ "name": "root", "size": "8MiB" }],
        // The rule that keeps guests from the loopback is set for the first that has a NIC.
        "nics": [{ "name": "net0" }],
    })
}

#[test]
fn a_vms_process_is_kept_from_the_host() {
    // Goes after the daemon, which is in it.
    let mut unit = Unit::default();
    let daemon = Daemon::start();
    if is_root() {
        unit.take_in(daemon.pid());
    }
    let (first, second) = (daemon.create(&idle("first")), daemon.create(&idle("second")));
    for name in ["first", "second"] {
        daemon.act(name, "start");
        let qemu = daemon.qemu(name);
        // Seccomp 2 is a filter.
        assert_eq!(qemu.status("Seccomp"), ["2"]);
        assert_eq!(qemu.status("NoNewPrivs"), ["1"]);
        // A core would hold the guest's secrets.
        assert_eq!(qemu.limit("Max core file size"), ["0", "0"]);
        assert_eq!(qemu.limit("Max open files"), ["4096", "4096"]);
        assert_has_only_what_it_needs(&daemon, qemu);
    }
    for id in [&first, &second] {
        let folder = fs::metadata(daemon.run_folder(id)).unwrap();
        assert_eq!(folder.permissions().mode() & 0o777, 0o700);
        assert_eq!(folder.uid(), rustix::process::geteuid().as_raw());
    }
    says_what_is_in_force(&daemon);
    let (first, second) = (daemon.qemu("first"), daemon.qemu("second"));
    runs_as_a_user_of_its_own(&daemon, first, second);
}

/// Control groups such as systemd makes for a unit, all of whose processes it can end.
#[derive(Default)]
struct Unit {
    groups: Vec<PathBuf>,
}

impl Unit {
    fn take_in(&mut self, pid: u32) {
        let hierarchies = ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"];
        for hierarchy in hierarchies.map(Path::new) {
            // Not each of them is one on every host.
            if hierarchy.join("cgroup.procs").exists() {
                let group = hierarchy.join(format!("inn-test-{pid}.service"));
                fs::create_dir(&group).unwrap();
                self.groups.push(group.clone());
                fs::write(group.join("cgroup.procs"), pid.to_string()).unwrap();
            }
        }
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        for group in &self.groups {
            let remove = || fs::remove_dir(group);
            if thread::panicking() {
                let _one_panic_is_enough = remove();
            } else {
                // Refused for as long as a thread of the daemon is in it.
                until("the end of the unit", SHORT, remove);
            }
        }
    }
}

fn says_what_is_in_force(daemon: &Daemon) {
    let host: Value = serde_json::from_str(&daemon.inn_ok(&["host", "-o", "json"])).unwrap();
    for (name, active) in
        [("sandbox", true), ("uid", is_root()), ("loopback", is_root()), ("cgroup", is_root())]
    {
        let safeguards = host["confinement"].as_array().unwrap();
        let found = safeguards.iter().find(|safeguard| safeguard["name"] == name);
        assert_eq!(
            found.map(|safeguard| &safeguard["active"]),
            Some(&active.into()),
            "{name}: {host}"
        );
    }
    assert_eq!(host["hypervisor"]["accelerator"], "tcg", "{host}");
}

fn runs_as_a_user_of_its_own(daemon: &Daemon, first: Process, second: Process) {
    if skip_without_root("that a VM has a user and a control group of its own") {
        return;
    }
    assert_ne!(first.status("Uid"), second.status("Uid"), "two VMs share a user");
    for (name, qemu) in [("first", first), ("second", second)] {
        let uid = daemon.vm(name)["spec"]["assigned"]["uid"].to_string();
        // Real, effective, saved and for files.
        let all = vec![uid; 4];
        assert_eq!((qemu.status("Uid"), qemu.status("Gid")), (all.clone(), all));
        assert_eq!(qemu.status("Groups"), [""; 0]);
        for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
            assert_eq!(qemu.status(set), ["0000000000000000"], "{set}");
        }
        let groups = qemu.cgroups();
        let own = format!("/innkeeper/{}", daemon.vm(name)["id"].as_str().unwrap());
        assert!(groups.contains(&own), "{groups}");
        assert_outside_of_unit(&groups, &Process { pid: daemon.pid() }.cgroups());
    }
}

/// That control groups are neither those of the unit that a daemon is in, nor below them.
fn assert_outside_of_unit(groups: &str, of_daemon: &str) {
    let units: Vec<_> = of_daemon.lines().filter(|line| line.ends_with(".service")).collect();
    assert!(!units.is_empty(), "the daemon is in no unit: {of_daemon}");
    for line in groups.lines() {
        assert!(!units.iter().any(|unit| line.starts_with(unit)), "{line} is in {units:?}");
    }
}

/// No folder, no device and no file but the machine's own, and those that it shares only to read.
fn assert_has_only_what_it_needs(daemon: &Daemon, qemu: Process) {
    const WRITES: u32 = 0o3;
    for (path, flags) in qemu.descriptors() {
        let text = path.to_str().unwrap();
        // Sockets, pipes, event counters and memory have no path.
        let nameless = ["socket:", "pipe:", "anon_inode:", "/memfd:", "/dev/zero"];
        if nameless.iter().any(|prefix| text.starts_with(prefix)) || text == "/dev/null" {
            continue;
        }
        let kind =
            fs::metadata(&path).unwrap_or_else(|error| panic!("{text}: {error}")).file_type();
        assert!(kind.is_file() && !kind.is_block_device(), "{text} is no file");
        let inside = |folder: &str| path.starts_with(daemon.state().join(folder));
        let written = inside("run/vms") || inside("pool/volumes");
        assert!(written || flags & WRITES == 0, "{text} is open to write");
        assert!(written || inside("pool/images") || path.starts_with("/usr/share"), "{text}");
    }
}

#[test]
fn what_a_caller_wrote_reaches_qemu_as_values_and_never_as_syntax() {
    let daemon = Daemon::start();
    daemon.import_tiny();
    let config = |name: &str, text: &str| {
        let mut config = idle(name);
        config["boot"] = json!({ "kernel": { "image": "tiny", "cmdline": text } });
        config["description"] = text.into();
        config["labels"] = json!({ "note": text });
        let serial: String =
            text.chars().filter(|c| c.is_ascii() && !c.is_control()).take(20).collect();
        config["disks"][0]["serial"] = serial.into();
        config
    };
    let harmless = run_of(&daemon, &config("harmless", "plain"), "plain");
    let hostile = [
        "a,b=c,,d,",
        ",addr=1f.0,driver=e1000",
        "\"}, {\"driver\":\"nvme\"",
        "it's \\ \"quoted\" 'twice'",
        "line\nbreak\t-device e1000",
        "-S -incoming tcp:0:1",
        "$(id) `id` ${HOME} %s %n ../../etc/passwd",
        "emoji \u{1f980} and \u{202e}more",
        "-",
        "--",
        "key=value on=off,file=/etc/shadow",
    ];
    for (number, text) in hostile.into_iter().enumerate() {
        let name = format!("QqZz.name_{number}");
        let arguments = run_of(&daemon, &config(&name, text), text);
        let whole = arguments.join("\0");
        assert!(!whole.contains(&name), "the name of the VM is in {arguments:?}");
        assert_eq!(options(&arguments), options(&harmless), "{text:?} became syntax");
    }
}

/// The command line that a VM's process has, compared with what was asked for.
fn run_of(daemon: &Daemon, config: &Value, cmdline: &str) -> Vec<String> {
    let name = config["name"].as_str().unwrap();
    daemon.create(config);
    daemon.act(name, "start");
    let arguments = daemon.qemu(name).arguments();
    assert_eq!(json!(arguments), daemon.vm(name)["incarnation"]["argv"]);
    assert_eq!(value_of(&arguments, "-append"), cmdline);
    let serials: Vec<_> = arguments
        .iter()
        .filter_map(|argument| serde_json::from_str::<Value>(argument).ok())
        .filter_map(|device| device.get("serial").cloned())
        .collect();
    assert_eq!(serials, [config["disks"][0]["serial"].clone()]);
    daemon.act(name, "kill");
    arguments
}

fn value_of<'a>(arguments: &'a [String], option: &str) -> &'a str {
    let at = arguments.iter().position(|argument| argument == option);
    &arguments[at.unwrap_or_else(|| panic!("no {option} in {arguments:?}")) + 1]
}

/// The options without their values, and of each device its driver: what a machine is made of.
fn options(arguments: &[String]) -> Vec<String> {
    let pairs = arguments.iter().zip(arguments.iter().skip(1));
    let option = |(option, value): (&String, &String)| {
        let device: Option<Value> = serde_json::from_str(value).ok();
        let driver = device.map(|device| device["driver"].to_string()).unwrap_or_default();
        format!("{option} {driver}")
    };
    let value_of_append =
        arguments.iter().position(|argument| argument == "-append").map(|at| at + 1);
    let is_option = |at: usize, text: &str| text.starts_with('-') && Some(at) != value_of_append;
    let found = pairs.enumerate().filter(|(at, (text, _))| is_option(*at, text));
    let mut found: Vec<String> = found.map(|(_, pair)| option(pair)).collect();
    found.push(format!("{} arguments", arguments.len()));
    found
}

#[test]
fn the_folders_of_other_vms_are_closed_to_a_vms_user() {
    let daemon = Daemon::start();
    let id = daemon.create(&idle("only"));
    daemon.act("only", "start");
    let socket = daemon.run_folder(&id).join("qmp.sock");
    assert!(fs::metadata(&socket).unwrap().file_type().is_socket());
    for folder in ["run/vms", "pool", "vms"] {
        let mode = fs::metadata(daemon.state().join(folder)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{folder} is open to others: {mode:o}");
    }
    let token = fs::metadata(daemon.state().join("token")).unwrap().permissions().mode();
    assert_eq!(token & 0o777, 0o600, "{token:o}");
}
