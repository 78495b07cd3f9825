//! What is to be changed together, and what must hold for it.

use super::{key::Key, record::Record, snapshot::Snapshot};
use innkeeper_model::{HostId, Revision};

/// Changes that are made together, if something still holds.
#[derive(Debug, Clone, Default)]
pub struct Transaction {
    /// What must hold.
    pub conditions: Vec<Condition>,
    /// What is then changed, in this order.
    pub writes: Vec<Write>,
}

/// What must hold for a transaction to be made. What is damaged has a revision, and is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// What has this key was last changed at this revision.
    Unchanged(Key, Revision),
    /// Something has this key.
    Present(Key),
    /// Nothing has this key.
    Absent(Key),
    /// No VM is assigned to this host.
    NoGuests(HostId),
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// This is registered, in place of what has its key.
    Put(Record),
    /// Nothing has this key any more.
    Remove(Key),
}

impl Transaction {
    /// No change, on no condition.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, on one more condition.
    #[must_use]
    pub fn when(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// The same, with one more record.
    #[must_use]
    pub fn put(mut self, record: Record) -> Self {
        self.writes.push(Write::Put(record));
        self
    }

    /// The same, with one more key that goes.
    #[must_use]
    pub fn remove(mut self, key: Key) -> Self {
        self.writes.push(Write::Remove(key));
        self
    }
}

impl Condition {
    /// That what has this key is still as it is in this snapshot, or still not there.
    pub fn as_in(snapshot: &Snapshot, key: Key) -> Self {
        match snapshot.revision_of(key) {
            Some(revision) => Self::Unchanged(key, revision),
            None => Self::Absent(key),
        }
    }

    /// Whether it holds.
    pub(crate) fn holds(self, snapshot: &Snapshot) -> bool {
        match self {
            Self::Unchanged(key, revision) => snapshot.revision_of(key) == Some(revision),
            Self::Present(key) => snapshot.revision_of(key).is_some(),
            Self::Absent(key) => snapshot.revision_of(key).is_none(),
            Self::NoGuests(host) => !snapshot.has_guests(host),
        }
    }
}
