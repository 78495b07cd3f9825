//! The host files that a plan for a new machine depends on. The one thing here that looks at the host.

use innkeeper_model::{
    MachineFiles, Refusal, Spec,
    config::{Boot, Firmware},
};
use innkeeper_storage::Storage;

/// Resolves the host files that a machine is made of.
pub(crate) fn machine_files(storage: &Storage, spec: &Spec) -> Result<MachineFiles, Refusal> {
    let mut files = MachineFiles::default();
    for disk in &spec.config.disks {
        files.disks.insert(disk.name.to_string(), storage.disk_layers(spec.id, disk)?);
    }
    if let Boot::Kernel(boot) = &spec.config.boot {
        files.kernel = Some(storage.kernel_files(boot)?);
    }
    if spec.config.boot == Boot::Firmware(Firmware::Uefi) {
        files.nvram = Some(storage.nvram(spec.id).path().into());
    }
    if spec.config.cloud_init.is_some() {
        files.seed = Some(storage.seed(spec.id).path().into());
    }
    Ok(files)
}
