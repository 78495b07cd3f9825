//! A whole VM as one file: a tar of what it is, its disks, its UEFI variables, and the digests of all
//! these. `docs/export.md` describes it for those who look into one.
//!
//! ```text
//! vm.json        what it is            the first
//! NAME.qcow2     a disk                each disk once
//! nvram.fd       its UEFI variables    where it has any
//! SHA256SUMS     of all the others     the last
//! ```
//!
//! It goes out as it is read, without a second copy on this host, and its length is known before its
//! first byte. What comes in is hostile: nothing of it is believed before all of it has arrived, has the
//! digests that it says, and has been read by this crate's own parsers; no other program ever sees what
//! somebody sent. Until then, and until a task has made a VM of it, it is in a hidden folder of
//! `uploads/`, which goes when the pool is next opened.

mod arrival;
mod bring;
mod export;
pub(crate) mod fuzz;
mod header;
mod manifest;
mod staged;

pub use arrival::Arrival;
pub use export::Export;
pub use manifest::Manifest;
pub use staged::StagedVm;

use innkeeper_model::{Code, DeviceName, Refusal};

/// The member that says what the VM is.
const MANIFEST: &str = "vm.json";
/// The member with the UEFI variables.
const NVRAM: &str = crate::volumes::NVRAM;
/// The member with the digests of the others, as `sha256sum` writes them.
const SUMS: &str = "SHA256SUMS";

/// The member with a disk.
fn disk_member(name: &DeviceName) -> String {
    format!("{name}.qcow2")
}

/// That a member of the file is not what it must be.
fn bad(member: &str, problem: impl std::fmt::Display) -> Refusal {
    let member: String = member.chars().take(120).collect();
    Refusal::new(Code::InvalidField, format!("{member} in the file {problem}")).at(member)
}

#[cfg(test)]
mod tests;
