mod easy_to_get_wrong;
mod foreign;
mod owners;
mod printed;
mod quotas;
mod scripted;
mod signatures;
mod wallet;

use super::*;
use crate::testing::{Answered, House, TestDoor, is_documented, kernel, spec};
use axum::body::Body;
use http::{Request as HttpRequest, StatusCode};
use innkeeper_auth::Role;
use innkeeper_model::{EndReason, Facts, ImageKind, ImageName, VmConfig, VmState, config::Boot};
use innkeeper_view::Update;
use serde_json::{Value, json};

/// A VM's owner, as the service's own document has it.
const OWNER: &str = "0x1234567890abcdef1234567890abcdef12345678";

fn none() -> Defaults {
    Defaults { kernel: None, rootfs: None, boot_args: "quiet".into() }
}

/// The service, where there are the two images that its document names.
async fn service(defaults: Defaults) -> (House, TestDoor<Vmm>) {
    let house = House::new().await;
    house.import("vmlinux.bin", ImageKind::Kernel, &kernel()).await;
    house.import("rootfs.ext4", ImageKind::Disk, &[0; 1 << 20]).await;
    let door = house.door(Vmm::new(defaults), Role::Admin);
    (house, door)
}

async fn post(door: &TestDoor<Vmm>, path: &str, body: Value) -> Answered {
    door.send("POST", path, &body.to_string()).await
}

#[track_caller]
fn ok(answered: &Answered) -> Value {
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.text);
    answered.json()
}

#[track_caller]
fn refused(answered: &Answered, status: u16) -> String {
    assert_eq!(answered.status.as_u16(), status, "{}", answered.text);
    let body = answered.json();
    assert_eq!(body["success"], false);
    assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
    body["message"].as_str().unwrap().to_owned()
}

/// The request of the service's document.
fn printed() -> Value {
    json!({
        "name": "my-instance",
        "owner": OWNER,
        "vm_config": {
            "vcpu_count": 2,
            "mem_size_mib": 2048,
            "disk_size": 10,
            "boot_args": "console=ttyS0 reboot=k panic=1 pci=off",
            "kernel": "vmlinux.bin",
            "rootfs": "rootfs.ext4",
        },
    })
}

/// Makes the VM of the document, and says which it is.
async fn made(door: &TestDoor<Vmm>) -> Value {
    let created = ok(&post(door, "/vm/create", printed()).await);
    json!({ "build_id": created["vm_id"], "owner": OWNER })
}

#[tokio::test]
async fn probes_answer_as_printed() {
    let (_house, door) = service(none()).await;
    assert_eq!(door.get("/health").await.text, "\"healthy\"");
    let pong = ok(&post(&door, "/ping", json!({ "message": "ping" })).await);
    assert_eq!(pong["message"], "pong");
    let now = innkeeper_model::Timestamp::now().as_second();
    let told = pong["timestamp"].as_i64().unwrap();
    assert!(now.abs_diff(told) <= 60, "{told} is not about {now} s");
}

#[tokio::test]
async fn a_vm_lives_as_the_document_tells() {
    let (house, door) = service(none()).await;
    let created = ok(&post(&door, "/vm/create", printed()).await);
    assert_eq!(created["success"], true);
    let message = created["message"].as_str().unwrap();
    assert!(message.starts_with("VM created successfully; pci=off was dropped"), "{message}");
    let id = &created["vm_id"];
    let target = json!({ "build_id": id, "owner": OWNER });

    let info = ok(&post(&door, "/vm/info", target.clone()).await);
    assert_eq!(info["build_id"], *id);
    assert_eq!((&info["name"], &info["owner"]), (&json!("my-instance"), &json!(OWNER)));
    assert_eq!(info["state"], "stopped");
    let resources = json!({ "vcpu_count": 2, "mem_size_mib": 2048, "disk_size": 10 });
    assert_eq!(info["resources"], resources);
    assert!(info["created_at"].is_i64() && info["updated_at"].is_i64());
    assert_eq!(info["ip_address"], "", "its NIC is on no network of this host");

    for (path, said, state) in [
        ("/vm/boot", "VM boot initiated", VmState::Running),
        ("/vm/reboot", "VM rebooted successfully", VmState::Running),
        ("/vm/stop", "VM stopped successfully", VmState::Stopped),
        ("/vm/start", "VM started successfully", VmState::Running),
    ] {
        let done = ok(&post(&door, path, target.clone()).await);
        assert_eq!((&done["success"], &done["message"]), (&json!(true), &json!(said)), "{path}");
        let task = ok(&post(&door, "/vm/task", json!({ "task_id": done["task_id"] })).await);
        assert_eq!((&task["state"], &task["build_id"]), (&json!("done"), id), "{path}");
        // What the answer says is what everybody reads from then on.
        assert_eq!(house.vm(id.as_str().unwrap().parse().unwrap()).unwrap().state, state, "{path}");
    }
    let forced = json!({ "build_id": id, "owner": OWNER, "force": true });
    assert_eq!(ok(&post(&door, "/vm/stop", forced).await)["message"], "VM stopped successfully");

    let listed = ok(&post(&door, "/vm/list", json!({})).await);
    assert_eq!(listed[0]["build_id"], *id);
    assert_eq!(listed[0]["state"], "stopped");
    assert_eq!(
        ok(&post(&door, "/vm/delete", target.clone()).await)["message"],
        "VM deleted successfully"
    );
    assert_eq!(ok(&door.send("POST", "/vm/list", "").await), json!([]));
    refused(&post(&door, "/vm/info", target).await, 404);
}

