//! Taps: the host's end of a guest's cable.

use rustix::fs::{Mode, OFlags, open};
use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

/// Makes a tap of this name and opens it. It is not persistent: it goes with the last descriptor of it.
///
/// # Errors
/// There is no `/dev/net/tun`, the daemon may not, or the tap is open already (`EBUSY`).
pub(super) fn create(name: &str) -> io::Result<OwnedFd> {
    let tap =
        open("/dev/net/tun", OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?;
    // SAFETY: zero is a valid value of each field.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays the NUL at its end.
    for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
        *to = from.cast_signed();
    }
    // What hypervisors want: whole frames, each after the header that says what the guest has left for the
    // host to do. One that is there already is not taken over: its guest may be alive.
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR | libc::IFF_TUN_EXCL;
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: the descriptor is open, and the request lives for as long as the call.
    match unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETIFF, &raw const request) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(tap),
    }
}
