//! What is opened to something in a machine, with real QEMUs.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use innkeeper_driver::{ByteStream, Operation};
use innkeeper_model::{Code, config::Display, keyboard::Stroke};
use std::time::Instant;
use support::{DEADLINE, Vm, World, guests};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

async fn read(stream: &mut Box<dyn ByteStream>, length: usize) -> Vec<u8> {
    let mut read = vec![0; length];
    timeout(DEADLINE, stream.read_exact(&mut read)).await.unwrap().unwrap();
    read
}

#[tokio::test(flavor = "multi_thread")]
async fn the_place_at_a_console_is_free_as_soon_as_it_was_left() {
    let world = World::new();
    let vm = Vm::new(&world, &guests::ticks(), |_| ()).await;
    vm.run(Operation::Start).await;
    for _ in 0..3 {
        let mut console = vm.driver.open_console(vm.id()).await.unwrap();
        assert_eq!(vm.driver.open_console(vm.id()).await.err().unwrap().code, Code::InUse);
        read(&mut console, 1).await;
    }
    let mut console = vm.driver.open_console(vm.id()).await.unwrap();
    vm.run(Operation::Kill).await;
    let mut rest = Vec::new();
    // It may end before QEMU has noticed who sat down last; then the line breaks off.
    drop(timeout(DEADLINE, console.read_to_end(&mut rest)).await.unwrap());
    assert_eq!(vm.driver.open_console(vm.id()).await.err().unwrap().code, Code::WrongState);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_is_seen_by_many_and_its_picture_taken() {
    let world = World::new();
    let vm = Vm::new(&world, &guests::ticks(), |config| config.display = Display::Vnc).await;
    vm.run(Operation::Start).await;
    let mut viewers = Vec::new();
    for _ in 0..3 {
        let mut viewer = vm.driver.open_vnc(vm.id()).await.unwrap();
        assert_eq!(read(&mut viewer, 12).await, b"RFB 003.008\n");
        viewer.write_all(b"RFB 003.008\n").await.unwrap();
        // One kind of security, and that is none.
        assert_eq!(read(&mut viewer, 2).await, [1, 1]);
        viewers.push(viewer);
    }
    for _ in 0..3 {
        let begun = Instant::now();
        let picture = vm.driver.screenshot(vm.id()).await.unwrap();
        assert!(picture.starts_with(b"\x89PNG") && picture.ends_with(b"IEND\xaeB`\x82"));
        assert!(begun.elapsed() < DEADLINE / 2);
    }
    let strokes: Vec<Stroke> = ["ctrl-alt-delete", "a", "f12"].map(|s| s.parse().unwrap()).into();
    vm.driver.send_keys(vm.id(), &strokes).await.unwrap();
    vm.run(Operation::Kill).await;
    let mut rest = Vec::new();
    timeout(DEADLINE, viewers[0].read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!(vm.driver.screenshot(vm.id()).await.unwrap_err().code, Code::WrongState);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_that_has_a_name_here_has_one_in_qemu() {
    let world = World::new();
    let vm = Vm::new(&world, &guests::ticks(), |config| config.display = Display::Vnc).await;
    vm.run(Operation::Start).await;
    let named = "sysrq compose less meta_l meta_r menu power sleep wake print pause kp_decimal \
        grave_accent bracket_left num_lock scroll_lock caps_lock alt_r ctrl_r shift_r";
    let strokes: Vec<Stroke> = named.split_whitespace().map(|s| s.parse().unwrap()).collect();
    vm.driver.send_keys(vm.id(), &strokes).await.unwrap();
    vm.run(Operation::Kill).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_machine_does_not_have_is_refused_by_name() {
    let world = World::new();
    let vm = Vm::new(&world, &guests::ticks(), |config| config.agent = false).await;
    vm.run(Operation::Start).await;
    let refused = vm.driver.open_vnc(vm.id()).await.err().unwrap();
    assert_eq!((refused.code, refused.field.as_deref()), (Code::Unsupported, Some("display")));
    let refused = vm.driver.screenshot(vm.id()).await.unwrap_err();
    assert_eq!((refused.code, refused.field.as_deref()), (Code::Unsupported, Some("display")));
    let refused = vm.driver.open_agent(vm.id()).await.err().unwrap();
    assert_eq!((refused.code, refused.field.as_deref()), (Code::Unsupported, Some("agent")));
    vm.run(Operation::Kill).await;
}

/// Its guest has no agent, so that nobody answers; the channel is there all the same.
#[tokio::test(flavor = "multi_thread")]
async fn the_channel_to_an_agent_outlives_daemons_and_the_machines_memory() {
    let world = World::new();
    let vm = Vm::new(&world, &guests::ticks(), |_| ()).await;
    vm.run(Operation::Start).await;
    let channel = vm.driver.open_agent(vm.id()).await.unwrap();
    assert_eq!(vm.driver.open_agent(vm.id()).await.err().unwrap().code, Code::InUse);
    drop(channel);
    let vm = vm.next_daemon().await;
    drop(vm.driver.open_agent(vm.id()).await.unwrap());
    let image = vm.suspend().await;
    vm.run(vm.restore(image)).await;
    drop(vm.driver.open_agent(vm.id()).await.unwrap());
    vm.run(Operation::Kill).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_of_a_machine_without_the_channel_is_taken_over_without_it() {
    let world = World::new();
    let mut vm = Vm::new(&world, &guests::ticks(), |config| config.agent = false).await;
    vm.run(Operation::Start).await;
    let image = vm.suspend().await;
    vm.spec.config.agent = true;
    let hypervisor = vm.driver.hypervisor().await.unwrap();
    let before = vm.spec.assigned.clone();
    vm.spec.assigned = vm.driver.assign(&vm.spec.config, Some(&before), &hypervisor).unwrap();
    for (key, placement) in before.devices.iter() {
        assert_eq!(vm.spec.assigned.devices.get(key), Some(placement), "{key} has moved");
    }
    vm.run(vm.restore(image)).await;
    assert_eq!(vm.driver.open_agent(vm.id()).await.err().unwrap().code, Code::Unsupported);
    vm.run(Operation::Kill).await;
}
