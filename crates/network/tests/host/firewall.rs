//! What guests reach, and what they do not.

use crate::{
    guest::{Guest, connect, serve},
    namespace::{Namespace, run},
    yard::{Yard, named, on_a_host, outside, until},
};
use innkeeper_model::{config::RateLimit, network::NetworkConfig};
use innkeeper_network::{HostNetworks, LinuxNetworks};
use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream, UdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};

#[test]
fn guests_reach_each_other_the_outside_and_nothing_of_the_host() {
    on_a_host(async |mut yard| {
        let outside = outside();
        let network = yard.add_network(named("lan"), &["10.87.0.0/24", "fd00:87::/64"]);
        let one = yard.add_nic(network, 1, &["10.87.0.2", "fd00:87::2"]);
        let two = yard.add_nic(network, 2, &["10.87.0.3"]);
        let daemon = yard.daemon();
        yard.apply(&daemon).await;
        let [one, two] = [yard.guest(&daemon, &one).await, yard.guest(&daemon, &two).await];
        one.take("10.87.0.2/24", "10.87.0.1");
        two.take("10.87.0.3/24", "10.87.0.1");
        assert!(one.pings("10.87.0.3") && two.pings("10.87.0.2"));

        outside.call(|| serve("[::]:80", "outside"));
        let said = one.connects("192.0.2.9:80");
        assert_eq!(said.as_deref(), Some("outside to 192.0.2.1"), "under the host's address");
        one.inside.run("ip -6 addr add fd00:87::2/64 dev eth0 nodad");
        // The router may have said so by then.
        one.inside.run("ip -6 route replace default via fd00:87::1");
        let said = one.connects("[2001:db8::9]:80");
        assert_eq!(said.as_deref(), Some("outside to 2001:db8::1"));
        // Who has no business with a guest does not get in, though it knows the way.
        outside.run("ip route add 10.87.0.0/24 via 192.0.2.1");
        one.serve(80, "guest");
        assert_eq!(outside.call(|| connect("10.87.0.2:80")), None);

        serve("0.0.0.0:22", "host");
        for address in ["10.87.0.1:22", "192.0.2.1:22", "127.0.0.1:22", "169.254.169.254:80"] {
            assert_eq!(one.connects(address), None, "{address}");
        }
        one.inside.run("ip route add 127.1.0.0/16 via 10.87.0.1");
        one.inside.run("busybox sysctl -qw net.ipv4.conf.all.route_localnet=1");
        assert_eq!(one.connects("127.1.0.1:22"), None);
        assert_eq!(connect("10.87.0.2:80").as_deref(), Some("guest to 10.87.0.1"), "the host may");
    });
}

/// Two guests that know each other's hardware address, so that they send without asking for it.
async fn two_acquainted(yard: &mut Yard, daemon: &LinuxNetworks) -> [Guest; 2] {
    let network = yard.add_network(named("lan"), &["10.87.0.0/24"]);
    let plugs = [1, 2].map(|n| yard.add_nic(network, n, &[&format!("10.87.0.{}", n + 1)]));
    yard.apply(daemon).await;
    let guests = [yard.guest(daemon, &plugs[0]).await, yard.guest(daemon, &plugs[1]).await];
    guests[0].take("10.87.0.2/24", "10.87.0.1");
    guests[1].take("10.87.0.3/24", "10.87.0.1");
    assert!(guests[1].pings("10.87.0.1") && guests[1].pings("10.87.0.2"), "as themselves");
    guests[1].inside.run("ip neigh replace 10.87.0.2 lladdr 52:54:00:00:00:01 dev eth0");
    guests
}

/// Whether a packet from one that goes under this address arrives, of which no answer is expected.
fn is_heard(honest: &Guest, liar: &Guest, under: &str) -> bool {
    let heard = honest.inside.call(|| UdpSocket::bind("10.87.0.2:9").unwrap());
    heard.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    let under = format!("{under}:0");
    liar.inside.call(move || {
        let sender = UdpSocket::bind(under).unwrap();
        sender.send_to(b"trust me", "10.87.0.2:9").unwrap();
    });
    heard.recv(&mut [0; 64]).is_ok()
}

