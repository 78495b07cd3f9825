//! Who is calling.
//!
//! There are two entrances. On the unix socket the kernel itself says who called
//! ([`Identity::of_peer`]), and reaching the socket is the permission: its folder and its mode of
//! 0660 let in root, the daemon's own user, and the members of the socket's group. On TCP a caller
//! shows the daemon's bearer [`Token`], and whoever can read its file is one of the same people.
//! Nothing is trusted by position: a loopback address alone proves nothing.
//!
//! Everybody who gets in is an administrator; roles, owners and rates will have their place here. What
//! is not here: HTTP. A surface takes the credential out of its own protocol and asks.

mod identity;
mod token;

pub use identity::Identity;
pub use token::{Token, TokenError};
