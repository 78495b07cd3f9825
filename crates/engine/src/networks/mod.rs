//! Networks: who is on them, who has which address, and what the host has to be like for that.
//!
//! - `claims` is who has which address, hardware address and port, each one NIC at a time; `book` is where
//!   that is written.
//! - `changes` turns a request about networks into the record that will be stored, or a reason why not.
//! - `wiring` is what the host has to know, as a pure function of the view.
//! - `keeping` has the host be like that, and tells the view what there is; `mended`, what it had to put right.

mod book;
pub(crate) mod changes;
pub(crate) mod claims;
pub(crate) mod keeping;
mod mended;
pub(crate) mod nics;
pub(crate) mod wiring;

use crate::perform::accountant::Accountant;
use claims::Claims;
use innkeeper_model::{NetworkId, network::Mended};
use innkeeper_network::HostNetworks;
use innkeeper_store::NetworkStore;
use std::{
    collections::HashMap,
    net::SocketAddrV4,
    sync::{Arc, Mutex},
};
use tokio::sync::Notify;

/// What the engine has of networks.
#[derive(Debug)]
pub(crate) struct Networks {
    pub(crate) store: Arc<NetworkStore>,
    pub(crate) host: Arc<dyn HostNetworks>,
    /// Where guests' metadata service is.
    pub(crate) metadata: Option<SocketAddrV4>,
    pub(crate) claims: Claims,
    /// Held while the host is asked to be as the view is.
    pub(crate) asking: Mutex<()>,
    /// Rung when the host may have to be changed, by something that nobody waits for.
    pub(crate) rewire: Notify,
    /// What was last put right of each. Held while the view is told, so that it hears last what was seen last.
    pub(crate) mended: Mutex<HashMap<NetworkId, Mended>>,
}

impl Networks {
    pub(crate) fn new(
        store: NetworkStore,
        host: Arc<dyn HostNetworks>,
        metadata: Option<SocketAddrV4>,
        accountant: Arc<Accountant>,
    ) -> Self {
        let (asking, rewire, mended) = Default::default();
        let claims = Claims::new(accountant);
        Self { store: Arc::new(store), host, metadata, claims, asking, rewire, mended }
    }
}
