//! Addresses and names: DHCP, DNS, and their server's life.

use crate::{
    guest::{Dhcp6, Guest},
    namespace::run,
    yard::{Yard, named, on_a_host, servers, until},
};
use innkeeper_model::{
    NetworkId,
    config::MacAddress,
    network::{DhcpState, Plug},
};
use innkeeper_network::{HostNetworks, LinuxNetworks};
use std::net::{IpAddr, Ipv6Addr};

async fn one_guest(yard: &mut Yard) -> (LinuxNetworks, NetworkId, Plug) {
    let network = yard.add_network(named("lan"), &["10.87.0.0/24"]);
    let plug = yard.add_nic(network, 1, &["10.87.0.50"]);
    let daemon = yard.daemon();
    yard.apply(&daemon).await;
    (daemon, network, plug)
}

#[test]
fn a_guest_gets_its_own_address_and_a_stranger_gets_none() {
    on_a_host(async |mut yard| {
        let (daemon, network, plug) = one_guest(&mut yard).await;
        let guest = yard.guest(&daemon, &plug).await;
        assert_eq!(guest.dhcp().as_deref(), Some("10.87.0.50 10.87.0.1 10.87.0.1"));
        assert!(guest.pings("10.87.0.1"));
        until("the lease is known", || daemon.facts(network).leases.len() == 1).await;
        let facts = daemon.facts(network);
        assert_eq!(facts.leases[0].address, "10.87.0.50".parse::<IpAddr>().unwrap());
        assert_eq!(facts.leases[0].mac, Some(plug.mac));
        assert_eq!((facts.up, facts.dhcp, facts.problem), (true, Some(DhcpState::Running), None));

        let server = servers(yard.folder.path())[0];
        let status = std::fs::read_to_string(format!("/proc/{server}/status")).unwrap();
        let user = status.lines().find(|line| line.starts_with("Uid:")).unwrap();
        assert!(!user.split_whitespace().any(|uid| uid == "0"), "it gave up root: {user}");

        let name = guest.inside.run("busybox nslookup guest1.lan.internal 10.87.0.1");
        assert!(name.contains("10.87.0.50"), "{name}");

        // On the same bridge, but without a NIC of Innkeeper's.
        let stranger = crate::namespace::Namespace::new();
        run(&format!("ip link add port0 type veth peer name eth0 netns {}", stranger.tid));
        run(&format!("ip link set port0 master {}", yard.network(network).bridge));
        run("ip link set port0 up");
        stranger.run("ip link set eth0 up");
        assert!(!stranger.succeeds("busybox udhcpc -i eth0 -n -q -f -t 2 -T 1 -s /bin/true"));
    });
}

#[test]
fn a_guest_speaks_to_dhcp_in_nobodys_name_but_its_own() {
    const DISCOVER: u8 = 1;
    const DECLINE: u8 = 4;
    on_a_host(async |mut yard| {
        let (daemon, network, plug) = one_guest(&mut yard).await;
        let other = yard.add_nic(network, 2, &["10.87.0.51"]);
        yard.apply(&daemon).await;
        let honest = yard.guest(&daemon, &plug).await;
        let liar = yard.guest(&daemon, &other).await;
        assert!(honest.dhcp().is_some());
        until("the lease is known", || daemon.facts(network).leases.len() == 1).await;
        let [its, own] = ["10.87.0.50", "10.87.0.51"].map(|text| text.parse().unwrap());
        assert_eq!(liar.says_by_dhcp(DISCOVER, plug.mac, its), None, "in another's name");
        // Who declines an address does not get it again for ten minutes.
        assert_eq!(liar.says_by_dhcp(DECLINE, plug.mac, its), None);
        assert_eq!(liar.says_by_dhcp(DISCOVER, other.mac, own), Some(own), "in its own");
        assert_eq!(daemon.facts(network).leases.len(), 1);
        honest.inside.run("ip addr flush dev eth0 scope global");
        assert_eq!(honest.dhcp().as_deref(), Some("10.87.0.50 10.87.0.1 10.87.0.1"));
        // In fragments, of which the firewall could not see whose they are.
        liar.inside.run("ip link set eth0 mtu 68");
        assert_eq!(liar.says_by_dhcp(DISCOVER, other.mac, own), None);
    });
}

