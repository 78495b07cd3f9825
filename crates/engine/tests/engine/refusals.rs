//! What is refused at once, with the field, the limit and what to do; and what only looks.

use crate::support::{Bench, START, STOP, caller, create, furnished};
use innkeeper_engine::{NicChange, PowerVerb, Request};
use innkeeper_model::{Code, TaskId, VmId, VmState};
use serde_json::json;

#[tokio::test]
async fn sizes_beyond_the_host_are_refused_with_the_limit() {
    let bench = Bench::new().await;
    for (field, value, limit) in [("memory", json!("8GiB"), "4GiB"), ("cpus", json!(9), "8")] {
        let refused = bench.refused(create(json!({ "name": "web", field: value }))).await;
        assert_eq!(refused.code, Code::InvalidField);
        assert_eq!(
            (refused.field.as_deref(), refused.limit.as_deref()),
            (Some(field), Some(limit))
        );
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let bench = Bench::new().await;
    let vm = VmId::new();
    let clone = Request::Clone { vm, name: "copy".parse().unwrap() };
    let power = |verb| Request::Power { vm, verb };
    let delete = Request::Delete { vm, force: true };
    for request in [clone, power(START), power(PowerVerb::Kill), power(PowerVerb::Resume), delete] {
        let text = format!("{request:?}");
        assert_eq!(bench.refused(request).await.code, Code::NotFound, "{text}");
    }
    let refused = bench.engine.cancel(&caller(), TaskId::new()).await.unwrap_err();
    assert_eq!(refused.code, Code::NotFound);
    assert_eq!(bench.engine.task(TaskId::new()).await, None);
    let refused = bench.engine.dry_run(Request::Power { vm, verb: START }).await.unwrap_err();
    assert_eq!(refused.code, Code::NotFound);
    let image = Request::RemoveImage { name: "none".parse().unwrap() };
    assert_eq!(bench.refused(image).await.code, Code::NotFound);
    assert!(bench.engine.diagnose().tasks.is_empty(), "no task is left of a refusal");
}

#[tokio::test]
async fn an_illegal_operation_is_refused_with_state_and_operation() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    let refused = async |verb| bench.refused(Request::Power { vm, verb }).await;
    for (verb, name) in [
        (STOP, "stop"),
        (PowerVerb::Kill, "kill"),
        (PowerVerb::Reset, "reset"),
        (PowerVerb::Pause, "pause"),
        (PowerVerb::Resume, "resume"),
        (PowerVerb::Suspend, "suspend"),
    ] {
        let refusal = refused(verb).await;
        assert_eq!(refusal.code, Code::WrongState);
        assert!(refusal.message.contains(name) && refusal.message.contains("stopped"), "{refusal}");
    }
    bench.powers(vm, &[START]).await;
    assert!(refused(START).await.message.contains("running"));
    bench.powers(vm, &[PowerVerb::Pause]).await;
    assert!(refused(STOP).await.hint.unwrap().contains("inn resume"));
}

#[tokio::test]
async fn a_protected_vm_is_not_deleted() {
    let bench = Bench::new().await;
    let vm = bench.create_of(json!({ "name": "web", "protected": true })).await;
    for force in [false, true] {
        assert_eq!(bench.refused(Request::Delete { vm, force }).await.code, Code::Protected);
    }
    bench.is_sound().await;
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let bench = Bench::new().await;
    let vm = bench.create_of(furnished("web")).await;
    bench.idle().await;
    bench.world.watch_calls();
    let before =
        (bench.snapshot().revision, files(&bench), bench.engine.diagnose().journal.records);
    let plan = bench.engine.dry_run(Request::Power { vm, verb: START }).await.unwrap();
    let paths: Vec<_> = plan.steps.iter().map(|step| step.path.as_str()).collect();
    assert!(paths.contains(&"sim/launch") && paths.contains(&"sim/plug-nic:lan"), "{paths:?}");
    assert_eq!((plan.operation.as_str(), plan.after_crash.as_str()), ("start", "forward"));
    let refused = bench.engine.dry_run(Request::Power { vm, verb: STOP }).await.unwrap_err();
    assert_eq!(refused.code, Code::WrongState);
    let after = (bench.snapshot().revision, files(&bench), bench.engine.diagnose().journal.records);
    assert_eq!(after, before);
    assert!(bench.world.calls().is_empty());
    assert_eq!(bench.state(vm), VmState::Stopped);
    // It is what a task then does.
    let task = bench.power(vm, START).await;
    let names: Vec<_> = task.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, paths);
}

