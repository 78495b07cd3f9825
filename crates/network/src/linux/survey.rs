//! Comparing the host with what it was made to be, and mending what somebody else changed.

use super::{
    Inner, blocking, bridges, foreign,
    host::{Host, in_words},
    links::Link,
    netlink::Netlink,
    nft,
    serving::Served,
};
use crate::{
    host::{Desired, Finding},
    names::marks_of_bridges,
    ruleset,
};
use innkeeper_model::{NetworkId, Refusal, network::InterfaceName};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tracing::debug;

impl Host {
    /// Looks at everything, and mends it. What cannot be looked at, or mended, is a finding beside the others.
    ///
    /// # Errors
    /// The rules are not as they should be, or cannot be looked at.
    pub(super) async fn survey(&mut self, inner: &Arc<Inner>) -> Result<Vec<Finding>, Refusal> {
        if !self.was_applied() {
            // Nobody has said yet what there should be, so nothing is too much.
            return Ok(Vec::new());
        }
        let mut findings = self.survey_rules(inner).await?;
        let desired = self.last.desired.clone();
        match self.let_through(&desired) {
            Ok(false) => {}
            Ok(true) => {
                findings.push(mended(None, "the kernel was not to route any more; it is again"));
            }
            Err(refusal) => findings.push(unmended(None, in_words(&refusal))),
        }
        for network in &desired.networks {
            let ways = self.networks.get(&network.id).map(Served::ways).unwrap_or_default();
            match self.ensure_bridge(inner, network, ways).await {
                Ok(done) => findings.extend(done.into_iter().map(|d| mended(Some(network.id), d))),
                Err(refusal) => {
                    findings.push(unmended(Some(network.id), in_words(&refusal)));
                    self.networks.entry(network.id).or_default().is_not_as_it_should_be();
                }
            }
        }
        match mend_taps(inner.options.instance, desired.clone()).await {
            Ok(taps) => findings.extend(taps.into_iter().map(of_tap)),
            Err(refusal) => findings.push(unmended(None, in_words(&refusal))),
        }
        let orphans = remove_orphans(inner.options.instance, desired.clone()).await;
        findings.extend(orphans.unwrap_or_else(|refusal| vec![unmended(None, in_words(&refusal))]));
        self.survey_servers(inner, &desired, &mut findings).await;
        let unmade = |network: &NetworkId| !self.networks.get(network).is_some_and(Served::is_made);
        let unmade: Vec<NetworkId> =
            desired.networks.iter().map(|network| network.id).filter(unmade).collect();
        if !unmade.is_empty() {
            let applied = self.make_again(inner).await;
            for network in unmade.into_iter().filter(|network| applied.of(*network).is_ok()) {
                findings.push(mended(Some(network), "it is as it should be again"));
            }
        }
        findings.extend(self.look_for_foreign(inner, &desired).await);
        Ok(findings)
    }

    /// Has each network say what of other tools' keeps its guests from the outside, and tells what is another
    /// thing since the last look. What cannot be told is as it was.
    pub(super) async fn look_for_foreign(
        &mut self,
        inner: &Inner,
        desired: &Desired,
    ) -> Vec<Finding> {
        if !self.has_rules() || desired.networks.is_empty() {
            return Vec::new();
        }
        let own = ruleset::table_name(inner.options.instance);
        let dropping = match foreign::dropping(&own).await {
            Ok(dropping) => dropping,
            Err(refusal) => {
                debug!(%refusal, "others' rules cannot be read");
                return Vec::new();
            }
        };
        let mut findings = Vec::new();
        for network in &desired.networks {
            let problem = dropping.iter().find_map(|dropping| dropping.problem_of(network));
            let served = self.networks.entry(network.id).or_default();
            let before = std::mem::replace(&mut served.kept_in, problem.clone());
            inner.know(network.id, |known| {
                // What else is wrong is said first.
                if known.facts.problem.is_none() || known.facts.problem == before {
                    known.facts.problem.clone_from(&problem);
                }
            });
            if problem == before {
                continue;
            }
            findings.push(match problem {
                Some(text) => unmended(Some(network.id), text),
                None => mended(Some(network.id), "no other tool keeps its guests in any more"),
            });
        }
        findings
    }

    /// Another tool may have flushed the rules, or changed them. Without them nothing else is put right: a network
    /// that nothing guards is not as it should be.
    async fn survey_rules(&mut self, inner: &Inner) -> Result<Vec<Finding>, Refusal> {
        if self.last.desired.networks.is_empty() {
            return Ok(Vec::new());
        }
        // What was done until now is seen.
        self.hears_before_a_look(inner);
        if !self.has_rules() {
            self.put_rules_again(inner).await?;
            let what = "the rules of the networks could not be set before; they are now";
            return Ok(vec![mended(None, what)]);
        }
        let expected = ruleset::ruleset(inner.options.instance, &self.last.desired).to_string();
        let table = ruleset::table_name(inner.options.instance);
        let mut digest = Sha256::new();
        let mut missing = false;
        for family in ["bridge", "inet"] {
            if expected.contains(&format!("table {family} {table} {{")) {
                let listing = nft::list(family, &table).await?;
                missing |= listing.is_none();
                digest.update(listing.unwrap_or_default());
            }
        }
        let listing: [u8; 32] = digest.finalize().into();
        // How nft lists what it was given is known once it was seen. Until then it may be somebody's work, where one
        // was at it before that, or meanwhile.
        let changed = match self.listing {
            Some(known) => known != listing,
            None => {
                self.hears_before_a_look(inner);
                self.touched
            }
        };
        if !missing && !changed {
            self.touched = false;
            if self.was_added_to() {
                // What it is like now may be somebody's work; the next look is at what it should be.
                self.put_rules_again(inner).await?;
            } else {
                self.listing = Some(listing);
            }
            return Ok(Vec::new());
        }
        self.put_rules_again(inner).await?;
        let what = if missing {
            "the rules of the networks were gone, by a flush of the ruleset perhaps; they are set again"
        } else {
            "the rules of the networks were changed by somebody else; they are set again"
        };
        Ok(vec![mended(None, what)])
    }

