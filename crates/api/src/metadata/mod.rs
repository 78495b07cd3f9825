//! The metadata service: what cloud-init asks for on 169.254.169.254, answered from the seed of the VM
//! that asks.
//!
//! Who asks is told by the address alone. The firewall brings requests here from guests' taps, each with
//! the address that its rules hold it to; so only addresses of that kind are looked up, never one that a
//! guest's agent told. Whoever else asks learns nothing, not even that there is something.
//!
//! The texts are secrets: they are read for one answer, and neither kept nor logged. What a seed is for is
//! the first start; a guest that lets strangers make requests from within it should shut the service off
//! to them, so at least what came by way of a proxy or under another name is refused.
//!
//! ```text
//!   serve ──▶ peers            path ──▶ documents ──▶ seeds
//!   limits    whose address    what is  from a text   a port: the
//!             is this          wanted   to answers    daemon's storage
//! ```

mod documents;
mod path;
mod peers;
mod serve;

pub use peers::{Peer, Peers};
pub use serve::serve_metadata;

use async_trait::async_trait;
use innkeeper_model::{Refusal, Secret, VmId};

/// A document of a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeedDocument {
    /// Who the guest is.
    MetaData,
    /// What it is to do first.
    UserData,
    /// How it is connected.
    NetworkConfig,
}

/// Where the texts of seeds are.
#[async_trait]
pub trait Seeds: Send + Sync {
    /// One document of a VM's seed; `None` where the VM has no seed, or the seed no such document.
    ///
    /// # Errors
    /// The seed cannot be read.
    async fn read(&self, vm: VmId, document: SeedDocument) -> Result<Option<Secret>, Refusal>;
}
