//! What to say when there is no daemon to talk to: each reason has a remedy of its own.

use crate::{
    failure::{Exit, Failure},
    folders::SYSTEM_SOCKET,
};
use std::{io, path::Path};

/// The failure to connect to the socket, with what to do about it.
pub(super) fn failure(socket: &Path, error: &io::Error) -> Failure {
    let shown = socket.display();
    let message = match error.kind() {
        io::ErrorKind::NotFound => format!("no daemon is running here: there is no socket {shown}"),
        io::ErrorKind::ConnectionRefused => {
            format!("no daemon is running here: nobody listens on {shown} any more")
        }
        io::ErrorKind::PermissionDenied => format!("you may not use the daemon's socket {shown}"),
        _ => format!("cannot connect to the daemon's socket {shown}"),
    };
    Failure::new(Exit::Unreachable, message).because(error).with_hint(hint(socket, error.kind()))
}

fn hint(socket: &Path, kind: io::ErrorKind) -> String {
    let system = socket == Path::new(SYSTEM_SOCKET);
    match kind {
        io::ErrorKind::PermissionDenied if system => {
            "join the group innkeeper (sudo usermod -aG innkeeper $USER) and log in again, \
             or use sudo"
                .into()
        }
        io::ErrorKind::PermissionDenied => {
            "run this as the user whose daemon it is, or as a member of its socket's group".into()
        }
        _ if system => {
            "start it with `systemctl start innkeeper` or `inn serve`; if it runs elsewhere, say \
             --state-dir DIR or --socket PATH"
                .into()
        }
        _ => match socket.file_name().zip(socket.parent()) {
            Some((name, folder)) if name == "inn.sock" && !folder.ends_with("innkeeper") => {
                format!(
                    "start it with `inn serve --state-dir {}`, or say where it runs",
                    folder.display()
                )
            }
            _ => "start it with `inn serve`; if it runs elsewhere, say --state-dir DIR or \
                  --socket PATH"
                .into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_remedy() {
        for (kind, socket, expected) in [
            (io::ErrorKind::NotFound, "/tmp/x/inn.sock", "inn serve --state-dir /tmp/x"),
            (io::ErrorKind::ConnectionRefused, SYSTEM_SOCKET, "systemctl start innkeeper"),
            (io::ErrorKind::PermissionDenied, SYSTEM_SOCKET, "usermod -aG innkeeper"),
            (io::ErrorKind::PermissionDenied, "/tmp/x/inn.sock", "as the user whose daemon"),
            (io::ErrorKind::NotFound, "/run/user/7/innkeeper/inn.sock", "`inn serve`;"),
        ] {
            let failure = failure(Path::new(socket), &kind.into());
            assert_eq!(failure.exit, Exit::Unreachable);
            let text = failure.to_string();
            assert!(text.contains(expected) && text.contains(socket), "{text}");
        }
    }
}
