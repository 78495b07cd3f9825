use super::*;
use crate::{StorageOptions, Swept};
use innkeeper_model::{IncarnationId, Mebibytes, Revision};
use std::{
    collections::BTreeMap,
    os::unix::fs::{FileExt, PermissionsExt},
};

struct Fixture {
    _folder: tempfile::TempDir,
    storage: Storage,
    vm: VmId,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::open(StorageOptions::new(folder.path().join("pool"))).unwrap();
    Fixture { _folder: folder, storage, vm: VmId::new() }
}

fn incarnation(vm: VmId) -> Incarnation {
    Incarnation {
        schema: 1,
        id: IncarnationId::new(),
        vm,
        spec_revision: Revision(1),
        boot_id: "boot".into(),
        created: Timestamp::UNIX_EPOCH,
        driver: "qemu".into(),
        hypervisor_version: "10.0.2".into(),
        machine: "pc-q35-10.0".into(),
        cpu_model: "Nehalem-v1".into(),
        accelerator: "tcg".into(),
        cpus: 1,
        memory: Mebibytes(32),
        uid: None,
        cgroup: None,
        run_folder: "/run".into(),
        argv: vec!["qemu".into()],
        opens: serde_json::Value::Null,
        adopted: false,
        block_nodes: BTreeMap::new(),
        ports: None,
        plugs: Vec::new(),
        process: None,
    }
}

impl Fixture {
    /// A memory image as a hypervisor leaves it: a few pages, and holes around them.
    async fn half_made(&self) -> PathBuf {
        let path = self.storage.create_memory(self.vm).await.unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(&[7; 4096], 1 << 20).unwrap();
        file.set_len(32 << 20).unwrap();
        path
    }

    async fn seal(&self) -> Result<MemoryImage, Refusal> {
        let cancel = CancellationToken::new();
        self.storage.seal_memory(self.vm, &incarnation(self.vm), &cancel).await
    }

    async fn verify(&self) -> Result<(), Refusal> {
        let image = self.storage.check_memory(self.vm).await?;
        let quiet: crate::OnProgress = std::sync::Arc::new(|_| ());
        self.storage.verify_memory(self.vm, &image, &quiet, &CancellationToken::new()).await
    }

    fn folder(&self) -> PathBuf {
        self.storage.shared.pool.vm(self.vm)
    }
}

fn assert_incompatible<T: std::fmt::Debug>(outcome: Result<T, Refusal>, says: &str) {
    let refusal = outcome.unwrap_err();
    assert_eq!(refusal.code, Code::IncompatibleMemory, "{refusal:?}");
    assert!(refusal.message.contains(says), "{refusal:?}");
    assert!(refusal.hint.unwrap().contains("--discard-memory"));
}

/// Whoever is refused can tell what would take it.
fn assert_names_its_machine<T: std::fmt::Debug>(outcome: Result<T, Refusal>, says: &str) {
    let message = outcome.as_ref().map(drop).unwrap_err().message.clone();
    for named in ["qemu 10.0.2", "machine pc-q35-10.0", "CPU Nehalem-v1", "accelerator tcg"] {
        assert!(message.contains(named), "{named}: {message}");
    }
    assert_incompatible(outcome, says);
}

#[tokio::test]
async fn memory_is_kept_once_it_is_sealed_and_until_it_is_spent() {
    let fixture = fixture();
    let (storage, vm) = (&fixture.storage, fixture.vm);
    assert_eq!(storage.memory(vm).await, Ok(None));
    let path = fixture.half_made().await;
    assert_eq!(path, storage.memory_path(vm));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(storage.memory(vm).await, Ok(None));
    assert_incompatible(storage.check_memory(vm).await, "no memory that is whole");

    let image = fixture.seal().await.unwrap();
    assert_eq!(image.size, ByteSize(32 << 20));
    assert_eq!(storage.memory(vm).await, Ok(Some(image.clone())));
    assert_eq!(storage.check_memory(vm).await, Ok(image.clone()));
    fixture.verify().await.unwrap();

    for _again in 0..2 {
        storage.spend_memory(vm).await.unwrap();
        assert_eq!(storage.memory(vm).await, Ok(None));
        assert_eq!(storage.memories().unwrap(), [(vm, Ok(None))]);
    }
    for _again in 0..2 {
        storage.return_memory(vm).await.unwrap();
        assert_eq!(storage.memories().unwrap(), [(vm, Ok(Some(image.clone())))]);
    }
    for _again in 0..2 {
        storage.remove_memory(vm).await.unwrap();
        assert!(!fixture.folder().exists());
        assert_eq!(storage.memories().unwrap(), []);
    }
}

