//! dnsmasq killed at every step of an apply: the next apply leaves one for each network, and the leases.

use crate::yard::{Yard, named, on_a_host, servers, until};
use innkeeper_model::{NetworkId, config::MacAddress, network::DhcpState};
use innkeeper_network::{HostNetworks, LinuxNetworks};
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use std::{
    collections::BTreeSet,
    fs,
    net::IpAddr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// When servers are killed. Whatever has not come by the end of the apply is then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Before anything is done.
    Begun,
    /// A list of theirs is written.
    Listed,
    /// A configuration is written.
    Configured,
    /// There is one more of them.
    Started,
    /// That one has its sockets.
    Serving,
    /// So much later than the apply was begun.
    After(Duration),
}

/// What is changed, by how dnsmasq is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// It reads its lists again.
    Nic,
    /// It is started again, with another configuration.
    Mtu,
    /// It is started again, after a lease was removed.
    Owner,
    /// There is another one.
    Network,
}

const CHANGES: [Change; 4] = [Change::Nic, Change::Mtu, Change::Owner, Change::Network];

#[test]
fn a_server_and_all_leases_are_there_wherever_in_an_apply_servers_were_killed() {
    on_a_host(async |mut yard| {
        let lan = yard.add_network(named("lan"), &["10.87.0.0/24"]);
        let plugs = [("10.87.0.50", 1), ("10.87.0.60", 2), ("10.87.0.61", 3)]
            .map(|(address, number)| yard.add_nic(lan, number, &[address]));
        let daemon = yard.daemon();
        yard.apply(&daemon).await;
        let mut guests = Vec::new();
        for plug in &plugs {
            guests.push(yard.guest(&daemon, plug).await);
        }
        for guest in &guests {
            assert!(guest.dhcp().is_some());
        }
        until("the leases are known", || leases(&daemon, lan).len() == 3).await;

        let moments = [Moment::Begun, Moment::Listed, Moment::Configured, Moment::Started];
        let after = [1, 2, 4, 8, 16, 32].map(|ms| Moment::After(Duration::from_millis(ms)));
        let moments = moments.into_iter().chain([Moment::Serving]).chain(after);
        let mut met = Vec::new();
        for (round, moment) in (0..).zip(moments) {
            for change in CHANGES {
                let before = leases(&daemon, lan);
                let what = format!("{change:?}, killed at {moment:?}");
                change.make(&mut yard, lan, round);
                if apply_and_kill(&yard, &daemon, moment).await {
                    met.push((moment, change));
                }
                yard.apply(&daemon).await;
                let count = yard.desired.networks.len();
                assert_eq!(servers(yard.folder.path()).len(), count, "{what}");
                assert_eq!(daemon.facts(lan).dhcp, Some(DhcpState::Running), "{what}");
                if change == Change::Owner {
                    // Nobody has what passed to another, until that one asks.
                    let [_, one, other] = &yard.desired.nics[..3] else { panic!("three guests") };
                    assert!(!leases(&daemon, lan).contains(&(one.addresses[0], one.mac)), "{what}");
                    assert!(!leases(&daemon, lan).contains(&(other.addresses[0], other.mac)));
                    for (guest, plug) in [(&guests[1], one), (&guests[2], other)] {
                        guest.inside.run("ip addr flush dev eth0 scope global");
                        let given = guest.dhcp().unwrap_or_default();
                        assert!(
                            given.starts_with(&plug.addresses[0].to_string()),
                            "{what}: {given}"
                        );
                    }
                    until("the leases are known", || leases(&daemon, lan).len() == 3).await;
                } else {
                    assert_eq!(leases(&daemon, lan), before, "{what}");
                }
                if change == Change::Network {
                    let network = yard.desired.networks.pop().unwrap();
                    daemon.release(&network).await.unwrap();
                    assert_eq!(servers(yard.folder.path()).len(), count - 1, "{what}");
                }
            }
        }
        for change in [Change::Mtu, Change::Network] {
            for moment in [Moment::Configured, Moment::Started, Moment::Serving] {
                assert!(met.contains(&(moment, change)), "{moment:?} of {change:?} was not met");
            }
        }
        assert!(met.contains(&(Moment::Listed, Change::Nic)));
        guests[0].inside.run("ip addr flush dev eth0 scope global");
        assert!(guests[0].dhcp().unwrap().starts_with("10.87.0.50 "));
        assert_eq!(daemon.survey().await.unwrap(), []);
    });
}

