use super::*;
use crate::{StorageOptions, testing};
use innkeeper_model::{Code, DiskFormat};

struct Fixture {
    folder: tempfile::TempDir,
    storage: Storage,
    vm: VmId,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let mut options = StorageOptions::new(folder.path().join("pool"));
    options.max_virtual_size = ByteSize::from_gibibytes(1024);
    let storage = Storage::open(options).unwrap();
    testing::add_image(&storage, "base", DiskFormat::Qcow2, ByteSize::from_mebibytes(64));
    Fixture { folder, storage, vm: VmId::new() }
}

fn disk(text: &str) -> Disk {
    serde_json::from_str(text).unwrap()
}

impl Fixture {
    async fn create(&self, text: &str) -> Result<Made, Refusal> {
        self.storage.create_volume(self.vm, &disk(text)).await
    }

    fn info(&self, name: &str) -> Qcow2Info {
        let volume = self.storage.shared.pool.volume(self.vm, &name.parse().unwrap());
        let file = File::open(&volume).unwrap();
        let length = file.metadata().unwrap().len();
        Qcow2Info::parse(&read_head(&file, HEADER).unwrap(), length).unwrap()
    }
}

#[tokio::test]
async fn a_copy_of_an_image_is_an_overlay_that_can_be_larger() {
    let fixture = fixture();
    let made = fixture.create(r#"{"name": "same", "image": "base"}"#).await;
    assert_eq!(made, Ok(Made::Now));
    fixture.create(r#"{"name": "grown", "image": "base", "size": "1GiB"}"#).await.unwrap();
    let (same, grown) = (fixture.info("same"), fixture.info("grown"));
    let base = "../../images/base/disk.qcow2";
    assert_eq!(same.backing_file.as_deref(), Some(base));
    assert_eq!(same.backing_format.as_deref(), Some("qcow2"));
    assert_eq!(same.virtual_size, ByteSize::from_mebibytes(64));
    assert_eq!(grown.virtual_size, ByteSize::from_gibibytes(1));
}

#[tokio::test]
async fn a_blank_disk_stands_alone() {
    let fixture = fixture();
    fixture.create(r#"{"name": "data", "size": "10GiB"}"#).await.unwrap();
    let info = fixture.info("data");
    assert_eq!((info.backing_file, info.virtual_size), (None, ByteSize::from_gibibytes(10)));
}

#[tokio::test]
async fn qemu_finds_nothing_wrong_with_a_new_volume() {
    let fixture = fixture();
    for text in [
        r#"{"name": "a", "image": "base"}"#,
        r#"{"name": "b", "image": "base", "size": "100GiB"}"#,
        r#"{"name": "c", "size": "512B"}"#,
        r#"{"name": "d", "size": "1TiB"}"#,
    ] {
        let disk = disk(text);
        fixture.storage.create_volume(fixture.vm, &disk).await.unwrap();
        let volume = fixture.storage.shared.pool.volume(fixture.vm, &disk.name);
        if let Some(checked) = testing::qemu_img(&["check", "-f", "qcow2"], &volume) {
            assert!(checked.contains("No errors were found"), "{text}: {checked}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_made_is_refused_by_field_and_leaves_nothing() {
    let fixture = fixture();
    for (text, field, limit) in [
        (r#"{"name": "d", "image": "base", "size": "1MiB"}"#, "size", Some("64MiB")),
        (r#"{"name": "d", "size": "2PiB"}"#, "size", Some("1TiB")),
        (r#"{"name": "d", "image": "none"}"#, "image", None),
    ] {
        let refusal = fixture.create(text).await.unwrap_err();
        assert_eq!(refusal.field, Some(format!("disks[d].{field}")), "{text}");
        assert_eq!(refusal.limit.as_deref(), limit, "{text}");
        assert_eq!(fixture.storage.check_disk(&disk(text)), Err(refusal), "{text}");
    }
    assert!(!fixture.storage.shared.pool.vm(fixture.vm).exists());
}

#[tokio::test]
async fn a_volume_that_is_there_is_kept() {
    let fixture = fixture();
    let text = r#"{"name": "data", "size": "1MiB"}"#;
    assert_eq!(fixture.create(text).await, Ok(Made::Now));
    let larger = r#"{"name": "data", "size": "2MiB"}"#;
    assert_eq!(fixture.create(larger).await, Ok(Made::Before));
    assert_eq!(fixture.info("data").virtual_size, ByteSize::from_mebibytes(1));
}

#[tokio::test]
async fn disks_that_are_not_volumes_make_nothing() {
    let fixture = fixture();
    for text in [
        r#"{"name": "cd", "kind": "cdrom", "image": "disc"}"#,
        r#"{"name": "host", "path": "/dev/x", "format": "raw"}"#,
    ] {
        assert_eq!(fixture.create(text).await, Ok(Made::Before));
    }
    assert!(!fixture.storage.shared.pool.vm(fixture.vm).exists());
}

#[tokio::test]
async fn an_image_that_a_volume_needs_is_not_removed() {
    let fixture = fixture();
    testing::add_image(&fixture.storage, "base.2", DiskFormat::Raw, ByteSize(512));
    fixture.create(r#"{"name": "root", "image": "base"}"#).await.unwrap();
    let base: ImageName = "base".parse().unwrap();
    let refusal = fixture.storage.remove_image(&base).await.unwrap_err();
    assert_eq!(refusal.code, Code::InUse);
    assert!(refusal.message.contains(&fixture.vm.to_string()), "{}", refusal.message);
    // Another whose name begins the same is not in use.
    fixture.storage.remove_image(&"base.2".parse().unwrap()).await.unwrap();
    fixture.storage.remove_volumes(fixture.vm).await.unwrap();
    fixture.storage.remove_image(&base).await.unwrap();
    assert_eq!(fixture.storage.image(&base).unwrap_err().code, Code::NotFound);
}

#[tokio::test]
async fn what_is_removed_is_gone_and_can_be_removed_again() {
    let fixture = fixture();
    fixture.create(r#"{"name": "a", "size": "1MiB"}"#).await.unwrap();
    fixture.create(r#"{"name": "b", "size": "1MiB"}"#).await.unwrap();
    let a = "a".parse().unwrap();
    fixture.storage.remove_volume(fixture.vm, &a).await.unwrap();
    fixture.storage.remove_volume(fixture.vm, &a).await.unwrap();
    let pool = &fixture.storage.shared.pool;
    assert!(!pool.volume(fixture.vm, &a).exists());
    assert!(pool.volume(fixture.vm, &"b".parse().unwrap()).exists());
    fixture.storage.remove_volumes(fixture.vm).await.unwrap();
    fixture.storage.remove_volumes(fixture.vm).await.unwrap();
    assert_eq!(fs::read_dir(&pool.volumes).unwrap().count(), 0);
}

#[tokio::test]
async fn what_an_earlier_removal_left_is_not_in_the_way() {
    let fixture = fixture();
    let pool = &fixture.storage.shared.pool;
    let left = pool.volumes.join(format!(".removed-{}", fixture.vm));
    fs::create_dir_all(left.join("x")).unwrap();
    fixture.create(r#"{"name": "a", "size": "1MiB"}"#).await.unwrap();
    fixture.storage.remove_volumes(fixture.vm).await.unwrap();
    assert!(!pool.vm(fixture.vm).exists());
}

#[tokio::test]
async fn uefi_variables_are_copied_once() {
    let fixture = fixture();
    let template = fixture.folder.path().join("template.fd");
    fs::write(&template, "factory").unwrap();
    let made = fixture.storage.create_nvram(fixture.vm, &template).await;
    assert_eq!(made, Ok(Made::Now));
    let nvram = fixture.storage.nvram(fixture.vm);
    fs::write(nvram.path(), "changed by the guest").unwrap();
    let made = fixture.storage.create_nvram(fixture.vm, &template).await;
    assert_eq!(made, Ok(Made::Before));
    assert_eq!(fs::read(nvram.path()).unwrap(), b"changed by the guest");
    nvram.open(Access::ReadWrite).unwrap();
}

#[test]
fn opening_the_pool_removes_unfinished_work() {
    let folder = tempfile::tempdir().unwrap();
    let pool = folder.path().join("pool");
    for path in ["images/.import-1-0/x", "volumes/.removed-v/x", "volumes/.clone-1-0/x"] {
        fs::create_dir_all(pool.join(path)).unwrap();
    }
    fs::create_dir_all(pool.join("images/kept")).unwrap();
    Storage::open(StorageOptions::new(&pool)).unwrap();
    assert_eq!(fs::read_dir(pool.join("volumes")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(pool.join("images")).unwrap().count(), 1);
}
