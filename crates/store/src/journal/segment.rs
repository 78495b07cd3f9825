//! Segments: their names, and what keeps them on disk.

use super::keeper::Order;
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, mpsc::Sender},
};

const PREFIX: &str = "journal-";
const EXTENSION: &str = ".inn";
/// What is appended to the name of a segment for what is set aside of it (see `aside`).
const DAMAGED: &str = ".damaged";
/// What is appended to it for what was told of that.
const REPORT: &str = ".report";
/// How many digits the number in a name has, so that names sort as their numbers do.
const DIGITS: usize = 20;

/// Keeps a segment of the journal on disk, and all newer ones; clones keep it together.
///
/// Whoever was told where a record is holds the segment until the record is needed no more. When the
/// last of these is dropped (which never waits for the disk) the segment goes, once no older one is
/// held and nothing is written to it any more.
#[derive(Clone)]
pub struct Held(pub(super) Arc<Hold>);

impl Held {
    /// The number of the segment. What is written later is in this one or one of a larger number.
    pub fn segment(&self) -> u64 {
        self.0.number
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held({})", self.0.number)
    }
}

/// Tells the keeper when nobody has it any more.
#[derive(Debug)]
pub(super) struct Hold {
    number: u64,
    keeper: Sender<Order>,
}

impl Hold {
    pub(super) fn new(number: u64, keeper: Sender<Order>) -> Arc<Self> {
        Arc::new(Self { number, keeper })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // A keeper that has ended leaves its segments to the next opening.
        drop(self.keeper.send(Order::Released));
    }
}

/// The file of the segment of this number.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{PREFIX}{number:0DIGITS$}{EXTENSION}"))
}

/// Where a damaged segment is left for good.
pub(super) fn damaged_path(path: &Path) -> PathBuf {
    beside(path, DAMAGED)
}

/// Where it stands what was told of a damaged segment.
pub(super) fn report_path(path: &Path) -> PathBuf {
    beside(path, REPORT)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A file of the journal, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// The segment of this number.
    Segment(u64),
    /// What was set aside of a damaged one.
    Damaged(u64),
    /// What was told of it.
    Report(u64),
}

/// Which file of the journal has this name; `None` if it is not the journal's.
pub(super) fn named(name: &str) -> Option<Named> {
    let kinds = [(DAMAGED, Named::Damaged as fn(u64) -> Named), (REPORT, Named::Report)];
    let of_kind = kinds.iter().find_map(|(suffix, kind)| Some((name.strip_suffix(suffix)?, *kind)));
    let (name, kind) = of_kind.unwrap_or((name, Named::Segment));
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(EXTENSION)?;
    if digits.len() != DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // None is written that large, and the next one has a number, too.
    let number = digits.parse().ok().filter(|number| *number < u64::MAX / 2)?;
    Some(kind(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written_and_no_other_is() {
        let path = path(Path::new("/j"), 42);
        assert_eq!(path.to_str(), Some("/j/journal-00000000000000000042.inn"));
        let name = |path: &Path| named(path.file_name().unwrap().to_str().unwrap());
        assert_eq!(name(&path), Some(Named::Segment(42)));
        assert_eq!(name(&damaged_path(&path)), Some(Named::Damaged(42)));
        assert_eq!(name(&report_path(&path)), Some(Named::Report(42)));
        for foreign in [
            "journal-42.inn",
            "journal-+0000000000000000042.inn",
            "journal-00000000000000000042.inn.bak",
            "journal-99999999999999999999.inn",
            "journal-18446744073709551615.inn",
            ".tmp-1-2-3",
        ] {
            assert_eq!(named(foreign), None, "{foreign}");
        }
    }
}
