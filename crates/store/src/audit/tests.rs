use super::{
    log::AuditLog,
    place::path,
    queue::MAX_WAITING,
    repeats::EACH,
    writer::{Append, Writer},
    *,
};
use innkeeper_model::{AuditEntry, AuditOutcome, Code, Timestamp, VmId};
use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(30);

fn entry(action: &str) -> AuditEntry {
    AuditEntry {
        caller: Some("uid:7".into()),
        ..AuditEntry::new(Timestamp::now(), action, AuditOutcome::Done)
    }
}

fn options(folder: &Path) -> AuditOptions {
    AuditOptions { folder: folder.join("audit"), file_size: 1 << 20, files: 4 }
}

fn start() -> (TempDir, AuditLog) {
    let folder = tempfile::tempdir().unwrap();
    let log = AuditLog::start(options(folder.path())).unwrap();
    (folder, log)
}

fn all(log: &AuditLog) -> (Vec<AuditEntry>, u64) {
    let page = read(log.folder(), &AuditQuery::default(), None, usize::MAX).unwrap();
    assert!(page.at_end);
    let entries = page.lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    (entries, page.unreadable)
}

fn actions(log: &AuditLog) -> Vec<String> {
    all(log).0.into_iter().map(|entry| entry.action).collect()
}

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "not within {LONG:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A disk with so much room, in bytes.
#[derive(Clone, Default)]
struct Room(Arc<AtomicU64>);

impl Append for Room {
    fn append(&mut self, mut file: &File, bytes: &[u8]) -> io::Result<usize> {
        let room = usize::try_from(self.0.load(Ordering::SeqCst)).unwrap();
        if room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let length = file.write(&bytes[..bytes.len().min(room)])?;
        self.0.fetch_sub(length as u64, Ordering::SeqCst);
        Ok(length)
    }
}

#[test]
fn what_is_recorded_is_read_in_order_and_kept_from_others() {
    let (_folder, log) = start();
    for number in 0..1000 {
        log.record(entry(&number.to_string()));
    }
    log.end(LONG);
    let expected: Vec<_> = (0..1000).map(|number| number.to_string()).collect();
    assert_eq!(actions(&log), expected);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(log.folder()), 0o700);
    assert_eq!(mode(&path(log.folder(), 1)), 0o600);
    let diagnosis = log.diagnose();
    assert_eq!((diagnosis.written, diagnosis.lost, diagnosis.waiting), (1000, 0, 0));
    assert_eq!((diagnosis.files, diagnosis.problem), (1, None));
    log.record(entry("too late"));
    assert_eq!(log.diagnose().lost, 1);
}

#[test]
fn dropping_the_last_of_it_writes_what_waits() {
    let (folder, log) = start();
    log.record(entry("one"));
    let file = path(log.folder(), 1);
    drop(log);
    until("the line", || {
        fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n') && text.contains("one"))
    });
    drop(folder);
}

#[test]
fn files_are_bounded_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    let options = AuditOptions { file_size: 2000, files: 3, ..options(folder.path()) };
    let log = AuditLog::start(options).unwrap();
    for number in 0..500 {
        log.record(entry(&number.to_string()));
    }
    log.end(LONG);
    let files: Vec<_> = fs::read_dir(log.folder()).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 3);
    for file in &files {
        assert!(file.metadata().unwrap().len() <= 2000 + 200, "{file:?}");
    }
    let found = actions(&log);
    let newest: Vec<_> = (500 - found.len()..500).map(|number| number.to_string()).collect();
    assert!(found.len() > 20);
    assert_eq!(found, newest, "a line is missing within");
    assert!(log.diagnose().size.0 <= 3 * 2200);
}

