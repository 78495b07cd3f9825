//! VMs that go out as files, and files that come in to become VMs.

use crate::{
    agreement::names,
    networks::on_lan,
    support::{Bench, RESUME, START, STOP, SUSPEND, Setup, caller, furnished},
};
use async_trait::async_trait;
use innkeeper_engine::{
    Capacity, Engine, Export, ImportVm, Point, PowerVerb, Request, StagedVm, Witness,
};
use innkeeper_model::{ByteSize, Code, ProjectName, Quota, Refusal, Spec, TaskState, Usage, VmId};
use serde_json::json;
use std::{
    os::unix::fs::FileExt,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// Reads all of a file.
async fn read(mut export: Export) -> Vec<u8> {
    let mut file = Vec::new();
    while let Some((piece, next)) = export.read().await.unwrap() {
        file.extend(piece);
        export = next;
    }
    file
}

async fn export(bench: &Bench, vm: VmId) -> Vec<u8> {
    read(bench.engine.export_vm(&caller(), vm).await.unwrap().file).await
}

/// What an export of another VM than this would be.
async fn export_as(bench: &Bench, vm: VmId, change: impl FnOnce(&mut Spec)) -> Vec<u8> {
    let mut spec = Spec::clone(bench.vm(vm).spec.as_ref().unwrap());
    change(&mut spec);
    read(bench.storage.export(&Arc::new(spec)).await.unwrap()).await
}

async fn arrive(bench: &Bench, file: &[u8]) -> StagedVm {
    let opened = bench.engine.receive_vm(&caller(), Some(file.len() as u64), None).await.unwrap();
    opened.arrival.write(file.to_vec()).await.unwrap().finish().await.unwrap()
}

/// The import of such a file under a name, or with all that it was.
async fn import(bench: &Bench, file: &[u8], name: Option<&str>) -> Request {
    let staged = Arc::new(arrive(bench, file).await);
    let keep_identity = name.is_none();
    let name = name.map(|name| name.parse().unwrap());
    Request::Import(Box::new(ImportVm { staged, name, project: None, keep_identity }))
}

/// Waits until nothing is left of what has arrived.
async fn is_cleared(bench: &Bench) {
    let uploads = bench.path().join("pool/uploads");
    bench.until_so("cleared", || names(&uploads).is_empty()).await;
}

#[tokio::test]
async fn a_vm_goes_out_and_comes_in_as_a_copy() {
    let bench = Bench::new().await;
    let vm = bench.create_of(furnished("web")).await;
    let file = export(&bench, vm).await;
    assert!(bench.engine.diagnose().sessions.is_empty());
    let opened = bench.engine.receive_vm(&caller(), None, None).await.unwrap();
    opened.session.typed(7);
    let sessions = bench.engine.diagnose().sessions;
    let [session] = &sessions[..] else { panic!("{sessions:?}") };
    assert_eq!((session.vm, &session.image, session.viewers), (None, &None, 1));
    assert_eq!((session.kind.as_str(), session.typed), ("import", 7));
    drop(opened);
    assert!(bench.engine.diagnose().sessions.is_empty());
    let task = bench.must(import(&bench, &file, Some("copy")).await).await;
    assert_eq!((task.operation.as_str(), task.subject.as_str()), ("import", "copy"));
    let copy = task.vm.unwrap();
    let (was, is) = (bench.vm(vm).spec.unwrap(), bench.vm(copy).spec.unwrap());
    assert_eq!(is.config.name.as_str(), "copy");
    assert_eq!((&is.config.disks, &is.config.nics), (&was.config.disks, &was.config.nics));
    let (was, is) = (&was.assigned, &is.assigned);
    assert_eq!((&is.machine, &is.cpu_model, is.ports), (&was.machine, &was.cpu_model, was.ports));
    assert_eq!((&is.devices, &is.serials), (&was.devices, &was.serials));
    assert_ne!((vm, &was.macs), (copy, &is.macs));
    for name in ["root.qcow2", "more.qcow2"] {
        let volume = std::fs::metadata(bench.volumes(copy).join(name)).unwrap();
        assert_eq!(volume.len() % (64 << 10), 0, "{name}");
    }
    is_cleared(&bench).await;
    bench.is_sound().await;
    let bench = bench.restart().await;
    bench.powers(copy, &[START, STOP]).await;
    for vm in [vm, copy] {
        bench.must(Request::Delete { vm, force: false }).await;
    }
    bench.is_empty().await;
}

#[tokio::test]
async fn an_import_can_be_tried_dry() {
    let bench = Bench::new().await;
    bench.lan().await;
    let vm = bench.create_of(on_lan("web")).await;
    let file = export(&bench, vm).await;
    bench.idle().await;
    let seen = || (bench.snapshot().revision, bench.engine.diagnose().journal.records);
    let before = seen();
    let copy = import(&bench, &file, Some("copy")).await;
    let plan = bench.engine.dry_run(copy).await.unwrap();
    assert_eq!((plan.operation.as_str(), plan.after_crash.as_str()), ("import", "back"));
    let steps: Vec<_> = plan
        .steps
        .iter()
        .map(|step| (step.path.as_str(), step.crash.as_str(), step.way_back))
        .collect();
    let expected = ["reserve-disk", "reserve-addresses", "bring-volumes", "save-spec"];
    let expected = expected.map(|path| (path, "repeat", true)).into_iter();
    let expected: Vec<_> = expected.chain([("finish-volumes", "repeat", false)]).collect();
    assert_eq!(steps, expected);
    let taken = import(&bench, &file, Some("web")).await;
    let taken = bench.engine.dry_run(taken).await.unwrap_err();
    assert_eq!(taken.code, Code::NameTaken);
    is_cleared(&bench).await;
    assert_eq!(seen(), before);
    assert_eq!(bench.vms().len(), 1);
    // The name, the identity and the addresses that it would have had are nobody's.
    bench.must(import(&bench, &file, Some("copy")).await).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn a_vm_that_keeps_its_identity_is_the_one_that_it_was() {
    let bench = Bench::new().await;
    bench.lan().await;
    let mut config = on_lan("web");
    config["nics"][0]["publish"] = json!(["18080:80"]);
    let vm = bench.create_of(config).await;
    let file = export(&bench, vm).await;
    let was = bench.vm(vm).spec.unwrap();
    let taken = bench.refused(import(&bench, &file, None).await).await;
    assert_eq!((taken.code, taken.field.as_deref()), (Code::NameTaken, Some("id")));
    let named = bench.refused(import(&bench, &file, Some("web")).await).await;
    assert_eq!((named.code, named.field.as_deref()), (Code::NameTaken, Some("name")));
    // As a copy it has another address, and the port is not its own.
    let task = bench.must(import(&bench, &file, Some("copy")).await).await;
    let copy = bench.vm(task.vm.unwrap()).spec.unwrap();
    assert!(copy.config.nics[0].publish.is_empty());
    assert_ne!(copy.assigned.addresses, was.assigned.addresses);
    bench.must(Request::Delete { vm, force: false }).await;
    // Somebody else has taken its hardware address, and then it has gone.
    let mut other = on_lan("other");
    other["nics"][0]["mac"] = json!(was.assigned.macs["lan"].to_string());
    let other = bench.create_of(other).await;
    let taken = bench.refused(import(&bench, &file, None).await).await;
    assert_eq!((taken.code, taken.field.as_deref()), (Code::InUse, Some("nics[0].mac")));
    bench.must(Request::Delete { vm: other, force: false }).await;
    let task = bench.must(import(&bench, &file, None).await).await;
    assert_eq!(task.vm, Some(vm));
    let is = bench.vm(vm).spec.unwrap();
    assert_eq!((&is.config, &is.assigned), (&was.config, &was.assigned));
    is_cleared(&bench).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn only_what_is_stopped_goes_out_and_nothing_waits_for_it() {
    let bench = Bench::new().await;
    let vm = bench.create_of(furnished("web")).await;
    let refused = |refusal: Refusal, state: &str, hint: &str| {
        assert_eq!(refusal.code, Code::WrongState);
        assert!(refusal.message.contains(state), "{refusal}");
        assert!(refusal.hint.unwrap().contains(hint));
    };
    bench.powers(vm, &[START]).await;
    refused(bench.engine.export_vm(&caller(), vm).await.unwrap_err(), "running", "inn stop web");
    bench.powers(vm, &[PowerVerb::Pause]).await;
    refused(bench.engine.export_vm(&caller(), vm).await.unwrap_err(), "paused", "inn stop web");
    bench.powers(vm, &[RESUME, SUSPEND]).await;
    refused(
        bench.engine.export_vm(&caller(), vm).await.unwrap_err(),
        "suspended",
        "inn resume web",
    );
    bench.powers(vm, &[RESUME, STOP]).await;
    let opened = bench.engine.export_vm(&caller(), vm).await.unwrap();
    let sessions = bench.engine.diagnose().sessions;
    assert_eq!((sessions[0].vm, sessions[0].kind.as_str()), (Some(vm), "export"));
    // A guest that writes breaks it off.
    bench.powers(vm, &[START]).await;
    let root = bench.volumes(vm).join("root.qcow2");
    let root = std::fs::OpenOptions::new().write(true).open(root).unwrap();
    root.set_modified(std::time::SystemTime::now() + Duration::from_secs(60)).unwrap();
    root.write_all_at(b"guest", 4096).unwrap();
    let mut file = opened.file;
    let refusal = loop {
        match file.read().await {
            Ok(next) => file = next.expect("it does not come to its end").1,
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal.code, Code::WrongState);
    drop(opened.session);
    assert!(bench.engine.diagnose().sessions.is_empty());
    let nobody = bench.engine.export_vm(&caller(), VmId::new()).await.unwrap_err();
    assert_eq!(nobody.code, Code::NotFound);
}

#[tokio::test]
async fn what_this_host_cannot_be_is_refused_and_not_kept() {
    let bench = Bench::new().await;
    let vm = bench.create_of(furnished("web")).await;
    type Change = fn(&mut Spec);
    let cases: [(Change, &str); 6] = [
        (|spec| spec.assigned.machine = "pc-q35-99.0".into(), "machine"),
        (|spec| spec.assigned.machine = "x,driver=y".into(), "machine"),
        (|spec| spec.assigned.cpu_model = "x,+y".into(), "cpu_model"),
        (|spec| spec.config.cpus = 200, "cpus"),
        (
            |spec| {
                let nic = json!([{ "name": "lan", "network": "nowhere" }]);
                spec.config.nics = serde_json::from_value(nic).unwrap();
            },
            "nics[0].network",
        ),
        (|spec| spec.assigned.serials = [("root", "s".repeat(99))].into(), "disks[0].serial"),
    ];
    for (change, field) in cases {
        let file = export_as(&bench, vm, change).await;
        let refusal = bench.refused(import(&bench, &file, Some("copy")).await).await;
        assert_eq!((refusal.code, refusal.field.as_deref()), (Code::InvalidField, Some(field)));
        is_cleared(&bench).await;
    }
    bench.is_sound().await;
}

#[tokio::test]
async fn what_is_too_much_for_a_quota_leaves_nothing() {
    let quota = Quota { disk: Some(ByteSize(3 << 20)), ..Quota::default() };
    let capacity = Capacity { host: quota, ..Capacity::default() };
    let bench = Bench::with(Setup { capacity, ..Setup::default() }).await;
    let vm = bench.create_of(furnished("web")).await;
    let file = export(&bench, vm).await;
    let opened = bench.engine.receive_vm(&caller(), None, None).await.unwrap();
    let refusal = opened.arrival.write(file).await.unwrap_err();
    assert_eq!((refusal.code, refusal.field.as_deref()), (Code::OutOfCapacity, Some("disk")));
    assert_eq!(bench.vms().len(), 1);
    is_cleared(&bench).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn a_projects_quota_is_asked_before_the_disks_come_and_held_while_they_do() {
    let bench = Bench::new().await;
    let vm = bench.create_of(furnished("web")).await;
    let file = export(&bench, vm).await;
    let shop: ProjectName = "shop".parse().unwrap();
    let projects = bench.engine.projects();
    let bound = async |quota| drop(projects.set(shop.clone(), quota, None).await.unwrap());
    let used = || projects.shown(&shop).used;
    let (caller, length) = (caller(), Some(file.len() as u64));
    let begin = async || bench.engine.receive_vm(&caller, length, Some(shop.clone())).await;
    let lacks = |refused: Refusal, field: &str| {
        assert_eq!((refused.code, refused.field.as_deref()), (Code::OutOfCapacity, Some(field)));
    };

    bound(Quota { vms: Some(0), ..Quota::default() }).await;
    lacks(begin().await.unwrap_err(), "vms");
    bound(Quota { disk: Some(ByteSize(1 << 20)), ..Quota::default() }).await;
    let arrival = begin().await.unwrap().arrival;
    // What the VM is, and the first bytes of a disk.
    lacks(arrival.write(file[..8192].to_vec()).await.unwrap_err(), "disk");
    assert_eq!(used(), Usage::default());
    is_cleared(&bench).await;

    bound(Quota { vms: Some(1), ..Quota::default() }).await;
    let (one, other) = (begin().await.unwrap().arrival, begin().await.unwrap().arrival);
    let one = one.write(file[..8192].to_vec()).await.unwrap();
    assert_eq!(used().vms, 1);
    lacks(other.write(file.clone()).await.unwrap_err(), "vms");
    let one = one.write(file[8192..].to_vec()).await.unwrap();
    let staged = Arc::new(one.finish().await.unwrap());
    assert_eq!(used(), Usage::default(), "its task takes that");
    let import = ImportVm { staged, name: None, project: Some(shop.clone()), keep_identity: false };
    bench.must(Request::Import(Box::new(import))).await;
    assert_eq!(used().vms, 1);
    is_cleared(&bench).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn so_many_imports_are_on_their_way_at_once_and_of_a_project_fewer() {
    let bench = Bench::new().await;
    let caller = caller();
    let begin = async |project: Option<&str>| {
        let project = project.map(|name| name.parse().unwrap());
        bench.engine.receive_vm(&caller, None, project).await
    };
    let is_too_many = |refused: Refusal, limit: &str| {
        assert_eq!((refused.code, refused.limit.as_deref()), (Code::OutOfCapacity, Some(limit)));
        assert!(refused.hint.is_some(), "{refused}");
    };
    let mut opened = Vec::new();
    for _ in 0..8 {
        opened.push(begin(Some("shop")).await.unwrap());
    }
    is_too_many(begin(Some("shop")).await.unwrap_err(), "8");
    // Whoever is bound to no project is an administrator, and can have all that is left.
    for _ in 8..64 {
        opened.push(begin(None).await.unwrap());
    }
    is_too_many(begin(Some("other")).await.unwrap_err(), "64");
    is_too_many(begin(None).await.unwrap_err(), "64");
    opened.truncate(63);
    is_too_many(begin(Some("shop")).await.unwrap_err(), "8");
    drop(begin(Some("other")).await.unwrap());
    // The first are the shop's.
    drop(opened.drain(..8));
    drop(begin(Some("shop")).await.unwrap());
    drop(opened);
    is_cleared(&bench).await;
}

#[tokio::test]
async fn however_much_a_few_projects_import_others_get_in() {
    let bench = Bench::new().await;
    let caller = caller();
    let begin = async |project: &str| {
        bench.engine.receive_vm(&caller, None, Some(project.parse().unwrap())).await
    };
    let mut opened = Vec::new();
    for project in ["one", "two", "three", "four", "five", "six", "seven", "eight"] {
        while let Ok(more) = begin(project).await {
            opened.push(more);
        }
    }
    // Eight each, until no more than half of all places are left; then one each.
    assert_eq!(opened.len(), 4 * 8 + 4);
    let refused = begin("eight").await.unwrap_err();
    assert_eq!((refused.code, refused.limit.as_deref()), (Code::OutOfCapacity, Some("1")));
    for number in opened.len()..64 {
        opened.push(begin(&format!("other-{number}")).await.unwrap());
    }
    assert_eq!(begin("another").await.unwrap_err().limit.as_deref(), Some("64"));
    drop(opened);
    is_cleared(&bench).await;
}

/// Cancels the first task that passes a point.
struct Cancels {
    at: String,
    engine: OnceLock<Engine>,
}

#[async_trait]
impl Witness for Cancels {
    async fn passes(&self, point: &Point) -> Result<(), Refusal> {
        match self.engine.get().filter(|_| point.to_string() == self.at) {
            Some(engine) => engine.cancel(&caller(), point.task).await,
            None => Ok(()),
        }
    }

    async fn undoes(&self, _: &Point) -> Result<(), Refusal> {
        Ok(())
    }
}

#[tokio::test]
async fn an_import_that_is_cancelled_leaves_nothing() {
    for point in [
        "reserve-disk/before-journal",
        "bring-volumes/before-journal",
        "bring-volumes/in-wait",
        "bring-volumes/after-act",
        "save-spec/before-journal",
    ] {
        let cancels = Cancels { at: format!("import/{point}"), engine: OnceLock::new() };
        let cancels = Arc::new(cancels);
        let bench = Bench::witnessed(Setup::default(), Some(cancels.clone())).await;
        assert!(cancels.engine.set(bench.engine.clone()).is_ok());
        let vm = bench.create_of(furnished("web")).await;
        let file = export(&bench, vm).await;
        let task = bench.run(import(&bench, &file, Some("copy")).await).await;
        assert_eq!(task.state, TaskState::Cancelled, "{point}: {task:?}");
        assert_eq!((bench.vms().len(), names(&bench.path().join("pool/volumes")).len()), (1, 1));
        is_cleared(&bench).await;
        bench.is_sound().await;
    }
}

#[tokio::test]
async fn a_daemon_that_ends_leaves_all_of_it_or_nothing() {
    for (point, whole) in [
        ("reserve-disk/before-journal", false),
        ("bring-volumes/before-journal", false),
        ("bring-volumes/after-act", false),
        ("save-spec/before-journal", false),
        ("finish-volumes/before-journal", true),
        ("finish-volumes/after-act", true),
    ] {
        let (bench, stop) = Bench::stopping_at(&format!("import/{point}")).await;
        let vm = bench.create_of(furnished("web")).await;
        let file = export(&bench, vm).await;
        // One that nobody has asked anything of yet, and one that has not arrived.
        let waits = arrive(&bench, &file).await;
        let half = bench.engine.receive_vm(&caller(), None, None).await.unwrap().arrival;
        let half = half.write(file[..file.len() / 2].to_vec()).await.unwrap();
        let accepted = bench.submit(import(&bench, &file, Some("copy")).await).await.unwrap();
        stop.reached().await;
        let ended = bench.killed().await;
        drop((waits, half));
        let bench = ended.begin().await;
        let task = bench.end_of(&accepted).await;
        let expected = if whole { TaskState::Done } else { TaskState::Failed };
        assert_eq!(task.state, expected, "{point}: {task:?}");
        assert_eq!(bench.vms().len(), if whole { 2 } else { 1 }, "{point}");
        is_cleared(&bench).await;
        bench.is_sound().await;
        if whole {
            bench.powers(accepted.vm.unwrap(), &[START, STOP]).await;
        }
    }
}