#[test]
fn a_guest_under_another_ip_address_is_silenced() {
    on_a_host(async |mut yard| {
        let daemon = yard.daemon();
        let [honest, liar] = two_acquainted(&mut yard, &daemon).await;
        assert!(is_heard(&honest, &liar, "10.87.0.3"));
        liar.inside.run("ip addr add 10.87.0.4/24 dev eth0");
        assert!(!is_heard(&honest, &liar, "10.87.0.4"));
        liar.take("10.87.0.4/24", "10.87.0.1");
        assert!(!liar.pings("10.87.0.1") && !liar.pings("10.87.0.2"));
        liar.take("10.87.0.3/24", "10.87.0.1");
        assert!(liar.pings("10.87.0.1"), "as itself it is heard again");
    });
}

#[test]
fn a_guest_under_another_hardware_address_is_silenced() {
    on_a_host(async |mut yard| {
        let daemon = yard.daemon();
        let [honest, liar] = two_acquainted(&mut yard, &daemon).await;
        liar.inside.run("ip link set eth0 address 52:54:00:99:99:99");
        liar.inside.run("ip neigh replace 10.87.0.2 lladdr 52:54:00:00:00:01 dev eth0");
        assert!(!is_heard(&honest, &liar, "10.87.0.3"));
        liar.inside.run("ip link set eth0 address 52:54:00:00:00:02");
        liar.inside.run("ip neigh replace 10.87.0.2 lladdr 52:54:00:00:00:01 dev eth0");
        assert!(is_heard(&honest, &liar, "10.87.0.3"), "as itself it is heard again");
    });
}

#[test]
fn a_guest_that_claims_the_routers_address_is_silenced() {
    on_a_host(async |mut yard| {
        let daemon = yard.daemon();
        let [honest, liar] = two_acquainted(&mut yard, &daemon).await;
        assert!(honest.pings("10.87.0.1"));
        liar.take("10.87.0.1/24", "10.87.0.2");
        // Three, as a second has to pass before a claim is believed that differs from the one before.
        let _ = liar.inside.succeeds("busybox arping -U -c 3 -I eth0 10.87.0.1");
        let neighbours = honest.inside.run("ip neigh show 10.87.0.1");
        assert!(!neighbours.contains("52:54:00:00:00:02"), "{neighbours}");
        until("the router answers still", || honest.pings("10.87.0.1")).await;
    });
}

#[test]
fn isolated_guests_reach_the_outside_and_not_each_other() {
    on_a_host(async |mut yard| {
        let outside = outside();
        let isolated = NetworkConfig { isolated: true, ..named("lan") };
        let network = yard.add_network(isolated, &["10.87.0.0/24"]);
        let plugs = [1, 2].map(|n| yard.add_nic(network, n, &[&format!("10.87.0.{}", n + 1)]));
        let daemon = yard.daemon();
        yard.apply(&daemon).await;
        let one = yard.guest(&daemon, &plugs[0]).await;
        let two = yard.guest(&daemon, &plugs[1]).await;
        one.take("10.87.0.2/24", "10.87.0.1");
        two.take("10.87.0.3/24", "10.87.0.1");
        outside.call(|| serve("0.0.0.0:80", "outside"));
        assert!(one.connects("192.0.2.9:80").is_some());
        assert!(one.pings("10.87.0.1") && two.pings("10.87.0.1"));
        assert!(!one.pings("10.87.0.3") && !two.pings("10.87.0.2"));
        // Nor by way of the router.
        one.inside.run("ip route add 10.87.0.3/32 via 10.87.0.1");
        two.inside.run("ip route add 10.87.0.2/32 via 10.87.0.1");
        assert!(!one.pings("10.87.0.3"));

        // Of one that is isolated no more, taps that are plugged in are changed.
        let open = Arc::make_mut(&mut yard.desired.networks[0]);
        open.config.isolated = false;
        yard.apply(&daemon).await;
        one.inside.run("ip route del 10.87.0.3/32");
        two.inside.run("ip route del 10.87.0.2/32");
        until("they reach each other", || one.pings("10.87.0.3")).await;
    });
}

