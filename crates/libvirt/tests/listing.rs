//! A thousand domains: how long it takes to see them, against libvirt's own client.

mod support;

use innkeeper_driver::Neighbour;
use std::time::Instant;
use support::{Daemon, skip_without_libvirt, telling::Watched};

const DOMAINS: u32 = 1_000;

fn domain(number: u32) -> (String, String) {
    let (name, mac) = (
        format!("dom{number:04}"),
        format!("52:54:00:00:{:02x}:{:02x}", number >> 8, number & 255),
    );
    let xml = format!(
        "<domain type='qemu'><name>{name}</name><uuid>6c2a1ad0-8f2c-4a36-9e0a-{number:012x}</uuid>\
         <title>Machine {number}</title><memory unit='MiB'>128</memory><vcpu>2</vcpu>\
         <os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features><devices>\
         <emulator>/usr/bin/qemu-system-x86_64</emulator>\
         <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/nowhere/{name}.qcow2'/>\
         <target dev='vda' bus='virtio'/></disk>\
         <interface type='user'><mac address='{mac}'/><model type='virtio'/></interface>\
         </devices></domain>"
    );
    (name, xml)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_domains_are_listed_about_as_soon_as_by_libvirts_own_client() {
    if skip_without_libvirt("a thousand domains are listed about as soon as by libvirts own client")
    {
        return;
    }
    let daemon = Daemon::start_with((0..DOMAINS).map(domain));
    // libvirt first has to find out what QEMU can do.
    daemon.virsh(&["capabilities"]);
    let begin = Instant::now();
    let watched = Watched::at(daemon.socket(), None);
    let told = watched.ear.until("all are there", |told| told.surveys > 0).await;
    let first = begin.elapsed();
    assert_eq!(told.machines.len(), DOMAINS as usize);
    let machine = told.machine("dom0999").unwrap();
    assert_eq!((machine.is.cpus, machine.is.title.as_deref()), (2, Some("Machine 999")));
    assert!(machine.is.persistent && !machine.is.autostart && machine.is.disks.len() == 1);

    let mut surveys = Vec::new();
    let mut listings = Vec::new();
    for _ in 0..9 {
        let begin = Instant::now();
        watched.libvirt.survey().await.unwrap();
        surveys.push(begin.elapsed());
        let begin = Instant::now();
        let listed = daemon.virsh(&["list", "--all"]);
        listings.push(begin.elapsed());
        assert_eq!(listed.matches("dom").count(), DOMAINS as usize);
    }
    surveys.sort();
    listings.sort();
    let (survey, listing) = (surveys[4], listings[4]);
    println!(
        "first with every description {first:?}, survey {survey:?}, virsh list --all {listing:?}"
    );
    assert!(survey.as_secs_f64() <= 1.2 * listing.as_secs_f64(), "{survey:?}, virsh {listing:?}");
}
