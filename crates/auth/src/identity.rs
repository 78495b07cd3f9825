//! Identities: who called, as far as it was proved.

use crate::wallet::Address;
use rustix::net::sockopt::socket_peercred;
use std::{fmt, io, os::fd::AsFd, sync::Arc};

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
    /// Somebody who showed a client certificate that was issued under this name.
    Certificate {
        /// The certificate's name.
        name: Arc<str>,
    },
    /// An Ethereum account that signed.
    Wallet(Address),
    /// Somebody whom an OpenID Connect issuer vouches for.
    Oidc {
        /// What the operator calls the issuer.
        issuer: Arc<str>,
        /// Who it is there: visible ASCII, all else written as `%XX`.
        subject: Arc<str>,
    },
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
}

/// The name under which tasks and logs know the caller: `uid:1000`, `token`, `token:ci`, `cert:ci`,
/// `0x…`,
/// `oidc:corp:anna`.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { uid } => write!(f, "uid:{uid}"),
            Self::Token => f.write_str("token"),
            Self::Issued { name } => write!(f, "token:{name}"),
            Self::Certificate { name } => write!(f, "cert:{name}"),
            Self::Wallet(address) => address.fmt(f),
            Self::Oidc { issuer, subject } => write!(f, "oidc:{issuer}:{subject}"),
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
