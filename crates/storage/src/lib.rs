//! Images, volumes and seeds: what a VM's disks are made of, and the safe opening of every file that
//! a VM names.
//!
//! A pool is a folder:
//!
//! ```text
//! images/<image>/image.json   what it is          volumes/<vm>/<disk>.qcow2   a disk of the VM
//!                disk.qcow2   its bytes; or       volumes/<vm>/nvram.fd       its UEFI variables
//!                disk.raw, disc.iso, or           volumes/<vm>/seed.img       its cloud-init seed
//!                kernel and initrd                volumes/<vm>/memory.img     its memory, suspended
//! uploads/<part>              not all of a file   volumes/<vm>/dump.elf       its memory, dumped
//!         .arrival-<id>/      a VM from a file
//! ```
//!
//! An image appears whole, by one rename of its folder, and never changes; a volume is a
//! copy-on-write overlay on one, or blank. A folder whose name starts with a dot is work that has not
//! finished, and is removed when the pool is next opened. A VM's folder with `.unfinished` in it is
//! that of a VM that is still being made: [`Storage::sweep`] removes it unless the VM is stored.
//!
//! What is imported is hostile until proven otherwise: its header is read by this crate's own
//! parsers, and what passes is rewritten by a `qemu-img` that has no rights, no network and little
//! memory. Who may import, and whether an image is still in use by a stored VM, is the caller's to
//! decide. Methods that wait for the disk or the network are `async` and leave nothing behind when
//! they fail, are cancelled or are dropped; the others only look, in microseconds.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod archive;
mod cancel;
mod checksum;
mod clone;
mod confine;
mod copy;
mod facts;
mod flat;
mod format;
#[doc(hidden)]
pub mod fuzz;
mod images;
mod import;
mod kernel;
mod layers;
mod memory;
mod pool;
mod progress;
mod qemu_img;
mod room;
mod seed;
mod settle;
mod storage;
#[cfg(test)]
mod testing;
mod unfinished;
mod uploads;
mod volumes;

pub use archive::{Arrival, Export, Manifest, StagedVm};
pub use confine::{Access, ConfinedFile, OpenFailed};
pub use copy::write_data as write_sparse;
pub use flat::FlatDisk;
pub use format::qcow2::{BadQcow2, Qcow2Info};
pub use format::{BadDisk, Inspection};
pub use images::{Catalogue, DamagedImage, ImageFile};
pub use import::address::is_public;
pub use import::{ImportRequest, ImportSource};
pub use kernel::{BadKernel, KernelFormat};
pub use progress::{OnProgress, Phase, Progress};
pub use room::RoomFigures;
pub use seed::{SeedFile, SeedRequest};
pub use settle::{settle, write_out};
pub use storage::{HttpRules, Storage, StorageOptions};
pub use unfinished::Swept;
pub use uploads::Upload;
pub use volumes::{Made, needs_volume};