impl Change {
    fn make(self, yard: &mut Yard, lan: NetworkId, round: u8) {
        match self {
            Self::Nic => {
                let address = format!("10.87.0.{}", 100 + round);
                yard.add_nic(lan, 100 + round, &[&address]);
            }
            Self::Mtu => {
                Arc::make_mut(&mut yard.desired.networks[0]).config.mtu =
                    Some(1400 + u16::from(round));
            }
            Self::Owner => {
                let [_, one, other, ..] = &mut yard.desired.nics[..] else {
                    panic!("there are three guests")
                };
                std::mem::swap(&mut one.addresses, &mut other.addresses);
            }
            Self::Network => {
                let range = format!("10.{}.0.0/24", 100 + round);
                yard.add_network(named("more"), &[&range]);
            }
        }
    }
}

/// Has a daemon make what is asked for, and kills all servers in the midst of it; whether the moment came.
async fn apply_and_kill(yard: &Yard, daemon: &LinuxNetworks, moment: Moment) -> bool {
    let is_over = Arc::new(AtomicBool::new(false));
    let killer = Killer {
        folder: yard.folder.path().to_owned(),
        before: Traces::of(yard.folder.path()),
        begun: Instant::now(),
        is_over: is_over.clone(),
    };
    if moment == Moment::Begun {
        return killer.kill();
    }
    let killer = thread::spawn(move || killer.kill_at(moment));
    // It may name networks that it could not have answered.
    daemon.apply(Arc::new(yard.desired.clone())).await.unwrap();
    is_over.store(true, Ordering::Release);
    killer.join().unwrap()
}

struct Killer {
    folder: PathBuf,
    before: Traces,
    begun: Instant,
    is_over: Arc<AtomicBool>,
}

impl Killer {
    fn kill_at(&self, moment: Moment) -> bool {
        loop {
            let is_over = self.is_over.load(Ordering::Acquire);
            let has_come = self.has_come(moment);
            if has_come || is_over {
                self.kill();
                return has_come;
            }
            thread::yield_now();
        }
    }

    fn has_come(&self, moment: Moment) -> bool {
        let is_written =
            |name, before: &BTreeSet<_>| !written(&self.folder, name).is_subset(before);
        match moment {
            Moment::Begun => true,
            Moment::Listed => is_written("reservations", &self.before.lists),
            Moment::Configured => is_written("dnsmasq.conf", &self.before.configurations),
            Moment::Started => {
                servers(&self.folder).iter().any(|pid| !self.before.servers.contains(pid))
            }
            Moment::Serving => is_written("pid", &self.before.pids),
            Moment::After(wait) => self.begun.elapsed() >= wait,
        }
    }

    /// Kills all servers there are, and waits until they have ended; whether there were any.
    fn kill(&self) -> bool {
        let open = |pid| pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).ok();
        let servers: Vec<_> = servers(&self.folder).into_iter().filter_map(open).collect();
        for server in &servers {
            // It may have been ended by the daemon.
            let _ = pidfd_send_signal(server, Signal::KILL);
            poll(&mut [PollFd::new(server, PollFlags::IN)], None).unwrap();
        }
        !servers.is_empty()
    }
}

/// What there was of servers.
struct Traces {
    servers: Vec<i32>,
    lists: BTreeSet<Written>,
    configurations: BTreeSet<Written>,
    pids: BTreeSet<Written>,
}

/// A file, and what differs once it was written again.
type Written = (PathBuf, u64, i64, i64);

impl Traces {
    fn of(folder: &Path) -> Self {
        Self {
            servers: servers(folder),
            lists: written(folder, "reservations"),
            configurations: written(folder, "dnsmasq.conf"),
            pids: written(folder, "pid"),
        }
    }
}

/// The files of this name that have something in them, of all networks.
fn written(folder: &Path, name: &str) -> BTreeSet<Written> {
    let networks = fs::read_dir(folder.join("run")).unwrap().flatten();
    let written = |path: PathBuf| {
        let file = path.metadata().ok().filter(|file| file.len() > 0)?;
        Some((path, file.ino(), file.mtime(), file.mtime_nsec()))
    };
    networks.filter_map(|network| written(network.path().join(name))).collect()
}

/// Who has which address leased.
fn leases(daemon: &LinuxNetworks, network: NetworkId) -> BTreeSet<(IpAddr, MacAddress)> {
    let leases = daemon.facts(network).leases;
    leases.into_iter().map(|lease| (lease.address, lease.mac.unwrap())).collect()
}
