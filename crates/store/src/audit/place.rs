//! The audit's files, by number, and places in them.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

const PREFIX: &str = "audit-";
const SUFFIX: &str = ".jsonl";

/// The file of this number.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    // Ten digits, so that tools that sort by name show them in order.
    folder.join(format!("{PREFIX}{number:010}{SUFFIX}"))
}

/// The numbers of the files that there are, the oldest first. None where there is no folder.
///
/// # Errors
/// The system's.
pub(super) fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse::<u64>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// A place between two lines. Places sort in the order in which lines are written, and one stays valid for
/// as long as its file is kept; after that it means the oldest line that there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub(super) file: u64,
    pub(super) offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.file, self.offset)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (file, offset) = text.split_once('-')?;
            Some(Self { file: file.parse().ok()?, offset: offset.parse().ok()? })
        };
        // No file is as long as that, and no system can be asked to look there.
        parse()
            .filter(|place| i64::try_from(place.offset).is_ok())
            .ok_or_else(|| format!("{text:?} is no place in the audit"))
    }
}
