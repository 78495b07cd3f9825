//! Programs of the host's that have a port which dnsmasq needs: named before a subnet is made, and named by the
//! network whose dnsmasq finds its port taken later.

use crate::yard::{Yard, named, on_a_host, servers, until};
use innkeeper_model::{Code, Refusal, network::DhcpState};
use innkeeper_network::{HostNetworks, LinuxNetworks};
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use std::{
    net::{TcpListener, UdpSocket},
    time::{Duration, Instant},
};

const V4: &str = "10.87.0.0/24";
const V6: &str = "fd00:87::/64";

/// Each port that dnsmasq needs for a range: what it is called, and by which address another program has it.
const NEEDED: [(&str, &str, &str); 6] = [
    ("67/udp (DHCP)", "0.0.0.0:67", V4),
    ("53/udp (DNS)", "0.0.0.0:53", V4),
    ("53/tcp (DNS)", "0.0.0.0:53", V4),
    ("547/udp (DHCPv6)", "[::]:547", V6),
    ("53/udp (DNS)", "[::]:53", V6),
    ("53/tcp (DNS)", "[::]:53", V6),
];

/// A port that another program has: this one.
#[expect(dead_code, reason = "it is held, not used")]
enum Taken {
    Udp(UdpSocket),
    Tcp(TcpListener),
}

impl Taken {
    fn take(port: &str, at: &str) -> Self {
        if port.contains("/tcp") {
            Self::Tcp(TcpListener::bind(at).unwrap())
        } else {
            Self::Udp(UdpSocket::bind(at).unwrap())
        }
    }
}

/// As what this program is named, and the port.
fn names(text: &str, port: &str) -> bool {
    text.contains(&format!("(pid {}) has port {port}", std::process::id()))
}

/// Asks whether a network with this range can be had.
async fn check(yard: &mut Yard, daemon: &LinuxNetworks, range: &str) -> Result<(), Refusal> {
    yard.add_network(named("new"), &[range]);
    let network = yard.desired.networks.pop().unwrap();
    daemon.check_subnet(&network, &network.subnets[0].config).await
}

#[test]
fn who_has_a_port_that_a_subnet_needs_is_named() {
    on_a_host(async |mut yard| {
        let daemon = yard.daemon();
        for (port, at, range) in NEEDED {
            check(&mut yard, &daemon, range).await.unwrap();
            let taken = Taken::take(port, at);
            let refusal = check(&mut yard, &daemon, range).await.unwrap_err();
            assert_eq!((refusal.code, refusal.field.as_deref()), (Code::InUse, Some("dhcp")));
            assert!(names(&refusal.message, port), "{port}: {refusal}");
            drop(taken);
            // A child that another test has forked has the socket, too, until it executes its program.
            let begun = Instant::now();
            while let Err(refusal) = check(&mut yard, &daemon, range).await {
                assert!(begun.elapsed() < Duration::from_secs(10), "{refusal}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
}

#[test]
fn servers_of_this_daemons_other_networks_are_in_nobodys_way() {
    on_a_host(async |mut yard| {
        yard.add_network(named("lan"), &[V4, V6]);
        let daemon = yard.daemon();
        yard.apply(&daemon).await;
        for range in ["10.88.0.0/24", "fd00:88::/64"] {
            check(&mut yard, &daemon, range).await.unwrap();
        }
    });
}

#[test]
fn a_program_that_takes_a_port_later_is_named_until_it_lets_go() {
    for (port, at, range) in NEEDED {
        on_a_host(async move |mut yard| {
            let network = yard.add_network(named("lan"), &[range]);
            let address = if range == V4 { "10.87.0.50" } else { "fd00:87::50" };
            yard.add_nic(network, 1, &[address]);
            let daemon = yard.daemon();
            yard.apply(&daemon).await;
            let taken = take_from_servers(&yard, port, at);
            until("who has the port is named", || {
                let facts = daemon.facts(network);
                let problem = facts.problem.unwrap_or_default();
                names(&problem, port) && facts.dhcp == Some(DhcpState::Down)
            })
            .await;
            // Looking again is in nobody's way, and no cure.
            assert!(daemon.survey().await.unwrap().iter().all(|finding| !finding.mended));
            assert!(names(&daemon.facts(network).problem.unwrap(), port));
            drop(taken);
            until("it mends itself", || {
                let facts = daemon.facts(network);
                (facts.dhcp, facts.problem) == (Some(DhcpState::Running), None)
            })
            .await;
            assert_eq!(servers(yard.folder.path()).len(), 1);
        });
    }
}

/// Ends all servers and takes a port of theirs. Nobody else does anything meanwhile: the daemon is on this
/// thread.
fn take_from_servers(yard: &Yard, port: &str, at: &str) -> Taken {
    for pid in servers(yard.folder.path()) {
        let server = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap();
        pidfd_send_signal(&server, Signal::KILL).unwrap();
        poll(&mut [PollFd::new(&server, PollFlags::IN)], None).unwrap();
    }
    Taken::take(port, at)
}
