//! Who comes in by a door, and as what.

use innkeeper_auth::{Identity, Role, Token};
use innkeeper_model::{Code, Refusal};
use std::{collections::BTreeSet, io, sync::Arc};
use tokio::net::TcpStream;

/// Whom a door lets in.
#[derive(Debug, Clone)]
pub enum Access {
    /// Whoever shows this token; as an administrator.
    Token(Token),
    /// Processes of this host that run as one of these users, without a credential; in this role.
    Anonymous {
        /// What they may do.
        role: Role,
        /// Who they may be.
        uids: Arc<BTreeSet<u32>>,
    },
}

/// How one connection came in.
#[derive(Debug, Clone)]
pub(crate) enum Entrance {
    /// Its requests show this token.
    Token(Token),
    /// It is a process's of this host.
    Peer {
        /// Whose.
        identity: Identity,
        /// In which role; none where the user is none of those who are let in.
        role: Option<Role>,
    },
}

impl Access {
    /// How this connection comes in.
    ///
    /// # Errors
    /// Nobody knows whose it is.
    pub(crate) fn of(&self, socket: &TcpStream) -> io::Result<Entrance> {
        match self {
            Self::Token(token) => Ok(Entrance::Token(token.clone())),
            Self::Anonymous { role, uids } => {
                let identity = Identity::of_tcp_peer(socket.local_addr()?, socket.peer_addr()?)?;
                let is_let_in = matches!(identity, Identity::User { uid } if uids.contains(&uid));
                Ok(Entrance::Peer { identity, role: is_let_in.then_some(*role) })
            }
        }
    }
}

/// That this user is none of those who are let in.
pub(crate) fn not_let_in(identity: Identity) -> Refusal {
    Refusal::new(Code::Forbidden, format!("this door is not open to {identity}"))
        .with_hint("the configuration says who may come in by it: `uids` of the door")
}
