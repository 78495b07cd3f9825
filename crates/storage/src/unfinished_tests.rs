use super::*;
use crate::{OnProgress, StorageOptions, testing};
use innkeeper_model::{ByteSize, DiskFormat, config::Disk};
use innkeeper_store::write_atomically;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

struct Fixture {
    _folder: tempfile::TempDir,
    storage: Storage,
    vm: VmId,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::open(StorageOptions::new(folder.path().join("pool"))).unwrap();
    testing::add_image(&storage, "base", DiskFormat::Qcow2, ByteSize::from_mebibytes(1));
    Fixture { _folder: folder, storage, vm: VmId::new() }
}

impl Fixture {
    fn folder(&self, vm: VmId) -> PathBuf {
        self.storage.shared.pool.vm(vm)
    }

    /// The overlay `root` on the image `base`.
    async fn add_root(&self, vm: VmId) {
        let root: Disk = serde_json::from_str(r#"{"name": "root", "image": "base"}"#).unwrap();
        self.storage.create_volume(vm, &root).await.unwrap();
    }

    /// What is in a VM's folder; `None` if it has none.
    fn names(&self, vm: VmId) -> Option<Vec<String>> {
        names(&self.folder(vm))
    }

    async fn clone(&self, from: VmId, to: VmId) -> Result<(), Refusal> {
        let on_progress: OnProgress = Arc::new(|_| ());
        self.storage.clone_volumes(from, to, &on_progress, &CancellationToken::new()).await
    }

    async fn remove_base(&self) -> Result<(), Refusal> {
        self.storage.remove_image(&"base".parse().unwrap()).await
    }
}

fn names(folder: &Path) -> Option<Vec<String>> {
    let entries = fs::read_dir(folder).ok()?;
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    Some(names)
}

#[tokio::test]
async fn a_vm_is_unfinished_until_it_is_finished() {
    let fixture = fixture();
    let (storage, vm) = (&fixture.storage, fixture.vm);
    storage.claim_volumes(vm).await.unwrap();
    assert_eq!(fixture.names(vm).unwrap(), [MARKER]);
    fixture.add_root(vm).await;
    assert_eq!(fixture.names(vm).unwrap(), [MARKER, "root.qcow2"]);
    for _again in 0..2 {
        storage.finish_volumes(vm).await.unwrap();
        assert_eq!(fixture.names(vm).unwrap(), ["root.qcow2"]);
    }
}

#[tokio::test]
async fn a_vm_without_volumes_has_no_folder_when_it_is_finished() {
    let fixture = fixture();
    fixture.storage.claim_volumes(fixture.vm).await.unwrap();
    for _again in 0..2 {
        fixture.storage.finish_volumes(fixture.vm).await.unwrap();
        assert_eq!(fixture.names(fixture.vm), None);
    }
}

#[tokio::test]
async fn finishing_goes_on_where_a_crash_ended_it() {
    let fixture = fixture();
    fs::create_dir(fixture.folder(fixture.vm)).unwrap();
    fixture.storage.finish_volumes(fixture.vm).await.unwrap();
    assert_eq!(fixture.names(fixture.vm), None);
}

#[tokio::test]
async fn volumes_that_are_there_are_not_claimed_and_not_abandoned() {
    let fixture = fixture();
    let (storage, vm) = (&fixture.storage, fixture.vm);
    fixture.add_root(vm).await;
    let refusal = storage.claim_volumes(vm).await.unwrap_err();
    assert_eq!(refusal.code, Code::NameTaken);
    assert!(refusal.hint.unwrap().contains(&fixture.folder(vm).display().to_string()));
    assert_eq!(fixture.clone(VmId::new(), vm).await.unwrap_err().code, Code::NameTaken);
    storage.abandon_volumes(vm).await.unwrap();
    assert_eq!(fixture.names(vm).unwrap(), ["root.qcow2"]);
    // The refused ones have left nothing either.
    assert_eq!(names(&storage.shared.pool.volumes).unwrap(), [vm.to_string()]);
}

#[tokio::test]
async fn a_claim_is_refused_while_there_is_one() {
    let fixture = fixture();
    fixture.storage.claim_volumes(fixture.vm).await.unwrap();
    let refusal = fixture.storage.claim_volumes(fixture.vm).await.unwrap_err();
    assert_eq!(refusal.code, Code::NameTaken);
}

#[tokio::test]
async fn an_empty_folder_is_no_obstacle_to_a_claim() {
    let fixture = fixture();
    fs::create_dir(fixture.folder(fixture.vm)).unwrap();
    fixture.storage.claim_volumes(fixture.vm).await.unwrap();
    assert_eq!(fixture.names(fixture.vm).unwrap(), [MARKER]);
}

#[tokio::test]
async fn what_is_abandoned_is_gone() {
    let fixture = fixture();
    let (storage, vm) = (&fixture.storage, fixture.vm);
    storage.claim_volumes(vm).await.unwrap();
    fixture.add_root(vm).await;
    for _again in 0..2 {
        storage.abandon_volumes(vm).await.unwrap();
        assert_eq!(names(&storage.shared.pool.volumes).unwrap(), [""; 0]);
    }
    fixture.remove_base().await.unwrap();
}

#[tokio::test]
async fn a_clone_is_unfinished_until_it_is_finished() {
    let fixture = fixture();
    let clones = [VmId::new(), VmId::new()];
    fixture.add_root(fixture.vm).await;
    for clone in clones {
        fixture.clone(fixture.vm, clone).await.unwrap();
        assert!(fixture.folder(clone).join(MARKER).exists());
    }
    // The marker is not copied from a VM to its clone, nor taken from the original.
    fixture.storage.finish_volumes(clones[0]).await.unwrap();
    assert_eq!(fixture.names(clones[0]).unwrap(), ["root.qcow2"]);
    let swept = fixture.storage.sweep(|vm| vm != clones[1], |_| false).unwrap();
    assert_eq!(swept, Swept { removed: vec![clones[1]], ..Swept::default() });
    assert_eq!(fixture.names(clones[1]), None);
}

#[tokio::test]
async fn a_sweep_removes_what_is_unfinished_and_has_no_spec() {
    let fixture = fixture();
    fixture.storage.claim_volumes(fixture.vm).await.unwrap();
    fixture.add_root(fixture.vm).await;
    fs::write(fixture.folder(fixture.vm).join(".new-data.qcow2"), "half").unwrap();
    let swept = fixture.storage.sweep(|_| false, |_| false).unwrap();
    assert_eq!(swept, Swept { removed: vec![fixture.vm], ..Swept::default() });
    assert_eq!(names(&fixture.storage.shared.pool.volumes).unwrap(), [""; 0]);
    fixture.remove_base().await.unwrap();
}

#[tokio::test]
async fn a_sweep_finishes_what_has_a_spec() {
    let fixture = fixture();
    let (with, without) = (fixture.vm, VmId::new());
    for vm in [with, without] {
        fixture.storage.claim_volumes(vm).await.unwrap();
    }
    fixture.add_root(with).await;
    let swept = fixture.storage.sweep(|_| true, |_| false).unwrap();
    assert_eq!(swept, Swept { finished: sorted(vec![with, without]), ..Swept::default() });
    assert_eq!(fixture.names(with).unwrap(), ["root.qcow2"]);
    assert_eq!(fixture.names(without), None);
    assert_eq!(fixture.storage.sweep(|_| true, |_| false).unwrap(), Swept::default());
}

#[tokio::test]
async fn a_sweep_never_removes_finished_volumes() {
    let fixture = fixture();
    fixture.add_root(fixture.vm).await;
    let volumes = &fixture.storage.shared.pool.volumes;
    // Nor what it does not know: another spelling of an id, a link, a person's folder.
    let other = VmId::new().to_string().to_uppercase();
    let (link, kept) = (VmId::new(), tempfile::tempdir().unwrap());
    for folder in [&volumes.join(&other), &volumes.join("lost+found"), kept.path()] {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(MARKER), "").unwrap();
        fs::write(folder.join(".tmp-1"), "").unwrap();
    }
    std::os::unix::fs::symlink(kept.path(), fixture.folder(link)).unwrap();
    let swept = fixture.storage.sweep(|_| false, |_| false).unwrap();
    assert_eq!(swept, Swept { orphaned: vec![fixture.vm], ..Swept::default() });
    assert_eq!(fixture.names(fixture.vm).unwrap(), ["root.qcow2"]);
    for folder in [&volumes.join(other), &volumes.join("lost+found"), kept.path()] {
        assert_eq!(names(folder).unwrap().len(), 2, "{}", folder.display());
    }
    assert_eq!(fixture.remove_base().await.unwrap_err().code, Code::InUse);
}

