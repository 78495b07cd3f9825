//! Names as long as they may be, to QEMU itself.

mod support;

use innkeeper_driver::Operation;
use innkeeper_model::config::{Disk, Nic};
use support::{Vm, World, guests};

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_starts_and_goes_on_whatever_its_devices_are_called() {
    let long = |end: char| format!("{}{end}", "n".repeat(62));
    let world = World::new();
    let mut vm = Vm::new(&world, &guests::ticks(), |config| {
        let again = |disk: &Disk, end| Disk { name: long(end).parse().unwrap(), ..disk.clone() };
        let root = config.disks.remove(0);
        config.disks = vec![again(&root, 'a'), again(&root, 'b')];
        config.disks[1].read_only = true;
        for (end, network) in [('a', "none"), ('b', "user"), ('c', "user")] {
            let network = serde_json::from_value(network.into()).unwrap();
            config.nics.push(Nic { network, ..Nic::new(long(end).parse().unwrap()) });
        }
    })
    .await;
    let root = vm.files.disks.remove("root").unwrap();
    let mut other = root.clone();
    other.layers[0].path.set_extension("other");
    std::fs::copy(&root.layers[0].path, &other.layers[0].path).unwrap();
    vm.files.disks.insert(long('a'), root);
    vm.files.disks.insert(long('b'), other);

    vm.run(Operation::Start).await;
    vm.written(4).await;
    let image = vm.suspend().await;
    vm.run(vm.restore(image)).await;
    vm.run(Operation::Kill).await;
}
