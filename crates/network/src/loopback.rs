//! Keeps guests from their host's own services.
//!
//! A guest on a user-mode network is its hypervisor's process to the host: when it connects to
//! 10.0.2.2, that process connects to the host's 127.0.0.1. So the processes of VMs run as users of
//! their own, and one rule refuses those users everything that is delivered on this host, whatever
//! address it is under, and the link-local addresses at which clouds keep their credentials.
//!
//! The rule stays when the daemon ends, since guests do not end with it; it goes with the last of them.

use crate::{linux::programs, patience};
use innkeeper_model::{Code, Refusal, host::Safeguard};
use innkeeper_store::harm::Helper;
use std::{
    fmt,
    net::IpAddr,
    ops::RangeInclusive,
    os::unix::fs::MetadataExt,
    process::Stdio,
    str::FromStr,
    sync::{Mutex, PoisonError},
};
use tokio::process::Command;
use tracing::debug;

/// The user ids that VMs run as: a range that nobody else on the host uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UidRange(RangeInclusive<u32>);

impl UidRange {
    /// The range from its first to its last user id.
    ///
    /// # Errors
    /// The range is empty, or has root or the kernel's "nobody" in it.
    pub fn new(first: u32, last: u32) -> Result<Self, Refusal> {
        let allowed = 1000..=0x7fff_fffe;
        if first > last || !allowed.contains(&first) || !allowed.contains(&last) {
            let value = format!("{first}-{last}");
            let problem = "is not a range of user ids that guests could have";
            return Err(Refusal::invalid("vm_uids", value, problem).with_limit(format!(
                "{}-{}",
                allowed.start(),
                allowed.end()
            )));
        }
        Ok(Self(first..=last))
    }

    /// The user ids, lowest first.
    pub fn ids(&self) -> RangeInclusive<u32> {
        self.0.clone()
    }
}

impl Default for UidRange {
    /// 65,536 ids below 2^31, away from those that distributions, containers and systemd give out
    /// (systemd's documentation of user id ranges ends at 1,879,048,191).
    fn default() -> Self {
        Self(2_000_000_000..=2_000_065_535)
    }
}

impl fmt::Display for UidRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.start(), self.0.end())
    }
}

impl FromStr for UidRange {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let unreadable =
            || Refusal::invalid("vm_uids", text, "is not a range such as 2000000000-2000065535");
        let (first, last) = text.split_once('-').ok_or_else(unreadable)?;
        let parse = |part: &str| part.trim().parse::<u32>().map_err(|_| unreadable());
        Self::new(parse(first)?, parse(last)?)
    }
}

/// Where the rule is, as far as is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Stand {
    /// An earlier daemon may have set it.
    #[default]
    Unknown,
    Set,
    /// It could not be set, for this reason.
    Missing(String),
    /// It was taken away, as nobody needs it.
    Lifted,
}

/// The firewall rule. Anybody who flushes the host's rules takes it away without a word, so it is set
/// anew before each guest that it is for, and from time to time while one runs.
#[derive(Debug)]
pub struct LoopbackGuard {
    uids: UidRange,
    root: bool,
    stand: Mutex<Stand>,
    one_at_a_time: tokio::sync::Mutex<()>,
}

impl LoopbackGuard {
    /// A guard for guests of these users. Nothing is changed yet. Without root it never acts: then
    /// drivers give private networks no way out.
    pub fn new(uids: UidRange, root: bool) -> Self {
        Self { uids, root, stand: Mutex::default(), one_at_a_time: tokio::sync::Mutex::default() }
    }

