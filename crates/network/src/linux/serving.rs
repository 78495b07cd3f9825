//! Having a network's guests answered: its server started, told of what has changed, and started again
//! when it died.
//!
//! dnsmasq gives an address that somebody has a lease of to nobody else, though its list says so. So an
//! address that passes to another guest has its lease removed first, for which dnsmasq must not run; no other
//! change of the guests ends it.

use super::{
    Inner, accounts, blocking,
    bridges::Ways,
    host::{Host, in_words},
    server::Server,
    service_ports,
    watch::{self, Restarts},
};
use crate::{
    dnsmasq::{self, Files, Lists},
    leases,
};
use innkeeper_model::{
    Code, NetworkId, Refusal,
    network::{DhcpState, Network},
};
use innkeeper_store::write_atomically;
use std::{
    collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration,
};
use tokio::task::AbortHandle;

/// A network as it was made, and its server.
#[derive(Debug, Default)]
pub(super) struct Served {
    /// What it was made of; absent while it is not as it should be.
    pub(super) made: Option<(Arc<Network>, Ways)>,
    pub(super) lists: Lists,
    pub(super) server: Option<Server>,
    watch: Option<AbortHandle>,
    restarts: Restarts,
    /// What of another tool's keeps its guests from the outside.
    pub(super) kept_in: Option<String>,
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

impl Host {
    /// Ends every server of a network; the next apply starts one, if it has to be.
    pub(super) async fn end_servers(
        &mut self,
        inner: &Inner,
        network: NetworkId,
        why: &str,
    ) -> Result<(), Refusal> {
        for server in self.take_found(inner, network) {
            server.end(why).await?;
        }
        match self.networks.get_mut(&network) {
            Some(served) => {
                served.made = None;
                served.end(why).await
            }
            None => Ok(()),
        }
    }

    /// Has a network's guests answered, if they are to be.
    pub(super) async fn serve(
        &mut self,
        inner: &Arc<Inner>,
        network: &Arc<Network>,
        lists: Lists,
    ) -> Result<(), Refusal> {
        let mut others = self.take_found(inner, network.id);
        let files = inner.files(network.id);
        let served = self.networks.entry(network.id).or_default();
        if served.server.is_none() && !others.is_empty() {
            served.adopt(inner, network.id, others.remove(0));
        }
        for other in others {
            other.end("a network has one server").await?;
        }
        let user = accounts::user(&inner.options.runtime);
        let Some(config) = dnsmasq::config(network, &files, user) else {
            served.end("its network is served by nobody any more").await?;
            served.lists = lists;
            inner.know(network.id, |known| known.facts.dhcp = None);
            return Ok(());
        };
        let written = |path| fs::read_to_string(path).unwrap_or_default();
        let reservations = written(&files.reservations);
        let former = dnsmasq::owners(&reservations);
        let mut given = lists.owners.clone();
        given.retain(|address, mac| former.get(address) != Some(mac));
        let cleaned = leases::without_former_owners(&written(&files.leases), &given);
        let alive = served.server.as_ref().is_some_and(|server| !server.has_ended());
        let restart = !alive || cleaned.is_some() || written(&files.config) != config;
        if restart {
            inner.know(network.id, |known| known.facts.dhcp = Some(DhcpState::Down));
            served.end("it is started again with what has changed").await?;
        }
        if let Some(cleaned) = cleaned {
            write_atomically(&files.leases, cleaned.as_bytes(), 0o600)?;
        }
        let relisted = write_lists(&files, &lists)?;
        served.lists = lists;
        if restart {
            replace(&files.config, &config)?;
            let server = start(inner, network).await?;
            served.adopt(inner, network.id, server);
        } else if let (true, Some(server)) = (relisted, &served.server) {
            server.reload();
        }
        inner.know(network.id, |known| known.facts.dhcp = Some(DhcpState::Running));
        Ok(())
    }

    /// The servers of this network that an earlier daemon started.
    fn take_found(&mut self, inner: &Inner, network: NetworkId) -> Vec<Server> {
        let runtime = &inner.options.runtime;
        let found = self.found.get_or_insert_with(|| find(runtime));
        found.remove(&network.to_string()).unwrap_or_default()
    }

    /// Looks for servers again.
    pub(super) fn find_again(&mut self, inner: &Inner) -> &mut BTreeMap<String, Vec<Server>> {
        self.found.insert(find(&inner.options.runtime))
    }

