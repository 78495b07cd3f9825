//! The record of every signal that a daemon has sent, and of everything that it has removed.

use super::daemon::Daemon;
use std::path::PathBuf;

/// One line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Harm {
    /// A process was sent a signal, or all processes of a group.
    Signal { pid: u32, line: String },
    /// A file, a folder or a tree was removed.
    Removal { path: PathBuf, line: String },
}

impl Daemon {
    /// All of it, since the first start.
    #[track_caller]
    pub(crate) fn harm(&self) -> Vec<Harm> {
        let log = self.log();
        let entries = log.lines().filter_map(|line| line.split_once("innkeeper::harm: "));
        entries.map(|(_, entry)| parse(entry)).collect()
    }
}

#[track_caller]
fn parse(entry: &str) -> Harm {
    let field = |name: &str| {
        let (_, value) = entry.split_once(&format!(" {name}="))?;
        value.split(' ').next()
    };
    let line = entry.to_owned();
    if let Some(pid) = field("pid").or(field("group")) {
        return Harm::Signal { pid: pid.parse().unwrap(), line };
    }
    let path = field("path").unwrap_or_else(|| panic!("it names nothing: {entry}"));
    Harm::Removal { path: path.into(), line }
}
