//! Taps in a network namespace of the test's own, which goes with it. Needs root.

use async_trait::async_trait;
use innkeeper_driver::Taps;
use innkeeper_model::{
    Code, InterfaceName, NetworkId, Refusal, VmId, config::MacAddress, network::Plug,
};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};
use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::Mutex,
    thread,
};
use tokio_util::sync::CancellationToken;

/// The taps.
#[derive(Debug)]
pub(crate) struct OwnTaps {
    network: OwnedFd,
    /// The networks that a tap was plugged into, in their order.
    replugged: Mutex<Vec<NetworkId>>,
    /// Cancelled as soon as one is plugged in, which then never ends.
    cut_short: Mutex<Option<CancellationToken>>,
}

impl OwnTaps {
    /// `None`, having said so, where the test has no root.
    #[expect(clippy::print_stderr, reason = "a test that is left out says why")]
    pub(crate) fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: taps need root");
            return None;
        }
        let make = || {
            // SAFETY: a network namespace is of the thread, and takes nothing of the process's away.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
            File::open("/proc/thread-self/ns/net").unwrap().into()
        };
        let network = thread::spawn(make).join().unwrap();
        Some(Self { network, replugged: Mutex::default(), cut_short: Mutex::default() })
    }

    pub(crate) fn replugged(&self) -> Vec<NetworkId> {
        self.replugged.lock().unwrap().clone()
    }

    /// Has whoever plugs a tap into another network be cancelled when that is done, once.
    pub(crate) fn cut_short(&self) -> CancellationToken {
        let token = CancellationToken::new();
        *self.cut_short.lock().unwrap() = Some(token.clone());
        token
    }

    /// Makes a tap, and opens it.
    ///
    /// # Errors
    /// Somebody has it open.
    pub(crate) fn make(&self, plug: &Plug) -> io::Result<OwnedFd> {
        thread::scope(|scope| {
            let made = scope.spawn(|| {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(self.network.as_fd(), kind)?;
                open(plug.tap.as_str())
            });
            made.join().unwrap()
        })
    }
}

/// A tap of this name in the namespace of the calling thread, which is not to be there.
fn open(name: &str) -> io::Result<OwnedFd> {
    let tap = File::options().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: zero is a valid value of each field.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR | libc::IFF_TUN_EXCL;
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: the descriptor is open, and the request lives for as long as the call.
    match unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETIFF, &raw const request) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(tap.into()),
    }
}

#[async_trait]
impl Taps for OwnTaps {
    async fn open(&self, plug: &Plug) -> Result<OwnedFd, Refusal> {
        self.make(plug).map_err(|error| match error.kind() {
            io::ErrorKind::ResourceBusy => Refusal::new(Code::InUse, "the tap is open already"),
            _ => error.into(),
        })
    }

    async fn replug(&self, plug: &Plug) -> Result<(), Refusal> {
        self.replugged.lock().unwrap().push(plug.network);
        let cut_short = self.cut_short.lock().unwrap().take();
        if let Some(token) = cut_short {
            token.cancel();
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn set_link(&self, _: &InterfaceName, _: bool) -> Result<(), Refusal> {
        Ok(())
    }
}

/// What a NIC of this name is connected by.
pub(crate) fn plug(vm: VmId, nic: &str, mac: MacAddress) -> Plug {
    Plug {
        tap: "innt-test".parse().unwrap(),
        vm,
        nic: nic.parse().unwrap(),
        network: NetworkId::new(),
        mac,
        addresses: Vec::new(),
        publish: Vec::new(),
        rate: Default::default(),
        mtu: None,
        hostname: "guest".into(),
    }
}
