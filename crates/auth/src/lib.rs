//! Who is calling, and what they may do.
//!
//! ```text
//!   what a caller shows ──▶ Doorkeeper ──▶ Principal ──▶ may(action, resource)?   the table of roles
//!   or the kernel says                     who, role,
//!                                          scope, class
//! ```
//!
//! On the unix socket the kernel itself says who called ([`Identity::of_peer`]), and reaching the socket
//! is the permission: its folder and its mode of 0660 let in root, the daemon's own user, and the members
//! of the socket's group. On TCP a caller shows a credential: the daemon's own [`Token`], whose bearers
//! are administrators since whoever can read its file is one of the same people; one that was issued
//! ([`IssuedTokens`]); or what a wallet signed, if its account is let in ([`Accounts`]), or an issuer that the operator named ([`oidc`]). A
//! browser shows any of these once, and a cookie from then on. Where an operator
//! opened a door whose protocol has no credential, the kernel is asked who has the other end
//! ([`Source::of_tcp`]), and the caller has the [`Role`] that the operator stated. Nothing is
//! trusted by position: a loopback address alone proves nothing.
//!
//! What is not here: any surface. One takes the credential out of its own protocol and asks; which things are there for
//! a principal's scope, the surfaces' `Sight` says.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod accounts;
mod browser;
pub mod certificate;
mod claims;
mod digest;
mod doorkeeper;
mod identity;
mod issued;
pub mod limits;
mod list_file;
pub mod oidc;
mod principal;
mod private_file;
mod revoked;
mod role;
mod seen;
mod source;
mod standing;
mod tcp_peer;
mod token;
pub mod wallet;

pub use accounts::{AccountRules, Accounts, SigningIn};
pub use browser::{BrowserSession, KnownSession};
pub use certificate::{Authority, Certificates, Fingerprint};
pub use doorkeeper::{Doorkeeper, NotAdmitted};
pub use identity::Identity;
pub use issued::{CredentialState, IssuedTokens, MAX_ISSUED, NewToken, ShownCredential};
pub use list_file::ListError;
pub use principal::{Class, Principal, Scope};
pub use revoked::RevokedTokens;
pub use role::{Action, Grant, Resource, Role, Row, TABLE};
pub use source::Source;
pub use standing::{Revocable, Standing};
pub use token::{Token, TokenError};
pub use wallet::Address;