#[test]
fn the_last_lines_are_found_over_all_files() {
    let folder = tempfile::tempdir().unwrap();
    let options = AuditOptions { file_size: 2000, files: 100, ..options(folder.path()) };
    assert_eq!(before_last(&options.folder, 7).unwrap(), Place::default(), "there is no folder");
    let log = AuditLog::start(options).unwrap();
    for number in 0..300 {
        log.record(entry(&number.to_string()));
    }
    log.end(LONG);
    let all = actions(&log);
    let query = AuditQuery::default();
    let mut files = std::collections::BTreeSet::new();
    for count in 1..=310 {
        let place = before_last(log.folder(), count).unwrap();
        files.insert(place.file);
        let page = read(log.folder(), &query, Some(place), usize::MAX).unwrap();
        let found: Vec<AuditEntry> =
            page.lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let found: Vec<&str> = found.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(found, all[300_usize.saturating_sub(count)..], "the last {count}");
        assert_eq!(page.unreadable, 0);
    }
    assert!(files.len() > 5, "{files:?}");
    // None are as good as one, and what was cut short is one.
    assert_eq!(before_last(log.folder(), 0).unwrap(), before_last(log.folder(), 1).unwrap());
    let newest = path(log.folder(), *files.last().unwrap());
    File::options().append(true).open(newest).unwrap().write_all(b"{\"at").unwrap();
    let page = read(log.folder(), &query, Some(before_last(log.folder(), 2).unwrap()), 10).unwrap();
    assert_eq!(page.lines.len(), 1);
}

#[test]
fn a_line_that_a_kill_cut_short_is_passed_over_and_counted() {
    let (folder, log) = start();
    log.record(entry("before"));
    log.end(LONG);
    let file = path(log.folder(), 1);
    let torn = File::options().append(true).open(&file).unwrap();
    (&torn).write_all(br#"{"at":"2026-01-01T00:0"#).unwrap();
    // Nobody knows yet that nothing comes.
    assert_eq!(all(&log).1, 0);
    let log = AuditLog::start(options(folder.path())).unwrap();
    log.record(entry("after"));
    log.end(LONG);
    assert_eq!(actions(&log), ["before", "after"]);
    assert_eq!(all(&log).1, 1);
    assert_eq!(log.diagnose().torn, 1);
}

#[test]
fn a_full_disk_stops_nobody_and_what_it_took_is_counted_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let room = Room::default();
    let log = AuditLog::start_with(options(folder.path()), room.clone()).unwrap();
    for number in 0..100 {
        log.record(entry(&number.to_string()));
    }
    until("it is known that lines are lost", || log.diagnose().lost == 100);
    assert!(log.diagnose().problem.is_some());
    // Room for the line that tells of them, for a line, and for half of one.
    log.record(entry("waits"));
    until("that is lost as well", || log.diagnose().lost == 101);
    room.0.store(400, Ordering::SeqCst);
    for number in 0..10 {
        log.record(entry(&number.to_string()));
    }
    until("the disk is full again", || log.diagnose().lost > 101);
    room.0.store(u64::MAX >> 1, Ordering::SeqCst);
    log.record(entry("last"));
    log.end(LONG);
    let (entries, unreadable) = all(&log);
    assert_eq!((entries[0].outcome, entries[0].count), (AuditOutcome::Lost, Some(101)));
    assert_eq!(entries[1].action, "0");
    assert_eq!(entries.last().unwrap().action, "last");
    assert!(unreadable <= 1);
    let told: u64 = entries
        .iter()
        .filter(|line| line.outcome == AuditOutcome::Lost)
        .filter_map(|line| line.count)
        .sum();
    let diagnosis = log.diagnose();
    assert_eq!(told, diagnosis.lost, "lines are missing that nobody tells of");
    assert_eq!(diagnosis.written + diagnosis.lost, 112);
    assert_eq!(diagnosis.problem, None);
}

/// A disk that hangs until it is let go.
#[derive(Clone, Default)]
struct Hanging(Arc<(Mutex<bool>, Condvar)>);

impl Append for Hanging {
    fn append(&mut self, mut file: &File, bytes: &[u8]) -> io::Result<usize> {
        let (goes, changed) = &*self.0;
        drop(changed.wait_while(goes.lock().unwrap(), |goes| !*goes).unwrap());
        file.write(bytes)
    }
}

#[test]
fn a_disk_that_hangs_holds_nobody_up_and_takes_no_memory_without_bound() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Hanging::default();
    let log = AuditLog::start_with(options(folder.path()), disk.clone()).unwrap();
    let total = 3 * MAX_WAITING;
    for number in 0..total {
        log.record(entry(&number.to_string()));
    }
    let begun = Instant::now();
    log.end(Duration::from_millis(20));
    assert!(begun.elapsed() < LONG, "the end waited for the disk");
    let diagnosis = log.diagnose();
    assert!(diagnosis.waiting as usize <= MAX_WAITING);
    assert!(diagnosis.lost as usize >= total - 3 * MAX_WAITING);
    *disk.0.0.lock().unwrap() = true;
    disk.0.1.notify_all();
    log.end(LONG);
    let diagnosis = log.diagnose();
    assert_eq!((diagnosis.written + diagnosis.lost) as usize, total);
}

