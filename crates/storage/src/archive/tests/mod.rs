//! VMs that go out as files and come in again.

mod hostile;
mod made;
mod nothing_left;

use super::*;
use crate::{
    OnProgress, Storage, StorageOptions,
    copy::hex,
    format::{
        blank::{Base, blank},
        packed::{Cluster, Occupied, Packed},
    },
    room::tests::most_of,
    testing,
};
use innkeeper_model::{ByteSize, Code, DiskFormat, ImageKind, Spec, VmId, config::Disk};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

const CLUSTER: usize = 64 << 10;

struct Pool {
    folder: tempfile::TempDir,
    storage: Storage,
}

impl Pool {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut StorageOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = StorageOptions::new(folder.path().join("pool"));
        change(&mut options);
        Self { storage: Storage::open(options).unwrap(), folder }
    }

    fn names(&self, of: &str) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join("pool").join(of)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn volume(&self, vm: VmId, name: &str) -> PathBuf {
        self.storage.shared.pool.vm(vm).join(name)
    }

    /// What a file is, sent in pieces of this many bytes.
    async fn send(&self, file: &[u8], piece: usize) -> Result<StagedVm, Refusal> {
        let mut arrival = self.storage.receive_vm(None, |_| Ok(())).await?;
        for piece in file.chunks(piece) {
            arrival = arrival.write(piece.to_vec()).await?;
        }
        arrival.finish().await
    }

    async fn bring(&self, vm: VmId, staged: &StagedVm) -> Result<(), Refusal> {
        let on_progress: OnProgress = Arc::new(|_| ());
        let cancel = CancellationToken::new();
        self.storage.bring_volumes(vm, staged.name(), &on_progress, &cancel).await
    }

    /// Waits until nothing of what was sent is left.
    #[track_caller]
    fn is_cleared(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.names("uploads").is_empty() {
            assert!(Instant::now() < deadline, "{:?} is left", self.names("uploads"));
            // It is removed on another thread.
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn spec(config: Value) -> Arc<Spec> {
    let spec = json!({
        "id": VmId::new(), "revision": 1, "created": "2026-01-01T00:00:00Z",
        "updated": "2026-01-01T00:00:00Z", "want": "stopped", "config": config,
        "assigned": {
            "machine": "pc-q35-10.0", "cpu_model": "Nehalem", "uid": 7, "ports": 5,
            "devices": { "disk/root": { "port": 0 }, "disk/data": { "port": 3 } },
            "serials": { "root": "inn-1", "data": "inn-2" },
        },
    });
    serde_json::from_value(spec).unwrap()
}

/// A VM with an overlay on an image of sevens that its guest has written nines to, a blank disk, a
/// CD-ROM, UEFI variables and secrets.
async fn furnished(pool: &Pool) -> Arc<Spec> {
    let size = ByteSize(40 * CLUSTER as u64);
    let sevens = vec![7; 40 * CLUSTER];
    testing::add(&pool.storage, "base", ImageKind::Disk, DiskFormat::Raw, &sevens, size);
    testing::add(&pool.storage, "disc", ImageKind::Iso, DiskFormat::Raw, &[0; 512], ByteSize(512));
    let spec = spec(json!({
        "name": "web", "boot": { "firmware": "uefi" }, "cloud_init": { "user_data": "hunter2" },
        "disks": [
            { "name": "root", "image": "base", "size": "5MiB" },
            { "name": "data", "size": "1GiB" },
            { "name": "cd", "image": "disc", "kind": "cdrom" },
        ],
    }));
    for disk in &spec.config.disks {
        pool.storage.create_volume(spec.id, disk).await.unwrap();
    }
    let template = pool.folder.path().join("template");
    fs::write(&template, "variables").unwrap();
    pool.storage.create_nvram(spec.id, &template).await.unwrap();
    write_nines(&pool.volume(spec.id, "root.qcow2"), 1);
    write_nines(&pool.volume(spec.id, "data.qcow2"), 900);
    spec
}

/// Writes nines to a cluster of a new volume.
fn write_nines(volume: &Path, cluster: usize) {
    let file = File::options().read(true).write(true).open(volume).unwrap();
    let l2 = file.metadata().unwrap().len();
    let data = l2 + CLUSTER as u64;
    file.write_all_at(&vec![9; CLUSTER], data).unwrap();
    file.write_all_at(&(data | 1 << 63).to_be_bytes(), l2 + 8 * cluster as u64).unwrap();
    file.write_all_at(&(l2 | 1 << 63).to_be_bytes(), 3 * CLUSTER as u64).unwrap();
}

async fn export(pool: &Pool, spec: &Arc<Spec>) -> Vec<u8> {
    let mut export = pool.storage.export(spec).await.unwrap();
    let (length, mut file) = (export.length(), Vec::new());
    while let Some((piece, next)) = export.read().await.unwrap() {
        file.extend(piece);
        export = next;
    }
    assert_eq!(file.len() as u64, length, "it was as long as was said");
    file
}

async fn contents(pool: &Pool, vm: VmId, disk: &Disk) -> Vec<u8> {
    let flat = pool.storage.open_disk(vm, disk).await.unwrap();
    let length = usize::try_from(flat.length()).unwrap();
    flat.read(0, length).await.unwrap().0
}

#[tokio::test]
async fn a_vm_that_went_out_comes_in_as_it_was() {
    let (from, to) = (Pool::new(), Pool::new());
    let spec = furnished(&from).await;
    let file = export(&from, &spec).await;
    assert!(file.len() < 5 << 20, "{} bytes for the 2.6 MiB there are", file.len());
    assert!(!file.windows(7).any(|bytes| bytes == b"hunter2"), "no secrets");
    for piece in [file.len(), 100_001, 511] {
        let staged = to.send(&file, piece).await.unwrap();
        let manifest = staged.manifest();
        assert_eq!((manifest.id, manifest.assigned.uid), (spec.id, None));
        assert_eq!(manifest.assigned.serials, spec.assigned.serials);
        assert_eq!(manifest.config.cloud_init, None);
        assert_eq!(manifest.images.iter().count(), 1, "the CD-ROM's");
        assert_eq!(staged.nvram(), Some(9));
        let vm = VmId::new();
        to.bring(vm, &staged).await.unwrap();
        assert!(to.names(&format!("volumes/{vm}")).contains(&".unfinished".into()));
        to.storage.finish_volumes(vm).await.unwrap();
        let disks: Vec<&Disk> = manifest.disks().collect();
        assert_eq!(disks.len(), 2);
        for (old, new) in spec.config.disks.iter().zip(disks) {
            assert_eq!(
                new.size,
                Some(ByteSize(if new.name.as_str() == "root" { 5 << 20 } else { 1 << 30 }))
            );
            let same = contents(&from, spec.id, old).await == contents(&to, vm, new).await;
            assert!(same, "{}", new.name);
            let volume = to.volume(vm, &disk_member(&new.name));
            if let Some(said) = testing::qemu_img(&["check", "-f", "qcow2"], &volume) {
                assert!(said.contains("No errors were found"), "{said}");
            }
        }
        assert_eq!(fs::read(to.volume(vm, NVRAM)).unwrap(), b"variables");
        to.is_cleared();
    }
}

#[tokio::test]
async fn ordinary_tools_open_the_file() {
    let pool = Pool::new();
    let spec = furnished(&pool).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.tar");
    fs::write(&path, export(&pool, &spec).await).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(folder.path()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(
        run("tar", &["tf", "web.tar"]),
        "vm.json\nroot.qcow2\ndata.qcow2\nnvram.fd\nSHA256SUMS\n"
    );
    run("tar", &["xf", "web.tar"]);
    assert_eq!(run("sha256sum", &["-c", "SHA256SUMS"]).matches(": OK").count(), 4);
    let manifest: Value =
        serde_json::from_slice(&fs::read(folder.path().join("vm.json")).unwrap()).unwrap();
    assert_eq!((&manifest["format"], &manifest["version"]), (&"innkeeper-vm".into(), &1.into()));
    // What they have packed again is taken, too.
    let again = ["--format=gnu", "-cf", "again.tar", "vm.json", "root.qcow2", "data.qcow2"];
    run("tar", &[&again[..], &["nvram.fd", "SHA256SUMS"]].concat());
    pool.send(&fs::read(folder.path().join("again.tar")).unwrap(), 4096).await.unwrap();
}

#[tokio::test]
async fn what_is_written_to_while_it_goes_out_has_no_end() {
    let pool = Pool::new();
    let spec = furnished(&pool).await;
    // The disk that has gone already, the one that goes now, the one that comes, the variables.
    for (name, pieces) in [("root.qcow2", 6), ("root.qcow2", 2), ("data.qcow2", 1), (NVRAM, 1)] {
        let mut export = pool.storage.export(&spec).await.unwrap();
        for _ in 0..pieces {
            export = export.read().await.unwrap().unwrap().1;
        }
        let volume = pool.volume(spec.id, name);
        let file = File::options().write(true).open(&volume).unwrap();
        file.set_modified(std::time::SystemTime::now() + Duration::from_secs(60)).unwrap();
        let refusal = loop {
            match export.read().await {
                Ok(Some((_, next))) => export = next,
                Ok(None) => panic!("{name}: it came to its end"),
                Err(refusal) => break refusal,
            }
        };
        assert_eq!(refusal.code, Code::WrongState, "{name}");
    }
}

#[tokio::test]
async fn what_is_only_on_this_host_is_not_exported() {
    let pool = Pool::new();
    for (config, field) in [
        (json!({ "name": "a", "boot": { "kernel": { "path": "/vmlinuz" } } }), "boot.kernel.path"),
        (
            json!({ "name": "a", "disks": [
                { "name": "cd", "path": "/disc.iso", "format": "raw", "kind": "cdrom" },
            ] }),
            "disks[0].path",
        ),
    ] {
        let refusal = pool.storage.export(&spec(config)).await.unwrap_err();
        assert_eq!((refusal.code, refusal.field.as_deref()), (Code::WrongState, Some(field)));
        assert!(refusal.hint.unwrap().contains("inn image add"));
    }
}

#[tokio::test]
async fn a_disk_that_is_a_file_of_the_host_goes_along() {
    let allowed = tempfile::tempdir().unwrap();
    let path = allowed.path().join("disk");
    let file = File::create(&path).unwrap();
    file.write_all_at(&[5; 5000], 700_000).unwrap();
    file.set_len(8 << 20).unwrap();
    let pool = Pool::with(|options| options.allowed_paths.push(allowed.path().into()));
    let spec = spec(json!({ "name": "a", "disks": [
        { "name": "root", "path": path, "format": "raw" },
    ] }));
    let exported = export(&pool, &spec).await;
    assert!(exported.len() < 1 << 20, "{} bytes for the 5 KiB there are", exported.len());
    let staged = pool.send(&exported, 4096).await.unwrap();
    let disk = staged.manifest().disks().next().unwrap();
    assert_eq!((disk.size, &disk.path, disk.format), (Some(ByteSize(8 << 20)), &None, None));
    let vm = VmId::new();
    pool.bring(vm, &staged).await.unwrap();
    assert!(contents(&pool, vm, disk).await == fs::read(&path).unwrap());
}
