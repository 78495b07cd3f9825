//! What a disk can do to a journal that is closed.

use super::*;
use crate::journal::framing::{RECORD_HEADER, SEGMENT_HEADER, frame_length};

/// A closed journal of one segment, with these texts as its records.
async fn closed(texts: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).journal;
    for (number, text) in texts.iter().enumerate() {
        let bytes = text.as_bytes().to_vec();
        journal.append(about(number as u128), bytes, Durability::Synced).await.unwrap();
    }
    let file = segment::path(folder.path(), journal.newest());
    journal.close();
    (folder, file)
}

/// Where the record of this number starts, all of this length.
fn start(number: usize, length: usize) -> usize {
    SEGMENT_HEADER + number * frame_length(length) as usize
}

pub(super) fn flip(file: &Path, at: usize) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(file, bytes).unwrap();
}

/// What is set aside of a segment.
pub(super) fn aside(file: &Path) -> PathBuf {
    segment::damaged_path(file)
}

pub(super) fn only(damage: &[Damage]) -> &Damage {
    assert_eq!(damage.len(), 1, "{damage:?}");
    &damage[0]
}

#[tokio::test]
async fn a_torn_end_is_dropped_in_silence_wherever_it_is_torn() {
    let (folder, file) = closed(&["one", "two", "six"]).await;
    let whole = std::fs::read(&file).unwrap();
    let (from, to) = (start(2, 3), start(3, 3));
    let cut = |at: usize| whole[..at].to_vec();
    let zeroed = |at: usize| [&whole[..at], &vec![0; whole.len() - at]].concat();
    let garbled = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at..to].iter_mut().for_each(|byte| *byte = byte.wrapping_add(7));
        bytes
    };
    for at in from..to {
        for (how, bytes) in [("cut", cut(at)), ("zeroed", zeroed(at)), ("garbled", garbled(at))] {
            std::fs::write(&file, bytes).unwrap();
            let opened = open(folder.path());
            assert!(opened.damage.is_empty(), "{how} at {at}: {:?}", opened.damage);
            assert_eq!(texts(&opened.records), ["one", "two"], "{how} at {at}");
        }
    }
}

#[tokio::test]
async fn what_was_torn_once_is_no_damage_later() {
    let (folder, file) = closed(&["one", "two"]).await;
    flip(&file, start(2, 3) - 1);
    let opened = open(folder.path());
    assert_eq!(texts(&opened.records), ["one"]);
    opened.journal.append(about(0), b"new".to_vec(), Durability::Written).await.unwrap();
    opened.journal.close();
    drop(opened.records);
    let opened = open(folder.path());
    assert!(opened.damage.is_empty(), "{:?}", opened.damage);
    assert_eq!(texts(&opened.records), ["one", "new"]);
}

#[tokio::test]
async fn a_damaged_record_is_named_and_all_others_are_served() {
    for (synced, damaged) in [(true, 0), (true, 1), (false, 2)] {
        let (folder, file) = closed(&["one", "two", "six", "ten"]).await;
        let at = start(damaged, 3);
        flip(&file, at + RECORD_HEADER);
        let opened = open(folder.path());
        let damage = only(&opened.damage);
        assert_eq!(damage.about, Some(about(damaged as u128)));
        assert_eq!((&damage.file, damage.offset), (&aside(&file), at as u64));
        assert_eq!(damage.length, frame_length(3));
        assert!(matches!(damage.reason, DamageReason::Record));
        // The third was synced only when the fourth had its header already: that one cannot know.
        assert_eq!(damage.synced, synced || damaged < 3, "record {damaged}");
        let mut others = vec!["one", "two", "six", "ten"];
        others.remove(damaged);
        assert_eq!(texts(&opened.records), others);
    }
}

#[tokio::test]
async fn what_a_lost_header_hides_is_damage_of_somebody_unknown() {
    for (from, to, left) in [
        (start(1, 3), start(1, 3) + 1, vec!["one", "six", "ten"]),
        (start(0, 3) + 8, start(2, 3) - 9, vec!["six", "ten"]),
        (start(1, 3) + RECORD_HEADER - 1, start(3, 3) - 3, vec!["one", "ten"]),
    ] {
        let (folder, file) = closed(&["one", "two", "six", "ten"]).await;
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[from..to].iter_mut().for_each(|byte| *byte ^= 0xff);
        std::fs::write(&file, bytes).unwrap();
        let opened = open(folder.path());
        let damage = only(&opened.damage);
        assert_eq!((damage.about, &damage.file), (None, &aside(&file)));
        assert!(matches!(damage.reason, DamageReason::Unreadable), "{damage:?}");
        assert!(damage.offset as usize <= from && (damage.offset + damage.length) as usize >= to);
        assert_eq!(texts(&opened.records), left);
    }
}

#[tokio::test]
async fn zeros_in_the_middle_are_damage_too() {
    let (folder, file) = closed(&["one", "two", "six", "ten"]).await;
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[start(1, 3)..start(3, 3)].fill(0);
    std::fs::write(&file, bytes).unwrap();
    let opened = open(folder.path());
    let damage = only(&opened.damage);
    assert_eq!((damage.about, damage.offset), (None, start(1, 3) as u64));
    assert_eq!(texts(&opened.records), ["one", "ten"]);
}

