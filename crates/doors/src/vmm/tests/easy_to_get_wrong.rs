//! What is easy to get wrong, one test a point. Points 1 and 2 are in `signatures`.

use super::*;
use innkeeper_model::VmId;
use innkeeper_sim::{Fault, FaultRule};

fn id_of(target: &Value) -> VmId {
    target["build_id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn point_3_an_owner_is_written_one_way_from_the_edge_on() {
    let (house, door) = service(none()).await;
    let mut request = printed();
    request["owner"] = json!(OWNER.to_uppercase());
    let created = ok(&post(&door, "/vm/create", request).await);
    let target = json!({ "build_id": created["vm_id"] });
    assert_eq!(ok(&post(&door, "/vm/info", target.clone()).await)["owner"], OWNER);
    assert_eq!(house.vm(id_of(&target)).unwrap().project.as_str(), OWNER);
    for owner in [OWNER.to_owned(), OWNER.to_uppercase(), OWNER.replace("abc", "aBC")] {
        let listed = ok(&post(&door, "/vm/list", json!({ "owner": owner })).await);
        assert_eq!(listed.as_array().unwrap().len(), 1, "{owner}");
    }
}

#[tokio::test]
async fn point_4_what_was_not_done_is_never_200_and_what_was_has_its_task() {
    let (_house, door) = service(none()).await;
    let target = made(&door).await;
    for (planned, missing) in [
        ("snapshot", "memory"),
        ("coredump", "memory"),
        ("restore", "memory"),
        ("resize/vcpu", "CPUs"),
        ("resize/memory", "memory"),
        ("disk/add", "disks"),
        ("fs/add", "file systems"),
        ("migrate/to", "migration"),
        ("migrate/from", "migration"),
    ] {
        let path = format!("/vm/{planned}");
        let message = refused(&post(&door, &path, target.clone()).await, 501);
        assert!(message.contains(missing) && message.contains(&path), "{message}");
    }
    for path in ["/vm/boot", "/vm/reboot", "/vm/stop", "/vm/start", "/vm/delete"] {
        let done = ok(&post(&door, path, target.clone()).await);
        let task = ok(&post(&door, "/vm/task", json!({ "task_id": done["task_id"] })).await);
        assert_eq!((&task["state"], &task["build_id"]), (&json!("done"), &target["build_id"]));
    }
}

#[tokio::test]
async fn point_5_a_vm_has_one_id() {
    let (house, door) = service(none()).await;
    let target = made(&door).await;
    assert_eq!(house.vm(id_of(&target)).unwrap().name.as_str(), "my-instance");
    assert_eq!(ok(&post(&door, "/vm/info", target.clone()).await)["build_id"], target["build_id"]);
    // Its name is none.
    let named = json!({ "build_id": "my-instance" });
    refused(&post(&door, "/vm/info", named.clone()).await, 404);
    refused(&post(&door, "/vm/delete", named).await, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn point_6_a_slow_vm_holds_up_no_other_and_each_answer_is_its_callers_own() {
    let (house, door) = service(none()).await;
    let door = Arc::new(door);
    let slow = made(&door).await;
    let fault = FaultRule::new("sim/launch", Fault::Hangs).of(id_of(&slow));
    house.world.inject(fault);
    let starting = {
        let (door, slow) = (Arc::clone(&door), slow.clone());
        tokio::spawn(async move { post(&door, "/vm/start", slow).await })
    };
    let others = (0..8).map(|number| {
        let door = Arc::clone(&door);
        tokio::spawn(async move {
            let mut request = printed();
            request["name"] = json!(format!("other-{number}"));
            request["vm_config"]["mem_size_mib"] = json!(64);
            request["vm_config"]["vcpu_count"] = json!(1);
            let created = ok(&post(&door, "/vm/create", request).await);
            let target = json!({ "build_id": created["vm_id"] });
            let booted = ok(&post(&door, "/vm/boot", target.clone()).await);
            let task = json!({ "task_id": booted["task_id"] });
            let task = ok(&post(&door, "/vm/task", task).await);
            assert_eq!(task["build_id"], created["vm_id"]);
            let info = ok(&post(&door, "/vm/info", target).await);
            assert_eq!(info["name"], format!("other-{number}"));
            assert_eq!(info["state"], "running");
        })
    });
    for other in others.collect::<Vec<_>>() {
        other.await.unwrap();
    }
    assert!(!starting.is_finished(), "the slow one does not start yet");
    // And it can be ended all the same.
    ok(&post(&door, "/vm/stop", json!({ "build_id": slow["build_id"], "force": true })).await);
    refused(&starting.await.unwrap(), 409);
}

#[tokio::test]
async fn point_7_nobody_is_trusted_for_where_they_are_and_no_path_is_taken() {
    let (house, _) = service(none()).await;
    let (door, _token) = house.door_with_token(Vmm::new(none()));
    for (header, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("authorization", "Signature 00.0.00"),
        ("authorization", "Bearer"),
    ] {
        let request = HttpRequest::post("/vm/list")
            .header("host", "localhost")
            .header(header, value)
            .body(Body::empty())
            .unwrap();
        refused(&door.answer(request).await, 401);
    }
    let door = house.door(Vmm::new(none()), Role::Admin);
    for path in ["/etc/shadow", "../../etc/shadow", "file:///etc/shadow", "./rootfs.ext4"] {
        for field in ["kernel", "rootfs"] {
            let mut request = printed();
            request["vm_config"][field] = json!(path);
            refused(&post(&door, "/vm/create", request).await, 400);
        }
    }
}

#[tokio::test]
async fn point_8_stop_is_no_pause_and_delete_frees_all() {
    let (house, door) = service(none()).await;
    let target = made(&door).await;
    let id = id_of(&target);
    ok(&post(&door, "/vm/boot", target.clone()).await);
    assert!(house.vm(id).unwrap().incarnation.is_some());
    ok(&post(&door, "/vm/stop", target.clone()).await);
    let off = house.vm(id).unwrap();
    assert!(off.incarnation.is_none() && off.memory.is_none(), "nothing of its machine is left");

    let files = || {
        let pool = house.folder.path().join("pool");
        let mut folders = vec![pool];
        let mut names = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                match entry.file_type().unwrap().is_dir() {
                    true => folders.push(entry.path()),
                    false => names.push(entry.path().display().to_string()),
                }
            }
        }
        names
    };
    assert!(files().iter().any(|name| name.contains(&id.to_string())), "{:?}", files());
    ok(&post(&door, "/vm/start", target.clone()).await);
    ok(&post(&door, "/vm/delete", target).await);
    assert!(house.vm(id).is_none());
    assert!(files().iter().all(|name| !name.contains(&id.to_string())), "{:?}", files());
}

#[tokio::test]
async fn point_9_what_is_plugged_in_is_on_record_and_a_removal_that_waits_says_so() {
    let (house, door) = service(none()).await;
    let target = made(&door).await;
    let id = id_of(&target);
    ok(&post(&door, "/vm/boot", target.clone()).await);
    let nic = json!({ "build_id": id, "device": { "type": "nic", "network": "user" } });
    let added = ok(&post(&door, "/vm/device/add", nic).await);
    let names = || {
        let vm = house.vm(id).unwrap();
        let nics = &vm.spec.as_ref().unwrap().config.nics;
        nics.iter().map(|nic| nic.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["nic0", added["device_id"].as_str().unwrap()]);
    // The removal that waits: `what_goes_on_is_no_failure_and_brings_the_task_that_tells_its_end`.
    let remove = json!({ "build_id": id, "device_id": added["device_id"] });
    ok(&post(&door, "/vm/device/remove", remove).await);
    assert_eq!(names(), ["nic0"]);
}

#[tokio::test]
async fn point_10_an_image_is_never_taken_of_a_disk_that_its_guest_writes_to() {
    let (house, door) = service(none()).await;
    let target = made(&door).await;
    ok(&post(&door, "/vm/boot", target.clone()).await);
    refused(&post(&door, "/vm/commit", target.clone()).await, 409);
    for path in ["/vm/snapshot", "/vm/restore", "/vm/migrate/to", "/vm/migrate/from"] {
        refused(&post(&door, path, target.clone()).await, 501);
    }
    assert_eq!(house.vm(id_of(&target)).unwrap().state, VmState::Running);
}
