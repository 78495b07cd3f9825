//! NICs plugged into real QEMUs while they run, and out of them. What the guest sees is asked of the
//! guest where one has booted, and of QEMU (`query-pci`, `qom-list`) where nobody is in it.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use innkeeper_driver::{Operation, Step, StepError};
use innkeeper_model::{
    Code, DeviceName, Incarnation, NetworkId,
    config::{Attachment, Nic},
    network::Plug,
};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::{Value, json};
use std::{
    io::{self, BufRead, BufReader, IoSlice, Write},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::Arc,
    time::Duration,
};
use support::{DEADLINE, Vm, World, guests, kernel, kernel::Shell, taps::OwnTaps};

/// Far below what a guest has that is asked to let go of a NIC, and above what one has where the plugging
/// in is taken back.
const SOON: Duration = Duration::from_secs(15);

fn name(text: &str) -> DeviceName {
    text.parse().unwrap()
}

fn plug(nic: &str) -> Operation {
    Operation::PlugNic { nic: name(nic) }
}

fn unplug(nic: &str) -> Operation {
    Operation::UnplugNic { nic: name(nic) }
}

/// Starts it. QEMU sees nothing behind a port that firmware has not numbered yet.
async fn start(vm: &Vm<'_>) {
    vm.run(Operation::Start).await;
    vm.written(1).await;
}

/// Adds a NIC to the wish.
async fn wish(vm: &mut Vm<'_>, nic: &str, network: Attachment) {
    let nic = Nic { network, ..Nic::new(name(nic)) };
    vm.edit(|config| config.nics.push(nic)).await;
}

fn record(vm: &Vm<'_>) -> Arc<Incarnation> {
    vm.told.incarnation_of(vm.id()).unwrap()
}

/// The ids in a record's arguments for this option.
fn ids(record: &Incarnation, option: &str) -> Vec<String> {
    let pairs = record.argv.windows(2).filter(|pair| pair[0] == option);
    let values = pairs.filter_map(|pair| serde_json::from_str::<Value>(&pair[1]).ok());
    let ids = values.filter_map(|value| value["id"].as_str().map(str::to_owned));
    ids.filter(|id| id.starts_with("nic-") || id.starts_with("net-")).collect()
}

/// Asks a QEMU that no driver is connected to.
struct Qmp(BufReader<UnixStream>);

impl Qmp {
    fn of(record: &Incarnation) -> Self {
        let socket = UnixStream::connect(record.run_folder.join("qmp.sock")).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut qmp = Self(BufReader::new(socket));
        qmp.line();
        qmp.ask("qmp_capabilities", json!({}));
        qmp
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn ask(&mut self, command: &str, arguments: Value) -> Value {
        let request = json!({ "execute": command, "arguments": arguments });
        writeln!(self.0.get_mut(), "{request}").unwrap();
        self.answer(command)
    }

    /// Hands it an open file under a name. The file is closed here.
    fn hand_over(&mut self, name: &str, file: OwnedFd) {
        let request = json!({ "execute": "getfd", "arguments": { "fdname": name } }).to_string();
        let descriptors = [file.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
        let line = [IoSlice::new(request.as_bytes())];
        sendmsg(self.0.get_ref(), &line, &mut ancillary, SendFlags::empty()).unwrap();
        self.answer("getfd");
    }

    fn answer(&mut self, command: &str) -> Value {
        loop {
            let mut reply = self.line();
            assert_eq!(reply.get("error"), None, "{command}");
            if let Some(value) = reply.get_mut("return") {
                return value.take();
            }
        }
    }

    /// The ids of the NICs on the bus.
    fn on_the_bus(&mut self) -> Vec<String> {
        fn collect(devices: &Value, ids: &mut Vec<String>) {
            for device in devices.as_array().into_iter().flatten() {
                let id = device["qdev_id"].as_str().unwrap_or_default();
                ids.extend(id.starts_with("nic-").then(|| id.to_owned()));
                collect(&device["pci_bridge"]["devices"], ids);
            }
        }
        let mut ids = Vec::new();
        for bus in self.ask("query-pci", json!({})).as_array().unwrap() {
            collect(&bus["devices"], &mut ids);
        }
        ids
    }

    /// The ids of the NICs among the devices.
    fn among_devices(&mut self) -> Vec<String> {
        let devices = self.ask("qom-list", json!({ "path": "/machine/peripheral" }));
        let names = devices.as_array().unwrap().iter().filter_map(|device| device["name"].as_str());
        names.filter(|name| name.starts_with("nic-")).map(str::to_owned).collect()
    }
}

/// The same VM in the hands of the next daemon; between the two, QEMU says which NICs it has.
async fn next_daemon<'a>(vm: Vm<'a>, expected: &[&str]) -> Vm<'a> {
    let before = record(&vm);
    let vm = vm
        .next_daemon_after(|| {
            let mut qmp = Qmp::of(&before);
            for mut found in [qmp.among_devices(), qmp.on_the_bus()] {
                found.sort_unstable();
                assert_eq!(found, expected);
            }
        })
        .await;
    assert_eq!(*record(&vm), *before, "the record is found as it was left");
    vm
}

