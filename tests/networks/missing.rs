//! Hosts without a program that networks need, or on which another program has what they need: who is in the way is
//! named, and what needs it not works.

use super::*;
use std::{
    io,
    net::{TcpListener, UdpSocket},
    os::fd::OwnedFd,
};

/// Takes a port of the calling thread's network.
type Take = fn() -> io::Result<OwnedFd>;

#[track_caller]
fn refused(daemon: &Daemon, arguments: &[&str], words: &[&str]) {
    let outcome = daemon.inn(arguments);
    let said = outcome.stderr;
    assert!(!outcome.status.success(), "inn {}", arguments.join(" "));
    assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
}

#[track_caller]
fn has_problem(daemon: &Daemon, network: &str, words: &[&str]) {
    until(&format!("{network} says {words:?}"), SHORT, || {
        let shown = daemon.inn_ok(&["network", "get", network]);
        if words.iter().all(|word| shown.contains(word)) { Ok(()) } else { Err(shown) }
    });
}

#[track_caller]
fn is_well(daemon: &Daemon, network: &str) {
    until(&format!("{network} is well"), SHORT, || {
        let facts = daemon.get(&format!("/v1/networks/{network}"))["facts"].clone();
        if facts["problem"].is_null() && facts["up"] == true { Ok(()) } else { Err(facts) }
    });
}

#[test]
fn without_nft_it_is_named_and_guests_on_no_network_run() {
    if skip_without_root("hosts without nft") {
        return;
    }
    let _turn = GuestSlots::all();
    let network = Arc::new(PrivateNetwork::new());
    let before = network.state();
    let mut daemon = Daemon::prepared(TCG).in_network(&network);
    daemon.hide_programs(&["nft"]);
    daemon.launch();
    daemon.import_tiny();
    let bare = ["--subnet", "10.87.3.0/24", "--no-nat", "--no-dhcp"];
    for flags in [&[][..], &["--subnet", "10.87.3.0/24"], &["--no-nat"], &bare] {
        let arguments = [&["network", "create", "lan"], flags].concat();
        refused(&daemon, &arguments, &["nft", "apt install nftables"]);
    }
    assert_eq!(daemon.get("/v1/networks")["items"], json!([]));
    assert_eq!(network.state(), before);
    on_networks(&daemon, "cut-off", &[json!({ "name": "net0", "network": "none" })]);
    on_networks(&daemon, "private", &[json!({ "name": "net0", "network": "user" })]);
    daemon.inn_ok(&["start", "cut-off"]);
    daemon.wait_for_log("cut-off", "INNKEEPER-GUEST-UP");
    refused(&daemon, &["start", "private"], &["nft", "nftables"]);

    // Of a network that was made before it went, the guests go on as they are, under the rules that they have.
    daemon.kill9();
    daemon.hide_programs(&[]);
    daemon.launch();
    daemon.inn_ok(&["network", "create", "lan", "--subnet", "10.87.3.0/24"]);
    for (name, address) in [("one", "10.87.3.10"), ("other", "10.87.3.20")] {
        on_networks(
            &daemon,
            name,
            &[json!({ "name": "net0", "network": "lan", "addresses": [address] })],
        );
    }
    daemon.inn_ok(&["start", "one"]);
    drop(online(&daemon, "one", "10.87.3.10"));
    let rules = network.output("nft", &["list", "ruleset"]);
    daemon.kill9();
    daemon.hide_programs(&["nft"]);
    daemon.launch();
    has_problem(&daemon, "lan", &["nft", "nftables"]);
    refused(&daemon, &["start", "other"], &["nft", "nftables"]);
    assert_eq!(ping(&mut daemon.console("one"), GATEWAY), 0);
    assert_eq!(network.output("nft", &["list", "ruleset"]), rules);
    assert_eq!(daemon.vm("cut-off")["state"], "running");
    daemon.kill9();
    daemon.hide_programs(&[]);
    daemon.launch();
    is_well(&daemon, "lan");
    daemon.inn_ok(&["start", "other"]);
}

