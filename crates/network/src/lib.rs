//! What guests may reach: networks of this host, and what keeps guests from everything else.
//!
//! [`HostNetworks`] is the port that the engine has networks through: [`LinuxNetworks`] makes them of
//! bridges, taps, an nftables ruleset and a dnsmasq each; [`PaperNetworks`] only remembers them.
//! [`LoopbackGuard`] keeps guests on user-mode networks from their host.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod dnsmasq;
mod host;
mod leases;
mod linux;
mod loopback;
mod metadata;
mod names;
mod paper;
mod patience;
mod ruleset;
#[cfg(test)]
mod testing;

pub use host::{Applied, Desired, Finding, HostNetworks};
pub use innkeeper_model::network::Plug;
pub use linux::{LinuxNetworks, LinuxOptions, addresses_of_this_host};
pub use loopback::{LoopbackGuard, UidRange};
pub use metadata::{METADATA_ANSWERED, METADATA_ASKED};
pub use names::{bridge_name, tap_name};
pub use paper::{Call, PaperNetworks};
