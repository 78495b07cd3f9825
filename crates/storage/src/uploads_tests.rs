use super::*;
use crate::{
    ImportRequest, ImportSource, OnProgress, StorageOptions, copy::written, room::tests::most_of,
};
use innkeeper_model::{DiskFormat, Image, ImageKind};
use sha2::{Digest, Sha256};
use std::io::Read;
use tokio_util::sync::CancellationToken;

const LIMIT: u64 = 1 << 20;

struct Fixture {
    folder: tempfile::TempDir,
    storage: Storage,
    bytes: Vec<u8>,
}

fn named() -> ImageName {
    "base".parse().unwrap()
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = open(folder.path());
        let mut bytes = vec![0; 128 << 10];
        bytes[70_000..70_009].copy_from_slice(b"something");
        Self { folder, storage, bytes }
    }

    fn sha256(&self) -> String {
        written(&Sha256::digest(&self.bytes))
    }

    async fn begin(&self, from: u64) -> Result<Upload, Refusal> {
        self.storage.open_upload(&named(), &self.sha256(), from, None).await
    }

    /// Sends the bytes of this range to an upload that goes on where it begins.
    async fn send(&self, range: std::ops::Range<usize>) {
        let mut upload = self.begin(range.start as u64).await.unwrap();
        for piece in self.bytes[range].chunks(10_000) {
            upload.write(piece.to_vec()).await.unwrap();
        }
    }

    fn arrived(&self) -> u64 {
        self.storage.uploaded(&named(), &self.sha256()).unwrap()
    }

    fn request(&self) -> ImportRequest {
        ImportRequest {
            name: named(),
            kind: ImageKind::Disk,
            source: ImportSource::Upload { sha256: self.sha256() },
            format: Some(DiskFormat::Raw),
            initrd: None,
        }
    }

    async fn import(&self) -> Result<Image, Refusal> {
        let on_progress: OnProgress = Arc::new(|_| ());
        self.storage.import(self.request(), &on_progress, &CancellationToken::new()).await
    }

    fn count(&self, of: &str) -> usize {
        fs::read_dir(self.folder.path().join("pool").join(of)).unwrap().count()
    }
}

fn open(folder: &Path) -> Storage {
    let mut options = StorageOptions::new(folder.join("pool"));
    options.max_import_size = ByteSize(LIMIT);
    Storage::open(options).unwrap()
}

#[tokio::test]
async fn what_broke_off_is_gone_on_with_and_becomes_an_image() {
    let fixture = Fixture::new();
    assert_eq!(fixture.arrived(), 0);
    // It ends with zeros, which are a hole.
    fixture.send(0..50_000).await;
    assert_eq!((fixture.arrived(), fixture.count("images")), (50_000, 0));
    let refused = fixture.begin(49_999).await.unwrap_err();
    assert_eq!((refused.code, refused.limit.as_deref()), (Code::WrongState, Some("50000")));
    fixture.send(50_000..fixture.bytes.len()).await;
    fixture.storage.check_import(&fixture.request()).unwrap();
    let image = fixture.import().await.unwrap();
    assert_eq!((image.digest, image.source.as_str()), (fixture.sha256(), "an upload"));
    assert_eq!(fixture.count("uploads"), 0);
    let mut stored = fixture.storage.open_image(&named()).unwrap();
    assert_eq!((stored.length, &stored.digest), (128 << 10, &fixture.sha256()));
    let mut bytes = Vec::new();
    stored.file.read_to_end(&mut bytes).unwrap();
    assert!(bytes == fixture.bytes);
}

#[tokio::test]
async fn what_has_another_digest_is_no_image_and_is_not_kept() {
    let mut fixture = Fixture::new();
    let sha256 = fixture.sha256();
    let mut upload = fixture.storage.open_upload(&named(), &sha256, 0, None).await.unwrap();
    upload.write(vec![1; 4096]).await.unwrap();
    drop(upload);
    let refused = fixture.import().await.unwrap_err();
    assert_eq!(refused.field.as_deref(), Some("sha256"), "{refused:?}");
    assert_eq!((fixture.count("uploads"), fixture.count("images")), (0, 0));
    fixture.bytes.clear();
    let refused = fixture.import().await.unwrap_err();
    assert_eq!(refused.code, Code::NotFound, "what nobody sent: {refused:?}");
}

#[tokio::test]
async fn what_is_no_image_is_refused_before_it_is_taken() {
    let fixture = Fixture::new();
    fixture.send(0..fixture.bytes.len()).await;
    let request = ImportRequest { kind: ImageKind::Iso, format: None, ..fixture.request() };
    assert!(fixture.storage.check_import(&request).is_err());
    assert_eq!(fixture.arrived(), fixture.bytes.len() as u64, "it can be asked for as a disk");
}

