//! Images that are made of VMs' disks.

use crate::{
    agreement::names,
    support::{Bench, RESUME, START, START_AFRESH, STOP, SUSPEND, Setup, caller},
};
use async_trait::async_trait;
use innkeeper_engine::{Accepted, AddImage, Engine, ImageFrom, Point, PowerVerb, Request, Witness};
use innkeeper_model::{
    ByteSize, Code, DiskFormat, ImageKind, ImageName, Refusal, TaskState, VmId, VmState,
};
use serde_json::json;
use std::{
    io::Read,
    sync::{Arc, Mutex, OnceLock},
};

/// Imports an image of a mebibyte of sevens.
async fn add_base(bench: &Bench) {
    let folder = bench.path().join("allowed");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("base.raw");
    std::fs::write(&file, vec![7; 1 << 20]).unwrap();
    let from = ImageFrom::File(file);
    bench.must(add("base", from)).await;
}

fn add(name: &str, from: ImageFrom) -> Request {
    Request::AddImage(Box::new(AddImage {
        name: name.parse().unwrap(),
        kind: ImageKind::Disk,
        from,
        format: None,
        initrd: None,
    }))
}

pub(crate) fn commit(vm: VmId, name: &str) -> Request {
    add(name, ImageFrom::Disk { vm, disk: None })
}

fn commit_disk(vm: VmId, name: &str, disk: &str) -> Request {
    add(name, ImageFrom::Disk { vm, disk: Some(disk.parse().unwrap()) })
}

/// A stopped VM with two disks, the first twice as large as the image that it is a copy of.
async fn web(bench: &Bench) -> VmId {
    add_base(bench).await;
    let disks = json!([
        { "name": "root", "image": "base", "size": "2MiB" }, { "name": "data", "size": "1MiB" },
    ]);
    bench.create_of(json!({ "name": "web", "disks": disks })).await
}

fn image(name: &str) -> ImageName {
    name.parse().unwrap()
}

fn images(bench: &Bench) -> Vec<String> {
    bench.snapshot().images.keys().map(ToString::to_string).collect()
}

/// What the pool has of images, whoever knows of it.
fn files(bench: &Bench) -> Vec<String> {
    let mut names = names(&bench.path().join("pool/images"));
    names.sort();
    names
}

/// Does something with the daemon that passes a point, the first time.
struct At<F> {
    at: String,
    engine: OnceLock<Engine>,
    what: F,
    accepted: Mutex<Option<Accepted>>,
}

impl<F> At<F> {
    fn new(at: &str, what: F) -> Arc<Self> {
        let at = format!("image-add/import-image/{at}");
        Arc::new(Self { at, engine: OnceLock::new(), what, accepted: Mutex::default() })
    }
}

#[async_trait]
impl<F: Fn() -> What + Send + Sync + 'static> Witness for At<F> {
    async fn passes(&self, point: &Point) -> Result<(), Refusal> {
        let engine = self.engine.get().filter(|_| point.to_string() == self.at);
        let Some(engine) = engine.filter(|_| self.accepted.lock().unwrap().is_none()) else {
            return Ok(());
        };
        match (self.what)() {
            What::Cancel => engine.cancel(&caller(), point.task).await,
            What::Ask(request) => {
                let accepted = engine.submit(&caller(), request).await?;
                *self.accepted.lock().unwrap() = Some(accepted);
                Ok(())
            }
            What::Nothing => Ok(()),
        }
    }

    async fn undoes(&self, _: &Point) -> Result<(), Refusal> {
        Ok(())
    }
}

enum What {
    Cancel,
    Ask(Request),
    Nothing,
}

