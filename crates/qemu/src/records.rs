//! The records that earlier daemons left in the run folders, held against the processes that there are.

use crate::{process::Process, run_folder::RunFolder};
use innkeeper_model::{Incarnation, VmId};
use std::{fs, io, path::Path};
use tracing::warn;

/// What the record in a run folder comes to.
pub(crate) enum Record {
    /// Its process lives.
    Running(Process, Box<Incarnation>),
    /// Its process has ended; `ran` tells whether the guest had begun.
    Died { incarnation: Box<Incarnation>, ran: bool },
    /// It is of a machine that cannot be any more: another boot's, or one that was never executed.
    Remains(VmId),
    /// It cannot be read, and a process that calls itself this VM's lives.
    Unreadable { vm: VmId, problem: String },
}

/// Reads the records of all run folders, and removes what an earlier daemon was in the middle of writing
/// there when it died. To be called before this one writes any.
pub(crate) fn read_records(runtime: &Path, boot_id: &str) -> Vec<Record> {
    let entries = fs::read_dir(runtime).into_iter().flatten().flatten();
    let vms = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<VmId>().ok());
    let read = |vm| {
        let folder = RunFolder::of(runtime, vm);
        if let Err(error) = folder.remove_half_written() {
            warn!(%vm, %error, "cannot remove what was being written into its run folder");
        }
        read_record(&folder, vm, boot_id)
    };
    vms.filter_map(read).collect()
}

/// Reads the record of one run folder; `None` where there is none.
pub(crate) fn read_record(folder: &RunFolder, vm: VmId, boot_id: &str) -> Option<Record> {
    match held_against_processes(folder, vm, boot_id) {
        Ok(record) => record,
        Err(error) if is_named(vm) => {
            let file = folder.record();
            let problem = format!(
                "a QEMU of it runs, but its record cannot be read: {error}; end that process, then \
                 move {} away",
                file.display()
            );
            Some(Record::Unreadable { vm, problem })
        }
        Err(error) => {
            warn!(%vm, %error, "the record of a machine that is gone cannot be read");
            Some(Record::Remains(vm))
        }
    }
}

fn held_against_processes(
    folder: &RunFolder,
    vm: VmId,
    boot_id: &str,
) -> io::Result<Option<Record>> {
    let Some(incarnation) = folder.read_incarnation()? else { return Ok(None) };
    if incarnation.boot_id != boot_id {
        return Ok(Some(Record::Remains(vm)));
    }
    let process = incarnation.process.map(Process::find).transpose()?.flatten();
    let incarnation = Box::new(incarnation);
    Ok(Some(match process {
        Some(process) => Record::Running(process, incarnation),
        None => Record::Died { incarnation, ran: folder.it_ran() },
    }))
}

/// Whether a process calls itself this VM's QEMU. Enough to keep away from what may be running, and
/// not enough to touch it.
pub(crate) fn is_named(vm: VmId) -> bool {
    let mark = format!("guest=innkeeper-{vm},");
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .any(|cmdline| cmdline.split(|byte| *byte == 0).any(|arg| arg.starts_with(mark.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_daemon_was_writing_when_it_died_is_removed_and_nothing_else() {
        let runtime = tempfile::tempdir().unwrap();
        let vm = VmId::new();
        let folder = runtime.path().join(vm.to_string());
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(".tmp-7-18ea36a7f7f72431-4"), "{").unwrap();
        fs::write(folder.join("qemu.log"), "").unwrap();
        // Not a VM's.
        fs::create_dir(runtime.path().join("other")).unwrap();
        fs::write(runtime.path().join("other/.tmp-1-2-3"), "").unwrap();
        assert!(read_records(runtime.path(), "boot").is_empty());
        let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["qemu.log"]);
        assert!(runtime.path().join("other/.tmp-1-2-3").exists());
    }
}
