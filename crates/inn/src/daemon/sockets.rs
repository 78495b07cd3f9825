//! The sockets that the daemon listens on.

use anyhow::{Context, bail};
use innkeeper_store::harm;
use std::{
    fs, io,
    net::SocketAddr,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::UnixStream,
    },
    path::Path,
};
use tokio::net::{TcpListener, UnixListener};
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

/// Binds the TCP addresses.
///
/// # Errors
/// A port is taken.
pub(super) async fn bind_tcp(addresses: &[SocketAddr]) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!(
                "cannot listen on {address}; see who does with `ss -ltnp`, or choose another port"
            )
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
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
