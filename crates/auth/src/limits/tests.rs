use super::*;
use crate::{identity::Identity, role::Role};
use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

const NOW: Duration = Duration::from_secs(1000);

fn principal(name: &str, class: Class) -> Principal {
    let identity = Identity::Issued { name: Arc::from(name) };
    Principal { class, ..Principal::anonymous(identity, Role::Viewer) }
}

/// How many of so many requests pass at this time.
fn passed(
    limits: &Limits,
    who: Who<'_>,
    entry: Entry,
    kind: Kind,
    count: usize,
    now: Duration,
) -> usize {
    (0..count).filter(|_| limits.count(who, entry, kind, now).is_ok()).count()
}

#[test]
fn each_has_its_own_quota_by_class_entrance_and_kind() {
    let limits = Limits::new(Quotas::default());
    let count = |class, entry, kind| {
        let name = format!("{class:?}");
        passed(&limits, Who::Known(&principal(&name, class)), entry, kind, 5000, NOW)
    };
    assert_eq!(count(Class::Standard, Entry::Vmm, Kind::Read), 100);
    assert_eq!(count(Class::Privileged, Entry::Vmm, Kind::Read), 1000);
    assert_eq!(count(Class::Standard, Entry::Other, Kind::Read), 200);
    assert_eq!(count(Class::Unlimited, Entry::Other, Kind::Write), 5000);
    // What was read before takes nothing from what is written or opened.
    assert_eq!(count(Class::Standard, Entry::Other, Kind::Write), 20);
    assert_eq!(count(Class::Standard, Entry::Other, Kind::Stream), 20);
    assert_eq!(count(Class::Standard, Entry::Vmm, Kind::Write), 100);
    // Somebody else's is whole.
    let other = principal("else", Class::Standard);
    assert_eq!(passed(&limits, Who::Known(&other), Entry::Vmm, Kind::Read, 5000, NOW), 100);
}

#[test]
fn the_vmm_doors_account_of_a_minute_is_made_whole_by_the_next() {
    let limits = Limits::new(Quotas::default());
    let caller = principal("a", Class::Standard);
    let count = |now| passed(&limits, Who::Known(&caller), Entry::Vmm, Kind::Write, 1000, now);
    assert_eq!(count(NOW), 100);
    let exceeded = limits.count(Who::Known(&caller), Entry::Vmm, Kind::Write, NOW).unwrap_err();
    assert_eq!(exceeded.quota, Quota::per_minute(100));
    assert_eq!(exceeded.wait, Duration::from_millis(600));
    assert_eq!(count(NOW + Duration::from_secs(6)), 10);
    assert_eq!(count(NOW + Duration::from_secs(66)), 100);
}

#[test]
fn who_shows_nothing_is_counted_by_source_and_locks_nobody_out() {
    let limits = Limits::new(Quotas::default());
    let count = |source| passed(&limits, Who::Unknown(source), Entry::Other, Kind::Read, 1000, NOW);
    assert_eq!(count(Source::User(1000)), 20);
    // By whichever entrance, and whatever it asks for.
    let who = Who::Unknown(Source::User(1000));
    assert!(limits.count(who, Entry::Vmm, Kind::Write, NOW).is_err());
    // Another user of the same host is another.
    assert_eq!(count(Source::User(1001)), 20);
    assert_eq!(count(Source::ThisHost), 20);
    let of = |address: &str| Source::of_address(address.parse().unwrap());
    assert_eq!(count(of("192.0.2.1")), 20);
    assert_eq!(count(of("192.0.2.2")), 20);
    assert_eq!(count(of("::ffff:192.0.2.1")), 0);
    let known = principal("a", Class::Standard);
    assert!(limits.count(Who::Known(&known), Entry::Other, Kind::Read, NOW).is_ok());
}

#[test]
fn wrong_credentials_keep_nobody_from_signing_in() {
    let limits = Limits::new(Quotas::default());
    let source = Source::User(1000);
    let count = |who, kind| passed(&limits, who, Entry::Other, kind, 1000, NOW);
    assert_eq!(count(Who::Unknown(source), Kind::Write), 20);
    assert_eq!(count(Who::Anybody(source), Kind::Write), 20);
    assert_eq!(count(Who::Anybody(source), Kind::Read), 0, "it has an end, too");
    assert_eq!(count(Who::Unproved(source), Kind::Read), 20, "and so have signatures");
    // Whoever else is on this host still signs in.
    assert_eq!(count(Who::Anybody(Source::User(1001)), Kind::Write), 20);
}

/// What a hash map of so many entries takes: each has a byte beside it, an eighth is kept free, and there is a
/// power of two of them.
fn bytes(limits: &Limits) -> usize {
    let of_shard = |shard: &Mutex<Shard>| {
        let capacity = lock(shard).callers.capacity();
        (capacity * 8 / 7).next_power_of_two() * (size_of::<(Key, Arrivals)>() + 1)
    };
    limits.shards.iter().map(of_shard).sum()
}

#[test]
fn a_hundred_thousand_callers_take_little_and_are_forgotten() {
    let limits = Limits::new(Quotas::default());
    for number in 0..100_000 {
        let caller = principal(&number.to_string(), Class::Standard);
        limits.count(Who::Known(&caller), Entry::Vmm, Kind::Read, NOW).unwrap();
    }
    assert_eq!(limits.len(), 100_000);
    assert!(bytes(&limits) <= 32 << 20, "{} bytes", bytes(&limits));
    limits.forget(NOW + Duration::from_millis(599));
    assert_eq!(limits.len(), 100_000);
    limits.forget(NOW + Duration::from_millis(600));
    assert!(limits.is_empty());
    assert!(bytes(&limits) <= 1 << 20, "{} bytes are kept", bytes(&limits));
}

#[test]
fn who_is_over_makes_room_for_who_comes() {
    let limits = Limits::new(Quotas::default());
    for round in 0..20 {
        let now = NOW + round * Duration::from_secs(1);
        for number in 0..1000 {
            let caller = principal(&format!("{round}-{number}"), Class::Standard);
            limits.count(Who::Known(&caller), Entry::Other, Kind::Read, now).unwrap();
        }
    }
    assert!(limits.len() < 6 * 1000, "{} are remembered", limits.len());
}

#[test]
fn who_comes_when_there_is_no_place_shares_one() {
    let limits = Limits::new(Quotas::default());
    let addresses =
        (0..2 * MAX_CALLERS as u128).map(|number| IpAddr::from(Ipv6Addr::from(number << 64)));
    let mut passed = 0;
    for address in addresses {
        let who = Who::Unknown(Source::of_address(address));
        passed += usize::from(limits.count(who, Entry::Other, Kind::Read, NOW).is_ok());
    }
    assert!(limits.len() <= MAX_CALLERS + 2 * SHARDS, "{}", limits.len());
    assert!(passed <= MAX_CALLERS + 20 * SHARDS, "{passed}");
    assert!(bytes(&limits) <= 64 << 20);
    // Those who are known are not counted with them.
    let known = principal("a", Class::Standard);
    assert!(limits.count(Who::Known(&known), Entry::Other, Kind::Read, NOW).is_ok());
}

#[test]
fn threads_count_together() {
    let limits = Limits::new(Quotas::default());
    let caller = principal("a", Class::Standard);
    let count = || passed(&limits, Who::Known(&caller), Entry::Other, Kind::Read, 1000, NOW);
    let total: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(total, 200);
}
