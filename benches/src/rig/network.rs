//! A network of a row's own: a namespace in which its daemon, its guests and its peers are alone. Nothing
//! of this machine's own network is touched, and it vanishes with the last process in it. Needs root.

use crate::rig::cleanup::{Folder, Process};
use anyhow::{Context, ensure};
use innkeeper_model::config::MacAddress;
use rustix::{
    fs::{Mode, OFlags, open},
    thread::UnshareFlags,
};
use std::{
    fs, io,
    net::{Ipv4Addr, UdpSocket},
    os::fd::{AsRawFd, OwnedFd},
    process::{Command, Stdio},
    thread,
};

/// Puts an interface on a bridge (`linux/sockios.h`).
const SIOCBRADDIF: libc::c_ulong = 0x89a2;
/// How long the kernel waits for an answer before it asks again who has an address, in milliseconds. The
/// usual second would be most of what a ping of a guest that has just come up measures.
const ASKS_AGAIN_MS: &str = "10";

/// Does something on a thread in a namespace of its own; what that starts is in it, too.
///
/// # Errors
/// Only root can make one; or those of the work.
pub(crate) fn alone<T: Send>(work: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
    let entered = || {
        // SAFETY: of this thread only the network changes, on which nothing here depends yet.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
            .context("only root can measure networks, in a namespace of its own")?;
        ip("link set lo up")?;
        work()
    };
    thread::scope(|scope| {
        let worker = scope.spawn(entered);
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Runs `ip`, with these words.
pub(crate) fn ip(words: &str) -> anyhow::Result<()> {
    let mut command = Command::new("ip");
    let done = command.args(words.split(' ')).stdin(Stdio::null()).output().context("ip")?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "ip {words}: {}", said.trim());
    Ok(())
}

/// Has the kernel ask quickly who has an address behind this interface.
pub(crate) fn ask_quickly(interface: &str) -> anyhow::Result<()> {
    let path = format!("/proc/sys/net/ipv4/neigh/{interface}/retrans_time_ms");
    fs::write(&path, ASKS_AGAIN_MS).context(path)
}

/// A bridge and a dnsmasq, made by hand; the bridge goes with the namespace.
#[derive(Debug)]
pub(crate) struct Lan {
    _server: Process,
    _folder: Folder,
}

impl Lan {
    const BRIDGE: &str = "byhand";
    /// What its tap is called.
    pub(crate) const TAP: &str = "byhandtap";
    /// The host's address, of a /24.
    const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 88, 3, 1);
    /// The guest's.
    pub(crate) const GUEST: Ipv4Addr = Ipv4Addr::new(10, 88, 3, 10);

    /// Makes both, with an address kept for this guest.
    pub(crate) fn new(folder: Folder, guest: MacAddress) -> anyhow::Result<Self> {
        let (bridge, gateway) = (Self::BRIDGE, Self::GATEWAY);
        ip(&format!("link add {bridge} type bridge"))?;
        ip(&format!("address add {gateway}/24 dev {bridge}"))?;
        ip(&format!("link set {bridge} up"))?;
        ask_quickly(bridge)?;
        let mut command = Command::new("dnsmasq");
        // As Innkeeper's own is told (`network::dnsmasq`).
        command.args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--user=root",
            "--pid-file=",
        ]);
        command.args(["--bind-dynamic", "--except-interface=lo", "--no-hosts", "--no-resolv"]);
        command.args(["--no-ping", "--dhcp-authoritative", "--quiet-dhcp"]);
        command.arg(format!("--interface={bridge}"));
        command.arg("--dhcp-range=10.88.3.0,static,255.255.255.0,12h");
        command.arg(format!("--dhcp-host={guest},{}", Self::GUEST));
        command.arg(format!("--dhcp-leasefile={}", folder.path().join("leases").display()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { _server: Process::spawn(&mut command)?, _folder: folder })
    }

    /// Makes a tap on the bridge, as `ip` does.
    pub(crate) fn tap(&self) -> anyhow::Result<OwnedFd> {
        let (tap, bridge) = (Self::TAP, Self::BRIDGE);
        ip(&format!("tuntap add dev {tap} mode tap vnet_hdr"))?;
        ip(&format!("link set {tap} master {bridge} up"))?;
        open_tap(tap).with_context(|| format!("opening {tap}"))
    }

    /// Makes the same with the least that the kernel has to be asked, and leaves it to whoever opens it next.
    pub(crate) fn quick_tap(&self) -> anyhow::Result<()> {
        let tap = open_tap(Self::TAP).context("making a tap")?;
        // SAFETY: the descriptor is open, and this request's argument is a number.
        checked(unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETPERSIST, 1) })?;
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let mut bridge = named(Self::BRIDGE);
        // SAFETY: the name ends with a NUL.
        let index = unsafe { libc::if_nametoindex(named(Self::TAP).ifr_name.as_ptr()) };
        bridge.ifr_ifru.ifru_ifindex = index.cast_signed();
        // SAFETY: the descriptor is open, and the request lives for as long as the call.
        checked(unsafe { libc::ioctl(socket.as_raw_fd(), SIOCBRADDIF, &raw const bridge) })?;
        let mut up = named(Self::TAP);
        up.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
        // SAFETY: as above.
        checked(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const up) })?;
        Ok(())
    }

    /// Removes it.
    pub(crate) fn remove_tap(&self) -> anyhow::Result<()> {
        ip(&format!("link delete {}", Self::TAP))
    }
}

/// Opens a tap that is there.
fn open_tap(name: &str) -> io::Result<OwnedFd> {
    let tap =
        open("/dev/net/tun", OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?;
    let mut request = named(name);
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: the descriptor is open, and the request lives for as long as the call.
    checked(unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETIFF, &raw const request) })?;
    Ok(tap)
}

/// A request to the kernel about an interface.
fn named(name: &str) -> libc::ifreq {
    // SAFETY: zero is a valid value of each field.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays the NUL at its end.
    for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request
}

fn checked(returned: libc::c_int) -> io::Result<()> {
    if returned == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
