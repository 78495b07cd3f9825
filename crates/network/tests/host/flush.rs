//! What holds while somebody has flushed the host's rules: what needs none. And that a flush is told at once.

use crate::{
    guest::Guest,
    namespace::run,
    other_nft::OtherNft,
    yard::{INSTANCE, named, on_a_host, until},
};
use innkeeper_network::HostNetworks;
use std::{net::UdpSocket, time::Duration};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// More than it takes until something is told, if it is; a surveys' own pace is half a minute.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// Has a guest send what is for 127.0.0.0/8 to its router.
fn send_loopback_out(guest: &Guest, router: &str) {
    for range in ["127.0.0.0/8", "127.0.0.1"] {
        guest.inside.run(&format!("ip route del local {range} dev lo table local"));
    }
    guest.inside.run(&format!("ip route add 127.0.0.0/8 via {router}"));
}

/// Whether a guest's packet comes to a program of the host that listens there.
fn is_heard(guest: &Guest, address: &str) -> bool {
    let heard = UdpSocket::bind(address).unwrap();
    heard.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    let address = address.to_owned();
    guest.inside.call(move || {
        UdpSocket::bind("10.87.0.2:0").unwrap().send_to(b"let me in", address).unwrap();
    });
    heard.recv(&mut [0; 64]).is_ok()
}

#[test]
fn no_guest_reaches_the_hosts_loopback_by_a_flush_of_the_rules() {
    on_a_host(async |mut yard| {
        let network = yard.add_network(named("lan"), &["10.87.0.0/24"]);
        let plug = yard.add_nic(network, 1, &["10.87.0.2"]);
        yard.desired.metadata = Some("169.254.255.87:5555".parse().unwrap());
        let daemon = yard.daemon();
        yard.apply(&daemon).await;
        let guest = yard.guest(&daemon, &plug).await;
        guest.take("10.87.0.2/24", "10.87.0.1");
        send_loopback_out(&guest, "10.87.0.1");
        assert!(!is_heard(&guest, "127.0.0.1:9"), "with the rules");
        assert!(!is_heard(&guest, "10.87.0.1:9"), "with the rules");

        run("nft flush ruleset");
        assert!(is_heard(&guest, "10.87.0.1:9"), "there is no rule left");
        assert!(!is_heard(&guest, "127.0.0.1:9"), "without the rules");
        // It is this setting that keeps it off, and a survey sees to it.
        let setting = format!("net.ipv4.conf.{}.route_localnet", yard.network(network).bridge);
        run(&format!("busybox sysctl -qw {setting}=1"));
        assert!(is_heard(&guest, "127.0.0.1:9"), "the guest's packets do come here");
        daemon.survey().await.unwrap();
        run("nft flush ruleset");
        assert!(!is_heard(&guest, "127.0.0.1:9"), "after a survey");
    });
}

#[test]
fn the_loopback_is_on_a_bridges_way_only_while_a_port_of_it_is_published() {
    on_a_host(async |mut yard| {
        let network = yard.add_network(named("lan"), &["10.87.0.0/24", "fd00:87::/64"]);
        yard.add_nic(network, 1, &["10.87.0.2", "fd00:87::2"]);
        yard.desired.metadata = Some("169.254.255.87:5555".parse().unwrap());
        let daemon = yard.daemon();
        let setting = format!("net.ipv4.conf.{}.route_localnet", yard.network(network).bridge);
        for (port, is_let_in) in [
            (None, "0"),
            (Some("8080:80"), "1"),
            (Some("192.0.2.1:8080:80"), "0"),
            (Some("127.0.0.2:8080:80"), "1"),
            (Some("[2001:db8::1]:8080:80"), "0"),
            (Some("127.0.0.1:8080:80/udp"), "1"),
            (None, "0"),
        ] {
            yard.desired.nics[0].publish = port.iter().map(|port| port.parse().unwrap()).collect();
            yard.apply(&daemon).await;
            let now = run(&format!("busybox sysctl -n {setting}"));
            assert_eq!(now.trim(), is_let_in, "{port:?}");
        }
    });
}

