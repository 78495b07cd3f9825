//! Networks of the host, with real guests on them: who reaches whom, who is kept from whom, and what is
//! left when all of it is gone. Each test has a network namespace of its own.

mod deaths;
mod history;
mod hostile;
mod missing;
mod rates;
mod six;

use crate::{
    guests::tiny,
    harness::{
        BOOT, Console, Daemon, GREETING, GuestSlots, HOST, OUTSIDE, PrivateNetwork, Request, SHORT,
        Services, TCG, new_value, servers_in, skip_without_root, until,
    },
};
use serde_json::{Value, json};
use std::{
    fmt::Display,
    io::Read,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 87, 3, 1);
/// How often the daemon looks at networks by itself. Of two things in a row that are seen within a third of it, one at
/// least was told.
const SURVEYED_EVERY: Duration = Duration::from_secs(30);
/// The same of the rule that keeps guests on `user` from their host's loopback.
const GUARDED_EVERY: Duration = Duration::from_secs(10);

#[test]
fn guests_reach_each_other_and_the_outside_and_nothing_of_their_host() {
    if skip_without_root("what guests on a network reach") {
        return;
    }
    let _turn = GuestSlots::all();
    let network = Arc::new(PrivateNetwork::new());
    let before = network.state();
    let mut daemon = daemon_with_guests(&network);
    daemon.inn_ok(&["network", "create", "lan", "--subnet", "10.87.3.0/24"]);
    let [one, other] = [("one", "10.87.3.10"), ("other", "10.87.3.20")].map(|(name, address)| {
        let nic = json!({ "name": "net0", "network": "lan", "addresses": [address] });
        on_networks(&daemon, name, &[nic])
    });
    publish(&daemon, &one, "8080:80");
    daemon.inn_ok(&["start", "one", "other"]);
    let mut consoles =
        [online(&daemon, "one", "10.87.3.10"), online(&daemon, "other", "10.87.3.20")];

    the_view_says_so(&daemon, &one);
    each_other(&mut consoles[0], &daemon);
    let outside = network.of_outside();
    assert_eq!(visit(&mut consoles[0], OUTSIDE, &outside), GREETING);
    of_the_host(&network, &mut consoles[0]);
    a_published_port_answers(&network, &mut consoles[0]);
    another_address_is_silenced(&mut consoles, &outside);

    // Whoever flushes the host's rules takes nothing away for long.
    for _ in 0..2 {
        let mut feed = daemon.feed();
        network.output("nft", &["flush", "ruleset"]);
        until("the rules are there again", SURVEYED_EVERY / 3, || {
            let rules = network.output("nft", &["list", "ruleset"]);
            if rules.contains("10.87.3.10") { Ok(()) } else { Err(rules) }
        });
        feed.expect("that the rules were mended", SURVEYED_EVERY / 3, |change| {
            change["name"] == "lan" && new_value(change, "facts.mended.at").is_some()
        });
        assert!(daemon.inn_ok(&["network", "get", "lan"]).contains("flush of the ruleset"));
    }
    drop(consoles);
    nothing_is_lost(&mut daemon, &network);
    isolated_guests_reach_the_gateway_alone(&daemon);

    let used = daemon.inn(&["network", "delete", "lan"]);
    assert!(!used.status.success() && used.stderr.contains("one"), "{used:?}");
    for vm in [&one, &other] {
        daemon.done(Request::new("DELETE", &format!("/v1/vms/{vm}?force=true")));
    }
    daemon.inn_ok(&["network", "delete", "lan", "island"]);
    assert_eq!(servers_in(daemon.state()), []);
    assert_eq!(network.state(), before, "what is left on the host");
}

