//! What does not get to its end leaves nothing.

use super::{made::*, *};
use crate::{ImportRequest, ImportSource};

#[tokio::test]
async fn a_daemon_that_ended_leaves_nothing_of_what_came_in() {
    let pool = Pool::new();
    let file = Made::new(&manifest(), empty_disk(1 << 20)).bytes();
    let arrival = pool.storage.receive_vm(None, |_| Ok(())).await.unwrap();
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
    let arrival = pool.storage.receive_vm(None, |_| Ok(())).await.unwrap();
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

/// The file of a VM with a disk of so many bytes, and how much of it says what the VM is.
fn large(size: u64) -> (Vec<u8>, usize) {
    let manifest = with("/config/disks/0/size", json!(ByteSize(size)));
    let known_after = 512 + manifest.to_string().len();
    (Made::new(&manifest, empty_disk(size)).bytes(), known_after)
}

#[tokio::test]
async fn of_two_at_once_that_do_not_fit_together_one_is_refused() {
    let pool = Pool::with(|options| options.max_import_size = ByteSize(u64::MAX));
    let most = most_of(pool.storage.free_space().unwrap()) & !0xf_ffff;
    let promised = || pool.storage.shared.pool.room.promise(most).map(drop);
    let (file, known_after) = large(most);
    let begin = async || pool.storage.receive_vm(Some(most), |_| Ok(())).await.unwrap();
    let (one, other) = (begin().await, begin().await);
    promised().expect("nobody said yet what comes");
    let (head, rest) = file.split_at(known_after);
    let both = tokio::join!(one.write(head.to_vec()), other.write(head.to_vec()));
    let (arrival, refusal) = match both {
        (Ok(arrival), Err(refusal)) | (Err(refusal), Ok(arrival)) => (arrival, refusal),
        both => panic!("{both:?}"),
    };
    let needed = Some(ByteSize(most - known_after as u64).to_string());
    assert_eq!((refusal.code, refusal.value), (Code::OutOfSpace, needed));
    assert!(refusal.hint.is_some());
    // One who does not say how long it is gets no more than what is left, nor does a new image.
    let small = Made::new(&manifest(), empty_disk(1 << 20)).bytes();
    pool.send(&small, 100_000).await.unwrap();
    let (name, sha256) = ("image".parse().unwrap(), "a".repeat(64));
    let upload = pool.storage.open_upload(&name, &sha256, 0, Some(most)).await;
    assert_eq!(upload.unwrap_err().code, Code::OutOfSpace);
    // What is on the disk is not counted twice, and what ends gives back the rest.
    let arrival = arrival.write(rest.to_vec()).await.unwrap();
    assert_eq!(promised().unwrap_err().code, Code::OutOfSpace);
    assert!(arrival.write(vec![1]).await.is_err(), "there is nothing behind its end");
    promised().unwrap();
    pool.is_cleared();
}

#[tokio::test]
async fn a_vm_that_there_may_not_be_is_refused_before_its_first_disk_and_before_room_is_taken() {
    let pool = Pool::with(|options| options.max_import_size = ByteSize(u64::MAX));
    let most = most_of(pool.storage.free_space().unwrap()) & !0xf_ffff;
    let promised = || pool.storage.shared.pool.room.promise(most).map(drop);
    let (file, known_after) = large(most);
    let room = pool.storage.shared.pool.room.clone();
    let admit = move |manifest: &Manifest| -> Result<(), Refusal> {
        // It is asked while nothing is promised.
        room.promise(most)?;
        Err(Refusal::new(Code::OutOfCapacity, format!("no {}", manifest.config.name)))
    };
    let arrival = pool.storage.receive_vm(Some(most), admit).await.unwrap();
    let [folder] = &pool.names("uploads")[..] else { panic!("nothing arrives") };
    let folder = pool.folder.path().join("pool/uploads").join(folder);
    let almost = arrival.write(file[..known_after - 1].to_vec()).await.unwrap();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "something is on the disk");
    // The last byte of that, and the first of a disk.
    let next = file[known_after - 1..known_after + 8192].to_vec();
    let refusal = almost.write(next).await.unwrap_err();
    assert_eq!((refusal.code, &*refusal.message), (Code::OutOfCapacity, "no web"));
    promised().unwrap();
    pool.is_cleared();
}

#[tokio::test]
async fn whether_there_is_room_is_told_to_nobody_whose_vm_there_may_not_be() {
    let pool = Pool::with(|options| options.max_import_size = ByteSize(u64::MAX));
    let most = most_of(pool.storage.free_space().unwrap()) & !0xf_ffff;
    let (file, known_after) = large(most);
    let (name, sha256) = ("image".parse().unwrap(), "a".repeat(64));
    let _other = pool.storage.open_upload(&name, &sha256, 0, Some(most)).await.unwrap();
    let no = |_: &Manifest| Err::<(), _>(Refusal::new(Code::OutOfCapacity, "no"));
    let arrival = pool.storage.receive_vm(Some(most), no).await.unwrap();
    let refusal = arrival.write(file[..known_after].to_vec()).await.unwrap_err();
    assert_eq!(refusal.code, Code::OutOfCapacity, "{refusal}");
    // Whose there may is told when that is known.
    let arrival = pool.storage.receive_vm(Some(most), |_| Ok(())).await.unwrap();
    let almost = arrival.write(file[..known_after - 1].to_vec()).await.unwrap();
    assert!(!almost.knows_its_vm());
    let refusal = almost.write(file[known_after - 1..known_after].to_vec()).await.unwrap_err();
    assert_eq!(refusal.code, Code::OutOfSpace, "{refusal}");
}

