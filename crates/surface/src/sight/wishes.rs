//! What a caller may ask for, where that depends on what is its own.

use super::Sight;
use innkeeper_model::{Code, ProjectName, Refusal, VmConfig, config::Boot};
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
    /// `before`, it keeps.
    ///
    /// # Errors
    /// [`Code::Forbidden`], with the field.
    pub fn check_host_files(
        &self,
        config: &VmConfig,
        before: Option<&VmConfig>,
    ) -> Result<(), Refusal> {
        let Some(own) = &self.own else { return Ok(()) };
        let had: Vec<&Path> = before
            .map(|before| host_files(before).map(|(_, path)| path).collect())
            .unwrap_or_default();
        match host_files(config).find(|(_, path)| !had.contains(path)) {
            None => Ok(()),
            Some((field, path)) => {
                let message = format!(
                    "{field}: {} is a file of the host, and the caller is bound to {own}",
                    path.display()
                );
                Err(Refusal::new(Code::Forbidden, message)
                    .at(field)
                    .with_hint("name an image, or a size"))
            }
        }
    }
}

/// The files of the host that a VM would have, each with its field.
fn host_files(config: &VmConfig) -> impl Iterator<Item = (String, &Path)> {
    let disks = config
        .disks
        .iter()
        .filter_map(|disk| Some((format!("disks[{}].path", disk.name), disk.path.as_deref()?)));
    let boot = match &config.boot {
        Boot::Kernel(kernel) => [("path", &kernel.path), ("initrd", &kernel.initrd)]
            .into_iter()
            .filter_map(|(field, path)| Some((format!("boot.kernel.{field}"), path.as_deref()?)))
            .collect(),
        Boot::Firmware(_) => Vec::new(),
    };
    disks.chain(boot)
}
