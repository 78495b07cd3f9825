//! Who comes in by a door, and as what.

use innkeeper_auth::{Doorkeeper, Identity, Principal, Role, Source};
use innkeeper_model::{Code, Refusal};
use std::{collections::BTreeSet, io, sync::Arc};

/// Whom a door lets in: whoever shows a credential, and maybe some who show none.
#[derive(Debug, Clone)]
pub struct Access {
    doorkeeper: Doorkeeper,
    anonymous: Option<Anonymous>,
}

/// Processes of this host that run as one of these users, without a credential; in this role.
#[derive(Debug, Clone)]
struct Anonymous {
    role: Role,
    uids: Arc<BTreeSet<u32>>,
}

/// How one connection came in.
#[derive(Debug, Clone)]
pub(crate) struct Entrance {
    /// What credentials are known here. One that is shown counts, whoever the peer is.
    pub(crate) doorkeeper: Doorkeeper,
    /// What the connection is without one.
    pub(crate) peer: Peer,
}

/// What a connection is whose requests show no credential.
#[derive(Debug, Clone)]
pub(crate) enum Peer {
    /// Nobody's: one is needed.
    Nobody,
    /// A process's of this host that is let in.
    LetIn(Principal),
    /// A process's of this host whose user is none of those who are let in.
    Other(Identity),
}

impl Access {
    /// Whoever shows a credential that this doorkeeper knows.
    pub const fn by_credential(doorkeeper: Doorkeeper) -> Self {
        Self { doorkeeper, anonymous: None }
    }

    /// And processes of this host that run as one of these users, without a credential; in this role.
    #[must_use]
    pub fn or_anonymous(self, role: Role, uids: BTreeSet<u32>) -> Self {
        Self { anonymous: Some(Anonymous { role, uids: Arc::new(uids) }), ..self }
    }

    /// How a connection from there comes in.
    ///
    /// # Errors
    /// Nobody knows whose it is: it is over already.
    pub(crate) fn of(&self, source: Source) -> io::Result<Entrance> {
        let doorkeeper = self.doorkeeper.clone();
        let Some(Anonymous { role, uids }) = &self.anonymous else {
            return Ok(Entrance { doorkeeper, peer: Peer::Nobody });
        };
        let identity = match source {
            Source::User(uid) => Identity::User { uid },
            Source::ThisHost => return Err(io::ErrorKind::NotConnected.into()),
            // Of another host's users nothing is known.
            Source::Host(_) => return Ok(Entrance { doorkeeper, peer: Peer::Nobody }),
        };
        let is_let_in = matches!(&identity, Identity::User { uid } if uids.contains(uid));
        let peer = match is_let_in {
            true => Peer::LetIn(Principal::anonymous(identity, *role)),
            false => Peer::Other(identity),
        };
        Ok(Entrance { doorkeeper, peer })
    }
}

/// That this user is none of those who are let in.
pub(crate) fn not_let_in(identity: &Identity) -> Refusal {
    Refusal::new(Code::Forbidden, format!("this door is not open to {identity}"))
        .with_hint("the configuration says who may come in by it: `uids` of the door")
}
