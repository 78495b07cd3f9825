use super::*;
use crate::{
    StorageOptions,
    testing::{body, serve},
};
use innkeeper_model::Secret;
use sha2::{Digest, Sha256};
use std::{
    os::unix::fs::{FileExt, PermissionsExt},
    path::PathBuf,
    process::Command,
    sync::Mutex,
};

struct Fixture {
    folder: tempfile::TempDir,
    storage: Storage,
}

fn fixture() -> Fixture {
    fixture_with(|_| ())
}

fn fixture_with(change: impl FnOnce(&mut StorageOptions)) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let mut options = StorageOptions::new(folder.path().join("pool"));
    options.max_virtual_size = ByteSize::from_gibibytes(1);
    options.sandbox_uid = rustix::process::geteuid().is_root().then_some(61_235);
    change(&mut options);
    let storage = Storage::open(options).unwrap();
    Fixture { folder, storage }
}

fn request(path: &Path) -> ImportRequest {
    ImportRequest {
        name: "image".parse().unwrap(),
        kind: ImageKind::Disk,
        source: ImportSource::File(path.into()),
        format: None,
        initrd: None,
    }
}

impl Fixture {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    async fn import(&self, request: ImportRequest) -> Result<Image, Refusal> {
        let on_progress: OnProgress = Arc::new(|_| ());
        self.storage.import(request, &on_progress, &CancellationToken::new()).await
    }

    /// What is in the pool's folder of images, unfinished work included.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("pool/images")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    async fn refused(&self, request: ImportRequest) -> Refusal {
        let refusal = self.import(request).await.unwrap_err();
        assert_eq!(self.names(), [""; 0], "{refusal:?}");
        refusal
    }

    /// Makes an image with the real qemu-img; `false`, and a word about it, where there is none.
    fn qemu_img(&self, arguments: &[&str]) -> bool {
        let run = Command::new("qemu-img").args(arguments).current_dir(&self.folder).output();
        match run {
            Ok(output) => {
                assert!(output.status.success(), "{output:?}");
                true
            }
            Err(_) => {
                eprintln!("qemu-img is not installed: not tried with it");
                false
            }
        }
    }
}

#[tokio::test]
async fn a_raw_disk_is_copied_described_and_sealed() {
    let fixture = fixture();
    let path = fixture.path("disk");
    let disk = File::create(&path).unwrap();
    disk.write_all_at(b"boot", 0).unwrap();
    disk.set_len(8 << 20).unwrap();
    let phases = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&phases);
    let on_progress: OnProgress = Arc::new(move |at| seen.lock().unwrap().push(at.phase));
    let cancel = CancellationToken::new();
    let image = fixture.storage.import(request(&path), &on_progress, &cancel).await.unwrap();
    assert_eq!(image.format, DiskFormat::Raw);
    assert_eq!(image.virtual_size, ByteSize::from_mebibytes(8));
    assert!(image.size < ByteSize::from_mebibytes(1), "{} are stored", image.size);
    assert_eq!(image.source, path.display().to_string());
    let stored = fixture.path("pool/images/image/disk.raw");
    assert_eq!(stored.metadata().unwrap().permissions().mode() & 0o777, 0o400);
    assert_eq!(fixture.storage.image(&image.name).unwrap(), image);
    assert_eq!(fixture.storage.images().unwrap().images, [image]);
    let phases = phases.lock().unwrap();
    assert!(phases.contains(&Phase::Copying) && phases.contains(&Phase::Digesting));
}