#[tokio::test]
async fn a_sweep_removes_temporary_files_and_no_others() {
    let fixture = fixture();
    let (stored, orphan) = (fixture.vm, VmId::new());
    let mut removed = Vec::new();
    for vm in [stored, orphan] {
        fixture.add_root(vm).await;
        for name in [".new-data.qcow2", ".tmp-1-2-3"] {
            removed.push(fixture.folder(vm).join(name));
        }
        for name in [".note", "seed.img", "x.new-y"] {
            fs::write(fixture.folder(vm).join(name), "kept").unwrap();
        }
    }
    removed.iter().for_each(|path| fs::write(path, "half").unwrap());
    let mut swept = fixture.storage.sweep(|vm| vm == stored, |_| false).unwrap();
    swept.temporary.sort_unstable();
    let expected = Swept { temporary: sorted(removed), orphaned: vec![orphan], ..Swept::default() };
    assert_eq!(swept, expected);
    for vm in [stored, orphan] {
        let kept = [".note", "root.qcow2", "seed.img", "x.new-y"];
        assert_eq!(fixture.names(vm).unwrap(), kept);
    }
}

#[tokio::test]
async fn a_sweep_removes_memory_that_never_was_whole_and_no_other() {
    let fixture = fixture();
    for (with, left) in [
        (&[][..], None),
        (&["root.qcow2"], Some(vec!["root.qcow2"])),
        (&["memory.json"], Some(vec!["memory.img", "memory.json"])),
        (&["memory.spent"], Some(vec!["memory.img", "memory.spent"])),
    ] {
        for has_spec in [true, false] {
            let vm = VmId::new();
            fs::create_dir(fixture.folder(vm)).unwrap();
            for name in with.iter().chain(&["memory.img"]) {
                fs::write(fixture.folder(vm).join(name), "").unwrap();
            }
            let before = fixture.names(vm);
            fixture.storage.sweep(|_| has_spec, |of| of == vm).unwrap();
            assert_eq!(fixture.names(vm), before, "it is being made");
            fixture.storage.sweep(|_| has_spec, |_| false).unwrap();
            let left = left.as_ref().map(|left| left.iter().map(|name| (*name).into()).collect());
            let left: Option<Vec<String>> = if has_spec { left } else { before };
            assert_eq!(fixture.names(vm), left, "{with:?} {has_spec}");
        }
    }
}

