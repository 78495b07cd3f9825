//! The registry: which hosts there are, what they were told, which subnets they reach and which VMs
//! are assigned to them.
//!
//! ```text
//!   Hosts ──reads──▶ Snapshot ◀──publishes── a Registry ──▶ disk
//!     └──Transaction (conditions, writes)──────▶┘
//! ```
//!
//! [`Registry`] is what a store of it must do: give an immutable [`Snapshot`], and make a
//! [`Transaction`] whole or not at all, if what it depends on is still so. [`EmbeddedRegistry`] is the
//! one of a host by itself; another has nothing to do that etcd cannot: each record has one key, each
//! key the revision of its last change, and each condition is a comparison of those, or of a range.
//! What is done with it (make a host, edit one, remove one) is [`Hosts`], over any of them.
//!
//! # What holds
//!
//! - **Answered is there.** What was committed is in every later snapshot, and after any crash.
//! - **Nothing is lost between two writers.** An edit is made on what it read, or made again.
//! - **A record is damaged alone.** What cannot be read is listed apart ([`Damaged`]) with its reason,
//!   and keeps its key; nothing overwrites it unasked, and what replaces it leaves its bytes in the
//!   store. It never keeps others from being read.
//! - **Keys are confined.** They are made of ids and of nothing that a caller wrote freely.
//!
//! Not here: any wire format, and what a daemon knows of its own host without being told.

mod embedded;
mod failed;
mod host;
mod hosts;
mod key;
mod record;
mod snapshot;
mod transaction;

pub use embedded::EmbeddedRegistry;
pub use failed::{CommitFailed, HostsFailed, RegistryFailed};
pub use host::{
    Config, ConfigKey, HardwareAddress, HostRecord, NotAConfigKey, NotAHardwareAddress, Resources,
    Subnets,
};
pub use hosts::Hosts;
pub use key::{Key, NotAKey};
pub use record::{Damage, MAX_RECORD, Record};
pub use snapshot::{Damaged, Snapshot, Versioned};
pub use transaction::{Condition, Transaction, Write};

use async_trait::async_trait;
use innkeeper_model::Revision;
use std::{fmt, sync::Arc};

/// A store of the registry.
#[async_trait]
pub trait Registry: fmt::Debug + Send + Sync {
    /// All that is registered, as it was at one moment: no earlier than the call, so that whoever was
    /// answered a commit finds it here. Later changes do not show in it.
    ///
    /// # Errors
    /// [`RegistryFailed`] if the store cannot be asked.
    async fn snapshot(&self) -> Result<Arc<Snapshot>, RegistryFailed>;

    /// Makes all of these writes, if all of the conditions hold at that moment, or none; says the
    /// revision that they made. Answers when they are on disk.
    ///
    /// Dropping the future is no undo: the transaction may be made after it.
    ///
    /// # Errors
    /// [`CommitFailed::Conflict`] if a condition does not hold, and nothing was changed; read again
    /// and think anew. [`CommitFailed::TooLarge`], with nothing changed. [`CommitFailed::Store`] if
    /// the store fails; its error says whether something may have changed.
    async fn commit(&self, transaction: Transaction) -> Result<Revision, CommitFailed>;
}

#[cfg(test)]
mod suite;
