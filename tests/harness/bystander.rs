//! Machines that somebody else made, which are none of Innkeeper's business.

use super::{
    process::Process,
    wait::{SHORT, until},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{fs::MetadataExt, net::UnixStream, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// What is remembered of a file: which one it is, when it was changed, and what is in it.
type Known = (u64, i64, Vec<u8>);

/// A process of somebody else's, with the files around it; ended when it is dropped.
pub(crate) struct Bystander {
    pub(crate) process: Process,
    folder: PathBuf,
    started: u64,
    files: BTreeMap<PathBuf, Known>,
    child: Option<Child>,
}

impl Bystander {
    /// A QEMU of this name that a person started by hand in this folder, with a disk and with a QMP socket
    /// that nobody is connected to, and with more arguments.
    #[track_caller]
    pub(crate) fn qemu(folder: &Path, name: &str, more: &[&str]) -> Self {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("disk.raw"), vec![7; 1 << 20]).unwrap();
        let child = Command::new("qemu-system-x86_64")
            .current_dir(folder)
            .args(["-name", name, "-machine", "q35", "-accel", "tcg", "-m", "96", "-nodefaults"])
            .args(["-display", "none", "-drive", "file=disk.raw,format=raw,if=virtio"])
            .args(["-qmp", "unix:qmp.sock,server=on,wait=off"])
            .args(["-serial", "unix:serial.sock,server=on,wait=off"])
            .args(more)
            // In a group of its own, as from another terminal.
            .process_group(0)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        for socket in ["qmp.sock", "serial.sock"] {
            until(socket, SHORT, || fs::metadata(folder.join(socket)).map(drop));
        }
        let mut bystander = Self::of(Process { pid: child.id() }, folder);
        bystander.child = Some(child);
        bystander
    }

    /// Any process that this test has started.
    pub(crate) fn other(mut command: Command, folder: &Path) -> Self {
        let child = command.spawn().unwrap();
        let mut bystander = Self::of(Process { pid: child.id() }, folder);
        bystander.child = Some(child);
        bystander
    }

    /// A process that somebody else looks after.
    pub(crate) fn of(process: Process, folder: &Path) -> Self {
        let (started, files) = (process.start_ticks(), known_files(folder));
        Self { process, folder: folder.into(), started, files, child: None }
    }

    /// That it is the same process, which runs, with the same files around it.
    #[track_caller]
    pub(crate) fn assert_untouched(&self) {
        assert!(self.process.lives(), "process {} was ended", self.process.pid);
        assert_eq!(self.process.start_ticks(), self.started);
        self.assert_files_untouched();
    }

    /// That its files are as they were, but for the sockets of a machine that has ended.
    #[track_caller]
    pub(crate) fn assert_files_untouched(&self) {
        let lives = self.process.lives();
        let lasts = |path: &&PathBuf| lives || path.extension().is_none_or(|it| it != "sock");
        let now = known_files(&self.folder);
        for path in self.files.keys().filter(lasts) {
            assert!(now.get(path) == self.files.get(path), "{} was touched", path.display());
        }
        let new: Vec<_> = now.keys().filter(|path| !self.files.contains_key(*path)).collect();
        assert!(new.is_empty(), "{new:?} came from somewhere");
    }

    /// Waits until it has ended.
    #[track_caller]
    pub(crate) fn wait_for_its_end(&mut self) {
        let child = self.child.as_mut().expect("it is this test's child");
        until("a machine's end", SHORT, || child.try_wait().unwrap().ok_or("it runs"));
    }

    /// Connects to its monitor, which has room for one.
    #[track_caller]
    pub(crate) fn monitor(&self) -> UnixStream {
        UnixStream::connect(self.folder.join("qmp.sock")).unwrap()
    }

    /// Talks to its monitor as its owner would, and hangs up: whether its guest runs.
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        let mut socket = self.monitor();
        socket.set_read_timeout(Some(SHORT)).unwrap();
        socket
            .write_all(b"{\"execute\":\"qmp_capabilities\"}{\"execute\":\"query-status\"}")
            .unwrap();
        let mut lines = BufReader::new(socket).lines();
        let mut answer = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
        std::iter::repeat_with(&mut answer)
            .find_map(|answer| answer["return"].get("status").cloned())
            .unwrap()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _has_ended = child.kill();
            let _is_reaped = child.wait();
        }
    }
}

fn known_files(folder: &Path) -> BTreeMap<PathBuf, Known> {
    let mut known = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, metadata) = (entry.path(), entry.metadata().unwrap());
        if metadata.is_dir() {
            known.extend(known_files(&path));
        } else {
            let contents = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
            known.insert(path, (metadata.ino(), metadata.mtime_nsec(), contents));
        }
    }
    known
}
