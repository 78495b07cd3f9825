//! What the kernel says of this host.

use crate::config::Driver;
use anyhow::Context;
use innkeeper_model::{Host, Mebibytes, Timestamp};

const SIMULATED_CPUS: u16 = 4096;
const SIMULATED_MEMORY: Mebibytes = Mebibytes(256 << 20);

/// The host, without its hypervisor.
/// (Of a simulated host, something that ten thousand machines fit in.)
pub(super) fn describe(driver: Driver) -> Host {
    let system = rustix::system::uname();
    let text = |bytes: &std::ffi::CStr| bytes.to_string_lossy().into_owned();
    let memory = rustix::system::sysinfo();
    let bytes = (memory.totalram as u64).saturating_mul(u64::from(memory.mem_unit));
    let host = Host {
        name: text(system.nodename()),
        version: env!("CARGO_PKG_VERSION").into(),
        started: Some(Timestamp::now()),
        pid: std::process::id(),
        cpus: std::thread::available_parallelism()
            .ok()
            .and_then(|cores| u16::try_from(cores.get()).ok())
            .unwrap_or(1),
        memory: Mebibytes(bytes >> 20),
        kernel: format!("{} {}", text(system.sysname()), text(system.release())),
        ..Host::default()
    };
    match driver {
        Driver::Qemu => host,
        Driver::Sim => Host { cpus: SIMULATED_CPUS, memory: SIMULATED_MEMORY, ..host },
    }
}

/// Names this boot of the host.
pub(super) fn boot_id() -> anyhow::Result<String> {
    let file = "/proc/sys/kernel/random/boot_id";
    let id = std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
    Ok(id.trim().into())
}
