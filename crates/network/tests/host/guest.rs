//! A guest: a namespace whose `eth0` is at the other end of a tap's descriptor, as a hypervisor's device
//! would be.

use crate::namespace::Namespace;
use innkeeper_model::config::MacAddress;
use rustix::event::{PollFd, PollFlags, poll};
use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddrV6, UdpSocket},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    thread,
    time::Duration,
};

pub(crate) struct Guest {
    pub(crate) inside: Namespace,
    /// Closed, it pulls the plug.
    unplug: Option<OwnedFd>,
    pump: Option<thread::JoinHandle<()>>,
}

impl Guest {
    /// A guest with this hardware address behind this tap.
    pub(crate) fn new(mac: MacAddress, tap: OwnedFd) -> Self {
        let inside = Namespace::new();
        let card = inside.call(|| open_tap("eth0"));
        inside.run(&format!("ip link set eth0 address {mac}"));
        inside.run("ip link set eth0 up");
        let (stop, unplug) = rustix::pipe::pipe().unwrap();
        let pump = thread::spawn(move || pump(&File::from(tap), &File::from(card), &stop));
        Self { inside, unplug: Some(unplug), pump: Some(pump) }
    }

    /// Gives it an address by hand, as a guest that asks nobody does.
    pub(crate) fn take(&self, address: &str, router: &str) {
        self.inside.run("ip addr flush dev eth0 scope global");
        self.inside.run(&format!("ip addr add {address} dev eth0 nodad"));
        self.inside.run(&format!("ip route replace default via {router}"));
    }

    /// Asks for an address by DHCP: the address, its router and its name servers, or `None` if nobody
    /// answers.
    pub(crate) fn dhcp(&self) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let (script, said) = (folder.path().join("script"), folder.path().join("said"));
        let text = format!(
            "#!/bin/sh\n[ \"$1\" = bound ] || exit 0\nip addr add $ip/$mask dev $interface\n\
             ip route replace default via $router\necho -n $ip $router $dns > {}\n",
            said.display()
        );
        fs::write(&script, text).unwrap();
        self.inside.run(&format!("chmod +x {}", script.display()));
        let command = format!("busybox udhcpc -i eth0 -n -q -f -t 3 -T 1 -s {}", script.display());
        self.inside.succeeds(&command).then(|| fs::read_to_string(said).unwrap())
    }

    /// Says this to DHCP servers in the name of a hardware address, whosever it is (RFC 2131, section 2): the
    /// address in the answer, or `None` if nobody answers.
    pub(crate) fn says_by_dhcp(
        &self,
        kind: u8,
        name: MacAddress,
        address: Ipv4Addr,
    ) -> Option<Ipv4Addr> {
        self.inside.run("ip route replace 255.255.255.255/32 dev eth0");
        let mac = name.octets();
        self.inside.call(move || {
            let socket = UdpSocket::bind("0.0.0.0:68").ok()?;
            socket.set_broadcast(true).ok()?;
            socket.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
            // A request of Ethernet's, whose answer is to be a broadcast.
            let mut message =
                [&[1, 1, 6, 0, 7, 7, 7, 7, 0, 0, 0x80, 0][..], &[0; 16], &mac].concat();
            message.resize(236, 0);
            let server = [10, 87, 0, 1];
            let cookie = [99, 130, 83, 99];
            let options = [&[53, 1, kind, 50, 4][..], &address.octets(), &[54, 4], &server, &[255]];
            let message = [&message[..], &cookie, &options.concat()].concat();
            socket.send_to(&message, "255.255.255.255:67").ok()?;
            let mut reply = [0; 1500];
            let length = socket.recv(&mut reply).ok()?;
            Some(Ipv4Addr::from(<[u8; 4]>::try_from(reply[..length].get(16..20)?).ok()?))
        })
    }

    /// Asks for an address by DHCPv6, in one exchange: what it is given.
    pub(crate) fn dhcp_v6(&self, mac: MacAddress) -> Option<Ipv6Addr> {
        self.says_by_dhcp_v6(&Dhcp6::asking(mac)).and_then(|answer| answer.address)
    }

    /// Says this to DHCPv6 servers: the answer, or `None` if none comes.
    pub(crate) fn says_by_dhcp_v6(&self, said: &Dhcp6) -> Option<Answer6> {
        let (from, message) = (said.from, said.message());
        self.inside.call(move || {
            let from = SocketAddrV6::new(from, 546, 0, card_index());
            let socket = UdpSocket::bind(from).ok()?;
            socket.set_read_timeout(Some(Duration::from_secs(3))).ok()?;
            let servers = SocketAddrV6::new("ff02::1:2".parse().ok()?, 547, 0, card_index());
            socket.send_to(&message, servers).ok()?;
            let mut answer = [0; 1500];
            let length = socket.recv(&mut answer).ok()?;
            Answer6::read(&answer[..length])
        })
    }

    /// What it hears of others that ask DHCPv6 servers.
    pub(crate) fn ear_for_dhcp_v6(&self) -> UdpSocket {
        self.inside.call(|| {
            let socket = UdpSocket::bind("[::]:547").unwrap();
            socket.join_multicast_v6(&"ff02::1:2".parse().unwrap(), card_index()).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        })
    }

    /// Its end of the cable, to send and to hear any frame by.
    pub(crate) fn wire(&self) -> OwnedFd {
        self.inside.call(open_wire)
    }

    /// Whether another answers.
    pub(crate) fn pings(&self, address: &str) -> bool {
        self.inside.succeeds(&format!("busybox ping -c 1 -W 1 {address}"))
    }

    /// Whether a TCP connection comes about, and what was read from it.
    pub(crate) fn connects(&self, address: &str) -> Option<String> {
        let address = address.to_owned();
        self.inside.call(move || connect(&address))
    }

    /// Serves this text to whoever connects to a port, for as long as the test runs.
    pub(crate) fn serve(&self, port: u16, text: &'static str) {
        self.inside.call(move || serve(&format!("[::]:{port}"), text));
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.unplug = None;
        self.pump.take().unwrap().join().unwrap();
    }
}

