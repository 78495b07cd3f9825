//! The host that the daemon runs on.

use super::*;
use innkeeper_model::{MachineState, ManagedMachine, NeighbourMachine};
use innkeeper_view::Update;

const GIB: u64 = 1024;

async fn roomy() -> Fixture {
    let total = Resources { memory: Mebibytes(4 * GIB), disk: Mebibytes(100 * GIB), cpu: 8 };
    with_resources(total).await
}

fn resources(memory: u64, disk: u64, cpu: u32) -> Value {
    json!({ "memory": memory, "disk": disk, "cpu": cpu })
}

#[tokio::test]
async fn its_own_resources_and_addresses_are_its_daemons_to_write() {
    let fixture = roomy().await;
    let before = fixture.get(&host(THIS)).await.json();
    assert_eq!(before["total_resources"], resources(4 * GIB, 100 * GIB, 8));
    // Absent, or the same: unchanged.
    for body in ["{}", "null", &before.to_string(), r#"{"total_resources":{"cpu":8}}"#] {
        let answered = fixture.send("PATCH", &host(THIS), body).await;
        assert_eq!((answered.status.as_u16(), answered.json()), (200, before.clone()), "{body}");
    }
    for (field, body) in [
        ("ip", r#"{"ip":"10.100.101.35"}"#),
        ("mac", r#"{"mac":"01:23:45:67:89:ac"}"#),
        ("total_resources", r#"{"total_resources":{"memory":1}}"#),
        ("available_resources", r#"{"available_resources":{"cpu":7}}"#),
        ("available_resources", r#"{"metadata":{"x":"y"},"available_resources":{"disk":0}}"#),
    ] {
        is_long(&fixture.send("PATCH", &host(THIS), body).await, 409, field);
    }
    assert_eq!(fixture.get(&host(THIS)).await.json(), before);
}

#[tokio::test]
async fn the_rest_of_it_is_anybodys() {
    let fixture = roomy().await;
    let body = r#"{"metadata":{"rack":"7"},"netmask":"255.255.255.0","gateway":"10.100.101.1"}"#;
    let changed = fixture.send("PATCH", &host(THIS), body).await.json();
    assert_eq!(changed["metadata"], json!({ "rack": "7" }));
    assert_eq!(
        (&changed["netmask"], &changed["gateway"]),
        (&json!("255.255.255.0"), &json!("10.100.101.1"))
    );
    assert_eq!(changed["total_resources"], resources(4 * GIB, 100 * GIB, 8));
    // It stays when the daemon begins again and knows another address.
    let this_host = ThisHost {
        id: THIS.parse().unwrap(),
        ip: Some("10.100.101.36".parse().unwrap()),
        mac: None,
        total: Resources::default(),
    };
    let door = Chypervisord::open(fixture.hosts.clone(), this_host).await.unwrap();
    let door = fixture.house.door(door, Role::Admin);
    let now = door.get(&host(THIS)).await.json();
    assert_eq!((&now["metadata"], &now["ip"]), (&changed["metadata"], &json!("10.100.101.36")));
    assert_eq!(now["mac"], "");
}

#[tokio::test]
async fn it_cannot_be_deleted() {
    let fixture = roomy().await;
    is_long(&fixture.send("DELETE", &host(THIS), "").await, 409, "daemon");
    assert_eq!(fixture.get(&host(THIS)).await.status, 200);
}

#[tokio::test]
async fn what_is_promised_is_not_free() {
    let fixture = roomy().await;
    let available = async || fixture.get(&host(THIS)).await.json()["available_resources"].clone();
    assert_eq!(available().await, resources(4 * GIB, 100 * GIB, 8));
    let vm = VmId::new();
    let config =
        json!({ "memory": "1GiB", "cpus": 2, "disks": [{ "name": "root", "size": "10GiB" }] });
    fixture.create_vm(&vm.to_string(), config).await;
    // A VM that does not run takes its disks; a machine, memory and CPUs.
    assert_eq!(available().await, resources(4 * GIB, 90 * GIB, 8));
    fixture.house.start(vm).await;
    assert_eq!(available().await, resources(3 * GIB, 90 * GIB, 6));
    let listed = fixture.get("/hypervisors").await.json();
    assert_eq!(listed[0]["available_resources"], resources(3 * GIB, 90 * GIB, 6));
    assert_eq!(listed[0]["total_resources"], resources(4 * GIB, 100 * GIB, 8));
    assert_eq!(fixture.get(&(host(THIS) + "/guests")).await.json(), json!([vm]));
    fixture.house.perform(Request::Delete { vm, force: true }).await;
    assert_eq!(available().await, resources(4 * GIB, 100 * GIB, 8));
    assert_eq!(fixture.get(&(host(THIS) + "/guests")).await.json(), json!([]));
}

#[tokio::test]
async fn where_more_is_promised_than_there_is_nothing_is_free() {
    let total = Resources { memory: Mebibytes(512), disk: Mebibytes(1), cpu: 1 };
    let fixture = with_resources(total).await;
    let vm = VmId::new();
    let config =
        json!({ "memory": "1GiB", "cpus": 2, "disks": [{ "name": "root", "size": "10GiB" }] });
    fixture.create_vm(&vm.to_string(), config).await;
    fixture.house.start(vm).await;
    let shown = fixture.get(&host(THIS)).await.json();
    assert_eq!(shown["available_resources"], resources(0, 0, 0));
    assert_eq!(shown["total_resources"], resources(512, 1, 1));
}

#[tokio::test]
async fn machines_of_another_manager_are_its_guests_and_take_their_share() {
    let fixture = roomy().await;
    let vm = VmId::new();
    let is = ManagedMachine {
        name: "domain".into(),
        cpus: 3,
        memory: Mebibytes(GIB),
        ..ManagedMachine::default()
    };
    let machine = NeighbourMachine { id: vm, machine: MachineState::Running, last_end: None, is };
    let by = "libvirt".parse().unwrap();
    let update = Update::VmManaged { by, machine: Box::new(machine) };
    fixture.house.context.view().barrier(vec![update]).await.unwrap();
    assert_eq!(fixture.get(&(host(THIS) + "/guests")).await.json(), json!([vm]));
    let shown = fixture.get(&host(THIS)).await.json();
    assert_eq!(shown["available_resources"], resources(3 * GIB, 100 * GIB, 5));
}
