//! Networks on a real kernel, in network namespaces of the test's own: nothing of the machine's network is
//! seen or changed. The guests have kernels' network stacks of their own, behind the taps that a
//! hypervisor would be given.
//!
//! It needs root, `nft`, `dnsmasq`, `ip` and `busybox`; without root each test says so, and passes.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]
#![expect(clippy::print_stderr, reason = "a test says why it was skipped")]

mod deaths;
mod firewall;
mod flush;
mod forged;
mod guard;
mod guest;
mod joined;
mod lifecycle;
mod measure;
mod namespace;
mod other_nft;
mod ports;
mod service;
mod unset;
mod yard;
