//! What the checks of every neighbour leave out: starts that are given up on the way, what others do
//! meanwhile, and much at once.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use innkeeper_driver::{Crash, Driver, Neighbour, Step, StepContext, StepError};
use innkeeper_model::{Code, MachineState, VmId};
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use support::{DEADLINE, Daemon, skip_without_libvirt, telling::Watched};

const QEMU: &str = "qemu:///session";
/// Domains that are only remembered, as long as somebody is connected.
const TEST: &str = "test:///default";

fn step(name: &str, arguments: &Value) -> Step {
    Step::new(name, 1, Crash::Repeat, arguments)
}

fn start() -> Step {
    step("libvirt/start", &json!({}))
}

struct Bench {
    daemon: Daemon,
    watched: Watched,
    driver: Arc<dyn Driver>,
    uri: &'static str,
}

impl Bench {
    async fn new(uri: &'static str) -> Self {
        let daemon = Daemon::start();
        let watched = Watched::at(daemon.socket(), Some(uri));
        watched.ear.until("it is connected", |told| told.surveys > 0).await;
        let driver = watched.libvirt.driver();
        Self { daemon, watched, driver, uri }
    }

    async fn define(&self, name: &str) -> VmId {
        let (kind, machine) = match self.uri {
            QEMU => ("qemu", "arch='x86_64' machine='q35'"),
            _ => ("test", ""),
        };
        let xml = format!(
            "<domain type='{kind}'><name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>\
             <os><type {machine}>hvm</type></os><features><acpi/></features><devices>\
             <controller type='usb' model='none'/><memballoon model='none'/></devices></domain>"
        );
        self.daemon.define(self.uri, &xml);
        self.watched.ear.until_machine(name, |_| true).await.id
    }

    fn virsh(&self, arguments: &[&str]) -> String {
        self.daemon.virsh_at(self.uri, arguments)
    }

