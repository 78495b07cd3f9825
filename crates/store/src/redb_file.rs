//! A redb database in one file: opened once, and told apart from what is damaged.

use redb::{Database, DatabaseError, ReadableDatabase, TableDefinition, WriteTransaction};
use rustix::fs::{Mode, OFlags};
use std::{
    any::Any,
    fmt, fs, io,
    panic::{self, AssertUnwindSafe},
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// What a database says of itself.
pub(crate) const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
const SCHEMA_KEY: &str = "schema";

/// How long a process that a killed daemon was just starting may take to let go of the file.
const LET_GO_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// How a file becomes a database; tests have another, on a disk that fails.
pub(crate) trait Open: fmt::Debug + Send + Sync {
    fn open(&self, builder: &redb::Builder, file: fs::File) -> Result<Database, DatabaseError>;
}

/// The file as it is.
#[derive(Debug)]
pub(crate) struct File;

impl Open for File {
    fn open(&self, builder: &redb::Builder, file: fs::File) -> Result<Database, DatabaseError> {
        builder.create_with_backend(redb::backends::FileBackend::new(file)?)
    }
}

/// Opens the database in a file, or makes one (0600). `cache` is how much of it is kept in memory, in
/// bytes; `what` is what it holds, for the log; `check` looks at it before it counts as opened.
pub(crate) fn open(
    file: &Path,
    how: &dyn Open,
    cache: usize,
    what: &'static str,
    check: impl Fn(&Database) -> Result<(), redb::Error>,
) -> Result<Database, redb::Error> {
    let begun = Instant::now();
    loop {
        let once = || {
            let database = open_once(file, how, cache, what)?;
            check(&database)?;
            Ok(database)
        };
        match caught(once) {
            Err(redb::Error::DatabaseAlreadyOpen) if begun.elapsed() < LET_GO_WITHIN => {
                // The kernel lets go of the lock when the other process is reaped, and tells nobody.
                thread::sleep(LOOK_AGAIN_AFTER);
            }
            other => return other,
        }
    }
}

fn open_once(
    file: &Path,
    how: &dyn Open,
    cache: usize,
    what: &'static str,
) -> Result<Database, redb::Error> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let opened = rustix::fs::open(file, flags, Mode::RUSR | Mode::WUSR).map_err(io::Error::from)?;
    let mut builder = Database::builder();
    builder.set_cache_size(cache);
    let path = file.to_owned();
    builder.set_repair_callback(move |repair| {
        let percent = (repair.progress() * 100.0) as u32;
        tracing::info!(file = %path.display(), percent, what, "checked after a crash");
    });
    Ok(how.open(&builder, opened.into())?)
}

/// Has `make` make the tables of a new database, and notes `schema`, the version of them; refuses one that is
/// another's, or of another version.
pub(crate) fn check_schema(
    database: &Database,
    schema: u64,
    make: impl FnOnce(&Database) -> Result<WriteTransaction, redb::Error>,
) -> Result<(), redb::Error> {
    let read = database.begin_read()?;
    if read.list_tables()?.next().is_none() && read.list_multimap_tables()?.next().is_none() {
        let write = make(database)?;
        write.open_table(ABOUT)?.insert(SCHEMA_KEY, schema)?;
        return Ok(write.commit()?);
    }
    match read.open_table(ABOUT)?.get(SCHEMA_KEY)?.map(|found| found.value()) {
        Some(found) if found == schema => Ok(()),
        Some(other) => Err(redb::Error::Corrupted(format!(
            "it has schema {other}, and this version of Innkeeper knows {schema}"
        ))),
        None => Err(redb::Error::Corrupted("it says nothing of its schema".into())),
    }
}

/// Does something with a database; a panic inside redb, which trusts what it wrote, is damage.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, redb::Error> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

fn panicked(panic: &(dyn Any + Send)) -> redb::Error {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    redb::Error::Corrupted(text.unwrap_or("a panic").to_owned())
}

/// Whether the file is at fault, rather than the disk or another process.
pub(crate) fn is_damage(error: &redb::Error) -> bool {
    use redb::Error as E;
    match error {
        E::Io(error) => {
            matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
        }
        E::Corrupted(_)
        | E::UpgradeRequired(_)
        | E::TableTypeMismatch { .. }
        | E::TableIsMultimap(_)
        | E::TableIsNotMultimap(_)
        | E::TypeDefinitionChanged { .. }
        | E::TableDoesNotExist(_) => true,
        _ => false,
    }
}
