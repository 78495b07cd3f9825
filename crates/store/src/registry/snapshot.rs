//! All that is registered, at one moment.

use super::{
    failed::HostsFailed,
    host::{Config, HostRecord, Subnets},
    key::Key,
    record::{Damage, Record},
    transaction::Write,
};
use imbl::OrdMap;
use innkeeper_model::{HostId, Revision, VmId};
use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
};
use uuid::Uuid;

/// A value, and when it was last changed.
#[derive(Debug)]
pub struct Versioned<T> {
    /// The registry's revision at its last change.
    pub revision: Revision,
    value: T,
    encoded: OnceLock<Box<[u8]>>,
}

impl<T> Versioned<T> {
    fn new(revision: Revision, value: T) -> Arc<Self> {
        Arc::new(Self { revision, value, encoded: OnceLock::new() })
    }

    /// What a door shows of the value; `make` is called only if that was not made yet. There is one
    /// place for it, for the one door that shows such records.
    pub fn encoded(&self, make: impl FnOnce(&T) -> Vec<u8>) -> &[u8] {
        self.encoded.get_or_init(|| make(&self.value).into_boxed_slice())
    }
}

impl<T> Deref for Versioned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Something that is stored and cannot be read.
#[derive(Debug, Clone)]
pub struct Damaged {
    /// What it is stored under: a key's text, most often.
    pub path: String,
    /// The registry's revision when it was written.
    pub revision: Revision,
    /// What is wrong with it.
    pub reason: Arc<Damage>,
}

/// All that is registered, at one moment. A clone shares everything.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    revision: Revision,
    hosts_revision: Revision,
    hosts: OrdMap<HostId, Arc<Versioned<HostRecord>>>,
    configs: OrdMap<HostId, Arc<Versioned<Config>>>,
    subnets: OrdMap<HostId, Arc<Versioned<Subnets>>>,
    guests: OrdMap<(HostId, VmId), Revision>,
    damaged: OrdMap<String, Damaged>,
}

impl Snapshot {
    /// How many transactions were made before it.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The revision at which a host was last made, changed or removed. While it is the same, so are
    /// all of [`hosts`](Self::hosts).
    pub const fn hosts_revision(&self) -> Revision {
        self.hosts_revision
    }

    /// The hosts, in the order of their ids.
    pub fn hosts(&self) -> impl ExactSizeIterator<Item = &Arc<Versioned<HostRecord>>> {
        self.hosts.values()
    }

    /// A host.
    pub fn host(&self, id: HostId) -> Option<&Arc<Versioned<HostRecord>>> {
        self.hosts.get(&id)
    }

    /// What a host was told; `None` if it was never told anything.
    pub fn config(&self, host: HostId) -> Option<&Arc<Versioned<Config>>> {
        self.configs.get(&host)
    }

    /// Which subnets a host reaches; `None` if none was ever named.
    pub fn subnets(&self, host: HostId) -> Option<&Arc<Versioned<Subnets>>> {
        self.subnets.get(&host)
    }

    /// The VMs that are assigned to a host, in the order of their ids.
    pub fn guests(&self, host: HostId) -> impl Iterator<Item = VmId> {
        self.assignments(host).map(|(_, vm)| vm)
    }

    /// What is stored and cannot be read, in the order of the keys.
    pub fn damaged(&self) -> impl ExactSizeIterator<Item = &Damaged> {
        self.damaged.values()
    }

    /// What is damaged under this key.
    pub fn damage_of(&self, key: Key) -> Option<&Damaged> {
        // Most often there is none, and no text to make.
        if self.damaged.is_empty() { None } else { self.damaged.get(&key.to_string()) }
    }

    /// Refuses to go on where what has this key is damaged. That nothing has it is no failure.
    ///
    /// # Errors
    /// [`HostsFailed::Damaged`].
    pub fn check(&self, key: Key) -> Result<(), HostsFailed> {
        self.damage_of(key).map_or(Ok(()), |damaged| {
            let (path, reason) = (damaged.path.clone(), Arc::clone(&damaged.reason));
            Err(HostsFailed::Damaged { path, reason })
        })
    }

    /// When what has this key was last changed; `None` if nothing has it.
    pub fn revision_of(&self, key: Key) -> Option<Revision> {
        let whole = match key {
            Key::Host(id) => self.hosts.get(&id).map(|host| host.revision),
            Key::Config(id) => self.configs.get(&id).map(|config| config.revision),
            Key::Subnets(id) => self.subnets.get(&id).map(|subnets| subnets.revision),
            Key::Guest(host, vm) => self.guests.get(&(host, vm)).copied(),
        };
        whole.or_else(|| self.damage_of(key).map(|damaged| damaged.revision))
    }

    /// Whether a VM is assigned to a host, be it by a record that is damaged.
    pub(crate) fn has_guests(&self, host: HostId) -> bool {
        let prefix = format!("guests/{host}/");
        self.assignments(host).next().is_some()
            || self.damaged.keys().any(|path| path.starts_with(&prefix))
    }

    fn assignments(&self, host: HostId) -> impl Iterator<Item = (HostId, VmId)> {
        let bound = |uuid| (host, VmId::from_uuid(uuid));
        self.guests.range(bound(Uuid::nil())..=bound(Uuid::max())).map(|(key, _)| *key)
    }

    /// The same after one more transaction.
    pub(crate) fn apply(&mut self, writes: &[Write]) -> Revision {
        self.revision = self.revision.next();
        for write in writes {
            match write {
                Write::Put(record) => self.insert(self.revision, record.clone()),
                Write::Remove(key) => self.take_out(*key),
            }
        }
        self.revision
    }

    /// Adds what was stored at a revision.
    pub(crate) fn insert(&mut self, revision: Revision, record: Record) {
        let key = record.key();
        self.forget_damage(key);
        self.touched(key, revision);
        match record {
            Record::Host(host) => drop(self.hosts.insert(host.id, Versioned::new(revision, host))),
            Record::Config(host, config) => {
                self.configs.insert(host, Versioned::new(revision, config));
            }
            Record::Subnets(host, subnets) => {
                self.subnets.insert(host, Versioned::new(revision, subnets));
            }
            Record::Guest(host, vm) => drop(self.guests.insert((host, vm), revision)),
        }
    }

    /// Adds what was stored at a revision and cannot be read.
    pub(crate) fn insert_damaged(&mut self, damaged: Damaged) {
        self.revision = self.revision.max(damaged.revision);
        self.damaged.insert(damaged.path.clone(), damaged);
    }

    /// Has the revision be no less than this.
    pub(crate) fn reach(&mut self, revision: Revision) {
        self.revision = self.revision.max(revision);
        self.hosts_revision = self.revision;
    }

    fn take_out(&mut self, key: Key) {
        self.forget_damage(key);
        self.touched(key, self.revision);
        match key {
            Key::Host(id) => drop(self.hosts.remove(&id)),
            Key::Config(id) => drop(self.configs.remove(&id)),
            Key::Subnets(id) => drop(self.subnets.remove(&id)),
            Key::Guest(host, vm) => drop(self.guests.remove(&(host, vm))),
        }
    }

    fn touched(&mut self, key: Key, revision: Revision) {
        self.revision = self.revision.max(revision);
        if matches!(key, Key::Host(_)) {
            self.hosts_revision = self.hosts_revision.max(revision);
        }
    }

    fn forget_damage(&mut self, key: Key) {
        if self.damage_of(key).is_some() {
            self.damaged.remove(&key.to_string());
        }
    }
}
