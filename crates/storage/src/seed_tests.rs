use super::*;
use crate::StorageOptions;
use innkeeper_model::Code;
use std::os::unix::fs::PermissionsExt;

struct Fixture {
    _folder: tempfile::TempDir,
    storage: Storage,
    vm: VmId,
    name: VmName,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::open(StorageOptions::new(folder.path().join("pool"))).unwrap();
    Fixture { _folder: folder, storage, vm: VmId::new(), name: "web-1".parse().unwrap() }
}

impl Fixture {
    async fn write(
        &self,
        vm: VmId,
        documents: &CloudInit,
        inherit: Option<VmId>,
    ) -> Result<(), Refusal> {
        let request = SeedRequest { vm, hostname: &self.name, documents, inherit };
        self.storage.write_seed(request).await
    }

    fn bytes(&self, vm: VmId) -> Vec<u8> {
        std::fs::read(self.storage.seed(vm).path()).unwrap()
    }

    fn file(&self, vm: VmId, name: &str) -> Option<String> {
        let mut bytes = self.bytes(vm);
        let disk = FileSystem::new(Cursor::new(&mut bytes[..]), FsOptions::new()).unwrap();
        let mut text = String::new();
        let mut file = disk.root_dir().open_file(name).ok()?;
        file.read_to_string(&mut text).unwrap();
        Some(text)
    }
}

fn user_data(text: &str) -> CloudInit {
    CloudInit { user_data: Some(Secret::new(text)), ..CloudInit::default() }
}

#[tokio::test]
async fn a_seed_is_a_labelled_disk_with_the_documents_and_defaults() {
    let fixture = fixture();
    let documents = user_data("#cloud-config\npassword: hunter2\n");
    fixture.write(fixture.vm, &documents, None).await.unwrap();
    let file = |name| fixture.file(fixture.vm, name);
    let text = file("user-data").unwrap();
    assert_eq!(text, "#cloud-config\npassword: hunter2\n");
    let defaults = format!("instance-id: \"{}\"\nlocal-hostname: \"web-1\"\n", fixture.vm);
    assert_eq!(file("meta-data").unwrap(), defaults);
    assert_eq!(file("network-config"), None);

    let mut bytes = fixture.bytes(fixture.vm);
    let disk = FileSystem::new(Cursor::new(&mut bytes[..]), FsOptions::new()).unwrap();
    assert_eq!(disk.volume_label(), "CIDATA");
    let root_label = disk.read_volume_label_from_root_dir().unwrap();
    assert_eq!(root_label.as_deref(), Some("CIDATA"));
    let path = fixture.storage.seed(fixture.vm).path().to_owned();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn the_same_documents_give_the_same_bytes() {
    let fixture = fixture();
    let documents = user_data("same");
    fixture.write(fixture.vm, &documents, None).await.unwrap();
    let first = fixture.bytes(fixture.vm);
    fixture.write(fixture.vm, &documents, None).await.unwrap();
    assert!(first == fixture.bytes(fixture.vm));
}

#[tokio::test]
async fn a_seed_is_read_file_by_file() {
    let fixture = fixture();
    let read = async |file| {
        let text = fixture.storage.read_seed(fixture.vm, file).await.unwrap();
        text.map(|text| text.expose().unwrap().to_owned())
    };
    assert_eq!(read(SeedFile::MetaData).await, None);
    let documents = CloudInit { meta_data: Some(Secret::new("a: b")), ..user_data("hunter2") };
    fixture.write(fixture.vm, &documents, None).await.unwrap();
    assert_eq!(read(SeedFile::MetaData).await.as_deref(), Some("a: b"));
    assert_eq!(read(SeedFile::UserData).await.as_deref(), Some("hunter2"));
    assert_eq!(read(SeedFile::NetworkConfig).await, None);
    std::fs::write(fixture.storage.seed(fixture.vm).path(), "no disk").unwrap();
    assert!(fixture.storage.read_seed(fixture.vm, SeedFile::UserData).await.is_err());
}

#[tokio::test]
async fn the_largest_documents_fit() {
    let fixture = fixture();
    let largest = Some(Secret::new("x".repeat(innkeeper_model::config::MAX_SEED_DOCUMENT)));
    let documents = CloudInit {
        user_data: largest.clone(),
        meta_data: largest.clone(),
        network_config: largest,
    };
    fixture.write(fixture.vm, &documents, None).await.unwrap();
    let length = fixture.file(fixture.vm, "network-config").unwrap().len();
    assert_eq!(length, innkeeper_model::config::MAX_SEED_DOCUMENT);
}

#[tokio::test]
async fn a_digest_is_filled_in_from_the_seed_that_has_its_text() {
    let fixture = fixture();
    let documents = user_data("hunter2");
    fixture.write(fixture.vm, &documents, None).await.unwrap();
    let sealed = documents.sealed();
    fixture.write(fixture.vm, &sealed, None).await.unwrap();
    let clone = VmId::new();
    fixture.write(clone, &sealed, Some(fixture.vm)).await.unwrap();
    for vm in [fixture.vm, clone] {
        assert_eq!(fixture.file(vm, "user-data").unwrap(), "hunter2");
        let instance = format!("instance-id: \"{vm}\"");
        assert!(fixture.file(vm, "meta-data").unwrap().starts_with(&instance));
    }
}

#[tokio::test]
async fn a_digest_that_nobody_has_the_text_of_is_refused() {
    let fixture = fixture();
    fixture.write(fixture.vm, &user_data("old"), None).await.unwrap();
    let before = fixture.bytes(fixture.vm);
    let unknown = user_data("new").sealed();
    let refusal = fixture.write(fixture.vm, &unknown, None).await.unwrap_err();
    assert_eq!(refusal.code, Code::InvalidField);
    assert_eq!(refusal.field.as_deref(), Some("cloud_init.user_data"));
    assert!(before == fixture.bytes(fixture.vm));
}

#[tokio::test]
async fn a_removed_seed_is_gone_and_can_be_removed_again() {
    let fixture = fixture();
    fixture.write(fixture.vm, &user_data("x"), None).await.unwrap();
    fixture.storage.remove_seed(fixture.vm).await.unwrap();
    fixture.storage.remove_seed(fixture.vm).await.unwrap();
    assert!(!fixture.storage.seed(fixture.vm).path().exists());
}

/// A seed with this text, and where its table and its folder begin.
fn disk(text: &str) -> (Vec<u8>, usize, usize) {
    let contents = Contents {
        user_data: Secret::new(text),
        meta_data: Secret::new("instance-id: 1\n"),
        network_config: None,
    };
    let bytes = image(&contents).unwrap().to_vec();
    let number = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let table = number(14) * 512;
    let root = table + usize::from(bytes[16]) * number(22) * 512;
    (bytes, table, root)
}

fn read(bytes: &[u8]) -> io::Result<Vec<String>> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let texts = texts(&file, |name| name == "user-data")?;
    Ok(texts.iter().map(|text| text.expose().unwrap().to_owned()).collect())
}