#[test]
fn a_nic_comes_and_goes_while_its_guest_runs() {
    if skip_without_root("hotplug of NICs on networks") {
        return;
    }
    let _turn = GuestSlots::one();
    let (network, daemon) = host_with_guests();
    daemon.inn_ok(&["network", "create", "lan", "--subnet", "10.87.3.0/24"]);
    daemon.inn_ok(&["network", "create", "island", "--subnet", "10.88.3.0/24", "--isolated"]);
    let vm = on_networks(&daemon, "one", &[]);
    daemon.inn_ok(&["start", "one"]);
    let mut console = daemon.console("one");
    console.log_in();

    // Here it is the guest that confirms each hotplug and unplug, by what its own `ip link` shows. By QMP alone
    // it is confirmed where no guest can be asked: in the QEMU driver's tests.
    let nic = json!({ "name": "extra", "network": "lan", "mac": "52:54:00:11:22:33" });
    daemon.done(Request::new("POST", &format!("/v1/vms/{vm}/nics")).json(&nic));
    until("the guest sees its NIC", SHORT, || seen(&mut console, "52:54:00:11:22:33"));
    assert_eq!(lease(&mut console, "eth0"), "10.87.3.2");
    assert_eq!(ping(&mut console, GATEWAY), 0);

    // Moved to another network, it is another cable in the same NIC.
    daemon.inn_ok(&["nic", "set", "one", "extra", "--network", "island"]);
    assert_eq!(lease(&mut console, "eth0"), "10.88.3.2");
    assert_eq!(ping(&mut console, Ipv4Addr::new(10, 88, 3, 1)), 0);

    // With another address there, it asks for it as soon as it sees its cable again; nothing else takes it out.
    let changes = "/sys/class/net/eth0/carrier_changes";
    let before: u32 = console.output_of(&format!("cat {changes}")).parse().unwrap();
    daemon.inn_ok(&["nic", "set", "one", "extra", "--in-kbit", "50000"]);
    assert_eq!(console.output_of(&format!("cat {changes}")), before.to_string());
    let back = before + 2;
    let ask = "udhcpc -n -q -i eth0 -t 10 -T 1 -s /etc/dhcp >/told 2>&1";
    let wait = format!("until [ $(cat {changes}) -ge {back} ]; do :; done");
    console.run(&format!("sh -c '{wait}; {ask}' & true"));
    let readdress = Request::new("PATCH", &format!("/v1/vms/{vm}/nics/extra"))
        .json(&json!({ "addresses": ["10.88.3.50"] }))
        .header("Content-Type", "application/merge-patch+json");
    daemon.done(readdress);
    until("the guest has its new address", SHORT, || {
        let (_, told) = console.run("cat /told");
        if told.contains("lease of 10.88.3.50 ") { Ok(()) } else { Err(told) }
    });
    assert_eq!(ping(&mut console, Ipv4Addr::new(10, 88, 3, 1)), 0);

    daemon.inn_ok(&["nic", "set", "one", "extra", "--disconnect"]);
    until("the guest sees no carrier", SHORT, || {
        let (_, carrier) = console.run("cat /sys/class/net/eth0/carrier");
        if carrier == "0" { Ok(()) } else { Err(carrier) }
    });

    daemon.done(Request::new("DELETE", &format!("/v1/vms/{vm}/nics/extra")));
    until("the guest sees it no more", SHORT, || match seen(&mut console, "52:54:00:11:22:33") {
        Ok(()) => Err("it is there"),
        Err(_) => Ok(()),
    });
    let left = network.output("ip", &["-o", "link"]);
    assert!(!left.contains("innt"), "a tap is left: {left}");
}

