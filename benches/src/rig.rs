//! What is measured, and what it is measured with.

pub(crate) mod api;
pub(crate) mod bare;
pub(crate) mod by_hand;
pub(crate) mod cleanup;
pub(crate) mod crowd;
pub(crate) mod daemon;
pub(crate) mod engine;
pub(crate) mod flood;
pub(crate) mod floor;
pub(crate) mod guest;
pub(crate) mod http;
pub(crate) mod libvirt;
pub(crate) mod lives;
pub(crate) mod network;
pub(crate) mod node;
pub(crate) mod open_loop;
pub(crate) mod ping;
pub(crate) mod qmp;
pub(crate) mod raw_journal;
pub(crate) mod readers;
pub(crate) mod specs;
pub(crate) mod terminal;
pub(crate) mod wallet;
pub(crate) mod wrk;
