//! File systems of a test's own, with little room or none at all. Needs root.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

/// A mounted file system, unmounted when it is dropped.
pub(crate) struct Mount {
    pub(crate) folder: PathBuf,
}

impl Mount {
    /// One in memory, of this size.
    pub(crate) fn small(folder: &Path, size: &str) -> Self {
        let options = format!("size={size},mode=700");
        Self::new(folder, &["-t", "tmpfs", "-o", &options, "none"])
    }

    /// One in a file beside it, which becomes read-only when it has had an error, as a disk's does; `None`
    /// where this host has no loop devices.
    pub(crate) fn on_a_disk(folder: &Path, size: u64) -> Option<Self> {
        if !Path::new("/dev/loop-control").exists() || !Path::new("/sys/fs/ext4").exists() {
            return None;
        }
        let disk = folder.with_extension("disk");
        fs::File::create(&disk).unwrap().set_len(size).unwrap();
        let disk = disk.to_str().unwrap();
        run("mkfs.ext4", &["-q", "-F", disk]);
        Some(Self::new(folder, &["-o", "loop,errors=remount-ro", disk]))
    }

    /// A folder that is elsewhere, seen here too.
    pub(crate) fn of_folder(folder: &Path, elsewhere: &Path) -> Self {
        fs::create_dir_all(elsewhere).unwrap();
        Self::new(folder, &["--bind", elsewhere.to_str().unwrap()])
    }

    fn new(folder: &Path, arguments: &[&str]) -> Self {
        fs::create_dir_all(folder).unwrap();
        run("mount", &[arguments, &[folder.to_str().unwrap()]].concat());
        Self { folder: folder.into() }
    }

    /// Takes all of its room.
    pub(crate) fn fill(&self) {
        let mut file = fs::File::create(self.folder.join("filler")).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
    }

    /// Gives it back.
    pub(crate) fn empty(&self) {
        fs::remove_file(self.folder.join("filler")).unwrap();
    }

    /// Has one that is [`Self::on_a_disk`] find an error.
    pub(crate) fn fail(&self) {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let device = mounts.lines().find_map(|line| {
            let (device, rest) = line.split_once(' ')?;
            rest.starts_with(&format!("{} ", self.folder.display())).then_some(device)
        });
        let name = device.unwrap().trim_start_matches("/dev/");
        fs::write(format!("/sys/fs/ext4/{name}/trigger_fs_error"), "a test").unwrap();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a daemon of a test that failed may still be ending.
        let _is_gone = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}

fn run(program: &str, arguments: &[&str]) {
    let outcome = Command::new(program).args(arguments).output().unwrap();
    let words = String::from_utf8_lossy(&outcome.stderr);
    assert!(outcome.status.success(), "{program} {}: {words}", arguments.join(" "));
}
