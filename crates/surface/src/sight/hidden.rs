//! What networks and images say of somebody's VM, which is not for those who are bound to a project.

use super::Sight;
use innkeeper_model::{Image, Network, ShownNetwork};

/// In place of where an image comes from, where that is a VM.
const OF_A_VM: &str = "a disk of a VM";

impl Sight {
    /// An image without the VM that it was made of; `None` where nothing is hidden of it.
    pub fn image(&self, image: &Image) -> Option<Image> {
        if self.is_everything() || image.lineage.is_none() {
            return None;
        }
        Some(Image { lineage: None, source: OF_A_VM.into(), ..image.clone() })
    }

    /// A network without its leases, which call guests by their names; `None` where nothing is hidden of it.
    pub fn network(&self, network: &Network) -> Option<Network> {
        if self.is_everything() || network.facts.leases.is_empty() {
            return None;
        }
        let mut network = network.clone();
        network.facts.leases.clear();
        Some(network)
    }

    /// The same of a network as the feed has it.
    pub fn shown_network(&self, network: &ShownNetwork) -> Option<ShownNetwork> {
        if self.is_everything() || network.facts.leases.is_empty() {
            return None;
        }
        let mut network = network.clone();
        network.facts.leases.clear();
        Some(network)
    }
}
