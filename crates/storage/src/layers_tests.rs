use super::*;
use crate::{StorageOptions, format::blank, testing};
use innkeeper_model::ByteSize;
use std::{fs, os::unix::fs::symlink, path::PathBuf};

struct Fixture {
    folder: tempfile::TempDir,
    storage: Storage,
    vm: VmId,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let allowed = folder.path().join("allowed");
    fs::create_dir(&allowed).unwrap();
    let mut options = StorageOptions::new(folder.path().join("pool"));
    options.allowed_paths.push(allowed);
    let storage = Storage::open(options).unwrap();
    testing::add_image(&storage, "base", DiskFormat::Raw, ByteSize(4096));
    let disc = [0; 4096];
    testing::add(&storage, "disc", ImageKind::Iso, DiskFormat::Raw, &disc, ByteSize(4096));
    testing::add(&storage, "linux", ImageKind::Kernel, DiskFormat::Raw, &disc, ByteSize(4096));
    Fixture { folder, storage, vm: VmId::new() }
}

impl Fixture {
    fn allowed(&self, name: &str) -> PathBuf {
        self.folder.path().join("allowed").join(name)
    }

    fn layers(&self, disk: &Disk) -> Result<Vec<(PathBuf, DiskFormat)>, Refusal> {
        let layers = self.storage.disk_layers(self.vm, disk)?.layers;
        let shown = |layer: &Layer| (layer.path.clone(), layer.format);
        Ok(layers.iter().map(shown).collect())
    }

