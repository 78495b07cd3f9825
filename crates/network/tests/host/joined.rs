//! All that a network does, on a bridge that somebody else made: leases, the way out, published ports.

use crate::{
    guest::{connect, serve},
    lifecycle::traces,
    namespace::{Namespace, run},
    service::on_its_link,
    yard::{named, on_a_host, outside, until},
};
use innkeeper_model::network::NetworkConfig;
use innkeeper_network::HostNetworks;
use std::sync::Arc;

#[test]
fn guests_on_a_joined_bridge_have_leases_the_outside_and_published_ports() {
    on_a_host(async |mut yard| {
        let outside = outside();
        run("ip link add br0 type bridge");
        run("ip addr add 10.5.0.1/24 dev br0");
        run("ip -6 addr add fd05::1/64 dev br0 nodad");
        run("ip link set br0 up");
        let daemon = yard.daemon();
        let before = traces(&yard);

        let bridge = Some("br0".parse().unwrap());
        let config = NetworkConfig { bridge, nat: Some(true), ..named("office") };
        daemon.check_network(&config).await.unwrap();
        let network = yard.add_network(config, &["10.5.0.0/24", "fd05::/64"]);
        let record = Arc::make_mut(&mut yard.desired.networks[0]);
        record.subnets.iter_mut().for_each(|subnet| subnet.config.dhcp = Some(true));
        for subnet in &yard.network(network).subnets {
            daemon.check_subnet(&yard.network(network), &subnet.config).await.unwrap();
        }
        let mut plug = yard.add_nic(network, 1, &["10.5.0.50", "fd05::50"]);
        plug.publish = vec!["8080:80".parse().unwrap()];
        yard.desired.nics[0] = plug.clone();
        yard.apply(&daemon).await;
        let guest = yard.guest(&daemon, &plug).await;
        assert_eq!(guest.dhcp().as_deref(), Some("10.5.0.50 10.5.0.1 10.5.0.1"));
        on_its_link(&guest).await;
        assert_eq!(guest.dhcp_v6(plug.mac), Some("fd05::50".parse().unwrap()));
        until("the leases are known", || daemon.facts(network).leases.len() == 2).await;
        // The router may have said so by then.
        guest.inside.run("ip -6 addr replace fd05::50/64 dev eth0 nodad");
        guest.inside.run("ip -6 route replace default via fd05::1");

        outside.call(|| serve("[::]:80", "outside"));
        let said = guest.connects("192.0.2.9:80");
        assert_eq!(said.as_deref(), Some("outside to 192.0.2.1"), "under the host's address");
        let said = guest.connects("[2001:db8::9]:80");
        assert_eq!(said.as_deref(), Some("outside to 2001:db8::1"));

        guest.serve(80, "guest");
        // The guest's router may be another than the host, and so it is the host who asks.
        for (address, host) in [("192.0.2.1:8080", "10.5.0.1"), ("[2001:db8::1]:8080", "fd05::1")] {
            let said = outside.call(move || connect(address));
            assert_eq!(said, Some(format!("guest to {host}")), "{address} from outside");
        }
        for address in ["192.0.2.1:8080", "10.5.0.1:8080", "[fd05::1]:8080"] {
            assert!(connect(address).is_some(), "{address} from the host");
        }
        assert_eq!(connect("127.0.0.1:8080"), None, "the bridge's settings are not changed");

        // Who else is on the bridge goes on as before.
        let other = Namespace::new();
        run(&format!("ip link add port0 type veth peer name eth0 netns {}", other.tid));
        run("ip link set port0 master br0 up");
        other.run("ip link set eth0 up");
        other.run("ip addr add 10.5.0.7/24 dev eth0");
        assert!(other.succeeds("busybox ping -c 1 -W 1 10.5.0.1"));
        assert!(other.succeeds("busybox ping -c 1 -W 1 10.5.0.50") && guest.pings("10.5.0.7"));
        assert!(!other.succeeds("busybox udhcpc -i eth0 -n -q -f -t 2 -T 1 -s /bin/true"));
        guest.take("10.5.0.8/24", "10.5.0.1");
        assert!(!guest.pings("10.5.0.7"), "under an address that it was not given");
        run("ip link del port0");

        drop(guest);
        daemon.release(&yard.network(network)).await.unwrap();
        assert_eq!(traces(&yard), before);
    });
}
