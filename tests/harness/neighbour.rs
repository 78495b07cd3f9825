//! Another machine on the network, as far as a guest can tell: a network namespace at the other end
//! of a pair of interfaces. It vanishes with its thread, also where a test is killed. Needs root.

use rustix::thread::UnshareFlags;
use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr, TcpListener},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
        mpsc::channel,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// A server that greets whoever connects, and counts them.
#[derive(Debug)]
pub(crate) struct Greeter {
    pub(crate) port: u16,
    visits: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What a greeter says.
pub(crate) const GREETING: &str = "WELCOME-TO-THE-OUTSIDE";

impl Greeter {
    /// Listens in the calling thread's network namespace.
    pub(crate) fn listen(address: impl Into<IpAddr>) -> Self {
        let listener = TcpListener::bind((address.into(), 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (visits, stop) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (counted, stopped) = (visits.clone(), stop.clone());
        let greet = move || {
            while !stopped.load(Ordering::Relaxed) {
                let Ok((mut visitor, _)) = listener.accept() else {
                    thread::sleep(Duration::from_millis(10));
                    continue;
                };
                counted.fetch_add(1, Ordering::Relaxed);
                let _visitor_has_left = writeln!(visitor, "{GREETING}");
            }
        };
        Self { port, visits, stop, thread: Some(thread::spawn(greet)) }
    }

    /// How many have connected.
    pub(crate) fn visits(&self) -> usize {
        self.visits.load(Ordering::Relaxed)
    }
}

impl Drop for Greeter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _panicked = self.thread.take().map(JoinHandle::join);
    }
}

/// A neighbour of this host.
#[derive(Debug)]
pub(crate) struct Neighbour {
    /// The host's address on the network that they share.
    pub(crate) host_address: Ipv4Addr,
    /// The neighbour's.
    pub(crate) address: Ipv4Addr,
    /// A server on the neighbour.
    pub(crate) greeter: Greeter,
}

impl Neighbour {
    pub(crate) fn new() -> Self {
        // A network of its own for each neighbour on this host.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = (std::process::id() * 4 + COUNT.fetch_add(1, Ordering::Relaxed)) % (1 << 14);
        let address =
            |last| Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 213, 0, last)) + number * 4);
        let (host_address, address) = (address(1), address(2));
        let (host_end, far_end) = (format!("inn-h{number}"), format!("inn-n{number}"));

        let (greeter_to, greeter) = channel();
        let (here, there) = (host_end.clone(), far_end.clone());
        let enter = move || {
            // SAFETY: a namespace of its own for this thread, which shares no descriptors by number
            // with code that expects another network.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
            // Made from here, with the other end sent to the namespace that the process began in.
            ip(&["link", "add", &there, "type", "veth", "peer", "name", &here]);
            ip(&["link", "set", &here, "netns", &std::process::id().to_string()]);
            ip(&["address", "add", &format!("{address}/30"), "dev", &there]);
            ip(&["link", "set", &there, "up"]);
            greeter_to.send(Greeter::listen(address)).unwrap();
        };
        thread::spawn(enter).join().expect("root can make a network namespace");
        ip(&["address", "add", &format!("{host_address}/30"), "dev", &host_end]);
        ip(&["link", "set", &host_end, "up"]);
        Self { host_address, address, greeter: greeter.recv().unwrap() }
    }
}

fn ip(arguments: &[&str]) {
    let outcome = Command::new("ip").args(arguments).output().expect("iproute2 is installed");
    let words = String::from_utf8_lossy(&outcome.stderr);
    assert!(outcome.status.success(), "ip {}: {words}", arguments.join(" "));
}
