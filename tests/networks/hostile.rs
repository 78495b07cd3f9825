//! A guest that would have what is others'.

use super::*;

#[test]
fn a_guest_that_asks_in_many_names_gets_its_own_lease_and_takes_no_others() {
    if skip_without_root("leases of guests on networks") {
        return;
    }
    let _turn = GuestSlots::all();
    let (_, daemon) = host_with_guests();
    // Two addresses for guests, and the gateway's.
    daemon.inn_ok(&["network", "create", "lan", "--subnet", "10.87.3.0/29"]);
    let nic = || json!({ "name": "net0", "network": "lan" });
    on_networks(&daemon, "greedy", &[nic()]);
    daemon.inn_ok(&["start", "greedy"]);
    let own = "10.87.3.2";
    let mut greedy = online(&daemon, "greedy", own);
    assert_eq!(lease(&mut greedy, "eth0"), own);

    // As many clients, by identifier and by name: it is known by its hardware address, and has one lease.
    for number in 1..=4 {
        let ask = format!(
            "udhcpc -n -q -i eth0 -t 10 -T 1 -s /etc/dhcp -x 0x3d:0100000000000{number} -x hostname:n{number} 2>&1"
        );
        let (_, said) = greedy.run(&ask);
        assert!(!said.contains("lease of ") || said.contains(own), "{said}");
    }
    // As many hardware addresses: what it says in another's name is heard by nobody.
    let mac = greedy.output_of("cat /sys/class/net/eth0/address");
    for number in 1..=4 {
        greedy.output_of(&format!(
            "ip link set eth0 down; ip link set eth0 address 52:54:00:77:00:0{number}; ip link set eth0 up"
        ));
        let (_, said) = greedy.run("udhcpc -n -q -i eth0 -t 2 -T 1 -s /etc/dhcp 2>&1");
        assert!(!said.contains("lease of "), "{said}");
    }
    greedy.output_of(&format!(
        "ip link set eth0 down; ip link set eth0 address {mac}; ip link set eth0 up"
    ));
    assert_eq!(lease(&mut greedy, "eth0"), own);

    // There is one for who comes then.
    on_networks(&daemon, "modest", &[nic()]);
    daemon.inn_ok(&["start", "modest"]);
    let mut modest = online(&daemon, "modest", "10.87.3.3");
    assert_eq!(lease(&mut modest, "eth0"), "10.87.3.3");

    // Who says at the link that it is the gateway, or the other, is not believed.
    for address in ["10.87.3.1", "10.87.3.3"] {
        greedy.run(&format!(
            "ip address flush dev eth0; ip address add {address}/29 dev eth0; arping -U -c 3 -I eth0 {address}"
        ));
        assert_eq!(
            ping(&mut modest, GATEWAY),
            0,
            "it lost its gateway to who says that it is {address}"
        );
    }
}
