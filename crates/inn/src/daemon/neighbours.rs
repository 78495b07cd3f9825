//! The other managers of machines on this host that the configuration names.

use super::DaemonOptions;
use innkeeper_driver::Neighbour;
use innkeeper_libvirt::{Libvirt, LibvirtOptions};
use std::sync::Arc;

/// All of them. None is connected to yet: the daemon begins whether they are there or not.
pub(super) fn of(options: &DaemonOptions) -> Vec<Arc<dyn Neighbour>> {
    let libvirt = &options.libvirt;
    let socket = libvirt.socket.clone();
    let libvirt = socket.map(|socket| LibvirtOptions { socket, uri: libvirt.uri.clone() });
    libvirt.into_iter().map(|options| Arc::new(Libvirt::new(options)) as _).collect()
}
