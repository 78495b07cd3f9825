//! What a guest may try to reach: a server of TCP and a mailbox of UDP.

use super::wait::{SHORT, until};
use rustix::event::{PollFd, PollFlags, poll};
use std::{
    io::{ErrorKind, Write},
    net::{IpAddr, TcpListener, TcpStream, UdpSocket},
    os::unix::net::UnixStream,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

/// Whether this host speaks IPv6 at all.
pub(crate) fn has_ipv6() -> bool {
    Path::new("/proc/net/if_inet6").exists()
}

/// One of each, under one address.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) address: IpAddr,
    pub(crate) greeter: Greeter,
    pub(crate) mailbox: Mailbox,
}

impl Services {
    /// Offered in the calling thread's network namespace.
    pub(crate) fn offer(address: impl Into<IpAddr>) -> Self {
        let address = address.into();
        Self { address, greeter: Greeter::listen(address), mailbox: Mailbox::open(address) }
    }

    /// Offered, and found to be reached from here.
    #[track_caller]
    pub(crate) fn tried(address: impl Into<IpAddr>) -> Self {
        let services = Self::offer(address);
        TcpStream::connect((services.address, services.greeter.port)).unwrap();
        let sender = UdpSocket::bind((services.address, 0)).unwrap();
        sender.send_to(b"from the host", (services.address, services.mailbox.port)).unwrap();
        until("the host's own visit and letter", SHORT, || match services.reached() {
            (1, 1) => Ok(()),
            reached => Err(format!("{reached:?}")),
        });
        services
    }

    /// How many have connected, and how many letters have come.
    pub(crate) fn reached(&self) -> (usize, usize) {
        (self.greeter.visits(), self.mailbox.letters())
    }
}

/// A server that greets whoever connects, and counts them.
#[derive(Debug)]
pub(crate) struct Greeter {
    pub(crate) port: u16,
    visits: Arc<AtomicUsize>,
    /// Closing it ends the thread.
    open: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

/// What a greeter says.
pub(crate) const GREETING: &str = "WELCOME-TO-THE-OUTSIDE";

impl Greeter {
    fn listen(address: IpAddr) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let visits = Arc::<AtomicUsize>::default();
        let (open, closed) = UnixStream::pair().unwrap();
        let counted = visits.clone();
        let greet = move || {
            loop {
                let mut ready =
                    [PollFd::new(&listener, PollFlags::IN), PollFd::new(&closed, PollFlags::IN)];
                poll(&mut ready, None).unwrap();
                if !ready[1].revents().is_empty() {
                    return;
                }
                // One who has left again is not there to be greeted.
                let Ok((mut visitor, _)) = listener.accept() else { continue };
                counted.fetch_add(1, Ordering::Relaxed);
                let _visitor_has_left = writeln!(visitor, "{GREETING}");
            }
        };
        Self { port, visits, open: Some(open), thread: Some(thread::spawn(greet)) }
    }

    /// How many have connected.
    pub(crate) fn visits(&self) -> usize {
        self.visits.load(Ordering::Relaxed)
    }
}

impl Drop for Greeter {
    fn drop(&mut self) {
        drop(self.open.take());
        let _panicked = self.thread.take().map(JoinHandle::join);
    }
}

/// A socket of UDP that counts what comes.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(crate) port: u16,
    socket: UdpSocket,
    letters: AtomicUsize,
}

impl Mailbox {
    fn open(address: IpAddr) -> Self {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let port = socket.local_addr().unwrap().port();
        Self { port, socket, letters: AtomicUsize::default() }
    }

    /// How many have come.
    pub(crate) fn letters(&self) -> usize {
        loop {
            match self.socket.recv(&mut [0; 16]) {
                Ok(_) => self.letters.fetch_add(1, Ordering::Relaxed),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return self.letters.load(Ordering::Relaxed);
                }
                Err(error) => panic!("a mailbox: {error}"),
            };
        }
    }
}