#[test]
fn rates_are_in_force_at_the_tap_as_soon_as_they_are_asked_for() {
    if skip_without_root("rates of NICs on networks") {
        return;
    }
    let _turn = GuestSlots::one();
    let (network, daemon) = host_with_guests();
    daemon.inn_ok(&["network", "create", "lan", "--subnet", "10.87.3.0/24"]);
    let rate = json!({ "in_kbit": 5000, "out_kbit": 4096 });
    on_networks(&daemon, "one", &[json!({ "name": "net0", "network": "lan", "rate": rate })]);
    daemon.inn_ok(&["start", "one"]);
    let links = network.output("ip", &["-o", "link"]);
    let tap = links.split([' ', ':', '@']).find(|word| word.starts_with("innt")).expect("a tap");

    // To the guest by a queue, in bits; from it by a limit of the firewall's, in bytes.
    let is = |to_guest: Option<&str>, from_guest: Option<&str>| {
        let queue = network.output("tc", &["qdisc", "show", "dev", tap]);
        let limits = network.output("nft", &["list", "limits"]);
        for (words, now) in [("tbf", to_guest), ("rate ", to_guest)] {
            assert_eq!(queue.contains(words), now.is_some(), "{words}: {queue}");
        }
        assert!(queue.contains(to_guest.unwrap_or_default()), "{to_guest:?}: {queue}");
        assert_eq!(limits.matches("rate over ").count(), from_guest.iter().count(), "{limits}");
        assert!(limits.contains(from_guest.unwrap_or_default()), "{from_guest:?}: {limits}");
    };
    let set = |rates: &[&str]| daemon.inn_ok(&[&["nic", "set", "one", "net0"], rates].concat());
    is(Some("rate 5Mbit"), Some("rate over 500 kbytes/second"));
    set(&["--in-kbit", "10000"]);
    is(Some("rate 10Mbit"), Some("rate over 500 kbytes/second"));
    set(&["--out-kbit", "8192"]);
    is(Some("rate 10Mbit"), Some("rate over 1000 kbytes/second"));
    set(&["--in-kbit", "20000", "--out-kbit", "16384"]);
    is(Some("rate 20Mbit"), Some("rate over 2000 kbytes/second"));
    set(&["--in-kbit", "none"]);
    is(None, Some("rate over 2000 kbytes/second"));
    set(&["--in-kbit", "1000", "--out-kbit", "none"]);
    is(Some("rate 1Mbit"), None);
    set(&["--in-kbit", "none"]);
    is(None, None);
}

/// Step by step what the last lines of docs/networks.md say, and then the files.
#[test]
fn after_an_uninstall_the_host_is_what_it_was() {
    if skip_without_root("what is left of networks after an uninstall") {
        return;
    }
    let _turn = GuestSlots::one();
    let network = Arc::new(PrivateNetwork::new());
    let before = (network.state(), network.processes());
    let config = format!("{TCG}[networks]\nmake_default = true\n");
    let mut daemon = Daemon::prepared(&config).in_network(&network);
    daemon.launch();
    daemon.import_tiny();
    daemon.inn_ok(&["network", "create", "lan", "--subnet", "fd00:87:3::/64"]);
    until("the network that nobody asked for", SHORT, || {
        let networks = daemon.inn_ok(&["network", "list", "-o", "name"]);
        if networks.contains("default") { Ok(()) } else { Err(networks) }
    });
    let nics = ["default", "lan", "user"].map(|on| json!({ "name": on, "network": on }));
    let [one, other] = ["one", "other"].map(|name| on_networks(&daemon, name, &nics));
    publish(&daemon, &one, "8080:80");
    daemon.inn_ok(&["start", "one"]);
    let tables = network.output("nft", &["list", "tables"]);
    for table in
        ["bridge innkeeper_networks_", "inet innkeeper_networks_", "inet innkeeper_guests_"]
    {
        assert!(tables.contains(table), "{table}: {tables}");
    }
    assert_eq!(servers_in(daemon.state()).len(), 2);

    daemon.inn_ok(&["stop", "one", "--force"]);
    daemon.inn_ok(&["delete", "one", "--yes"]);
    for nic in ["default", "lan"] {
        daemon.inn_ok(&["nic", "remove", &other, nic]);
    }
    for name in daemon.inn_ok(&["network", "list", "-o", "name"]).lines() {
        daemon.inn_ok(&["network", "delete", name]);
    }
    let (status, _) = daemon.terminate();
    assert!(status.success(), "{status}");
    std::fs::remove_dir_all(daemon.state()).unwrap();
    assert_eq!((network.state(), network.processes()), before, "what is left on the host");
}

