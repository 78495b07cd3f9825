//! Making the host as desired, one thing after the other, doing only what differs from last time.

use super::{
    Inner, TAP_FREE_WITHIN, TAP_LOOK_EVERY, blocking,
    bridges::{self, Ways},
    elements, nft, programs,
    server::Server,
    serving::Served,
    survey,
    sysctls::{self, Sysctls},
};
use crate::{
    dnsmasq::{self, Lists},
    host::{Applied, Desired},
    ruleset::{self, Addition, Ruleset},
};
use innkeeper_model::{
    Code, NetworkId, Refusal,
    network::{InterfaceName, Network, Plug},
};
use innkeeper_store::harm;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
    path::Path,
    sync::Arc,
};
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

/// What was done to the host.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) sysctls: Sysctls,
    pub(super) last: Last,
    /// The rules in force.
    rules: Option<Ruleset>,
    /// Whether what is in force was not put there whole: how `nft` lists it is then not known.
    added_to: bool,
    /// The digest of how `nft` lists them, once that was seen.
    pub(super) listing: Option<[u8; 32]>,
    /// Whether somebody else has changed something of them since they were last looked at.
    pub(super) touched: bool,
    /// How many changes of the firewall were begun of which the end was not seen, since the future was dropped:
    /// each may be told of still, and is not somebody else's.
    pub(super) unended: usize,
    pub(super) networks: BTreeMap<NetworkId, Served>,
    /// Servers of an earlier daemon, by the name of their folder; absent until they were looked for.
    pub(super) found: Option<BTreeMap<String, Vec<Server>>>,
}

/// What was applied last.
#[derive(Debug, Default)]
pub(super) struct Last {
    generation: u64,
    /// What was begun last.
    pub(super) desired: Arc<Desired>,
    /// What was gone through to its end last; another than that begun, if somebody dropped the future.
    done: Arc<Desired>,
    applied: Applied,
}

impl Host {
    pub(super) fn new(runtime: &Path) -> Self {
        Self {
            sysctls: Sysctls::new(runtime),
            last: Last::default(),
            rules: None,
            added_to: false,
            listing: None,
            touched: false,
            unended: 0,
            networks: BTreeMap::new(),
            found: None,
        }
    }

    /// How the apply went that this one, or a later one, was part of.
    pub(super) fn applied_since(&self, generation: u64) -> Option<Applied> {
        (self.last.generation >= generation).then(|| self.last.applied.clone())
    }

    /// Makes the host as desired.
    pub(super) async fn apply(
        &mut self,
        inner: &Arc<Inner>,
        generation: u64,
        desired: Arc<Desired>,
    ) -> Result<Applied, Refusal> {
        let is_done = self.last.desired == desired
            && self.last.done == desired
            && !self.networks.values().any(Served::is_down);
        if is_done && self.rules.is_some() && self.last.applied.failed.is_empty() {
            self.last.generation = generation;
            return Ok(Applied::default());
        }
        self.put_rules(inner, &desired).await?;
        self.last.desired = desired.clone();
        self.let_through(&desired)?;
        let before = self.last.done.clone();
        adjust_taps(before.clone(), desired.clone()).await?;
        let applied = self.ensure_all(inner, &desired).await;
        if before.networks != desired.networks {
            self.look_for_foreign(inner, &desired).await;
        }
        if before.networks != desired.networks || survey::has_moved(&before, &desired) {
            let taps = survey::mend_taps(inner.options.instance, desired.clone()).await?;
            taps.into_iter().try_for_each(|(_, _, mended)| mended)?;
        }
        self.last = Last { generation, done: desired.clone(), desired, applied: applied.clone() };
        Ok(applied)
    }

    /// Has each network say what the firewall lacks, until the next apply has looked at all of it.
    fn all_lack(&mut self, inner: &Inner, desired: &Desired, refusal: &Refusal) {
        for network in &desired.networks {
            inner.know(network.id, |known| known.facts.problem = Some(in_words(refusal)));
            self.networks.entry(network.id).or_default().is_not_as_it_should_be();
        }
    }

    /// Sets the firewall, if it is to be another than it is. Where that fails, each network says so.
    async fn put_rules(&mut self, inner: &Inner, desired: &Arc<Desired>) -> Result<(), Refusal> {
        if desired.networks.is_empty() && self.rules.is_none() && programs::nft().is_err() {
            // No networks, and nothing to set them with: that is as it should be.
            return Ok(());
        }
        let rules = ruleset::ruleset(inner.options.instance, desired);
        let was_known = self.has_rules();
        if self.rules.as_ref() != Some(&rules) && !self.add_rules(inner, &rules).await {
            let nothing_to_keep = self.last.desired.networks.is_empty();
            self.rules = None;
            self.listing = None;
            // Of what was not known to be in force, nobody can have changed anything.
            self.touched &= was_known;
            self.unended += 1;
            match nft::put(rules.to_string()).await {
                Ok(()) => self.has_changed_rules(inner),
                Err(refusal) => {
                    self.unended -= 1;
                    if !(nothing_to_keep && desired.networks.is_empty()) {
                        self.all_lack(inner, desired, &refusal);
                        return Err(refusal);
                    }
                    debug!(%refusal, "there is no firewall here, and no network that needs one");
                }
            }
            self.rules = Some(rules);
            self.added_to = false;
        }
        inner.set_in_force(desired.clone());
        Ok(())
    }

