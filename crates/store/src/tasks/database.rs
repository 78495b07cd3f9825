//! The file: opened, told from what is none, and moved aside.

use crate::redb_file::{self, Open, is_damage};
use redb::{Database, TableDefinition, WriteTransaction};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Tasks as JSON, by their ids.
pub(super) const TASKS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("tasks");
/// The version of the tables that this binary writes, and the only one that it reads.
const SCHEMA: u64 = 1;

/// How much of the file is kept in memory, in bytes. Little is read twice.
const CACHE: usize = 8 << 20;

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

/// Begins a change that is on disk when it is committed, and after which opening takes no repair.
pub(super) fn begin_write(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut write = database.begin_write()?;
    write.set_quick_repair(true);
    Ok(write)
}

fn try_open(file: &Path, open: &dyn Open) -> Result<Database, redb::Error> {
    redb_file::open(file, open, CACHE, "the history of tasks", check_schema)
}

/// Makes the tables in a new database; refuses one that is another's, or of another version.
fn check_schema(database: &Database) -> Result<(), redb::Error> {
    redb_file::check_schema(database, SCHEMA, |database| {
        let write = begin_write(database)?;
        write.open_table(TASKS)?;
        Ok(write)
    })
}
