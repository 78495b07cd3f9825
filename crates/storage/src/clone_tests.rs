use super::*;
use crate::{StorageOptions, testing};
use innkeeper_model::{ByteSize, Code, DiskFormat, config::Disk};
use std::{fs, os::unix::fs::FileExt};

struct Fixture {
    folder: tempfile::TempDir,
    storage: Storage,
    from: VmId,
    to: VmId,
}

/// A VM with an overlay that has been written to, a blank disk and UEFI variables.
async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::open(StorageOptions::new(folder.path().join("pool"))).unwrap();
    testing::add_image(&storage, "base", DiskFormat::Raw, ByteSize(4096));
    let (from, to) = (VmId::new(), VmId::new());
    for text in [r#"{"name": "root", "image": "base"}"#, r#"{"name": "data", "size": "1MiB"}"#] {
        let disk: Disk = serde_json::from_str(text).unwrap();
        storage.create_volume(from, &disk).await.unwrap();
    }
    let template = folder.path().join("template");
    fs::write(&template, "variables").unwrap();
    storage.create_nvram(from, &template).await.unwrap();
    let root = storage.shared.pool.volume(from, &"root".parse().unwrap());
    let root = fs::OpenOptions::new().write(true).open(root).unwrap();
    root.write_all_at(b"written by the guest", 512 << 10).unwrap();
    Fixture { folder, storage, from, to }
}

impl Fixture {
    async fn clone(&self, cancel: &CancellationToken) -> Result<(), Refusal> {
        let on_progress: OnProgress = Arc::new(|_| ());
        self.storage.clone_volumes(self.from, self.to, &on_progress, cancel).await
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.storage.shared.pool.volumes).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

#[tokio::test]
async fn a_clone_has_the_same_disks_on_the_same_image() {
    let fixture = fixture().await;
    fixture.clone(&CancellationToken::new()).await.unwrap();
    let pool = &fixture.storage.shared.pool;
    for name in ["root.qcow2", "data.qcow2", "nvram.fd"] {
        let original = fs::read(pool.vm(fixture.from).join(name)).unwrap();
        assert!(original == fs::read(pool.vm(fixture.to).join(name)).unwrap(), "{name}");
    }
    fixture.storage.remove_volumes(fixture.from).await.unwrap();
    let in_use = fixture.storage.remove_image(&"base".parse().unwrap()).await;
    assert_eq!(in_use.unwrap_err().code, Code::InUse);
}

#[tokio::test]
async fn a_cancelled_clone_leaves_nothing() {
    let fixture = fixture().await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    // Where the file system shares blocks it may be done before it looks.
    if let Err(refusal) = fixture.clone(&cancel).await {
        assert_eq!(refusal.code, Code::Cancelled);
        assert_eq!(fixture.names(), [fixture.from.to_string()]);
    }
    assert!(fixture.folder.path().exists());
}

#[tokio::test]
async fn volumes_that_are_there_are_not_overwritten() {
    let fixture = fixture().await;
    let there = fixture.storage.shared.pool.vm(fixture.to);
    fs::create_dir(&there).unwrap();
    fs::write(there.join("kept"), "kept").unwrap();
    let refusal = fixture.clone(&CancellationToken::new()).await.unwrap_err();
    assert_eq!(refusal.code, Code::NameTaken);
    assert_eq!(fs::read_dir(&there).unwrap().count(), 1);
    assert_eq!(fixture.names().len(), 2);
}

#[tokio::test]
async fn a_vm_without_volumes_is_cloned_as_nothing() {
    let mut fixture = fixture().await;
    fixture.from = VmId::new();
    fixture.clone(&CancellationToken::new()).await.unwrap();
    // Its seed may follow, so it is unfinished all the same.
    assert!(fixture.storage.shared.pool.vm(fixture.to).join(".unfinished").exists());
    fixture.storage.finish_volumes(fixture.to).await.unwrap();
    assert!(!fixture.storage.shared.pool.vm(fixture.to).exists());
}