#[test]
fn what_a_guest_had_goes_with_it_and_its_nic_keeps_its_own_under_another_name() {
    if skip_without_root("NICs that are called otherwise, and what is left of guests on no network")
    {
        return;
    }
    let _turn = GuestSlots::one();
    let network = Arc::new(PrivateNetwork::new());
    let before = network.state();
    let daemon = daemon_with_guests(&network);
    let file = daemon.scratch().join("lan.yaml");
    std::fs::write(&file, "name: lan\nsubnets: [{range: 10.87.3.0/24}]\n").unwrap();
    daemon.inn_ok(&["apply", file.to_str().unwrap()]);
    let nic = json!({
        "name": "old", "network": "lan", "addresses": ["10.87.3.10"], "mac": "52:54:00:11:22:33",
    });
    let vm = on_networks(&daemon, "one", &[nic, json!({ "name": "out", "network": "user" })]);

    let reserved = json!([{ "mac": "52:54:00:11:22:33" }]);
    let subnet = "/v1/subnets/10.87.3.0%2F24/reservations";
    let refused = daemon.send(&Request::new("POST", subnet).json(&reserved));
    let problem = refused.json();
    assert_eq!(
        (refused.status, &problem["field"]),
        (409, &json!("reservations[0].mac")),
        "{problem}"
    );
    assert_eq!(problem["value"], "52:54:00:11:22:33");
    assert!(problem["detail"].as_str().unwrap().contains("NIC old of VM one"), "{problem}");

    let record = daemon.vm(&vm);
    let mut config = record["spec"]["config"].clone();
    config["nics"][0]["name"] = "new".into();
    daemon.done(Request::new("PUT", &format!("/v1/vms/{vm}")).json(&config));
    daemon.inn_ok(&["start", "one"]);
    let _console = online(&daemon, "one", "10.87.3.10");
    let tables = || network.output("nft", &["list", "tables"]);
    assert!(tables().contains("inet innkeeper_guests_"), "{}", tables());
    for _ in 0..2 {
        network.output("nft", &["flush", "ruleset"]);
        until("the rule for guests is there again", GUARDED_EVERY / 3, || {
            let there = tables();
            if there.contains("inet innkeeper_guests_") { Ok(()) } else { Err(there) }
        });
    }

    daemon.done(Request::new("DELETE", &format!("/v1/vms/{vm}?force=true")));
    daemon.inn_ok(&["network", "delete", "lan"]);
    until("the rule for guests is gone", SHORT, || {
        let left = tables();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    assert_eq!(network.state(), before, "what is left on the host");
}

#[test]
fn a_guest_is_told_what_its_own_seed_has_and_nothing_of_anothers() {
    if skip_without_root("what the metadata service tells guests on a network") {
        return;
    }
    let _turn = GuestSlots::all();
    let (_, mut daemon) = host_with_guests();
    daemon.inn_ok(&["network", "create", "lan", "--subnet", "10.87.3.0/24"]);
    let guests = [("one", "10.87.3.10"), ("other", "10.87.3.20")];
    let ids = guests.map(|(name, address)| {
        let mut config = tiny(name, "");
        config["nics"] = json!([{ "name": "net0", "network": "lan", "addresses": [address] }]);
        config["cloud_init"] = json!({ "user_data": user_data_of(name) });
        daemon.create(&config)
    });
    daemon.inn_ok(&["start", "one", "other"]);
    let mut consoles = guests.map(|(name, address)| online(&daemon, name, address));
    consoles.iter_mut().for_each(learn_to_ask);
    let all_are_told = |consoles: &mut [Console]| {
        for ((console, (name, address)), id) in consoles.iter_mut().zip(guests).zip(&ids) {
            assert_eq!(told(console, "latest/user-data"), user_data_of(name).trim_end());
            assert_eq!(told(console, "latest/meta-data/instance-id"), *id);
            assert_eq!(told(console, "latest/meta-data/local-hostname"), name);
            assert_eq!(told(console, "latest/meta-data/local-ipv4"), address);
            let document = told(console, "nocloud/meta-data");
            assert!(document.contains(id) && document.contains(name), "{document}");
        }
    };
    all_are_told(&mut consoles);
    for words in ["latest/vendor-data", "latest/user-data 'Via: x\\r\\n'"] {
        let answer = ask(&mut consoles[0], words);
        assert!(answer.starts_with("HTTP/1.1 404"), "{words}: {answer}");
    }

    // The next daemon listens on another port, to which the rules lead by then.
    daemon.kill9();
    daemon.launch();
    let mut consoles = guests.map(|(name, _)| {
        let mut console = daemon.console(name);
        // What was written before is shown first.
        console.run("true");
        console
    });
    until("the next daemon answers guests", SHORT, || {
        let answer = ask(&mut consoles[0], "latest/");
        if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(answer) }
    });
    all_are_told(&mut consoles);

    // Who asks is known by the address, and another's is nobody's to take.
    let other = &mut consoles[1];
    other.output_of("ip address flush dev eth0; ip address add 10.87.3.10/24 dev eth0");
    other.output_of("ip route replace default via 10.87.3.1 dev eth0");
    let answer = ask(other, "latest/user-data");
    assert!(!answer.contains("HTTP") && !answer.contains("secret-of-"), "{answer}");
    assert!(!daemon.log().contains("secret-of-"), "a seed is in the daemon's log");
}

#[test]
fn a_vlan_that_cannot_be_had_is_refused_with_what_to_do() {
    if skip_without_root("networks that join a bridge of the host's") {
        return;
    }
    let network = Arc::new(PrivateNetwork::new());
    network.output("ip", &["link", "add", "br0", "type", "bridge"]);
    let mut daemon = Daemon::prepared(TCG).in_network(&network);
    daemon.launch();
    let before = network.state();
    let outcome = daemon.inn(&["network", "create", "office", "--bridge", "br0", "--vlan", "7"]);
    let said = outcome.stderr;
    assert!(!outcome.status.success() && said.contains("vlan"), "{said}");
    // A kernel that cannot do it does not say by which protocol it would.
    if network.output("ip", &["-d", "link", "show", "br0"]).contains("vlan_protocol") {
        assert!(said.contains("`ip link set br0 type bridge vlan_filtering 1`"), "{said}");
    } else {
        assert!(said.contains("CONFIG_BRIDGE_VLAN_FILTERING"), "{said}");
        assert!(said.contains("type vlan id 7`"), "{said}");
    }
    assert_eq!(network.state(), before);
    daemon.inn_ok(&["network", "create", "office", "--bridge", "br0"]);
    daemon.inn_ok(&["network", "delete", "office"]);
    assert_eq!(network.state(), before);
}

/// Has the guest's shell know how to ask the metadata service: busybox's wget looks up the port of HTTP,
/// which a static program cannot. What it asks comes by a pipe that stays open, since who hangs up is not
/// answered, and that is another each time, since what nobody took would be asked next.
fn learn_to_ask(console: &mut Console) {
    console.output_of("h=169.254.169.254; p() { rm -f /f; mkfifo /f; exec 9<>/f; }");
    console.output_of("q() { printf \"GET /$1 HTTP/1.1\\r\\nHost: $h\\r\\n$2\\r\\n\" >&9; }");
    console.output_of("m() { p; q \"$@\"; nc -w 9 $h 80 <&9; }");
}

/// All that the metadata service answers, or what `nc` says where it does not.
fn ask(console: &mut Console, words: &str) -> String {
    console.run(&format!("m {words}")).1
}

/// What the metadata service has to tell at this path.
fn told(console: &mut Console, path: &str) -> String {
    let answer = ask(console, path);
    assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    answer.split_once("\n\n").unwrap_or_default().1.to_owned()
}

fn user_data_of(name: &str) -> String {
    format!("#cloud-config\npassword: secret-of-{name}\n")
}

/// A host of its own, and a daemon on it that has the sample guests.
fn host_with_guests() -> (Arc<PrivateNetwork>, Daemon) {
    let network = Arc::new(PrivateNetwork::new());
    let daemon = daemon_with_guests(&network);
    (network, daemon)
}

fn daemon_with_guests(network: &Arc<PrivateNetwork>) -> Daemon {
    let mut daemon = Daemon::prepared(TCG).in_network(network);
    daemon.launch();
    daemon.import_tiny();
    daemon
}

/// A VM with these NICs; returns its id.
fn on_networks(daemon: &Daemon, name: &str, nics: &[Value]) -> String {
    let mut config = tiny(name, "");
    config["nics"] = nics.into();
    daemon.create(&config)
}

fn publish(daemon: &Daemon, vm: &str, port: &str) {
    let record = daemon.vm(vm);
    let mut config = record["spec"]["config"].clone();
    config["nics"][0]["publish"] = json!([port]);
    daemon.done(Request::new("PUT", &format!("/v1/vms/{vm}")).json(&config));
}

/// At the console of a guest that has its address.
fn online(daemon: &Daemon, vm: &str, address: &str) -> Console {
    daemon.wait_for_log(vm, &format!("INNKEEPER-GUEST-IP {address}"));
    let mut console = daemon.console(vm);
    console.send("\n");
    console.log_in();
    console
}

fn the_view_says_so(daemon: &Daemon, vm: &str) {
    until("the address is known to be taken up", SHORT, || {
        let addresses = daemon.vm(vm)["addresses"].clone();
        let wanted = json!([{ "nic": "net0", "address": "10.87.3.10", "source": "lease" }]);
        if addresses == wanted { Ok(()) } else { Err(addresses) }
    });
    assert_eq!(daemon.inn_ok(&["ip", "one"]).trim(), "10.87.3.10");
    daemon.inn_ok(&["wait", "one", "--for", "ip"]);
}

fn each_other(console: &mut Console, daemon: &Daemon) {
    assert_eq!(ping(console, Ipv4Addr::new(10, 87, 3, 20)), 0, "{}", daemon.log());
    // By name, too.
    assert!(console.output_of("nslookup other").contains("10.87.3.20"));
}

fn of_the_host(network: &PrivateNetwork, console: &mut Console) {
    for address in [GATEWAY, HOST] {
        let services = network.of_host(address);
        let said = visit(console, address, &services);
        assert!(!said.contains(GREETING), "the guest reached its host at {address}");
        assert_eq!(services.greeter.visits(), 0);
    }
}

fn a_published_port_answers(network: &PrivateNetwork, console: &mut Console) {
    console
        .run("sh -c 'while :; do echo FROM-THE-GUEST | nc -l -p 80; done' >/dev/null 2>&1 & true");
    let ask = |address: Ipv4Addr| {
        let mut said = String::new();
        let address = SocketAddr::from((address, 8080));
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))
            .map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.read_to_string(&mut said).map_err(|error| error.to_string())?;
        if said.trim() == "FROM-THE-GUEST" { Ok(()) } else { Err(said) }
    };
    until("from outside", SHORT, || network.in_outside(|| ask(HOST)));
    until("from the host's own address", SHORT, || network.in_host(|| ask(HOST)));
    until("from the host's loopback", SHORT, || network.in_host(|| ask(Ipv4Addr::LOCALHOST)));
}

