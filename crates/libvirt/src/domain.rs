//! Domains as data: what libvirt's numbers and XML mean. Pure.

pub(crate) mod capabilities;
mod described;
mod state;

pub(crate) use described::Described;
pub(crate) use state::State;
