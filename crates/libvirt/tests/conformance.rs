//! libvirt passes what every neighbour must: with domains that are only remembered, which is quick, and
//! with QEMU's.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use async_trait::async_trait;
use innkeeper_driver::{
    Neighbour,
    conformance::{NeighbourFixture, OwnersDeed, check_neighbour},
};
use innkeeper_libvirt::{Libvirt, LibvirtOptions};
use innkeeper_model::VmId;
use std::sync::{Arc, Mutex};
use support::{Daemon, skip_without_libvirt, telling::Watched};

struct Fixture {
    daemon: Mutex<Daemon>,
    /// Which of libvirt's drivers.
    uri: &'static str,
    /// What kind of domains it has.
    kind: &'static str,
}

impl Fixture {
    fn new(uri: &'static str, kind: &'static str) -> Self {
        Self { daemon: Mutex::new(Daemon::start()), uri, kind }
    }

    fn is_qemu(&self) -> bool {
        self.kind == "qemu"
    }

    fn virsh(&self, arguments: &[&str]) -> String {
        self.daemon.lock().unwrap().virsh_at(self.uri, arguments)
    }
}

#[async_trait]
impl NeighbourFixture for Fixture {
    async fn neighbour(&self) -> Arc<dyn Neighbour> {
        let socket = self.daemon.lock().unwrap().socket();
        Arc::new(Libvirt::new(LibvirtOptions { socket, uri: Some(self.uri.into()) }))
    }

    async fn define(&self, name: &str) -> VmId {
        let machine = if self.is_qemu() { "arch='x86_64' machine='q35'" } else { "" };
        let xml = format!(
            "<domain type='{}'><name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>\
             <os><type {machine}>hvm</type></os><features><acpi/></features><devices>\
             <controller type='usb' model='none'/><memballoon model='none'/></devices></domain>",
            self.kind
        );
        self.daemon.lock().unwrap().define(self.uri, &xml);
        self.virsh(&["domuuid", name]).trim().parse().unwrap()
    }

    async fn owner(&self, machine: VmId, does: OwnersDeed) {
        let verb = match does {
            OwnersDeed::Start => "start",
            OwnersDeed::Pause => "suspend",
            OwnersDeed::Resume => "resume",
            OwnersDeed::End => "destroy",
            OwnersDeed::Undefine => "undefine",
        };
        self.virsh(&[verb, &machine.to_string()]);
    }

    async fn cut(&self) {
        let mut daemon = self.daemon.lock().unwrap();
        daemon.kill();
        std::fs::remove_file(daemon.socket()).unwrap();
    }

    async fn mend(&self) {
        self.daemon.lock().unwrap().run();
    }

    /// Firmware without anything to boot does not.
    fn guests_power_off(&self) -> bool {
        !self.is_qemu()
    }

    /// What is only remembered is forgotten with its daemon.
    fn can_be_cut(&self) -> bool {
        self.is_qemu()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms_with_domains_that_are_only_remembered() {
    if skip_without_libvirt("it conforms with domains that are only remembered") {
        return;
    }
    let fixture = Fixture::new("test:///default", "test");
    // These are forgotten when nobody is connected.
    let socket = fixture.daemon.lock().unwrap().socket();
    let stays = Watched::at(socket, Some(fixture.uri));
    stays.ear.until("it is connected", |told| told.surveys > 0).await;
    check_neighbour(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms_with_qemus_domains() {
    if skip_without_libvirt("it conforms with qemus domains") {
        return;
    }
    check_neighbour(&Fixture::new("qemu:///session", "qemu")).await;
}
