//! A host in a namespace, with an outside: what the tests have networks on.

use crate::{
    guest::Guest,
    namespace::{Namespace, enter_new, run},
};
use innkeeper_model::{
    NetworkId, SubnetId, VmId,
    config::MacAddress,
    network::{Network, NetworkConfig, NetworkFacts, Plug, Subnet, SubnetConfig},
};
use innkeeper_network::{
    Desired, HostNetworks, LinuxNetworks, LinuxOptions, bridge_name, tap_name,
};
use std::{
    future::Future,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// The number of the daemon under test.
pub(crate) const INSTANCE: u32 = 7;

/// Runs a test on a host of its own. What the test starts and makes goes with it.
pub(crate) fn on_a_host<F: Future<Output = ()>>(test: impl FnOnce(Yard) -> F + Send + 'static) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: networks need root");
        return;
    }
    let outcome = thread::spawn(move || {
        enter_new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test(Yard::new()));
    });
    if let Err(panic) = outcome.join() {
        std::panic::resume_unwind(panic);
    }
}

/// A host.
pub(crate) struct Yard {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) desired: Desired,
}

impl Yard {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // As a daemon's folders are: everybody may pass through.
        let mode = std::fs::Permissions::from_mode(0o711);
        std::fs::set_permissions(folder.path(), mode).unwrap();
        Self { folder, desired: Desired::default() }
    }

    /// A daemon of this host.
    pub(crate) fn daemon(&self) -> LinuxNetworks {
        LinuxNetworks::open(LinuxOptions {
            instance: INSTANCE,
            runtime: self.folder.path().join("run"),
            state: self.folder.path().join("leases"),
        })
        .unwrap()
    }

    /// Asks for a network with these ranges.
    pub(crate) fn add_network(&mut self, config: NetworkConfig, ranges: &[&str]) -> NetworkId {
        let id = NetworkId::new();
        let subnet = |range: &&str| Subnet {
            id: SubnetId::new(),
            config: SubnetConfig::new(range.parse().unwrap()),
            reservations: Vec::new(),
        };
        let bridge = config.bridge.clone().unwrap_or_else(|| bridge_name(id));
        self.desired.networks.push(Arc::new(Network {
            id,
            revision: Default::default(),
            created: jiff::Timestamp::UNIX_EPOCH,
            updated: jiff::Timestamp::UNIX_EPOCH,
            config,
            bridge,
            subnets: ranges.iter().map(subnet).collect(),
            facts: NetworkFacts::default(),
        }));
        id
    }

    /// Asks for a NIC on a network; its number is the end of its hardware address.
    pub(crate) fn add_nic(&mut self, network: NetworkId, number: u8, addresses: &[&str]) -> Plug {
        let (vm, nic) = (VmId::new(), "net0".parse().unwrap());
        let plug = Plug {
            tap: tap_name(vm, &nic),
            vm,
            nic,
            network,
            mac: MacAddress::from_suffix([0, 0, number]),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            publish: Vec::new(),
            rate: Default::default(),
            mtu: None,
            hostname: format!("guest{number}"),
        };
        self.desired.nics.push(plug.clone());
        plug
    }

    pub(crate) fn network(&self, id: NetworkId) -> Arc<Network> {
        self.desired.networks.iter().find(|network| network.id == id).unwrap().clone()
    }

    /// Has a daemon make all that is asked for; it must succeed.
    pub(crate) async fn apply(&self, daemon: &LinuxNetworks) {
        let applied = daemon.apply(Arc::new(self.desired.clone())).await.unwrap();
        assert_eq!(applied.failed, [], "{}", self.words_of_servers());
    }

    /// Has a daemon plug in a guest.
    pub(crate) async fn guest(&self, daemon: &LinuxNetworks, plug: &Plug) -> Guest {
        let tap = daemon.open_tap(plug, &self.network(plug.network)).await.unwrap();
        Guest::new(plug.mac, tap)
    }

    fn words_of_servers(&self) -> String {
        let folders = std::fs::read_dir(self.folder.path().join("run")).unwrap().flatten();
        let logs = folders.flat_map(|folder| std::fs::read_to_string(folder.path().join("log")));
        logs.collect()
    }
}

impl Drop for Yard {
    /// Servers outlive daemons, but not the test.
    fn drop(&mut self) {
        for pid in servers(self.folder.path()) {
            let _ = rustix::process::kill_process(
                rustix::process::Pid::from_raw(pid).unwrap(),
                rustix::process::Signal::KILL,
            );
        }
    }
}

/// The servers whose configuration is in this folder.
pub(crate) fn servers(folder: &Path) -> Vec<i32> {
    let argument = format!("--conf-file={}", folder.display());
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| {
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            words.split(|byte| *byte == 0).any(|word| word.starts_with(argument.as_bytes()))
        })
        .collect()
}

/// An outside, reached by the host's `up0` (192.0.2.1), itself 192.0.2.9 and without a way back to guests.
pub(crate) fn outside() -> Namespace {
    let outside = Namespace::new();
    run(&format!("ip link add up0 type veth peer name eth0 netns {}", outside.tid));
    run("ip addr add 192.0.2.1/24 dev up0");
    run("ip -6 addr add 2001:db8::1/64 dev up0 nodad");
    run("ip link set up0 up");
    outside.run("ip addr add 192.0.2.9/24 dev eth0");
    outside.run("ip -6 addr add 2001:db8::9/64 dev eth0 nodad");
    outside.run("ip link set eth0 up");
    run("ip route add default via 192.0.2.9");
    outside
}

pub(crate) fn named(name: &str) -> NetworkConfig {
    NetworkConfig::new(name.parse().unwrap())
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}: not within 10 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