#[tokio::test]
async fn a_qcow2_disk_is_rewritten_with_its_contents() {
    let fixture = fixture();
    let raw = fixture.path("raw");
    let disk = File::create(&raw).unwrap();
    disk.write_all_at(b"contents", 3 << 20).unwrap();
    disk.set_len(16 << 20).unwrap();
    if !fixture.qemu_img(&["convert", "-f", "raw", "-O", "qcow2", "-c", "raw", "disk.qcow2"]) {
        return;
    }
    let image = fixture.import(request(&fixture.path("disk.qcow2"))).await.unwrap();
    assert_eq!(image.format, DiskFormat::Qcow2);
    assert_eq!(image.virtual_size, ByteSize::from_mebibytes(16));
    let stored = fixture.path("pool/images/image/disk.qcow2");
    assert!(fs::read(&stored).unwrap() != fs::read(fixture.path("disk.qcow2")).unwrap());
    let metadata = stored.metadata().unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o400);
    assert_eq!(metadata.uid(), rustix::process::geteuid().as_raw());
    let stored = stored.to_str().unwrap();
    assert!(fixture.qemu_img(&["compare", "-f", "raw", "-F", "qcow2", "raw", stored]));
    let entries = fs::read_dir(fixture.path("pool/images/image")).unwrap();
    assert_eq!(entries.count(), 2, "the disk and its description");
}

#[tokio::test]
async fn real_images_that_name_other_files_are_refused() {
    let fixture = fixture();
    fixture.file("secret", &[b's'; 1 << 20]);
    if !fixture.qemu_img(&["create", "-q", "-f", "qcow2", "-b", "secret", "-F", "raw", "backed"]) {
        return;
    }
    assert!(fixture.qemu_img(&[
        "create",
        "-q",
        "-f",
        "qcow2",
        "-o",
        "data_file=data,data_file_raw=on",
        "external",
        "1M",
    ]));
    assert!(fixture.qemu_img(&[
        "create",
        "-q",
        "-f",
        "qcow2",
        "--object",
        "secret,id=s,data=x",
        "-o",
        "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10",
        "encrypted",
        "1M",
    ]));
    for (name, said) in
        [("backed", "backing file"), ("external", "in another file"), ("encrypted", "encrypted")]
    {
        let refusal = fixture.refused(request(&fixture.path(name))).await;
        assert!(refusal.message.contains(said), "{name}: {}", refusal.message);
        assert_eq!(refusal.code, Code::InvalidField);
        assert_eq!(refusal.field.as_deref(), Some("path"));
        assert!(refusal.hint.is_some());
    }
    for format in ["vmdk", "vdi", "vhdx", "vpc", "qed"] {
        assert!(fixture.qemu_img(&["create", "-q", "-f", format, format, "8M"]));
        let refusal = fixture.refused(request(&fixture.path(format))).await;
        let hint = refusal.hint.unwrap();
        assert!(hint.contains(&format!("-f {format} -O qcow2")), "{hint}");
    }
}

#[tokio::test]
async fn a_truncated_qcow2_file_is_refused() {
    let fixture = fixture();
    fixture.file("raw", &[7; 4 << 20]);
    if !fixture.qemu_img(&["convert", "-f", "raw", "-O", "qcow2", "raw", "disk"]) {
        return;
    }
    let disk = fs::OpenOptions::new().write(true).open(fixture.path("disk")).unwrap();
    for length in [2 << 20, 200_000, 1000, 10] {
        disk.set_len(length).unwrap();
        let refusal = fixture.refused(request(&fixture.path("disk"))).await;
        assert_eq!(refusal.field.as_deref(), Some("path"), "{length}: {refusal:?}");
        let named = fixture.path("disk").display().to_string();
        assert!(refusal.message.contains(&named), "{length}: {}", refusal.message);
    }
}

