//! Each request and answer that the service's document prints, byte for byte: its own members in its own order,
//! without spaces between them. Ids and times are this host's own, and what is done has its `task_id` behind
//! what is printed.

use super::*;
use crate::testing::spec;
use innkeeper_model::{
    ByteSize, DiskFacts, Facts, GuestAddress, MachineState, Spec, Timestamp, VmId,
    network::AddressSource,
};
use innkeeper_view::Update;

/// The id of the document's examples.
const PRINTED_ID: &str = "build-123456789";

/// What the document prints, as it is sent.
fn sent(printed: &str) -> String {
    let lines: String = printed.lines().map(str::trim).collect();
    lines.replace("\": ", "\":")
}

/// The same, of this VM, with the task that did it.
#[track_caller]
fn is(answered: &Answered, printed: &str, id: &Value) {
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.text);
    assert_eq!(answered.headers["content-type"], "application/json");
    let task = answered.json()["task_id"].clone();
    let own = sent(printed).replace(PRINTED_ID, id.as_str().unwrap());
    let members = own.strip_suffix('}').unwrap();
    assert_eq!(answered.text, format!("{members},\"task_id\":{task}}}"));
}

#[tokio::test]
async fn the_probes() {
    let (_house, door) = service(none()).await;
    let health = door.get("/health").await;
    assert_eq!((health.status, health.text.as_str()), (StatusCode::OK, "\"healthy\""));
    let pong = door.send("POST", "/ping", "{\n  \"message\": \"ping\"\n}").await;
    let now = pong.json()["timestamp"].to_string();
    let printed = "{\n  \"message\": \"pong\",\n  \"timestamp\": 1677721600\n}";
    assert_eq!(pong.text, sent(printed).replace("1677721600", &now));
}

/// In the document's own order.
#[tokio::test]
async fn what_is_done() {
    let (_house, door) = service(none()).await;
    let request = r#"{
  "name": "my-instance",
  "owner": "0x1234567890abcdef1234567890abcdef12345678",
  "vm_config": {
    "vcpu_count": 2,
    "mem_size_mib": 2048,
    "disk_size": 10,
    "boot_args": "console=ttyS0 reboot=k panic=1 pci=off",
    "kernel": "vmlinux.bin",
    "rootfs": "rootfs.ext4"
  }
}"#;
    let created = door.send("POST", "/vm/create", request).await;
    let id = created.json()["vm_id"].clone();
    // What was changed of the request follows what is printed.
    let printed = r#"{
  "success": true,
  "vm_id": "build-123456789",
  "message": "VM created successfully; pci=off was dropped from boot_args, since it hides the disk; root=/dev/vda was added to boot_args, since no root was given"
}"#;
    is(&created, printed, &id);
    for (path, printed) in [
        ("/vm/boot", "{\n  \"success\": true,\n  \"message\": \"VM boot initiated\"\n}"),
        ("/vm/reboot", "{\n  \"success\": true,\n  \"message\": \"VM rebooted successfully\"\n}"),
        ("/vm/stop", "{\n  \"success\": true,\n  \"message\": \"VM stopped successfully\"\n}"),
        ("/vm/start", "{\n  \"success\": true,\n  \"message\": \"VM started successfully\"\n}"),
        ("/vm/delete", "{\n  \"success\": true,\n  \"message\": \"VM deleted successfully\"\n}"),
    ] {
        let force = if path == "/vm/stop" { ",\n  \"force\": false" } else { "" };
        let request = format!("{{\n  \"build_id\": {id},\n  \"owner\": \"{OWNER}\"{force}\n}}");
        is(&door.send("POST", path, &request).await, printed, &id);
    }
}

#[tokio::test]
async fn a_request_of_which_nothing_was_changed() {
    let (_house, door) = service(none()).await;
    let request = json!({ "name": "bare", "vm_config": { "rootfs": "rootfs.ext4" } });
    let created = post(&door, "/vm/create", request).await;
    let printed = r#"{
  "success": true,
  "vm_id": "build-123456789",
  "message": "VM created successfully"
}"#;
    is(&created, printed, &created.json()["vm_id"]);
}

