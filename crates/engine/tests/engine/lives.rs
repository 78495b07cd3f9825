//! What becomes of a VM that nothing goes wrong with; and what is left where something did.

use crate::support::{Bench, LONG, START, STOP, config, create, disk, furnished};
use innkeeper_engine::{PowerVerb, Request};
use innkeeper_model::{
    ByteSize, Code, Mebibytes, Revision, TaskState, VmState, Want, task::StepState,
};
use serde_json::json;

#[tokio::test]
async fn a_life_from_create_to_delete() {
    let bench = Bench::new().await;
    let vm = bench.create_of(furnished("web")).await;
    let volume = bench.volumes(vm).join("root.qcow2");
    assert!(volume.exists());

    bench.powers(vm, &[START]).await;
    assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Running, Want::Running));
    let devices = bench.world.machine(vm).unwrap().devices;
    assert_eq!(devices, ["disk root", "read-only-disk more", "nic lan"]);
    bench.powers(vm, &[PowerVerb::Pause]).await;
    assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Paused, Want::Paused));
    bench.powers(vm, &[PowerVerb::Resume, PowerVerb::Reset]).await;
    assert_eq!(bench.vm(vm).facts.resets, 1);
    bench.is_sound().await;
    bench.powers(vm, &[STOP]).await;
    assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Stopped, Want::Stopped));
    bench.is_sound().await;

    bench.must(Request::Delete { vm, force: false }).await;
    assert!(!volume.exists());
    bench.is_empty().await;
}

#[tokio::test]
async fn a_copy_has_a_life_of_its_own() {
    let bench = Bench::new().await;
    let vm = bench.create_of(furnished("web")).await;
    let copied = bench.submit(Request::Clone { vm, name: "copy".parse().unwrap() }).await.unwrap();
    let copy = copied.vm.unwrap();
    assert_eq!(bench.end_of(&copied).await.state, TaskState::Done);
    bench.powers(copy, &[START]).await;
    let macs = |vm| bench.vm(vm).spec.unwrap().assigned.macs.clone();
    assert_ne!(macs(vm), macs(copy));
    bench.must(Request::Delete { vm, force: false }).await;
    assert_eq!(bench.state(copy), VmState::Running);
    bench.is_sound().await;
}

#[tokio::test]
async fn a_reboot_makes_the_machine_that_its_spec_says_by_then() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    let mut edited = bench.vm(vm).spec.unwrap().config.clone();
    edited.cpus = 3;
    bench.must(Request::Edit { vm, config: Box::new(edited), expected: None }).await;
    assert_eq!(bench.world.machine(vm).unwrap().incarnation.cpus, 1, "what runs stays as it is");
    bench.powers(vm, &[PowerVerb::Reboot { timeout: LONG, force: false }]).await;
    assert_eq!(bench.world.machine(vm).unwrap().incarnation.cpus, 3);
    bench.powers(vm, &[PowerVerb::Reboot { timeout: LONG, force: true }]).await;
    assert_eq!(bench.state(vm), VmState::Running);
    bench.is_sound().await;
}

#[tokio::test]
async fn a_running_vm_goes_by_force_only() {
    let bench = Bench::new().await;
    let vm = bench.create_of(furnished("web")).await;
    bench.powers(vm, &[START]).await;
    let refused = bench.refused(Request::Delete { vm, force: false }).await;
    assert_eq!(refused.code, Code::WrongState);
    bench.must(Request::Delete { vm, force: true }).await;
    bench.is_empty().await;
}

#[tokio::test]
async fn a_vm_that_is_being_made_can_be_told_to_start() {
    let bench = Bench::new().await;
    let created = bench.submit(create(json!({ "name": "web" }))).await.unwrap();
    let vm = created.vm.unwrap();
    bench.powers(vm, &[START]).await;
    assert_eq!(bench.state(vm), VmState::Running);
}

