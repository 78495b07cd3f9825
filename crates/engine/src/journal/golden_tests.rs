//! Journals that released versions wrote of operations on QEMU, with disks and networks (`inn-sweep golden`
//! writes that of this version), and what this version would do about each, had the daemon ended after any of
//! its records. No hypervisor is needed to tell; that it is then done is tried on the simulator
//! (`tests/engine/golden.rs`) and by the sweep.

use super::{
    Begun, Entry, Mark, Way,
    unfinished::{OnRecord, Unfinished, read},
};
use crate::plan::{Plan, steps::PlanStep};
use innkeeper_store::journal::{Found, Journal, JournalOptions};
use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

/// The largest that that of a version may be, in bytes.
const ROOM: u64 = 400 << 10;
/// What a journal tells of at least.
const OPERATIONS: [&str; 20] = [
    "create",
    "start",
    "stop",
    "reboot",
    "suspend",
    "resume",
    "clone",
    "delete",
    "kill",
    "pause",
    "reset",
    "edit",
    "import",
    "image-add",
    "image-remove",
    "network-create",
    "network-edit",
    "network-delete",
    "subnet-reserve",
    "nic-add",
];

/// Of disks, of networks, and of QEMU.
const STEPS: [&str; 20] = [
    "create-volume:root",
    "clone-volumes",
    "bring-volumes",
    "remove-volumes",
    "write-seed",
    "create-memory",
    "spend-memory",
    "reserve-disk",
    "import-image",
    "reserve-addresses",
    "wire-nics",
    "save-network",
    "keep-addresses",
    "give-back-addresses",
    "wire-network",
    "release-network",
    "qemu/launch",
    "qemu/save-memory",
    "qemu/load-memory",
    "qemu/plug-nic:spare",
];

/// The folders, one a version.
fn versions() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden-qemu");
    let mut folders: Vec<PathBuf> =
        fs::read_dir(all).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(!folders.is_empty());
    folders
}

/// The records of one.
fn records(version: &Path) -> Vec<Found> {
    let apart = tempfile::tempdir().unwrap();
    let mut size = 0;
    for entry in fs::read_dir(version.join("journal")).unwrap() {
        let entry = entry.unwrap();
        size += fs::copy(entry.path(), apart.path().join(entry.file_name())).unwrap();
    }
    assert!(size < ROOM, "{} has {size} bytes", version.display());
    let opened = Journal::open(JournalOptions::new(apart.path())).unwrap();
    assert!(opened.damage.is_empty(), "{:?}", opened.damage);
    opened.records
}

/// What is on record after the first so many.
fn after(records: &[Found], count: usize) -> OnRecord {
    let on_record = read(records[..count].to_vec(), Vec::new());
    assert!(on_record.unreadable.is_empty(), "{:?}", on_record.unreadable);
    on_record
}

/// What would be done about an operation that the daemon ended in.
fn recovery(mut unfinished: Unfinished) -> String {
    unfinished.note_crash(true);
    let Begun { task, plan, marks, way, .. } = unfinished.begun;
    let paths = plan.paths();
    let of = |is_meant: fn(Mark) -> bool| -> Vec<&str> {
        let meant = paths.iter().zip(&marks).filter(|(_, mark)| is_meant(**mark));
        meant.map(|(path, _)| path.as_str()).collect()
    };
    let (does, mut steps) = match way {
        Way::Back => ("undone", of(|mark| matches!(mark, Mark::Begun | Mark::Done))),
        Way::Forward | Way::OnlyForward => ("done", of(|mark| mark != Mark::Done)),
    };
    if way == Way::Back {
        steps.reverse();
    }
    let first = steps.first().unwrap_or(&"nothing");
    format!("{} {way:?}: {} of {} {does}, {first} first", task.operation, steps.len(), paths.len())
}

/// What would be done, had the daemon ended after each of the records; each once where it stays the same.
fn all_recoveries(records: &[Found]) -> String {
    let (mut text, mut last) = (String::new(), String::new());
    for count in 0..=records.len() {
        let unfinished = after(records, count).unfinished.into_values();
        let now: Vec<String> = unfinished.map(recovery).collect();
        let now = now.join("; ");
        if now != last {
            writeln!(text, "{now}").unwrap();
        }
        last = now;
    }
    text
}

#[test]
fn wherever_a_daemon_ended_it_is_known_what_is_to_be_done() {
    for version in versions() {
        let file = version.join("recovery.txt");
        let text = all_recoveries(&records(&version));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&file, &text).unwrap();
        }
        let before = fs::read_to_string(&file).unwrap();
        let differs = before.lines().zip(text.lines()).find(|(before, now)| before != now);
        assert!(before == text, "{}: {differs:?}, or it is longer or shorter", file.display());
    }
}

/// Every operation that was begun.
fn begun(records: &[Found]) -> impl Iterator<Item = Begun> {
    let entries = records.iter().map(|found| serde_json::from_slice(&found.bytes).unwrap());
    entries.filter_map(|entry| match entry {
        Entry::Begun(begun) => Some(*begun),
        _ => None,
    })
}

#[test]
fn every_step_that_was_planned_is_known() {
    for version in versions() {
        let (mut operations, mut steps) = (BTreeSet::new(), BTreeSet::new());
        for begun in begun(&records(&version)) {
            operations.insert(begun.task.operation.to_string());
            for placed in begun.plan.steps() {
                assert!(!matches!(placed.step, PlanStep::Unknown(_)), "{:?}", placed.step);
                steps.insert(placed.step.name());
            }
            let written = serde_json::to_value(&begun.plan).unwrap();
            let read: Plan = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(serde_json::to_value(read).unwrap(), written);
        }
        for (expected, told) in [(&OPERATIONS[..], &operations), (&STEPS, &steps)] {
            let missing: Vec<_> = expected.iter().filter(|it| !told.contains(**it)).collect();
            assert!(missing.is_empty(), "{} tells nothing of {missing:?}", version.display());
        }
    }
}