/// What a guest says to DHCPv6 servers (RFC 8415), whosever words it is.
pub(crate) struct Dhcp6 {
    kind: u8,
    /// Whose identifier it has.
    name: MacAddress,
    /// The address that it comes from; any, as long as it is unspecified.
    from: Ipv6Addr,
    server: Vec<u8>,
    address: Option<Ipv6Addr>,
}

impl Dhcp6 {
    pub(crate) const DECLINE: u8 = 9;
    pub(crate) const RELEASE: u8 = 8;
    const SOLICIT: u8 = 1;

    /// Asks for an address, and takes it at once.
    pub(crate) const fn asking(name: MacAddress) -> Self {
        let from = Ipv6Addr::UNSPECIFIED;
        Self { kind: Self::SOLICIT, name, from, server: Vec::new(), address: None }
    }

    /// Says something of an address to the server that gave it.
    pub(crate) fn about(kind: u8, name: MacAddress, address: Ipv6Addr, server: &[u8]) -> Self {
        let server = server.to_vec();
        Self { kind, server, address: Some(address), ..Self::asking(name) }
    }

    /// The same, from this address.
    pub(crate) const fn from(mut self, from: Ipv6Addr) -> Self {
        self.from = from;
        self
    }

    fn message(&self) -> Vec<u8> {
        let client = [&[0, 3, 0, 1], &self.name.octets()[..]].concat();
        // Preferred and valid for as long as the server likes.
        let address = self.address.map(|address| [&address.octets()[..], &[0; 8]].concat());
        let address = address.map(|address| option(5, &address)).unwrap_or_default();
        let association = [&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], &address[..]].concat();
        let mut options = vec![option(1, &client), option(3, &association)];
        if self.server.is_empty() {
            // At once.
            options.push(option(14, &[]));
        } else {
            options.push(option(2, &self.server));
        }
        [&[self.kind, 7, 7, 7], &options.concat()[..]].concat()
    }
}

