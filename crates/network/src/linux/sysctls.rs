//! Settings of the kernel that are the whole host's: changed only where needed, remembered beforehand, and
//! given back with the last network.

use innkeeper_model::Refusal;
use innkeeper_store::{harm, write_atomically};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// The settings that were changed. The record is of this boot, as they are.
#[derive(Debug)]
pub(super) struct Sysctls {
    record: PathBuf,
}

/// What a setting was, and what it became.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Change {
    before: String,
    after: String,
}

impl Sysctls {
    pub(super) fn new(folder: &Path) -> Self {
        Self { record: folder.join("sysctls.json") }
    }

    /// Sets a setting, such as `net.ipv4.ip_forward`; whether it was another.
    pub(super) fn set(&self, name: &str, value: &str) -> Result<bool, Refusal> {
        let before = read(name)?;
        if before == value {
            return Ok(false);
        }
        let mut changes = self.changes();
        // A change that somebody undid is still a change from what it was at first.
        let change = Change { before, after: value.into() };
        changes.entry(name.into()).or_insert(change);
        let bytes = serde_json::to_vec(&changes).map_err(io::Error::from)?;
        write_atomically(&self.record, &bytes, 0o600)?;
        fs::write(path_of(name), value)?;
        Ok(true)
    }

    /// Gives back what was changed, but for what somebody else has changed since.
    pub(super) fn give_back(&self) -> Result<(), Refusal> {
        for (name, change) in self.changes() {
            if read(&name).is_ok_and(|now| now == change.after) {
                fs::write(path_of(&name), change.before)?;
            }
        }
        match harm::remove_file(&self.record) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn changes(&self) -> BTreeMap<String, Change> {
        let bytes = fs::read(&self.record).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }
}

/// Sets a setting of a link of Innkeeper's own, which goes with the link. One that this kernel has not is
/// none that matters.
pub(super) fn set_of_own_link(name: &str, value: &str) {
    if read(name).is_ok_and(|now| now != value) {
        let _ = fs::write(path_of(name), value);
    }
}

/// What a setting is now.
pub(super) fn read(name: &str) -> io::Result<String> {
    Ok(fs::read_to_string(path_of(name))?.trim().to_owned())
}

/// Dots are between the parts of a name, and slashes stand for dots in them (`eth0/1`), as in sysctl.d.
fn path_of(name: &str) -> PathBuf {
    let path = name.chars().map(|c| match c {
        '.' => '/',
        '/' => '.',
        c => c,
    });
    Path::new("/proc/sys").join(path.collect::<String>())
}