#[test]
fn a_folder_that_cannot_be_made_is_told_and_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder.path().join("later"));
    let log = AuditLog::start(options).unwrap();
    log.record(entry("one"));
    until("it is told", || log.diagnose().problem.is_some() && log.diagnose().lost == 1);
    fs::create_dir(folder.path().join("later")).unwrap();
    log.record(entry("two"));
    log.end(LONG);
    assert_eq!(actions(&log), ["audit", "two"]);
}

#[test]
fn a_link_in_the_files_place_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("target");
    fs::write(&target, "kept").unwrap();
    fs::create_dir(folder.path().join("audit")).unwrap();
    std::os::unix::fs::symlink(&target, path(&folder.path().join("audit"), 1)).unwrap();
    let log = AuditLog::start(options(folder.path())).unwrap();
    log.record(entry("one"));
    log.end(LONG);
    assert_eq!(fs::read_to_string(&target).unwrap(), "kept");
    assert!(log.diagnose().problem.is_some());
}

#[test]
fn refusals_without_end_leave_room_for_what_was_done() {
    let (_folder, log) = start();
    for port in 0..10_000 {
        log.record_refusal(AuditEntry {
            address: Some(format!("127.0.0.1:{port}")),
            code: Some(Code::Unauthenticated),
            outcome: AuditOutcome::Refused,
            ..AuditEntry::new(Timestamp::now(), "GET /v1/vms", AuditOutcome::Refused)
        });
    }
    log.end(LONG);
    let (entries, _) = all(&log);
    assert_eq!(entries.len() as u64, EACH + 1);
    assert_eq!(entries.last().unwrap().count, Some(10_000 - EACH));
}

#[test]
fn texts_of_callers_are_cut() {
    let (_folder, log) = start();
    log.record(AuditEntry { subject: Some("é".repeat(100_000)), ..entry("create") });
    log.end(LONG);
    let (entries, _) = all(&log);
    assert!(entries[0].subject.as_ref().unwrap().len() < 300);
}

#[test]
fn what_is_asked_for_is_found_page_by_page_over_all_files() {
    let folder = tempfile::tempdir().unwrap();
    let options = AuditOptions { file_size: 1500, files: 100, ..options(folder.path()) };
    let log = AuditLog::start(options).unwrap();
    let vm = VmId::new();
    for number in 0..300_i64 {
        log.record(AuditEntry {
            at: Timestamp::from_second(1_000 + number).unwrap(),
            caller: Some(format!("uid:{}", number % 3)),
            vm: (number % 5 == 0).then_some(vm),
            subject: Some(format!("vm-{}", number % 7)),
            ..entry(if number % 2 == 0 { "start" } else { "stop" })
        });
    }
    log.end(LONG);
    let count = |query: AuditQuery| {
        let (mut place, mut found) = (None, 0);
        loop {
            let page = read(log.folder(), &query, place, 7).unwrap();
            assert!(page.lines.len() <= 7);
            found += page.lines.len();
            if page.at_end {
                return found;
            }
            place = Some(page.place);
        }
    };
    let none = AuditQuery::default;
    assert_eq!(count(none()), 300);
    assert_eq!(count(AuditQuery { caller: Some("uid:1".into()), ..none() }), 100);
    assert_eq!(count(AuditQuery { action: Some("stop".into()), ..none() }), 150);
    assert_eq!(count(AuditQuery { vm: Some(vm.to_string()), ..none() }), 60);
    assert_eq!(count(AuditQuery { vm: Some("vm-6".into()), ..none() }), 42);
    let at = |second| Some(Timestamp::from_second(second).unwrap());
    assert_eq!(count(AuditQuery { since: at(1_290), ..none() }), 10);
    assert_eq!(count(AuditQuery { since: at(1_010), until: at(1_019), ..none() }), 10);
    assert_eq!(count(AuditQuery { since: at(0), ..none() }), 300);
    assert_eq!(count(AuditQuery { since: at(5_000), ..none() }), 0);
}

