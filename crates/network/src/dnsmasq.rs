//! What a network's dnsmasq is told: pure functions of the network and of who is on it.
//!
//! The daemon alone gives out addresses, so dnsmasq only passes them on: a guest that is not in its list
//! gets no answer. The configuration changes with the network, which restarts dnsmasq; the lists change
//! with the guests, and are read again on a signal.

use innkeeper_model::{
    config::MacAddress,
    network::{Network, Plug, Subnet},
};
use ipnet::IpNet;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::IpAddr,
    path::{Path, PathBuf},
};

/// How long a guest may keep an address without asking again. It changes only with the NIC, so this is
/// how late a guest learns of another router or name server.
const LEASE_TIME: &str = "12h";
/// The same for addresses of IPv6. To dnsmasq a lease is of who asked under an identifier of its own choice: a
/// guest that comes back with another one, as when it was installed anew, is refused its address until the
/// lease ends. Longer would be of no use, since a router that is silent is forgotten after half an hour.
const LEASE_TIME_V6: &str = "1h";
/// More leases than a subnet has addresses are refused; dnsmasq's own limit is 1,000.
const MAX_LEASES: u32 = 1 << 20;

/// What the file of a configuration is called.
pub(crate) const CONFIG_NAME: &str = "dnsmasq.conf";

/// The files of a network's dnsmasq.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) config: PathBuf,
    /// Which address is whose.
    pub(crate) reservations: PathBuf,
    /// Which name is which address's.
    pub(crate) names: PathBuf,
    /// Written by dnsmasq once it serves.
    pub(crate) pid: PathBuf,
    /// What it says; only of its last start.
    pub(crate) log: PathBuf,
    /// Written by dnsmasq at every change.
    pub(crate) leases: PathBuf,
}

impl Files {
    /// Those of a network whose own folder this is, of those that go with the host's boot; leases are
    /// where it is kept.
    pub(crate) fn new(folder: &Path, leases: PathBuf) -> Self {
        Self {
            config: folder.join(CONFIG_NAME),
            reservations: folder.join("reservations"),
            names: folder.join("names"),
            pid: folder.join("pid"),
            log: folder.join("log"),
            leases,
        }
    }
}

/// The lists that dnsmasq reads again on a signal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lists {
    pub(crate) reservations: String,
    pub(crate) names: String,
    /// Who gets which address.
    pub(crate) owners: BTreeMap<IpAddr, MacAddress>,
}

/// The configuration; absent where nothing has to be answered. `user` is what dnsmasq becomes once it
/// has its sockets.
pub(crate) fn config(network: &Network, files: &Files, user: &str) -> Option<String> {
    let served: Vec<&Subnet> = served(network).collect();
    if served.is_empty() {
        return None;
    }
    let bridge = network.bridge.as_str();
    let made = network.config.is_made();
    let domain = label(network.config.name.as_str()).unwrap_or_else(|| "network".into());
    let mut text = format!(
        "# Written by Innkeeper for the network {}; changes are lost.\n\
         user={user}\ninterface={bridge}\nexcept-interface=lo\nbind-dynamic\n\
         no-hosts\nno-ping\ndomain-needed\nbogus-priv\n\
         domain={domain}.internal\nlocal=/{domain}.internal/\nexpand-hosts\n\
         dhcp-authoritative\ndhcp-ignore=tag:!known\ndhcp-ignore-clid\ndhcp-lease-max={MAX_LEASES}\n\
         quiet-dhcp\nquiet-dhcp6\nquiet-ra\n",
        network.id
    );
    if !made {
        // Whoever joined somebody's network is not its name server.
        text.push_str("port=0\n");
    }
    for (key, path) in [
        ("pid-file", &files.pid),
        ("dhcp-hostsfile", &files.reservations),
        ("addn-hosts", &files.names),
        ("dhcp-leasefile", &files.leases),
    ] {
        let _ = writeln!(text, "{key}={}", path.display());
    }
    let v6 = served.iter().any(|subnet| subnet.config.range.addr().is_ipv6());
    if v6 {
        text.push_str("enable-ra\n");
        let mtu = network.config.mtu.map_or_else(String::new, |mtu| format!("mtu:{mtu},"));
        // Whoever joined somebody's network is not its router: a lifetime of 0 says so.
        let lifetime = if made { "10,1800" } else { "0,0" };
        let _ = writeln!(text, "ra-param={bridge},{mtu}{lifetime}");
    }
    if let Some(mtu) = network.config.mtu {
        let _ = writeln!(text, "dhcp-option=option:mtu,{mtu}");
    }
    for (index, subnet) in served.iter().enumerate() {
        write_subnet(&mut text, index, subnet);
    }
    Some(text)
}

fn write_subnet(text: &mut String, index: usize, subnet: &Subnet) {
    let (gateway, dns) = (subnet.config.gateway(), &subnet.config.dns);
    match subnet.config.range {
        IpNet::V4(range) => {
            let (first, mask) = (range.network(), range.netmask());
            let _ = writeln!(text, "dhcp-range=set:s{index},{first},static,{mask},{LEASE_TIME}");
            let _ = writeln!(text, "dhcp-option=tag:s{index},option:router,{gateway}");
            let servers =
                if dns.is_empty() { gateway.to_string() } else { list(dns, |a| a.to_string()) };
            let _ = writeln!(text, "dhcp-option=tag:s{index},option:dns-server,{servers}");
        }
        IpNet::V6(range) => {
            let (first, prefix) = (range.network(), range.prefix_len());
            let _ =
                writeln!(text, "dhcp-range=set:s{index},{first},static,{prefix},{LEASE_TIME_V6}");
            let servers = if dns.is_empty() {
                format!("[{gateway}]")
            } else {
                list(dns, |a| format!("[{a}]"))
            };
            let _ = writeln!(text, "dhcp-option=tag:s{index},option6:dns-server,{servers}");
        }
    }
}

