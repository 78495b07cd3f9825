use super::*;
use crate::{ImportRequest, OnProgress, Progress, Storage, StorageOptions, testing};
use innkeeper_model::{ByteSize, Code, DiskFormat, Image, ImageKind};
use sha2::{Digest, Sha256};
use std::{
    fs,
    os::unix::fs::{FileExt, MetadataExt},
    path::PathBuf,
    sync::Mutex,
};
use tokio_util::sync::CancellationToken;

const CLUSTER: usize = 64 << 10;
const SIZE: usize = 40 * CLUSTER;
/// Where a new overlay has the table that its second-level tables are named in.
const L1: u64 = 3 * CLUSTER as u64;

struct Fixture {
    folder: tempfile::TempDir,
    storage: Storage,
    vm: VmId,
    disk: Disk,
}

fn disk(json: &serde_json::Value) -> Disk {
    serde_json::from_value(json.clone()).unwrap()
}

impl Fixture {
    /// A VM with an overlay on a raw image of sevens, and much larger.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let allowed = folder.path().join("allowed");
        fs::create_dir(&allowed).unwrap();
        let mut options = StorageOptions::new(folder.path().join("pool"));
        options.allowed_paths.push(allowed);
        let storage = Storage::open(options).unwrap();
        let sevens = vec![7; SIZE];
        let size = ByteSize(SIZE as u64);
        testing::add(&storage, "base", ImageKind::Disk, DiskFormat::Raw, &sevens, size);
        let disk = disk(&serde_json::json!({ "name": "root", "image": "base", "size": "64MiB" }));
        let vm = VmId::new();
        storage.create_volume(vm, &disk).await.unwrap();
        Self { folder, storage, vm, disk }
    }

    /// Writes a second-level table behind the volume's end, with an entry for this cluster that leads to
    /// what follows: a cluster of these bytes.
    fn write(&self, cluster: usize, bytes: &[u8], flags: u64) {
        let volume = self.storage.shared.pool.volume(self.vm, &self.disk.name);
        let file = File::options().read(true).write(true).open(volume).unwrap();
        let l2 = file.metadata().unwrap().len();
        let data = l2 + CLUSTER as u64;
        file.write_all_at(&[bytes, &vec![0; CLUSTER - bytes.len()]].concat(), data).unwrap();
        file.write_all_at(&(data | flags).to_be_bytes(), l2 + 8 * cluster as u64).unwrap();
        file.write_all_at(&(l2 | 1 << 63).to_be_bytes(), L1).unwrap();
    }

    fn request(&self, disk: &Disk) -> ImportRequest {
        let vm_name = "web".parse().unwrap();
        ImportRequest {
            name: "golden".parse().unwrap(),
            kind: ImageKind::Disk,
            source: ImportSource::Disk { vm: self.vm, vm_name, disk: Box::new(disk.clone()) },
            format: None,
            initrd: None,
        }
    }

    async fn commit(&self) -> Result<Image, Refusal> {
        let quiet: OnProgress = Arc::new(|_| ());
        let request = self.request(&self.disk);
        self.storage.import(request, &quiet, &CancellationToken::new()).await
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("pool/images/golden/disk.raw")
    }

    /// What is in the pool's folder of images, unfinished work included.
    fn images(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join("pool/images")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

#[tokio::test]
async fn an_image_has_the_bytes_of_all_layers_and_holes_for_zeros() {
    let fixture = Fixture::new().await;
    fixture.write(3, &[9; CLUSTER], 1 << 63);
    let image = fixture.commit().await.unwrap();
    let mut expected = vec![0; 64 << 20];
    expected[..SIZE].fill(7);
    expected[3 * CLUSTER..][..CLUSTER].fill(9);
    assert!(fs::read(fixture.file()).unwrap() == expected);
    let stored = fs::metadata(fixture.file()).unwrap().blocks() * 512;
    assert!(stored <= SIZE as u64 + (128 << 10), "{stored} bytes are stored");
    assert_eq!((image.size, image.virtual_size), (ByteSize(stored), ByteSize(64 << 20)));
    assert_eq!(image.digest, crate::copy::written(&Sha256::digest(&expected)));
    let shown = fixture.storage.image(&image.name).unwrap();
    assert_eq!(shown, image);
    let lineage = shown.lineage.unwrap();
    assert_eq!((lineage.vm, lineage.image.unwrap().name.as_str()), (fixture.vm, "base"));
}

#[tokio::test]
async fn a_header_that_a_guest_wrote_is_bytes_like_any_other() {
    let fixture = Fixture::new().await;
    // What would be an overlay on a file of the host, if anybody looked for a format.
    let mut header = b"QFI\xfb\0\0\0\x03".to_vec();
    header.resize(512, 0);
    header[15] = 104;
    header.extend(b"/etc/shadow");
    fixture.write(0, &header, 1 << 63);
    let image = fixture.commit().await.unwrap();
    assert_eq!((image.format, image.virtual_size), (DiskFormat::Raw, ByteSize(64 << 20)));
    assert!(fs::read(fixture.file()).unwrap().starts_with(&header));
}

#[tokio::test]
async fn a_damaged_chain_makes_no_image_and_says_why() {
    let fixture = Fixture::new().await;
    fixture.write(0, &[], 1 << 62);
    let refused = fixture.commit().await.unwrap_err();
    assert!(format!("{refused:?}").contains("compressed"), "{refused:?}");
    assert_eq!(fixture.images(), ["base"]);
    // A table that leads out of its file.
    let volume = fixture.storage.shared.pool.volume(fixture.vm, &fixture.disk.name);
    let file = File::options().write(true).open(&volume).unwrap();
    file.write_all_at(&(1_u64 << 50).to_be_bytes(), L1).unwrap();
    fixture.commit().await.unwrap_err();
    file.write_all_at(b"no qcow2", 0).unwrap();
    let refused = fixture.commit().await.unwrap_err();
    assert!(refused.message.contains("root.qcow2"), "{refused:?}");
    fs::remove_file(volume).unwrap();
    fixture.commit().await.unwrap_err();
    fs::remove_file(fixture.folder.path().join("pool/images/base/disk.raw")).unwrap();
    assert_eq!(fixture.commit().await.unwrap_err().code, Code::Quarantined);
    assert_eq!(fixture.images(), ["base"]);
}

#[tokio::test]
async fn how_far_it_is_can_be_told_and_a_cancel_leaves_nothing() {
    let fixture = Fixture::new().await;
    let cancel = CancellationToken::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let (noted, cancels) = (told.clone(), cancel.clone());
    let on_progress: OnProgress = Arc::new(move |progress: Progress| {
        noted.lock().unwrap().push(progress);
        if progress.done >= ByteSize(2 << 20) {
            cancels.cancel();
        }
    });
    let request = fixture.request(&fixture.disk);
    let refused = fixture.storage.import(request, &on_progress, &cancel).await.unwrap_err();
    assert_eq!(refused.code, Code::Cancelled);
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|told| told.phase == Phase::Copying));
    assert_eq!(told[0].total, Some(ByteSize(64 << 20)));
    assert_eq!(fixture.images(), ["base"]);
}

