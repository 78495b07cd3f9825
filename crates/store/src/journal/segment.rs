//! Segments: their names, and what keeps them on disk.

use super::keeper::Order;
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, mpsc::Sender},
};

const PREFIX: &str = "journal-";
const EXTENSION: &str = ".inn";
/// What is appended to the name of a damaged segment once nobody needs it any more.
const DAMAGED: &str = ".damaged";
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
    let mut name = path.as_os_str().to_owned();
    name.push(DAMAGED);
    name.into()
}

/// A file of the journal, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// The segment of this number.
    Segment(u64),
    /// One that was damaged, and that nobody needs any more.
    Damaged(u64),
}

/// Which file of the journal has this name; `None` if it is not the journal's.
pub(super) fn named(name: &str) -> Option<Named> {
    let (name, damaged) = match name.strip_suffix(DAMAGED) {
        Some(name) => (name, true),
        None => (name, false),
    };
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(EXTENSION)?;
    if digits.len() != DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = digits.parse().ok()?;
    Some(if damaged { Named::Damaged(number) } else { Named::Segment(number) })
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
        for foreign in [
            "journal-42.inn",
            "journal-+0000000000000000042.inn",
            "journal-00000000000000000042.inn.bak",
            "journal-99999999999999999999.inn",
            ".tmp-1-2-3",
        ] {
            assert_eq!(named(foreign), None, "{foreign}");
        }
    }
}
