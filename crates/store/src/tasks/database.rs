//! The file: opened, told from what is none, and moved aside.

use redb::{Database, DatabaseError, ReadableDatabase, TableDefinition, WriteTransaction};
use rustix::fs::{Mode, OFlags};
use std::{
    any::Any,
    fmt, fs, io,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// Tasks as JSON, by their ids.
pub(super) const TASKS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("tasks");
/// What the database says of itself.
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
const SCHEMA_KEY: &str = "schema";
/// The version of the tables that this binary writes, and the only one that it reads.
const SCHEMA: u64 = 1;

/// How much of the file is kept in memory, in bytes. Little is read twice.
const CACHE: usize = 8 << 20;
/// How long a process that a killed daemon was just starting may take to let go of the file.
const LET_GO_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// How a file becomes a database; tests have another, on a disk that fails.
pub(super) trait Open: fmt::Debug + Send + Sync {
    fn open(&self, builder: &redb::Builder, file: fs::File) -> Result<Database, DatabaseError>;
}

/// The file as it is.
#[derive(Debug)]
pub(super) struct File;

impl Open for File {
    fn open(&self, builder: &redb::Builder, file: fs::File) -> Result<Database, DatabaseError> {
        builder.create_with_backend(redb::backends::FileBackend::new(file)?)
    }
}

/// Opens a database, or makes one; if what is there is none, that is moved aside, and why is said.
pub(super) fn open_or_replace(
    file: &Path,
    open: &dyn Open,
) -> Result<(Database, Option<String>), redb::Error> {
    match try_open(file, open) {
        Err(error) if is_damage(&error) => {
            let aside = move_aside(file)?;
            let (file_name, aside) = (file.display(), aside.display());
            let lost = format!("{file_name} cannot be used ({error}); it is {aside} now");
            Ok((try_open(file, open)?, Some(lost)))
        }
        other => Ok((other?, None)),
    }
}

/// Gives a file that is no use any more a name that no other has: `<file>.damaged-<number>`.
pub(super) fn move_aside(file: &Path) -> io::Result<PathBuf> {
    let mut number = 1_u32;
    loop {
        let mut name = file.as_os_str().to_owned();
        name.push(format!(".damaged-{number}"));
        let aside = PathBuf::from(name);
        if aside.symlink_metadata().is_err() {
            fs::rename(file, &aside)?;
            return Ok(aside);
        }
        number += 1;
    }
}

/// Whether the file is at fault, rather than the disk or another process.
pub(super) fn is_damage(error: &redb::Error) -> bool {
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

/// What a panic inside redb is taken for.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> redb::Error {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    redb::Error::Corrupted(text.unwrap_or("a panic").to_owned())
}

/// Begins a change that is on disk when it is committed, and after which opening takes no repair.
pub(super) fn begin_write(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut write = database.begin_write()?;
    write.set_quick_repair(true);
    Ok(write)
}

fn try_open(file: &Path, open: &dyn Open) -> Result<Database, redb::Error> {
    let begun = Instant::now();
    loop {
        let opened = panic::catch_unwind(AssertUnwindSafe(|| try_open_once(file, open)))
            .unwrap_or_else(|panic| Err(panicked(&*panic)));
        match opened {
            Err(redb::Error::DatabaseAlreadyOpen) if begun.elapsed() < LET_GO_WITHIN => {
                thread::sleep(LOOK_AGAIN_AFTER);
            }
            other => return other,
        }
    }
}

fn try_open_once(file: &Path, open: &dyn Open) -> Result<Database, redb::Error> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let opened = rustix::fs::open(file, flags, Mode::RUSR | Mode::WUSR).map_err(io::Error::from)?;
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE);
    let path = file.to_owned();
    builder.set_repair_callback(move |repair| {
        // Not after a crash of this program; perhaps after one of an older version.
        let percent = (repair.progress() * 100.0) as u32;
        tracing::warn!(file = %path.display(), percent, "the history of tasks is being repaired");
    });
    let database = open.open(&builder, opened.into())?;
    check_schema(&database)?;
    Ok(database)
}

/// Makes the tables in a new database; refuses one that is another's, or of another version.
fn check_schema(database: &Database) -> Result<(), redb::Error> {
    let read = database.begin_read()?;
    if read.list_tables()?.next().is_some() || read.list_multimap_tables()?.next().is_some() {
        let schema = read.open_table(ABOUT)?.get(SCHEMA_KEY)?.map(|schema| schema.value());
        return match schema {
            Some(SCHEMA) => Ok(()),
            Some(other) => Err(redb::Error::Corrupted(format!(
                "it has schema {other}, and this version of Innkeeper knows {SCHEMA}"
            ))),
            None => Err(redb::Error::Corrupted("it says nothing of its schema".into())),
        };
    }
    let write = begin_write(database)?;
    write.open_table(ABOUT)?.insert(SCHEMA_KEY, SCHEMA)?;
    write.open_table(TASKS)?;
    Ok(write.commit()?)
}
