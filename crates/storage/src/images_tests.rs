use super::*;
use crate::{
    StorageOptions,
    testing::{add, add_image},
};
use innkeeper_model::config::KernelBoot;

const SIZE: ByteSize = ByteSize(64 << 10);

fn storage() -> (tempfile::TempDir, Storage) {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::open(StorageOptions::new(folder.path().join("pool"))).unwrap();
    (folder, storage)
}

fn named(name: &str) -> ImageName {
    name.parse().unwrap()
}

/// Does this to an image's folder, and compares what is said of the image then.
#[track_caller]
fn check(format: DiskFormat, damage: impl FnOnce(&Path), expected: &str) {
    let (_folder, storage) = storage();
    add_image(&storage, "base", format, SIZE);
    add_image(&storage, "other", format, SIZE);
    damage(&storage.shared.pool.image(&named("base")));

    let catalogue = storage.images().unwrap();
    let problems: Vec<_> =
        catalogue.images.iter().map(|image| (image.name.as_str(), &image.problem)).collect();
    let [("base", Some(problem)), ("other", None)] = &problems[..] else {
        panic!("{problems:?}, where {expected:?} was expected")
    };
    assert!(problem.contains(expected), "{problem}");
    assert_eq!((catalogue.images[0].kind, catalogue.images[0].format), (ImageKind::Disk, format));

    let refusal = storage.image(&named("base")).unwrap_err();
    assert_eq!(refusal.code, Code::Quarantined, "{refusal:?}");
    assert!(refusal.message.contains(expected), "{refusal:?}");
    storage.image(&named("other")).unwrap();
}

fn cut(file: &Path, length: u64) {
    File::options().write(true).open(file).unwrap().set_len(length).unwrap();
}

#[test]
fn what_is_wrong_with_an_image_is_shown_and_it_is_not_used() {
    use DiskFormat::{Qcow2, Raw};
    let description = |text: &'static str| {
        move |folder: &Path| fs::write(folder.join(DESCRIPTION), text).unwrap()
    };
    check(Raw, description("{"), "not readable");
    check(Raw, |folder| fs::remove_file(folder.join(DESCRIPTION)).unwrap(), "not there");
    let exchange = |folder: &Path| {
        let others = folder.with_file_name("other").join(DESCRIPTION);
        fs::copy(others, folder.join(DESCRIPTION)).unwrap();
    };
    check(Raw, exchange, "is of image other");
    check(Raw, |folder| fs::remove_file(folder.join("disk.raw")).unwrap(), "disk.raw is not there");
    check(Raw, |folder| cut(&folder.join("disk.raw"), 512), "has 512 bytes, and had 65536");
    check(Qcow2, |folder| cut(&folder.join("disk.qcow2"), 0), "damaged");
    check(Qcow2, |folder| cut(&folder.join("disk.qcow2"), 4096), "cut short");
    check(Qcow2, |folder| fs::write(folder.join("disk.qcow2"), [0; 4096]).unwrap(), "damaged");
    check(
        Qcow2,
        |folder| {
            let disk = folder.join("disk.qcow2");
            fs::rename(&disk, folder.join("elsewhere")).unwrap();
            std::os::unix::fs::symlink("elsewhere", disk).unwrap();
        },
        "disk.qcow2",
    );
}

#[test]
fn a_kernel_without_its_initrd_cannot_be_used() {
    let (_folder, storage) = storage();
    let kernel = [7; 512];
    add(&storage, "tiny", ImageKind::Kernel, DiskFormat::Raw, &kernel, ByteSize(512));
    let folder = storage.shared.pool.image(&named("tiny"));
    let mut image = storage.image(&named("tiny")).unwrap();
    image.initrd = true;
    fs::write(folder.join(DESCRIPTION), serde_json::to_vec(&image).unwrap()).unwrap();
    let boot = KernelBoot { image: Some(named("tiny")), ..KernelBoot::default() };
    let refusal = storage.kernel_files(&boot).unwrap_err();
    assert!(refusal.message.contains("initrd is not there"), "{refusal:?}");
    fs::write(folder.join(INITRD), "").unwrap();
    let refusal = storage.kernel_files(&boot).unwrap_err();
    assert!(refusal.message.contains("initrd is empty"), "{refusal:?}");
}

#[tokio::test]
async fn what_cannot_be_used_can_be_removed() {
    let (_folder, storage) = storage();
    add_image(&storage, "base", DiskFormat::Raw, SIZE);
    let folder = storage.shared.pool.image(&named("base"));
    fs::write(folder.join(DESCRIPTION), "{").unwrap();
    storage.remove_image(&named("base")).await.unwrap();
    assert!(!folder.exists());
    assert!(storage.images().unwrap().images.is_empty());
}

#[test]
fn what_can_be_no_image_is_reported_beside_them() {
    let (_folder, storage) = storage();
    fs::create_dir(storage.shared.pool.images.join("no name")).unwrap();
    fs::write(storage.shared.pool.images.join("notes.txt"), "").unwrap();
    let catalogue = storage.images().unwrap();
    assert!(catalogue.images.is_empty());
    let names: Vec<_> = catalogue.damaged.iter().map(|damaged| damaged.name.as_str()).collect();
    assert_eq!(names, ["no name", "notes.txt"]);
}
