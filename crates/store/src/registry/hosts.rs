//! What is done with the registrations of hosts, over any store of them.
//!
//! Each change is made on what was read, and made again on something newer if another came first: of
//! two that overlap, the second sees the first.

use super::{
    Registry,
    failed::{CommitFailed, HostsFailed},
    host::{Config, HostRecord, Subnets},
    key::Key,
    record::Record,
    snapshot::{Snapshot, Versioned},
    transaction::{Condition, Transaction},
};
use innkeeper_model::{HostId, VmId};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long a change is tried while others come first. Of those that meet, one is made each time, so
/// this is some ten thousand changes of one host away.
const TRIED_FOR: Duration = Duration::from_secs(10);

/// The registered hosts. Clones are the same.
#[derive(Debug, Clone)]
pub struct Hosts {
    registry: Arc<dyn Registry>,
}

/// What a try came to.
enum Tried<T> {
    /// Nothing is to be changed.
    Nothing(T),
    /// This is to be changed.
    Change(Transaction, T),
}

impl Hosts {
    /// The hosts in this store.
    pub fn new(registry: Arc<dyn Registry>) -> Self {
        Self { registry }
    }

    /// All that is registered now.
    ///
    /// # Errors
    /// [`HostsFailed::Store`].
    pub async fn snapshot(&self) -> Result<Arc<Snapshot>, HostsFailed> {
        Ok(self.registry.snapshot().await?)
    }

    /// Registers a host. What is damaged under its id is replaced, and its bytes are kept apart.
    ///
    /// # Errors
    /// [`HostsFailed::Taken`], [`TooLarge`](HostsFailed::TooLarge),
    /// [`Contended`](HostsFailed::Contended) or [`Store`](HostsFailed::Store).
    pub async fn create(&self, host: HostRecord) -> Result<(), HostsFailed> {
        let key = Key::Host(host.id);
        self.change(host.id, |now| {
            if now.host(host.id).is_some() {
                return Err(HostsFailed::Taken(host.id));
            }
            let create = Transaction::new().when(Condition::as_in(now, key));
            Ok(Tried::Change(create.put(Record::Host(host.clone())), ()))
        })
        .await
    }

    /// Edits a host and says how it is then. `edit` is called again, on something newer, if another
    /// change came first; an edit that changes nothing writes nothing.
    ///
    /// # Errors
    /// What `edit` refuses; [`HostsFailed`] in the shape of those.
    pub async fn edit<E: From<HostsFailed>>(
        &self,
        id: HostId,
        edit: impl Fn(&mut HostRecord) -> Result<(), E> + Send + Sync,
    ) -> Result<HostRecord, E> {
        self.change(id, |now| {
            let before = whole(now, id)?;
            let mut host = HostRecord::clone(before);
            edit(&mut host)?;
            if host == ***before {
                return Ok(Tried::Nothing(host));
            }
            let change = Transaction::new().when(Condition::as_in(now, Key::Host(id)));
            Ok(Tried::Change(change.put(Record::Host(host.clone())), host))
        })
        .await
    }

    /// Edits what a host was told, as [`edit`](Self::edit) does the host.
    ///
    /// # Errors
    /// What `edit` refuses; [`HostsFailed`] in the shape of those.
    pub async fn edit_config<E: From<HostsFailed>>(
        &self,
        id: HostId,
        edit: impl Fn(&mut Config) -> Result<(), E> + Send + Sync,
    ) -> Result<Config, E> {
        let key = Key::Config(id);
        self.edit_of_host(id, key, Snapshot::config, |config| Record::Config(id, config), edit)
            .await
    }

    /// Edits which subnets a host reaches, as [`edit`](Self::edit) does the host.
    ///
    /// # Errors
    /// What `edit` refuses; [`HostsFailed`] in the shape of those.
    pub async fn edit_subnets<E: From<HostsFailed>>(
        &self,
        id: HostId,
        edit: impl Fn(&mut Subnets) -> Result<(), E> + Send + Sync,
    ) -> Result<Subnets, E> {
        let key = Key::Subnets(id);
        self.edit_of_host(id, key, Snapshot::subnets, |subnets| Record::Subnets(id, subnets), edit)
            .await
    }