    /// Servers that nobody watches: of networks that are no more, or one too many.
    async fn survey_servers(
        &mut self,
        inner: &Arc<Inner>,
        desired: &Desired,
        findings: &mut Vec<Finding>,
    ) {
        let own: Vec<u32> = self
            .networks
            .values()
            .filter_map(|served| served.server.as_ref().map(|server| server.pid))
            .collect();
        let found = std::mem::take(self.find_again(inner));
        for (folder, servers) in found {
            let network = folder.parse::<NetworkId>().ok();
            let is_desired = desired.networks.iter().any(|other| Some(other.id) == network);
            for server in servers.into_iter().filter(|server| !own.contains(&server.pid)) {
                let pid = server.pid;
                let ended = server.end("it serves no network, or one that another serves").await;
                let whose = if is_desired { "was one too many" } else { "served no network" };
                findings.push(match ended {
                    Ok(()) => {
                        mended(network, format!("a dnsmasq (pid {pid}) {whose}; it was ended"))
                    }
                    Err(refusal) => unmended(network, in_words(&refusal)),
                });
            }
        }
    }
}

/// Whether an interface is on another network than before. It was plugged in there before that was asked for; a survey
/// in between has put it back.
pub(super) fn has_moved(before: &Desired, after: &Desired) -> bool {
    if before.nics == after.nics {
        return false;
    }
    let was: HashMap<_, _> = before.nics.iter().map(|plug| (&plug.tap, plug.network)).collect();
    after.nics.iter().any(|plug| was.get(&plug.tap).is_some_and(|was| *was != plug.network))
}

/// A tap that was not plugged in as it should be, its network, and whether it is now.
type Replugged = (NetworkId, InterfaceName, Result<(), Refusal>);

/// Plugs taps in again that are not where they should be, whatever becomes of the others.
pub(super) async fn mend_taps(
    instance: u32,
    desired: Arc<Desired>,
) -> Result<Vec<Replugged>, Refusal> {
    blocking(move || {
        let mut netlink = Netlink::open()?;
        let links = netlink.links()?;
        let by_name: HashMap<&str, &Link> = links.iter().map(|link| (&*link.name, link)).collect();
        let networks: BTreeMap<NetworkId, _> =
            desired.networks.iter().map(|network| (network.id, network)).collect();
        let mut replugged = Vec::new();
        for plug in &desired.nics {
            let Some(network) = networks.get(&plug.network) else { continue };
            let Some(tap) = by_name.get(plug.tap.as_str()) else { continue };
            let Some(bridge) = by_name.get(network.bridge.as_str()) else { continue };
            let mtu = network.config.mtu.map_or(bridge.mtu, u32::from);
            let is_right = tap.master == bridge.index
                && tap.isolated == network.config.isolated
                && tap.mtu == mtu;
            if !is_right {
                let outcome =
                    bridges::plug_in(&mut netlink, instance, plug, network, bridge, tap.index);
                replugged.push((network.id, plug.tap.clone(), outcome));
            }
        }
        Ok(replugged)
    })
    .await
}

fn of_tap((network, tap, outcome): Replugged) -> Finding {
    let text = format!("the tap {tap} was not plugged in as it should be");
    match outcome {
        Ok(()) => mended(Some(network), format!("{text}; it is again")),
        Err(refusal) => unmended(Some(network), format!("{text}: {}", in_words(&refusal))),
    }
}

/// Removes bridges with this daemon's mark that are of no network, unless something is plugged in.
async fn remove_orphans(instance: u32, desired: Arc<Desired>) -> Result<Vec<Finding>, Refusal> {
    blocking(move || {
        let mut netlink = Netlink::open()?;
        let links = netlink.links()?;
        let marks = marks_of_bridges(instance);
        let is_orphan = |link: &&Link| {
            let network = link.alias.strip_prefix(&marks).map(str::parse::<NetworkId>);
            let is_desired = |id| desired.networks.iter().any(|network| network.id == id);
            link.is_bridge() && matches!(network, Some(Ok(id)) if !is_desired(id))
        };
        let mut findings = Vec::new();
        for link in links.iter().filter(is_orphan) {
            let name = &link.name;
            if links.iter().any(|port| port.master == link.index) {
                let text =
                    format!("the bridge {name} is of no network, but something is plugged in");
                findings.push(unmended(None, text));
                continue;
            }
            bridges::remove_link(&mut netlink, link)?;
            findings
                .push(mended(None, format!("the bridge {name} was of no network; it was removed")));
        }
        Ok(findings)
    })
    .await
}

fn mended(network: Option<NetworkId>, text: impl Into<String>) -> Finding {
    Finding { network, text: text.into(), mended: true }
}

fn unmended(network: Option<NetworkId>, text: impl Into<String>) -> Finding {
    Finding { mended: false, ..mended(network, text) }
}