    fn state(&self, name: &str) -> MachineState {
        self.watched.ear.told().machine(name).unwrap().machine
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_given_up_on_the_way_leaves_nothing() {
    if skip_without_libvirt("starts that are given up") {
        return;
    }
    let bench = Bench::new(QEMU).await;
    let vm = bench.define("web").await;
    for milliseconds in [0, 5, 20, 100, 300, 600] {
        let context = StepContext::default();
        let cancel = async {
            // The moment itself is tried; nothing tells how far libvirt is then.
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            context.cancelled.cancel();
            Instant::now()
        };
        let begun = start();
        let (outcome, cancelled) = tokio::join!(bench.driver.perform(vm, &begun, &context), cancel);
        assert!(matches!(outcome, Ok(()) | Err(StepError::Cancelled)), "{outcome:?}");
        assert!(cancelled.elapsed() < Duration::from_secs(2), "{milliseconds} ms");
        for _twice in 0..2 {
            bench.driver.undo(vm, &begun).await.unwrap();
            assert_eq!(bench.state("web"), MachineState::Absent, "after {milliseconds} ms");
            assert_eq!(bench.virsh(&["domstate", "web"]).trim(), "shut off");
        }
    }
    bench.driver.perform(vm, &start(), &StepContext::default()).await.unwrap();
    assert_eq!(bench.state("web"), MachineState::Running);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_began_is_neither_begun_again_nor_taken_back() {
    if skip_without_libvirt("what others begin") {
        return;
    }
    let bench = Bench::new(TEST).await;
    let vm = bench.define("web").await;
    bench.virsh(&["start", "web"]);
    let begun = start();
    bench.driver.perform(vm, &begun, &StepContext::default()).await.unwrap();
    bench.driver.undo(vm, &begun).await.unwrap();
    assert_eq!(bench.virsh(&["domstate", "web"]).trim(), "running");

    // A start of one's own, and then another run: that is not taken back, either.
    bench.virsh(&["destroy", "web"]);
    bench.driver.perform(vm, &begun, &StepContext::default()).await.unwrap();
    bench.virsh(&["destroy", "web"]);
    bench.virsh(&["start", "web"]);
    bench.driver.undo(vm, &begun).await.unwrap();
    assert_eq!(bench.virsh(&["domstate", "web"]).trim(), "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_taken_back_where_it_was_one() {
    if skip_without_libvirt("pauses that are taken back") {
        return;
    }
    let bench = Bench::new(TEST).await;
    let vm = bench.define("web").await;
    bench.driver.perform(vm, &start(), &StepContext::default()).await.unwrap();
    let run = bench.watched.ear.told().machine("web").unwrap().is.run;
    for (ran, then) in [(true, MachineState::Running), (false, MachineState::Paused)] {
        let pause = step("libvirt/pause", &json!({ "run": run, "ran": ran }));
        bench.driver.perform(vm, &pause, &StepContext::default()).await.unwrap();
        assert_eq!(bench.state("web"), MachineState::Paused);
        for _twice in 0..2 {
            bench.driver.undo(vm, &pause).await.unwrap();
            assert_eq!(bench.state("web"), then);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_libvirt_has_not_or_refuses_is_said_in_its_words() {
    if skip_without_libvirt("refusals of libvirt's") {
        return;
    }
    let bench = Bench::new(QEMU).await;
    let nobody = bench.driver.perform(VmId::new(), &start(), &StepContext::default()).await;
    let Err(StepError::Failed(refusal)) = nobody else { panic!("{nobody:?}") };
    assert_eq!(refusal.code, Code::NotFound, "{refusal}");

    let vm = bench.define("web").await;
    let disk = "<disk type='file'><source file='/nowhere/disk.raw'/><target dev='vda'/></disk>";
    let xml = bench.virsh(&["dumpxml", "web"]).replace("</devices>", &format!("{disk}</devices>"));
    bench.daemon.define(QEMU, &xml);
    let outcome = bench.driver.perform(vm, &start(), &StepContext::default()).await;
    let Err(StepError::Failed(refusal)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(refusal.code, Code::HypervisorFailed);
    assert!(refusal.message.contains("/nowhere/disk.raw"), "{refusal}");
    assert_eq!(bench.state("web"), MachineState::Absent);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_is_is_known_once_it_is_connected() {
    if skip_without_libvirt("what libvirt is") {
        return;
    }
    let bench = Bench::new(QEMU).await;
    let is = bench.driver.hypervisor().await.unwrap();
    let version = bench.virsh(&["version", "--daemon"]);
    assert!(version.contains(&format!("libvirt {}", is.version)), "{is:?}, {version}");
    assert_eq!((&*is.driver, &*is.program), ("libvirt", QEMU));
}

/// So much at once that each domain is not asked for by itself, and things are told in any order.
#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_events_ends_in_the_truth() {
    if skip_without_libvirt("a storm of events") {
        return;
    }
    const DOMAINS: usize = 200;
    let bench = Bench::new(TEST).await;
    let template = "<domain type='test'><name>NAME</name><memory>65536</memory><os><type>hvm</type></os></domain>";
    let mut script = String::new();
    for number in 0..DOMAINS {
        let (name, file) = (format!("d{number}"), bench.daemon.path(&format!("d{number}.xml")));
        std::fs::write(&file, template.replace("NAME", &name)).unwrap();
        script +=
            &format!("define {}; start {name}; suspend {name}; resume {name};", file.display());
        if number % 2 == 1 {
            script += &format!("destroy {name}; undefine {name};");
        }
    }
    bench.virsh(&[&script]);
    let are_there = |told: &support::telling::Told| {
        let ours = told.machines.values().filter(|it| it.is.name.starts_with('d'));
        let running = ours.clone().filter(|it| it.machine == MachineState::Running);
        (ours.count(), running.count()) == (DOMAINS / 2, DOMAINS / 2)
    };
    let told = bench.watched.ear.until("half of them run", are_there).await;
    assert_eq!(told.losses, 0);
}

/// A daemon that ends leaves nothing at libvirt's.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_dropped_closes_its_connection() {
    if skip_without_libvirt("what is left at libvirt's") {
        return;
    }
    let bench = Bench::new(QEMU).await;
    let Bench { daemon, watched, driver, .. } = bench;
    let clients = || {
        let sockets = std::fs::read_to_string("/proc/net/unix").unwrap();
        let socket = daemon.socket();
        let path = socket.to_str().unwrap();
        // The one that listens, and one for each client.
        sockets.lines().filter(|line| line.ends_with(path)).count() - 1
    };
    assert_eq!(clients(), 1);
    drop(watched);
    let begin = Instant::now();
    while clients() > 0 {
        assert!(begin.elapsed() < DEADLINE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(driver);
}