#[test]
fn a_line_is_found_though_the_next_file_begins_with_an_older_one() {
    let folder = tempfile::tempdir().unwrap();
    // A line a file; the count of repeats has the time of the last of them.
    let options = AuditOptions { file_size: 1, files: 100, ..options(folder.path()) };
    let log = AuditLog::start(options).unwrap();
    let now = Timestamp::now();
    let ago = |seconds| now.checked_sub(Duration::from_secs(seconds)).unwrap();
    for (action, at) in [("long ago", ago(900)), ("wanted", ago(10)), ("repeats", ago(60))] {
        log.record(AuditEntry { at, ..entry(action) });
    }
    log.end(LONG);
    let found = |since| {
        let query = AuditQuery { since: Some(since), ..AuditQuery::default() };
        let page = read(log.folder(), &query, None, 10).unwrap();
        assert!(page.at_end);
        (page.lines.len(), page.lines.iter().any(|line| line.contains("wanted")))
    };
    assert_eq!(found(ago(30)), (1, true));
    assert_eq!(found(ago(100)), (2, true));
    // What was not written to since is not looked at.
    let old = File::options().append(true).open(path(log.folder(), 1)).unwrap();
    old.set_modified(ago(500).into()).unwrap();
    let query = AuditQuery { since: Some(ago(100)), ..AuditQuery::default() };
    assert_eq!(read(log.folder(), &query, None, 0).unwrap().place.file, 2);
}

#[test]
fn a_reader_goes_on_where_it_was() {
    let (_folder, log) = start();
    let mut place = None;
    for number in 0..5 {
        log.record(entry(&number.to_string()));
        let mut found = Vec::new();
        until("the line", || {
            let page = read(log.folder(), &AuditQuery::default(), place, 10).unwrap();
            place = Some(page.place);
            found.extend(page.lines);
            !found.is_empty()
        });
        assert!(found.len() == 1 && found[0].contains(&format!("\"{number}\"")), "{found:?}");
    }
}

#[test]
fn a_line_without_an_end_is_passed_over_in_bounded_memory() {
    let (folder, log) = start();
    log.record(entry("before"));
    log.end(LONG);
    let mut file = File::options().append(true).open(path(log.folder(), 1)).unwrap();
    let blob = vec![b'x'; 1 << 20];
    (0..40).for_each(|_| file.write_all(&blob).unwrap());
    file.write_all(b"\n\xff\n[]\n{}\n").unwrap();
    let log =
        AuditLog::start(AuditOptions { file_size: 1 << 30, ..options(folder.path()) }).unwrap();
    log.record(entry("after"));
    log.end(LONG);
    let (mut place, mut found, mut unreadable) = (None, Vec::new(), 0);
    loop {
        let page = read(log.folder(), &AuditQuery::default(), place, 10).unwrap();
        found.extend(page.lines);
        unreadable += page.unreadable;
        if page.at_end {
            break;
        }
        assert!(place < Some(page.place), "it does not get on");
        place = Some(page.place);
    }
    assert_eq!((found.len(), unreadable), (2, 4));
    // Nor is it all looked at from the end.
    let within = before_last(log.folder(), 100).unwrap();
    assert!(within.offset > 4 << 20, "{within}");
}

#[test]
fn places_read_as_they_are_written() {
    let place = Place { file: 7, offset: 12 };
    assert_eq!(place.to_string().parse(), Ok(place));
    assert!(format!("7-{}", i64::MAX).parse::<Place>().is_ok());
    let beyond = format!("7-{}", 1_u64 << 63);
    for wrong in ["", "7", "7-", "-7", "a-b", "7-12-1", &beyond] {
        assert!(wrong.parse::<Place>().is_err(), "{wrong}");
    }
    assert!(Place { file: 7, offset: 99 } < Place { file: 8, offset: 0 });
}

#[test]
fn a_file_that_somebody_took_away_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(
        folder.path().join("audit"),
        1 << 20,
        4,
        Room(Arc::new(AtomicU64::new(1 << 20))),
    );
    assert_eq!(writer.write(&[entry("one")]).lines, 1);
    fs::remove_file(path(&folder.path().join("audit"), 1)).unwrap();
    writer.sync_now().unwrap();
    assert_eq!(writer.write(&[entry("two")]).lines, 1);
    let page = read(&folder.path().join("audit"), &AuditQuery::default(), None, 10).unwrap();
    assert_eq!(page.lines.len(), 1);
}
