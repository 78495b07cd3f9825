//! The records that earlier daemons left in the run folders, held against the processes that there are.

use crate::{process::Process, run_folder::RunFolder};
use innkeeper_model::{Incarnation, VmId};
use std::{io, path::Path};
use tracing::warn;

/// What the record in a run folder says, held against the processes that there are.
pub(crate) enum Record {
    Running(Process, Box<Incarnation>),
    Died(Box<Incarnation>),
    OfAnotherBoot(VmId),
}

/// Reads the records of all run folders.
pub(crate) fn read_records(runtime: &Path, boot_id: &str) -> Vec<Record> {
    let entries = std::fs::read_dir(runtime).into_iter().flatten().flatten();
    let vms = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<VmId>().ok());
    let read = |vm| {
        read_record(&RunFolder::of(runtime, vm), vm, boot_id)
            .inspect_err(|error| warn!(%vm, %error, "cannot tell whether it runs"))
            .ok()?
    };
    vms.filter_map(read).collect()
}

pub(crate) fn read_record(
    folder: &RunFolder,
    vm: VmId,
    boot_id: &str,
) -> io::Result<Option<Record>> {
    let Some(incarnation) = folder.read_incarnation()? else { return Ok(None) };
    if incarnation.boot_id != boot_id {
        return Ok(Some(Record::OfAnotherBoot(vm)));
    }
    let process = incarnation.process.map(Process::find).transpose()?.flatten();
    let incarnation = Box::new(incarnation);
    Ok(Some(match process {
        Some(process) => Record::Running(process, incarnation),
        None => Record::Died(incarnation),
    }))
}