#[test]
fn networks_are_apart() {
    on_a_host(async |mut yard| {
        let [lan, dmz] = [("lan", "10.87.0.0/24"), ("dmz", "10.88.0.0/24")]
            .map(|(name, range)| yard.add_network(named(name), &[range]));
        let plugs = [yard.add_nic(lan, 1, &["10.87.0.2"]), yard.add_nic(dmz, 2, &["10.88.0.2"])];
        let daemon = yard.daemon();
        yard.apply(&daemon).await;
        let [one, two] =
            [yard.guest(&daemon, &plugs[0]).await, yard.guest(&daemon, &plugs[1]).await];
        one.take("10.87.0.2/24", "10.87.0.1");
        two.take("10.88.0.2/24", "10.88.0.1");
        assert!(!one.pings("10.88.0.2") && !two.pings("10.87.0.2"));
        assert!(one.pings("10.87.0.1"));
    });
}

#[test]
fn published_ports_answer_from_everywhere() {
    on_a_host(async |mut yard| {
        let outside = outside();
        let network = yard.add_network(named("lan"), &["10.87.0.0/24", "fd00:87::/64"]);
        let mut plug = yard.add_nic(network, 1, &["10.87.0.2", "fd00:87::2"]);
        plug.publish = ["8080:80", "127.0.0.1:8081:80", "[2001:db8::1]:8082:80"]
            .map(|port| port.parse().unwrap())
            .into();
        yard.desired.nics[0] = plug.clone();
        let other = yard.add_nic(network, 2, &["10.87.0.3", "fd00:87::3"]);
        let daemon = yard.daemon();
        yard.apply(&daemon).await;
        let guest = yard.guest(&daemon, &plug).await;
        let other = yard.guest(&daemon, &other).await;
        guest.take("10.87.0.2/24", "10.87.0.1");
        other.take("10.87.0.3/24", "10.87.0.1");
        guest.serve(80, "guest");
        assert_eq!(
            outside.call(|| connect("192.0.2.1:8080")).as_deref(),
            Some("guest to 192.0.2.9"),
            "it sees who asks"
        );
        assert_eq!(outside.call(|| connect("192.0.2.1:8081")), None, "of the loopback alone");
        for address in ["127.0.0.1:8080", "127.0.0.1:8081", "192.0.2.1:8080", "10.87.0.1:8080"] {
            assert!(connect(address).is_some(), "{address} from the host");
        }
        assert!(other.connects("192.0.2.1:8080").is_some(), "from a guest of the same network");
        over_ipv6(&outside, &guest, &other);

        let taken = TcpListener::bind("127.0.0.1:8090").unwrap();
        let refusal = daemon.check_published(&"8090:80".parse().unwrap()).await.unwrap_err();
        assert_eq!(refusal.message, "a program of this host has port 8090");
        drop(taken);
        daemon.check_published(&"8090:80".parse().unwrap()).await.unwrap();
    });
}

/// The same ports by the addresses of IPv6 that the host has, but for `::1`.
fn over_ipv6(outside: &Namespace, guest: &Guest, other: &Guest) {
    for (guest, address) in [(guest, "fd00:87::2/64"), (other, "fd00:87::3/64")] {
        guest.inside.run(&format!("ip -6 addr add {address} dev eth0 nodad"));
        // The router may have said so by then.
        guest.inside.run("ip -6 route replace default via fd00:87::1");
    }
    for port in [8080, 8082] {
        let said = outside.call(move || connect(&format!("[2001:db8::1]:{port}")));
        assert_eq!(said.as_deref(), Some("guest to 2001:db8::9"), "{port}: it sees who asks");
    }
    assert_eq!(outside.call(|| connect("192.0.2.1:8082")), None, "of the one address alone");
    for address in ["[2001:db8::1]:8080", "[2001:db8::1]:8082", "[fd00:87::1]:8080"] {
        assert!(connect(address).is_some(), "{address} from the host");
    }
    assert_eq!(connect("[fd00:87::1]:8082"), None, "of another address");
    assert!(other.connects("[2001:db8::1]:8080").is_some(), "from a guest of the same network");
    // What comes from ::1 no guest could answer, so it is not led to one.
    serve("[::1]:8080", "host");
    assert_eq!(connect("[::1]:8080").as_deref(), Some("host to ::1"));
}

