//! What a disk can refuse while the journal is open.

use super::disks::{Faults, FaultyDisk};
use super::*;
use rustix::io::Errno;

fn on(disk: &FaultyDisk, folder: &Path) -> Opened {
    Journal::open_on(Arc::new(disk.clone()), small(folder)).unwrap()
}

fn append(
    journal: &Journal,
    text: &str,
    durability: Durability,
) -> impl Future<Output = Result<Held, JournalFailed>> + use<> {
    journal.append(about(0), text.as_bytes().to_vec(), durability)
}

fn reopened(folder: &Path) -> Vec<String> {
    let opened = open(folder);
    assert!(opened.damage.is_empty(), "{:?}", opened.damage);
    texts(&opened.records).into_iter().map(String::from).collect()
}

#[tokio::test]
async fn a_full_disk_is_known_early_and_its_room_is_used_up_first() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let Opened { journal, .. } = on(&disk, folder.path());
    let _held = append(&journal, "first", Durability::Synced).await.unwrap();
    eventually(|| journal.figures().room_ahead, SMALL);
    disk.set(Faults { create: Some(Errno::NOSPC), ..Faults::default() });

    let text = "x".repeat(1000);
    let mut held = vec![];
    let failed = loop {
        match journal.append(about(0), text.clone().into_bytes(), Durability::Synced).await {
            Ok(more) => held.push(more),
            Err(failed) => break failed,
        }
        if held.len() == 4 {
            eventually(|| journal.figures().low, true);
        }
    };
    assert!(matches!(failed, JournalFailed::Full { .. }), "{failed:?}");
    // Three more in the first segment, three in the second.
    assert_eq!(held.len(), 6);
    assert!(journal.figures().failing);
    // A smaller one still fits.
    append(&journal, "small", Durability::Synced).await.unwrap();
    assert!(!journal.figures().failing && journal.figures().low);

    disk.set(Faults::default());
    append(&journal, &text, Durability::Synced).await.unwrap();
    eventually(|| journal.figures().low, false);
    journal.close();
    let found = reopened(folder.path());
    assert_eq!(found.len(), 9);
    assert_eq!((&*found[0], &*found[7]), ("first", "small"));
}

#[tokio::test]
async fn a_journal_on_a_full_disk_opens_and_waits_for_room() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    disk.set(Faults { create: Some(Errno::NOSPC), ..Faults::default() });
    let Opened { journal, .. } = on(&disk, folder.path());
    let failed = append(&journal, "x", Durability::Written).await.unwrap_err();
    assert!(matches!(failed, JournalFailed::Full { .. }));
    assert!(journal.figures().low);
    disk.set(Faults::default());
    append(&journal, "x", Durability::Written).await.unwrap();
    journal.close();
    assert_eq!(reopened(folder.path()), ["x"]);
}

#[tokio::test]
async fn what_fails_once_is_tried_again_elsewhere() {
    let write = |done| Faults { write: Some((done, Errno::IO)), left: 1, ..Faults::default() };
    let sync = Faults { sync: Some(Errno::IO), left: 1, ..Faults::default() };
    for faults in [write(0), write(1), write(70), write(10_000), sync] {
        let folder = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::default();
        let Opened { journal, .. } = on(&disk, folder.path());
        let _held = append(&journal, "one", Durability::Synced).await.unwrap();
        append(&journal, "two", Durability::Written).await.unwrap();
        disk.set(faults);
        append(&journal, "three", Durability::Synced).await.unwrap();
        append(&journal, "four", Durability::Synced).await.unwrap();
        assert_eq!(journal.newest(), 2, "{faults:?}");
        assert!(journal.figures().last_error.is_some() && !journal.figures().failing);
        journal.close();
        // In the second segment is also what the first may have lost.
        std::fs::remove_file(segment::path(folder.path(), 1)).ok();
        let opened = open(folder.path());
        let found = texts(&opened.records);
        assert!(found.ends_with(&["two", "three", "four"]), "{faults:?}: {found:?}");
    }
}

