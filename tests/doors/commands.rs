//! The commands of vminfod's users, against a daemon and its door: what each prints where, and how it ends.

use crate::{
    contracts::address,
    harness::{Daemon, Finished, SHORT, until},
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

/// A daemon of simulated machines with vminfod's door open.
struct House {
    daemon: Daemon,
    door: String,
}

impl House {
    fn open() -> Self {
        let door = "vminfod=127.0.0.1:0,anonymous=viewer";
        let mut daemon = Daemon::prepared("").with_flags(&["--driver", "sim", "--door", door]);
        daemon.launch();
        let door = address(&daemon.log(), "vminfod");
        Self { daemon, door }
    }

    /// Runs a command that finds the door.
    fn run(&self, words: &[&str]) -> Finished {
        let output =
            self.daemon.command(words).env("VMINFOD_ADDRESS", &self.door).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Finished { status: output.status, stdout, stderr }
    }

    /// A command that says this on the standard output, this on the standard error, and ends so.
    #[track_caller]
    fn says(&self, words: &[&str], stdout: &str, stderr: &str, exit: i32) {
        let done = self.run(words);
        let said = (done.stdout.as_str(), done.stderr.as_str(), done.status.code());
        assert_eq!(said, (stdout, stderr, Some(exit)), "{words:?}");
    }

    /// One of vmadm that says on the standard error what was done.
    #[track_caller]
    fn does(&self, words: &[&str], said: &str) {
        self.says(&[&["vmadm"], words].concat(), "", &format!("{said}\n"), 0);
    }

    /// Makes a VM that is off, with vmadm, and returns its id.
    fn made(&self, alias: &str) -> String {
        let id = uuid::Uuid::now_v7().to_string();
        let payload = json!({
            "uuid": id, "brand": "kvm", "alias": alias, "ram": 64, "autoboot": false,
            "tags": { "role": "web" },
        });
        let file = self.daemon.scratch().join("payload.json");
        fs::write(&file, payload.to_string()).unwrap();
        let create = ["create", "-f", file.to_str().unwrap()];
        self.does(&create, &format!("Successfully created VM {id}"));
        id
    }

    fn state(&self, vm: &str) -> Value {
        self.daemon.vm(vm)["state"].clone()
    }
}

#[test]
fn vmadm_has_a_vm_live_and_says_what_it_did() {
    let house = House::open();
    let id = house.made("web");
    house.does(&["start", &id], &format!("Successfully started VM {id}"));
    let booted = || house.daemon.vm(&id)["incarnation"]["created"].clone();
    let before = booted();
    house.does(&["reboot", &id], &format!("Successfully completed reboot for VM {id}"));
    assert_eq!(house.state(&id), "running");
    let between = booted();
    assert_ne!(between, before, "it has booted again");
    house.does(&["reboot", "-F", &id], &format!("Successfully completed reboot for VM {id}"));
    assert_ne!(booted(), between);
    house.does(&["stop", &id], &format!("Successfully completed stop for VM {id}"));
    assert_eq!(house.state(&id), "stopped");
    house.does(&["update", &id, "ram=80"], &format!("Successfully updated VM {id}"));
    let row = format!("{id}:KVM:80:stopped:web\n");
    house.says(&["vmadm", "list", "-p"], &row, "", 0);
    let got = house.run(&["vmadm", "get", &id]);
    let shown: Value = serde_json::from_str(&got.stdout).unwrap();
    assert_eq!(shown, house.daemon_shows(&id));
    // One that runs is ended, too.
    house.does(&["start", &id], &format!("Successfully started VM {id}"));
    house.does(&["delete", &id], &format!("Successfully deleted VM {id}"));
    let absent = format!("zoneadm: {id}: No such zone configured\n");
    for verb in ["delete", "reboot", "get"] {
        house.says(&["vmadm", verb, &id], "", &absent, 1);
    }
    house.says(&["vmadm", "list", "-p"], "", "", 0);
}

impl House {
    /// The VM as the door shows it.
    fn daemon_shows(&self, id: &str) -> Value {
        let shown = self.run(&["vminfo", "vm", id]);
        assert!(shown.status.success(), "{shown:?}");
        serde_json::from_str(&shown.stdout).unwrap()
    }
}

#[test]
fn a_lookup_of_one_that_finds_two_fails_and_says_how_many() {
    let house = House::open();
    let (one, other) = (house.made("web-1"), house.made("web-2"));
    let both = format!("{one}\n{other}\n");
    let unique = "Requested unique lookup but found 2 results.";
    for command in [&["lookup"][..], &["vmadm", "lookup"]] {
        let looked = |words: &[&str]| house.run(&[command, words].concat());
        let found = looked(&["tags.role=web"]);
        assert_eq!((&found.stdout, found.status.code()), (&both, Some(0)), "{command:?}");
        let found = looked(&["-1", "alias=~^WEB-2$"]);
        assert_eq!((found.stdout, found.status.code()), (format!("{other}\n"), Some(0)));
        let refused = looked(&["-1", "tags.role=web"]);
        assert_eq!((refused.stdout.as_str(), refused.status.code()), ("", Some(1)));
        // vmadm says it without a word before it; `inn` as it says all that failed.
        let said = refused.stderr.trim_end();
        assert_eq!(said.strip_prefix("error: ").unwrap_or(said), unique, "{command:?}");
        assert_eq!(said.starts_with("error: "), command.len() == 1, "{said}");
    }
}

#[test]
fn the_status_of_the_door_is_shown_line_by_line_and_as_it_is() {
    let house = House::open();
    house.made("web");
    let shown = house.run(&["vminfo", "status"]);
    assert_eq!((shown.status.code(), shown.stderr.as_str()), (Some(0), ""));
    let lines: Vec<&str> = shown.stdout.lines().collect();
    let pid = format!("pid: {}", house.daemon.pid());
    let [state, its_pid, uptime, rss, rest @ ..] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!([*state, *its_pid], ["state: running (working)", &pid]);
    let number = |line: &str, name: &str, unit: &str| {
        let value = line.strip_prefix(name).and_then(|rest| rest.strip_suffix(unit));
        value.and_then(|value| value.parse::<f64>().ok()).unwrap_or_else(|| panic!("{line}"))
    };
    assert!(number(uptime, "uptime: ", "") >= 0.0 && number(rss, "rss: ", "mb") > 1.0);
    let expected = [
        "numVms: 1",
        "queue",
        "  paused: false",
        "  idle: true",
        "  npending: 0",
        "  nqueued: 0",
        "fullRefresh",
        "  lastRefresh: null",
        "eventsListeners: (0 listeners)",
    ];
    assert_eq!(rest, expected);
    house.says(&["vminfo", "ping"], "pong\n", "", 0);
    let full = house.run(&["vminfo", "status", "-j", "-f"]);
    let full: Value = serde_json::from_str(&full.stdout).unwrap();
    assert_eq!((&full["numVms"], &full["pid"]), (&json!(1), &json!(house.daemon.pid())));
    assert!(full["fswatcher"].is_object(), "{full}");
}

/// A command that goes on, and the lines that it has printed.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn of(house: &House, words: &[&str]) -> Self {
        let mut command = house.daemon.command(words);
        command.env("VMINFOD_ADDRESS", &house.door).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (to, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            stdout.lines().map_while(Result::ok).for_each(|line| drop(to.send(line)));
        });
        Self { child, lines }
    }

    /// The next line, without the time at its front.
    #[track_caller]
    fn next(&self) -> String {
        let line = self.lines.recv_timeout(SHORT).expect("another line");
        let (time, rest) = line.split_once("] ").unwrap_or_else(|| panic!("{line}"));
        // 03:04:05.678Z
        assert!(time.len() == "[03:04:05.678Z".len() && time.ends_with('Z'), "{line}");
        rest.to_owned()
    }

    /// Reads on until a line begins and ends so.
    #[track_caller]
    fn until(&self, begins: &str, ends: &str) {
        let is_it = |line: &String| line.starts_with(begins) && line.ends_with(ends);
        let mut read = Vec::new();
        while !read.last().is_some_and(is_it) {
            read.push(self.lines.recv_timeout(SHORT).map_or_else(
                |_| panic!("no {begins:?} … {ends:?} in {read:#?}"),
                |line| line.split_once("] ").map_or(line.clone(), |(_, rest)| rest.to_owned()),
            ));
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _has_ended = self.child.kill();
        let _is_reaped = self.child.wait();
    }
}

