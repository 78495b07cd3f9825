//! VMs of another manager: shown, and left alone.

use super::*;
use innkeeper_model::{
    ByteSize, MachineState, ManagedDisk, ManagedMachine, Mebibytes, NeighbourMachine, VmId,
};
use innkeeper_view::Update;

/// Has libvirt have a domain, with three CPUs, 128 MiB and a disk of 10 GiB.
async fn domain(house: &House) -> VmId {
    let id = VmId::new();
    let size = Some(ByteSize::from_gibibytes(10));
    let is = ManagedMachine {
        disks: vec![ManagedDisk { size, ..ManagedDisk::default() }],
        name: "domain".into(),
        cpus: 3,
        memory: Mebibytes(128),
        ..ManagedMachine::default()
    };
    let machine = NeighbourMachine { id, machine: MachineState::Running, last_end: None, is };
    let by = "libvirt".parse().unwrap();
    let update = Update::VmManaged { by, machine: Box::new(machine) };
    house.context.view().barrier(vec![update]).await.unwrap();
    id
}

#[tokio::test]
async fn it_is_shown_with_its_size_and_owner() {
    let (house, door) = service(none()).await;
    let id = domain(&house).await;
    let info = ok(&post(&door, "/vm/info", json!({ "build_id": id, "owner": "libvirt" })).await);
    assert_eq!((&info["name"], &info["owner"]), (&json!("domain"), &json!("libvirt")));
    assert_eq!(info["state"], "running");
    let resources = json!({ "vcpu_count": 3, "mem_size_mib": 128, "disk_size": 10 });
    assert_eq!(info["resources"], resources);
    assert_eq!(ok(&post(&door, "/vm/list", json!({})).await), json!([info]));
    assert_eq!(ok(&post(&door, "/vm/list", json!({ "owner": OWNER })).await), json!([]));
}

#[tokio::test]
async fn whatever_would_change_it_is_409_and_says_whose_it_is() {
    let (house, door) = service(none()).await;
    let id = domain(&house).await;
    let before = ok(&post(&door, "/vm/info", json!({ "build_id": id })).await);
    for (path, more) in [
        ("/vm/boot", json!({})),
        ("/vm/start", json!({})),
        ("/vm/stop", json!({})),
        ("/vm/stop", json!({ "force": true })),
        ("/vm/reboot", json!({})),
        ("/vm/power-button", json!({})),
        ("/vm/delete", json!({})),
        ("/vm/commit", json!({})),
        ("/vm/device/add", json!({ "device": { "type": "nic", "network": "user" } })),
        ("/vm/device/remove", json!({ "device_id": "nic0" })),
    ] {
        let mut body = json!({ "build_id": id });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let message = refused(&post(&door, path, body).await, 409);
        assert!(message.contains("libvirt") && message.contains("inn adopt"), "{path}: {message}");
    }
    assert_eq!(ok(&post(&door, "/vm/info", json!({ "build_id": id })).await), before);
}