/// Of whatever can be asked, what would be refused is refused and nothing is taken.
#[tokio::test]
async fn every_request_can_be_tried_dry() {
    let bench = Bench::new().await;
    let lan = bench.lan().await;
    let vm = bench.create_of(furnished("web")).await;
    let on = bench.create_of(furnished("on")).await;
    bench.powers(on, &[START]).await;
    bench.idle().await;
    bench.world.watch_calls();
    let nic = |name: &str| {
        let nic = json!({ "name": name, "network": "lan", "addresses": ["10.0.0.2"] });
        Box::new(serde_json::from_value(nic).unwrap())
    };
    let edited = bench.edited(vm, |config| {
        config.disks.push(crate::support::disk("data"));
        config.disks.remove(0);
    });
    let requests: [(&str, Request, &[&str]); 12] = [
        ("create", create(crate::networks::on_lan("new")), &["reserve-addresses", "save-spec"]),
        ("create", create(furnished("other")), &["volumes/create-volume:root", "save-spec"]),
        ("clone", Request::Clone { vm, name: "copy".parse().unwrap() }, &["clone-volumes"]),
        ("edit", edited, &["create-volume:data", "save-spec", "remove-volume:root"]),
        ("delete", Request::Delete { vm, force: false }, &["remove-spec", "remove-volumes"]),
        ("delete", Request::Delete { vm: on, force: true }, &["sim/kill", "remove-spec"]),
        (
            "nic-add",
            Request::Nic { vm: on, change: NicChange::Add(nic("eth")) },
            &["reserve-addresses", "sim/add-nic:eth"],
        ),
        (
            "nic-remove",
            Request::Nic { vm: on, change: NicChange::Remove("lan".parse().unwrap()) },
            &["sim/remove-nic:lan"],
        ),
        ("suspend", Request::Power { vm: on, verb: crate::support::SUSPEND }, &["sim/save-memory"]),
        ("kill", Request::Power { vm: on, verb: PowerVerb::Kill }, &["sim/kill"]),
        ("network-delete", crate::networks::network_delete(lan), &["remove-network"]),
        ("pause", Request::Power { vm: on, verb: PowerVerb::Pause }, &["sim/pause"]),
    ];
    let before =
        (bench.snapshot().revision, files(&bench), bench.engine.diagnose().journal.records);
    for (operation, request, parts) in &requests {
        let plan = bench.engine.dry_run(request.clone()).await.unwrap();
        assert_eq!(plan.operation, *operation);
        let paths: Vec<_> = plan.steps.iter().map(|step| step.path.as_str()).collect();
        for part in *parts {
            assert!(paths.contains(part), "{operation}: {part} in {paths:?}");
        }
    }
    for (request, code) in [
        (create(json!({ "name": "web" })), Code::NameTaken),
        (create(json!({ "name": "large", "memory": "1TiB" })), Code::InvalidField),
        (Request::Clone { vm: on, name: "copy".parse().unwrap() }, Code::WrongState),
        (Request::Delete { vm: on, force: false }, Code::WrongState),
        (Request::Nic { vm, change: NicChange::Remove("eth".parse().unwrap()) }, Code::NotFound),
        (bench.edited(on, |config| drop(config.disks.remove(0))), Code::InUse),
    ] {
        let text = format!("{request:?}");
        let refused = bench.engine.dry_run(request).await.unwrap_err();
        assert_eq!(refused.code, code, "{text}: {refused}");
    }
    let after = (bench.snapshot().revision, files(&bench), bench.engine.diagnose().journal.records);
    assert_eq!(after, before);
    assert!(bench.world.calls().is_empty());
    // Nobody has the names and the addresses that were tried.
    bench.must(requests[6].1.clone()).await;
    bench.must(requests[2].1.clone()).await;
    assert_eq!(bench.assigned(on, "eth"), [crate::networks::ip("10.0.0.2")]);
    bench.is_sound().await;
}

