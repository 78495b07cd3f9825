//! What keeps a file from being run as a hook, and the command that mends it.
//!
//! A file that is in an event's folder and does not run would be noticed when it is too late, so each
//! of these makes the operation fail. What only looks like a hook is passed over by its name: see
//! `folder`.

use innkeeper_model::{Code, Refusal};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Whose files may be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerRule {
    /// Root's alone.
    Root,
    /// Root's, and those of the user with this id, as whom a daemon without privileges runs.
    User(u32),
}

impl OwnerRule {
    /// The rule for a daemon with this process's rights.
    pub fn of_this_process() -> Self {
        let user = rustix::process::geteuid();
        if user.is_root() { Self::Root } else { Self::User(user.as_raw()) }
    }

    pub(crate) fn allows(self, owner: u32) -> bool {
        owner == 0 || self == Self::User(owner)
    }

    /// Who should own a hook, as `chown` understands it.
    fn rightful(self) -> String {
        match self {
            Self::Root => "root".into(),
            Self::User(user) => user.to_string(),
        }
    }
}

/// A file or folder that is not as a hook's must be.
#[derive(Debug, thiserror::Error)]
#[error("{} {problem}; no hook was run", path.display())]
pub(crate) struct Unfit {
    pub(crate) path: PathBuf,
    pub(crate) problem: Problem,
}

/// What is wrong with it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("is a link, and hooks are not run through links")]
    Link,
    #[error("is not a regular file")]
    NotAFile,
    #[error("is not a folder")]
    NotAFolder,
    #[error("belongs to the user {owner}")]
    Owner { owner: u32, rule: OwnerRule },
    #[error("can be written by others than its owner (mode {mode:04o})")]
    Writable { mode: u32 },
    #[error("is not executable (mode {mode:04o})")]
    NotExecutable { mode: u32 },
    #[error("has more than {0} hooks")]
    TooMany(usize),
    #[error("cannot be looked at")]
    Io(#[source] io::Error),
    #[error("is not named for an event")]
    NoEvent,
}

impl Problem {
    /// What to do about it.
    fn hint(&self, path: &Path) -> Option<String> {
        let file = quoted(path);
        Some(match self {
            Self::Link => format!("put the file itself in the place of the link {file}"),
            Self::NotAFile | Self::NotAFolder => format!("move {file} to somewhere else"),
            Self::Owner { rule, .. } => {
                format!("look at what is in it, then: chown {} {file}", rule.rightful())
            }
            Self::Writable { .. } => format!("look at what is in it, then: chmod go-w {file}"),
            Self::NotExecutable { .. } => {
                format!("if it is to run: chmod u+x {file}; if not: mv {file} {file}.bak")
            }
            Self::TooMany(_) => "let one hook call several programs".into(),
            Self::NoEvent => format!("{}; else move it away", crate::NotAnEvent),
            Self::Io(_) => return None,
        })
    }
}

impl From<Unfit> for Refusal {
    fn from(unfit: Unfit) -> Self {
        let mut refusal = Self::new(Code::HookFailed, unfit.to_string());
        refusal.value = Some(unfit.path.display().to_string());
        refusal.hint = unfit.problem.hint(&unfit.path);
        match &unfit.problem {
            Problem::TooMany(most) => refusal.with_limit(most),
            Problem::Io(cause) => refusal.caused_by(cause),
            _ => refusal,
        }
    }
}

/// The path as a word on a shell's command line.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,".contains(c);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_hint_can_be_pasted_into_a_shell() {
        assert_eq!(quoted(Path::new("/etc/hooks/10-dns")), "/etc/hooks/10-dns");
        assert_eq!(quoted(Path::new("/a b/it's$(x)")), r"'/a b/it'\''s$(x)'");
    }

    #[test]
    fn a_daemon_without_privileges_runs_its_users_hooks_and_roots() {
        assert!(OwnerRule::Root.allows(0) && !OwnerRule::Root.allows(1000));
        let user = OwnerRule::User(1000);
        assert!(user.allows(0) && user.allows(1000) && !user.allows(1001));
    }
}