#[tokio::test]
async fn one_sends_at_a_time_and_not_more_than_an_import_may_have() {
    let fixture = Fixture::new();
    let mut upload = fixture.begin(0).await.unwrap();
    assert_eq!(fixture.begin(0).await.unwrap_err().code, Code::InUse);
    assert_eq!(fixture.import().await.unwrap_err().code, Code::InUse);
    let size = usize::try_from(LIMIT).unwrap();
    upload.write(vec![1; size]).await.unwrap();
    let refused = upload.write([1]).await.unwrap_err();
    assert_eq!((refused.code, upload.length()), (Code::TooLarge, LIMIT));
    drop(upload);
    let sha256 = fixture.sha256();
    let begun = fixture.storage.open_upload(&named(), &sha256, 0, Some(LIMIT + 1)).await;
    assert_eq!(begun.unwrap_err().code, Code::TooLarge);
    assert_eq!(fixture.arrived(), LIMIT, "nothing of it was lost by asking");
    fixture.begin(0).await.unwrap();
    assert_eq!(fixture.arrived(), 0);
}

/// What a caller who is gone had sent is still being written, and has its room, when they are back.
#[tokio::test]
async fn who_comes_back_waits_for_what_they_left() {
    let fixture = Fixture::new();
    let most = most_of(fixture.storage.free_space().unwrap()).min(LIMIT);
    let sha256 = fixture.sha256();
    let name = named();
    let begin = |from| fixture.storage.open_upload(&name, &sha256, from, Some(most - from));
    let mut upload = begin(0).await.unwrap();
    upload.write(vec![1; 1000]).await.unwrap();
    let again = begin(1000);
    let mut again = std::pin::pin!(again);
    // It has found the part in use.
    let waits = tokio::time::timeout(Duration::from_millis(200), &mut again).await;
    assert!(waits.is_err(), "refused, or let in beside the other");
    let begun = std::time::Instant::now();
    drop(upload);
    let again = again.await.unwrap();
    assert_eq!(again.length(), 1000);
    assert!(begun.elapsed() < LET_GO_WITHIN, "by its time, not by the other's end");
    drop(again);
    // One who goes on elsewhere than the other came to is told so, and not that it is in use.
    let upload = begin(1000).await.unwrap();
    let (refused, ()) = tokio::join!(begin(999), async { drop(upload) });
    assert_eq!(refused.unwrap_err().code, Code::WrongState);
}

#[tokio::test]
async fn two_that_do_not_fit_together_are_not_both_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = StorageOptions::new(folder.path());
    options.max_import_size = ByteSize(u64::MAX);
    let storage = Storage::open(options).unwrap();
    let most = most_of(storage.free_space().unwrap());
    let begin = async |name: &str, more| {
        storage.open_upload(&name.parse().unwrap(), &"a".repeat(64), 0, more).await
    };
    let mut first = begin("first", Some(most)).await.unwrap();
    first.write(vec![1; 1000]).await.unwrap();
    let refused = begin("second", Some(most)).await.unwrap_err();
    assert_eq!((refused.code, refused.value), (Code::OutOfSpace, Some(ByteSize(most).to_string())));
    assert!(refused.hint.is_some());
    // What takes what is left of the room is not held up.
    begin("second", None).await.unwrap().write(vec![1; 1000]).await.unwrap();
    // Broken off: what has come is kept, and the rest is anybody's.
    drop(first);
    begin("second", Some(most)).await.unwrap();
}

#[tokio::test]
async fn what_nobody_goes_on_with_is_gone_after_a_day() {
    let fixture = Fixture::new();
    fixture.send(0..1000).await;
    let part = fixture.storage.shared.part(&named(), &fixture.sha256().parse().unwrap());
    let aged = |age: Duration| {
        let file = File::options().write(true).open(&part).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    };
    aged(KEPT - Duration::from_secs(60));
    open(fixture.folder.path());
    assert_eq!(fixture.arrived(), 1000);
    aged(KEPT);
    let upload = fixture.begin(1000).await;
    assert_eq!(upload.unwrap_err().code, Code::WrongState, "swept when the next one began");
    fixture.send(0..1000).await;
    aged(KEPT);
    let stranger = fixture.folder.path().join("pool/uploads/notes");
    fs::write(&stranger, "").unwrap();
    File::options()
        .write(true)
        .open(&stranger)
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH)
        .unwrap();
    open(fixture.folder.path());
    assert!(!part.exists() && stranger.exists());
}