/// A guest that takes another's address, or hardware address, is heard by nobody; with its own again, it
/// is.
fn another_address_is_silenced([console, other]: &mut [Console; 2], outside: &Services) {
    let heard = |console: &mut Console| visit(console, OUTSIDE, outside) == GREETING;
    assert!(heard(console));
    let route = "ip route replace default via 10.87.3.1 dev eth0";
    console.output_of(&format!(
        "ip address flush dev eth0; ip address add 10.87.3.20/24 dev eth0; {route}"
    ));
    assert!(!heard(console), "with another's address");
    console.output_of(&format!(
        "ip address flush dev eth0; ip address add 10.87.3.77/24 dev eth0; {route}"
    ));
    assert!(!heard(console), "with nobody's address");
    console.output_of(&format!(
        "ip address flush dev eth0; ip address add 10.87.3.10/24 dev eth0; {route}"
    ));
    assert!(heard(console), "with its own again");
    let [mac, others] =
        [&mut *console, &mut *other].map(|of| of.output_of("cat /sys/class/net/eth0/address"));
    let change = |mac: &str| {
        format!(
            "ip link set eth0 down; ip link set eth0 address {mac}; ip link set eth0 up; {route}"
        )
    };
    for taken in [&*others, "52:54:00:99:99:99"] {
        console.output_of(&change(taken));
        assert!(!heard(console), "with {taken}, of which the other is {others}");
        assert!(heard(other), "whose {others} somebody takes");
    }
    console.output_of(&change(&mac));
    until("with its own again", SHORT, || if heard(console) { Ok(()) } else { Err("silence") });
}

