//! Finding a network or a subnet by what a person typed.

use crate::{Lookup, MAX_CANDIDATES, record::Record, snapshot::Snapshot};
use innkeeper_model::{Network, network::Subnet};
use std::sync::Arc;

/// A subnet of a network of the view.
#[derive(Debug, Clone)]
pub struct SubnetOf {
    /// The network.
    pub network: Arc<Record<Network>>,
    /// Which of its subnets.
    index: usize,
}

impl SubnetOf {
    /// The subnet.
    pub fn subnet(&self) -> &Subnet {
        &self.network.subnets[self.index]
    }
}

impl Snapshot {
    /// The network that this text means: by its id, else by its name, else by the beginning of its id or
    /// name if only one network's begins so.
    pub fn find_network(&self, text: &str) -> Lookup<Record<Network>> {
        // A host has a handful of networks, so that looking at each is quicker than any index.
        let all = || {
            self.networks.values().cloned().map(|network| {
                let words = vec![network.id.to_string(), network.config.name.to_string()];
                (network, words)
            })
        };
        best(text, all())
    }

    /// The subnet that this text means: by its id, its range or its name, else by the beginning of one of
    /// these if only one subnet's begins so. Where two networks have a subnet of that name,
    /// `NETWORK/NAME` means one of them.
    pub fn find_subnet(&self, text: &str) -> Lookup<SubnetOf> {
        let all = self.networks.values().flat_map(|network| {
            network.subnets.iter().enumerate().map(move |(index, subnet)| {
                let mut words = vec![subnet.id.to_string(), subnet.config.range.to_string()];
                if let Some(name) = &subnet.config.name {
                    words.push(name.to_string());
                    // The beginning of a network's name alone means no subnet.
                    let full = format!("{}/{name}", network.config.name);
                    words.extend((full == text).then_some(full));
                }
                (Arc::new(SubnetOf { network: Arc::clone(network), index }), words)
            })
        });
        best(text, all)
    }
}

/// Of some things with the words that they go by, the one that a text means: those that go by exactly
/// this word, else those of which a word begins with it.
fn best<T>(text: &str, all: impl Iterator<Item = (Arc<T>, Vec<String>)>) -> Lookup<T> {
    if text.is_empty() {
        return Lookup::None;
    }
    let (mut exact, mut beginning) = (Vec::new(), Vec::new());
    for (thing, words) in all {
        if words.iter().any(|word| word == text) {
            exact.push(thing);
        } else if words.iter().any(|word| word.starts_with(text)) {
            beginning.push(thing);
        }
    }
    let mut found = if exact.is_empty() { beginning } else { exact };
    found.truncate(MAX_CANDIDATES);
    match found.len() {
        0 => Lookup::None,
        1 => found.pop().map_or(Lookup::None, Lookup::Found),
        _ => Lookup::Ambiguous(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Update,
        state::State,
        test_data::{network, second, subnet},
    };
    use uuid::Uuid;

    fn snapshot() -> Snapshot {
        let mut state = State::new(Uuid::nil(), 10);
        for (n, name, range) in
            [(1, "lan", "10.1.0.0/24"), (2, "lan-2", "10.2.0.0/24"), (3, "dmz", "10.3.0.0/24")]
        {
            let mut network = network(n, name);
            network.subnets = vec![subnet(n, range)];
            network.subnets[0].config.name = (n > 1).then(|| "servers".parse().unwrap());
            let update = Update::Network(Arc::new(network));
            state.apply(update, second(0), &mut Vec::new());
        }
        state.snapshot().clone()
    }

    fn found<T>(lookup: Lookup<T>, name: impl Fn(&T) -> String) -> Vec<String> {
        match lookup {
            Lookup::None => Vec::new(),
            Lookup::Found(one) => vec![name(&one)],
            Lookup::Ambiguous(some) => {
                assert!(some.len() > 1);
                some.iter().map(|one| name(one)).collect()
            }
        }
    }

    #[track_caller]
    fn check(text: &str, networks: &[&str], subnets: &[&str]) {
        let snapshot = snapshot();
        let name = |network: &Record<Network>| network.config.name.to_string();
        assert_eq!(found(snapshot.find_network(text), name), networks, "{text:?}");
        let range = |subnet: &SubnetOf| subnet.subnet().config.range.to_string();
        assert_eq!(found(snapshot.find_subnet(text), range), subnets, "{text:?}");
    }

    #[test]
    fn a_network_is_found_by_id_name_and_the_beginning_of_either() {
        check("lan", &["lan"], &[]);
        check("la", &["lan", "lan-2"], &[]);
        check("dm", &["dmz"], &[]);
        check("", &[], &[]);
        check("nowhere", &[], &[]);
        check("00000000-0000-0000-0000-000000000003", &["dmz"], &["10.3.0.0/24"]);
    }

    #[test]
    fn a_subnet_is_found_by_its_range_and_by_its_name_alone_or_after_its_networks() {
        check("10.1.0.0/24", &[], &["10.1.0.0/24"]);
        check("10.2", &[], &["10.2.0.0/24"]);
        check("servers", &[], &["10.2.0.0/24", "10.3.0.0/24"]);
        check("dmz/servers", &[], &["10.3.0.0/24"]);
        let snapshot = snapshot();
        let (network, subnet) = snapshot.subnet(subnet(2, "10.2.0.0/24").id).unwrap();
        assert_eq!((network.config.name.as_str(), subnet.config.name.is_some()), ("lan-2", true));
        assert!(snapshot.network_named(&"lan-2".parse().unwrap()).is_some());
        assert!(snapshot.network_named(&"la".parse().unwrap()).is_none());
    }
}