#[test]
fn without_dnsmasq_it_is_named_and_networks_without_dhcp_work() {
    if skip_without_root("hosts without dnsmasq") {
        return;
    }
    let _turn = GuestSlots::all();
    let (network, mut daemon) = host_with_guests();
    daemon.inn_ok(&["network", "create", "served", "--subnet", "10.88.3.0/24"]);
    on_networks(&daemon, "late", &[json!({ "name": "net0", "network": "served" })]);
    let servers = servers_in(daemon.state());
    daemon.kill9();
    servers.iter().for_each(|server| server.kill9());
    daemon.hide_programs(&["dnsmasq"]);
    daemon.launch();

    let before = network.state();
    let create = ["network", "create", "lan", "--subnet", "10.87.3.0/24"];
    refused(&daemon, &create, &["dnsmasq", "apt install dnsmasq-base", "dhcp: false"]);
    refused(&daemon, &["start", "late"], &["dnsmasq", "apt install dnsmasq-base"]);
    has_problem(&daemon, "served", &["dnsmasq", "apt install dnsmasq-base"]);
    assert_eq!(network.state(), before);

    daemon.inn_ok(&[&create[..], &["--no-dhcp"]].concat());
    is_well(&daemon, "lan");
    let mut consoles = [("one", "10.87.3.10"), ("other", "10.87.3.20")].map(|(name, address)| {
        on_networks(
            &daemon,
            name,
            &[json!({ "name": "net0", "network": "lan", "addresses": [address] })],
        );
        daemon.inn_ok(&["start", name]);
        let mut console = daemon.console(name);
        console.log_in();
        console.output_of(&format!("ip link set eth0 up; ip address add {address}/24 dev eth0"));
        console
    });
    for address in [GATEWAY, Ipv4Addr::new(10, 87, 3, 20)] {
        assert_eq!(ping(&mut consoles[0], address), 0, "{address}");
    }
    let one = &mut consoles[0];
    one.output_of("ip address flush dev eth0; ip address add 10.87.3.77/24 dev eth0");
    assert_ne!(ping(one, GATEWAY), 0, "with an address that is not its own");
    assert_eq!(servers_in(daemon.state()), []);

    daemon.kill9();
    daemon.hide_programs(&[]);
    daemon.launch();
    is_well(&daemon, "served");
    daemon.inn_ok(&["start", "late"]);
}

#[test]
fn who_has_a_port_of_dhcp_or_dns_is_named_by_the_network_until_it_lets_go() {
    if skip_without_root("programs that have the ports of DHCP and DNS") {
        return;
    }
    let network = Arc::new(PrivateNetwork::new());
    let mut daemon = Daemon::prepared(TCG).in_network(&network);
    daemon.launch();
    let me = format!("(pid {})", std::process::id());
    let taken: [(&str, &str, Take); 4] = [
        ("67/udp (DHCP)", "10.87.3.0/24", || Ok(UdpSocket::bind("0.0.0.0:67")?.into())),
        ("53/udp (DNS)", "10.87.3.0/24", || Ok(UdpSocket::bind("0.0.0.0:53")?.into())),
        ("53/tcp (DNS)", "10.87.3.0/24", || Ok(TcpListener::bind("0.0.0.0:53")?.into())),
        ("547/udp (DHCPv6)", "fd00:87:3::/64", || Ok(UdpSocket::bind("[::]:547")?.into())),
    ];
    let before = network.state();
    for (port, range, take) in taken {
        let socket = network.in_host(take).unwrap();
        let create = ["network", "create", "lan", "--subnet", range];
        refused(&daemon, &create, &[&me, &format!("has port {port}")]);
        assert_eq!(network.state(), before);
        drop(socket);
        until("it is free", SHORT, || {
            let outcome = daemon.inn(&create);
            if outcome.status.success() { Ok(()) } else { Err(outcome.stderr) }
        });
        is_well(&daemon, "lan");

        // Its dnsmasq ends, and another program is quicker than the next one.
        let socket = until("the port is had", SHORT, || {
            servers_in(daemon.state()).iter().for_each(|server| server.kill9());
            network.in_host(take)
        });
        has_problem(&daemon, "lan", &[&me, &format!("has port {port}")]);
        drop(socket);
        is_well(&daemon, "lan");
        assert_eq!(servers_in(daemon.state()).len(), 1);
        daemon.inn_ok(&["network", "delete", "lan"]);
    }
}