fn refused(outcome: Result<(), StepError>) -> Code {
    match outcome {
        Err(StepError::Failed(refusal)) => refusal.code,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nic_is_plugged_into_a_machine_with_room_for_it_and_stays_over_a_restart() {
    let world = World::new();
    let mut vm = Vm::new(&world, &guests::ticks(), |config| config.spare_ports = 2).await;
    start(&vm).await;
    assert_eq!(vm.spec.free_ports(Some(&record(&vm))), 2);
    wish(&mut vm, "user", Attachment::User).await;
    let steps = vm.plan(plug("user")).await.unwrap();
    for _again in 0..2 {
        for step in &steps {
            vm.perform(step, &Default::default()).await.unwrap();
        }
        assert_eq!(ids(&record(&vm), "-device"), ["nic-user"]);
        assert_eq!(ids(&record(&vm), "-netdev"), ["net-user"]);
    }
    wish(&mut vm, "zip", Attachment::None).await;
    vm.run(plug("zip")).await;
    assert_eq!(ids(&record(&vm), "-device"), ["nic-user", "nic-zip"]);
    assert_eq!(ids(&record(&vm), "-netdev"), ["net-user"]);
    assert_eq!(record(&vm).plugs, []);
    assert_eq!(vm.spec.free_ports(Some(&record(&vm))), 0);

    let mut vm = next_daemon(vm, &["nic-user", "nic-zip"]).await;
    wish(&mut vm, "surplus", Attachment::User).await;
    let before = record(&vm);
    assert_eq!(refused(vm.try_run(plug("surplus")).await), Code::OutOfCapacity);
    assert_eq!(record(&vm), before);
    // Done again by the next daemon, which does not know that it was done.
    for step in &steps {
        vm.perform(step, &Default::default()).await.unwrap();
    }
    let vm = next_daemon(vm, &["nic-user", "nic-zip"]).await;
    vm.run(Operation::Kill).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_goes_on_with_the_nics_that_were_plugged_in() {
    let world = World::new();
    let mut vm = Vm::new(&world, &guests::ticks(), |config| config.spare_ports = 2).await;
    start(&vm).await;
    wish(&mut vm, "user", Attachment::User).await;
    vm.run(plug("user")).await;
    wish(&mut vm, "zip", Attachment::None).await;
    vm.run(plug("zip")).await;
    for _again in 0..2 {
        let before = vm.written(4).await;
        let image = vm.suspend().await;
        vm.run(vm.restore(image)).await;
        let after = vm.written(before.len() + 2).await;
        assert!(after.starts_with(&before), "{before:?}, then {after:?}");
        world.storage.remove_memory(vm.id()).await.unwrap();
        vm = next_daemon(vm, &["nic-user", "nic-zip"]).await;
    }
    vm.run(Operation::Kill).await;
}

/// A backend without its device is what a daemon leaves that ends between the two commands.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_daemon_left_of_a_plugging_in_is_no_hindrance() {
    let world = World::new();
    let mut vm = Vm::new(&world, &guests::ticks(), |config| config.spare_ports = 1).await;
    start(&vm).await;
    wish(&mut vm, "user", Attachment::User).await;
    let before = record(&vm);
    let vm = vm
        .next_daemon_after(|| {
            let backend = json!({ "type": "user", "id": "net-user" });
            Qmp::of(&before).ask("netdev_add", backend);
        })
        .await;
    vm.run(plug("user")).await;
    let vm = next_daemon(vm, &["nic-user"]).await;
    vm.run(Operation::Kill).await;
}

/// And a tap that QEMU was handed, and not told what for, by one that ended a moment sooner: nobody else can open it.
#[tokio::test(flavor = "multi_thread")]
async fn a_tap_that_was_handed_over_and_not_used_is_no_hindrance() {
    let Some(taps) = OwnTaps::new().map(Arc::new) else { return };
    let world = World::with(taps.clone());
    let mut vm = Vm::new(&world, &guests::ticks(), |config| config.spare_ports = 1).await;
    start(&vm).await;
    wish(&mut vm, "lan", Attachment::Network("lan".parse().unwrap())).await;
    let plugged = support::taps::plug(vm.id(), "lan", vm.spec.assigned.macs["lan"]);
    vm.plugs = vec![plugged.clone()];
    let before = record(&vm);
    let vm = vm
        .next_daemon_after(|| {
            let tap = taps.make(&plugged).unwrap();
            Qmp::of(&before).hand_over("net-lan", tap);
            let busy = taps.make(&plugged).unwrap_err();
            assert_eq!(busy.kind(), io::ErrorKind::ResourceBusy, "QEMU has it");
        })
        .await;
    vm.run(plug("lan")).await;
    assert_eq!(record(&vm).plugs, [plugged]);
    let vm = next_daemon(vm, &["nic-lan"]).await;
    vm.run(Operation::Kill).await;
}

/// As by a daemon that ends before it could note what it has done.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_was_cut_short_is_taken_back_though_nobody_noted_it() {
    let Some(taps) = OwnTaps::new().map(Arc::new) else { return };
    let world = World::with(taps.clone());
    let mut vm = Vm::new(&world, &guests::ticks(), |config| config.spare_ports = 1).await;
    start(&vm).await;
    wish(&mut vm, "lan", Attachment::Network("lan".parse().unwrap())).await;
    let here = support::taps::plug(vm.id(), "lan", vm.spec.assigned.macs["lan"]);
    vm.plugs = vec![here.clone()];
    vm.run(plug("lan")).await;
    let there = Plug { network: NetworkId::new(), ..here.clone() };
    vm.plugs = vec![there.clone()];
    let change = Operation::ChangePlug { nic: name("lan") };
    let steps = vm.plan(change).await.unwrap();
    let outcome = vm.perform(&steps[0], &taps.cut_short()).await;
    assert!(matches!(outcome, Err(StepError::Cancelled)), "{outcome:?}");
    assert_eq!(record(&vm).plugs, std::slice::from_ref(&here), "it was not noted");
    assert_eq!(taps.replugged(), [there.network]);
    for _again in 0..2 {
        vm.undo(&steps).await;
    }
    assert_eq!(taps.replugged(), [there.network, here.network, here.network]);
    assert_eq!(record(&vm).plugs, [here]);
    vm.run(Operation::Kill).await;
}

/// Nobody is in this guest who could let go of anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_nic_is_not_taken_from_a_guest_that_is_held() {
    let world = World::new();
    let mut vm = Vm::new(&world, &guests::ticks(), |config| config.spare_ports = 1).await;
    start(&vm).await;
    wish(&mut vm, "user", Attachment::User).await;
    vm.run(plug("user")).await;
    vm.run(Operation::Pause).await;
    assert_eq!(refused(vm.try_run(unplug("user")).await), Code::WrongState);
    assert_eq!(ids(&record(&vm), "-device"), ["nic-user"]);
    vm.run(Operation::Kill).await;
}

