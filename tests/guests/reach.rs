//! What a guest reaches over a user-mode network: the outside, and nothing of its host, by TCP or UDP,
//! over IPv4 or IPv6. Each way is first shown to work from where it may be taken, so that nothing is
//! found closed that was never open.

use crate::harness::{
    Console, GREETING, Neighbour, SHORT, Services, has_ipv6, skip_without_root, until,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// QEMU's names for the host's 127.0.0.1 and ::1.
const GATEWAYS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(10, 0, 2, 2)),
    IpAddr::V6(Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 2)),
];

/// Checks both, as far as the daemon's own rights allow.
pub(super) fn the_outside_and_no_address_of_its_host(console: &mut Console) {
    let without = "that a guest reaches the outside, and no address of its host";
    if skip_without_root(without) {
        return no_loopback_of_its_host(console);
    }

    let loopbacks = loopbacks_of_its_host(console);
    let neighbour = Neighbour::new();
    reaches(console, &neighbour);
    let tried = neighbour.host_addresses.iter().map(|address| Services::tried(*address));
    let own: Vec<_> = tried.collect();
    let mut attempts = Vec::new();
    for (of_loopback, of_own) in loopbacks.iter().zip(&own) {
        for services in [of_loopback, of_own] {
            let gateway = GATEWAYS.into_iter().find(|g| g.is_ipv4() == services.address.is_ipv4());
            for address in gateway.into_iter().chain([of_own.address]) {
                attempts.push(visit(address, services));
                attempts.push(send_letter(address, services));
            }
        }
    }
    let services: Vec<_> = loopbacks.into_iter().chain(own).collect();
    check_refused(console, attempts, &services);
    // It was not the guest's network that had broken by then.
    reaches(console, &neighbour);
}

/// Checks the second of a daemon that is not root, whose guests reach nothing at all.
pub(super) fn no_loopback_of_its_host(console: &mut Console) {
    let loopbacks = loopbacks_of_its_host(console);
    let attempts = loopbacks
        .iter()
        .zip(GATEWAYS)
        .flat_map(|(services, gateway)| [visit(gateway, services), send_letter(gateway, services)]);
    check_refused(console, attempts.collect(), &loopbacks);
}

/// What there is to reach on the host's loopback, once the guest has all addresses that it will have.
fn loopbacks_of_its_host(console: &mut Console) -> Vec<Services> {
    let mut loopbacks = vec![Services::tried(Ipv4Addr::LOCALHOST)];
    if has_ipv6() {
        loopbacks.push(Services::tried(Ipv6Addr::LOCALHOST));
        // Its addresses of IPv6 come by themselves; there are none where the network is closed.
        console.output_of(
            "n=0; until ip -6 route | grep -q ^default || [ $((n += 1)) -gt 100 ]; do sleep 0.1; done",
        );
    }
    loopbacks
}

fn visit(address: IpAddr, services: &Services) -> String {
    format!("nc -w 5 {address} {} </dev/null", services.greeter.port)
}

/// Sends a letter by UDP. The one of busybox's tools that does so to any port would then wait for an
/// answer.
fn send_letter(address: IpAddr, services: &Services) -> String {
    format!("timeout 3 tftp -g -r letter -l /dev/null {address} {}", services.mailbox.port)
}

/// Makes several attempts at once, since QEMU lets a guest wait for what its host refuses; not all,
/// since the guest's shell reads no line of more than 1,023 characters.
fn check_refused(console: &mut Console, attempts: Vec<String>, services: &[Services]) {
    for attempts in attempts.chunks(8) {
        let (_, output) = console.run(&format!("({} & wait) 2>/dev/null", attempts.join(" & ")));
        assert!(!output.contains(GREETING), "the guest reached its host: {output}");
    }
    for services in services {
        // The host's own.
        assert_eq!(services.reached(), (1, 1), "the guest reached {}", services.address);
    }
}

fn reaches(console: &mut Console, neighbour: &Neighbour) {
    for services in &neighbour.services {
        let address = services.address;
        // An address of IPv6 is good for something a second after it came.
        until(&format!("the guest reaches {address}"), SHORT, || {
            let (_, output) = console.run(&visit(address, services));
            if output == GREETING { Ok(()) } else { Err(output) }
        });
        let letters = services.mailbox.letters();
        console.run(&send_letter(address, services));
        assert!(services.mailbox.letters() > letters, "no letter reached {address}");
    }
}
