mod aside;
mod crashes;
mod damage;
mod disks;
mod failing;
mod power;

use super::*;
use futures_util::future::join_all;
use std::{path::Path, time::Duration, time::Instant};

/// Small enough that a few records fill it.
const SMALL: u64 = 4096;

fn small(folder: &Path) -> JournalOptions {
    JournalOptions { folder: folder.into(), segment_size: SMALL }
}

fn open(folder: &Path) -> Opened {
    Journal::open(small(folder)).unwrap()
}

/// Whom a record of these tests is about: its number says.
fn about(number: u128) -> Uuid {
    Uuid::from_u128(number + 1)
}

fn texts(records: &[Found]) -> Vec<&str> {
    records.iter().map(|found| std::str::from_utf8(&found.bytes).unwrap()).collect()
}

/// The names in a folder, but for that of the segment which was made ahead of need.
fn segments(folder: &Path, journal: &Journal) -> Vec<u64> {
    let newest = journal.newest();
    let entries = std::fs::read_dir(folder).unwrap();
    let named = entries.filter_map(|entry| segment::named(entry.unwrap().file_name().to_str()?));
    let mut numbers: Vec<u64> = named
        .filter_map(|named| match named {
            segment::Named::Segment(number) if number <= newest => Some(number),
            _ => None,
        })
        .collect();
    numbers.sort_unstable();
    numbers
}

/// Waits until this is so; what it is instead is told if that takes too long.
fn eventually<T: std::fmt::Debug + PartialEq>(what: impl Fn() -> T, expected: T) {
    let begun = Instant::now();
    loop {
        let now = what();
        if now == expected {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{now:?} is not yet {expected:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[tokio::test]
async fn what_is_appended_is_found_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    assert!(opened.records.is_empty() && opened.damage.is_empty());
    let journal = opened.journal;
    let mut held = Vec::new();
    let texts: Vec<String> = (0..200).map(|number| format!("record {number}")).collect();
    for (number, text) in texts.iter().enumerate() {
        let durability = if number % 3 == 0 { Durability::Synced } else { Durability::Written };
        let bytes = text.clone().into_bytes();
        held.push(journal.append(about(number as u128), bytes, durability).await.unwrap());
    }
    journal.append(Uuid::nil(), Vec::new(), Durability::Synced).await.unwrap();
    assert!(journal.newest() > 1, "all fit one segment");
    journal.close();

    let opened = open(folder.path());
    assert!(opened.damage.is_empty(), "{:?}", opened.damage);
    let (last, found) = opened.records.split_last().unwrap();
    assert_eq!(super::tests::texts(found), texts);
    assert!(last.about.is_nil() && last.bytes.is_empty());
    for (number, found) in found.iter().enumerate() {
        assert_eq!(found.about, about(number as u128));
    }
    // What follows comes behind, after any number of openings.
    opened.journal.append(Uuid::nil(), b"more".to_vec(), Durability::Written).await.unwrap();
    opened.journal.close();
    let opened = open(folder.path());
    assert_eq!(opened.records.len(), 202);
    assert_eq!(opened.records[201].bytes, b"more");
}

#[tokio::test]
async fn the_folder_and_its_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("journal");
    let opened = open(&folder);
    let held = opened.journal.append(about(0), b"x".to_vec(), Durability::Synced).await.unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&segment::path(&folder, held.segment())), 0o600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_at_once_are_all_written_and_each_keeps_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let options = JournalOptions { folder: folder.path().into(), segment_size: 256 << 10 };
    let journal = Journal::open(options.clone()).unwrap().journal;
    let appender = |number: u128| {
        let journal = journal.clone();
        async move {
            let mut held = Vec::new();
            for round in 0..5_u8 {
                let durability = [Durability::Written, Durability::Synced][usize::from(round % 2)];
                held.push(journal.append(about(number), vec![round], durability).await.unwrap());
            }
            held
        }
    };
    let tasks: Vec<_> = (0..1000).map(|number| tokio::spawn(appender(number))).collect();
    let held = join_all(tasks).await;
    let figures = journal.figures();
    assert_eq!((figures.records, figures.pending), (5000, 0));
    assert!(figures.syncs < 1000, "{} syncs for 5,000 records", figures.syncs);
    journal.close();
    drop(held);
    let mut rounds = std::collections::HashMap::new();
    for found in Journal::open(options).unwrap().records {
        let next = rounds.entry(found.about).or_insert(0_u8);
        assert_eq!(found.bytes, [*next]);
        *next += 1;
    }
    assert!(rounds.len() == 1000 && rounds.values().all(|rounds| *rounds == 5));
}

#[tokio::test]
async fn a_place_in_the_order_is_taken_by_the_call() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).journal;
    let one = journal.append(about(1), b"one".to_vec(), Durability::Synced);
    let two = journal.append(about(2), b"two".to_vec(), Durability::Written);
    two.await.unwrap();
    one.await.unwrap();
    journal.close();
    assert_eq!(texts(&open(folder.path()).records), ["one", "two"]);
}

