use super::*;
use innkeeper_model::{TaskState, VmId};
use redb::{BackendError, DatabaseError, StorageBackend, backends::FileBackend};
use std::{
    io::{BufRead, BufReader},
    ops::Bound,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

fn task(subject: &str) -> Task {
    Task {
        id: TaskId::new(),
        operation: "start".into(),
        vm: Some(VmId::new()),
        subject: subject.into(),
        caller: "uid 0".into(),
        ..serde_json::from_str(
            r#"{"id": "0192b4f2-0000-7000-8000-000000000000", "operation": "", "subject": "",
                "caller": "", "state": "done", "cancellable": false,
                "created": "2026-01-01T00:00:00Z", "steps": []}"#,
        )
        .unwrap()
    }
}

fn tasks(count: usize) -> Vec<Task> {
    (0..count).map(|number| task(&format!("vm-{number}"))).collect()
}

fn open(file: &Path) -> TaskHistory {
    let opened = TaskHistory::open(file).unwrap();
    assert_eq!(opened.lost, None);
    opened.history
}

struct Fixture {
    folder: tempfile::TempDir,
    file: PathBuf,
    history: TaskHistory,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.redb");
    let history = open(&file);
    Fixture { folder, file, history }
}

fn subjects(tasks: &[Task]) -> Vec<&str> {
    tasks.iter().map(|task| task.subject.as_str()).collect()
}

#[test]
fn what_is_remembered_is_found_after_opening_again() {
    let Fixture { folder: _folder, file, history } = fixture();
    let mut all = tasks(3);
    history.put(&all).unwrap();
    all[1].state = TaskState::Failed;
    history.put(&all[1..2]).unwrap();
    history.put(&[]).unwrap();
    drop(history);
    let history = open(&file);
    assert_eq!(history.get(all[1].id).unwrap().as_ref(), Some(&all[1]));
    assert_eq!(history.get(TaskId::new()).unwrap(), None);
    assert_eq!(history.len().unwrap(), 3);
    assert!(!history.is_empty().unwrap() && history.file_size() > 0);
}

