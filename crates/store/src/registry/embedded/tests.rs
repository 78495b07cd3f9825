use super::*;
use crate::registry::{HostRecord, Hosts, HostsFailed, Key, suite::Subject};
use futures_util::future::join_all;
use innkeeper_model::{Code, HostId, Refusal};
use redb::{
    BackendError, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageBackend,
    TableDefinition, backends::FileBackend,
};
use std::{
    fs, io,
    io::{BufRead, BufReader},
    ops::Bound,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

struct Embedded(tempfile::TempDir);

impl Embedded {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.path().join("registry.redb")
    }
}

#[async_trait]
impl Subject for Embedded {
    async fn open(&self) -> Arc<dyn Registry> {
        Arc::new(EmbeddedRegistry::open(&self.file()).unwrap())
    }

    async fn spoil(&self, path: &str, bytes: &[u8]) {
        let table = TableDefinition::<&str, (u64, &[u8])>::new("records");
        let database = Database::open(self.file()).unwrap();
        let write = database.begin_write().unwrap();
        write.open_table(table).unwrap().insert(path, (1, bytes)).unwrap();
        write.commit().unwrap();
    }

    async fn replaced(&self) -> Vec<(String, Vec<u8>)> {
        let table = TableDefinition::<(&str, u64), &[u8]>::new("replaced");
        let database = Database::open(self.file()).unwrap();
        let read = database.begin_read().unwrap();
        let entries = read.open_table(table).unwrap();
        let entries = entries.iter().unwrap().map(|entry| {
            let (key, bytes) = entry.unwrap();
            (key.value().0.to_owned(), bytes.value().to_owned())
        });
        entries.collect()
    }
}

mod does_what_a_registry_does {
    crate::registry::suite::suite!(super::Embedded::new());
}