#[test]
fn what_others_do_to_the_rules_is_told_and_what_the_daemon_does_is_not() {
    on_a_host(async |mut yard| {
        let network = yard.add_network(named("lan"), &["10.87.0.0/24"]);
        yard.add_nic(network, 1, &["10.87.0.2"]);
        let daemon = yard.daemon();
        let mut disturbed = daemon.disturbed();
        yard.apply(&daemon).await;
        yard.add_nic(network, 2, &["10.87.0.3"]);
        yard.apply(&daemon).await;
        yard.desired.nics[0].publish = vec!["8080:80".parse().unwrap()];
        yard.apply(&daemon).await;
        yard.desired.nics.pop();
        yard.apply(&daemon).await;
        assert_eq!(daemon.survey().await.unwrap(), []);
        run("nft add table inet others");
        run("nft delete table inet others");
        let guard = format!("inet innkeeper_guests_{INSTANCE}");
        std::fs::write(
            yard.folder.path().join("again"),
            format!("table {guard}\ndelete table {guard}\ntable {guard} {{\n}}\n"),
        )
        .unwrap();
        let set_again = format!("nft -f {}", yard.folder.path().join("again").display());
        run(&set_again);
        run(&set_again);
        // What is never told can only be waited for.
        sleep(Duration::from_millis(300)).await;
        assert!(!disturbed.has_changed().unwrap(), "nobody else was at them");

        let ours = format!("innkeeper_networks_{INSTANCE}");
        for (command, words) in [
            ("nft flush ruleset".to_owned(), "flush"),
            (format!("nft flush chain bridge {ours} guest"), "changed by somebody"),
            (format!("nft delete table inet {ours}"), "flush"),
        ] {
            run(&command);
            let told = timeout(TOLD_WITHIN, disturbed.changed()).await;
            told.unwrap_or_else(|_| panic!("{command}: nothing was told")).unwrap();
            let found = daemon.survey().await.unwrap();
            assert!(
                found.iter().any(|finding| finding.text.contains(words) && finding.mended),
                "{command}: {found:?}"
            );
            assert_eq!(daemon.survey().await.unwrap(), [], "after {command}");
        }
        // Before it was looked at how they are listed, too.
        yard.desired.nics[0].publish.clear();
        yard.apply(&daemon).await;
        run(&format!("nft flush chain bridge {ours} guest"));
        let told = timeout(TOLD_WITHIN, disturbed.changed()).await;
        told.expect("it is told").unwrap();
        assert!(daemon.survey().await.unwrap()[0].text.contains("changed by somebody"));
        assert_eq!(daemon.survey().await.unwrap(), []);

        run(&set_again);
        for command in
            [format!("nft add chain {guard} guests"), format!("nft delete table {guard}")]
        {
            run(&command);
            let told = timeout(TOLD_WITHIN, disturbed.changed()).await;
            told.unwrap_or_else(|_| panic!("{command}: nothing was told")).unwrap();
            assert_eq!(daemon.survey().await.unwrap(), []);
        }
    });
}

#[test]
fn what_others_do_during_the_first_look_is_not_taken_for_what_should_be() {
    on_a_host(async |mut yard| {
        let network = yard.add_network(named("lan"), &["10.87.0.0/24"]);
        yard.add_nic(network, 1, &["10.87.0.2"]);
        let daemon = yard.daemon();
        yard.apply(&daemon).await;
        let once = yard.folder.path().join("once").display().to_string();
        let flush = format!("$real flush chain bridge innkeeper_networks_{INSTANCE} guest");
        let other = OtherNft::of(&yard, &format!("[ $1 = -s ] && mkdir {once} 2>&- && {flush}"));
        let found = daemon.survey().await.unwrap();
        assert!(
            found.iter().any(|one| one.text.contains("changed by somebody") && one.mended),
            "{found:?}"
        );
        assert_eq!(daemon.survey().await.unwrap(), []);
        other.end();
    });
}

#[test]
fn a_change_that_nobody_waited_for_to_its_end_is_no_others() {
    on_a_host(async |mut yard| {
        let network = yard.add_network(named("lan"), &["10.87.0.0/24"]);
        yard.add_nic(network, 1, &["10.87.0.2"]);
        let daemon = yard.daemon();
        let disturbed = daemon.disturbed();
        yard.apply(&daemon).await;
        // Behind whoever waits for the host, so that the next is not.
        assert_eq!(daemon.survey().await.unwrap(), []);
        let second = yard.add_nic(network, 2, &["10.87.0.3"]);
        tokio::select! {
            biased;
            applied = daemon.apply(yard.desired.clone().into()) => panic!("at once: {applied:?}"),
            () = std::future::ready(()) => {}
        }
        let table = format!("nft list table bridge innkeeper_networks_{INSTANCE}");
        until("it is in force", || run(&table).contains(second.tap.as_str())).await;
        // What is never told can only be waited for.
        sleep(Duration::from_millis(300)).await;
        assert!(!disturbed.has_changed().unwrap(), "nobody else was at them");
        yard.apply(&daemon).await;
        for _ in 0..2 {
            assert_eq!(daemon.survey().await.unwrap(), []);
        }
        sleep(Duration::from_millis(300)).await;
        assert!(!disturbed.has_changed().unwrap(), "nobody else was at them");
    });
}

#[test]
fn who_never_leaves_the_rules_alone_is_contended_with_once_a_second_at_most() {
    on_a_host(async |mut yard| {
        let network = yard.add_network(named("lan"), &["10.87.0.0/24"]);
        yard.add_nic(network, 1, &["10.87.0.2"]);
        let daemon = yard.daemon();
        yard.apply(&daemon).await;
        assert_eq!(daemon.survey().await.unwrap(), []);
        let mut disturbed = daemon.disturbed();
        let flush = format!("flush chain bridge innkeeper_networks_{INSTANCE} guest");
        let contender =
            OtherNft::of(&yard, &format!("[ $1 = -f ] && $real \"$@\" && exec $real {flush}"));
        run(&format!("nft {flush}"));
        let until = Instant::now() + Duration::from_millis(2500);
        let mut told = 0;
        while timeout_at(until, disturbed.changed()).await.is_ok() {
            told += 1;
            daemon.survey().await.unwrap();
        }
        assert!((2..=3).contains(&told), "told {told} times");
        contender.end();
    });
}