#[test]
fn the_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = fixture();
    assert_eq!(fixture.file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_newest_come_first_and_the_others_a_page_at_a_time() {
    let Fixture { folder: _folder, history, .. } = fixture();
    let all = tasks(5);
    // Whatever the order in which they ended.
    history.put(&[all[3].clone(), all[0].clone(), all[4].clone()]).unwrap();
    history.put(&[all[1].clone(), all[2].clone()]).unwrap();
    let page = history.newest(2).unwrap();
    assert_eq!(subjects(&page), ["vm-4", "vm-3"]);
    let page = history.before(page[1].id, 2).unwrap();
    assert_eq!(subjects(&page), ["vm-2", "vm-1"]);
    assert_eq!(subjects(&history.before(page[1].id, 2).unwrap()), ["vm-0"]);
    assert!(history.before(all[0].id, 2).unwrap().is_empty());
    assert!(history.newest(0).unwrap().is_empty());
}

#[test]
fn the_oldest_beyond_a_count_are_forgotten() {
    let Fixture { folder: _folder, history, .. } = fixture();
    history.put(&tasks(2 * PRUNED_AT_ONCE + 10)).unwrap();
    assert_eq!(history.prune(usize::MAX, Timestamp::UNIX_EPOCH).unwrap(), 0);
    assert_eq!(history.prune(7, Timestamp::UNIX_EPOCH).unwrap(), 2 * PRUNED_AT_ONCE + 3);
    assert_eq!(history.len().unwrap(), 7);
    let newest = format!("vm-{}", 2 * PRUNED_AT_ONCE + 9);
    assert_eq!(history.newest(1).unwrap()[0].subject, newest);
}

#[test]
fn those_of_before_a_time_are_forgotten() {
    let Fixture { folder: _folder, history, .. } = fixture();
    let at = |milliseconds: u128| {
        let id = TaskId::from_uuid(uuid::Uuid::from_u128(milliseconds << 80 | 7 << 76 | 99));
        Task { id, ..task(&milliseconds.to_string()) }
    };
    history.put(&[at(1000), at(1999), at(2000), at(3000)]).unwrap();
    let time = Timestamp::from_millisecond(2000).unwrap();
    assert_eq!(history.prune(usize::MAX, time).unwrap(), 2);
    assert_eq!(subjects(&history.newest(9).unwrap()), ["3000", "2000"]);
    assert_eq!(history.prune(usize::MAX, Timestamp::MIN).unwrap(), 0);
}

#[test]
fn a_task_that_this_version_cannot_read_is_left_out() {
    let Fixture { folder: _folder, history, .. } = fixture();
    let all = tasks(3);
    history.put(&all).unwrap();
    history
        .with(|database| {
            let write = database::begin_write(database)?;
            write.open_table(TASKS)?.insert(key(all[1].id), b"{\"id\": 7}".as_slice())?;
            Ok(write.commit()?)
        })
        .unwrap();
    assert_eq!(subjects(&history.newest(2).unwrap()), ["vm-2", "vm-0"]);
    assert_eq!(history.get(all[1].id).unwrap(), None);
}

/// Opens what is no history, and asserts that it was moved aside and can be gone on without.
fn is_moved_aside(write: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.redb");
    write(&file);
    let aside = folder.path().join("tasks.redb.damaged-1");
    let OpenedHistory { history, lost } = TaskHistory::open(&file).unwrap();
    let lost = lost.expect("it was used");
    assert!(
        lost.contains(file.to_str().unwrap()) && lost.contains(aside.to_str().unwrap()),
        "{lost}"
    );
    assert!(aside.is_file());
    history.put(&tasks(1)).unwrap();
    drop(history);
    assert_eq!(open(&file).len().unwrap(), 1);
}

#[test]
fn a_file_that_is_no_history_is_moved_aside() {
    is_moved_aside(|file| fs::write(file, "no database, but a text that somebody left").unwrap());
    is_moved_aside(|file| fs::write(file, vec![0; 100_000]).unwrap());
    // Another program's database.
    is_moved_aside(|file| {
        let database = redb::Database::create(file).unwrap();
        let write = database.begin_write().unwrap();
        write.open_table(redb::TableDefinition::<u64, u64>::new("else")).unwrap();
        write.commit().unwrap();
    });
    // A newer version's.
    is_moved_aside(|file| {
        let history = open(file);
        let database = history.database().unwrap();
        let write = database.begin_write().unwrap();
        let about = redb::TableDefinition::<&str, u64>::new("about");
        write.open_table(about).unwrap().insert("schema", 9).unwrap();
        write.commit().unwrap();
    });
}

#[test]
fn a_damaged_history_is_moved_aside_wherever_it_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let history = open(&whole);
    history.put(&tasks(500)).unwrap();
    drop(history);
    let whole = fs::read(&whole).unwrap();
    // Page by page, and cut at each.
    for (number, page) in (0..whole.len()).step_by(4096).enumerate() {
        for cut in [false, true] {
            let mut bytes = whole.clone();
            if cut {
                bytes.truncate(page);
            } else {
                bytes[page..page + 4096].iter_mut().for_each(|byte| *byte = byte.wrapping_add(3));
            }
            let file = folder.path().join(format!("{number}-{cut}"));
            fs::write(&file, bytes).unwrap();
            let OpenedHistory { history, .. } = TaskHistory::open(&file).unwrap();
            // Some damage shows only now, or never, as not every page is in use.
            let found = history.newest(1000).unwrap();
            assert!(found.len() <= 500);
            history.put(&tasks(3)).unwrap();
            assert!(history.newest(3).unwrap().len() == 3);
            drop(history);
            drop(fs::remove_file(&file));
        }
    }
}

