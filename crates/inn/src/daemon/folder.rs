//! The daemon's own folders: made with the rights that they need, or found and judged.
//!
//! The rights of a folder that was there are never changed: whoever named `/tmp` did not mean it to
//! be closed. Others may look into one that they can read, since each file and folder that is made
//! in it is closed by itself; one that they can write to is refused, since they could put their own
//! in place of what is made there.

use innkeeper_model::{Code, Refusal};
use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::Path,
};

const WRITABLE_BY_OTHERS: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Makes the folders, with these rights, where they are not there. Nothing is made if one that is
/// there cannot be used.
///
/// # Errors
/// A folder cannot be made, or [`check`] refuses it.
pub(super) fn make_all(folders: &[(&Path, u32)]) -> Result<(), Refusal> {
    for (path, _) in folders {
        check(path)?;
    }
    folders.iter().try_for_each(|(path, mode)| make(path, *mode))
}

/// Makes the folder, with these rights, if it is not there.
///
/// # Errors
/// It cannot be made, or [`check`] refuses what is there.
pub(super) fn make(path: &Path, mode: u32) -> Result<(), Refusal> {
    let failed = |error: io::Error| {
        let message = format!("cannot make the folder {}", path.display());
        Refusal::new(Code::Internal, message).caused_by(&error)
    };
    if let Some(parent) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(mode).create(parent).map_err(failed)?;
    }
    match fs::DirBuilder::new().mode(mode).create(path) {
        // The process's umask had its say when it was made.
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check(path),
        Err(error) => Err(failed(error)),
    }
}

/// Whether the daemon can keep its files in this folder; one that is not there can be made.
///
/// # Errors
/// It is no folder, belongs to another user, or others can write to it.
pub(crate) fn check(path: &Path) -> Result<(), Refusal> {
    let shown = path.display();
    let refused = |problem: String, hint: String| {
        Err(Refusal::new(Code::Forbidden, format!("{shown} {problem}")).with_hint(hint))
    };
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let message = format!("cannot look at the folder {shown}");
            return Err(Refusal::new(Code::Internal, message).caused_by(&error));
        }
    };
    if !found.is_dir() {
        return refused("is no folder".into(), "name another, or move it away".into());
    }
    let (own, owner, mode) = (rustix::process::geteuid().as_raw(), found.uid(), found.mode());
    if mode & WRITABLE_BY_OTHERS != 0 && mode & STICKY != 0 {
        let problem = "is everybody's: others could put files of theirs where the daemon's go";
        return refused(
            problem.into(),
            format!("name a folder in it: {}", path.join("inn").display()),
        );
    }
    if owner != own {
        return refused(
            format!("belongs to user {owner}, and the daemon is user {own}"),
            format!("name another folder; or, if nothing else uses this one: chown {own} {shown}"),
        );
    }
    if mode & WRITABLE_BY_OTHERS != 0 {
        let problem = format!("can be written to by others: its mode is {:04o}", mode & 0o7777);
        return refused(problem, format!("chmod go-w {shown}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn with_mode(mode: u32) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        folder
    }

    #[test]
    fn what_is_made_has_its_rights_and_what_was_there_keeps_them() {
        let parent = with_mode(0o755);
        let (state, run) = (parent.path().join("a/state"), parent.path().join("run"));
        make_all(&[(&state, 0o700), (&run, 0o755)]).unwrap();
        assert_eq!((mode(&state), mode(&run)), (0o700, 0o755));
        make_all(&[(&run, 0o700), (parent.path(), 0o700)]).unwrap();
        assert_eq!((mode(&run), mode(parent.path())), (0o755, 0o755));
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused_untouched_and_nothing_is_made() {
        for (bits, hint) in
            [(0o1777, "name a folder in it"), (0o775, "chmod go-w /"), (0o702, "chmod")]
        {
            let (parent, open) = (with_mode(0o700), with_mode(bits));
            let state = parent.path().join("state");
            let refusal = make_all(&[(&state, 0o700), (open.path(), 0o755)]).unwrap_err();
            assert!(refusal.hint.as_deref().unwrap().contains(hint), "{refusal:?}");
            assert_eq!(mode(open.path()), bits);
            assert!(!state.exists());
        }
    }

    #[test]
    fn another_users_folder_is_refused() {
        // Root's where this is not root; where it is, one is given away.
        let folder = with_mode(0o755);
        let others = if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(folder.path(), Some(12_345), None).unwrap();
            folder.path()
        } else {
            Path::new("/usr")
        };
        let refusal = check(others).unwrap_err();
        assert!(refusal.message.contains("belongs to user"), "{refusal}");
    }

    #[test]
    fn a_file_is_no_folder() {
        let folder = with_mode(0o700);
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(make(&file, 0o700).unwrap_err().message.contains("no folder"));
        assert!(make(&file.join("below"), 0o700).is_err());
    }
}
