//! Finding an event's hooks, and holding them so that what was looked at is what runs.
//!
//! Each file is opened first, without any access and following no link, then looked at through its
//! descriptor, and later run through that same descriptor: a file that is put in its place meanwhile is
//! not run. The folders are opened in the same way, one within the other. Only those two folders are
//! looked at; that nobody else can write to the ones above is up to who made them.

use crate::{
    HookEvent,
    mend::{OwnerRule, Problem, Unfit},
};
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat},
    io::Errno,
};
use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// The most hooks of one event: each is a descriptor for as long as they run.
pub const MAX_SCRIPTS: usize = 64;

/// A hook that may be run: an executable that only the operator could have written, held open.
#[derive(Debug)]
pub struct Script {
    event: HookEvent,
    path: PathBuf,
    file: OwnedFd,
}

impl Script {
    /// The hook's name for people: `pre-start/10-dns`.
    pub fn name(&self) -> String {
        let file = self.path.file_name().unwrap_or_default();
        format!("{}/{}", self.event, file.display())
    }

    /// Where it was found. Running it by this path could run another file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The event that it is for.
    pub fn event(&self) -> HookEvent {
        self.event
    }

    /// The file itself, without the right to read it.
    pub(crate) fn file(&self) -> &OwnedFd {
        &self.file
    }
}

/// The hooks of an event, in the order of their names' bytes; none where there is no folder.
pub(crate) fn scripts(
    hooks: &Path,
    event: HookEvent,
    rule: OwnerRule,
) -> Result<Vec<Script>, Unfit> {
    match folder(CWD, hooks, hooks.as_os_str(), rule)? {
        Some(above) => scripts_in(&above, hooks, event, rule),
        None => Ok(vec![]),
    }
}

/// The events that have some, or something that is no hook; all of them, where the folder cannot be looked
/// at.
pub(crate) fn events(hooks: &Path, rule: OwnerRule) -> BTreeSet<HookEvent> {
    let above = match folder(CWD, hooks, hooks.as_os_str(), rule) {
        Ok(Some(above)) => above,
        Ok(None) => return BTreeSet::new(),
        Err(_) => return HookEvent::ALL.into(),
    };
    let none = |event: &HookEvent| {
        scripts_in(&above, hooks, *event, rule).is_ok_and(|found| found.is_empty())
    };
    HookEvent::ALL.into_iter().filter(|event| !none(event)).collect()
}

/// The hooks of an event, in the open folder of all.
fn scripts_in(
    above: &OwnedFd,
    hooks: &Path,
    event: HookEvent,
    rule: OwnerRule,
) -> Result<Vec<Script>, Unfit> {
    let path = hooks.join(event.as_str());
    let Some(folder) = folder(above, &path, OsStr::new(event.as_str()), rule)? else {
        return Ok(vec![]);
    };
    let mut scripts = Vec::new();
    for name in names(&folder, &path)? {
        let path = path.join(&name);
        // It was there a moment ago: somebody has just taken it away.
        let Some((file, stat)) = look(&folder, &path, &name)? else { continue };
        check(&stat, FileType::RegularFile, rule)
            .map_err(|problem| Unfit { path: path.clone(), problem })?;
        scripts.push(Script { event, path, file });
    }
    Ok(scripts)
}

/// What is in the folder of all hooks and is named for no event: somebody meant it to run.
pub(crate) fn strangers(hooks: &Path, rule: OwnerRule) -> Result<Vec<Unfit>, Unfit> {
    let Some(folder) = folder(CWD, hooks, hooks.as_os_str(), rule)? else { return Ok(vec![]) };
    let stranger = |name: &OsString| name.to_str().is_none_or(|n| n.parse::<HookEvent>().is_err());
    let names = names(&folder, hooks)?.into_iter().filter(stranger);
    Ok(names.map(|name| Unfit { path: hooks.join(name), problem: Problem::NoEvent }).collect())
}

/// Opens a folder of hooks, if there is one, after a look at whose it is.
fn folder(
    above: impl AsFd,
    path: &Path,
    name: &OsStr,
    rule: OwnerRule,
) -> Result<Option<OwnedFd>, Unfit> {
    let Some((folder, stat)) = look(above, path, name)? else { return Ok(None) };
    check(&stat, FileType::Directory, rule)
        .map_err(|problem| Unfit { path: path.into(), problem })?;
    Ok(Some(folder))
}

/// A file or folder by name, or the link of that name itself, and what the system says of it.
fn look(above: impl AsFd, path: &Path, name: &OsStr) -> Result<Option<(OwnedFd, Stat)>, Unfit> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = match rustix::fs::openat(above, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        found => found.map_err(|errno| io_failed(path, errno))?,
    };
    let stat = rustix::fs::statat(&found, c"", AtFlags::EMPTY_PATH)
        .map_err(|errno| io_failed(path, errno))?;
    Ok(Some((found, stat)))
}

/// Whether it is of the right kind and only the operator could have written it.
fn check(stat: &Stat, kind: FileType, rule: OwnerRule) -> Result<(), Problem> {
    match FileType::from_raw_mode(stat.st_mode) {
        found if found == kind => {}
        FileType::Symlink => return Err(Problem::Link),
        _ if kind == FileType::Directory => return Err(Problem::NotAFolder),
        _ => return Err(Problem::NotAFile),
    }
    let mode = stat.st_mode & 0o7777;
    if !rule.allows(stat.st_uid) {
        return Err(Problem::Owner { owner: stat.st_uid, rule });
    }
    // Where there is an access control list, the group's bits are its mask: the most that anybody
    // named in the list has. So this sees those too.
    if mode & 0o022 != 0 {
        return Err(Problem::Writable { mode });
    }
    if mode & 0o111 == 0 {
        return Err(Problem::NotExecutable { mode });
    }
    Ok(())
}

/// The names in a folder that are meant, in order.
fn names(folder: &OwnedFd, path: &Path) -> Result<Vec<OsString>, Unfit> {
    let failed = |errno| io_failed(path, errno);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let readable = rustix::fs::openat(folder, c".", flags, Mode::empty()).map_err(failed)?;
    let mut names = Vec::new();
    for entry in Dir::new(readable).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if is_left_over(name) {
            continue;
        }
        if names.len() == MAX_SCRIPTS {
            let problem = Problem::TooMany(MAX_SCRIPTS);
            return Err(Unfit { path: path.into(), problem });
        }
        names.push(name.to_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// Whether a name says that its file is not meant to run: hidden, for people to read, or left there by
/// an editor, a package manager or somebody careful.
fn is_left_over(name: &OsStr) -> bool {
    const ENDINGS: [&str; 5] = ["~", ".bak", ".rpmsave", ".rpmnew", ".rpmorig"];
    let name = name.to_string_lossy();
    let stem = name.split_once('.').map_or(&*name, |(stem, _)| stem);
    name.starts_with('.')
        || stem == "README"
        || name.contains(".dpkg-")
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

fn io_failed(path: &Path, errno: Errno) -> Unfit {
    Unfit { path: path.into(), problem: Problem::Io(errno.into()) }
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