    /// Adds to the firewall what it has not got, where that is all there is to it; whether it was.
    async fn add_rules(&mut self, inner: &Inner, rules: &Ruleset) -> bool {
        let table = ruleset::table_name(inner.options.instance);
        let Some(before) = self.rules.take() else { return false };
        let Some(additions) = before.additions(rules) else { return false };
        self.listing = None;
        self.unended += 1;
        match add(table, additions).await {
            Ok(()) => {
                self.has_changed_rules(inner);
                self.rules = Some(rules.clone());
                self.added_to = true;
                true
            }
            Err(refusal) => {
                self.unended -= 1;
                // Somebody took away what it was to be added to.
                debug!(%refusal, "the rules are set anew");
                false
            }
        }
    }

    /// Whether what is in force was not put there whole.
    pub(super) const fn was_added_to(&self) -> bool {
        self.added_to
    }

    /// Sets the firewall again, whatever it is.
    pub(super) async fn put_rules_again(&mut self, inner: &Inner) -> Result<(), Refusal> {
        self.rules = None;
        let desired = self.last.desired.clone();
        self.put_rules(inner, &desired).await
    }

    /// Whether it is known what there should be.
    pub(super) const fn was_applied(&self) -> bool {
        self.last.generation > 0
    }

    /// Whether there are rules that a survey can look for.
    pub(super) const fn has_rules(&self) -> bool {
        self.rules.is_some()
    }

    /// Has the kernel route between links, if a network needs it; whether it did not.
    pub(super) fn let_through(&self, desired: &Desired) -> Result<bool, Refusal> {
        let has = |v6: bool| {
            let routed =
                desired.networks.iter().filter(|n| n.config.is_made() || n.config.has_nat());
            routed.flat_map(|n| &n.subnets).any(|subnet| subnet.config.range.addr().is_ipv6() == v6)
        };
        let publishes = desired.nics.iter().any(|plug| !plug.publish.is_empty());
        let mut changed = false;
        if has(false) || publishes {
            changed |= self.sysctls.set("net.ipv4.ip_forward", "1")?;
        }
        if has(true) && sysctls::read("net.ipv6.conf.all.forwarding").is_ok_and(|now| now == "0") {
            // A host that routes ignores routers' words unless it is told not to; one that has its own
            // address by them would lose it.
            for link in super::netlink::Netlink::open()?.links()? {
                let setting = format!("net.ipv6.conf.{}.accept_ra", link.name.replace('.', "/"));
                let listens = sysctls::read(&setting).is_ok_and(|now| now == "1");
                if listens && link.up && link.master == 0 && !link.name.starts_with("inn") {
                    self.sysctls.set(&setting, "2")?;
                }
            }
            changed |= self.sysctls.set("net.ipv6.conf.all.forwarding", "1")?;
        }
        Ok(changed)
    }

    /// Makes each network as it should be that is not.
    pub(super) async fn make_again(&mut self, inner: &Arc<Inner>) -> Applied {
        let desired = self.last.desired.clone();
        self.last.applied = self.ensure_all(inner, &desired).await;
        self.last.applied.clone()
    }

    /// Makes each network as it should be, whatever becomes of the others.
    async fn ensure_all(&mut self, inner: &Arc<Inner>, desired: &Arc<Desired>) -> Applied {
        let mut plugs: HashMap<NetworkId, Vec<&Plug>> = HashMap::new();
        for plug in &desired.nics {
            plugs.entry(plug.network).or_default().push(plug);
        }
        let mut applied = Applied::default();
        for network in &desired.networks {
            let plugs = plugs.remove(&network.id).unwrap_or_default();
            let ways = Ways::new(desired.metadata, &plugs);
            let lists = dnsmasq::lists(network, plugs.into_iter());
            if let Err(refusal) = self.ensure(inner, network, ways, lists).await {
                warn!(network = %network.config.name, %refusal, "a network is not as it should be");
                inner.know(network.id, |known| known.facts.problem = Some(in_words(&refusal)));
                applied.failed.push((network.id, refusal));
            }
        }
        applied
    }

    /// Makes a network as it should be, if it is to be another than it is.
    async fn ensure(
        &mut self,
        inner: &Arc<Inner>,
        network: &Arc<Network>,
        ways: Ways,
        lists: Lists,
    ) -> Result<(), Refusal> {
        let served = self.networks.entry(network.id).or_default();
        let made = Some((network.clone(), ways));
        let is_made = served.made == made;
        // A server that died is started by its watch after longer and longer waits, and by an apply at once.
        if is_made && served.lists == lists && !served.is_down() {
            return Ok(());
        }
        // What fails, or is cut short, from here on is for the next apply to finish.
        served.made = None;
        if !is_made {
            self.ensure_bridge(inner, network, ways).await?;
        }
        let owners = lists.owners.clone();
        let outcome = self.serve(inner, network, lists).await;
        inner.know(network.id, |known| known.owners = owners);
        inner.read_leases(network.id);
        outcome?;
        inner.know(network.id, |known| known.facts.problem = None);
        self.networks.entry(network.id).or_default().made = made;
        Ok(())
    }