#[tokio::test]
async fn what_is_held_for_a_vm_is_held_until_all_of_it_has_come_or_nothing_more_will() {
    let pool = Pool::new();
    let (file, known_after) = large(1 << 20);
    let held = Arc::new(());
    let begin = async || {
        let held = Arc::clone(&held);
        let arrival = pool.storage.receive_vm(Some(file.len() as u64), move |_| Ok(held)).await;
        arrival.unwrap().write(file[..known_after].to_vec()).await.unwrap()
    };
    drop(begin().await);
    assert_eq!(Arc::strong_count(&held), 1);
    let arrival = begin().await.write(file[known_after..].to_vec()).await.unwrap();
    assert_eq!(Arc::strong_count(&held), 2);
    let staged = arrival.finish().await.unwrap();
    assert_eq!(Arc::strong_count(&held), 1);
    drop(staged);
    pool.is_cleared();
}

#[tokio::test]
async fn a_file_that_is_said_to_be_longer_than_its_vms_can_be_gets_no_room() {
    let pool = Pool::with(|options| options.max_import_size = ByteSize(u64::MAX));
    let (file, known_after) = large(1 << 20);
    let longer = 64 << 20;
    let arrival = pool.storage.receive_vm(Some(longer), |_| Ok(())).await.unwrap();
    let refusal = arrival.write(file[..known_after].to_vec()).await.unwrap_err();
    assert_eq!(refusal.code, Code::TooLarge, "{refusal}");
    pool.is_cleared();
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

/// A pool on such a file system; `None`, and a word about it, where nobody may mount one.
fn small_pool() -> Option<(Small, Pool)> {
    let folder = tempfile::tempdir().unwrap();
    let Some(small) = Small::mount(folder.path()) else {
        eprintln!("nothing can be mounted here: not tried on a full disk");
        return None;
    };
    let mut options = StorageOptions::new(folder.path().join("pool"));
    options.http.allow_private = true;
    Some((small, Pool { storage: Storage::open(options).unwrap(), folder }))
}

#[tokio::test]
async fn what_comes_by_any_way_leaves_the_room_that_another_is_promised() {
    let Some((_small, pool)) = small_pool() else { return };
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("disk");
    let text = "x".repeat(1 << 20);
    fs::write(&path, &text).unwrap();
    let checksum = format!("sha256:{}", hex(&Sha256::digest(&text)));
    let address = testing::serve(vec![testing::body(&text); 2]);
    let url = innkeeper_model::Secret::new(format!("http://{address}/disk"));
    let on_progress: OnProgress = Arc::new(|_| ());
    let import = async |source: &ImportSource| {
        let request = ImportRequest {
            name: "new".parse().unwrap(),
            kind: ImageKind::Disk,
            source: source.clone(),
            format: Some(DiskFormat::Raw),
            initrd: None,
        };
        pool.storage.import(request, &on_progress, &CancellationToken::new()).await
    };
    for source in [ImportSource::File(path), ImportSource::Url { url, checksum }] {
        let other = pool.storage.shared.pool.room.promise(3 << 19).unwrap();
        let refusal = import(&source).await.unwrap_err();
        assert_eq!(refusal.code, Code::OutOfSpace, "{source:?}: {refusal:?}");
        assert_eq!((pool.names("images").len(), refusal.value.as_deref()), (0, Some("1MiB")));
        drop(other);
        let image = import(&source).await.unwrap();
        fs::remove_dir_all(pool.storage.shared.pool.image(&image.name)).unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_leaves_nothing() {
    let Some((_small, pool)) = small_pool() else { return };
    let full = |refusal: Refusal| assert_eq!(refusal.code, Code::OutOfSpace, "{refusal:?}");
    // Full by its own length, by the one that its header says, and in its midst, when another took the room.
    let mut disk = empty_disk(1 << 20);
    disk.resize(3 << 20, 7);
    let long = Made::new(&manifest(), disk.clone()).bytes();
    let arrival = pool.storage.receive_vm(Some(long.len() as u64), |_| Ok(())).await.unwrap();
    full(arrival.write(long[..8192].to_vec()).await.unwrap_err());
    full(pool.send(&Made::new(&manifest(), disk.clone()).bytes(), 70_000).await.unwrap_err());
    pool.is_cleared();
    disk.truncate(1 << 20);
    let file = Made::new(&manifest(), disk).bytes();
    let arrival = pool.storage.receive_vm(None, |_| Ok(())).await.unwrap();
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
