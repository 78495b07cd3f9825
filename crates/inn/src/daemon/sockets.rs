//! The unix sockets that the daemon listens on.

use anyhow::{Context, bail};
use innkeeper_store::harm;
use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::UnixStream,
    },
    path::Path,
};
use tokio::net::UnixListener;
use tracing::debug;

/// Binds the unix socket: for the daemon's user, and for the group where there is one.
///
/// # Errors
/// Something answers there already, or something else is in its place.
pub(super) fn bind_unix(path: &Path, group: &str) -> anyhow::Result<UnixListener> {
    let shown = path.display();
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            bail!("{shown} is in the socket's place and is no socket; move it away")
        }
        Ok(_) if UnixStream::connect(path).is_ok() => {
            bail!("something listens on {shown} already; give this daemon another --state-dir")
        }
        // What a daemon that was killed left behind.
        Ok(_) => {
            harm::remove_file(path).with_context(|| format!("cannot remove the old {shown}"))?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot look at {shown}")),
    }
    let listener = UnixListener::bind(path).with_context(|| format!("cannot listen on {shown}"))?;
    if rustix::process::geteuid().is_root()
        && let Some(gid) = group_id(group)
    {
        let gid = Some(rustix::fs::Gid::from_raw(gid));
        rustix::fs::chown(path, None, gid)
            .with_context(|| format!("cannot give {shown} to {group}"))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))
        .with_context(|| format!("cannot set the rights of {shown}"))?;
    Ok(listener)
}

/// Removes the socket when it is dropped: at the daemon's end, or where its start fails after all.
#[derive(Debug)]
pub(super) struct RemovedAtTheEnd<'a>(pub(super) &'a Path);

impl Drop for RemovedAtTheEnd<'_> {
    fn drop(&mut self) {
        if let Err(error) = harm::remove_file(self.0) {
            debug!(%error, "the socket was gone already");
        }
    }
}

/// The id of a group, from the system's own file: `NAME:x:GID:members`.
fn group_id(name: &str) -> Option<u32> {
    let groups = fs::read_to_string("/etc/group").ok()?;
    let mut fields = groups
        .lines()
        .map(|line| line.split(':'))
        .find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?;
    fields.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::{fs::symlink, net::UnixListener as BlockingListener};

    /// Of which there is none, as on most machines.
    const GROUP: &str = "no-such-group";

    #[test]
    fn a_socket_in_use_is_refused_and_left_to_who_listens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inn.sock");
        let _listens = BlockingListener::bind(&path).unwrap();
        let problem = bind_unix(&path, GROUP).unwrap_err().to_string();
        assert!(problem.contains(path.to_str().unwrap()), "{problem}");
        assert!(problem.contains("listens") && problem.contains("--state-dir"), "{problem}");
        UnixStream::connect(&path).expect("whoever listened still does");
    }

    #[test]
    fn what_is_no_socket_is_refused_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
        fs::write(&file, "somebody's").unwrap();
        symlink(&file, &link).unwrap();
        for path in [&file, &link] {
            let problem = bind_unix(path, GROUP).unwrap_err().to_string();
            assert!(problem.contains(path.to_str().unwrap()), "{problem}");
            assert!(problem.contains("no socket; move it away"), "{problem}");
            assert_eq!(fs::read_to_string(path).unwrap(), "somebody's");
        }
    }

    #[tokio::test]
    async fn what_a_killed_daemon_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inn.sock");
        drop(BlockingListener::bind(&path).unwrap());
        assert!(path.exists(), "the kernel leaves the file");
        let _listens = bind_unix(&path, GROUP).unwrap();
        UnixStream::connect(&path).unwrap();
    }
}