#[tokio::test]
async fn what_a_task_did_can_be_read_when_it_has_ended() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    let task = bench.power(vm, START).await;
    let snapshot = bench.snapshot();
    assert!(task.settled_at.unwrap() <= snapshot.revision);
    assert_eq!(snapshot.vms[&vm].state, VmState::Running);
    assert_eq!(snapshot.vms[&vm].task, None);
    assert_eq!(snapshot.tasks[&task.id].state, TaskState::Done);
    assert!(task.steps.iter().all(|step| step.state == StepState::Done && step.took_us.is_some()));
    assert_eq!((task.caller.as_str(), task.request_id.as_deref()), ("test", Some("r-1")));
    assert_eq!(task.resources, [format!("vm/{vm}")]);
}

#[tokio::test]
async fn a_start_that_fails_leaves_the_vm_as_it_was() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    let fault = bench.fails("sim/continue");
    let task = bench.power(vm, START).await;
    assert_eq!(task.state, TaskState::Failed);
    assert_eq!(task.error.unwrap().message, "as it was told to");
    let states: Vec<_> = task.steps.iter().map(|step| step.state).collect();
    let (undone, failed) = (StepState::Undone, StepState::Failed);
    assert_eq!(states, [undone, undone, undone, undone, failed]);
    assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Stopped, Want::Stopped));
    bench.is_sound().await;

    bench.world.take_away(fault);
    bench.powers(vm, &[START]).await;
}

#[tokio::test]
async fn a_start_whose_machine_dies_at_once_fails_and_leaves_nothing() {
    use innkeeper_sim::{Fault, FaultRule};
    let bench = Bench::new().await;
    for step in ["sim/launch", "sim/plug-disk", "sim/continue"] {
        let vm = bench.create_of(furnished(&step.replace('/', "-"))).await;
        let dies = bench.world.inject(FaultRule::new(step, Fault::DiesBefore).of(vm).nth(1));
        let task = bench.power(vm, START).await;
        bench.world.take_away(dies);
        // Before a launch there is nothing that could die.
        let expected = if step == "sim/launch" { TaskState::Done } else { TaskState::Failed };
        assert_eq!(task.state, expected, "{step}");
        bench.is_sound().await;
    }
}

#[tokio::test]
async fn a_create_that_fails_leaves_nothing() {
    let bench = Bench::new().await;
    let mut wished = config(json!({ "name": "web" }));
    wished.disks.push(disk("root"));
    wished.disks.push(disk("huge"));
    wished.disks[1].size = Some(ByteSize::from_gibibytes(1 << 20));
    let refused = match bench.submit(Request::Create { config: Box::new(wished), id: None }).await {
        Ok(accepted) => bench.end_of(&accepted).await.error.unwrap(),
        Err(refusal) => refusal,
    };
    assert!(refused.field.as_deref().is_some_and(|field| field.contains("huge")), "{refused:?}");
    bench.is_empty().await;
    bench.create("web").await;
}

#[tokio::test]
async fn a_create_that_fails_halfway_leaves_nothing() {
    let bench = Bench::new().await;
    let id = innkeeper_model::VmId::new();
    // Somebody else's: it is neither used nor removed.
    std::fs::create_dir_all(bench.volumes(id)).unwrap();
    std::fs::write(bench.volumes(id).join("root.qcow2"), "theirs").unwrap();
    let config = Box::new(config(furnished("web")));
    let task = bench.run(Request::Create { config, id: Some(id) }).await;
    assert_eq!(task.state, TaskState::Failed, "{task:?}");
    assert_eq!(std::fs::read(bench.volumes(id).join("root.qcow2")).unwrap(), b"theirs");
    assert!(bench.vms().is_empty() && bench.engine.diagnose().usage.vms == 0);
    bench.create_of(furnished("web")).await;
}

