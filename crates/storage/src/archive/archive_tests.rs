use super::*;
use crate::{
    OnProgress, Storage, StorageOptions,
    copy::hex,
    format::{
        blank::{Base, blank},
        packed::{Cluster, Occupied, Packed},
    },
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
        let mut arrival = self.storage.receive_vm(None).await?;
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

/// A file made by hand.
#[derive(Clone)]
struct Made {
    members: Vec<(String, Vec<u8>, tar::EntryType)>,
    sums: bool,
    end: bool,
}

impl Made {
    fn new(manifest: &Value, disk: Vec<u8>) -> Self {
        let made = Self { members: Vec::new(), sums: true, end: true };
        made.with("vm.json", manifest.to_string().into_bytes()).with("root.qcow2", disk)
    }

    fn with(self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.with_kind(name, bytes, tar::EntryType::Regular)
    }

    fn with_kind(mut self, name: &str, bytes: impl Into<Vec<u8>>, kind: tar::EntryType) -> Self {
        self.members.push((name.into(), bytes.into(), kind));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let mut sums = String::new();
        for (name, bytes, kind) in &self.members {
            put(&mut file, name, bytes, *kind);
            sums += &format!("{}  {name}\n", hex(&Sha256::digest(bytes)));
        }
        if self.sums {
            put(&mut file, SUMS, sums.as_bytes(), tar::EntryType::Regular);
        }
        if self.end {
            file.resize(file.len() + 1024, 0);
        }
        file
    }
}

fn put(file: &mut Vec<u8>, name: &str, bytes: &[u8], kind: tar::EntryType) {
    let mut header = tar::Header::new_gnu();
    // Not by `set_path`, which refuses what is to be refused here.
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    if kind.is_symlink() || kind.is_hard_link() {
        header.set_link_name("/etc/shadow").unwrap();
    }
    header.set_size(bytes.len() as u64);
    header.set_cksum();
    file.extend(header.as_bytes());
    file.extend(bytes);
    file.resize(file.len().next_multiple_of(512), 0);
}

/// A VM with one disk of a mebibyte.
fn manifest() -> Value {
    json!({
        "format": "innkeeper-vm", "version": 1, "id": VmId::new(),
        "config": { "name": "web", "disks": [{ "name": "root", "size": "1MiB" }] },
        "assigned": {
            "machine": "pc-q35-10.0", "cpu_model": "Nehalem", "ports": 5,
            "devices": { "disk/root": { "port": 0 } },
        },
    })
}

fn with(path: &str, value: Value) -> Value {
    let mut manifest = manifest();
    *manifest.pointer_mut(path).unwrap_or_else(|| panic!("there is no {path}")) = value;
    manifest
}

fn empty_disk(size: u64) -> Vec<u8> {
    let blank = blank(ByteSize(size), None);
    let mut bytes = blank.bytes;
    bytes.resize(usize::try_from(blank.length).unwrap(), 0);
    bytes
}

/// A disk of so many bytes with nines in its first cluster, and the same nines in another.
fn bomb() -> Vec<u8> {
    let size = 1 << 20;
    let mut occupied = Occupied::nowhere(ByteSize(size));
    occupied.note(0, 1);
    let packed = Packed::new(occupied);
    let mut file = Vec::new();
    for number in 0..packed.clusters() {
        let bytes = match packed.cluster(number) {
            Cluster::Table(bytes) => bytes,
            Cluster::Data(_) => vec![9; CLUSTER],
        };
        let start = file.len();
        file.extend(bytes);
        file.resize(start + CLUSTER, 0);
    }
    let l2 = CLUSTER * (usize::try_from(packed.first_data()).unwrap() - 1);
    for entry in 1..16 {
        file.copy_within(l2..l2 + 8, l2 + 8 * entry);
    }
    file
}

fn backed() -> Vec<u8> {
    let base = Base { path: "/etc/shadow", format: DiskFormat::Raw };
    let blank = blank(ByteSize(1 << 20), Some(&base));
    let mut bytes = blank.bytes;
    bytes.resize(usize::try_from(blank.length).unwrap(), 0);
    bytes
}

#[tokio::test]
async fn what_somebody_made_by_hand_is_taken_if_it_is_sound() {
    let pool = Pool::new();
    let made = Made::new(&manifest(), empty_disk(1 << 20));
    let staged = pool.send(&made.bytes(), 1000).await.unwrap();
    pool.bring(VmId::new(), &staged).await.unwrap();
    // It may be filled up with zeros.
    let mut long = made.bytes();
    long.resize(long.len() + 9000, 0);
    drop(pool.send(&long, 1000).await.unwrap());
    pool.is_cleared();
}

#[tokio::test]
async fn hostile_files_are_refused_and_leave_nothing() {
    use tar::EntryType;
    let pool = Pool::with(|options| {
        options.max_import_size = ByteSize(64 << 20);
        options.max_virtual_size = ByteSize(1 << 30);
    });
    let disk = || empty_disk(1 << 20);
    let good = Made::new(&manifest(), disk());
    let of = |manifest: Value| Made::new(&manifest, disk());
    let only = |bytes: &[u8]| Made { members: Vec::new(), ..good.clone() }.with("vm.json", bytes);
    let cut = |bytes: usize| {
        let mut file = good.bytes();
        file.truncate(file.len() - bytes);
        file
    };
    let changed = |at: usize| {
        let mut file = good.bytes();
        let at = file.len() - at;
        file[at] ^= 1;
        file
    };
    let huge = {
        // All that is said of it is how long it will be.
        let mut file = only(manifest().to_string().as_bytes());
        (file.sums, file.end) = (false, false);
        let mut header = tar::Header::new_gnu();
        header.set_path("root.qcow2").unwrap();
        header.set_size(1 << 50);
        header.set_cksum();
        [file.bytes(), header.as_bytes().to_vec()].concat()
    };
    let misfit = || {
        let mut file = Made { sums: false, end: false, ..good.clone() }.bytes();
        put(
            &mut file,
            SUMS,
            format!("{}  root.qcow2\n", "0".repeat(64)).as_bytes(),
            EntryType::Regular,
        );
        file
    };
    let table: Vec<(&str, Vec<u8>, Code, &str)> = vec![
        ("nothing", Vec::new(), Code::BadRequest, "cut short"),
        ("no tar", vec![b'x'; 4096], Code::BadRequest, "no tar"),
        ("zeros", vec![0; 4096], Code::BadRequest, "cut short"),
        ("cut in the end", cut(1024), Code::BadRequest, "cut short"),
        ("cut in the sums", cut(1600), Code::BadRequest, "cut short"),
        ("cut in the disk", cut(100_000), Code::BadRequest, "cut short"),
        ("a changed byte of a disk", changed(1024 + 1024 + 70_000), Code::InvalidField, "SHA-256"),
        ("another digest", misfit(), Code::InvalidField, "SHA-256"),
        ("more behind the end", [good.bytes(), vec![1]].concat(), Code::BadRequest, "behind"),
        (
            "zeros without end",
            [good.bytes(), vec![0; 2 << 20]].concat(),
            Code::BadRequest,
            "behind",
        ),
        ("a second file", [good.bytes(), good.bytes()].concat(), Code::BadRequest, "behind"),
        (
            "a disk first",
            {
                let first = Made { members: Vec::new(), ..good.clone() };
                first.with("root.qcow2", disk()).bytes()
            },
            Code::InvalidField,
            "is not vm.json",
        ),
        ("no sums", Made { sums: false, ..good.clone() }.bytes(), Code::BadRequest, "cut short"),
        (
            "sums that say nothing",
            {
                let made = Made { sums: false, ..good.clone() };
                made.with(SUMS, "").bytes()
            },
            Code::InvalidField,
            "no digest",
        ),
        (
            "sums of what did not come",
            {
                let sums = format!("{}  passwd\n", "0".repeat(64));
                Made { sums: false, ..good.clone() }.with(SUMS, sums).bytes()
            },
            Code::InvalidField,
            "did not come",
        ),
        (
            "sums that are none",
            { Made { sums: false, ..good.clone() }.with(SUMS, "é".repeat(40)).bytes() },
            Code::InvalidField,
            "sha256sum",
        ),
        (
            "no disk",
            only(manifest().to_string().as_bytes()).bytes(),
            Code::InvalidField,
            "is missing",
        ),
        (
            "a member twice",
            good.clone().with("root.qcow2", disk()).bytes(),
            Code::InvalidField,
            "twice",
        ),
        ("vm.json twice", good.clone().with("vm.json", "{}").bytes(), Code::InvalidField, "twice"),
        (
            "an unknown member",
            good.clone().with("x", "x").bytes(),
            Code::InvalidField,
            "nothing that",
        ),
        (
            "variables of a BIOS",
            good.clone().with(NVRAM, "x").bytes(),
            Code::InvalidField,
            "nothing that",
        ),
        ("../", good.clone().with("../x", "x").bytes(), Code::InvalidField, "nothing that"),
        ("/", good.clone().with("/etc/shadow", "x").bytes(), Code::InvalidField, "nothing that"),
        ("./", good.clone().with("./root.qcow2", "x").bytes(), Code::InvalidField, "nothing that"),
        (
            "after the sums",
            {
                let mut file = Made { end: false, ..good.clone() }.bytes();
                put(&mut file, "x", b"x", EntryType::Regular);
                file
            },
            Code::InvalidField,
            "the last",
        ),
        ("too long a disk", huge, Code::TooLarge, "1024TiB, more than"),
        ("too long a vm.json", only(&vec![b' '; 2 << 20]).bytes(), Code::TooLarge, "vm.json"),
        ("no JSON", only(b"{").bytes(), Code::InvalidField, "cannot be read"),
        ("deep JSON", only(&vec![b'['; 100_000]).bytes(), Code::InvalidField, "cannot be read"),
        ("another format", of(with("/format", json!("ovf"))).bytes(), Code::InvalidField, "format"),
        ("version 0", of(with("/version", json!(0))).bytes(), Code::InvalidField, "version 0"),
        ("version 2", of(with("/version", json!(2))).bytes(), Code::InvalidField, "version 2"),
        (
            "an unknown field",
            { of(with("/config", json!({ "name": "web", "qemu_args": ["-s"] }))).bytes() },
            Code::InvalidField,
            "cannot be read",
        ),
        (
            "a host file",
            {
                let path = json!({ "name": "root", "path": "/etc/shadow", "format": "raw" });
                of(with("/config/disks/0", path)).bytes()
            },
            Code::InvalidField,
            "file of a host",
        ),
        (
            "a host file as a CD-ROM",
            {
                let path = json!({ "name": "cd", "kind": "cdrom", "path": "/etc/shadow", "format": "raw" });
                of(with("/config/disks/0", path)).bytes()
            },
            Code::InvalidField,
            "file of a host",
        ),
        (
            "a kernel of the host",
            {
                let mut kernel = manifest();
                kernel["config"]["boot"] = json!({ "kernel": { "path": "/boot/vmlinuz" } });
                of(kernel).bytes()
            },
            Code::InvalidField,
            "file of a host",
        ),
        (
            "a disk over an image",
            { of(with("/config/disks/0", json!({ "name": "root", "image": "base" }))).bytes() },
            Code::InvalidField,
            "in the file",
        ),
        (
            "secrets",
            {
                let mut seeded = manifest();
                seeded["config"]["cloud_init"] = json!({ "user_data": "#cloud-config" });
                of(seeded).bytes()
            },
            Code::InvalidField,
            "cloud-init",
        ),
        (
            "two devices in one place",
            {
                let both = json!({ "disk/root": { "port": 0 }, "nic/a": { "port": 0 } });
                of(with("/assigned/devices", both)).bytes()
            },
            Code::InvalidField,
            "another device",
        ),
        (
            "a port that no machine has",
            { of(with("/assigned/devices", json!({ "disk/root": { "port": 200 } }))).bytes() },
            Code::InvalidField,
            "can be",
        ),
        (
            "too many ports",
            of(with("/assigned/ports", json!(200))).bytes(),
            Code::InvalidField,
            "ports",
        ),
        (
            "too large a disk",
            { of(with("/config/disks/0/size", json!("2TiB"))).bytes() },
            Code::InvalidField,
            "larger than a disk may be",
        ),
        (
            "a disk of another size",
            Made::new(&manifest(), empty_disk(2 << 20)).bytes(),
            Code::InvalidField,
            "describes a disk",
        ),
        (
            "a smaller disk",
            Made::new(&manifest(), empty_disk(512)).bytes(),
            Code::InvalidField,
            "says 1MiB",
        ),
        (
            "a disk that is none",
            Made::new(&manifest(), vec![7; 4096]).bytes(),
            Code::InvalidField,
            "qcow2",
        ),
        ("an empty disk", Made::new(&manifest(), Vec::new()).bytes(), Code::InvalidField, "empty"),
        (
            "a backing file",
            Made::new(&manifest(), backed()).bytes(),
            Code::InvalidField,
            "backing file",
        ),
        (
            "a disk that is larger than its file",
            Made::new(&manifest(), bomb()).bytes(),
            Code::InvalidField,
            "several places",
        ),
        (
            "tables that lead nowhere",
            {
                let mut disk = disk();
                disk[3 * CLUSTER..3 * CLUSTER + 8].copy_from_slice(&(1_u64 << 50).to_be_bytes());
                Made::new(&manifest(), disk).bytes()
            },
            Code::InvalidField,
            "damaged",
        ),
    ];
    let links = [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Directory,
        EntryType::Char,
        EntryType::Fifo,
        EntryType::GNUSparse,
        EntryType::GNULongName,
        EntryType::XHeader,
        EntryType::XGlobalHeader,
    ];
    let links = links.map(|kind| {
        let only = only(manifest().to_string().as_bytes());
        let file = only.with_kind("root.qcow2", Vec::new(), kind).bytes();
        ("another kind of member", file, Code::InvalidField, "in the file")
    });
    for (what, file, code, said) in table.into_iter().chain(links) {
        let refusal = match pool.send(&file, 70_000).await {
            Err(refusal) => refusal,
            Ok(_) => panic!("{what}: it was taken"),
        };
        assert_eq!(refusal.code, code, "{what}: {refusal:?}");
        let all = format!("{refusal:?}");
        assert!(refusal.message.contains(said), "{what}: {all}");
        pool.is_cleared();
    }
}

#[tokio::test]
async fn what_another_program_wrote_is_written_anew() {
    let pool = Pool::new();
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("raw");
    let mut bytes = vec![0; 1 << 20];
    bytes[300_000..400_000].fill(5);
    fs::write(&raw, &bytes).unwrap();
    let qcow2 = folder.path().join("disk");
    let convert = |options: &[&str]| {
        let arguments = [&["convert", "-f", "raw", "-O", "qcow2"], options].concat();
        Command::new("qemu-img").args(arguments).args([&raw, &qcow2]).output()
    };
    let Ok(output) = convert(&["-o", "cluster_size=4k"]) else {
        eprintln!("qemu-img is not installed: not tried with it");
        return;
    };
    assert!(output.status.success(), "{output:?}");
    let sent = fs::read(&qcow2).unwrap();
    let staged = pool.send(&Made::new(&manifest(), sent.clone()).bytes(), 9999).await.unwrap();
    let vm = VmId::new();
    pool.bring(vm, &staged).await.unwrap();
    let disk = staged.manifest().disks().next().unwrap();
    assert!(contents(&pool, vm, disk).await == bytes);
    let written = fs::read(pool.volume(vm, "root.qcow2")).unwrap();
    assert!(written != sent && written.len() > sent.len(), "it has clusters of another size");
    let said = testing::qemu_img(&["check", "-f", "qcow2"], &pool.volume(vm, "root.qcow2"));
    assert!(said.unwrap().contains("No errors were found"));
    assert_eq!(pool.names(&format!("volumes/{vm}")).len(), 2, "the disk and the marker");
    // Packed ones would have to be unpacked by a program that believes them.
    assert!(convert(&["-c"]).unwrap().status.success());
    let refusal = pool.send(&Made::new(&manifest(), fs::read(&qcow2).unwrap()).bytes(), 9999).await;
    let refusal = refusal.unwrap_err();
    assert!(format!("{refusal:?}").contains("compressed"), "{refusal:?}");
}

#[tokio::test]
async fn a_daemon_that_ended_leaves_nothing_of_what_came_in() {
    let pool = Pool::new();
    let file = Made::new(&manifest(), empty_disk(1 << 20)).bytes();
    let arrival = pool.storage.receive_vm(None).await.unwrap();
    let half = arrival.write(file[..100_000].to_vec()).await.unwrap();
    let whole = pool.send(&file, 100_000).await.unwrap();
    let (brought, vm) = (pool.send(&file, 100_000).await.unwrap(), VmId::new());
    pool.bring(vm, &brought).await.unwrap();
    assert_eq!(pool.names("uploads").len(), 2);
    std::mem::forget((half, whole, brought));
    let storage = Storage::open(StorageOptions::new(pool.folder.path().join("pool"))).unwrap();
    assert_eq!(storage.sweep(|_| false, |_| false).unwrap().removed, [vm]);
    assert_eq!((pool.names("uploads").len(), pool.names("volumes").len()), (0, 0));
}

#[tokio::test]
async fn one_who_goes_away_or_cancels_leaves_nothing() {
    let pool = Pool::new();
    let file = Made::new(&manifest(), empty_disk(1 << 20)).bytes();
    let arrival = pool.storage.receive_vm(None).await.unwrap();
    drop(arrival.write(file[..100_000].to_vec()).await.unwrap());
    pool.is_cleared();
    let staged = pool.send(&file, 100_000).await.unwrap();
    let (vm, cancel) = (VmId::new(), CancellationToken::new());
    cancel.cancel();
    let on_progress: OnProgress = Arc::new(|_| ());
    let ended = pool.storage.bring_volumes(vm, staged.name(), &on_progress, &cancel).await;
    assert_eq!(ended.unwrap_err().code, Code::Cancelled);
    pool.storage.abandon_volumes(vm).await.unwrap();
    pool.storage.discard_arrived(staged.name()).await.unwrap();
    pool.storage.discard_arrived(staged.name()).await.unwrap();
    assert_eq!((pool.names("uploads").len(), pool.names("volumes").len()), (0, 0));
    assert_eq!(pool.bring(vm, &staged).await.unwrap_err().code, Code::NotFound);
}

#[tokio::test]
async fn volumes_that_are_there_are_not_another_vms() {
    let pool = Pool::new();
    let file = Made::new(&manifest(), empty_disk(1 << 20)).bytes();
    let (vm, staged) = (VmId::new(), pool.send(&file, 100_000).await.unwrap());
    pool.bring(vm, &staged).await.unwrap();
    pool.storage.finish_volumes(vm).await.unwrap();
    let again = pool.send(&file, 100_000).await.unwrap();
    assert_eq!(pool.bring(vm, &again).await.unwrap_err().code, Code::NameTaken);
    pool.storage.abandon_volumes(vm).await.unwrap();
    assert_eq!(pool.names(&format!("volumes/{vm}")), ["root.qcow2"]);
    assert_eq!(pool.names("volumes").len(), 1);
}

/// A file system of two mebibytes, gone with this.
struct Small(PathBuf);

impl Small {
    fn mount(folder: &Path) -> Option<Self> {
        let mount = ["-t", "tmpfs", "-o", "size=2m", "none"];
        let output = Command::new("mount").args(mount).arg(folder).output();
        let mounted = output.is_ok_and(|output| output.status.success());
        mounted.then(|| Self(folder.into()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).output());
    }
}

#[tokio::test]
async fn a_full_disk_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_small) = Small::mount(folder.path()) else {
        eprintln!("nothing can be mounted here: not tried on a full disk");
        return;
    };
    let storage = Storage::open(StorageOptions::new(folder.path().join("pool"))).unwrap();
    let pool = Pool { folder, storage };
    let full = |refusal: Refusal| assert_eq!(refusal.code, Code::OutOfSpace, "{refusal:?}");
    full(pool.storage.receive_vm(Some(3 << 20)).await.unwrap_err());
    // Full by the length that its header says, and full in its midst, when another took the room.
    let mut disk = empty_disk(1 << 20);
    disk.resize(3 << 20, 7);
    full(pool.send(&Made::new(&manifest(), disk.clone()).bytes(), 70_000).await.unwrap_err());
    pool.is_cleared();
    disk.truncate(1 << 20);
    let file = Made::new(&manifest(), disk).bytes();
    let arrival = pool.storage.receive_vm(None).await.unwrap();
    let mut arrival = arrival.write(file[..300_000].to_vec()).await.unwrap();
    let other = pool.folder.path().join("other");
    fs::write(&other, vec![1; 3 << 19]).unwrap();
    let mut rest = file[300_000..].chunks(70_000);
    let refusal = loop {
        match arrival.write(rest.next().expect("the disk is full").to_vec()).await {
            Ok(next) => arrival = next,
            Err(refusal) => break refusal,
        }
    };
    full(refusal);
    pool.is_cleared();
    fs::remove_file(other).unwrap();
}
