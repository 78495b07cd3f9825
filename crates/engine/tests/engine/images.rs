//! Images: imported once, used by many, removed when nobody needs them.

use crate::support::{Bench, START, STOP, create};
use innkeeper_engine::{AddImage, ImageFrom, Request};
use innkeeper_model::{ByteSize, Code, DiskFormat, ImageKind, TaskState};
use serde_json::json;

fn add(bench: &Bench, name: &str) -> Request {
    let folder = bench.path().join("allowed");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("base.raw");
    std::fs::write(&file, vec![7; 1 << 20]).unwrap();
    Request::AddImage(Box::new(AddImage {
        name: name.parse().unwrap(),
        kind: ImageKind::Disk,
        from: ImageFrom::File(file),
        format: Some(DiskFormat::Raw),
        initrd: None,
    }))
}

fn remove(name: &str) -> Request {
    Request::RemoveImage { name: name.parse().unwrap() }
}

fn images(bench: &Bench) -> Vec<String> {
    bench.snapshot().images.keys().map(ToString::to_string).collect()
}

/// What the pool has of images, whoever knows of it.
fn files(bench: &Bench) -> Vec<String> {
    crate::agreement::names(&bench.path().join("pool/images"))
}

#[tokio::test]
async fn an_image_is_kept_while_somebody_needs_it() {
    let bench = Bench::new().await;
    let task = bench.must(add(&bench, "base")).await;
    assert_eq!((task.subject.as_str(), task.resources), ("base", vec!["image/base".into()]));
    assert_eq!(bench.refused(add(&bench, "base")).await.code, Code::NameTaken);
    let of_it =
        |name: &str| json!({ "name": name, "disks": [{ "name": "root", "image": "base" }] });
    let vm = bench.create_of(of_it("web")).await;
    let size = bench.engine.diagnose().usage.disk;
    assert_eq!(size, ByteSize(1 << 20), "by the image's size");
    let refused = bench.refused(remove("base")).await;
    assert_eq!(refused.code, Code::InUse);
    assert!(refused.message.contains("web"));
    bench.powers(vm, &[START, STOP]).await;
    bench.is_sound().await;
    let bench = bench.restart().await;
    assert_eq!(images(&bench), ["base"]);
    assert_eq!(bench.engine.diagnose().usage.disk, size);
    bench.must(Request::Delete { vm, force: false }).await;
    bench.must(remove("base")).await;
    assert!(images(&bench).is_empty() && files(&bench).is_empty());
    assert_eq!(bench.refused(create(of_it("web"))).await.code, Code::NotFound);
    bench.is_empty().await;
}

#[tokio::test]
async fn of_two_imports_of_one_name_one_is_done() {
    let bench = Bench::new().await;
    let both = [add(&bench, "base"), add(&bench, "base")].map(|request| bench.submit(request));
    let accepted = futures_util::future::join_all(both).await;
    let mut done = 0;
    for accepted in accepted.iter().flatten() {
        done += usize::from(bench.end_of(accepted).await.state == TaskState::Done);
    }
    assert_eq!((done, images(&bench).len()), (1, 1));
    bench.is_sound().await;
}

#[tokio::test]
async fn an_import_that_a_daemon_ended_in_is_undone() {
    for site in ["before-journal", "after-act"] {
        let (bench, stop) = Bench::stopping_at(&format!("image-add/import-image/{site}")).await;
        let accepted = bench.submit(add(&bench, "base")).await.unwrap();
        stop.reached().await;
        let bench = bench.killed().await.begin().await;
        let task = bench.end_of(&accepted).await;
        assert_eq!((task.state, task.taken_up), (TaskState::Failed, 1), "{site}");
        assert!(images(&bench).is_empty() && files(&bench).is_empty(), "{site}");
        bench.must(add(&bench, "base")).await;
        bench.is_sound().await;
    }
}

/// Who was first in the queue gets it; the other finds it gone, or in use.
#[tokio::test]
async fn a_create_and_a_removal_of_its_image_do_not_meet() {
    for removal_first in [false, true] {
        let bench = Bench::new().await;
        bench.must(add(&bench, "base")).await;
        let of_it = json!({ "name": "web", "disks": [{ "name": "root", "image": "base" }] });
        let (create, remove) = (bench.submit(create(of_it)), bench.submit(remove("base")));
        let (created, removed) = match removal_first {
            true => {
                let (removed, created) = tokio::join!(remove, create);
                (created, removed)
            }
            false => tokio::join!(create, remove),
        };
        let mut done = Vec::new();
        for accepted in [created, removed].into_iter().flatten() {
            let task = bench.end_of(&accepted).await;
            if task.state == TaskState::Done {
                done.push(task.operation);
            }
        }
        assert_eq!(done.len(), 1, "{done:?}");
        assert_eq!(bench.vms().len(), usize::from(done == ["create"]));
        assert_eq!(images(&bench).len(), bench.vms().len());
        bench.is_sound().await;
    }
}