#[tokio::test]
async fn a_power_button_is_pressed_and_its_guest_powers_off() {
    let (house, door) = service(none()).await;
    let target = made(&door).await;
    refused(&post(&door, "/vm/power-button", target.clone()).await, 409);
    ok(&post(&door, "/vm/boot", target.clone()).await);
    let pressed = ok(&post(&door, "/vm/power-button", target.clone()).await);
    assert_eq!(pressed["message"], "VM power button pressed");
    let task = pressed["task_id"].as_str().unwrap().parse().unwrap();
    house.engine.wait(task, crate::testing::LONG).await.unwrap();
    assert_eq!(ok(&post(&door, "/vm/info", target).await)["state"], "stopped");
}

#[tokio::test]
async fn boot_is_the_first_start_and_start_is_any() {
    let (_house, door) = service(none()).await;
    let target = made(&door).await;
    // The document's own example creates, and then starts.
    ok(&post(&door, "/vm/start", target.clone()).await);
    ok(&post(&door, "/vm/stop", target.clone()).await);
    let message = refused(&post(&door, "/vm/boot", target.clone()).await, 409);
    assert!(message.contains("/vm/start"), "{message}");
    ok(&post(&door, "/vm/start", target.clone()).await);
    refused(&post(&door, "/vm/boot", target).await, 409);
}

/// Nobody saw its machine end, which is no reason to take it for new.
#[tokio::test]
async fn boot_is_no_first_start_after_the_host_went_down() {
    let (house, door) = service(none()).await;
    let target = made(&door).await;
    let id = target["build_id"].as_str().unwrap().parse().unwrap();
    // As the engine tells it then.
    let last_end = Some(EndReason::HypervisorDied { status: None });
    let facts = Facts { last_end, ..Facts::default() };
    house.context.view().barrier(vec![Update::VmFacts { id, facts }]).await.unwrap();
    refused(&post(&door, "/vm/boot", target.clone()).await, 409);
    ok(&post(&door, "/vm/start", target).await);
}

#[tokio::test]
async fn vms_are_listed_oldest_first_whatever_their_ids_are() {
    let (house, door) = service(none()).await;
    let own = made(&door).await;
    let given = "f0000000-0000-4000-8000-000000000000";
    // Made in 1970.
    let spec = spec(given.parse().unwrap(), VmConfig::new("given".parse().unwrap()));
    house.context.view().barrier(vec![Update::VmSpec(Arc::new(spec))]).await.unwrap();
    let listed = ok(&post(&door, "/vm/list", json!({})).await);
    let ids: Vec<_> = listed.as_array().unwrap().iter().map(|vm| &vm["build_id"]).collect();
    assert_eq!(ids, [&json!(given), &own["build_id"]]);
}

#[tokio::test]
async fn the_kernel_of_the_printed_request_finds_its_disk() {
    let (house, door) = service(none()).await;
    let target = made(&door).await;
    let vm = house.vm(target["build_id"].as_str().unwrap().parse().unwrap()).unwrap();
    let config = &vm.spec.as_ref().unwrap().config;
    let Boot::Kernel(kernel) = &config.boot else { panic!("{:?}", config.boot) };
    assert_eq!(kernel.cmdline, "console=ttyS0 reboot=k panic=1 root=/dev/vda rw");
    assert_eq!(config.disks[0].size.unwrap().0, 10 << 30);
}

