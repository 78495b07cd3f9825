//! What Innkeeper's interfaces are called, before they are there.
//!
//! The names are pure functions of ids, so that a step that was cut short finds what it made. They are
//! also the same for every daemon of a host; whose an interface is, its [mark](mark_of_bridge) says.

use innkeeper_model::{NetworkId, VmId, names::DeviceName, network::InterfaceName};
use sha2::{Digest, Sha256};

/// What the name of every tap begins with.
pub(crate) const TAP_PREFIX: &str = "innt";
/// What the name of every bridge begins with.
const BRIDGE_PREFIX: &str = "innb";
/// The letters of names, five bits each.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// How many of them follow a prefix: 55 bits, so that of a million taps two are the same with a chance
/// of one in 70,000.
const LETTERS_IN_NAME: usize = 11;

/// The tap of a VM's interface.
pub fn tap_name(vm: VmId, nic: &DeviceName) -> InterfaceName {
    named(TAP_PREFIX, &format!("{vm}/{nic}"))
}

/// The bridge of a network that joins none.
pub fn bridge_name(network: NetworkId) -> InterfaceName {
    named(BRIDGE_PREFIX, &network.to_string())
}

/// What a bridge that Innkeeper made says of itself (`ip link` shows it as its alias). Only a bridge with
/// the mark of the same daemon is ever removed.
pub(crate) fn mark_of_bridge(instance: u32, network: NetworkId) -> String {
    format!("{}{network}", marks_of_bridges(instance))
}

/// What the marks of all bridges of a daemon begin with.
pub(crate) fn marks_of_bridges(instance: u32) -> String {
    format!("innkeeper:{instance}:network:")
}

/// What a tap says of itself.
pub(crate) fn mark_of_tap(instance: u32, vm: VmId, nic: &DeviceName) -> String {
    format!("innkeeper:{instance}:vm:{vm}:{nic}")
}

/// The hardware address of a network's bridge. It is set, because a bridge without one of its own takes
/// that of a port, and so changes it whenever a VM starts; guests would lose their router.
pub(crate) fn bridge_mac(network: NetworkId) -> [u8; 6] {
    let hash = Sha256::digest(network.to_string().as_bytes());
    // Locally administered, of one interface, and outside QEMU's 52:54:00.
    [0x02, 0x49, 0x4b, hash[0], hash[1], hash[2]]
}

fn named(prefix: &str, what: &str) -> InterfaceName {
    let hash = Sha256::digest(what.as_bytes());
    let mut bits = u64::from_be_bytes(hash[..8].try_into().expect("a SHA-256 has 32 bytes"));
    let mut name = prefix.to_owned();
    for _ in 0..LETTERS_IN_NAME {
        name.push(char::from(LETTERS[usize::try_from(bits & 31).unwrap_or(0)]));
        bits >>= 5;
    }
    name.parse().expect("4 letters and 11 more are an interface's name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stable_and_each_its_own() {
        let vm: VmId = "0190a1b2-0000-7000-8000-000000000001".parse().unwrap();
        let [net0, net1] = ["net0", "net1"].map(|nic| tap_name(vm, &nic.parse().unwrap()));
        // A tap that an older daemon made is found under the same name.
        assert_eq!(net0.as_str(), "inntjzb3j4r4qfg");
        assert_ne!(net0, net1);
        let network: NetworkId = "0190a1b2-0000-7000-8000-000000000002".parse().unwrap();
        assert_eq!(bridge_name(network).as_str(), "innbzhcktwaxqbo");
        assert_eq!(bridge_mac(network)[0] & 0b11, 0b10, "local, and of one interface");
    }
}