#[tokio::test]
async fn a_disk_that_is_no_volume_is_one_too_and_what_fits_nothing_is_refused() {
    let fixture = Fixture::new().await;
    let path = fixture.folder.path().join("allowed/host.raw");
    fs::write(&path, vec![5; 1 << 20]).unwrap();
    let host = disk(&serde_json::json!({ "name": "host", "path": path, "format": "raw" }));
    let quiet: OnProgress = Arc::new(|_| ());
    let request = fixture.request(&host);
    let image = fixture.storage.import(request, &quiet, &CancellationToken::new()).await.unwrap();
    assert_eq!(image.lineage.unwrap().image, None);
    assert!(fs::read(fixture.file()).unwrap() == fs::read(&path).unwrap());

    let named = |mut request: ImportRequest| {
        request.name = "other".parse().unwrap();
        request
    };
    let ordinary = || named(fixture.request(&fixture.disk));
    fixture.storage.check_import(&ordinary()).unwrap();
    let cdrom = disk(&serde_json::json!({ "name": "disc", "path": path, "kind": "cdrom" }));
    let gone = disk(&serde_json::json!({ "name": "gone", "image": "none" }));
    let of_another_kind = ImportRequest { kind: ImageKind::Iso, ..ordinary() };
    let of_another_format = ImportRequest { format: Some(DiskFormat::Qcow2), ..ordinary() };
    for (request, field) in [
        (named(fixture.request(&cdrom)), "from_disk.disk"),
        (named(fixture.request(&gone)), "disks[gone].image"),
        (of_another_kind, "kind"),
        (of_another_format, "format"),
    ] {
        let refused = fixture.storage.check_import(&request).unwrap_err();
        assert_eq!(refused.field.as_deref(), Some(field), "{refused:?}");
    }
}
