//! The bytes of what must never be lost.
//!
//! [`SpecStore`] keeps the VMs' specs, a file each; [`StateLock`] keeps two daemons from one folder;
//! [`write_atomically`] replaces a file so that a crash leaves the old one or the new one, whole.
//! What is stored when, and in which order, is the engine's to decide.
//!
//! A spec that was damaged is kept as it is and reported with its reason ([`Damage`]). To mend one, a
//! person edits the file, then writes into it the checksum that the report names as the right one.
//!
//! Everything here is synchronous and waits for the disk (a save takes about the time of two syncs):
//! call it from a thread that may block.

mod atomic;
mod envelope;
mod lock;
mod specs;

pub use atomic::{WriteFailed, sync_folder, write_atomically};
pub use envelope::Damage;
pub use lock::{LockFailed, StateLock};
pub use specs::{SpecStore, StoreFailed, StoredSpec};