    /// A network's server died: how long to wait before it is started again. `None` if it did not, or is
    /// of no use any more.
    pub(super) fn server_died(&mut self, inner: &Inner, network: NetworkId) -> Option<Duration> {
        let served = self.networks.get_mut(&network)?;
        let server = served.server.take_if(|server| server.has_ended())?;
        let wait = served.restarts.died_after(server.since.elapsed());
        inner.know(network, |known| {
            known.facts.dhcp = Some(DhcpState::Down);
            known.facts.problem = Some("dnsmasq died, and is started again".into());
        });
        Some(wait)
    }

    /// Starts a network's server that died: how long to wait before the next attempt. `None` once it
    /// runs, or is of no use any more.
    pub(super) async fn start_again(
        &mut self,
        inner: &Arc<Inner>,
        network: NetworkId,
    ) -> Option<Duration> {
        let desired =
            self.last.desired.networks.iter().find(|desired| desired.id == network)?.clone();
        let served = self.networks.get_mut(&network)?;
        if served.server.is_some() {
            return None;
        }
        match start(inner, &desired).await {
            Ok(server) => {
                served.watch = None;
                served.adopt(inner, network, server);
                inner.know(network, |known| {
                    known.facts.dhcp = Some(DhcpState::Running);
                    known.facts.problem = None;
                });
                None
            }
            Err(refusal) => {
                inner.know(network, |known| known.facts.problem = Some(in_words(&refusal)));
                Some(served.restarts.died_after(Duration::ZERO))
            }
        }
    }
}

impl Served {
    /// Takes a server as this network's, and has it watched.
    fn adopt(&mut self, inner: &Arc<Inner>, network: NetworkId, server: Server) {
        let watch = watch::revive(inner, network, server.pidfd());
        if let Some(before) = self.watch.replace(watch) {
            before.abort();
        }
        self.server = Some(server);
    }

    /// Ends the server, if there is one, on purpose.
    async fn end(&mut self, why: &str) -> Result<(), Refusal> {
        if let Some(watch) = self.watch.take() {
            watch.abort();
        }
        match self.server.take() {
            Some(server) => server.end(why).await,
            None => Ok(()),
        }
    }

    /// Whether the network is as it was last asked to be.
    pub(super) const fn is_made(&self) -> bool {
        self.made.is_some()
    }

    /// Whether its server has died, and no other has taken its place yet.
    pub(super) fn is_down(&self) -> bool {
        self.watch.is_some() && self.server.as_ref().is_none_or(Server::has_ended)
    }

    /// What of the host is on the way from its bridge.
    pub(super) fn ways(&self) -> Ways {
        self.made.as_ref().map(|(_, ways)| *ways).unwrap_or_default()
    }

    /// Has the next apply look at all of it.
    pub(super) fn is_not_as_it_should_be(&mut self) {
        self.made = None;
    }
}

/// Starts a network's server. Who has a port that it needs is named.
async fn start(inner: &Inner, network: &Arc<Network>) -> Result<Server, Refusal> {
    match Server::start(&inner.files(network.id)).await {
        Err(refusal) if refusal.code == Code::InUse => {
            let network = network.clone();
            let named = blocking(move || {
                let subnets = dnsmasq::served(&network).map(|subnet| &subnet.config);
                Ok(service_ports::in_the_way(&network, subnets))
            });
            // One that has let go of it meanwhile is not there to be named.
            Err(named.await?.unwrap_or(refusal))
        }
        outcome => outcome,
    }
}

/// The servers that run, by their networks.
fn find(runtime: &Path) -> BTreeMap<String, Vec<Server>> {
    Server::find(runtime, dnsmasq::CONFIG_NAME, &accounts::of_servers())
}

/// Writes the lists, those that have changed; whether there were any.
fn write_lists(files: &Files, lists: &Lists) -> Result<bool, Refusal> {
    let folder = files.config.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o711))?;
    let reserved = replace(&files.reservations, &lists.reservations)?;
    let named = replace(&files.names, &lists.names)?;
    Ok(reserved || named)
}

/// Replaces a file, if it is to be another; whether it was. It need not be on the disk: it goes with the
/// host's boot.
fn replace(path: &Path, text: &str) -> Result<bool, Refusal> {
    if fs::read(path).is_ok_and(|before| before == text.as_bytes()) {
        return Ok(false);
    }
    let unfinished = path.with_extension("new");
    fs::write(&unfinished, text)?;
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o644))?;
    fs::rename(&unfinished, path)?;
    Ok(true)
}