#[tokio::test]
async fn a_refused_record_is_not_found_and_later_ones_are() {
    let write = |done| Faults { write: Some((done, Errno::IO)), ..Faults::default() };
    let sync = Faults { sync: Some(Errno::IO), ..Faults::default() };
    let read_only = Faults {
        create: Some(Errno::ROFS),
        write: Some((0, Errno::ROFS)),
        sync: Some(Errno::ROFS),
        remove: Some(Errno::ROFS),
        left: 0,
    };
    for faults in [write(0), write(60), write(10_000), sync, read_only] {
        let folder = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::default();
        let Opened { journal, .. } = on(&disk, folder.path());
        let _held = append(&journal, "one", Durability::Synced).await.unwrap();
        append(&journal, "two", Durability::Written).await.unwrap();
        disk.set(faults);
        for text in ["no", "never"] {
            let failed = append(&journal, text, Durability::Synced).await.unwrap_err();
            assert!(matches!(failed, JournalFailed::Io { .. }), "{failed:?}");
        }
        assert!(journal.figures().failing);
        disk.set(Faults::default());
        append(&journal, "three", Durability::Synced).await.unwrap();
        append(&journal, "four", Durability::Written).await.unwrap();
        assert!(!journal.figures().failing);
        journal.close();
        assert_eq!(reopened(folder.path()), ["one", "two", "three", "four"], "{faults:?}");
    }
}

#[tokio::test]
async fn what_shares_a_failed_sync_is_refused_or_kept_as_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let Opened { journal, .. } = on(&disk, folder.path());
    let _held = append(&journal, "begin", Durability::Synced).await.unwrap();
    disk.set(Faults { sync: Some(Errno::IO), ..Faults::default() });
    let durability = |number: usize| [Durability::Written, Durability::Synced][number % 2];
    let waiting: Vec<_> =
        (0..20).map(|number| append(&journal, &number.to_string(), durability(number))).collect();
    let answers = join_all(waiting).await;
    disk.set(Faults::default());
    append(&journal, "end", Durability::Synced).await.unwrap();
    journal.close();
    let accepted =
        (0..20).filter(|number| answers[*number].is_ok()).map(|number| number.to_string());
    let expected: Vec<_> =
        ["begin".into()].into_iter().chain(accepted).chain(["end".into()]).collect();
    assert!(answers[1].is_err());
    assert_eq!(reopened(folder.path()), expected);
}

#[tokio::test]
async fn what_cannot_be_removed_stays_and_goes_later_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let Opened { journal, .. } = on(&disk, folder.path());
    disk.set(Faults { remove: Some(Errno::ROFS), ..Faults::default() });
    for _ in 0..3 {
        append(&journal, &"x".repeat(3000), Durability::Written).await.unwrap();
    }
    eventually(|| journal.figures().last_error.is_some(), true);
    assert_eq!(segments(folder.path(), &journal), [1, 2, 3]);
    disk.set(Faults::default());
    eventually(|| segments(folder.path(), &journal), vec![3]);
}

#[tokio::test]
async fn nothing_piles_up_on_a_disk_that_refuses_every_write() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let Opened { journal, .. } = on(&disk, folder.path());
    let held = journal.append(about(0), b"x".to_vec(), Durability::Synced).await.unwrap();
    disk.set(Faults { write: Some((60, Errno::IO)), ..Faults::default() });
    for _ in 0..10 {
        append(&journal, "x", Durability::Written).await.unwrap_err();
    }
    journal.close();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    drop(held);
}

#[tokio::test]
async fn a_caller_who_left_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let Opened { journal, .. } = on(&FaultyDisk::default(), folder.path());
    for _ in 0..100 {
        drop(append(&journal, "left", Durability::Synced));
    }
    append(&journal, "stayed", Durability::Synced).await.unwrap();
    eventually(|| journal.figures().pending, 0);
    journal.close();
    assert_eq!(reopened(folder.path()).last().unwrap(), "stayed");
}

#[tokio::test]
async fn what_could_not_be_discarded_is_not_taken_for_a_sign_of_loss() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let Opened { journal, .. } = on(&disk, folder.path());
    let broken = Faults { sync: Some(Errno::IO), remove: Some(Errno::ROFS), ..Faults::default() };
    disk.set(broken);
    append(&journal, "refused", Durability::Written).await.unwrap_err();
    let refused_to_remove = || {
        let last = journal.figures().last_error;
        last.is_some_and(|error| error.contains("Read-only"))
    };
    eventually(refused_to_remove, true);
    disk.set(Faults::default());
    // The first of these goes; what is left of the refused one must not outlive it.
    for _ in 0..2 {
        append(&journal, &"x".repeat(3000), Durability::Written).await.unwrap();
    }
    eventually(|| segments(folder.path(), &journal).len(), 1);
    journal.close();
    assert_eq!(reopened(folder.path()).len(), 1);
}
