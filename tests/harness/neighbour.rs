//! Another machine on the network, as far as a guest can tell: a network namespace at the other end
//! of a pair of interfaces. It vanishes with its thread, also where a test is killed. Needs root.

use super::services::{Services, has_ipv6};
use rustix::thread::UnshareFlags;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    process::Command,
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::channel,
    },
    thread,
};

/// A neighbour of this host.
#[derive(Debug)]
pub(crate) struct Neighbour {
    /// The host's addresses on the network that they share: of IPv4, and of IPv6 where it has that.
    pub(crate) host_addresses: Vec<IpAddr>,
    /// What can be reached at the neighbour's, in the same order.
    pub(crate) services: Vec<Services>,
}

impl Neighbour {
    pub(crate) fn new() -> Self {
        // A network of its own for each neighbour on this host.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = (std::process::id() * 4 + COUNT.fetch_add(1, Ordering::Relaxed)) % (1 << 14);
        let v4 = |last| Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 213, 0, last)) + number * 4);
        let subnet = u16::try_from(number).expect("it has 14 bits");
        let v6 = |last| Ipv6Addr::new(0xfd13, 0x1f71, 0x9c5e, subnet, 0, 0, 0, last);
        let of_last = |last: u8| {
            let mut addresses = vec![(IpAddr::from(v4(last)), 30)];
            if has_ipv6() {
                addresses.push((v6(last.into()).into(), 64));
            }
            addresses
        };
        let (host_addresses, addresses) = (of_last(1), of_last(2));
        let (host_end, far_end) = (format!("inn-h{number}"), format!("inn-n{number}"));

        let (services_to, services) = channel();
        let (here, there) = (host_end.clone(), far_end.clone());
        let enter = move || {
            // SAFETY: a namespace of its own for this thread, which shares no descriptors by number
            // with code that expects another network.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
            // Made from here, with the other end sent to the namespace that the process began in.
            ip(&["link", "add", &there, "type", "veth", "peer", "name", &here]);
            ip(&["link", "set", &here, "netns", &std::process::id().to_string()]);
            set_up(&there, &addresses);
            let services = addresses.iter().map(|(address, _)| Services::offer(*address));
            services_to.send(services.collect()).unwrap();
        };
        thread::spawn(enter).join().expect("root can make a network namespace");
        set_up(&host_end, &host_addresses);
        let host_addresses = host_addresses.into_iter().map(|(address, _)| address).collect();
        Self { host_addresses, services: services.recv().unwrap() }
    }
}

/// Gives an interface its addresses, each with the length of its prefix.
fn set_up(interface: &str, addresses: &[(IpAddr, u8)]) {
    for (address, length) in addresses {
        let address = format!("{address}/{length}");
        // Nobody else can have the IPv6 address, so it need not be asked for.
        let nodad = if address.contains(':') { &["nodad"][..] } else { &[] };
        ip(&[&["address", "add", &address, "dev", interface], nodad].concat());
    }
    ip(&["link", "set", interface, "up"]);
}

fn ip(arguments: &[&str]) {
    let outcome = Command::new("ip").args(arguments).output().expect("iproute2 is installed");
    let words = String::from_utf8_lossy(&outcome.stderr);
    assert!(outcome.status.success(), "ip {}: {words}", arguments.join(" "));
}
