//! Images: imported once, used by many, removed when nobody needs them.

use crate::support::{Bench, START, STOP, create};
use innkeeper_engine::{AddImage, Caller, ImageFrom, OpenedImage, Request};
use innkeeper_model::{ByteSize, Code, DiskFormat, ImageKind, TaskState};
use serde_json::json;

pub(crate) fn add(bench: &Bench, name: &str) -> Request {
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

pub(crate) fn remove(name: &str) -> Request {
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

fn caller() -> Caller {
    Caller { name: "uid:0".into(), ..Caller::default() }
}

/// Which images have sessions.
fn sessions(bench: &Bench) -> Vec<String> {
    let sessions = bench.engine.diagnose().sessions;
    let words = sessions.iter().map(|session| {
        assert_eq!((session.vm, session.viewers), (None, 1));
        format!("{} of {} by {}", session.kind, session.image.as_ref().unwrap(), session.caller)
    });
    words.collect()
}

#[tokio::test]
async fn what_was_uploaded_becomes_an_image_after_a_restart_as_well() {
    let bench = Bench::new().await;
    let name = "sent".parse().unwrap();
    // printf '\0%.0s' {1..4096} | sha256sum
    let sha256 = "ad7facb2586fc6e966c004d7d1d16b024f5805ff7cb47c7a85dabd8b48892ca7";
    let who = caller();
    let mut opened = bench.engine.upload_image(&who, &name, sha256, 0, Some(4096)).await.unwrap();
    opened.upload.write(vec![0; 1000]).await.unwrap();
    assert_eq!(sessions(&bench), ["upload of sent by uid:0"]);
    drop(opened);
    assert!(sessions(&bench).is_empty());
    assert!(images(&bench).is_empty() && files(&bench).is_empty(), "a part is no image");
    let bench = bench.restart().await;
    assert_eq!(bench.engine.uploaded(&name, sha256).await.unwrap(), 1000);
    let mut opened = bench.engine.upload_image(&who, &name, sha256, 1000, None).await.unwrap();
    opened.upload.write(vec![0; 3096]).await.unwrap();
    drop(opened);
    let request = || {
        Request::AddImage(Box::new(AddImage {
            name: "sent".parse().unwrap(),
            kind: ImageKind::Disk,
            from: ImageFrom::Upload { sha256: sha256.into() },
            format: Some(DiskFormat::Raw),
            initrd: None,
        }))
    };
    bench.must(request()).await;
    assert_eq!(images(&bench), ["sent"]);
    let opened = bench.engine.image_file(&who, &name).await.unwrap();
    assert_eq!(sessions(&bench), ["download of sent by uid:0"]);
    let OpenedImage { file, session } = opened;
    drop(session);
    assert_eq!((file.length, file.digest), (4096, format!("sha256:{sha256}")));
    let taken = bench.engine.upload_image(&who, &name, sha256, 0, None).await.unwrap_err();
    assert_eq!(taken.code, Code::NameTaken);
    assert!(sessions(&bench).is_empty(), "what is refused is no session");
    assert_eq!(bench.refused(request()).await.code, Code::NameTaken);
}

#[tokio::test]
async fn the_disk_of_a_stopped_vm_can_be_read_and_holds_nothing_up() {
    let bench = Bench::new().await;
    bench.must(add(&bench, "base")).await;
    let disks = json!([{ "name": "root", "image": "base", "size": "2MiB" }]);
    let vm = bench.create_of(json!({ "name": "web", "disks": disks })).await;
    let opened = bench.engine.disk_file(&caller(), vm, "root").await.unwrap();
    assert_eq!(opened.disk.length(), 2 << 20);
    let listed = bench.engine.diagnose().sessions;
    assert_eq!((listed.len(), listed[0].kind.as_str()), (1, "disk"));
    let (bytes, disk) = opened.disk.read((1 << 20) - 512, 1024).await.unwrap();
    assert!(bytes == [[7; 512], [0; 512]].concat());
    // Nothing that is done to the VM waits for it.
    bench.powers(vm, &[START]).await;
    let refused = bench.engine.disk_file(&caller(), vm, "root").await.unwrap_err();
    assert_eq!(refused.code, Code::WrongState);
    let missing = bench.engine.disk_file(&caller(), vm, "none").await.unwrap_err();
    assert_eq!(missing.code, Code::NotFound);
    bench.powers(vm, &[STOP]).await;
    drop((disk, opened.session));
    assert!(bench.engine.diagnose().sessions.is_empty());
}