#[test]
fn an_address_passes_to_another_nic_though_the_first_had_a_lease() {
    on_a_host(async |mut yard| {
        let (daemon, network, plug) = one_guest(&mut yard).await;
        let first = yard.guest(&daemon, &plug).await;
        assert!(first.dhcp().is_some());
        drop(first);
        yard.desired.nics.clear();
        yard.apply(&daemon).await;
        let second = yard.add_nic(network, 2, &["10.87.0.50"]);
        yard.apply(&daemon).await;
        let guest = yard.guest(&daemon, &second).await;
        assert_eq!(guest.dhcp().as_deref(), Some("10.87.0.50 10.87.0.1 10.87.0.1"));
        until("the lease is the second's", || {
            let leases = daemon.facts(network).leases;
            leases.len() == 1 && leases[0].mac == Some(MacAddress::from_suffix([0, 0, 2]))
        })
        .await;
    });
}

#[test]
fn a_server_that_is_killed_comes_back_with_its_leases() {
    on_a_host(async |mut yard| {
        let (daemon, network, plug) = one_guest(&mut yard).await;
        let guest = yard.guest(&daemon, &plug).await;
        assert!(guest.dhcp().is_some());
        until("the lease is known", || daemon.facts(network).leases.len() == 1).await;
        let leases = daemon.facts(network).leases;
        let killed = servers(yard.folder.path());
        assert_eq!(killed.len(), 1);
        kill(killed[0]);
        until("another runs", || {
            let facts = daemon.facts(network);
            let now = servers(yard.folder.path());
            facts.dhcp == Some(DhcpState::Running) && now.len() == 1 && now != killed
        })
        .await;
        assert_eq!(daemon.facts(network).leases, leases);
        guest.inside.run("ip addr flush dev eth0 scope global");
        assert!(guest.dhcp().is_some());
    });
}

#[test]
fn the_next_daemon_takes_the_server_over_and_a_dead_one_is_started() {
    on_a_host(async |mut yard| {
        let (daemon, network, plug) = one_guest(&mut yard).await;
        let guest = yard.guest(&daemon, &plug).await;
        assert!(guest.dhcp().is_some());
        until("the lease is known", || daemon.facts(network).leases.len() == 1).await;
        drop(daemon);
        let before = servers(yard.folder.path());

        let daemon = yard.daemon();
        yard.apply(&daemon).await;
        assert_eq!(servers(yard.folder.path()), before, "the same one");
        assert_eq!(daemon.facts(network).leases.len(), 1);
        assert_eq!(daemon.facts(network).dhcp, Some(DhcpState::Running));
        // One that it did not start itself is watched all the same.
        kill(before[0]);
        until("another runs", || {
            let now = servers(yard.folder.path());
            now.len() == 1
                && now != before
                && daemon.facts(network).dhcp == Some(DhcpState::Running)
        })
        .await;
        drop(daemon);

        let dead = servers(yard.folder.path());
        kill(dead[0]);
        until("it is dead", || servers(yard.folder.path()).is_empty()).await;
        let daemon = yard.daemon();
        yard.apply(&daemon).await;
        assert_eq!(servers(yard.folder.path()).len(), 1);
        guest.inside.run("ip addr flush dev eth0 scope global");
        assert!(guest.dhcp().is_some());
    });
}

