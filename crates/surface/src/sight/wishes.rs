//! What a caller may ask for, where that depends on what is its own.

use super::Sight;
use innkeeper_model::{
    Code, ProjectName, Refusal, VmConfig,
    config::{Boot, Disk},
};
use std::path::Path;

impl Sight {
    /// The project that a request is about: the one that it names, else the caller's own; any, where neither
    /// says. `field` is where it is named.
    ///
    /// # Errors
    /// [`Code::Forbidden`]: the caller is bound to another, whether or not there is such a project.
    pub fn owner(
        &self,
        field: &str,
        named: Option<ProjectName>,
    ) -> Result<Option<ProjectName>, Refusal> {
        let Some(own) = &self.own else { return Ok(named) };
        match named {
            Some(named) if named != *own => {
                let message = format!("{field} is {named}, and the caller is bound to {own}");
                Err(Refusal::new(Code::Forbidden, message).at(field))
            }
            _ => Ok(Some(own.clone())),
        }
    }

    /// Refuses what no project has: files of the host, whichever folders the operator allowed. What a VM had
    /// `before`, it keeps, and as it had it: a disc that was given to be read is not to be written to, nor a kernel to
    /// become a disk.
    ///
    /// # Errors
    /// [`Code::Forbidden`], with the field.
    pub fn check_host_files(
        &self,
        config: &VmConfig,
        before: Option<&VmConfig>,
    ) -> Result<(), Refusal> {
        let Some(own) = &self.own else { return Ok(()) };
        let had: Vec<HostFile<'_>> = before.map(host_files).into_iter().flatten().collect();
        let Some(HostFile { field, path, .. }) =
            host_files(config).find(|file| !had.contains(file))
        else {
            return Ok(());
        };
        let path = path.display();
        let message =
            format!("{field}: {path} is a file of the host, and the caller is bound to {own}");
        let hint = match had.iter().any(|had| had.field == field) {
            true => "it is kept as it is, or taken away",
            false => "name an image, or a size",
        };
        Err(Refusal::new(Code::Forbidden, message).at(field).with_hint(hint))
    }
}

/// A file of the host that a VM has.
#[derive(Debug, PartialEq, Eq)]
struct HostFile<'a> {
    field: String,
    path: &'a Path,
    /// All that the VM makes of it, where it is a disk.
    disk: Option<&'a Disk>,
}

/// The files of the host that a VM would have.
fn host_files(config: &VmConfig) -> impl Iterator<Item = HostFile<'_>> {
    let disks = config.disks.iter().filter_map(|disk| {
        let (field, path) = (format!("disks[{}].path", disk.name), disk.path.as_deref()?);
        Some(HostFile { field, path, disk: Some(disk) })
    });
    let boot = match &config.boot {
        Boot::Kernel(kernel) => [("path", &kernel.path), ("initrd", &kernel.initrd)]
            .into_iter()
            .filter_map(|(field, path)| {
                let (field, path) = (format!("boot.kernel.{field}"), path.as_deref()?);
                Some(HostFile { field, path, disk: None })
            })
            .collect(),
        Boot::Firmware(_) => Vec::new(),
    };
    disks.chain(boot)
}
