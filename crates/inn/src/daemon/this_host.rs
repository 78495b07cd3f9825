//! What a registry of hosts is told of this one: its id, which is the same after each start, and where it
//! is reached.

use anyhow::{Context, bail};
use innkeeper_doors::chypervisord::ThisHost;
use innkeeper_engine::Capacity;
use innkeeper_model::{ByteSize, Host, HostId, Mebibytes};
use innkeeper_store::{
    registry::{HardwareAddress, Resources},
    write_atomically,
};
use std::{
    fs, io,
    net::{IpAddr, UdpSocket},
    path::Path,
};

/// The id in this file; where there is none, a new one.
///
/// # Errors
/// The file cannot be read or written, or has no id in it.
pub(super) fn id(file: &Path) -> anyhow::Result<HostId> {
    let shown = file.display();
    match fs::read_to_string(file) {
        Ok(text) => match text.trim().parse() {
            Ok(id) => Ok(id),
            Err(_) => {
                bail!("{shown} has no host's id in it; restore it, or remove it to have a new one")
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = HostId::new();
            write_atomically(file, format!("{id}\n").as_bytes(), 0o600)
                .with_context(|| format!("cannot write {shown}"))?;
            Ok(id)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {shown}")),
    }
}

/// This host, as a registry shows it.
pub(super) fn describe(id: HostId, host: &Host, capacity: &Capacity, pool: ByteSize) -> ThisHost {
    let bounds = &capacity.host;
    let memory = bounds.memory.unwrap_or(host.memory);
    let cpus = bounds.cpus.unwrap_or(u64::from(host.cpus));
    let disk = bounds.disk.unwrap_or(pool);
    let ip = address();
    ThisHost {
        id,
        ip,
        mac: ip.and_then(|_| hardware_address()),
        total: Resources {
            memory,
            disk: Mebibytes(disk.0 >> 20),
            cpu: u32::try_from(cpus).unwrap_or(u32::MAX),
        },
    }
}

/// The address that this host has towards the outside, if it has one.
fn address() -> Option<IpAddr> {
    // Connecting a socket of UDP sends nothing: the kernel only chooses the way. (An address that is
    // nobody's: RFC 5737.)
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// The hardware address of the interface that leads outside.
fn hardware_address() -> Option<HardwareAddress> {
    let routes = fs::read_to_string("/proc/net/route").ok()?;
    let interface = outside(&routes)?;
    let text = fs::read_to_string(format!("/sys/class/net/{interface}/address")).ok()?;
    text.trim().parse().ok()
}

/// The interface of the default route: in this file, that with the destination 0.
fn outside(routes: &str) -> Option<&str> {
    let mut rows = routes.lines().skip(1).map(str::split_ascii_whitespace);
    rows.find_map(|mut row| {
        let (interface, destination) = (row.next()?, row.next()?);
        (destination == "00000000").then_some(interface)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_keeps_its_id() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("host-id");
        let first = id(&file).unwrap();
        assert_eq!(id(&file).unwrap(), first);
        fs::write(&file, "web").unwrap();
        assert!(id(&file).unwrap_err().to_string().contains("host-id"));
    }

    #[test]
    fn the_way_outside_is_the_default_route() {
        let head = "Iface\tDestination\tGateway\n";
        let routes = format!("{head}br0\t0000A8C0\t0\neth7\t00000000\t0100000A\n");
        assert_eq!(outside(&routes), Some("eth7"));
        assert_eq!(outside(head), None);
    }
}
