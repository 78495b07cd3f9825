//! What it costs. Printed, and held to bounds that only a blunder breaks: `cargo test … -- --nocapture measure`.

use crate::yard::{named, on_a_host};
use innkeeper_network::HostNetworks;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

#[test]
fn measure_a_thousand_nics() {
    on_a_host(async |mut yard| {
        let daemon = yard.daemon();
        let network = yard.add_network(named("lan"), &["10.87.0.0/16"]);
        let timed = Instant::now();
        yard.apply(&daemon).await;
        eprintln!("the first network, dnsmasq and all: {:?}", timed.elapsed());
        let first = yard.add_nic(network, 1, &["10.87.0.2"]);
        let timed = Instant::now();
        yard.apply(&daemon).await;
        eprintln!("1 NIC more: {:?}", timed.elapsed());
        let lan = yard.network(network);
        let timed = Instant::now();
        let taps: u32 = 20;
        for _ in 0..taps {
            drop(daemon.open_tap(&first, &lan).await.unwrap());
        }
        eprintln!("opening and closing a tap: {:?}", timed.elapsed() / taps);
        let tap = daemon.open_tap(&first, &lan).await.unwrap();
        for number in 3..1002_u32 {
            let mut plug = first.clone();
            plug.vm = innkeeper_model::VmId::new();
            plug.tap = innkeeper_network::tap_name(plug.vm, &plug.nic);
            let [_, a, b, c] = number.to_be_bytes();
            plug.mac = innkeeper_model::config::MacAddress::from_suffix([a, b, c]);
            plug.addresses = vec![std::net::Ipv4Addr::from(0x0a57_0000 + number).into()];
            plug.hostname = format!("guest{number}");
            yard.desired.nics.push(plug);
        }
        let timed = Instant::now();
        yard.apply(&daemon).await;
        eprintln!("999 NICs more: {:?}", timed.elapsed());
        let last = yard.desired.nics.pop().unwrap();
        let timed = Instant::now();
        yard.apply(&daemon).await;
        eprintln!("1 of 1,000 less: {:?}", timed.elapsed());
        yard.desired.nics.push(last);
        yard.apply(&daemon).await;
        let desired = Arc::new(yard.desired.clone());
        let timed = Instant::now();
        daemon.apply(desired).await.unwrap();
        let same = timed.elapsed();
        eprintln!("nothing new of 1,000: {same:?}");
        assert!(same < Duration::from_millis(50));
        let timed = Instant::now();
        assert_eq!(daemon.survey().await.unwrap(), []);
        eprintln!("a survey of 1,000: {:?}", timed.elapsed());
        let mut times = Vec::new();
        let mut open = Vec::new();
        for plug in yard.desired.nics.iter().skip(1).take(21) {
            let timed = Instant::now();
            open.push(daemon.open_tap(plug, &lan).await.unwrap());
            times.push(timed.elapsed());
        }
        times.sort();
        eprintln!("opening a tap: {:?} to {:?}, half within {:?}", times[0], times[20], times[10]);
        drop(tap);
    });
}