#[tokio::test]
async fn a_raw_disk_with_a_qcow2_header_stays_raw_if_it_was_declared() {
    let fixture = fixture();
    let mut bytes = vec![0; 4096];
    bytes[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    let path = fixture.file("disk", &bytes);
    let mut declared = request(&path);
    declared.format = Some(DiskFormat::Raw);
    let image = fixture.import(declared).await.unwrap();
    assert_eq!(image.format, DiskFormat::Raw);
    assert!(fs::read(fixture.path("pool/images/image/disk.raw")).unwrap() == bytes);
}

#[tokio::test]
async fn a_kernel_brings_its_initrd_and_must_be_one() {
    let fixture = fixture();
    let mut kernel = vec![0; 4096];
    kernel[0x1fe..0x206].copy_from_slice(b"\x55\xaa\0\0HdrS");
    kernel[0x206..0x208].copy_from_slice(&0x020f_u16.to_le_bytes());
    kernel[0x211] = 1;
    let initrd = fixture.file("initrd", b"initrd");
    let mut good = request(&fixture.file("kernel", &kernel));
    good.kind = ImageKind::Kernel;
    good.initrd = Some(initrd.clone());
    let image = fixture.import(good).await.unwrap();
    assert!(image.initrd);
    assert_eq!(fs::read(fixture.path("pool/images/image/initrd")).unwrap(), b"initrd");
    fixture.storage.remove_image(&image.name).await.unwrap();

    let mut script = request(&fixture.file("script", b"#!/bin/sh"));
    script.kind = ImageKind::Kernel;
    let refusal = fixture.refused(script).await;
    assert!(refusal.message.contains("neither a bzImage nor"), "{}", refusal.message);

    let mut disk = request(&fixture.file("raw", &[0; 512]));
    disk.initrd = Some(initrd);
    assert_eq!(fixture.refused(disk).await.field.as_deref(), Some("initrd"));
}

#[tokio::test]
async fn a_disc_must_be_one() {
    let fixture = fixture();
    let mut disc = vec![0; 64 << 10];
    let mut iso = request(&fixture.file("plain", &disc));
    iso.kind = ImageKind::Iso;
    let refusal = fixture.refused(iso.clone()).await;
    assert!(refusal.message.contains("not a CD-ROM"), "{}", refusal.message);
    disc[0x8001..0x8006].copy_from_slice(b"CD001");
    iso.source = ImportSource::File(fixture.file("disc", &disc));
    assert_eq!(fixture.import(iso).await.unwrap().kind, ImageKind::Iso);
}

#[tokio::test]
async fn a_source_that_is_not_there_or_not_allowed_is_refused() {
    let fixture = fixture();
    let missing = fixture.refused(request(Path::new("/nonexistent"))).await;
    assert!(missing.message.contains("does not exist"), "{}", missing.message);
    let mut outside = request(&fixture.file("disk", &[0; 512]));
    outside.source = ImportSource::AllowedFile(fixture.path("disk"));
    let refusal = fixture.refused(outside).await;
    assert!(refusal.message.contains("operator allowed"), "{}", refusal.message);
    let folder = fixture.refused(request(fixture.folder.path())).await;
    assert!(folder.message.contains("neither a file nor"), "{}", folder.message);
}

#[tokio::test]
async fn a_name_that_is_taken_is_refused_and_kept() {
    let fixture = fixture();
    let path = fixture.file("disk", &[1; 512]);
    let first = fixture.import(request(&path)).await.unwrap();
    fs::write(&path, [2; 1024]).unwrap();
    let refusal = fixture.import(request(&path)).await.unwrap_err();
    assert_eq!(refusal.code, Code::NameTaken);
    assert_eq!(fixture.storage.image(&first.name).unwrap(), first);
    assert_eq!(fixture.names(), ["image"]);
}

#[tokio::test]
async fn bounds_are_kept() {
    let fixture = fixture_with(|options| options.max_import_size = ByteSize(1 << 20));
    let path = fixture.path("large");
    File::create(&path).unwrap().set_len((1 << 20) + 512).unwrap();
    let refusal = fixture.refused(request(&path)).await;
    assert_eq!((refusal.code, refusal.limit.as_deref()), (Code::TooLarge, Some("1MiB")));
    File::create(&path).unwrap().set_len(2 << 30).unwrap();
    let refusal = fixture.refused(request(&path)).await;
    assert_eq!(refusal.limit.as_deref(), Some("1GiB"), "{}", refusal.message);
}

#[tokio::test]
async fn an_import_that_is_cancelled_or_dropped_anywhere_leaves_nothing() {
    let fixture = fixture();
    let path = fixture.file("disk", &[7; 8 << 20]);
    for phase in [Phase::Copying, Phase::Digesting] {
        let cancel = CancellationToken::new();
        let token = cancel.clone();
        let on_progress: OnProgress = Arc::new(move |at| {
            if at.phase == phase {
                token.cancel();
            }
        });
        let ended = fixture.storage.import(request(&path), &on_progress, &cancel).await;
        assert_eq!(ended.unwrap_err().code, Code::Cancelled, "{phase:?}");
        assert_eq!(fixture.names(), [""; 0], "{phase:?}");
    }
    let (reached, mut reaches) = tokio::sync::mpsc::unbounded_channel();
    let on_progress: OnProgress = Arc::new(move |_| {
        let _nobody_listens_any_more = reached.send(());
    });
    let cancel = CancellationToken::new();
    tokio::select! {
        biased;
        _ = reaches.recv() => {}
        ended = fixture.storage.import(request(&path), &on_progress, &cancel) => {
            // Done before anybody looked, which a slow machine may see.
            fixture.storage.remove_image(&ended.unwrap().name).await.unwrap();
        }
    }
    assert_eq!(fixture.names(), [""; 0]);
}

#[tokio::test]
async fn a_missing_qemu_img_is_named_and_leaves_nothing() {
    let fixture = fixture_with(|options| options.qemu_img = "no-such-qemu-img".into());
    let blank = crate::format::blank::blank(ByteSize(4096), None);
    let mut bytes = blank.bytes;
    bytes.resize(usize::try_from(blank.length).unwrap(), 0);
    let refusal = fixture.refused(request(&fixture.file("disk", &bytes))).await;
    assert_eq!(refusal.code, Code::MissingProgram);
}

#[tokio::test]
async fn a_conversion_is_killed_when_it_is_cancelled() {
    let slow = "#!/bin/sh\n[ $1 = check ] && exit 0\necho '(50.00/100%)'\nexec sleep 600\n";
    let fixture = fixture();
    let program = fixture.file("slow", slow.as_bytes());
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(fixture.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let blank = crate::format::blank::blank(ByteSize(4096), None);
    let mut bytes = blank.bytes;
    bytes.resize(usize::try_from(blank.length).unwrap(), 0);
    let disk = fixture.file("disk", &bytes);
    let mut options = StorageOptions::new(fixture.path("pool"));
    options.qemu_img = program;
    let storage = Storage::open(options).unwrap();
    let cancel = CancellationToken::new();
    let token = cancel.clone();
    let on_progress: OnProgress = Arc::new(move |at| {
        if at.phase == Phase::Converting {
            token.cancel();
        }
    });
    let ended = storage.import(request(&disk), &on_progress, &cancel).await;
    assert_eq!(ended.unwrap_err().code, Code::Cancelled);
    assert_eq!(fixture.names(), [""; 0]);
}

#[tokio::test]
async fn a_url_needs_a_checksum_and_a_public_address() {
    let fixture = fixture();
    let url = |checksum: &str| ImportRequest {
        source: ImportSource::Url {
            url: Secret::new("http://127.0.0.1:1/image?token=x"),
            checksum: checksum.into(),
        },
        ..request(Path::new("/"))
    };
    let refusal = fixture.refused(url("")).await;
    assert_eq!(refusal.field.as_deref(), Some("checksum"));
    let refusal = fixture.refused(url(&"0".repeat(64))).await;
    assert!(refusal.message.contains("not a public address"), "{}", refusal.message);
}

#[tokio::test]
async fn a_download_that_is_stored_as_it_came_keeps_its_checksum() {
    let fixture = fixture_with(|options| options.http.allow_private = true);
    let disk = "x".repeat(1024);
    let address = serve(vec![body(&disk)]);
    let digest = copy::written(&Sha256::digest(disk.as_bytes()));
    let url = Secret::new(format!("http://{address}/disk?token=hunter2"));
    let source = ImportSource::Url { url, checksum: digest.clone() };
    let image = fixture.import(ImportRequest { source, ..request(Path::new("/")) }).await.unwrap();
    assert_eq!(image.digest, digest);
    assert_eq!(image.source, format!("http://{address}/disk"));
    assert!(fs::read(fixture.path("pool/images/image/disk.raw")).unwrap() == disk.as_bytes());
}
