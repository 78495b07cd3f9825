//! Elements added to the firewall's sets by the kernel's own protocol (nfnetlink).
//!
//! A NIC that is plugged in waits for this alone, and `nft` takes 3 ms to begin.

use super::netlink::{Ask, Netlink, Request};
use crate::ruleset::Addition;
use std::{io, net::Ipv4Addr, net::Ipv6Addr};

const NFNL_MSG_BATCH_BEGIN: u16 = 16;
const NFNL_MSG_BATCH_END: u16 = 17;
pub(super) const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFT_MSG_NEWSETELEM: u16 = 12;
const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
const NFTA_SET_ELEM_LIST_SET: u16 = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_DATA_VALUE: u16 = 1;
const NFPROTO_UNSPEC: u8 = 0;
const NFPROTO_BRIDGE: u8 = 7;
/// The bytes of an interface's name in a key.
const IFNAMSIZ: usize = 16;
/// An attribute is of 64 KiB at most; this many keys are a quarter of that.
const MOST: usize = 256;

/// Adds elements to sets of a table, all or none. Blocks for some microseconds, or until somebody else has
/// done with the firewall.
///
/// # Errors
/// The kernel refuses; or one of them is of a set that only `nft` is told how to write. Nothing is added.
pub(super) fn add(table: &str, additions: &[Addition]) -> io::Result<()> {
    let mark = |message_type| {
        let [high, low] = NFNL_SUBSYS_NFTABLES.to_be_bytes();
        Request::new(message_type, Ask::Mark, &[NFPROTO_UNSPEC, 0, high, low])
    };
    let unknown = || io::Error::from(io::ErrorKind::Unsupported);
    let mut requests = vec![mark(NFNL_MSG_BATCH_BEGIN)];
    for addition in additions {
        requests.push(request(table, addition).ok_or_else(unknown)?);
    }
    if requests.len() == 1 {
        return Ok(());
    }
    requests.push(mark(NFNL_MSG_BATCH_END));
    Netlink::to_firewall()?.carry_out(requests)
}

fn request(table: &str, addition: &Addition) -> Option<Request> {
    if addition.family != "bridge" || addition.elements.len() > MOST {
        return None;
    }
    let keys: Vec<Vec<u8>> =
        addition.elements.iter().map(|element| key(element)).collect::<Option<_>>()?;
    let message_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM;
    let request = Request::new(message_type, Ask::Create, &[NFPROTO_BRIDGE, 0, 0, 0])
        .with_text(NFTA_SET_ELEM_LIST_TABLE, table)
        .with_text(NFTA_SET_ELEM_LIST_SET, addition.set)
        .with_nested(NFTA_SET_ELEM_LIST_ELEMENTS, |list| {
            keys.iter().fold(list, |list, key| {
                list.with_nested(NFTA_LIST_ELEM, |element| {
                    element.with_nested(NFTA_SET_ELEM_KEY, |of| of.with(NFTA_DATA_VALUE, key))
                })
            })
        });
    Some(request)
}

/// A key as the kernel has it: its fields one after the other, each filled up to a multiple of 4 bytes.
/// `None` for what is no name of an interface, hardware address, IP address or number of 128 bits at most.
fn key(element: &str) -> Option<Vec<u8>> {
    let mut key = Vec::new();
    for field in element.split(" . ") {
        key.extend(bytes(field)?);
        key.resize(key.len().next_multiple_of(4), 0);
    }
    Some(key)
}