#[test]
fn the_metadata_service_sees_who_asks() {
    on_a_host(async |mut yard| {
        let network = yard.add_network(named("lan"), &["10.87.0.0/24"]);
        let plug = yard.add_nic(network, 1, &["10.87.0.2"]);
        yard.desired.metadata = Some("169.254.255.87:5555".parse().unwrap());
        let daemon = yard.daemon();
        yard.apply(&daemon).await;
        serve("169.254.255.87:5555", "metadata");
        serve("169.254.255.87:5556", "another daemon's");
        serve("127.0.0.1:5557", "secret");
        let guest = yard.guest(&daemon, &plug).await;
        guest.take("10.87.0.2/24", "10.87.0.1");
        let said = guest.connects("169.254.169.254:80");
        assert_eq!(said.as_deref(), Some("metadata to 10.87.0.2"));
        for address in ["169.254.169.254", "169.254.255.87", "10.87.0.1"] {
            for port in [5555, 5556, 5557] {
                let address = format!("{address}:{port}");
                assert_eq!(guest.connects(&address), None, "{address}");
            }
        }
        // Nobody else is led to it, nor finds it; another daemon's has rules of its own.
        assert_eq!(connect("169.254.255.87:5555"), None);
        assert!(connect("169.254.255.87:5556").is_some());

        // A second bridge leads to it as well, and takes nothing away when it goes.
        let other = yard.add_network(named("dmz"), &["10.88.0.0/24"]);
        let second = yard.add_nic(other, 2, &["10.88.0.2"]);
        yard.apply(&daemon).await;
        let neighbour = yard.guest(&daemon, &second).await;
        neighbour.take("10.88.0.2/24", "10.88.0.1");
        let said = neighbour.connects("169.254.169.254:80");
        assert_eq!(said.as_deref(), Some("metadata to 10.88.0.2"));
        drop(guest);
        let first = yard.network(network);
        yard.desired.networks.retain(|network| network.id == other);
        yard.desired.nics.retain(|plug| plug.network == other);
        yard.apply(&daemon).await;
        daemon.release(&first).await.unwrap();
        assert!(neighbour.connects("169.254.169.254:80").is_some());
        // Somebody takes its route away.
        run("ip route flush table local 169.254.255.87");
        assert_eq!(neighbour.connects("169.254.169.254:80"), None);
        let findings = daemon.survey().await.unwrap();
        assert!(findings.iter().any(|finding| finding.text.contains("metadata")), "{findings:?}");
        assert!(neighbour.connects("169.254.169.254:80").is_some());
    });
}

#[test]
fn rates_hold_both_ways_and_change_while_the_guest_runs() {
    on_a_host(async |mut yard| {
        let network = yard.add_network(named("lan"), &["10.87.0.0/24"]);
        let mut plug = yard.add_nic(network, 1, &["10.87.0.2"]);
        let daemon = yard.daemon();
        yard.apply(&daemon).await;
        let guest = yard.guest(&daemon, &plug).await;
        guest.take("10.87.0.2/24", "10.87.0.1");
        let outside = outside();
        guest.inside.call(|| sink("10.87.0.2:9"));
        outside.call(|| sink("192.0.2.9:9"));
        let both = || (megabits("10.87.0.2:9"), guest.inside.call(|| megabits("192.0.2.9:9")));
        let unlimited = both();
        plug.rate = RateLimit { in_kbit: Some(20_000), out_kbit: Some(20_000) };
        yard.desired.nics[0] = plug;
        yard.apply(&daemon).await;
        let limited = both();
        for limited in [limited.0, limited.1] {
            assert!(limited < 30.0 && limited > 5.0, "{limited} of {unlimited:?} Mbit/s");
        }
        assert!(
            run(&format!("tc qdisc show dev {}", yard.desired.nics[0].tap)).contains("rate 20Mbit")
        );
        yard.desired.nics[0].rate = RateLimit::default();
        yard.apply(&daemon).await;
        assert!(!run(&format!("tc qdisc show dev {}", yard.desired.nics[0].tap)).contains("tbf"));
        eprintln!("{unlimited:.0?} Mbit/s in and out unlimited, {limited:.1?} of 20 limited");
    });
}

/// Takes whatever whoever sends.
fn sink(address: &str) {
    let listener = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()));
        }
    });
}

/// How much goes there within 2 s, and until the last of it has arrived.
fn megabits(address: &str) -> f64 {
    let mut stream = TcpStream::connect(address).unwrap();
    let (begun, mut sent) = (Instant::now(), 0_usize);
    while begun.elapsed() < Duration::from_secs(2) {
        sent += stream.write(&[0; 65_536]).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    let _ = stream.read(&mut [0]);
    sent as f64 * 8.0 / 1e6 / begun.elapsed().as_secs_f64()
}