#[tokio::test]
async fn a_lost_start_of_a_segment_is_damage_and_its_records_count() {
    for fill in [0, 0xaa] {
        let (folder, file) = closed(&["one", "two"]).await;
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[..SEGMENT_HEADER].fill(fill);
        std::fs::write(&file, bytes).unwrap();
        let opened = open(folder.path());
        let damage = only(&opened.damage);
        assert!(matches!(damage.reason, DamageReason::SegmentStart) && damage.synced);
        assert_eq!(texts(&opened.records), ["one", "two"]);
    }
}

/// A closed journal of three segments, with a record in each.
pub(super) async fn three_segments() -> (tempfile::TempDir, [PathBuf; 3]) {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).journal;
    let mut held = Vec::new();
    for number in 0..3 {
        let bytes = vec![b'a' + number; SMALL as usize * 2 / 3];
        held.push(journal.append(about(0), bytes, Durability::Written).await.unwrap());
    }
    journal.close();
    let files = [1, 2, 3].map(|number| segment::path(folder.path(), number));
    (folder, files)
}

pub(super) fn firsts(records: &[Found]) -> String {
    records.iter().map(|found| char::from(found.bytes[0])).collect()
}

#[tokio::test]
async fn a_missing_segment_is_damage() {
    let (folder, files) = three_segments().await;
    std::fs::remove_file(&files[1]).unwrap();
    let opened = open(folder.path());
    let damage = only(&opened.damage);
    assert_eq!((damage.about, &damage.file, damage.length), (None, &aside(&files[1]), 0));
    assert!(matches!(damage.reason, DamageReason::Missing) && damage.synced);
    assert_eq!(firsts(&opened.records), "ac");
    // It is said again until somebody has seen to it.
    opened.journal.close();
    only(&open(folder.path()).damage);
    std::fs::remove_file(aside(&files[1])).unwrap();
    assert!(open(folder.path()).damage.is_empty());
}

#[tokio::test]
async fn a_segment_of_which_nothing_can_be_read_is_damage() {
    for number in 0..3 {
        let (folder, files) = three_segments().await;
        let length = files[number].metadata().unwrap().len() as usize;
        std::fs::write(&files[number], vec![0xaa; length]).unwrap();
        let opened = open(folder.path());
        assert!(!opened.damage.is_empty());
        assert!(opened.damage.iter().all(|damage| damage.file == aside(&files[number])));
        assert_eq!(opened.records.len(), 2);
    }
}

#[tokio::test]
async fn a_segment_that_lost_its_end_is_damage_unless_it_is_the_last() {
    let (folder, files) = three_segments().await;
    let keep = |file: &Path, length: usize| {
        let bytes = std::fs::read(file).unwrap();
        std::fs::write(file, &bytes[..length]).unwrap();
    };
    keep(&files[0], 1000);
    keep(&files[1], 50);
    keep(&files[2], 1000);
    let opened = open(folder.path());
    let [first, second] = opened.damage.as_slice() else { panic!("{:?}", opened.damage) };
    assert_eq!((&first.file, first.about), (&aside(&files[0]), Some(about(0))));
    assert_eq!((&second.file, second.about), (&aside(&files[1]), None));
    assert!(opened.records.is_empty());
}

#[tokio::test]
async fn a_segment_that_was_cut_to_nothing_is_damage_be_it_the_last() {
    let (folder, files) = three_segments().await;
    std::fs::write(&files[2], "").unwrap();
    let opened = open(folder.path());
    let damage = only(&opened.damage);
    assert_eq!((&damage.file, damage.about), (&aside(&files[2]), None));
    assert_eq!(firsts(&opened.records), "ab");
}

#[tokio::test]
async fn a_newer_format_is_refused_by_name_and_nothing_is_touched() {
    let (folder, files) = three_segments().await;
    let newer = [b"INNJRNL\n".as_slice(), &9_u32.to_le_bytes()].concat();
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &newer) as u32;
    let newer = [newer, crc.to_le_bytes().to_vec(), vec![7; 100]].concat();
    std::fs::write(&files[2], newer).unwrap();
    std::fs::write(folder.path().join(".tmp-1-2-3"), "half a segment").unwrap();
    let contents = || {
        let entries = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| (std::fs::read(&path).unwrap(), path)).collect::<Vec<_>>()
    };
    let before = contents();
    let failed = Journal::open(small(folder.path())).unwrap_err();
    let JournalFailed::TooNew { file, found: 9, known: 1 } = &failed else { panic!("{failed}") };
    assert_eq!(file, &files[2]);
    assert_eq!(contents(), before);
}

#[tokio::test]
async fn a_file_that_the_host_cannot_read_is_damage() {
    let (folder, files) = three_segments().await;
    std::fs::remove_file(&files[1]).unwrap();
    std::fs::create_dir(&files[1]).unwrap();
    let opened = open(folder.path());
    assert_eq!(firsts(&opened.records), "ac");
    // A folder cannot have a second name.
    assert!(opened.damage.iter().all(|damage| damage.file == files[1]));
    assert!(opened.damage.iter().any(|damage| matches!(damage.reason, DamageReason::Io(_))));
    drop(opened.records);
    eventually(|| segments(folder.path(), &opened.journal), vec![2, 3]);
    assert!(files[1].is_dir());
}

#[tokio::test]
async fn what_is_no_file_is_damage_and_nobody_waits_for_it() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let (folder, files) = three_segments().await;
    std::fs::remove_file(&files[1]).unwrap();
    mknodat(CWD, &files[1], FileType::Fifo, Mode::RUSR, 0).unwrap();
    let opened = open(folder.path());
    assert_eq!(firsts(&opened.records), "ac");
    assert!(opened.damage.iter().any(|damage| matches!(damage.reason, DamageReason::Io(_))));
}