fn bytes(field: &str) -> Option<Vec<u8>> {
    if let Some(name) = field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        let mut bytes = name.as_bytes().to_vec();
        (bytes.len() < IFNAMSIZ).then(|| bytes.resize(IFNAMSIZ, 0))?;
        return Some(bytes);
    }
    if let Some(number) = field.strip_prefix("0x") {
        let bytes = u128::from_str_radix(number, 16).ok()?.to_be_bytes();
        // As many as are written.
        return bytes.get(bytes.len().checked_sub(number.len().div_ceil(2))?..).map(Into::into);
    }
    if let Ok(address) = field.parse::<Ipv4Addr>() {
        return Some(address.octets().into());
    }
    if let Ok(address) = field.parse::<Ipv6Addr>() {
        return Some(address.octets().into());
    }
    let mac: Vec<u8> =
        field.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect::<Option<_>>()?;
    (mac.len() == 6).then_some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        host::Desired,
        ruleset::{ruleset, table_name},
        testing::{self, plug},
    };
    use innkeeper_model::network::{Network, NetworkConfig, Plug};
    use std::sync::Arc;

    fn network(number: u128, name: &str, ranges: &[&str]) -> Arc<Network> {
        testing::network(number, NetworkConfig::new(name.parse().unwrap()), ranges)
    }

    #[test]
    fn keys_are_fields_of_whole_words() {
        let mac = key("\"innt0\" . 52:54:00:00:00:01").unwrap();
        assert_eq!(mac.len(), 24);
        assert_eq!(&mac[..6], b"innt0\0");
        assert_eq!(&mac[16..], [0x52, 0x54, 0, 0, 0, 1, 0, 0]);
        assert_eq!(key("\"innt0\" . 10.0.0.2").unwrap()[16..], [10, 0, 0, 2]);
        assert_eq!(key("\"innt0\" . fd00::2").unwrap()[16..18], [0xfd, 0]);
        let number = key("\"innt0\" . 0xfd000000000000000000000000000002").unwrap();
        assert_eq!((number[16], number[31], number.len()), (0xfd, 2, 32));
        let number = key("\"innt0\" . 0x525400000001").unwrap();
        assert_eq!(number[16..], [0x52, 0x54, 0, 0, 0, 1, 0, 0]);
        for wrong in ["tcp . 80", "10.0.0.0/24", "\"a-name-that-is-too-long\"", "1:2:3", ""] {
            assert_eq!(key(wrong), None, "{wrong}");
        }
    }

    /// What nft lists of a ruleset to which something is added, in a network namespace of its own.
    fn listed(before: String, add: impl FnOnce() + Send + 'static) -> String {
        let inside = move || {
            // SAFETY: a network namespace is of the thread, and takes nothing of the process's away.
            unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }
                .unwrap();
            nft(&["-f", "-"], &before);
            add();
            nft(&["list", "ruleset"], "")
        };
        std::thread::spawn(inside).join().unwrap()
    }

    fn nft(arguments: &[&str], text: &str) -> String {
        use std::io::Write;
        let mut nft = std::process::Command::new("nft");
        let nft = nft.args(arguments).stdin(std::process::Stdio::piped());
        let mut nft = nft.stdout(std::process::Stdio::piped()).spawn().unwrap();
        nft.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = nft.wait_with_output().unwrap();
        assert!(output.status.success(), "{text}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn what_is_added_is_what_nft_would_have_added() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let lan = network(1, "lan", &["10.87.0.0/24", "fd00:87::/64"]);
        let free = network(2, "free", &[]);
        let with = |nics: Vec<Plug>| {
            let networks = vec![lan.clone(), free.clone()];
            ruleset(7, &Desired { networks, nics, metadata: None })
        };
        let one = plug(1, &lan, &["10.87.0.2", "fd00:87::2"]);
        let other = plug(2, &lan, &["10.87.0.3", "fd00:87::3"]);
        let before = with(vec![one.clone()]);
        let after = with(vec![one, other, plug(3, &free, &[])]);
        let (additions, table) = (before.additions(&after).unwrap(), table_name(7));
        let text: String = additions.iter().map(|more| more.to_text(&table)).collect();
        let by_nft = listed(before.to_string(), move || drop(nft(&["-f", "-"], &text)));
        assert!(by_nft.contains("10.87.0.3"), "{by_nft}");
        let again = (table.clone(), additions.clone());
        let by_us = listed(before.to_string(), move || {
            add(&table, &additions).unwrap();
            let twice = add(&again.0, &again.1).unwrap_err();
            assert_eq!(twice.kind(), io::ErrorKind::AlreadyExists);
        });
        assert_eq!(by_us, by_nft);
        let nowhere = add(
            "none_such",
            &[Addition {
                family: "bridge",
                set: "taps",
                elements: ["\"innt0\"".to_owned()].into(),
            }],
        );
        assert_eq!(nowhere.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
