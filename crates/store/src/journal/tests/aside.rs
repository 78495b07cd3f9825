//! What becomes of damage from opening to opening, until a person has seen to it.

use super::damage::{aside, firsts, flip, only, three_segments};
use super::*;
use crate::journal::framing::{RECORD_HEADER, SEGMENT_HEADER};

/// Where a byte of the only record of a segment is.
const IN_RECORD: usize = SEGMENT_HEADER + RECORD_HEADER + 5;

fn report(file: &Path) -> PathBuf {
    segment::report_path(file)
}

/// As a person moves away what was set aside.
fn see_to(file: &Path) -> Vec<u8> {
    let (from, away) = (aside(file), tempfile::NamedTempFile::new().unwrap());
    std::fs::copy(&from, away.path()).unwrap();
    std::fs::remove_file(from).unwrap();
    std::fs::read(away.path()).unwrap()
}

#[tokio::test]
async fn a_damaged_segment_goes_in_its_turn_and_its_bytes_stay() {
    let (folder, files) = three_segments().await;
    flip(&files[1], IN_RECORD);
    let damaged = std::fs::read(&files[1]).unwrap();
    let Opened { journal, records, damage } = open(folder.path());
    let told = only(&damage).to_string();
    assert!(
        damage[0].is_set_aside() && told.contains(aside(&files[1]).to_str().unwrap()),
        "{told}"
    );
    assert_eq!(std::fs::read(aside(&files[1])).unwrap(), damaged);
    // Of nobody: it waits for the one before it.
    eventually(|| journal.figures().segments, 3);
    assert_eq!(segments(folder.path(), &journal), [1, 2, 3]);
    drop(records);
    eventually(|| segments(folder.path(), &journal), vec![]);
    journal.close();
    for _ in 0..2 {
        // Without the segment it is told as before, and the number is not used again.
        let opened = open(folder.path());
        assert_eq!(only(&opened.damage).to_string(), told);
        let held = opened.journal.append(about(0), vec![1], Durability::Written).await.unwrap();
        assert!(held.segment() > 2);
        assert_eq!(std::fs::read(aside(&files[1])).unwrap(), damaged);
        let listed = set_aside(folder.path()).unwrap();
        assert_eq!(only(&listed).to_string(), told);
    }
    assert_eq!(see_to(&files[1]), damaged);
    assert!(set_aside(folder.path()).unwrap().is_empty());
    assert!(open(folder.path()).damage.is_empty());
    assert!(!report(&files[1]).exists() && !aside(&files[1]).exists());
}

#[tokio::test]
async fn what_was_seen_to_is_told_no_more_though_it_is_in_the_journal() {
    let (folder, files) = three_segments().await;
    flip(&files[1], IN_RECORD);
    only(&open(folder.path()).damage);
    see_to(&files[1]);
    for _ in 0..2 {
        let opened = open(folder.path());
        assert!(opened.damage.is_empty(), "{:?}", opened.damage);
        assert_eq!(firsts(&opened.records), "ac");
        assert!(!aside(&files[1]).exists());
    }
    // What happens to it later is another thing.
    flip(&files[1], SEGMENT_HEADER - 1);
    for _ in 0..2 {
        let opened = open(folder.path());
        assert!(matches!(only(&opened.damage).reason, DamageReason::SegmentStart));
        assert!(aside(&files[1]).exists());
    }
    see_to(&files[1]);
    let Opened { journal, records, damage } = open(folder.path());
    assert!(damage.is_empty());
    drop(records);
    eventually(|| segments(folder.path(), &journal), vec![]);
    journal.close();
    drop(open(folder.path()));
    assert!(!report(&files[1]).exists());
}

#[tokio::test]
async fn each_of_several_is_seen_to_by_itself() {
    let (folder, files) = three_segments().await;
    flip(&files[0], IN_RECORD);
    std::fs::remove_file(&files[1]).unwrap();
    let opened = open(folder.path());
    assert_eq!(firsts(&opened.records), "c");
    let told: Vec<&Path> = opened.damage.iter().map(|damage| &*damage.file).collect();
    assert_eq!(told, [aside(&files[0]), aside(&files[1])]);
    drop(opened);
    see_to(&files[0]);
    let opened = open(folder.path());
    assert_eq!(only(&opened.damage).file, aside(&files[1]));
    drop(opened.records);
    // The first went with the others, and what is missing is still told.
    eventually(|| segments(folder.path(), &opened.journal), vec![]);
    opened.journal.close();
    assert!(matches!(only(&open(folder.path()).damage).reason, DamageReason::Missing));
    see_to(&files[1]);
    assert!(open(folder.path()).damage.is_empty());
}

#[tokio::test]
async fn what_cannot_be_set_aside_stays_until_it_can() {
    let (folder, files) = three_segments().await;
    flip(&files[1], IN_RECORD);
    let damaged = std::fs::read(&files[1]).unwrap();
    // Somebody's.
    std::fs::create_dir(aside(&files[1])).unwrap();
    let opened = open(folder.path());
    let damage = only(&opened.damage);
    assert_eq!((damage.about, &damage.file), (Some(about(0)), &files[1]));
    assert!(!damage.is_set_aside());
    drop(opened.records);
    eventually(|| segments(folder.path(), &opened.journal), vec![2, 3]);
    opened.journal.close();
    assert_eq!(std::fs::read(&files[1]).unwrap(), damaged);
    std::fs::remove_dir(aside(&files[1])).unwrap();
    let opened = open(folder.path());
    only(&opened.damage);
    drop(opened.records);
    eventually(|| segments(folder.path(), &opened.journal), vec![]);
    assert_eq!(std::fs::read(aside(&files[1])).unwrap(), damaged);
}

#[tokio::test]
async fn neither_a_crash_before_the_report_nor_a_copy_of_the_folder_costs_anything() {
    let (folder, files) = three_segments().await;
    flip(&files[1], IN_RECORD);
    std::fs::hard_link(&files[1], aside(&files[1])).unwrap();
    assert!(only(&open(folder.path()).damage).is_set_aside());
    // Two files now.
    std::fs::remove_file(aside(&files[1])).unwrap();
    std::fs::copy(&files[1], aside(&files[1])).unwrap();
    assert!(only(&open(folder.path()).damage).is_set_aside());
}

#[tokio::test]
async fn of_a_damaged_report_that_is_told() {
    let (folder, files) = three_segments().await;
    flip(&files[0], IN_RECORD);
    let Opened { journal, records, .. } = open(folder.path());
    drop(records);
    eventually(|| segments(folder.path(), &journal), vec![]);
    journal.close();
    flip(&report(&files[0]), 30);
    for _ in 0..2 {
        let opened = open(folder.path());
        let damage = only(&opened.damage);
        assert!(matches!(damage.reason, DamageReason::Report(_)), "{damage:?}");
        assert_eq!((damage.about, &damage.file), (None, &aside(&files[0])));
    }
    see_to(&files[0]);
    assert!(open(folder.path()).damage.is_empty());
    assert!(!report(&files[0]).exists());
}