/// The document's error is an example of this shape.
#[tokio::test]
async fn what_is_refused() {
    let (_house, door) = service(none()).await;
    let target = made(&door).await;
    for (path, body, status, begins) in [
        ("/vm/create", printed(), 409, "Error creating VM: "),
        ("/vm/info", json!({}), 400, "build_id"),
        ("/vm/info", json!({ "build_id": PRINTED_ID }), 404, "there is no VM"),
        ("/vm/stop", target.clone(), 409, "cannot stop"),
        ("/vm/snapshot", target, 501, "/vm/snapshot"),
    ] {
        let answered = post(&door, path, body).await;
        let message = refused(&answered, status);
        assert!(message.starts_with(begins), "{path}: {message}");
        assert_eq!(answered.text, format!(r#"{{"success":false,"message":{}}}"#, json!(message)));
    }
}

/// A VM as the document shows one: what is printed of it, put into the view.
struct Printed {
    id: VmId,
    name: &'static str,
    cpus: u16,
    memory: &'static str,
    disk: u64,
    address: &'static str,
    created: i64,
    updated: i64,
    machine: MachineState,
}

impl Printed {
    fn updates(&self) -> Vec<Update> {
        let Self { id, name, cpus, memory, disk, address, created, updated, machine } = *self;
        let config = json!({
            "name": name, "project": OWNER, "cpus": cpus, "memory": memory,
            "disks": [{ "name": "root", "size": format!("{disk}GiB") }],
        });
        let second = |seconds| Timestamp::from_second(seconds).unwrap();
        let spec = Spec {
            created: second(created),
            updated: second(updated),
            ..spec(id, serde_json::from_value(config).unwrap())
        };
        let virtual_size = ByteSize::from_gibibytes(disk);
        let root = "root".parse().unwrap();
        let disk = DiskFacts { name: root, virtual_size, allocated: ByteSize(0) };
        let address = GuestAddress {
            nic: None,
            address: address.parse().unwrap(),
            source: AddressSource::Lease,
        };
        vec![
            Update::VmSpec(Arc::new(spec)),
            Update::VmFacts { id, facts: Facts { machine, ..Facts::default() } },
            Update::VmDisks { id, disks: vec![disk] },
            Update::VmAddresses { id, addresses: vec![address] },
        ]
    }
}

const FIRST: &str = r#"{
    "build_id": "build-123456789",
    "name": "my-instance-1",
    "owner": "0x1234567890abcdef1234567890abcdef12345678",
    "state": "running",
    "resources": {
      "vcpu_count": 2,
      "mem_size_mib": 2048,
      "disk_size": 10
    },
    "ip_address": "192.168.100.5",
    "created_at": 1677721600,
    "updated_at": 1677724200
  }"#;

const SECOND: &str = r#"{
    "build_id": "build-987654321",
    "name": "my-instance-2",
    "owner": "0x1234567890abcdef1234567890abcdef12345678",
    "state": "stopped",
    "resources": {
      "vcpu_count": 4,
      "mem_size_mib": 4096,
      "disk_size": 20
    },
    "ip_address": "192.168.100.6",
    "created_at": 1677721700,
    "updated_at": 1677724300
  }"#;

#[tokio::test]
async fn one_vm_and_a_list_of_two() {
    let (house, door) = service(none()).await;
    let first = Printed {
        id: VmId::new(),
        name: "my-instance-1",
        cpus: 2,
        memory: "2048MiB",
        disk: 10,
        address: "192.168.100.5",
        created: 1_677_721_600,
        updated: 1_677_724_200,
        machine: MachineState::Running,
    };
    let second = Printed {
        id: VmId::new(),
        name: "my-instance-2",
        cpus: 4,
        memory: "4096MiB",
        disk: 20,
        address: "192.168.100.6",
        created: 1_677_721_700,
        updated: 1_677_724_300,
        machine: MachineState::Absent,
    };
    // The younger one first: they are listed in the order in which they were made.
    house.context.view().barrier([second.updates(), first.updates()].concat()).await.unwrap();
    let one = sent(FIRST).replace(PRINTED_ID, &first.id.to_string());
    let other = sent(SECOND).replace("build-987654321", &second.id.to_string());

    for (vm, printed) in [(&first, &one), (&second, &other)] {
        let request = json!({ "build_id": vm.id, "owner": OWNER });
        let info = post(&door, "/vm/info", request).await;
        assert_eq!((info.status, &info.text), (StatusCode::OK, printed));
    }
    let listed = door.send("POST", "/vm/list", "").await;
    assert_eq!((listed.status, listed.text), (StatusCode::OK, format!("[{one},{other}]")));
}