/// Nor in this one, which does not even hear that it is asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_keeps_a_nic_does_not_hold_up_who_takes_it_back() {
    let world = World::new();
    let mut vm = Vm::new(&world, &guests::ticks(), |config| config.spare_ports = 1).await;
    start(&vm).await;
    wish(&mut vm, "user", Attachment::User).await;
    let steps = vm.plan(plug("user")).await.unwrap();
    vm.perform(&steps[0], &Default::default()).await.unwrap();
    for _again in 0..2 {
        let undone = tokio::time::timeout(SOON, vm.driver.undo(vm.id(), &steps[0])).await;
        assert_eq!(refused(undone.expect("it does not wait for the guest")), Code::Timeout);
        assert_eq!(ids(&record(&vm), "-device"), ["nic-user"], "it has it still");
    }
    vm.run(Operation::Kill).await;
    vm.undo(&steps).await;
}

/// Takes a step back as often as it takes, as the engine does with what is owed: a guest on a busy host
/// may need longer than is waited for it.
async fn take_back(vm: &Vm<'_>, step: &Step) {
    let undone = async {
        while let Err(error) = vm.driver.undo(vm.id(), step).await {
            assert_eq!(refused(Err(error)), Code::Timeout);
        }
    };
    tokio::time::timeout(DEADLINE, undone).await.expect("its guest lets go of it");
}

