//! The host's networks, as the engine and the drivers have them.

use crate::{config, options::DaemonOptions};
use async_trait::async_trait;
use innkeeper_driver::Taps;
use innkeeper_model::{InterfaceName, Refusal, network::Plug};
use innkeeper_network::{HostNetworks, LinuxNetworks, LinuxOptions, PaperNetworks};
use innkeeper_view::View;
use std::{os::fd::OwnedFd, sync::Arc};

/// The networks of this host: those of the simulator send nothing, and only root can make real ones.
pub(crate) fn of_host(
    options: &DaemonOptions,
    uids: Option<&config::UidRange>,
) -> anyhow::Result<Arc<dyn HostNetworks>> {
    Ok(match (options.driver, uids) {
        (config::Driver::Sim, _) => Arc::new(PaperNetworks::new()),
        (config::Driver::Qemu, None) => Arc::new(PaperNetworks::without_root()),
        (config::Driver::Qemu, Some(uids)) => Arc::new(LinuxNetworks::open(LinuxOptions {
            instance: *uids.0.start(),
            runtime: options.runtime_dir.join("networks"),
            state: options.leases_dir(),
        })?),
    })
}

/// Whether guests send packets over networks of this host.
pub(super) const fn are_real(options: &DaemonOptions, uids: Option<&config::UidRange>) -> bool {
    matches!(options.driver, config::Driver::Qemu) && uids.is_some()
}

/// The taps of a driver's machines, on the networks that the view knows.
#[derive(Debug)]
pub(crate) struct HostTaps {
    pub(crate) view: View,
    pub(crate) networks: Arc<dyn HostNetworks>,
}

#[async_trait]
impl Taps for HostTaps {
    async fn open(&self, plug: &Plug) -> Result<OwnedFd, Refusal> {
        let snapshot = self.view.snapshot();
        let network = snapshot.networks.get(&plug.network);
        let network = network.ok_or_else(|| Refusal::not_found("network", plug.network))?;
        self.networks.open_tap(plug, network).await
    }

    async fn replug(&self, plug: &Plug) -> Result<(), Refusal> {
        let snapshot = self.view.snapshot();
        let network = snapshot.networks.get(&plug.network);
        let network = network.ok_or_else(|| Refusal::not_found("network", plug.network))?;
        self.networks.replug(plug, network).await
    }

    async fn set_link(&self, tap: &InterfaceName, up: bool) -> Result<(), Refusal> {
        self.networks.set_link(tap, up).await
    }
}
