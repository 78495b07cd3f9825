//! Identities: who called, as far as it was proved.

use crate::{tcp_peer::uid_of_peer, wallet::Address};
use rustix::net::sockopt::socket_peercred;
use std::{fmt, io, net::SocketAddr, os::fd::AsFd, sync::Arc};

/// Who is calling.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A process on this host that opened the unix socket, or a connection over loopback where that is
    /// let in.
    User {
        /// The user it ran as when it did.
        uid: u32,
    },
    /// Somebody who showed the daemon's token.
    Token,
    /// Somebody who showed a token that was issued under this name.
    Issued {
        /// The token's name.
        name: Arc<str>,
    },
    /// An Ethereum account that signed.
    Wallet(Address),
}

impl Identity {
    /// Who opened the other end of this unix socket, as the kernel noted it then.
    ///
    /// # Errors
    /// It is no connected unix socket.
    pub fn of_peer(socket: impl AsFd) -> io::Result<Self> {
        let peer = socket_peercred(socket)?;
        Ok(Self::User { uid: peer.uid.as_raw() })
    }

    /// The user that this process runs as.
    pub fn own_uid() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    /// Who opened the other end of a TCP connection between these two addresses of this host, as the
    /// kernel knows it now.
    ///
    /// # Errors
    /// The other end is not on this host, or is gone already.
    pub fn of_tcp_peer(local: SocketAddr, peer: SocketAddr) -> io::Result<Self> {
        Ok(Self::User { uid: uid_of_peer(local, peer)? })
    }
}

/// The name under which tasks and logs know the caller: `uid:1000`, `token`, `token:ci`, `0x…`.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { uid } => write!(f, "uid:{uid}"),
            Self::Token => f.write_str("token"),
            Self::Issued { name } => write!(f, "token:{name}"),
            Self::Wallet(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_peer_is_the_user_that_opened_the_socket() {
        let (here, _there) = UnixStream::pair().unwrap();
        let uid = rustix::process::getuid().as_raw();
        assert_eq!(Identity::of_peer(&here).unwrap(), Identity::User { uid });
        assert_eq!(Identity::of_peer(&here).unwrap().to_string(), format!("uid:{uid}"));
    }

    #[test]
    fn what_is_no_socket_has_no_peer() {
        let file = tempfile::tempfile().unwrap();
        assert!(Identity::of_peer(&file).is_err());
    }
}
