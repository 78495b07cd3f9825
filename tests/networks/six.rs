//! Guests whose network has IPv6 alone: what they get, whom they reach, and whom they cannot pass for.

use super::*;
use std::net::Ipv6Addr;

const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x87, 3, 0, 0, 0, 0, 1);
const ONE: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x87, 3, 0, 0, 0, 0, 0x10);
const OTHER: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x87, 3, 0, 0, 0, 0, 0x20);
/// The host's on the way out, and that of who is outside.
const HOST6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const OUTSIDE6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
/// Of another network of the host's.
const ELSEWHERE: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, 1);

#[test]
fn guests_of_ipv6_reach_each_other_and_pass_for_nobody_else() {
    if skip_without_root("guests on networks of IPv6") {
        return;
    }
    let _turn = GuestSlots::all();
    let network = Arc::new(PrivateNetwork::new());
    with_ipv6(&network);
    let before = network.state();
    let mut daemon = daemon_with_guests(&network);
    daemon.inn_ok(&["network", "create", "lan", "--subnet", "fd00:87:3::/64"]);
    let [one, other] = [("one", ONE), ("other", OTHER)].map(|(name, address)| {
        let nic = json!({ "name": "net0", "network": "lan", "addresses": [address] });
        on_networks(&daemon, name, &[nic])
    });
    daemon.inn_ok(&["start", "one", "other"]);
    let mut consoles =
        [("one", ONE), ("other", OTHER)].map(|(name, own)| online(&daemon, name, &own.to_string()));

    the_view_says_so(&daemon, &one);
    let links = consoles.each_mut().map(|console| address_of_link(console, "eth0"));
    for (console, (name, peer, link)) in
        consoles.iter_mut().zip([("other", OTHER, links[1]), ("one", ONE, links[0])])
    {
        assert_eq!(ping(console, peer), 0, "{}", daemon.log());
        assert_eq!(ping(console, format!("-I eth0 {link}")), 0, "by its address of the link");
        let said = console.output_of(&format!("nslookup -type=aaaa {name}.lan.internal {ROUTER}"));
        assert!(said.contains(&peer.to_string()), "{said}");
    }
    let outside = network.in_outside(|| Services::offer(OUTSIDE6));
    assert_eq!(visit(&mut consoles[0], OUTSIDE6, &outside), GREETING);
    nothing_of_the_host(&network, &mut consoles[0]);
    another_address_is_silenced(&mut consoles, &outside);

    // What guests have outlives the daemon and its dnsmasq.
    drop(consoles);
    let server = servers_in(daemon.state())[0];
    daemon.kill9();
    server.kill9();
    daemon.launch();
    the_view_says_so(&daemon, &one);
    let mut console = again(&daemon, "other");
    until("it is given the same again", SHORT, || match ask(&mut console, "eth0") {
        address if address == OTHER.to_string() => Ok(()),
        address => Err(address),
    });
    drop(console);
    isolated_guests_do_not_hear_each_other(&daemon);

    for vm in [&one, &other] {
        daemon.done(Request::new("DELETE", &format!("/v1/vms/{vm}?force=true")));
    }
    daemon.inn_ok(&["network", "delete", "lan", "island"]);
    // The rule for guests on user-mode networks goes by itself, a moment after the last guest.
    until("nothing is left on the host", SHORT, || {
        let left = network.state();
        if left == before { Ok(()) } else { Err(left) }
    });
}

/// Gives host and outside addresses of IPv6, and the host another network.
fn with_ipv6(network: &PrivateNetwork) {
    let add = |address: Ipv6Addr, to: &str| {
        let address = format!("{address}/64");
        let added = std::process::Command::new("ip")
            .args(["-6", "address", "add", &address, "dev", to, "nodad"])
            .status();
        assert!(added.unwrap().success(), "{address}");
    };
    network.output("ip", &["link", "add", "elsewhere", "type", "bridge"]);
    network.output("ip", &["link", "set", "elsewhere", "up"]);
    network.in_host(|| {
        add(HOST6, "uplink");
        add(ELSEWHERE, "elsewhere");
    });
    network.in_outside(|| add(OUTSIDE6, "far"));
}

fn the_view_says_so(daemon: &Daemon, vm: &str) {
    until("the address is known to be taken up", SHORT, || {
        let addresses = daemon.vm(vm)["addresses"].clone();
        let wanted = json!([{ "nic": "net0", "address": ONE, "source": "lease" }]);
        if addresses == wanted { Ok(()) } else { Err(addresses) }
    });
    assert_eq!(daemon.inn_ok(&["ip", "one"]).trim(), ONE.to_string());
    daemon.inn_ok(&["wait", "one", "--for", "ip"]);
    assert!(daemon.inn_ok(&["nic", "list", "one"]).contains("lease"));
}

