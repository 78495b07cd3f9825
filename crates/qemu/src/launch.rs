//! Starts a QEMU: opens what it needs, executes it, and has it on record before that.

use crate::{
    accelerator,
    confine::Confinement,
    descriptors::Open,
    process::{Process, Spawn, open_folder, spawn},
    run_folder::RunFolder,
};
use innkeeper_model::{Code, DeviceName, Incarnation, Refusal};
use innkeeper_storage::{Access, Storage};
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{MemfdFlags, memfd_create},
};
use std::{fs::File, io, os::unix::fs::MetadataExt};

/// Where what a QEMU needs comes from.
pub(crate) struct Opened<'a> {
    /// Files are opened through it.
    pub(crate) storage: &'a Storage,
    /// The host's ends of its NICs' cables, open already.
    pub(crate) taps: Vec<(DeviceName, OwnedFd)>,
}

/// Opens what a QEMU needs, starts it, and records it. Blocks.
pub(crate) fn start(
    folder: &RunFolder,
    confinement: &Confinement,
    mut opened: Opened<'_>,
    mut incarnation: Incarnation,
) -> io::Result<(Process, Incarnation)> {
    let opens = Open::list_from_value(&incarnation.opens)?;
    let descriptors = opens
        .iter()
        .map(|open| open_one(folder, &mut opened, open))
        .collect::<Result<Vec<_>, _>>()
        .map_err(io::Error::other)?;
    let starts_in = open_folder(&folder.private())?;
    let request = Spawn {
        argv: &incarnation.argv,
        folder: starts_in.as_fd(),
        descriptors,
        output: folder.open_output()?.into(),
        uid: incarnation.uid,
        cgroups: confinement.make_cgroups(incarnation.vm)?,
    };
    let mut recorded = incarnation.clone();
    let outcome = spawn(request, |identity| {
        recorded.process = Some(identity);
        folder.write_incarnation(&recorded)
    });
    let (process, identity) = outcome.map_err(io::Error::other)?;
    incarnation.process = Some(identity);
    Ok((process, incarnation))
}

fn open_one(folder: &RunFolder, opened: &mut Opened<'_>, open: &Open) -> Result<OwnedFd, Refusal> {
    let storage = opened.storage;
    match open {
        Open::Tap(nic) => {
            let place = opened.taps.iter().position(|(of, _)| of == nic).ok_or_else(|| {
                Refusal::new(Code::Internal, format!("no tap was opened for NIC {nic}"))
            })?;
            Ok(opened.taps.swap_remove(place).1)
        }
        Open::Listener(name) => Ok(folder.listen(name)?),
        Open::LayerRead(layer) => storage.open_layer(layer, Access::Read),
        Open::LayerWrite(layer) => storage.open_layer(layer, Access::ReadWrite),
        Open::Read(path) => storage.open_file(path, Access::Read),
        Open::Write(path) => storage.open_file(path, Access::ReadWrite),
        Open::Reopened(path) => {
            let file = storage.open_file(path, Access::Read)?;
            Ok(readable_by_all(file)?)
        }
        Open::Nothing => Ok(File::open("/dev/null")?.into()),
        Open::System(path) => Ok(File::open(path)?.into()),
        Open::Kvm => Ok(accelerator::open_kvm()?.into()),
    }
}

/// The file itself where every user may read it, else a copy in memory: an operator's kernel is often
/// root's alone, and QEMU opens what it is given once more as its own user.
fn readable_by_all(file: OwnedFd) -> io::Result<OwnedFd> {
    let mut file = File::from(file);
    if file.metadata()?.mode() & 0o004 != 0 {
        return Ok(file.into());
    }
    let mut copy = File::from(memfd_create("innkeeper-boot", MemfdFlags::CLOEXEC)?);
    io::copy(&mut file, &mut copy)?;
    Ok(copy.into())
}