#[tokio::test]
async fn two_creates_of_one_name_at_once_make_one_vm() {
    let bench = Bench::new().await;
    let many = (0..16).map(|_| bench.submit(create(json!({ "name": "web" }))));
    let outcomes = futures_util::future::join_all(many).await;
    let refused = outcomes
        .iter()
        .filter(|outcome| outcome.as_ref().is_err_and(|refusal| refusal.code == Code::NameTaken));
    assert_eq!(refused.count(), 15);
    for accepted in outcomes.iter().flatten() {
        bench.end_of(accepted).await;
    }
    assert_eq!(bench.vms().len(), 1);
    bench.is_sound().await;
}

#[tokio::test]
async fn an_edit_is_refused_when_the_spec_is_another_by_now() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    let edit = |memory: &str| {
        let config = Box::new(config(json!({ "name": "web", "memory": memory })));
        Request::Edit { vm, config, expected: Some(Revision(1)) }
    };
    bench.must(edit("256MiB")).await;
    assert_eq!(bench.refused(edit("1GiB")).await.code, Code::RevisionConflict);
    let spec = bench.vm(vm).spec.unwrap();
    assert_eq!((spec.config.memory, spec.revision), (Mebibytes(256), Revision(2)));
}

#[tokio::test]
async fn an_edit_changes_what_it_says_and_nothing_else() {
    let bench = Bench::new().await;
    let vm = bench.create_of(furnished("web")).await;
    let before = bench.vm(vm).spec.unwrap();
    let mut edited = before.config.clone();
    edited.name = "www".parse().unwrap();
    edited.disks.retain(|disk| disk.name.as_str() != "root");
    edited.disks.push(disk("new"));
    bench.must(Request::Edit { vm, config: Box::new(edited.clone()), expected: None }).await;
    let after = bench.vm(vm).spec.unwrap();
    assert_eq!((&after.config, after.revision), (&edited, Revision(2)));
    assert_eq!((after.created, after.want), (before.created, before.want));
    assert_eq!(after.assigned.macs, before.assigned.macs);
    assert_eq!(bench.vm(vm).name.as_str(), "www");
    bench.is_sound().await;
    // The old name is free again, the new one taken.
    bench.create("web").await;
    assert_eq!(bench.refused(create(json!({ "name": "www" }))).await.code, Code::NameTaken);
}

#[tokio::test]
async fn the_secrets_of_a_seed_are_in_the_seed_and_nowhere_else() {
    let bench = Bench::new().await;
    let (secret, later) = ("password: hunter2-and-more", "password: hunter3-and-more");
    let seeded = |secret: &str| {
        let mut config = furnished("web");
        config["cloud_init"] = json!({ "user_data": secret });
        config
    };
    let vm = bench.create_of(seeded(secret)).await;
    bench.powers(vm, &[START]).await;
    let edited = Box::new(config(seeded(later)));
    bench.must(Request::Edit { vm, config: edited, expected: None }).await;
    bench.idle().await;
    let shown = bench.vms().into_iter().map(|vm| serde_json::to_string(&vm).unwrap());
    let tasks = bench.snapshot().tasks.values().map(|task| format!("{task:?}")).collect::<Vec<_>>();
    let shown = format!("{:?} {tasks:?} {:?}", shown.collect::<Vec<_>>(), bench.engine.diagnose());
    assert!(!shown.contains("hunter"), "{shown}");
    let ended = bench.end().await;
    let with_secrets = files_with(ended.path(), b"hunter");
    assert!(with_secrets.iter().all(|path| path.contains("/pool/volumes/")), "{with_secrets:?}");
    assert_eq!(with_secrets.len(), 1, "the seed itself: {with_secrets:?}");
}

/// The files below a folder that have this in them.
fn files_with(folder: &std::path::Path, what: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for name in crate::agreement::names(folder) {
        let path = folder.join(name);
        if path.is_dir() {
            found.extend(files_with(&path, what));
        } else if std::fs::read(&path).unwrap().windows(what.len()).any(|part| part == what) {
            found.push(path.display().to_string());
        }
    }
    found
}
