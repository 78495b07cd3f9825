//! Domains of a real libvirt with real QEMUs, made by virsh: seen, followed, and left alone.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use innkeeper_driver::Neighbour;
use innkeeper_model::{EndReason, MachineState, Mebibytes, NeighbourMachine};
use std::time::{Duration, Instant};
use support::{Daemon, eventually, kill_9, skip_without_libvirt, telling::Watched};

/// The session of libvirt's own user, which is what such a daemon has.
const QEMU: &str = "qemu:///session";

/// How soon something must be seen once virsh says that it is so.
const SEEN_WITHIN: Duration = Duration::from_secs(1);

fn domain(name: &str) -> String {
    format!(
        "<domain type='qemu'><name>{name}</name><title>The {name}</title>\
         <memory unit='MiB'>64</memory><vcpu>1</vcpu>\
         <os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features><devices>\
         <emulator>/usr/bin/qemu-system-x86_64</emulator>\
         <interface type='user'><mac address='52:54:00:11:22:33'/><model type='virtio'/></interface>\
         <controller type='usb' model='none'/><memballoon model='none'/></devices></domain>"
    )
}

fn is(state: MachineState) -> impl Fn(&NeighbourMachine) -> bool {
    move |machine| machine.machine == state
}

/// Waits until a machine is so, from now on, which is when virsh says that it is.
async fn soon(
    watched: &Watched,
    name: &str,
    is_so: impl Fn(&NeighbourMachine) -> bool,
) -> NeighbourMachine {
    let so = |told: &support::telling::Told| told.machine(name).is_some_and(&is_so);
    let told = watched.ear.within(SEEN_WITHIN, name, so).await;
    told.machine(name).unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_is_seen_within_a_second_and_followed_through_its_life() {
    if skip_without_libvirt("a domain is seen within a second and followed through its life") {
        return;
    }
    let daemon = Daemon::start();
    let watched = Watched::at(daemon.socket(), None);
    watched.ear.until("there is none", |told| told.surveys > 0).await;

    daemon.define(QEMU, &domain("web"));
    let web = soon(&watched, "web", is(MachineState::Absent)).await;
    assert_eq!(web.is.title.as_deref(), Some("The web"));
    assert_eq!((web.is.cpus, web.is.memory), (1, Mebibytes(64)));
    assert_eq!(web.is.nics[0].mac.to_string(), "52:54:00:11:22:33");
    assert_eq!((web.is.persistent, web.is.autostart), (true, false));
    assert_eq!((web.is.run, web.is.pid, web.last_end), (None, None, None));

    daemon.virsh(&["start", "web"]);
    let running = soon(&watched, "web", is(MachineState::Running)).await;
    assert_eq!(running.id, web.id);
    let pid = running.is.pid.expect("its QEMU is found");
    let command_line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(command_line.contains("guest=web"), "{command_line}");

    daemon.virsh(&["suspend", "web"]);
    soon(&watched, "web", is(MachineState::Paused)).await;
    daemon.virsh(&["resume", "web"]);
    let same = soon(&watched, "web", is(MachineState::Running)).await;
    assert_eq!((same.is.run, same.is.pid), (running.is.run, running.is.pid), "the same run");

    // libvirt takes what was killed for running until init has reaped it: the second counts from its word.
    kill_9(i32::try_from(pid).unwrap());
    let has_said_so =
        || daemon.virsh(&["domstate", "--reason", "web"]).contains("shut off (crashed)");
    assert!(eventually(has_said_so), "libvirt has its word");
    let crashed = soon(&watched, "web", is(MachineState::Absent)).await;
    assert_eq!(crashed.last_end, Some(EndReason::HypervisorDied { status: None }));
    assert_eq!((crashed.is.run, crashed.is.pid), (None, None));

    daemon.virsh(&["start", "web"]);
    let again = soon(&watched, "web", is(MachineState::Running)).await;
    assert_ne!((again.is.run, again.is.pid), (running.is.run, running.is.pid), "another run");
    daemon.virsh(&["destroy", "web"]);
    let off = soon(&watched, "web", is(MachineState::Absent)).await;
    assert_eq!(off.last_end, Some(EndReason::Killed));

    daemon.virsh(&["undefine", "web"]);
    watched.ear.within(SEEN_WITHIN, "it is gone", |told| told.machines.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_was_before_is_seen_and_what_is_told_of_nobody_is_asked_for() {
    if skip_without_libvirt("what there was before is seen and what is told of nobody is asked for")
    {
        return;
    }
    let daemon = Daemon::start();
    daemon.define(QEMU, &domain("kept"));
    let transient = daemon.path("transient.xml");
    std::fs::write(&transient, domain("passing")).unwrap();
    daemon.virsh(&["create", "--paused", transient.to_str().unwrap()]);

    let watched = Watched::at(daemon.socket(), None);
    let told = watched.ear.until("both are there", |told| told.machines.len() == 2).await;
    let passing = told.machine("passing").unwrap();
    assert_eq!((passing.machine, passing.is.persistent), (MachineState::Paused, false));
    assert!(passing.is.pid.is_some(), "a machine of before is found, too");

    // libvirt tells nobody of this.
    daemon.virsh(&["autostart", "kept"]);
    watched.libvirt.survey().await.unwrap();
    assert!(watched.ear.told().machine("kept").unwrap().is.autostart);

    daemon.virsh(&["desc", "kept", "--title", "Another title"]);
    let titled = |it: &NeighbourMachine| it.is.title.as_deref() == Some("Another title");
    soon(&watched, "kept", titled).await;

    daemon.virsh(&["destroy", "passing"]);
    watched.ear.within(SEEN_WITHIN, "gone", |told| told.machine("passing").is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_is_told_once_and_ends_when_libvirt_is_back() {
    if skip_without_libvirt("a loss is told once and ends when libvirt is back") {
        return;
    }
    let mut daemon = Daemon::start();
    daemon.define(QEMU, &domain("web"));
    daemon.virsh(&["start", "--paused", "web"]);
    let watched = Watched::at(daemon.socket(), None);
    let before = watched.ear.until("it is there", |told| told.machines.len() == 1).await;

    daemon.kill();
    let lost = watched.ear.until("it is lost", |told| told.lost.is_some()).await;
    assert_eq!(lost.machines, before.machines, "what was told stays");
    let reason = lost.lost.unwrap().reason;
    assert!(reason.contains("lost: libvirt closed the connection"), "{reason}");
    assert!(watched.libvirt.survey().await.is_err(), "nobody can be asked");

    // The machine outlives libvirt's daemon, and this one has what happens to it meanwhile to find out.
    let pid = before.machine("web").unwrap().is.pid.unwrap();
    kill_9(i32::try_from(pid).unwrap());
    let begin = Instant::now();
    daemon.run();
    let back = watched.ear.until("it is back", |told| told.lost.is_none()).await;
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert_eq!(back.machine("web").unwrap().machine, MachineState::Absent);
    // A loss, and that nobody listens: two reasons, each told once.
    assert!(back.losses <= 2, "{back:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_libvirt_that_is_not_there_is_told_and_found_when_it_comes() {
    if skip_without_libvirt("a libvirt that is not there is told and found when it comes") {
        return;
    }
    let mut daemon = Daemon::start();
    daemon.kill();
    std::fs::remove_file(daemon.socket()).unwrap();
    let watched = Watched::at(daemon.socket(), None);
    let told = watched.ear.until("it is not there", |told| told.lost.is_some()).await;
    let reason = told.lost.unwrap().reason;
    assert!(reason.contains("cannot connect to libvirt at"), "{reason}");
    daemon.run();
    watched.ear.until("it is there", |told| told.surveys == 1 && told.lost.is_none()).await;
}