#[tokio::test]
async fn what_a_request_leaves_out_is_the_doors_default() {
    let defaults = Defaults {
        kernel: Some("vmlinux.bin".parse().unwrap()),
        rootfs: Some("rootfs.ext4".parse().unwrap()),
        boot_args: "root=/dev/vda quiet".into(),
    };
    let (house, door) = service(defaults).await;
    let created = ok(&post(&door, "/vm/create", json!({ "name": "bare" })).await);
    assert_eq!(created["message"], "VM created successfully");
    let info = ok(&post(&door, "/vm/info", json!({ "build_id": created["vm_id"] })).await);
    assert_eq!(info["owner"], "default");
    let vm = house.vm(created["vm_id"].as_str().unwrap().parse().unwrap()).unwrap();
    let config = &vm.spec.as_ref().unwrap().config;
    assert_eq!(config.disks[0].image.as_ref().unwrap().as_str(), "rootfs.ext4");
    ok(&post(&door, "/vm/boot", json!({ "build_id": created["vm_id"] })).await);
}

#[tokio::test]
async fn an_owner_sees_their_own_whatever_the_case_of_the_address() {
    let (_house, door) = service(none()).await;
    let target = made(&door).await;
    let upper = json!({ "build_id": target["build_id"], "owner": OWNER.to_uppercase() });
    ok(&post(&door, "/vm/info", upper).await);
    let other = json!({ "build_id": target["build_id"], "owner": "0xdead" });
    let of_other = refused(&post(&door, "/vm/info", other.clone()).await, 404);
    let unknown = json!({ "build_id": uuid::Uuid::nil(), "owner": "0xdead" });
    let of_nobody = refused(&post(&door, "/vm/info", unknown).await, 404);
    let id = target["build_id"].as_str().unwrap();
    assert_eq!(of_other.replace(id, "ID"), of_nobody.replace(&uuid::Uuid::nil().to_string(), "ID"));
    refused(&post(&door, "/vm/stop", other).await, 404);
    assert_eq!(ok(&post(&door, "/vm/list", json!({ "owner": "0xdead" })).await), json!([]));
}

#[tokio::test]
async fn a_device_is_plugged_in_and_taken_out() {
    let (house, door) = service(none()).await;
    let target = made(&door).await;
    let id = &target["build_id"];
    let add = |device: Value| json!({ "build_id": id, "device": device });
    let nic = json!({ "type": "nic", "network": "user" });
    let added = ok(&post(&door, "/vm/device/add", add(nic)).await);
    assert_eq!(added["device_id"], "nic1");
    let remove = json!({ "build_id": id, "device_id": "nic1" });
    ok(&post(&door, "/vm/device/remove", remove.clone()).await);
    refused(&post(&door, "/vm/device/remove", remove).await, 404);
    // Without a word about it, it is on what a new VM's is on.
    ok(&post(&door, "/vm/device/add", add(json!({ "type": "nic" }))).await);
    let nics = house.vm(id.as_str().unwrap().parse().unwrap()).unwrap();
    let nics = &nics.spec.as_ref().unwrap().config.nics;
    assert_eq!((nics.len(), &nics[1].network), (2, &nics[0].network));
    refused(&post(&door, "/vm/device/add", add(json!({ "type": "vfio" }))).await, 501);
    let multicast = json!({ "type": "nic", "network": "user", "mac": "01:00:00:00:00:01" });
    refused(&post(&door, "/vm/device/add", add(multicast)).await, 400);
}

