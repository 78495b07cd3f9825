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
        let mac: Vec<u8> =
            name.to_string().split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
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

    /// Asks for an address by DHCPv6, in one exchange (RFC 8415, section 18.2.1): what it is given.
    pub(crate) fn dhcp_v6(&self, mac: MacAddress) -> Option<Ipv6Addr> {
        let mac: Vec<u8> =
            mac.to_string().split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        self.inside.call(move || {
            let socket = UdpSocket::bind("[::]:546").ok()?;
            socket.set_read_timeout(Some(Duration::from_secs(3))).ok()?;
            let client = [&[0, 1, 0, 10, 0, 3, 0, 1], &mac[..]].concat();
            let association = [0, 3, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
            let at_once = [0, 14, 0, 0];
            let solicit = [&[1, 7, 7, 7], &client[..], &association, &at_once].concat();
            let servers = SocketAddrV6::new("ff02::1:2".parse().ok()?, 547, 0, card_index());
            socket.send_to(&solicit, servers).ok()?;
            let mut reply = [0; 1500];
            let length = socket.recv(&mut reply).ok()?;
            // The option of an address, of 24 bytes, which begins with it.
            let at = reply[..length].windows(4).position(|bytes| bytes == [0, 5, 0, 24])? + 4;
            Some(Ipv6Addr::from(<[u8; 16]>::try_from(&reply[at..at + 16]).ok()?))
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