#[tokio::test]
async fn an_image_is_made_of_a_stopped_vms_disk_and_knows_what_it_comes_from() {
    let bench = Bench::new().await;
    let vm = web(&bench).await;
    let before = bench.vm(vm);
    let task = bench.must(commit(vm, "golden")).await;
    assert_eq!((task.operation.as_str(), task.subject.as_str()), ("image-add", "golden"));
    assert_eq!((task.vm, task.percent), (Some(vm), Some(100)));
    assert_eq!(task.resources, [format!("vm/{vm}"), "image/golden".into()]);

    let snapshot = bench.snapshot();
    let [base, golden] = ["base", "golden"].map(|name| &snapshot.images[&image(name)]);
    assert_eq!((golden.kind, golden.format), (ImageKind::Disk, DiskFormat::Raw));
    assert_eq!(golden.virtual_size, ByteSize(2 << 20));
    assert_eq!(golden.source, "disk root of VM web");
    let lineage = golden.lineage.clone().unwrap();
    assert_eq!((lineage.vm, lineage.vm_name.as_str(), lineage.disk.as_str()), (vm, "web", "root"));
    let ancestor = lineage.image.clone().unwrap();
    assert_eq!((ancestor.name, ancestor.digest), (base.name.clone(), base.digest.clone()));
    assert!(lineage.taken >= before.spec.unwrap().created && lineage.taken <= golden.created);
    assert_eq!(base.lineage, None);

    let mut file = bench.engine.image_file(&caller(), &image("golden")).await.unwrap().file;
    let mut bytes = Vec::new();
    file.file.read_to_end(&mut bytes).unwrap();
    assert!(bytes == [[7; 1 << 20], [0; 1 << 20]].concat());

    bench.must(commit_disk(vm, "data", "data")).await;
    let lineage = bench.snapshot().images[&image("data")].lineage.clone().unwrap();
    assert_eq!((lineage.disk.as_str(), lineage.image), ("data", None));
    bench.is_sound().await;

    // What it comes from can go; what it is stays, and is still known by the next daemon.
    bench.must(Request::Delete { vm, force: false }).await;
    bench.must(Request::RemoveImage { name: "base".parse().unwrap() }).await;
    let bench = bench.restart().await;
    let golden = bench.snapshot().images[&image("golden")].clone();
    assert_eq!(golden.lineage.as_ref().unwrap().image.as_ref().unwrap().name.as_str(), "base");
    let disks = json!([{ "name": "root", "image": "golden" }]);
    let second = bench.create_of(json!({ "name": "second", "disks": disks })).await;
    bench.powers(second, &[START, STOP]).await;
    bench.must(commit(second, "newer")).await;
    let newer = bench.snapshot().images[&image("newer")].clone();
    assert_eq!(newer.digest, golden.digest, "the same bytes");
    assert_eq!(newer.lineage.as_ref().unwrap().image.as_ref().unwrap().name.as_str(), "golden");
    bench.is_sound().await;
}