#[tokio::test]
async fn a_disk_is_committed_and_another_vm_begins_as_it() {
    let (house, door) = service(none()).await;
    let mut small = printed();
    small["vm_config"].as_object_mut().unwrap().remove("disk_size");
    let created = ok(&post(&door, "/vm/create", small.clone()).await);
    let id = &created["vm_id"];
    let commit = |more: Value| {
        let mut body = json!({ "build_id": id, "owner": OWNER });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let done = ok(&post(&door, "/vm/commit", commit(json!({ "name": "golden" }))).await);
    assert_eq!(done["message"], "VM committed successfully");
    assert_eq!((&done["success"], &done["image"]), (&json!(true), &json!("golden")));
    let task = ok(&post(&door, "/vm/task", json!({ "task_id": done["task_id"] })).await);
    assert_eq!((&task["state"], &task["build_id"]), (&json!("done"), id));
    let snapshot = house.context.view().snapshot();
    let lineage = snapshot.images[&"golden".parse::<ImageName>().unwrap()].lineage.clone().unwrap();
    assert_eq!((json!(lineage.vm), lineage.vm_name.as_str()), (id.clone(), "my-instance"));
    assert_eq!(lineage.image.unwrap().name.as_str(), "rootfs.ext4");

    small["name"] = json!("second");
    small["vm_config"]["rootfs"] = json!("golden");
    let second = ok(&post(&door, "/vm/create", small).await);
    ok(&post(&door, "/vm/boot", json!({ "build_id": second["vm_id"] })).await);

    let unnamed = ok(&post(&door, "/vm/commit", commit(json!({ "disk": "root" }))).await);
    assert!(unnamed["image"].as_str().unwrap().starts_with("my-instance-2"), "{unnamed}");
    let again = ok(&post(&door, "/vm/commit", commit(json!({}))).await);
    assert_ne!(again["image"], unnamed["image"]);
    for (more, status) in [
        (json!({ "name": "golden" }), 409),
        (json!({ "name": "../golden" }), 400),
        (json!({ "name": "other", "disk": "none" }), 404),
        (json!({ "owner": "0xdead" }), 404),
    ] {
        refused(&post(&door, "/vm/commit", commit(more)).await, status);
    }
    ok(&post(&door, "/vm/start", commit(json!({}))).await);
    let message = refused(&post(&door, "/vm/commit", commit(json!({}))).await, 409);
    assert!(message.contains("cannot commit VM my-instance: it is running"), "{message}");
}

#[tokio::test]
async fn what_is_refused_says_so_with_its_status() {
    let (_house, door) = service(none()).await;
    let target = made(&door).await;
    let with = |key: &str, value: Value| {
        let mut request = printed();
        request["name"] = json!("other");
        request["vm_config"][key] = value;
        request
    };
    for (path, body, status) in [
        ("/vm/create", printed(), 409),
        ("/vm/create", json!({}), 400),
        ("/vm/create", json!({ "name": "../etc" }), 400),
        ("/vm/create", with("kernel", json!("/boot/vmlinuz")), 400),
        ("/vm/create", with("kernel", json!("none")), 404),
        ("/vm/create", with("kernel", json!("rootfs.ext4")), 400),
        ("/vm/create", with("rootfs", json!("../../etc/shadow")), 400),
        ("/vm/create", with("disk_size", json!(0)), 400),
        ("/vm/create", with("disk_size", json!(-1)), 400),
        ("/vm/create", with("disk_size", json!(u64::MAX)), 400),
        ("/vm/create", with("vcpu_count", json!(0)), 400),
        ("/vm/create", with("mem_size_mib", json!("2048")), 400),
        ("/vm/create", json!({ "name": "bare" }), 400),
        ("/vm/create", json!({ "name": "bare", "owner": "a b" }), 400),
        ("/vm/info", json!({}), 400),
        ("/vm/info", json!({ "build_id": "build-123456789" }), 404),
        ("/vm/stop", target.clone(), 409),
        ("/vm/reboot", target.clone(), 409),
        ("/vm/task", json!({ "task_id": "7" }), 404),
        ("/vm/snapshot", target.clone(), 501),
        ("/vm/migrate/to", target.clone(), 501),
        ("/vm/nonsense", json!({}), 404),
        // What later versions have, and guests and queues once sent.
        ("/vm/boot_complete", json!({ "build_id": target["build_id"] }), 404),
        ("/v1/create", printed(), 404),
    ] {
        refused(&post(&door, path, body.clone()).await, status);
    }
    refused(&door.send("POST", "/vm/info", "{").await, 400);
    refused(&door.send("POST", "/vm/info", "{} {}").await, 400);
    refused(&door.send("POST", "/vm/info", &" ".repeat(65 << 10)).await, 413);
    refused(&door.send("GET", "/vm/list", "").await, 404);
    // Nothing of all that was made.
    assert_eq!(ok(&door.send("POST", "/vm/list", "").await).as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn without_the_token_only_the_probe_answers() {
    let (house, _) = service(none()).await;
    let (door, token) = house.door_with_token(Vmm::new(none()));
    assert_eq!(door.get("/health").await.status, StatusCode::OK);
    // Before it is said what there is: what is planned, and what is not there at all.
    for path in ["/ping", "/vm/list", "/vm/create", "/vm/snapshot", "/vm/nonsense"] {
        refused(&post(&door, path, json!({})).await, 401);
    }
    for (token, status) in [(token.as_str(), 200), ("another", 401)] {
        let request = HttpRequest::post("/vm/list")
            .header("host", "localhost")
            .header("authorization", format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap();
        assert_eq!(door.answer(request).await.status.as_u16(), status);
    }
}

#[test]
fn the_openapi_document_is_current() {
    is_documented(Door::Vmm, &document());
}