#[test]
fn texts_of_any_length_are_read_as_they_were_written() {
    // Of less and more than a cluster, and on disks with both kinds of tables.
    for length in [0, 1, 511, 512, 513, 5000, 1 << 20, 6 << 20] {
        let text = "0123456789abcdef_".repeat(length / 17 + 1)[..length].to_owned();
        let (bytes, ..) = disk(&text);
        assert_eq!(read(&bytes).unwrap(), [text], "{length}");
    }
}

#[test]
fn a_damaged_seed_is_an_error() {
    let (bytes, table, root) = disk(&"x".repeat(5000));
    let entry = (root..).step_by(32).find(|at| bytes[*at..].starts_with(b"USER-D")).unwrap();
    let first = usize::from(bytes[entry + 26]);
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        read(&bytes)
    };
    assert_eq!(with(&|_| ()).unwrap()[0].len(), 5000);
    // The reserved clusters, none, and one behind the disk's end.
    for cluster in [[0, 0], [1, 0], [0xf0, 0xff]] {
        let damaged = with(&|bytes| bytes[entry + 26..entry + 28].copy_from_slice(&cluster));
        assert!(damaged.is_err(), "{cluster:?}: {damaged:?}");
    }
    // A file that is longer than its clusters, or than the disk; one whose table has circles.
    for size in [[0x89, 0x13, 1, 0], [0xff; 4]] {
        assert!(with(&|bytes| bytes[entry + 28..entry + 32].copy_from_slice(&size)).is_err());
    }
    let pair = table + first + first / 2;
    let circle = |bytes: &mut Vec<u8>| {
        let number = u16::from_le_bytes([bytes[pair], bytes[pair + 1]]);
        let to = u16::try_from(first).unwrap();
        let changed = if first % 2 == 0 { number & 0xf000 | to } else { number & 0xf | to << 4 };
        bytes[pair..pair + 2].copy_from_slice(&changed.to_le_bytes());
    };
    assert!(with(&circle).is_err());
    for length in [0, 512, root + 64, bytes.len() / 2] {
        let cut = with(&|bytes| bytes.truncate(length));
        assert!(cut.is_err() || length > root + 64, "{length}");
    }
    // What is no file's entry is none.
    assert_eq!(with(&|bytes| bytes[root + 32..].fill(0xff)).unwrap(), [""; 0]);
}