#[tokio::test]
async fn segments_go_oldest_first_and_only_when_nobody_holds_them() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).journal;
    let mut held = Vec::new();
    for number in 0..4 {
        // Two do not fit one segment.
        let bytes = vec![number; SMALL as usize * 2 / 3];
        held.push(journal.append(about(0), bytes, Durability::Written).await.unwrap());
    }
    let numbers: Vec<u64> = held.iter().map(Held::segment).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(journal.newest(), 4);
    let now = || segments(folder.path(), &journal);

    // Neither one in the middle nor the one that is written goes.
    drop(held.remove(3));
    drop(held.remove(1));
    eventually(|| journal.figures().segments, 4);
    assert_eq!(now(), [1, 2, 3, 4]);
    // The oldest goes with those behind it that are not held; a clone holds as well.
    let clone = held[1].clone();
    drop(held.remove(0));
    eventually(now, vec![3, 4]);
    drop(held);
    assert_eq!(now(), [3, 4]);
    drop(clone);
    eventually(now, vec![4]);
    eventually(|| journal.figures().segments, 1);
}

#[tokio::test]
async fn what_was_found_is_held_too() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).journal;
    for _ in 0..3 {
        let bytes = vec![0; SMALL as usize * 2 / 3];
        journal.append(about(0), bytes, Durability::Written).await.unwrap();
    }
    journal.close();
    let Opened { journal, mut records, .. } = open(folder.path());
    // Nothing is written behind what an earlier run wrote.
    let kept = records.first().unwrap().held.segment();
    assert_eq!(kept, 3, "the older ones were released before");
    let held = journal.append(about(0), b"x".to_vec(), Durability::Written).await.unwrap();
    assert_eq!(held.segment(), 4);
    assert_eq!(segments(folder.path(), &journal), [3, 4]);
    records.clear();
    eventually(|| segments(folder.path(), &journal), vec![4]);
}

#[tokio::test]
async fn opening_leaves_no_empty_segment_and_nothing_half_made() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".tmp-1-2-3"), "half a segment").unwrap();
    std::fs::write(folder.path().join("notes.txt"), "somebody's").unwrap();
    std::fs::write(segment::path(folder.path(), 5), [0; 100]).unwrap();
    let journal = open(folder.path()).journal;
    let held = journal.append(about(0), b"x".to_vec(), Durability::Written).await.unwrap();
    assert_eq!(held.segment(), 6);
    journal.close();
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["journal-00000000000000000006.inn", "notes.txt"]);
}

#[tokio::test]
async fn a_record_larger_than_a_segment_is_refused_with_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).journal;
    let limit = writer::max_payload(SMALL);
    let largest = vec![0; limit as usize];
    let failed = journal.append(about(0), vec![0; limit as usize + 1], Durability::Written).await;
    assert!(matches!(failed, Err(JournalFailed::TooLarge { limit: told, .. }) if told == limit));
    journal.append(about(0), largest.clone(), Durability::Synced).await.unwrap();
    journal.close();
    assert_eq!(open(folder.path()).records[0].bytes, largest);
}

#[tokio::test]
async fn a_closed_journal_refuses_and_what_was_appended_before_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).journal;
    let clone = journal.clone();
    let waiting: Vec<_> = (0..50)
        .map(|number| journal.append(about(number), b"x".to_vec(), Durability::Written))
        .collect();
    journal.close();
    for answer in join_all(waiting).await {
        answer.unwrap();
    }
    let refused = clone.append(about(0), Vec::new(), Durability::Written).await;
    assert!(matches!(refused, Err(JournalFailed::Closed)));
    drop(clone);
    assert_eq!(open(folder.path()).records.len(), 50);
}

#[tokio::test]
async fn the_figures_tell_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).journal;
    journal.append(about(0), vec![0; 100], Durability::Synced).await.unwrap();
    eventually(|| journal.figures().room_ahead, SMALL);
    eventually(|| journal.figures().segments, 1);
    let figures = journal.figures();
    assert_eq!((figures.bytes, figures.records, figures.newest), (SMALL, 1, 1));
    assert_eq!(figures.room, SMALL - 36 - 56 - 100);
    assert!(figures.syncs >= 1 && !figures.low && !figures.failing);
    assert_eq!(figures.last_error, None);
}