const INTERFACES: &str = "ls /sys/class/net | tr '\\n' ' '";

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_sees_nics_come_and_go() {
    let world = World::new();
    let change = |config: &mut innkeeper_model::VmConfig| {
        kernel::boots(config);
        config.spare_ports = 2;
    };
    let mut vm = Vm::new(&world, &guests::ticks(), change).await;
    vm.run(Operation::Start).await;
    let bare = record(&vm);
    let mut shell = Shell::log_in(&vm).await;
    assert_eq!(shell.run(INTERFACES).await, "lo ");

    wish(&mut vm, "user", Attachment::User).await;
    vm.run(plug("user")).await;
    shell.until(INTERFACES, "eth0 lo").await;
    let mac = vm.spec.assigned.macs["user"].to_string();
    shell.until("cat /sys/class/net/eth0/address", &mac).await;

    // Its cable is out and in again.
    shell.run("ip link set eth0 up").await;
    shell.until("cat /sys/class/net/eth0/carrier", "1").await;
    for (connected, carrier) in [(false, "0"), (true, "1")] {
        vm.edit(|config| config.nics[0].connected = connected).await;
        let change = Operation::SetLink { nic: name("user"), up: connected, before: !connected };
        let steps = vm.plan(change).await.unwrap();
        for _again in 0..2 {
            for step in &steps {
                vm.perform(step, &Default::default()).await.unwrap();
            }
        }
        shell.until("cat /sys/class/net/eth0/carrier", carrier).await;
    }

    // A plugging in that is taken back, twice.
    wish(&mut vm, "zip", Attachment::None).await;
    let steps = vm.plan(plug("zip")).await.unwrap();
    vm.perform(&steps[0], &Default::default()).await.unwrap();
    shell.until(INTERFACES, "eth0 eth1 lo").await;
    for _again in 0..2 {
        take_back(&vm, &steps[0]).await;
        assert_eq!(ids(&record(&vm), "-device"), ["nic-user"]);
        shell.until(INTERFACES, "eth0 lo").await;
    }
    vm.edit(|config| config.nics.retain(|nic| nic.name.as_str() != "zip")).await;

    // A taking out that is taken back.
    let with = record(&vm);
    let steps = vm.plan(unplug("user")).await.unwrap();
    for _again in 0..2 {
        vm.perform(&steps[0], &Default::default()).await.unwrap();
        assert_eq!(record(&vm).argv, bare.argv);
        shell.until(INTERFACES, "lo").await;
    }
    for _again in 0..2 {
        vm.undo(&steps).await;
        assert_eq!(record(&vm).argv, with.argv);
        shell.until(INTERFACES, "eth0 lo").await;
    }
    // Its cable is as it is wished, whatever it was when the guest was suspended.
    shell.run("ip link set eth0 up").await;
    for (connected, carrier) in [(false, "0"), (false, "0"), (true, "1")] {
        drop(shell);
        let image = vm.suspend().await;
        vm.edit(|config| config.nics[0].connected = connected).await;
        vm.run(vm.restore(image)).await;
        world.storage.remove_memory(vm.id()).await.unwrap();
        shell = Shell::open(&vm).await;
        shell.until("cat /sys/class/net/eth0/carrier", carrier).await;
    }
    drop(shell);

    // What was plugged in is there after a suspend, and can still be taken out.
    let image = vm.suspend().await;
    vm.run(vm.restore(image)).await;
    let vm = next_daemon(vm, &["nic-user"]).await;
    let mut shell = Shell::open(&vm).await;
    shell.until(INTERFACES, "eth0 lo").await;
    vm.run(unplug("user")).await;
    shell.until(INTERFACES, "lo").await;
    drop(shell);
    let vm = next_daemon(vm, &[]).await;
    vm.run(Operation::Kill).await;
}