#[tokio::test]
async fn images_and_networks_can_be_tried_dry() {
    use crate::{
        commits::commit,
        images::{add, remove},
        networks::{
            ip, network_create, network_delete, network_edit, release, reserve, subnet_create,
            subnet_delete,
        },
    };
    let bench = Bench::new().await;
    let (lan, bare) = (bench.lan().await, bench.network("bare", &["10.1.0.0/29"]).await);
    let subnet = bench.subnet(lan);
    bench.must(reserve(subnet, &[ip("10.0.0.5")], 0)).await;
    bench.must(add(&bench, "base")).await;
    let vm = bench.create_of(furnished("web")).await;
    bench.create_of(crate::networks::on_lan("user")).await;
    bench.idle().await;
    let keep: &[&str] = &["keep-addresses", "wire-network"];
    let save: &[&str] = &["save-network", "wire-network"];
    let requests: [(&str, &str, Request, &[&str]); 10] = [
        ("image-add", "back", add(&bench, "other"), &["import-image"]),
        ("image-add", "back", commit(vm, "golden"), &["import-image"]),
        ("image-remove", "forward", remove("base"), &["remove-image"]),
        (
            "network-create",
            "back",
            network_create(json!({ "name": "new" }), &["10.2.0.0/24"]),
            save,
        ),
        ("network-edit", "back", network_edit(lan, json!({ "name": "lan", "mtu": 1400 })), save),
        ("subnet-create", "back", subnet_create(lan, json!({ "range": "10.3.0.0/24" })), save),
        ("subnet-delete", "back", subnet_delete(bench.subnet(bare)), save),
        ("network-delete", "forward", network_delete(bare), &["remove-network", "release-network"]),
        ("subnet-reserve", "back", reserve(subnet, &[], 1), keep),
        (
            "subnet-release",
            "forward",
            release(subnet, vec![ip("10.0.0.5")]),
            &["give-back-addresses", "wire-network"],
        ),
    ];
    let seen = || {
        let desired = format!("{:?}", bench.setup.networks.desired());
        (bench.snapshot().revision, files(&bench), bench.engine.diagnose().journal.records, desired)
    };
    let before = seen();
    for (operation, way, request, parts) in &requests {
        let plan = bench.engine.dry_run(request.clone()).await.unwrap();
        assert_eq!((plan.operation.as_str(), plan.after_crash.as_str()), (*operation, *way));
        let paths: Vec<_> = plan.steps.iter().map(|step| step.path.as_str()).collect();
        assert_eq!(paths, *parts, "{operation}");
        assert!(plan.steps.iter().all(|step| step.crash == "repeat"), "{plan:?}");
        assert_eq!(plan.steps[0].way_back, *way == "back", "{plan:?}");
    }
    for (request, code) in [
        (add(&bench, "base"), Code::NameTaken),
        (remove("none"), Code::NotFound),
        (network_create(json!({ "name": "lan" }), &[]), Code::NameTaken),
        (network_delete(lan), Code::InUse),
        (subnet_create(lan, json!({ "range": "10.0.0.0/30" })), Code::InUse),
        (subnet_delete(subnet), Code::InUse),
        (reserve(subnet, &[ip("10.0.0.5")], 0), Code::InUse),
        (release(subnet, vec![ip("10.0.0.6")]), Code::NotFound),
    ] {
        let text = format!("{request:?}");
        let refused = bench.engine.dry_run(request).await.unwrap_err();
        assert_eq!(refused.code, code, "{text}: {refused}");
    }
    assert_eq!(seen(), before);
    assert!(bench.engine.diagnose().tasks.is_empty());
    // What was tried is still to be had.
    for (_, _, request, _) in requests {
        bench.must(request).await;
    }
    bench.is_sound().await;
}

/// Every file, but those of the journal, which makes room when it likes.
fn files(bench: &Bench) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = ["vms", "pool", "networks"].map(|of| bench.path().join(of)).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push((path.display().to_string(), std::fs::read(&path).unwrap())),
            }
        }
    }
    files.sort();
    files
}