/// The daemon and its servers die without a word, and guests keep what they have.
fn nothing_is_lost(daemon: &mut Daemon, network: &PrivateNetwork) {
    let before = network.output("ip", &["-o", "link"]).lines().count();
    let servers = servers_in(daemon.state());
    assert_eq!(servers.len(), 1);
    daemon.kill9();
    servers[0].kill9();
    daemon.launch();
    until("another server", SHORT, || match servers_in(daemon.state())[..] {
        [server] if server != servers[0] => Ok(()),
        _ => Err("none"),
    });
    assert_eq!(network.output("ip", &["-o", "link"]).lines().count(), before);
    let mut console = daemon.console("other");
    assert_eq!(lease(&mut console, "eth0"), "10.87.3.20", "the same as before");
    let leases = daemon.get("/v1/networks/lan")["facts"]["leases"].clone();
    let addresses: Vec<IpAddr> = leases
        .as_array()
        .unwrap()
        .iter()
        .map(|lease| lease["address"].as_str().unwrap().parse().unwrap())
        .collect();
    let both: [IpAddr; 2] = [[10, 87, 3, 10].into(), [10, 87, 3, 20].into()];
    assert_eq!(addresses, both);
}

/// Each gets one more NIC while it runs, on a network whose guests are kept from each other.
fn isolated_guests_reach_the_gateway_alone(daemon: &Daemon) {
    daemon.inn_ok(&["network", "create", "island", "--subnet", "10.88.3.0/24", "--isolated"]);
    let [(mut one, of_one), (_other, of_other)] = ["one", "other"].map(|vm| {
        daemon.inn_ok(&["nic", "add", vm, "island"]);
        let mut console = daemon.console(vm);
        until("the guest sees its NIC", SHORT, || seen(&mut console, "eth1"));
        let address = lease(&mut console, "eth1");
        (console, address.parse::<Ipv4Addr>().unwrap())
    });
    assert_ne!(of_one, of_other);
    assert_eq!(ping(&mut one, Ipv4Addr::new(10, 88, 3, 1)), 0);
    assert_ne!(ping(&mut one, of_other), 0, "an isolated guest reached another");
}

/// What a server says to the guest.
fn visit(console: &mut Console, address: impl Display, services: &Services) -> String {
    console.run(&format!("nc -w 3 {address} {} </dev/null", services.greeter.port)).1
}

fn ping(console: &mut Console, address: impl Display) -> i32 {
    console.run(&format!("ping -c 1 -W 3 {address} >/dev/null")).0
}

/// Whether the guest has an interface with this hardware address.
fn seen(console: &mut Console, mac: &str) -> Result<(), String> {
    let links = console.output_of("ip link");
    if links.contains(mac) { Ok(()) } else { Err(links) }
}

/// Has the guest ask for an address, and returns the one that it gets.
fn lease(console: &mut Console, interface: &str) -> String {
    console.run(&format!("ip link set {interface} up"));
    let ask = format!("udhcpc -n -q -i {interface} -t 10 -T 1 -s /etc/dhcp 2>&1");
    let said = console.output_of(&ask);
    let address = said.split("lease of ").nth(1).and_then(|rest| rest.split(' ').next());
    address.unwrap_or_else(|| panic!("no lease: {said}")).to_owned()
}