#[test]
fn the_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let embedded = Embedded::new();
    drop(EmbeddedRegistry::open(&embedded.file()).unwrap());
    assert_eq!(embedded.file().metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_is_no_registry_is_refused_and_left() {
    let embedded = Embedded::new();
    fs::write(embedded.file(), "a text that somebody left").unwrap();
    let failed = EmbeddedRegistry::open(&embedded.file()).unwrap_err();
    assert!(failed.to_string().contains("registry.redb"), "{failed}");
    assert_eq!(fs::read(embedded.file()).unwrap(), b"a text that somebody left");

    let newer = Embedded::new();
    drop(EmbeddedRegistry::open(&newer.file()).unwrap());
    let database = Database::open(newer.file()).unwrap();
    let write = database.begin_write().unwrap();
    let about = TableDefinition::<&str, u64>::new("about");
    write.open_table(about).unwrap().insert("schema", 9).unwrap();
    write.commit().unwrap();
    drop(database);
    assert!(EmbeddedRegistry::open(&newer.file()).is_err());
}

#[tokio::test]
async fn wherever_the_file_is_damaged_no_host_is_shown_as_it_never_was_nor_goes_unsaid() {
    const HOSTS: u128 = 300;
    let embedded = Embedded::new();
    let hosts = Hosts::new(embedded.open().await);
    let host = |number| HostRecord {
        ip: Some("10.100.101.35".parse().unwrap()),
        ..HostRecord::new(edited(number))
    };
    join_all((0..HOSTS).map(|number| hosts.create(host(number)))).await;
    drop(hosts);
    let whole = fs::read(embedded.file()).unwrap();
    let (mut refused, mut listed_apart) = (0, 0);
    for page in (0..whole.len()).step_by(4096) {
        let mut bytes = whole.clone();
        bytes[page..page + 4096].iter_mut().for_each(|byte| *byte = byte.wrapping_add(3));
        fs::write(embedded.file(), &bytes).unwrap();
        let Ok(registry) = EmbeddedRegistry::open(&embedded.file()) else {
            refused += 1;
            continue;
        };
        let now = registry.snapshot().await.unwrap();
        assert_eq!(now.hosts().len() + now.damaged().len(), HOSTS as usize, "page {page}");
        for shown in now.hosts() {
            assert_eq!(***shown, host(shown.id.as_uuid().as_u128() - 1));
        }
        listed_apart += usize::from(now.damaged().len() > 0);
    }
    assert!(refused > 0, "{refused} refused, {listed_apart} listed apart");
}

/// A disk that fails when it is told to, and counts how often it is waited for.
#[derive(Debug, Clone, Default)]
struct Disk {
    full: Arc<AtomicBool>,
    /// Fails the sync after what was written has reached the disk, once.
    fails_after_sync: Arc<AtomicBool>,
    syncs: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct DiskFile(FileBackend, Disk);

impl Open for Disk {
    fn open(&self, builder: &redb::Builder, file: fs::File) -> Result<Database, DatabaseError> {
        builder.create_with_backend(DiskFile(FileBackend::new(file)?, self.clone()))
    }
}

impl DiskFile {
    fn refuse(&self) -> io::Result<()> {
        if self.1.full.load(Ordering::Relaxed) {
            return Err(rustix::io::Errno::NOSPC.into());
        }
        Ok(())
    }
}

impl StorageBackend for DiskFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.refuse()?;
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.refuse()?;
        self.1.syncs.fetch_add(1, Ordering::Relaxed);
        self.0.sync_data()?;
        if self.1.fails_after_sync.swap(false, Ordering::Relaxed) {
            return Err(rustix::io::Errno::IO.into());
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.refuse()?;
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.unlock_range(start, end)
    }
}

fn on(disk: &Disk, embedded: &Embedded) -> (Arc<EmbeddedRegistry>, Hosts) {
    let registry = EmbeddedRegistry::open_with(&embedded.file(), Arc::new(disk.clone())).unwrap();
    let registry = Arc::new(registry);
    let hosts = Hosts::new(Arc::clone(&registry) as Arc<dyn Registry>);
    (registry, hosts)
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_reads_go_on() {
    let (disk, embedded) = (Disk::default(), Embedded::new());
    let (registry, hosts) = on(&disk, &embedded);
    let [first, second, third] = [HostId::new(), HostId::new(), HostId::new()];
    hosts.create(HostRecord::new(first)).await.unwrap();
    disk.full.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        let refusal = Refusal::from(hosts.create(HostRecord::new(second)).await.unwrap_err());
        assert!(matches!(refusal.code, Code::OutOfSpace | Code::OutcomeUnknown), "{refusal:?}");
        assert!(hosts.snapshot().await.unwrap().host(first).is_some());
    }
    disk.full.store(false, Ordering::Relaxed);
    hosts.create(HostRecord::new(third)).await.unwrap();
    let ids: Vec<_> = registry.snapshot().await.unwrap().hosts().map(|host| host.id).collect();
    assert_eq!(ids, [first, third]);
    drop((registry, hosts));
    let reopened = embedded.open().await.snapshot().await.unwrap();
    assert_eq!(reopened.hosts().map(|host| host.id).collect::<Vec<_>>(), ids);
}

#[tokio::test]
async fn a_disk_that_fails_once_leaves_no_doubt_what_was_stored() {
    let (disk, embedded) = (Disk::default(), Embedded::new());
    let (registry, hosts) = on(&disk, &embedded);
    for _ in 0..10 {
        let id = HostId::new();
        disk.fails_after_sync.store(true, Ordering::Relaxed);
        let created = hosts.create(HostRecord::new(id)).await;
        let shown = registry.snapshot().await.unwrap().host(id).is_some();
        assert_eq!(created.is_ok(), shown, "{created:?}");
        assert!(!matches!(created, Err(HostsFailed::Store(RegistryFailed::OutcomeUnknown { .. }))));
    }
    let shown = registry.snapshot().await.unwrap().hosts().len();
    drop((registry, hosts));
    assert_eq!(embedded.open().await.snapshot().await.unwrap().hosts().len(), shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_wait_for_the_disk_together() {
    let (disk, embedded) = (Disk::default(), Embedded::new());
    let (_registry, hosts) = on(&disk, &embedded);
    let before = disk.syncs.load(Ordering::Relaxed);
    let creates = (0..256).map(|_| {
        let hosts = hosts.clone();
        tokio::spawn(async move { hosts.create(HostRecord::new(HostId::new())).await })
    });
    join_all(creates).await.into_iter().for_each(|created| created.unwrap().unwrap());
    let syncs = disk.syncs.load(Ordering::Relaxed) - before;
    assert!(syncs < 128, "{syncs} for 256 hosts");
}

/// Where the child's registry is; that it is set makes a child of the test.
const FILE: &str = "INNKEEPER_TEST_REGISTRY";
/// How many hosts the child edits at once.
const EDITED: u128 = 8;

fn edited(number: u128) -> HostId {
    HostId::from_uuid(uuid::Uuid::from_u128(number + 1))
}

/// Edits for ever, eight hosts at once, and says which round was acknowledged for all.
async fn edit_for_ever(file: &Path) {
    let registry = EmbeddedRegistry::open(file).unwrap();
    let hosts = Hosts::new(Arc::new(registry));
    for number in 0..EDITED {
        match hosts.create(HostRecord::new(edited(number))).await {
            Ok(()) | Err(HostsFailed::Taken(_)) => {}
            Err(failed) => panic!("{failed}"),
        }
    }
    loop {
        let edits = (0..EDITED).map(|number| {
            hosts.edit(edited(number), |host| {
                host.total.cpu += 1;
                // Two fields that say the same: a half edit would show.
                host.metadata.insert("cpu".into(), host.total.cpu.to_string());
                Ok::<(), HostsFailed>(())
            })
        });
        let rounds = join_all(edits).await.into_iter().map(|host| host.unwrap().total.cpu);
        println!("acknowledged {}", rounds.min().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9() {
    if let Some(file) = std::env::var_os(FILE) {
        return edit_for_ever(Path::new(&file)).await;
    }
    let embedded = Embedded::new();
    for after in [1, 3, 20, 100] {
        let test = "registry::embedded::tests::what_was_acknowledged_survives_kill_9";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(FILE, embedded.file())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let said = lines.filter_map(|line| line.strip_prefix("acknowledged ")?.parse::<u32>().ok());
        let mut acknowledged = 0;
        let mut rounds = 0;
        for (round, said) in said.enumerate() {
            (acknowledged, rounds) = (said, round);
            if round == after {
                // What it says until it is dead is read too.
                child.kill().unwrap();
            }
        }
        child.kill().ok();
        child.wait().unwrap();
        assert!(rounds >= after, "the child ended early");
        let now = embedded.open().await.snapshot().await.unwrap();
        assert_eq!((now.hosts().len() as u128, now.damaged().len()), (EDITED, 0));
        for host in now.hosts() {
            assert!(host.total.cpu >= acknowledged, "{acknowledged} were acknowledged: {host:?}");
            assert_eq!(host.metadata["cpu"], host.total.cpu.to_string());
        }
    }
}

#[test]
fn a_key_is_what_is_written_under() {
    // What a person looks for in the file.
    let id: HostId = "ABCD1234-abcd-1234-abcd-1234abcd1234".parse().unwrap();
    assert_eq!(Key::Host(id).to_string(), "hosts/abcd1234-abcd-1234-abcd-1234abcd1234");
}
