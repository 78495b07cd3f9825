//! A network of a daemon's own: a namespace in which it is alone with its guests, joined to another one
//! that is the outside to both. Nothing of this machine's own network is touched, and both vanish with
//! the processes in them. Needs root.

use super::{daemon::say, services::Services};
use rustix::{
    fd::{AsFd, AsRawFd, OwnedFd},
    thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space},
};
use std::{
    fs::File,
    net::{IpAddr, Ipv4Addr},
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::PathBuf,
    process::Command,
    thread,
};

/// The host's address on the way out.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// That of who is outside.
pub(crate) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

/// The two namespaces.
#[derive(Debug)]
pub(crate) struct PrivateNetwork {
    host: OwnedFd,
    outside: OwnedFd,
}

impl PrivateNetwork {
    /// Makes both, joins them, and gives them addresses.
    pub(crate) fn new() -> Self {
        let network = Self { host: new_namespace(), outside: new_namespace() };
        network.in_host(|| ip("link set lo up"));
        network.in_outside(|| ip("link set lo up"));
        let outside = format!("/proc/{}/fd/{}", std::process::id(), network.outside.as_raw_fd());
        network.in_host(|| {
            ip("link add uplink type veth peer name far");
            ip(&format!("link set far netns {outside}"));
            ip(&format!("address add {HOST}/24 dev uplink"));
            ip("link set uplink up");
            ip(&format!("route add default via {OUTSIDE}"));
        });
        network.in_outside(|| {
            ip(&format!("address add {OUTSIDE}/24 dev far"));
            ip("link set far up");
        });
        network
    }

    /// Does something where the daemon is.
    pub(crate) fn in_host<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        inside(&self.host, work)
    }

    /// Does something outside.
    pub(crate) fn in_outside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        inside(&self.outside, work)
    }

    /// Has a command run where the daemon is.
    pub(crate) fn enter(&self, command: &mut Command) {
        let host = self.host.try_clone().unwrap();
        // SAFETY: one system call, on a descriptor that the closure owns.
        unsafe {
            command.pre_exec(move || {
                Ok(move_into_link_name_space(host.as_fd(), Some(LinkNameSpaceType::Network))?)
            });
        }
    }

    /// Services of the host itself, on an address of its.
    pub(crate) fn of_host(&self, address: impl Into<IpAddr> + Send) -> Services {
        self.in_host(|| Services::offer(address))
    }

    /// Services of who is outside.
    pub(crate) fn of_outside(&self) -> Services {
        self.in_outside(|| Services::offer(OUTSIDE))
    }

    /// All that a daemon could have changed here: interfaces, rules, and what the kernel was told.
    pub(crate) fn state(&self) -> String {
        self.in_host(|| {
            let links = output("ip", &["-o", "link"]);
            // What others see of an interface changes by itself; its name and its kind do not.
            let names = links.lines().filter_map(|line| line.split(": ").nth(1).map(str::to_owned));
            let forwards = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
            let addresses = output("ip", &["-o", "-4", "address"]);
            // Those of the link come by themselves.
            let addresses6 = output("ip", &["-o", "-6", "address", "show", "scope", "global"]);
            format!(
                "{:?}\n{addresses}{addresses6}{}\n{}\n{}{}",
                names.collect::<Vec<_>>(),
                output("ip", &["-4", "route", "show", "table", "all"]),
                output("nft", &["list", "ruleset"]),
                forwards("/proc/sys/net/ipv4/ip_forward"),
                forwards("/proc/sys/net/ipv6/conf/all/forwarding"),
            )
        })
    }

    /// The processes that are there, by what they were started as.
    pub(crate) fn processes(&self) -> Vec<String> {
        let here = rustix::fs::fstat(&self.host).unwrap().st_ino;
        let entries = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        let is_here = |process: &PathBuf| {
            std::fs::metadata(process.join("ns/net")).is_ok_and(|network| network.ino() == here)
        };
        let command = |process: PathBuf| {
            let words = std::fs::read(process.join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&words).replace('\0', " ")
        };
        entries.filter(is_here).map(command).collect()
    }

    /// Runs a program where the daemon is, and returns what it wrote.
    pub(crate) fn output(&self, program: &str, arguments: &[&str]) -> String {
        self.in_host(|| output(program, arguments))
    }
}

fn new_namespace() -> OwnedFd {
    let make = || {
        // SAFETY: a namespace of its own for this thread, which shares no descriptors by number with
        // code that expects another network.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
        OwnedFd::from(File::open("/proc/thread-self/ns/net").unwrap())
    };
    thread::spawn(make).join().expect("root can make a network namespace")
}

fn inside<T: Send>(namespace: &OwnedFd, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let entered = scope.spawn(|| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        });
        entered.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn ip(arguments: &str) {
    output("ip", &arguments.split(' ').collect::<Vec<_>>());
}

#[track_caller]
fn output(program: &str, arguments: &[&str]) -> String {
    let outcome = Command::new(program).args(arguments).output().unwrap();
    if !outcome.status.success() {
        say(&String::from_utf8_lossy(&outcome.stderr));
        panic!("{program} {}: {}", arguments.join(" "), outcome.status);
    }
    String::from_utf8_lossy(&outcome.stdout).into_owned()
}