    /// Removes a host with what it was told and which subnets it reaches, and says what it was.
    ///
    /// # Errors
    /// [`HostsFailed::Missing`], [`NotEmpty`](HostsFailed::NotEmpty),
    /// [`Damaged`](HostsFailed::Damaged), [`Contended`](HostsFailed::Contended) or
    /// [`Store`](HostsFailed::Store).
    pub async fn remove(&self, id: HostId) -> Result<HostRecord, HostsFailed> {
        self.change(id, |now| {
            let host = HostRecord::clone(whole(now, id)?);
            if now.has_guests(id) {
                return Err(HostsFailed::NotEmpty(id));
            }
            let remove = Transaction::new()
                .when(Condition::as_in(now, Key::Host(id)))
                .when(Condition::NoGuests(id))
                .remove(Key::Host(id))
                .remove(Key::Config(id))
                .remove(Key::Subnets(id));
            Ok(Tried::Change(remove, host))
        })
        .await
    }

    /// Assigns a VM to a host. That it is assigned to it already is no failure.
    ///
    /// # Errors
    /// As [`remove`](Self::remove), but for `NotEmpty`.
    pub async fn assign(&self, id: HostId, vm: VmId) -> Result<(), HostsFailed> {
        self.change(id, |now| {
            whole(now, id)?;
            let assign = Transaction::new().when(Condition::Present(Key::Host(id)));
            Ok(Tried::Change(assign.put(Record::Guest(id, vm)), ()))
        })
        .await
    }

    /// Has a VM not be assigned to a host any more. That it is not is no failure.
    ///
    /// # Errors
    /// As [`assign`](Self::assign).
    pub async fn unassign(&self, id: HostId, vm: VmId) -> Result<(), HostsFailed> {
        self.change(id, |now| {
            whole(now, id)?;
            Ok(Tried::Change(Transaction::new().remove(Key::Guest(id, vm)), ()))
        })
        .await
    }

    /// Edits a record beside a host's own, which need not be there yet.
    async fn edit_of_host<T, E>(
        &self,
        id: HostId,
        key: Key,
        find: impl Fn(&Snapshot, HostId) -> Option<&Arc<Versioned<T>>> + Send + Sync,
        record: impl Fn(T) -> Record + Send + Sync,
        edit: impl Fn(&mut T) -> Result<(), E> + Send + Sync,
    ) -> Result<T, E>
    where
        T: Clone + Default + PartialEq + Send + Sync,
        E: From<HostsFailed>,
    {
        self.change(id, |now| {
            whole(now, id)?;
            now.check(key)?;
            let before = find(now, id).map(|before| T::clone(before)).unwrap_or_default();
            let mut after = before.clone();
            edit(&mut after)?;
            if after == before {
                return Ok(Tried::Nothing(after));
            }
            let change = Transaction::new()
                .when(Condition::Present(Key::Host(id)))
                .when(Condition::as_in(now, key))
                .put(record(after.clone()));
            Ok(Tried::Change(change, after))
        })
        .await
    }

    /// Makes a change on what there is, until no other came between.
    async fn change<T, E: From<HostsFailed>>(
        &self,
        id: HostId,
        plan: impl Fn(&Snapshot) -> Result<Tried<T>, E> + Send + Sync,
    ) -> Result<T, E> {
        let begun = Instant::now();
        loop {
            let now = self.snapshot().await?;
            let (transaction, done) = match plan(&now)? {
                Tried::Nothing(done) => return Ok(done),
                Tried::Change(transaction, done) => (transaction, done),
            };
            drop(now);
            match self.registry.commit(transaction).await {
                Ok(_) => return Ok(done),
                Err(CommitFailed::Conflict(_)) if begun.elapsed() < TRIED_FOR => {}
                Err(CommitFailed::Conflict(_)) => return Err(HostsFailed::Contended(id).into()),
                Err(CommitFailed::TooLarge { key, size }) => {
                    return Err(HostsFailed::TooLarge { key, size }.into());
                }
                Err(CommitFailed::Store(failed)) => return Err(HostsFailed::from(failed).into()),
            }
        }
    }
}

/// The host, if there is one and it is whole.
fn whole(now: &Snapshot, id: HostId) -> Result<&Arc<Versioned<HostRecord>>, HostsFailed> {
    now.check(Key::Host(id))?;
    now.host(id).ok_or(HostsFailed::Missing(id))
}