#[tokio::test]
async fn sealed_memory_is_not_written_over_and_other_memory_is() {
    let fixture = fixture();
    fixture.half_made().await;
    let path = fixture.storage.create_memory(fixture.vm).await.unwrap();
    assert_eq!(path.metadata().unwrap().len(), 0);
    let nothing = fixture.seal().await.unwrap_err();
    assert!(nothing.message.contains("no memory was written"), "{nothing}");

    fixture.half_made().await;
    fixture.seal().await.unwrap();
    let refusal = fixture.storage.create_memory(fixture.vm).await.unwrap_err();
    assert_eq!(refusal.code, Code::WrongState);
    fixture.verify().await.unwrap();

    fixture.storage.spend_memory(fixture.vm).await.unwrap();
    fixture.half_made().await;
    fixture.storage.return_memory(fixture.vm).await.unwrap();
    assert_eq!(fixture.storage.memory(fixture.vm).await, Ok(None), "it was of another image");
}

#[tokio::test]
async fn what_is_not_as_it_was_sealed_is_refused() {
    let fixture = fixture();
    let path = fixture.half_made().await;
    fixture.seal().await.unwrap();
    let file = File::options().write(true).open(&path).unwrap();

    file.write_all_at(&[8], (1 << 20) + 99).unwrap();
    fixture.storage.check_memory(fixture.vm).await.unwrap();
    assert_names_its_machine(fixture.verify().await, "is damaged");
    file.write_all_at(&[7], (1 << 20) + 99).unwrap();
    fixture.verify().await.unwrap();

    file.set_len((32 << 20) - 1).unwrap();
    assert_names_its_machine(fixture.storage.check_memory(fixture.vm).await, "is truncated");
    fs::remove_file(path).unwrap();
    assert_names_its_machine(fixture.storage.check_memory(fixture.vm).await, "cannot be opened");
}

#[tokio::test]
async fn a_record_that_is_not_understood_is_refused_and_named() {
    let fixture = fixture();
    fixture.half_made().await;
    fixture.seal().await.unwrap();
    let record = fixture.folder().join(RECORD);
    let whole = fs::read_to_string(&record).unwrap();
    fs::write(&record, whole.replacen("\"schema\": 1", "\"schema\": 99", 1)).unwrap();
    assert_names_its_machine(fixture.storage.memory(fixture.vm).await, "newer Innkeeper");
    fs::write(&record, r#"{"schema": 99, "novelty": true}"#).unwrap();
    assert_incompatible(fixture.storage.memory(fixture.vm).await, "accelerator unknown");
    fs::write(&record, "{").unwrap();
    let refusal = fixture.storage.memory(fixture.vm).await;
    assert_incompatible(refusal.clone(), &record.display().to_string());
    assert_eq!(fixture.storage.memories().unwrap(), [(fixture.vm, refusal)]);
}

#[tokio::test]
async fn a_cancelled_seal_leaves_the_memory_half_made() {
    let fixture = fixture();
    fixture.half_made().await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    let sealed = fixture.storage.seal_memory(fixture.vm, &incarnation(fixture.vm), &cancel).await;
    assert_eq!(sealed.unwrap_err().code, Code::Cancelled);
    assert_eq!(fixture.storage.memory(fixture.vm).await, Ok(None));
    fixture.seal().await.unwrap();
}

#[tokio::test]
async fn only_the_newest_dump_is_kept() {
    let fixture = fixture();
    let path = fixture.storage.create_dump(fixture.vm).await.unwrap();
    fs::write(&path, "the first").unwrap();
    assert_eq!(fixture.storage.create_dump(fixture.vm).await, Ok(path.clone()));
    assert_eq!(fs::read(&path).unwrap(), b"");
    assert_eq!(path, fixture.storage.dump_path(fixture.vm));
    for _again in 0..2 {
        fixture.storage.remove_dump(fixture.vm).await.unwrap();
        assert!(!fixture.folder().exists());
    }
}

/// A hypervisor may be writing it while the daemon is started again.
#[tokio::test]
async fn a_sweep_leaves_memory_and_dumps_to_those_who_know_of_them() {
    let fixture = fixture();
    fixture.half_made().await;
    fixture.seal().await.unwrap();
    fixture.storage.create_dump(fixture.vm).await.unwrap();
    let temporary = fixture.folder().join(".tmp-1-2-3");
    fs::write(&temporary, "half a record").unwrap();
    let swept = fixture.storage.sweep(|_| true, |_| false).unwrap();
    assert_eq!(swept, Swept { temporary: vec![temporary], ..Swept::default() });
    fixture.verify().await.unwrap();
    assert!(fixture.storage.dump_path(fixture.vm).exists());
}
