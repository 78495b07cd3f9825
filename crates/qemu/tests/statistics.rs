//! What machines have used of their host, Innkeeper's own and one that somebody else made.

mod support;

use innkeeper_driver::Operation;
use innkeeper_model::{ByteSize, Code, MachineState};
use support::{Vm, World, by_hand::ByHand, guests};

#[tokio::test(flavor = "multi_thread")]
async fn figures_grow_with_what_the_guest_does_and_are_there_of_a_silent_one_as_well() {
    let world = World::new();
    let vm = Vm::new(&world, &guests::ticks(), |_| ()).await;
    let none = vm.driver.statistics(vm.id()).await.unwrap_err();
    assert_eq!(none.code, Code::WrongState, "there is no machine");
    vm.run(Operation::Start).await;
    vm.written(2).await;
    let found = vm.driver.statistics(vm.id()).await.unwrap();
    assert_eq!(found.missing, Vec::<String>::new());
    let [disk] = &found.disks[..] else { panic!("{found:?}") };
    assert_eq!(disk.name, "root");
    assert!(disk.read_bytes >= 512 && disk.reads >= 1, "its boot sector was read: {disk:?}");
    let [vcpu] = &found.vcpus[..] else { panic!("{found:?}") };
    assert!((1..=found.cpu_time_ms).contains(&vcpu.cpu_time_ms), "{found:?}");
    assert!(found.memory_resident > ByteSize(16 << 20), "{found:?}");

    vm.hold(true);
    vm.until(MachineState::Unresponsive).await;
    let held = vm.driver.statistics(vm.id()).await.unwrap();
    assert!(held.cpu_time_ms >= found.cpu_time_ms && held.disks.is_empty(), "{held:?}");
    assert!(held.missing[0].contains("does not answer"), "{held:?}");
    vm.run(Operation::Kill).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_of_an_adopted_machine_go_by_the_names_that_it_has() {
    let world = World::new();
    let vm = Vm::new(&world, &guests::ticks(), |_| ()).await;
    let image = world.folder.path().join("theirs.raw");
    std::fs::write(&image, vec![0; 1 << 20]).unwrap();
    let drive = format!("file={},format=raw,if=virtio", image.display());
    let more = ["-smp", "2", "-drive", &drive, "-nic", "user"];
    let theirs = ByHand::start(world.folder.path(), "theirs", &more);
    let seen = vm.driver.foreign().await;
    let machine = seen.into_iter().find(|it| it.process.pid == theirs.pid()).unwrap();
    vm.run(Operation::Adopt { machine: Box::new(machine) }).await;
    let found = vm.driver.statistics(vm.id()).await.unwrap();
    assert_eq!(found.disks.iter().map(|disk| disk.name.as_str()).collect::<Vec<_>>(), ["virtio0"]);
    assert_eq!(found.vcpus.iter().map(|vcpu| vcpu.index).collect::<Vec<_>>(), [0, 1]);
    assert!(found.memory_resident.0 > 0 && found.cpu_time_ms > 0, "{found:?}");
    assert!(found.missing.is_empty() && found.nics.is_empty(), "{found:?}");
    vm.run(Operation::Kill).await;
}