/// A disk that fails when it is told to.
#[derive(Debug, Clone, Default)]
struct Failing(Arc<AtomicBool>);

#[derive(Debug)]
struct FailingFile(FileBackend, Failing);

impl Open for Failing {
    fn open(
        &self,
        builder: &redb::Builder,
        file: fs::File,
    ) -> Result<redb::Database, DatabaseError> {
        builder.create_with_backend(FailingFile(FileBackend::new(file)?, self.clone()))
    }
}

impl FailingFile {
    fn refuse(&self) -> std::io::Result<()> {
        if self.1.0.load(Ordering::Relaxed) {
            return Err(rustix::io::Errno::NOSPC.into());
        }
        Ok(())
    }
}

impl StorageBackend for FailingFile {
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.refuse()?;
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.refuse()?;
        self.0.write(offset, data)
    }

    fn close(&self) -> std::io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.unlock_range(start, end)
    }
}

#[test]
fn a_full_disk_is_told_and_the_history_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let (file, disk) = (folder.path().join("tasks.redb"), Failing::default());
    let OpenedHistory { history, .. } =
        TaskHistory::open_with(&file, Arc::new(disk.clone())).unwrap();
    let all = tasks(4);
    history.put(&all[..1]).unwrap();
    disk.0.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        let refusal = Refusal::from(history.put(&all[1..2]).unwrap_err());
        assert_eq!(refusal.code, Code::OutOfSpace, "{refusal:?}");
        assert!(refusal.message.contains("tasks.redb"), "{}", refusal.message);
    }
    disk.0.store(false, Ordering::Relaxed);
    history.put(&all[2..]).unwrap();
    assert_eq!(subjects(&history.newest(9).unwrap()), ["vm-3", "vm-2", "vm-0"]);
    drop(history);
    assert_eq!(open(&file).len().unwrap(), 3);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_file_that_the_host_does_not_let_be_opened_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("tasks.redb")).unwrap();
    let failed = TaskHistory::open(&folder.path().join("tasks.redb")).unwrap_err();
    assert!(failed.to_string().contains("tasks.redb"), "{failed}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Where the child's history is; that it is set makes a child of the test.
const FILE: &str = "INNKEEPER_TEST_HISTORY";

/// Counts what was repaired; after a crash that must be nothing.
#[derive(Debug, Default)]
struct Watched(Arc<AtomicBool>);

impl Open for Watched {
    fn open(&self, _: &redb::Builder, file: fs::File) -> Result<redb::Database, DatabaseError> {
        let mut builder = redb::Database::builder();
        let repaired = Arc::clone(&self.0);
        builder.set_repair_callback(move |_| repaired.store(true, Ordering::Relaxed));
        builder.create_with_backend(FileBackend::new(file)?)
    }
}

#[test]
fn what_was_remembered_survives_kill_9_and_takes_no_repair() {
    if let Some(file) = std::env::var_os(FILE) {
        let history = open(Path::new(&file));
        for round in 1.. {
            history.put(&tasks(20)).unwrap();
            println!("remembered {}", round * 20);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.redb");
    let mut expected = 0;
    for after in [1, 2, 5, 30, 150] {
        let test = "tasks::tests::what_was_remembered_survives_kill_9_and_takes_no_repair";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(FILE, &file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = 0;
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        for (round, line) in
            lines.filter_map(|line| line.strip_prefix("remembered ")?.parse().ok()).enumerate()
        {
            said = line;
            if round == after {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(said >= after as u64 * 20, "the child ended early");
        expected += said;
        let watched = Watched::default();
        let repaired = Arc::clone(&watched.0);
        let opened = TaskHistory::open_with(&file, Arc::new(watched)).unwrap();
        assert!(opened.lost.is_none() && !repaired.load(Ordering::Relaxed));
        let found = opened.history.len().unwrap();
        assert!(found >= expected, "{found} of {expected}");
        expected = found;
    }
}