    fn host_disk(&self, name: &str, format: &str) -> Disk {
        let path = self.allowed(name);
        disk(&format!(r#"{{"name": "host", "path": {path:?}, "format": "{format}"}}"#))
    }
}

fn disk(text: &str) -> Disk {
    serde_json::from_str(text).unwrap()
}

/// A qcow2 file over another, whole.
fn overlay(base: &str) -> Vec<u8> {
    let base = blank::Base { path: base, format: DiskFormat::Raw };
    let blank = blank::blank(ByteSize(4096), Some(&base));
    let mut bytes = blank.bytes;
    bytes.resize(usize::try_from(blank.length).unwrap(), 0);
    bytes
}

#[tokio::test]
async fn a_disk_is_its_volume_over_its_image() {
    let fixture = fixture();
    let root = disk(r#"{"name": "root", "image": "base"}"#);
    let missing = fixture.layers(&root).unwrap_err();
    assert_eq!(missing.field.as_deref(), Some("disks[root].path"));
    fixture.storage.create_volume(fixture.vm, &root).await.unwrap();
    let pool = fixture.folder.path().join("pool");
    let volume = pool.join(format!("volumes/{}/root.qcow2", fixture.vm));
    let image = pool.join("images/base/disk.raw");
    let expected = [(volume, DiskFormat::Qcow2), (image, DiskFormat::Raw)];
    assert_eq!(fixture.layers(&root).unwrap(), expected);
}

#[test]
fn a_disc_is_its_image_alone() {
    let fixture = fixture();
    let layers = fixture.layers(&disk(r#"{"name": "cd", "kind": "cdrom", "image": "disc"}"#));
    let image = fixture.folder.path().join("pool/images/disc/disc.iso");
    assert_eq!(layers.unwrap(), [(image, DiskFormat::Raw)]);
}

#[test]
fn an_image_of_another_kind_is_refused() {
    let fixture = fixture();
    for text in [
        r#"{"name": "d", "image": "disc"}"#,
        r#"{"name": "d", "image": "linux"}"#,
        r#"{"name": "d", "kind": "cdrom", "image": "base"}"#,
        r#"{"name": "d", "image": "none"}"#,
    ] {
        let refusal = fixture.layers(&disk(text)).unwrap_err();
        assert_eq!(refusal.field.as_deref(), Some("disks[d].image"), "{text}");
        assert_eq!(fixture.storage.check_disk(&disk(text)), Err(refusal), "{text}");
    }
    let empty = disk(r#"{"name": "d", "kind": "cdrom", "size": "1MiB"}"#);
    let refusal = fixture.layers(&empty).unwrap_err();
    assert_eq!(refusal.field.as_deref(), Some("disks[d].kind"));
    assert_eq!(fixture.storage.check_disk(&empty), Err(refusal));
}

#[test]
fn a_disk_that_a_vm_can_have_is_not_refused() {
    let fixture = fixture();
    fs::write(fixture.allowed("disk"), [0; 512]).unwrap();
    for disk in [
        disk(r#"{"name": "d", "image": "base"}"#),
        disk(r#"{"name": "d", "size": "1MiB"}"#),
        disk(r#"{"name": "d", "kind": "cdrom", "image": "disc"}"#),
        fixture.host_disk("disk", "raw"),
    ] {
        fixture.storage.check_disk(&disk).unwrap();
    }
}

#[test]
fn a_host_file_is_read_as_it_was_declared() {
    let fixture = fixture();
    // A guest wrote a qcow2 header into its raw disk; it stays raw.
    fs::write(fixture.allowed("disk"), overlay("/etc/shadow")).unwrap();
    let layers = fixture.layers(&fixture.host_disk("disk", "raw")).unwrap();
    assert_eq!(layers, [(fixture.allowed("disk"), DiskFormat::Raw)]);
}

#[test]
fn a_host_file_that_names_another_is_refused_at_every_open() {
    let fixture = fixture();
    let host = fixture.host_disk("disk", "qcow2");
    fs::write(fixture.allowed("disk"), overlay("/etc/shadow")).unwrap();
    let refusal = fixture.layers(&host).unwrap_err();
    assert_eq!(refusal.field.as_deref(), Some("disks[host].path"));
    assert!(refusal.message.contains("backing file"), "{}", refusal.message);
    assert_eq!(fixture.storage.check_disk(&host), Err(refusal));

    let plain = blank::blank(ByteSize(4096), None);
    let mut bytes = plain.bytes;
    bytes.resize(usize::try_from(plain.length).unwrap(), 0);
    fs::write(fixture.allowed("disk"), bytes).unwrap();
    let layers = fixture.storage.disk_layers(fixture.vm, &host).unwrap().layers;
    fixture.storage.open_layer(&layers[0], Access::ReadWrite).unwrap();
    fs::write(fixture.allowed("disk"), overlay("/etc/shadow")).unwrap();
    assert!(fixture.storage.open_layer(&layers[0], Access::Read).is_err());
}

#[test]
fn a_host_file_outside_the_allowed_folders_is_refused() {
    let fixture = fixture();
    symlink("/etc/passwd", fixture.allowed("link")).unwrap();
    let link = fixture.layers(&fixture.host_disk("link", "raw")).unwrap_err();
    assert!(link.message.contains("leads out"), "{}", link.message);
    let outside = disk(r#"{"name": "host", "path": "/etc/passwd", "format": "raw"}"#);
    let refusal = fixture.layers(&outside).unwrap_err();
    assert_eq!(refusal.field.as_deref(), Some("disks[host].path"));
    assert!(refusal.hint.is_some());
}

#[test]
fn a_kernel_is_an_image_or_a_checked_host_file() {
    let fixture = fixture();
    let boot = |text: &str| -> KernelBoot { serde_json::from_str(text).unwrap() };
    let files = fixture.storage.kernel_files(&boot(r#"{"image": "linux"}"#)).unwrap();
    assert!(files.kernel.ends_with("images/linux/kernel"));
    assert_eq!(files.initrd, None);

    let disk = fixture.storage.kernel_files(&boot(r#"{"image": "base"}"#)).unwrap_err();
    assert_eq!(disk.field.as_deref(), Some("boot.kernel.image"));

    fs::write(fixture.allowed("vmlinux"), b"\x1f\x8b packed").unwrap();
    let path = format!(r#"{{"path": {:?}}}"#, fixture.allowed("vmlinux"));
    let packed = fixture.storage.kernel_files(&boot(&path)).unwrap_err();
    assert_eq!(packed.field.as_deref(), Some("boot.kernel.path"));
    assert!(packed.message.contains("gzip"), "{}", packed.message);
}
