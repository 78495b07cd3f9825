//! Folders of hooks for tests, and a VM to tell them of.

use crate::{Hooks, OwnerRule};
use innkeeper_model::Vm;
use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Longer than anything takes that ends at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of hooks, and one beside it where they can leave something. Gone when dropped.
pub(crate) struct Fixture {
    root: TempDir,
    deadline: Duration,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["hooks", "notes"] {
            make_folder(&root.path().join(folder));
        }
        Self { root, deadline: PATIENCE }
    }

    pub(crate) fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    pub(crate) fn hooks(&self) -> Hooks {
        Hooks::new(self.folder(), self.deadline, OwnerRule::of_this_process())
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.root.path().join("hooks")
    }

    /// A file that hooks can write; they know it as `NOTES/name`.
    pub(crate) fn note(&self, name: &str) -> PathBuf {
        self.root.path().join("notes").join(name)
    }

    /// What a hook has written, once it is a whole line.
    pub(crate) async fn noted(&self, name: &str) -> String {
        let start = Instant::now();
        loop {
            let text = fs::read_to_string(self.note(name)).unwrap_or_default();
            if text.ends_with('\n') {
                return text.trim_end().to_owned();
            }
            assert!(start.elapsed() < PATIENCE, "no hook ever wrote {name}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Adds a pre-start hook: a shell script, in which NOTES stands for the folder of notes.
    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        self.file(name, &format!("#!/bin/sh\n{text}\n"))
    }

    /// Adds an executable for pre-start with exactly this text, but for NOTES.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let folder = self.folder().join("pre-start");
        if !folder.exists() {
            make_folder(&folder);
        }
        let path = folder.join(name);
        let notes = self.root.path().join("notes");
        write_executable(&path, &text.replace("NOTES", notes.to_str().unwrap()));
        path
    }
}

fn make_folder(path: &Path) {
    fs::create_dir(path).unwrap();
    set_mode(path, 0o755);
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Writes an executable in another process: a child that a test beside this one forks meanwhile would
/// hold a descriptor of ours open for writing, and so keep the file from being executed.
pub(crate) fn write_executable(path: &Path, text: &str) {
    let mut shell = Command::new("/bin/sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    shell.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(shell.wait().unwrap().success());
}

/// Whether a process lives. A zombie is dead; who reaps a grandchild is the system's business.
pub(crate) fn lives(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

pub(crate) async fn until_dead(pids: &[&str]) {
    let start = Instant::now();
    while pids.iter().any(|pid| lives(pid)) {
        assert!(start.elapsed() < PATIENCE, "of {pids:?} some still live");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The VM of the operator's guide.
pub(crate) fn vm() -> Vm {
    serde_json::from_value(crate::document_tests::example_input()).unwrap()
}
