use super::*;
use crate::{StorageOptions, testing};
use innkeeper_model::{ByteSize, ImageKind};
use std::process::Command;

const CLUSTER: usize = 64 << 10;
const SIZE: usize = 40 * CLUSTER;

struct Fixture {
    _folder: tempfile::TempDir,
    storage: Storage,
    vm: VmId,
    disk: Disk,
}

impl Fixture {
    /// A VM with an overlay on a raw image of sevens, and twice as large.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(StorageOptions::new(folder.path().join("pool"))).unwrap();
        let size = ByteSize(SIZE as u64);
        let sevens = vec![7; SIZE];
        testing::add(&storage, "base", ImageKind::Disk, DiskFormat::Raw, &sevens, size);
        let disk = format!(r#"{{"name": "root", "image": "base", "size": "{}B"}}"#, 2 * SIZE);
        let disk = serde_json::from_str(&disk).unwrap();
        let vm = VmId::new();
        storage.create_volume(vm, &disk).await.unwrap();
        Self { _folder: folder, storage, vm, disk }
    }

    fn volume(&self) -> std::path::PathBuf {
        self.storage.shared.pool.volume(self.vm, &self.disk.name)
    }

    async fn open(&self) -> FlatDisk {
        self.storage.open_disk(self.vm, &self.disk).await.unwrap()
    }

    /// Writes a second-level table behind the volume's end, with these entries, and a cluster of nines
    /// behind that, whose place the entries are told.
    fn write(&self, entries: impl FnOnce(u64) -> Vec<(usize, u64)>) {
        let file = File::options().read(true).write(true).open(self.volume()).unwrap();
        let l2 = file.metadata().unwrap().len();
        let data = l2 + CLUSTER as u64;
        file.write_all_at(&vec![9; CLUSTER], data).unwrap();
        for (index, entry) in entries(data) {
            file.write_all_at(&entry.to_be_bytes(), l2 + 8 * index as u64).unwrap();
        }
        file.write_all_at(&(l2 | 1 << 63).to_be_bytes(), 3 * CLUSTER as u64).unwrap();
    }
}

async fn all(mut disk: FlatDisk, piece: usize) -> Vec<u8> {
    let length = usize::try_from(disk.length()).unwrap();
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let count = piece.min(length - bytes.len());
        let read = disk.read(bytes.len() as u64, count).await.unwrap();
        bytes.extend(read.0);
        disk = read.1;
    }
    bytes
}

#[tokio::test]
async fn a_new_overlay_is_its_image_and_zeros_behind_that() {
    let fixture = Fixture::new().await;
    let bytes = all(fixture.open().await, 100_000).await;
    assert!(bytes == [vec![7; SIZE], vec![0; SIZE]].concat());
}

#[tokio::test]
async fn each_stretch_comes_from_the_topmost_layer_that_has_it() {
    let fixture = Fixture::new().await;
    fixture.write(|data| vec![(1, data | 1 << 63), (2, ZERO), (3, data | ZERO), (50, data)]);
    let mut expected = [vec![7; SIZE], vec![0; SIZE]].concat();
    let mut fill = |cluster: usize, byte| expected[cluster * CLUSTER..][..CLUSTER].fill(byte);
    fill(1, 9);
    fill(2, 0);
    fill(3, 0);
    fill(50, 9);
    for piece in [4096, 100_001, 3 * SIZE] {
        assert!(all(fixture.open().await, piece).await == expected, "{piece}");
    }
}

#[tokio::test]
async fn tables_that_lead_out_of_the_file_show_nothing_of_others() {
    let fixture = Fixture::new().await;
    fixture.write(|_| vec![(1, OFFSET & !0xffff)]);
    let (bytes, _) = fixture.open().await.read(CLUSTER as u64, CLUSTER).await.unwrap();
    assert!(bytes == vec![0; CLUSTER]);
    let file = File::options().write(true).open(fixture.volume()).unwrap();
    file.write_all_at(&(1_u64 << 50).to_be_bytes(), 3 * CLUSTER as u64).unwrap();
    let refused = fixture.open().await.read(0, CLUSTER).await.unwrap_err();
    assert_ne!(refused.code, Code::WrongState, "{refused:?}");
}

#[tokio::test]
async fn what_is_compressed_is_refused() {
    let fixture = Fixture::new().await;
    fixture.write(|data| vec![(0, data | COMPRESSED)]);
    let refused = fixture.open().await.read(0, 512).await.unwrap_err();
    assert!(format!("{refused:?}").contains("compressed"), "{refused:?}");
}

#[tokio::test]
async fn a_disk_that_is_written_to_is_not_read_on() {
    let fixture = Fixture::new().await;
    let disk = fixture.open().await;
    let tag = disk.tag();
    let (_, disk) = disk.read(0, 512).await.unwrap();
    fixture.write(|data| vec![(1, data)]);
    assert_eq!(disk.read(512, 512).await.unwrap_err().code, Code::WrongState);
    assert_ne!(fixture.open().await.tag(), tag);
}

#[tokio::test]
async fn qemu_img_reads_the_same() {
    let fixture = Fixture::new().await;
    let written = Command::new("qemu-io")
        .args(["-c", "write -P 3 70k 200k", "-c", "write -z 1M 128k", "-c", "write -P 4 4M 10k"])
        .arg(fixture.volume())
        .output();
    let Ok(written) = written else {
        eprintln!("qemu-io is not installed: not tried with it");
        return;
    };
    assert!(written.status.success(), "{written:?}");
    let raw = fixture.volume().with_extension("raw");
    let flattened = Command::new("qemu-img")
        .args(["convert", "-O", "raw"])
        .args([&fixture.volume(), &raw])
        .output()
        .unwrap();
    assert!(flattened.status.success(), "{flattened:?}");
    let bytes = all(fixture.open().await, 1 << 20).await;
    assert!(bytes == std::fs::read(raw).unwrap());
}