/// Who gets which address, and is called what: the network's guests, and its reservations.
pub(crate) fn lists<'a>(network: &Network, plugs: impl Iterator<Item = &'a Plug>) -> Lists {
    let mut lists = Lists::default();
    for plug in plugs {
        lists.add(Some(plug.mac), &plug.addresses, label(&plug.hostname));
    }
    for reservation in network.subnets.iter().flat_map(|subnet| &subnet.reservations) {
        let name = reservation.name.as_ref().and_then(|name| label(name.as_str()));
        lists.add(reservation.mac, &[reservation.address], name);
    }
    lists
}

impl Lists {
    fn add(&mut self, mac: Option<MacAddress>, addresses: &[IpAddr], name: Option<String>) {
        // A NIC that gets another name is the same to its guest, and is here twice while that runs.
        let is_known = |address| mac.is_some() && self.owners.get(address) == mac.as_ref();
        if !addresses.is_empty() && addresses.iter().all(is_known) {
            return;
        }
        if let (Some(mac), false) = (mac, addresses.is_empty()) {
            let _ = write!(self.reservations, "{mac}");
            for address in addresses {
                let _ = match address {
                    IpAddr::V4(address) => write!(self.reservations, ",{address}"),
                    IpAddr::V6(address) => write!(self.reservations, ",[{address}]"),
                };
                self.owners.insert(*address, mac);
            }
            if let Some(name) = &name {
                let _ = write!(self.reservations, ",{name}");
            }
            self.reservations.push('\n');
        }
        if let Some(name) = name {
            for address in addresses {
                let _ = writeln!(self.names, "{address} {name}");
            }
        }
    }
}

/// Who got which address by this list of reservations.
pub(crate) fn owners(reservations: &str) -> BTreeMap<IpAddr, MacAddress> {
    let line = |line: &str| {
        let mut words = line.split(',');
        let mac = words.next()?.parse().ok()?;
        let address = |word: &str| word.trim_matches(['[', ']']).parse().ok();
        Some(words.filter_map(address).map(|address| (address, mac)).collect::<Vec<_>>())
    };
    reservations.lines().filter_map(line).flatten().collect()
}

/// The subnets on which Innkeeper answers DHCP.
pub(crate) fn served(network: &Network) -> impl Iterator<Item = &Subnet> {
    network.subnets.iter().filter(|subnet| subnet.config.has_dhcp(&network.config))
}

/// A text as one label of a host name (RFC 1123): what else is in it becomes a dash. Nothing that a
/// caller wrote reaches dnsmasq but by this.
pub(crate) fn label(text: &str) -> Option<String> {
    let legal = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let label: String = text.chars().take(63).map(legal).collect();
    let label = label.trim_matches('-');
    (!label.is_empty()).then(|| label.to_owned())
}

fn list(addresses: &[IpAddr], written: impl Fn(&IpAddr) -> String) -> String {
    addresses.iter().map(written).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{network, plug};
    use innkeeper_model::network::{NetworkConfig, Reservation};
    use std::sync::Arc;

    fn files() -> Files {
        Files::new(Path::new("/run/innkeeper/networks/1"), "/var/lib/innkeeper/leases/1".into())
    }

    #[test]
    fn the_whole_configuration() {
        let made =
            NetworkConfig { mtu: Some(1400), ..NetworkConfig::new("lan_1".parse().unwrap()) };
        let made = network(1, made, &["10.87.0.0/24", "fd00:87::/64"]);
        insta::assert_snapshot!("made", config(&made, &files(), "dnsmasq").unwrap());

        let mut joined = NetworkConfig::new("office".parse().unwrap());
        joined.bridge = Some("br0".parse().unwrap());
        let mut joined = network(2, joined, &["10.5.0.0/16", "10.6.0.0/16"]);
        assert_eq!(config(&joined, &files(), "root"), None, "somebody else answers there");
        let subnet = &mut Arc::make_mut(&mut joined).subnets[1];
        subnet.config.dhcp = Some(true);
        subnet.config.dns = vec!["9.9.9.9".parse().unwrap(), "1.1.1.1".parse().unwrap()];
        insta::assert_snapshot!("joined", config(&joined, &files(), "root").unwrap());
    }

    #[test]
    fn lists_hold_guests_and_reservations_and_say_whose_an_address_is() {
        let config = NetworkConfig::new("lan".parse().unwrap());
        let mut lan = network(1, config, &["10.87.0.0/24"]);
        Arc::make_mut(&mut lan).subnets[0].reservations = vec![
            Reservation {
                address: "10.87.0.200".parse().unwrap(),
                mac: Some("02:00:00:00:00:07".parse().unwrap()),
                name: Some("printer".parse().unwrap()),
            },
            Reservation { address: "10.87.0.201".parse().unwrap(), mac: None, name: None },
        ];
        let mut web = plug(1, &lan, &["10.87.0.2", "fd00::2"]);
        web.hostname = "we_b,evil\n#".into();
        let bare = plug(2, &lan, &[]);
        let lists = lists(&lan, [&web, &bare].into_iter());
        assert_eq!(
            lists.reservations,
            "52:54:00:00:00:01,10.87.0.2,[fd00::2],we-b-evil\n02:00:00:00:00:07,10.87.0.200,printer\n"
        );
        assert_eq!(lists.names, "10.87.0.2 we-b-evil\nfd00::2 we-b-evil\n10.87.0.200 printer\n");
        assert_eq!(owners(&lists.reservations), lists.owners, "the list reads back");
    }
}