#[test]
fn guests_of_ipv6_are_told_of_their_router() {
    on_a_host(async |mut yard| {
        let network = yard.add_network(named("lan"), &["fd00:87::/64"]);
        let plug = yard.add_nic(network, 1, &["fd00:87::50"]);
        let daemon = yard.daemon();
        yard.apply(&daemon).await;
        let guest: Guest = yard.guest(&daemon, &plug).await;
        until("a router is known", || {
            guest.inside.run("ip -6 route show default").contains("via fe80::")
        })
        .await;
        // An address is for DHCPv6 to give: guests make none of their own there.
        assert!(!guest.inside.run("ip -6 addr show dev eth0").contains("fd00:87::"));
        on_its_link(&guest).await;
        assert_eq!(guest.dhcp_v6(plug.mac), Some("fd00:87::50".parse().unwrap()));
        until("the lease is known", || {
            let leases = daemon.facts(network).leases;
            leases.len() == 1 && leases[0].address == "fd00:87::50".parse::<IpAddr>().unwrap()
        })
        .await;
        guest.inside.run("ip -6 addr add fd00:87::50/64 dev eth0 nodad");
        assert!(guest.inside.succeeds("busybox ping -6 -c 1 -W 2 fd00:87::1"));
        guest.inside.run("ip -6 addr add fd00:87::51/64 dev eth0 nodad");
        assert!(!guest.inside.succeeds("busybox ping -6 -c 1 -W 1 -I fd00:87::51 fd00:87::1"));
    });
}

#[test]
fn a_guest_speaks_to_dhcpv6_under_nobodys_address_but_its_own() {
    on_a_host(async |mut yard| {
        let network = yard.add_network(named("lan"), &["fd00:87::/64"]);
        let [plug, other] =
            [1, 2].map(|number| yard.add_nic(network, number, &[&format!("fd00:87::5{number}")]));
        let daemon = yard.daemon();
        yard.apply(&daemon).await;
        let [honest, liar] = [yard.guest(&daemon, &plug).await, yard.guest(&daemon, &other).await];
        on_its_link(&honest).await;
        on_its_link(&liar).await;
        let [its, own]: [Ipv6Addr; 2] = ["fd00:87::51", "fd00:87::52"].map(|a| a.parse().unwrap());

        let ear = liar.ear_for_dhcp_v6();
        assert_eq!(honest.dhcp_v6(plug.mac), Some(its));
        let heard = ear.recv(&mut [0; 1500]).map_err(|error| error.kind());
        assert_eq!(heard, Err(std::io::ErrorKind::WouldBlock), "it heard what another asks");
        drop(ear);
        until("the lease is known", || daemon.facts(network).leases.len() == 1).await;
        let answer = liar.says_by_dhcp_v6(&Dhcp6::asking(other.mac)).unwrap();
        assert_eq!(answer.address, Some(own));
        until("both leases are known", || daemon.facts(network).leases.len() == 2).await;

        // Under the other's address of the link. Who declines an address does not get it again for ten
        // minutes, and an address that somebody leased in its name is nobody else's for an hour.
        let theirs: Ipv6Addr = "fe80::5054:ff:fe00:1".parse().unwrap();
        liar.inside.run(&format!("ip -6 addr add {theirs}/64 dev eth0 nodad"));
        for said in [
            Dhcp6::about(Dhcp6::DECLINE, plug.mac, its, &answer.server),
            Dhcp6::about(Dhcp6::RELEASE, plug.mac, its, &answer.server),
            Dhcp6::asking(MacAddress::from_suffix([6, 6, 6])),
        ] {
            assert!(liar.says_by_dhcp_v6(&said.from(theirs)).is_none(), "it was answered");
        }
        liar.inside.run(&format!("ip -6 addr del {theirs}/64 dev eth0"));
        assert_eq!(daemon.facts(network).leases.len(), 2);
        assert_eq!(honest.dhcp_v6(plug.mac), Some(its));

        // Under its own, but with the other's identifier, which it would have to guess: the lease is given
        // back, and the address is for nobody but whose it is.
        let identified = |kind| Dhcp6::about(kind, plug.mac, its, &answer.server);
        for kind in [Dhcp6::DECLINE, Dhcp6::RELEASE] {
            assert!(liar.says_by_dhcp_v6(&identified(kind)).is_some(), "dnsmasq takes it");
            assert_eq!(liar.dhcp_v6(other.mac), Some(own));
            assert_eq!(honest.dhcp_v6(plug.mac), Some(its));
        }
        until("both leases are known again", || daemon.facts(network).leases.len() == 2).await;
    });
}

/// Waits until a guest has an address of its link, which nobody else said was theirs.
pub(crate) async fn on_its_link(guest: &Guest) {
    until("it has an address of its link", || {
        guest.inside.run("ip -6 addr show dev eth0 -tentative scope link").contains("fe80::")
    })
    .await;
}

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
