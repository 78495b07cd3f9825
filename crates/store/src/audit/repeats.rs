//! Refusals that are given over and over: the first few have a line each, the rest are counted.

use innkeeper_model::{AuditEntry, Code};
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// How many of one kind have a line of their own in one [`WINDOW`].
pub(super) const EACH: u64 = 10;
/// How long they are counted together.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// The most kinds that are told apart at a time; the rest are one kind.
pub(super) const MAX_KINDS: usize = 1024;

/// Whose refusal it is, and which.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    door: Option<String>,
    /// The caller; or where they come from, where nobody knows who they are.
    who: Option<String>,
    code: Option<Code>,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    seen: u64,
    /// The last of those that were only counted.
    last: Option<AuditEntry>,
}

/// What was refused lately.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    windows: HashMap<Kind, Window>,
}

impl Kind {
    fn of(entry: &AuditEntry) -> Self {
        let host = || entry.address.as_deref().map(host);
        let who = entry.caller.clone().or_else(host);
        Self { door: entry.door.clone(), who, code: entry.code }
    }

    fn any() -> Self {
        Self { door: None, who: None, code: None }
    }
}

/// Who an address is of: ports are as many as connections, and of addresses a host has more than one. An IPv6 one
/// counts by its /64; all that lead to this host itself count as one, since whoever is on it may call from any.
fn host(address: &str) -> String {
    let Ok(address) = address.parse::<SocketAddr>() else { return address.to_owned() };
    match address.ip().to_canonical() {
        own if own.is_loopback() => "this host".into(),
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

impl Repeats {
    /// The line, if it is to be written as it is; else it is counted.
    pub(super) fn admit(&mut self, entry: AuditEntry, now: Instant) -> Option<AuditEntry> {
        let mut kind = Kind::of(&entry);
        if self.windows.len() >= MAX_KINDS && !self.windows.contains_key(&kind) {
            kind = Kind::any();
        }
        let window = self.windows.entry(kind).or_insert(Window { since: now, seen: 0, last: None });
        window.seen += 1;
        if window.seen <= EACH {
            return Some(entry);
        }
        window.last = Some(entry);
        None
    }

    /// Forgets what is over by now, and returns a line for each kind of which some were only counted.
    pub(super) fn over(&mut self, now: Instant) -> Vec<AuditEntry> {
        self.end(|window| now.saturating_duration_since(window.since) >= WINDOW)
    }

    /// Forgets everything, and returns such lines.
    pub(super) fn all(&mut self) -> Vec<AuditEntry> {
        self.end(|_| true)
    }

    /// How long it is until something is over; `None` where there is nothing.
    pub(super) fn next(&self, now: Instant) -> Option<Duration> {
        let since = self.windows.values().map(|window| window.since).min()?;
        Some((since + WINDOW).saturating_duration_since(now))
    }

    fn end(&mut self, is_over: impl Fn(&Window) -> bool) -> Vec<AuditEntry> {
        let mut lines = Vec::new();
        for (kind, window) in self.windows.extract_if(|_, window| is_over(window)) {
            let Some(mut line) = window.last else { continue };
            line.count = Some(window.seen - EACH);
            line.message = Some(format!("so many more within {} s", WINDOW.as_secs()));
            if kind == Kind::any() {
                // They were different callers', maybe.
                (line.caller, line.address, line.code) = (None, None, None);
            }
            lines.push(line);
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use innkeeper_model::{AuditOutcome, Timestamp};

    fn refusal(caller: Option<&str>, address: &str) -> AuditEntry {
        AuditEntry {
            caller: caller.map(str::to_owned),
            address: Some(address.into()),
            code: Some(Code::Unauthenticated),
            ..AuditEntry::new(Timestamp::UNIX_EPOCH, "GET /v1/vms", AuditOutcome::Refused)
        }
    }

    #[test]
    fn the_first_have_lines_and_the_rest_one_line() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        let lines = |repeats: &mut Repeats, who: Option<&str>, port: u16| {
            repeats.admit(refusal(who, &format!("127.0.0.1:{port}")), now).is_some()
        };
        let written = (0..1000).filter(|port| lines(&mut repeats, None, *port)).count();
        assert_eq!(written as u64, EACH);
        assert!(lines(&mut repeats, Some("uid:7"), 1), "somebody else's was counted with them");
        assert!(repeats.over(now).is_empty());
        assert_eq!(repeats.next(now), Some(WINDOW));
        let over = repeats.over(now + WINDOW);
        assert_eq!(over.len(), 1, "{over:?}");
        assert_eq!(over[0].count, Some(1000 - EACH));
        assert_eq!(repeats.next(now), None);
        assert!(lines(&mut repeats, None, 1), "the next minute begins anew");
    }

    #[test]
    fn who_has_many_addresses_is_one_host() {
        for addresses in [
            ["127.0.0.1:1", "127.9.8.7:1", "[::1]:1", "[::ffff:127.0.0.1]:1"],
            ["192.0.2.1:1", "192.0.2.1:2", "[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.1]:2"],
            ["[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::ffff:0:0:1]:2", "[2001:db8::]:3"],
        ] {
            assert!(
                addresses.iter().all(|other| host(other) == host(addresses[0])),
                "{addresses:?}"
            );
        }
        assert_ne!(host("192.0.2.1:1"), host("192.0.2.2:1"));
        assert_ne!(host("[2001:db8::1]:1"), host("[2001:db8:0:1::1]:1"));
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        let address = |n: u32| format!("127.0.{}.{}:1", n / 256, n % 256);
        let admitted =
            (1..1000).filter(|n| repeats.admit(refusal(None, &address(*n)), now).is_some());
        assert_eq!(admitted.count() as u64, EACH);
    }

    #[test]
    fn kinds_are_bounded() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        let mut written = 0;
        for host in 0..10 * MAX_KINDS {
            let address = format!("10.0.{}.{}:1", host / 256, host % 256);
            written += usize::from(repeats.admit(refusal(None, &address), now).is_some());
        }
        assert!(repeats.windows.len() <= MAX_KINDS + 1);
        assert_eq!(written, MAX_KINDS + EACH as usize);
        let over = repeats.all();
        assert_eq!(over.len(), 1);
        assert_eq!((over[0].count, &over[0].address), (Some(9 * 1024 - EACH), &None));
    }
}
