//! What a driver needs of its host's networks.

use async_trait::async_trait;
use innkeeper_model::{Code, InterfaceName, Refusal, network::Plug};
use std::os::fd::OwnedFd;

/// The host's ends of NICs' cables.
#[async_trait]
pub trait Taps: std::fmt::Debug + Send + Sync {
    /// Makes the tap of a connection, plugs it into its network and opens it, with `IFF_VNET_HDR`. It
    /// goes with the last descriptor of it, so a dropped future leaves none.
    ///
    /// # Errors
    /// The network is not there, or the tap is open already.
    async fn open(&self, plug: &Plug) -> Result<OwnedFd, Refusal>;

    /// Plugs a tap that is open into the network that its connection names.
    ///
    /// # Errors
    /// There is no such tap, or no such network; it stays where it was.
    async fn replug(&self, plug: &Plug) -> Result<(), Refusal>;

    /// Lets packets through a tap, or none.
    ///
    /// # Errors
    /// There is no such tap.
    async fn set_link(&self, tap: &InterfaceName, up: bool) -> Result<(), Refusal>;
}

/// A host without networks.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTaps;

fn none() -> Refusal {
    Refusal::new(Code::Unsupported, "there are no networks on this host")
        .with_hint("run the daemon as root, or put the NIC on network `user`")
}

#[async_trait]
impl Taps for NoTaps {
    async fn open(&self, _: &Plug) -> Result<OwnedFd, Refusal> {
        Err(none())
    }

    async fn replug(&self, _: &Plug) -> Result<(), Refusal> {
        Err(none())
    }

    async fn set_link(&self, _: &InterfaceName, _: bool) -> Result<(), Refusal> {
        Err(none())
    }
}