/// Of the host's own services none is reached, whatever address they are under: the router's, one of the uplink's,
/// one of another network, or the loopback's.
fn nothing_of_the_host(network: &PrivateNetwork, console: &mut Console) {
    // Its root leads ::1 to the host, as far as it can.
    let no_loopback = "ip -6 address del ::1/128 dev lo; ip -6 route del local ::1 table local";
    console.run(&format!("{no_loopback}; ip -6 route replace ::1/128 via {ROUTER} dev eth0"));
    for address in [ROUTER, HOST6, ELSEWHERE, Ipv6Addr::LOCALHOST] {
        let services = network.of_host(address);
        let said = visit(console, address, &services);
        assert!(!said.contains(GREETING), "the guest reached its host at {address}");
        assert_eq!(services.greeter.visits(), 0, "{address}");
    }
}

/// A guest that takes another's address, or nobody's, is heard by nobody; with its own again, it is. Whose it is goes
/// on being heard meanwhile.
fn another_address_is_silenced(consoles: &mut [Console; 2], outside: &Services) {
    let heard = |console: &mut Console| visit(console, OUTSIDE6, outside) == GREETING;
    let [liar, honest] = consoles;
    // Else the guest's own kernel sees that another has the address, and does not use it.
    liar.output_of("echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad");
    let takes = |address: Ipv6Addr| {
        format!(
            "ip -6 address flush dev eth0 scope global; ip -6 address add {address}/64 dev eth0"
        )
    };
    for (address, whose) in
        [(OTHER, "another's"), (Ipv6Addr::from(u128::from(ROUTER) + 0x76), "nobody's")]
    {
        liar.output_of(&takes(address));
        assert!(!heard(liar), "with {whose} address");
        assert!(heard(honest), "it lost its address to who has {whose}");
        assert_ne!(ping(liar, ROUTER), 0, "with {whose} address");
    }
    liar.output_of(&takes(ONE));
    until("with its own again", SHORT, || if heard(liar) { Ok(()) } else { Err("silence") });
}

/// Each gets one more NIC, on a network whose guests are kept from each other. They are on another one together, on
/// which they reach each other by the same means.
fn isolated_guests_do_not_hear_each_other(daemon: &Daemon) {
    daemon.inn_ok(&["network", "create", "island", "--subnet", "fd00:88:3::/64", "--isolated"]);
    let router: Ipv6Addr = "fd00:88:3::1".parse().unwrap();
    let [(mut one, of_one, _), (mut other, of_other, link_of_other)] = ["one", "other"].map(|vm| {
        daemon.inn_ok(&["nic", "add", vm, "island"]);
        let mut console = again(daemon, vm);
        until("the guest sees its NIC", SHORT, || seen(&mut console, "eth1"));
        console.output_of("ip link set eth1 up");
        let address = ask(&mut console, "eth1");
        let link = address_of_link(&mut console, "eth1");
        (console, address, link)
    });
    assert_ne!(of_one, of_other);
    for console in [&mut one, &mut other] {
        // Its router tells it how it is reached, a moment after the address.
        until("its router is reached", SHORT, || match ping(console, router) {
            0 => Ok(()),
            status => Err(status),
        });
    }
    assert_ne!(ping(&mut one, &of_other), 0, "an isolated guest reached another");
    assert_ne!(ping(&mut one, format!("-I eth1 {link_of_other}")), 0, "by its address of the link");
    assert_eq!(ping(&mut one, OTHER), 0, "on the network that they have together");
}

/// At the console of a guest where somebody is logged in. What was written before is shown first.
fn again(daemon: &Daemon, vm: &str) -> Console {
    let mut console = daemon.console(vm);
    console.run("true");
    console
}

/// Has the guest ask for an address by DHCPv6 and take it up, and returns it.
fn ask(console: &mut Console, interface: &str) -> String {
    let lease = console.output_of(&format!("timeout 60 dhcp6 {interface}"));
    let address = lease.split(' ').next().unwrap().to_owned();
    console.output_of(&format!("interface={interface} ip6={address} /etc/dhcp bound6; true"));
    address
}

/// A guest's address of the link, which it makes itself.
fn address_of_link(console: &mut Console, interface: &str) -> Ipv6Addr {
    let shown = console.output_of(&format!("ip -6 address show dev {interface} scope link"));
    let address = shown.split_whitespace().find_map(|word| word.strip_suffix("/64"));
    address.unwrap_or_else(|| panic!("none: {shown}")).parse().unwrap()
}
