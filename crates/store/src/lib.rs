//! The bytes of what must never be lost, and of what may be.
//!
//! [`SpecStore`] keeps the VMs' specs, a file each; [`journal`] keeps what is to be done, before it is
//! done; [`StateLock`] keeps two daemons from one folder; [`write_atomically`] replaces a file so that
//! a crash leaves the old one or the new one, whole. [`TaskHistory`] remembers what was done, and may
//! be lost without losing a VM. What is stored when, and in which order, is the engine's to decide.
//!
//! A spec that was damaged is kept as it is and reported with its reason ([`Damage`]). To mend one, a
//! person edits the file, then writes into it the checksum that the report names as the right one.
//!
//! Everything here but appending to the journal is synchronous and waits for the disk (a save takes
//! about the time of two syncs): call it from a thread that may block.

mod atomic;
mod envelope;
pub mod harm;
pub mod journal;
mod lock;
mod specs;
mod stamps;
mod tasks;
mod write_behind;

pub use atomic::{WriteFailed, is_temporary, sync_folder, write_atomically};
pub use envelope::Damage;
pub use lock::{LockFailed, StateLock};
pub use specs::{SpecStore, StoreFailed, StoredSpec};
pub use tasks::{OpenedHistory, TaskHistory, TaskHistoryFailed};