    /// Sets the rule, in one transaction that replaces what was there. When the future is dropped the
    /// rule is set or is as it was.
    ///
    /// # Errors
    /// `nft` is missing or refuses; no guest may then be given a way out.
    pub async fn ensure(&self) -> Result<(), Refusal> {
        if !self.root {
            return Ok(());
        }
        let _one = self.one_at_a_time.lock().await;
        let resolvers = resolvers(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
        let outcome = apply(&ruleset(&self.uids, &resolvers)).await;
        self.stands(match &outcome {
            Ok(()) => Stand::Set,
            Err(refusal) => Stand::Missing(refusal.message.clone()),
        });
        outcome
    }

    /// Takes the rule away, unless somebody needs it: who `is_needed` knows of, which is asked while nobody
    /// sets the rule, or a process of one of these users. Whether it was taken away. When the future is
    /// dropped the rule is gone or is as it was.
    ///
    /// # Errors
    /// `nft` refuses; the rule stays.
    pub async fn lift(&self, is_needed: impl FnOnce() -> bool) -> Result<bool, Refusal> {
        if !self.root || self.stand() == Stand::Lifted {
            return Ok(false);
        }
        let _one = self.one_at_a_time.lock().await;
        if is_needed() || has_process(&self.uids) {
            return Ok(false);
        }
        let was_unknown = self.stand() == Stand::Unknown;
        let outcome = apply(&removal(&table_name(*self.uids.ids().start()))).await;
        match outcome {
            // Where there is no nft there is no rule.
            Err(_) if was_unknown => {}
            outcome => outcome?,
        }
        self.stands(Stand::Lifted);
        Ok(true)
    }

    fn stand(&self) -> Stand {
        self.stand.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn stands(&self, stand: Stand) {
        *self.stand.lock().unwrap_or_else(PoisonError::into_inner) = stand;
    }

    /// What `inn host` shows.
    pub fn safeguard(&self) -> Safeguard {
        let (active, detail) = match (self.root, self.stand()) {
            (false, _) => {
                let detail = "private networks have no way out, since only root can set a firewall \
                              rule; run the daemon as root for guests that reach the outside";
                (false, detail.to_owned())
            }
            (true, Stand::Set) => {
                let detail = format!(
                    "a firewall rule keeps the users {} from this host's services",
                    self.uids
                );
                (true, detail)
            }
            (true, Stand::Missing(problem)) => {
                (false, format!("no VM with a NIC can start: {problem}"))
            }
            (true, Stand::Unknown | Stand::Lifted) => {
                (false, "the firewall rule is set before the first VM that needs it".into())
            }
        };
        Safeguard { name: "loopback".into(), active, detail }
    }
}

/// The name servers of the host that are on its own loopback. QEMU relays its guests' questions to
/// them. 127.0.0.1 is left out: it is where 10.0.2.2 leads, with whatever else listens there.
fn resolvers(resolv_conf: &str) -> Vec<IpAddr> {
    let address = |line: &str| line.strip_prefix("nameserver")?.trim().parse::<IpAddr>().ok();
    let first = IpAddr::from([127, 0, 0, 1]);
    resolv_conf
        .lines()
        .filter_map(address)
        .filter(|address| address.is_loopback() && address.is_ipv4() && *address != first)
        .collect()
}

/// What the table of the daemon with this number is called: the first user id of its guests.
pub(crate) fn table_name(instance: u32) -> String {
    format!("innkeeper_guests_{instance}")
}

/// The text that removes a table, whether it is there or not.
fn removal(table: &str) -> String {
    format!("table inet {table}\ndelete table inet {table}\n")
}

/// Whether a process of this host is one of these users'.
fn has_process(uids: &UidRange) -> bool {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_process = |entry: &std::fs::DirEntry| {
        entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit)
    };
    let mut owners = processes.filter(is_process).filter_map(|entry| entry.metadata().ok());
    owners.any(|owner| uids.ids().contains(&owner.uid()))
}

/// The table as one transaction that replaces what an earlier daemon set.
fn ruleset(uids: &UidRange, resolvers: &[IpAddr]) -> String {
    let table = table_name(*uids.ids().start());
    let mut rules = Vec::new();
    for address in resolvers {
        for protocol in ["udp", "tcp"] {
            rules.push(format!("ip daddr {address} {protocol} dport 53 accept"));
        }
    }
    // A connection is refused at its first packet alone, so that answers go out to whoever was let in
    // by a published port; asking for the connection's state instead would have the kernel track all
    // that passes over the loopback, which halves what other programs there can do.
    rules.push("oifname lo tcp flags & (syn | ack) == syn reject with tcp reset".into());
    rules.push("oifname lo meta l4proto != tcp reject".into());
    rules.push("ip daddr 169.254.0.0/16 reject".into());
    rules.push("ip6 daddr fe80::/10 reject".into());
    let rules: String = rules.iter().map(|rule| format!("    {rule}\n")).collect();
    let removal = removal(&table);
    format!(
        "{removal}table inet {table} {{\n  chain guests {{\n\
         {rules}  }}\n  chain output {{\n    type filter hook output priority 0;\n    \
         meta skuid {uids} jump guests\n  }}\n}}\n"
    )
}

async fn apply(ruleset: &str) -> Result<(), Refusal> {
    let failed = |message: String| {
        Refusal::new(Code::MissingProgram, message).with_hint(
            "install the package nftables; until then only VMs without a user-mode NIC can start",
        )
    };
    // Where the networks find it, too.
    let nft = programs::nft().map_err(|_missing| failed("nft is missing".into()))?;
    let mut nft = Command::new(nft);
    nft.args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let nft = Helper::start(&mut nft)
        .map_err(|error| failed(format!("nft cannot be started: {error}")))?;
    let output = patience::output(nft, ruleset.as_bytes(), patience::NFT).await?;
    if output.status.success() {
        debug!("the loopback guard is set");
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!("nft refused the rule that keeps guests from this host: {}", words.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_the_loopback_is_no() {
        let resolvers =
            resolvers("nameserver 127.0.0.53\nnameserver 127.0.0.1\nnameserver 9.9.9.9\n");
        let rules = ruleset(&UidRange::default(), &resolvers);
        let accept = rules.find("127.0.0.53 udp dport 53 accept").unwrap();
        let reject = rules.find("oifname lo tcp").unwrap();
        assert!(accept < reject);
        assert!(!rules.contains("127.0.0.1") && !rules.contains("9.9.9.9"), "{rules}");
    }

    #[test]
    fn ranges_with_root_or_people_in_them_are_refused() {
        for text in ["0-10", "500-2000", "2000-1000", "4294967295-4294967295", "abc", "1000"] {
            assert!(text.parse::<UidRange>().is_err(), "{text}");
        }
        assert_eq!("2000000000-2000065535".parse(), Ok(UidRange::default()));
    }
}