#[test]
fn vmadm_tells_of_events_as_they_happen_and_fails_when_the_door_closes() {
    let mut house = House::open();
    let other = house.made("other");
    let mut all = Following::of(&house, &["vmadm", "events", "-r"]);
    assert_eq!(all.next(), "ready");
    let of_one = Following::of(&house, &["vmadm", "events", "-r", &other]);
    assert_eq!(of_one.next(), "ready");

    let id = house.made("web");
    let short = id.split('-').next().unwrap();
    assert_eq!(all.next(), format!("{short} web create"));
    house.does(&["start", &id], &format!("Successfully started VM {id}"));
    all.until(&format!("{short} web modify: state changed :: "), "-> \"running\"");
    house.does(&["update", &id, "alias=db"], &format!("Successfully updated VM {id}"));
    all.until(&format!("{short} db modify: "), "alias changed :: \"web\" -> \"db\"");
    house.does(&["delete", &id], &format!("Successfully deleted VM {id}"));
    // A delete has no object, so that nobody can say what its name was.
    all.until(&format!("{short} - delete"), "");
    // All that is told to who asked for another is what happens to that.
    house.does(&["delete", &other], &format!("Successfully deleted VM {other}"));
    let short = other.split('-').next().unwrap();
    assert_eq!(of_one.next(), format!("{short} - delete"));

    house.daemon.terminate();
    let status = until("the end of the command", SHORT, || {
        all.child.try_wait().unwrap().ok_or("it goes on")
    });
    assert_eq!(status.code(), Some(1));
    let said = std::io::read_to_string(all.child.stderr.take().unwrap()).unwrap();
    assert_eq!(said, "VminfodEventStream ended prematurely\n");
}
