//! What the service manager is told (`sd_notify(3)`), where one started the daemon and wants to know.
//!
//! A manager that cannot be told is no reason not to serve: that is logged, and the manager acts as if
//! it had heard nothing. (The crate `sd-notify` knows no abstract sockets, which containers' managers
//! use.)

use std::{
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};
use tracing::warn;

/// How long a manager may be too busy to take a message.
const TAKES_WITHIN: Duration = Duration::from_secs(2);

/// Something to tell, as `sd_notify(3)` has it: assignments, one a line.
#[derive(Debug, Clone, Copy)]
pub(super) enum Notice<'a> {
    /// The sockets are served.
    Ready {
        /// What the daemon does, in a few words.
        status: &'a str,
    },
    /// The daemon ends.
    Stopping {
        /// What the daemon does, in a few words.
        status: &'a str,
    },
}

impl Notice<'_> {
    fn message(self) -> String {
        let (state, status) = match self {
            Self::Ready { status } => ("READY=1", status),
            Self::Stopping { status } => ("STOPPING=1", status),
        };
        // A line's end would begin another assignment.
        format!("{state}\nSTATUS={}\n", status.replace(['\n', '\r'], " "))
    }
}

/// Tells the service manager, if there is one.
pub(super) fn tell(notice: Notice<'_>) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
        return;
    };
    if let Err(error) = send(&socket, &notice.message()) {
        warn!(?socket, ?notice, %error, "the service manager cannot be told");
    }
}

fn send(socket: &OsStr, message: &str) -> io::Result<()> {
    let sender = UnixDatagram::unbound()?;
    sender.set_write_timeout(Some(TAKES_WITHIN))?;
    sender.send_to_addr(message.as_bytes(), &address(socket)?)?;
    Ok(())
}

/// A path, or an abstract name after an `@`.
fn address(socket: &OsStr) -> io::Result<SocketAddr> {
    match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(socket),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_is_told_at_a_path_or_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("@innkeeper-test-{}", std::process::id());
        for socket in [path.as_os_str(), OsStr::new(&name)] {
            let manager = UnixDatagram::bind_addr(&address(socket).unwrap()).unwrap();
            let status = "on /a\nREADY=0";
            send(socket, &Notice::Ready { status }.message()).unwrap();
            let mut message = [0; 64];
            let length = manager.recv(&mut message).unwrap();
            assert_eq!(&message[..length], b"READY=1\nSTATUS=on /a READY=0\n", "{socket:?}");
        }
        assert!(send(OsStr::new("/nowhere/notify"), "READY=1\n").is_err());
    }
}
