//! Other tools' firewalls that keep guests from the outside.
//!
//! What one table lets through another may still drop: of docker's, whose chain drops whatever it does not
//! know, nothing that Innkeeper's own rules say keeps a packet. Others' tables are not changed. It is said
//! what is in the way, and what lets a network through.

use super::nft;
use innkeeper_model::{
    Refusal,
    network::{InterfaceName, Network},
};
use serde_json::Value;

/// Where docker leaves room for others' rules, which it asks before its own.
const ROOM_OF_DOCKER: &str = "DOCKER-USER";
/// What the bridges of Innkeeper's own begin with, as one rule for all of them has it.
const ALL_BRIDGES: &str = "innb*";

/// A chain of another's that drops all that is forwarded and that no rule of its own lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dropping {
    family: String,
    table: String,
    chain: String,
    /// Where a rule belongs that lets something through.
    room: String,
    /// The table as `nft` tells of it.
    text: String,
}

/// What is in the way now. `own` is the name of Innkeeper's own tables.
pub(super) async fn dropping(own: &str) -> Result<Vec<Dropping>, Refusal> {
    let mut all = Vec::new();
    let chains = objects(&nft::list_chains().await?, "chain");
    for chain in chains.iter().filter(|chain| forwards(chain) && chain["table"] != own) {
        let (family, table) = (word(chain, "family"), word(chain, "table"));
        // Gone by now, it drops nothing.
        let Ok(text) = nft::list_as_json(&family, &table).await else { continue };
        let name = word(chain, "name");
        let drops_the_rest = chain["policy"] == "drop"
            || objects(&text, "rule").iter().any(|rule| rule["chain"] == *name && is_last(rule));
        if drops_the_rest {
            let is_room = |other: &Value| {
                other["family"] == *family
                    && other["table"] == *table
                    && other["name"] == ROOM_OF_DOCKER
            };
            let room =
                if chains.iter().any(is_room) { ROOM_OF_DOCKER.into() } else { name.clone() };
            all.push(Dropping { family, table, chain: name, room, text });
        }
    }
    Ok(all)
}

impl Dropping {
    /// What is wrong with a network because of it, and what to do; `None` for one that nothing is
    /// forwarded for, or of whose bridge the other's rules know.
    pub(super) fn problem_of(&self, network: &Network) -> Option<String> {
        let of_host = network.config.is_made() || network.config.has_nat();
        let has = |v6: bool| {
            let mut subnets = network.subnets.iter();
            subnets.any(|subnet| subnet.config.range.addr().is_ipv6() == v6)
        };
        let is_of_family = match self.family.as_str() {
            "ip" => has(false),
            "ip6" => has(true),
            _ => has(false) || has(true),
        };
        let bridge = network.bridge.as_str();
        let knows =
            [bridge, ALL_BRIDGES].iter().any(|name| self.text.contains(&format!("\"{name}\"")));
        (of_host && is_of_family && !knows).then(|| self.in_words(&network.bridge))
    }

    fn in_words(&self, bridge: &InterfaceName) -> String {
        let Self { family, table, chain, room, .. } = self;
        let rule =
            |side: &str| format!("nft insert rule {family} {table} {room} {side} {bridge} accept");
        format!(
            "guests do not reach the outside: the chain {chain} of the table {family} {table}, which is \
             another tool's, drops what it does not know; `{}` and `{}` let them through",
            rule("iifname"),
            rule("oifname")
        )
    }
}

fn forwards(chain: &Value) -> bool {
    chain["hook"] == "forward"
        && ["ip", "ip6", "inet"].iter().any(|family| chain["family"] == *family)
}

/// Whether a rule drops or refuses whatever comes to it.
fn is_last(rule: &Value) -> bool {
    let words = rule["expr"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is = |word: &Value, keys: &[&str]| keys.iter().any(|key| word.get(key).is_some());
    let (Some(verdict), others) = (words.last(), words.len().saturating_sub(1)) else {
        return false;
    };
    is(verdict, &["drop", "reject"])
        && words[..others].iter().all(|word| is(word, &["counter", "log"]))
}

/// All of one kind that `nft` tells of.
fn objects(text: &str, kind: &str) -> Vec<Value> {
    let told: Value = serde_json::from_str(text).unwrap_or_default();
    let all = told["nftables"].as_array().into_iter().flatten();
    all.filter_map(|object| object.get(kind).cloned()).collect()
}

fn word(of: &Value, key: &str) -> String {
    of[key].as_str().unwrap_or_default().to_owned()
}
