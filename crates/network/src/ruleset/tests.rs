//! The text as a whole, and what it must never be.

use super::*;
use crate::testing::{network, plug};
use innkeeper_model::network::NetworkConfig;

fn named(name: &str) -> NetworkConfig {
    NetworkConfig::new(name.parse().unwrap())
}

/// One of everything.
fn desired() -> Desired {
    let lan = network(1, named("lan"), &["10.87.0.0/24", "fd00:87::/64"]);
    let joining = NetworkConfig { bridge: Some("br0".parse().unwrap()), ..named("office") };
    let office = network(2, joining, &["10.5.0.0/16"]);
    let isolated = NetworkConfig { isolated: true, nat: Some(false), ..named("lab") };
    let lab = network(3, isolated, &[]);
    let mut web = plug(1, &lan, &["10.87.0.2", "fd00:87::2"]);
    web.publish = vec!["8080:80".parse().unwrap(), "127.0.0.1:8443:443/tcp".parse().unwrap()];
    web.rate.out_kbit = Some(10_000);
    let mut clerk = plug(2, &office, &["10.5.0.2"]);
    clerk.publish = vec!["5353:53/udp".parse().unwrap()];
    let anybody = plug(3, &lab, &[]);
    Desired {
        networks: vec![lan, office, lab],
        nics: vec![web, clerk, anybody],
        metadata: Some("169.254.255.87:7101".parse().unwrap()),
    }
}

#[test]
fn the_whole_ruleset() {
    insta::assert_snapshot!(ruleset(7, &desired()).to_string());
}

#[test]
fn nothing_desired_is_nothing_but_the_removal() {
    assert_eq!(ruleset(7, &Desired::default()).to_string(), removal(7));
}

#[test]
fn a_thousand_nics_are_longer_sets_and_no_more_rules() {
    let lan = network(1, named("lan"), &["10.87.0.0/16"]);
    let with = |count: u16| {
        let nic = |number: u16| {
            plug(number, &lan, &[&format!("10.87.{}.{}", 1 + number / 250, number % 250)])
        };
        let nics = (0..count).map(nic).collect();
        ruleset(7, &Desired { networks: vec![lan.clone()], nics, metadata: None }).to_string()
    };
    let is_element = |line: &str| line.starts_with("      ") || line.contains("elements = ");
    let rules = |text: &str| text.lines().filter(|line| !is_element(line)).count();
    let (one, thousand) = (with(1), with(1000));
    assert_eq!(rules(&one), rules(&thousand));
    // Half of it binds the addresses that guests make for themselves to their MACs.
    assert!(thousand.len() < 340_000, "{} bytes", thousand.len());
}

#[test]
fn the_same_thing_twice_is_said_once() {
    let mut twice = desired();
    let mut other = twice.nics[0].clone();
    other.addresses = vec!["10.87.0.9".parse().unwrap()];
    twice.nics.push(other);
    let text = ruleset(7, &twice).to_string();
    // A map with one key twice would have the kernel refuse everything.
    assert_eq!(text.matches("tcp . 8080 : 10.87.0").count(), 1);
    twice.nics.push(plug(9, &network(9, named("gone"), &[]), &[]));
    assert_eq!(ruleset(7, &twice).to_string(), text, "a NIC on no network has no rules");
}

#[test]
fn a_link_local_address_is_the_one_of_its_hardware_address() {
    let address = link_local([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
    assert_eq!(address.to_string(), "fe80::5054:ff:fe12:3456");
}

#[test]
fn one_more_nic_is_a_few_elements_more_and_one_less_is_not() {
    let lan = network(1, named("lan"), &["10.87.0.0/24", "fd00:87::/64"]);
    let with = |nics: &[Plug]| {
        ruleset(7, &Desired { networks: vec![lan.clone()], nics: nics.to_vec(), metadata: None })
    };
    let nic = |number: u16| {
        plug(number, &lan, &[&format!("10.87.0.{number}"), &format!("fd00:87::{number}")])
    };
    let (one, other) = (nic(2), nic(3));
    // The first as well.
    for (before, after) in [
        (with(&[]), with(std::slice::from_ref(&one))),
        (with(std::slice::from_ref(&other)), with(&[one.clone(), other.clone()])),
    ] {
        let additions = before.additions(&after).unwrap();
        let text: String = additions.iter().map(|more| more.to_text("t")).collect();
        assert_eq!(additions.len(), 8, "{text}");
        assert_eq!(text.matches("add element bridge t ").count(), 8, "{text}");
        assert!(text.contains(one.tap.as_str()) && !text.contains(other.tap.as_str()), "{text}");
        assert!(text.contains(" derived6 { fe80::5054:ff:fe00:2 }"), "{text}");
        assert_eq!(after.additions(&before), None, "what is gone is not added");
    }
    let mut limited = other.clone();
    limited.rate.out_kbit = Some(64);
    let plain = with(std::slice::from_ref(&one));
    assert_eq!(plain.additions(&with(&[one.clone(), limited])), None, "a rule more");
    assert_eq!(plain.additions(&ruleset(7, &Desired::default())), None);
    assert_eq!(plain.additions(&plain).as_deref(), Some(&[][..]));
}
