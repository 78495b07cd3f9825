//! Which of a guest's addresses to use.

use innkeeper_model::{GuestAddress, Vm};

/// Which IP version is meant, where one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V4,
    V6,
}

/// The guest's addresses that mean it to others, best first ([`Vm::reached_at`]).
pub(super) fn reachable(vm: &Vm, version: Option<Version>) -> Vec<&GuestAddress> {
    let is_meant = |known: &&GuestAddress| match version {
        None => true,
        Some(version) => known.address.is_ipv6() == (version == Version::V6),
    };
    vm.reached_at().into_iter().filter(is_meant).collect()
}

/// The best of them.
pub(super) fn best(vm: &Vm, version: Option<Version>) -> Option<&GuestAddress> {
    reachable(vm, version).into_iter().next()
}

/// Those of them that the guest has taken up, as far as anybody can tell. Its word for one that is not
/// believed counts where there is nothing else to know.
pub(super) fn taken_up(vm: &Vm) -> Vec<&GuestAddress> {
    let mut all = vm.reached_at();
    let is_known_better = all.first().is_some_and(|best| vm.believes(best));
    all.retain(|known| vm.has_taken_up(known.address) && (vm.believes(known) || !is_known_better));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn vm(addresses: Value) -> Vm {
        let id = innkeeper_model::VmId::new();
        serde_json::from_value(json!({
            "id": id, "name": "web", "project": "default", "state": "running", "revision": 1,
            "facts": {"machine": "running"}, "addresses": addresses,
        }))
        .unwrap()
    }

    fn text(known: Vec<&GuestAddress>) -> Vec<String> {
        known.iter().map(|known| known.address.to_string()).collect()
    }

    #[test]
    fn the_best_address_of_a_version_comes_first() {
        let vm = vm(json!([
            {"address": "172.17.0.1", "source": "agent"},
            {"nic": "nic0", "address": "10.0.0.9", "source": "agent"},
            {"nic": "nic0", "address": "10.0.0.2", "source": "reservation"},
            {"nic": "nic0", "address": "fd00::2", "source": "lease"},
        ]));
        for (version, expected) in [
            (None, &["fd00::2", "10.0.0.2", "10.0.0.9", "172.17.0.1"][..]),
            (Some(Version::V4), &["10.0.0.2", "10.0.0.9", "172.17.0.1"]),
            (Some(Version::V6), &["fd00::2"]),
        ] {
            assert_eq!(text(reachable(&vm, version)), expected);
        }
    }

    #[test]
    fn the_guests_word_for_where_it_is_counts_only_where_nothing_else_is_known() {
        let told = json!({"nic": "nic0", "address": "10.0.0.9", "source": "agent"});
        let kept = json!({"nic": "nic0", "address": "10.0.0.2", "source": "reservation"});
        let same = json!({"nic": "nic0", "address": "10.0.0.2", "source": "agent"});
        assert_eq!(text(taken_up(&vm(json!([told])))), ["10.0.0.9"]);
        assert_eq!(text(taken_up(&vm(json!([told, kept])))), [""; 0]);
        assert_eq!(text(taken_up(&vm(json!([told, kept, same])))), ["10.0.0.2"]);
    }
}
