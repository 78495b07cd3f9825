//! What networks and images say of somebody's VM, which is not for those who are bound to a project.

use super::Sight;
use innkeeper_model::{Image, Network, ShownNetwork, network::NetworkFacts};

/// In place of where an image comes from, where that is a VM.
const OF_A_VM: &str = "a disk of a VM";
/// In place of what is wrong with a network: a program of the host can be named in it.
const OF_THE_HOST: &str = "something is wrong with it on the host: its administrators see what";

impl Sight {
    /// An image without the VM that it was made of; `None` where nothing is hidden of it.
    pub fn image(&self, image: &Image) -> Option<Image> {
        if self.is_everything() || image.lineage.is_none() {
            return None;
        }
        Some(Image { lineage: None, source: OF_A_VM.into(), ..image.clone() })
    }

    /// A network without its leases, which call guests by their names, and without what is or was wrong with it;
    /// `None` where nothing is hidden of it.
    pub fn network(&self, network: &Network) -> Option<Network> {
        if self.is_everything() || !has_hidden(&network.facts) {
            return None;
        }
        let mut network = network.clone();
        hide(&mut network.facts);
        Some(network)
    }

    /// The same of a network as the feed has it.
    pub fn shown_network(&self, network: &ShownNetwork) -> Option<ShownNetwork> {
        if self.is_everything() || !has_hidden(&network.facts) {
            return None;
        }
        let mut network = network.clone();
        hide(&mut network.facts);
        Some(network)
    }
}

const fn has_hidden(facts: &NetworkFacts) -> bool {
    !facts.leases.is_empty() || facts.problem.is_some() || facts.mended.is_some()
}

fn hide(facts: &mut NetworkFacts) {
    facts.leases.clear();
    // It names programs of the host, too.
    facts.mended = None;
    if let Some(problem) = &mut facts.problem {
        *problem = OF_THE_HOST.into();
    }
}