/// What a DHCPv6 server answered.
#[derive(Debug)]
pub(crate) struct Answer6 {
    /// What it gave.
    pub(crate) address: Option<Ipv6Addr>,
    /// Its identifier.
    pub(crate) server: Vec<u8>,
}

impl Answer6 {
    fn read(message: &[u8]) -> Option<Self> {
        let options = message.get(4..)?;
        let server = find_option(options, 2)?.to_vec();
        let association = find_option(options, 3).and_then(|association| association.get(12..));
        let address = association.and_then(|inside| find_option(inside, 5)?.first_chunk::<16>());
        Some(Self { address: address.map(|address| Ipv6Addr::from(*address)), server })
    }
}

fn option(code: u16, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    [&code.to_be_bytes()[..], &length.to_be_bytes(), content].concat()
}

fn find_option(mut options: &[u8], code: u16) -> Option<&[u8]> {
    while let [a, b, c, d, rest @ ..] = options {
        let length = u16::from_be_bytes([*c, *d]).into();
        let content = rest.get(..length)?;
        if u16::from_be_bytes([*a, *b]) == code {
            return Some(content);
        }
        options = &rest[length..];
    }
    None
}

/// The number of `eth0` in the namespace of the calling thread.
fn card_index() -> u32 {
    let links = std::process::Command::new("ip").args(["-o", "link", "show", "eth0"]).output();
    let said = String::from_utf8(links.unwrap().stdout).unwrap();
    said.split(':').next().unwrap().parse().unwrap()
}

/// Reads what a server says, if it is there.
pub(crate) fn connect(address: &str) -> Option<String> {
    use std::{net::TcpStream, time::Duration};
    let mut stream =
        TcpStream::connect_timeout(&address.parse().unwrap(), Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

/// Says this, and to whom, to whoever connects.
pub(crate) fn serve(address: &str, text: &'static str) {
    let listener = std::net::TcpListener::bind(address).unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let peer = stream.peer_addr().unwrap().ip().to_canonical();
            let _ = write!(stream, "{text} to {peer}");
        }
    });
}

/// Carries frames both ways until it is told to stop.
fn pump(tap: &File, card: &File, stop: &OwnedFd) {
    let mut frame = vec![0; 70_000];
    loop {
        let mut polled = [
            PollFd::new(tap, PollFlags::IN),
            PollFd::new(card, PollFlags::IN),
            PollFd::new(stop, PollFlags::IN),
        ];
        poll(&mut polled, None).unwrap();
        if !polled[2].revents().is_empty() {
            return;
        }
        for (mut from, mut to) in [(tap, card), (card, tap)] {
            while let Ok(length) = from.read(&mut frame) {
                // What the other end does not take, as when it is off, is lost as on any cable.
                let _ = to.write(&frame[..length]);
            }
        }
    }
}

/// All that comes to `eth0` and goes from it, in the namespace of the calling thread.
fn open_wire() -> OwnedFd {
    let all = (libc::ETH_P_ALL as u16).to_be();
    // SAFETY: a system call on numbers.
    let wire =
        unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, all.into()) };
    assert!(wire >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: it was just opened, and nobody else has it.
    let wire = unsafe { OwnedFd::from_raw_fd(wire) };
    // SAFETY: zero is a valid value of each field.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = all;
    address.sll_ifindex = card_index().cast_signed();
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the descriptor is open, and the address is as long as is said.
    let outcome = unsafe { libc::bind(wire.as_raw_fd(), (&raw const address).cast(), length) };
    assert_eq!(outcome, 0, "{}", std::io::Error::last_os_error());
    wire
}

/// The guest's own end, in the namespace of the calling thread.
fn open_tap(name: &str) -> OwnedFd {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = File::options();
    options.read(true).write(true).custom_flags(libc::O_NONBLOCK);
    let tap = options.open("/dev/net/tun").unwrap();
    // SAFETY: zero is a valid value of each field.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: the descriptor is open, and the request lives for as long as the call.
    let outcome = unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETIFF, &raw const request) };
    assert_eq!(outcome, 0, "{}", std::io::Error::last_os_error());
    tap.into()
}