#[tokio::test]
async fn one_folder_that_cannot_be_cleared_up_does_not_keep_the_others_from_it() {
    let fixture = fixture();
    let vms = sorted(vec![VmId::new(), VmId::new(), VmId::new()]);
    for vm in &vms {
        fixture.storage.claim_volumes(*vm).await.unwrap();
    }
    // A marker that is a folder cannot be removed like one.
    let marker = fixture.folder(vms[1]).join(MARKER);
    fs::remove_file(&marker).unwrap();
    fs::create_dir(&marker).unwrap();
    let swept = fixture.storage.sweep(|_| true, |_| false).unwrap();
    assert_eq!(swept, Swept { finished: vec![vms[0], vms[2]], ..Swept::default() });
    fixture.storage.finish_volumes(vms[1]).await.unwrap_err();
}

#[tokio::test]
async fn a_half_written_volume_does_not_keep_an_image_from_being_removed() {
    let fixture = fixture();
    let leftovers = [fixture.folder(fixture.vm), fixture.folder(fixture.vm).join("../.removed-x")];
    fixture.add_root(fixture.vm).await;
    fs::rename(&leftovers[0], &leftovers[1]).unwrap();
    fs::create_dir(&leftovers[0]).unwrap();
    fs::write(leftovers[0].join(".new-root.qcow2"), [0; 512]).unwrap();
    fixture.remove_base().await.unwrap();
}

#[tokio::test]
async fn an_unfinished_overlay_keeps_its_image() {
    let fixture = fixture();
    fixture.storage.claim_volumes(fixture.vm).await.unwrap();
    fixture.add_root(fixture.vm).await;
    assert_eq!(fixture.remove_base().await.unwrap_err().code, Code::InUse);
}

/// The prefix of `innkeeper-store` is written down here too; it is seen while a file is written.
#[test]
fn the_stores_temporary_files_are_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seed.img");
    let bytes = vec![1; 1 << 20];
    let end = Instant::now() + Duration::from_secs(30);
    let seen = std::thread::scope(|scope| {
        loop {
            assert!(Instant::now() < end, "no temporary file was seen");
            let writer = scope.spawn(|| write_atomically(&path, &bytes, 0o600).unwrap());
            let mut seen = None;
            while !writer.is_finished() && seen.is_none() {
                seen = names(folder.path()).unwrap().into_iter().find(|name| name != "seed.img");
            }
            writer.join().unwrap();
            if let Some(seen) = seen {
                break seen;
            }
        }
    });
    assert!(is_temporary(seen.as_ref()), "{seen}");
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort_unstable();
    list
}
