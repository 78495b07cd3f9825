//! What scenarios ask for, where that is more than a word, and what has to be on the host for it.

use crate::{daemon::Daemon, host::Host};
use innkeeper_engine::{AddImage, Caller, ImageFrom, ImportVm, Request};
use innkeeper_model::{
    ByteSize, DiskFormat, Foreign, ImageKind, Mebibytes, ProcessIdentity, ProjectName, Quota, VmId,
    config::Disk,
};
use std::{path::PathBuf, sync::Arc};

/// Two new disks, and one less.
pub(crate) fn edited(daemon: &Daemon, vm: VmId) -> Option<Request> {
    let mut config = daemon.vm(vm)?.spec?.config.clone();
    config.disks.retain(|disk| disk.name.as_str() != "data");
    let new = serde_json::json!([
        { "name": "new-1", "size": "1MiB" }, { "name": "new-2", "size": "1MiB" },
    ]);
    let new: Vec<Disk> = serde_json::from_value(new).ok()?;
    config.disks.extend(new);
    Some(Request::Edit { vm, config: Box::new(config), expected: None })
}

/// The VM goes to another project, with a disk more.
pub(crate) fn moved(daemon: &Daemon, vm: VmId) -> Option<Request> {
    let mut config = daemon.vm(vm)?.spec?.config.clone();
    config.project = "other".parse().expect("a name");
    let new = serde_json::json!({ "name": "new-1", "size": "1MiB" });
    config.disks.push(serde_json::from_value(new).expect("it is a disk"));
    Some(Request::Edit { vm, config: Box::new(config), expected: None })
}

/// A disk that is a file of the host's.
pub(crate) fn host_file(daemon: &Daemon) -> Disk {
    let path = daemon.folder.join("allowed/disk.raw");
    let disk = serde_json::json!({ "name": "host", "path": path, "format": "raw" });
    serde_json::from_value(disk).expect("it is a disk")
}

/// Has projects have no more than any scenario needs: what is taken and never given back is missed when the
/// VM is used again. (Two VMs, of which one is on at a time; a machine of another manager's takes most memory.)
pub(crate) async fn bound(daemon: &Daemon) -> anyhow::Result<()> {
    let quota = Quota {
        vms: Some(2),
        cpus: Some(1),
        memory: Some(Mebibytes(96)),
        disk: Some(ByteSize(6 << 20)),
        addresses: Some(2),
    };
    for project in [ProjectName::default(), "other".parse()?] {
        daemon.engine.projects().set(project, quota, None).await?;
    }
    Ok(())
}

/// The VM goes out as a file, and comes in once more.
pub(crate) async fn import(daemon: &Daemon, vm: VmId) -> anyhow::Result<Request> {
    let caller = Caller { name: "sweep".into(), ..Caller::default() };
    let mut export = daemon.engine.export_vm(&caller, vm).await?.file;
    let mut arrival = daemon.engine.receive_vm(&caller, Some(export.length()), None).await?.arrival;
    while let Some((piece, next)) = export.read().await? {
        arrival = arrival.write(piece).await?;
        export = next;
    }
    let staged = Arc::new(arrival.finish().await?);
    let name = Some("copy".parse()?);
    let import = ImportVm { staged, name, project: None, keep_identity: false };
    Ok(Request::Import(Box::new(import)))
}

pub(crate) fn add_image(daemon: &Daemon) -> anyhow::Result<Request> {
    let file = daemon.folder.join("allowed/image.raw");
    std::fs::write(&file, vec![7; 1 << 20])?;
    Ok(Request::AddImage(Box::new(AddImage {
        name: "swept".parse()?,
        kind: ImageKind::Disk,
        from: ImageFrom::File(file),
        format: Some(DiskFormat::Raw),
        initrd: None,
    })))
}

pub(crate) fn commit_image(vm: VmId) -> Request {
    Request::AddImage(Box::new(AddImage {
        name: "swept".parse().expect("a name"),
        kind: ImageKind::Disk,
        from: ImageFrom::Disk { vm, disk: None },
        format: None,
        initrd: None,
    }))
}

pub(crate) fn add_foreign(daemon: &Daemon) {
    let Host::Sim(world) = &*daemon.host else { return };
    world.add_foreign(Foreign {
        driver: "sim".into(),
        process: ProcessIdentity { pid: 0, start_ticks: 0 },
        name: Some("stranger".into()),
        uid: 0,
        manager: None,
        cpus: Some(1),
        memory: Some(Mebibytes(64)),
        socket: Some("/nowhere/qmp".into()),
        not_adoptable: None,
    });
}

pub(crate) fn foreign_pid(daemon: &Daemon) -> Option<u32> {
    let Host::Sim(world) = &*daemon.host else { return None };
    world.foreign().first().map(|machine| machine.process.pid)
}

pub(crate) fn payload(daemon: &Daemon) -> PathBuf {
    daemon.folder.join("allowed/payload")
}

/// Writes what VMs have of this host.
pub(crate) fn write_host_files(daemon: &Daemon) -> anyhow::Result<()> {
    std::fs::create_dir_all(daemon.folder.join("allowed"))?;
    std::fs::File::create(daemon.folder.join("allowed/disk.raw"))?.set_len(1 << 20)?;
    Ok(std::fs::write(payload(daemon), crate::payload::elf())?)
}
