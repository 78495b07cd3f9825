//! Who is calling.
//!
//! There are two entrances. On the unix socket the kernel itself says who called
//! ([`Identity::of_peer`]), and reaching the socket is the permission: its folder and its mode of
//! 0660 let in root, the daemon's own user, and the members of the socket's group. On TCP a caller
//! shows the daemon's bearer [`Token`], and whoever can read its file is one of the same people; or,
//! where an operator opened a door whose protocol has no credential, the kernel is asked who has the
//! other end ([`Identity::of_tcp_peer`]). Nothing is trusted by position: a loopback address alone proves
//! nothing.
//!
//! Whoever comes in by socket or token is an administrator; on such a door a caller has the [`Role`] that
//! the operator stated. What is not here: HTTP. A surface takes the credential out of its own protocol
//! and asks.

mod identity;
mod role;
mod tcp_peer;
mod token;

pub use identity::Identity;
pub use role::{Action, Role};
pub use token::{Token, TokenError};
