//! A thousand domains: how long it takes to see them, against libvirt's own client.

mod support;

use innkeeper_driver::Neighbour;
use std::time::Instant;
use support::{Daemon, own::one_of_many, skip_without_libvirt, telling::Watched};

const DOMAINS: usize = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_domains_are_listed_about_as_soon_as_by_libvirts_own_client() {
    if skip_without_libvirt("a thousand domains are listed about as soon as by libvirts own client")
    {
        return;
    }
    let daemon = Daemon::start_with((0..DOMAINS).map(one_of_many));
    // libvirt first has to find out what QEMU can do.
    daemon.virsh(&["capabilities"]);
    let begin = Instant::now();
    let watched = Watched::at(daemon.socket(), None);
    let told = watched.ear.until("all are there", |told| told.surveys > 0).await;
    let first = begin.elapsed();
    assert_eq!(told.machines.len(), DOMAINS);
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
        assert_eq!(listed.matches("dom").count(), DOMAINS);
    }
    surveys.sort();
    listings.sort();
    let (survey, listing) = (surveys[4], listings[4]);
    println!(
        "first with every description {first:?}, survey {survey:?}, virsh list --all {listing:?}"
    );
    assert!(survey.as_secs_f64() <= 1.2 * listing.as_secs_f64(), "{survey:?}, virsh {listing:?}");
}