#[tokio::test]
async fn a_vm_that_has_a_machine_or_a_memory_is_refused_with_its_state() {
    let bench = Bench::new().await;
    let vm = web(&bench).await;
    for (verbs, state) in [
        (&[START][..], VmState::Running),
        (&[PowerVerb::Pause], VmState::Paused),
        (&[SUSPEND], VmState::Suspended),
    ] {
        bench.powers(vm, verbs).await;
        let refused = bench.refused(commit(vm, "golden")).await;
        assert_eq!(refused.code, Code::WrongState, "{refused:?}");
        assert!(
            refused.message.contains(&format!("cannot commit VM web: it is {state}")),
            "{refused}"
        );
        assert!(refused.hint.is_some());
        assert_eq!(
            bench.engine.dry_run(commit(vm, "golden")).await.unwrap_err().code,
            refused.code
        );
    }
    bench.powers(vm, &[RESUME]).await;
    // What is to happen to it before its turn counts.
    let stop = bench.submit(Request::Power { vm, verb: STOP }).await.unwrap();
    let made = bench.submit(commit(vm, "golden")).await.unwrap();
    assert_eq!(bench.end_of(&stop).await.state, TaskState::Done);
    assert_eq!(bench.end_of(&made).await.state, TaskState::Done);
    bench.powers(vm, &[START_AFRESH, STOP]).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn a_vm_that_could_not_be_stopped_before_its_turn_is_asked_again() {
    let bench = Bench::new().await;
    let vm = web(&bench).await;
    bench.powers(vm, &[START]).await;
    let _hung = bench.hangs("sim/power-down");
    let stop = bench.submit(Request::Power { vm, verb: STOP }).await.unwrap();
    let commit = bench.submit(commit(vm, "golden")).await.unwrap();
    bench.cancel(&stop).await.unwrap();
    let task = bench.end_of(&commit).await;
    assert_eq!((task.state, task.error.unwrap().code), (TaskState::Failed, Code::WrongState));
    assert_eq!(files(&bench), ["base"]);
    bench.is_sound().await;
}

#[tokio::test]
async fn what_cannot_be_an_image_is_refused_at_once() {
    let bench = Bench::new().await;
    let vm = web(&bench).await;
    let disks = json!([{ "name": "disc", "path": bench.path().join("allowed/base.raw"), "format": "raw", "kind": "cdrom" }]);
    let other = bench.create_of(json!({ "name": "other", "disks": disks })).await;
    let kernel = |kind| {
        Request::AddImage(Box::new(AddImage {
            name: "golden".parse().unwrap(),
            kind,
            from: ImageFrom::Disk { vm, disk: None },
            format: None,
            initrd: None,
        }))
    };
    for (request, code) in [
        (commit(vm, "base"), Code::NameTaken),
        (commit(VmId::new(), "golden"), Code::NotFound),
        (commit_disk(vm, "golden", "none"), Code::NotFound),
        (commit(other, "golden"), Code::NotFound),
        (commit_disk(other, "golden", "disc"), Code::InvalidField),
        (kernel(ImageKind::Kernel), Code::InvalidField),
    ] {
        let refused = bench.refused(request).await;
        assert_eq!(refused.code, code, "{refused:?}");
    }
    assert_eq!(files(&bench), ["base"]);
    bench.is_sound().await;
}

#[tokio::test]
async fn a_commit_that_is_cancelled_leaves_nothing() {
    // After its only step it is done.
    for point in ["before-journal", "after-journal", "in-wait"] {
        let cancels = At::new(point, || What::Cancel);
        let bench = Bench::witnessed(Setup::default(), Some(cancels.clone())).await;
        let vm = web(&bench).await;
        assert!(cancels.engine.set(bench.engine.clone()).is_ok());
        let task = bench.run(commit(vm, "golden")).await;
        assert_eq!(task.state, TaskState::Cancelled, "{point}: {task:?}");
        assert!(task.leftovers.is_empty(), "{:?}", task.leftovers);
        assert_eq!((images(&bench), files(&bench)), (vec!["base".into()], vec!["base".into()]));
        bench.powers(vm, &[START, STOP]).await;
        bench.is_sound().await;
    }
}

#[tokio::test]
async fn a_commit_that_a_daemon_ended_in_is_undone() {
    for site in ["before-journal", "in-wait", "after-act"] {
        let ended = Bench::new().await;
        let vm = web(&ended).await;
        let stop = crate::held::Stop::at(&format!("image-add/import-image/{site}"));
        let bench = ended.end().await.begin_witnessed(Some(stop.clone())).await;
        let accepted = bench.submit(commit(vm, "golden")).await.unwrap();
        stop.reached().await;
        let bench = bench.killed().await.begin().await;
        let task = bench.end_of(&accepted).await;
        assert_eq!((task.state, task.taken_up), (TaskState::Failed, 1), "{site}");
        assert_eq!((images(&bench), files(&bench)), (vec!["base".into()], vec!["base".into()]));
        bench.must(commit(vm, "golden")).await;
        bench.is_sound().await;
    }
}

/// What would change the disk, or take it away, comes after it has been read; another that only reads it
/// does not wait.
#[tokio::test]
async fn what_is_asked_of_the_vm_meanwhile_waits_for_its_turn() {
    let requests: [fn(VmId) -> Request; 3] = [
        |vm| Request::Delete { vm, force: true },
        |vm| Request::Power { vm, verb: START },
        |vm| Request::Clone { vm, name: "copy".parse().unwrap() },
    ];
    for (request, waits) in requests.into_iter().zip([true, true, false]) {
        let vm = Arc::new(OnceLock::new());
        let of = vm.clone();
        let asks = At::new("before-journal", move || match of.get() {
            Some(vm) => What::Ask(request(*vm)),
            None => What::Nothing,
        });
        let bench = Bench::witnessed(Setup::default(), Some(asks.clone())).await;
        assert!(asks.engine.set(bench.engine.clone()).is_ok());
        vm.set(web(&bench).await).unwrap();
        let committed = bench.must(commit(*vm.get().unwrap(), "golden")).await;
        let accepted = asks.accepted.lock().unwrap().clone().expect("it was asked for");
        let task = bench.end_of(&accepted).await;
        assert_eq!(task.state, TaskState::Done, "{task:?}");
        if waits {
            assert!(task.started.unwrap() >= committed.ended.unwrap(), "{task:?}");
        }
        assert_eq!(images(&bench), ["base", "golden"]);
        bench.is_sound().await;
    }
}
