//! What VMs may take of this host: the configuration's percentages, as amounts.

use super::DaemonOptions;
use innkeeper_engine::Capacity;
use innkeeper_model::{ByteSize, Host, Mebibytes, Quota, Refusal};
use innkeeper_storage::Storage;

/// The bounds of the host and of projects.
///
/// # Errors
/// The pool's file system cannot be asked how large it is.
pub(super) fn of(
    options: &DaemonOptions,
    host: &Host,
    storage: &Storage,
) -> Result<Capacity, Refusal> {
    let config = &options.capacity;
    let disk = match config.disk_percent {
        Some(percent) => Some(ByteSize(part(storage.total_space()?.0, percent))),
        None => None,
    };
    let bounds = Quota {
        vms: config.vms,
        cpus: config.cpu_percent.map(|percent| part(host.cpus.into(), percent)),
        memory: config.memory_percent.map(|percent| Mebibytes(part(host.memory.0, percent))),
        disk,
        addresses: None,
    };
    let quotas = options.quota.iter().map(|(project, quota)| (project.clone(), quota.into()));
    let default_quota = (&options.default_quota).into();
    Ok(Capacity { host: bounds, quotas: quotas.collect(), default_quota })
}

fn part(whole: u64, percent: u32) -> u64 {
    let part = u128::from(whole) * u128::from(percent) / 100;
    u64::try_from(part).unwrap_or(u64::MAX)
}