    /// Makes a network's bridge as it should be; what had to be done.
    pub(super) async fn ensure_bridge(
        &mut self,
        inner: &Inner,
        network: &Arc<Network>,
        ways: Ways,
    ) -> Result<Vec<String>, Refusal> {
        let (instance, shared) = (inner.options.instance, network.clone());
        let bridge = blocking(move || bridges::ensure(instance, &shared, ways)).await;
        inner.know(network.id, |known| {
            known.facts.up = bridge.as_ref().is_ok_and(|bridge| bridge.up);
            known.facts.mtu = bridge.as_ref().ok().map(|bridge| bridge.mtu);
        });
        let bridge = bridge?;
        if bridge.is_new {
            self.end_servers(inner, network.id, "its bridge is another").await?;
        }
        Ok(bridge.done)
    }

    /// Removes all there is of a network.
    pub(super) async fn release(
        &mut self,
        inner: &Arc<Inner>,
        network: &Network,
    ) -> Result<(), Refusal> {
        let instance = inner.options.instance;
        let nics = &self.last.desired.nics;
        let of_it = nics.iter().filter(|plug| plug.network == network.id);
        let taps: Vec<InterfaceName> = of_it.map(|plug| plug.tap.clone()).collect();
        check_unplugged(network, taps).await?;
        let mut rest = Desired::clone(&self.last.desired);
        rest.networks.retain(|other| other.id != network.id);
        rest.nics.retain(|plug| plug.network != network.id);
        let is_last = rest.networks.is_empty();
        self.apply(inner, self.last.generation, Arc::new(rest)).await?;
        self.end_servers(inner, network.id, "its network is removed").await?;
        self.networks.remove(&network.id);
        let shared = network.clone();
        blocking(move || bridges::remove(instance, &shared)).await?;
        gone(harm::remove_dir_all(&inner.folder(network.id)))?;
        gone(harm::remove_file(&inner.files(network.id).leases))?;
        inner.forget(network.id);
        if is_last {
            self.sysctls.give_back()?;
        }
        Ok(())
    }
}

/// Adds elements: by the kernel's own protocol, or where that cannot be told so by nft, which takes some
/// milliseconds to begin.
async fn add(table: String, additions: Vec<Addition>) -> Result<(), Refusal> {
    let text: String = additions.iter().map(|more| more.to_text(&table)).collect();
    let added = blocking(move || Ok(elements::add(&table, &additions))).await?;
    match added {
        Ok(()) => Ok(()),
        Err(error) => {
            debug!(%error, "nft is to add the elements");
            nft::put(text).await
        }
    }
}

/// Turns off the taps of interfaces that are desired no more, which no rule is of, and sets the rates of
/// those that have another.
async fn adjust_taps(before: Arc<Desired>, after: Arc<Desired>) -> Result<(), Refusal> {
    if before.nics == after.nics {
        return Ok(());
    }
    blocking(move || {
        let is_of = |desired: &Desired| -> BTreeSet<String> {
            desired.nics.iter().map(|plug| plug.tap.to_string()).collect()
        };
        let kept = is_of(&after);
        for plug in before.nics.iter().filter(|plug| !kept.contains(plug.tap.as_str())) {
            bridges::set_up(&plug.tap, false)?;
        }
        let rates: HashMap<&InterfaceName, _> =
            before.nics.iter().map(|plug| (&plug.tap, plug.rate.in_kbit)).collect();
        for plug in &after.nics {
            if rates.get(&plug.tap).is_some_and(|rate| *rate != plug.rate.in_kbit) {
                bridges::shape(plug)?;
            }
        }
        Ok(())
    })
    .await
}

/// Refuses while something is plugged into a network, and goes on being so.
async fn check_unplugged(network: &Network, taps: Vec<InterfaceName>) -> Result<(), Refusal> {
    let until = Instant::now() + TAP_FREE_WITHIN;
    loop {
        let (network, taps) = (network.clone(), taps.clone());
        match blocking(move || bridges::check_unplugged(&network, &taps)).await {
            Err(refusal) if refusal.code == Code::InUse && Instant::now() < until => {
                // A child between fork and exec has our descriptors for a moment, and says nothing.
                sleep(TAP_LOOK_EVERY).await;
            }
            outcome => return outcome,
        }
    }
}

/// What is not there need not be removed.
fn gone(outcome: io::Result<()>) -> Result<(), Refusal> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// A refusal in one line, with what to do.
pub(super) fn in_words(refusal: &Refusal) -> String {
    let message = &refusal.message;
    match (&refusal.code, &refusal.hint) {
        (Code::Internal, _) | (_, None) => message.clone(),
        (_, Some(hint)) => format!("{message}; {hint}"),
    }
}
