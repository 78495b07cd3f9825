//! The bytes of what must never be lost, and of what may be.
//!
//! [`SpecStore`] keeps the VMs' specs, [`NetworkStore`] the networks and [`QuotaStore`] projects' quotas, a file each; [`journal`] keeps what is to be done, before it is
//! done; [`registry`] which hosts there are; [`StateLock`] keeps two daemons from one folder;
//! [`write_atomically`] replaces a file so that a crash leaves the old one or the new one, whole.
//! [`TaskHistory`] remembers what was done, and [`audit`] who asked for it; both may be lost without losing a VM. What is stored when, and in which order, is the engine's to decide.
//!
//! A file that was damaged is kept as it is and reported with its reason ([`Damage`]). To mend one, a
//! person edits the file, then writes into it the checksum that the report names as the right one.
//!
//! Everything here but appending to the journal and the registry is synchronous and waits for the disk
//! (a save takes about the time of two syncs): call it from a thread that may block.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod atomic;
pub mod audit;
mod document;
mod documents;
mod envelope;
pub mod harm;
pub mod journal;
mod lock;
mod redb_file;
pub mod registry;
mod rejected;
mod stamps;
mod tasks;
mod write_behind;

pub use atomic::{WriteFailed, is_temporary, sync_folder, write_atomically};
pub use document::{Document, DocumentId};
pub use documents::{
    NetworkStore, QuotaStore, SpecStore, Store, StoreFailed, Stored, StoredNetwork, StoredSpec,
};
pub use envelope::Damage;
pub use lock::{LockFailed, StateLock};
pub use tasks::{OpenedHistory, TaskHistory, TaskHistoryFailed};
