//! What the neighbour and its driver share: the connection while there is one, and what was told last.
//!
//! Whoever asks libvirt about domains does so in turn, and tells before the next one asks, so that what
//! is told is never older than what was told before.

use crate::{
    client::Client,
    error::Error,
    survey::{self, AllHeard, Domain, Domains, Heard},
};
use innkeeper_driver::NeighbourObserver;
use innkeeper_model::{Code, Refusal, VmId, host::ManagerLost};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::{collections::HashMap, fmt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The connection while there is one, and what is known.
pub(crate) struct Link {
    client: watch::Sender<Option<Arc<Client>>>,
    observer: OnceLock<Arc<dyn NeighbourObserver>>,
    turn: tokio::sync::Mutex<()>,
    known: Mutex<Domains>,
    /// Why there is no connection, as last told.
    lost: Mutex<Option<ManagerLost>>,
    /// Changes with everything that is told.
    told: watch::Sender<()>,
    /// The domains that libvirt is about to start, and what is cancelled when it has answered.
    starting: Mutex<HashMap<Uuid, CancellationToken>>,
    /// The runs that were begun over this link, the last of each domain.
    begun: Mutex<HashMap<Uuid, i64>>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("lost", &self.lost).finish_non_exhaustive()
    }
}

impl Default for Link {
    fn default() -> Self {
        Self {
            client: watch::Sender::new(None),
            observer: OnceLock::new(),
            turn: tokio::sync::Mutex::default(),
            known: Mutex::default(),
            lost: Mutex::default(),
            told: watch::Sender::new(()),
            starting: Mutex::default(),
            begun: Mutex::default(),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The connection that there is; when this is dropped there is none, and whoever still has it is told.
pub(crate) struct Published<'a> {
    link: &'a Link,
    client: Arc<Client>,
}

impl Drop for Published<'_> {
    fn drop(&mut self) {
        self.link.client.send_replace(None);
        self.client.hang_up();
    }
}

/// A start that libvirt has not answered yet.
pub(crate) struct Starting {
    link: Arc<Link>,
    uuid: Uuid,
}

impl Starting {
    /// Notes which run it was, if it was one.
    pub(crate) fn answered(self, run: Option<i64>) {
        if let Some(run) = run {
            locked(&self.link.begun).insert(self.uuid, run);
        }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let done = locked(&self.link.starting).remove(&self.uuid);
        if let Some(done) = done {
            done.cancel();
        }
    }
}

impl Link {
    /// Says who is told; the first counts.
    pub(crate) fn tell_to(&self, observer: Arc<dyn NeighbourObserver>) {
        let _first = self.observer.set(observer);
    }

    fn tell(&self, tell: impl FnOnce(&dyn NeighbourObserver)) {
        if let Some(observer) = self.observer.get() {
            tell(observer.as_ref());
        }
        self.told.send_replace(());
    }

    /// The connection, once there is one; cancel-safe.
    pub(crate) async fn client(&self) -> Arc<Client> {
        let mut client = self.client.subscribe();
        let there = client.wait_for(Option::is_some).await;
        match there.ok().and_then(|client| client.clone()) {
            Some(client) => client,
            // The sender is this very link's, and lives as long.
            None => std::future::pending().await,
        }
    }

    /// The connection, if there is one.
    pub(crate) fn client_now(&self) -> Option<Arc<Client>> {
        self.client.borrow().clone()
    }

    /// What is said to whoever needs a connection.
    pub(crate) fn not_connected(&self) -> Refusal {
        let (why, hint) = match self.lost() {
            Some(ManagerLost { reason, hint, .. }) => (reason, hint),
            None => ("it is not connected yet".into(), None),
        };
        let refusal =
            Refusal::new(Code::HypervisorFailed, format!("libvirt cannot be asked: {why}"));
        Refusal { hint, ..refusal }
    }

    /// Why there is no connection, as last told.
    pub(crate) fn lost(&self) -> Option<ManagerLost> {
        locked(&self.lost).clone()
    }

    /// Tells that there is no connection, unless that was told: of a loss for one and the same reason the first
    /// counts.
    pub(crate) fn lose(&self, loss: ManagerLost) {
        {
            let mut lost = locked(&self.lost);
            if lost.as_ref().is_some_and(|told| told.reason == loss.reason) {
                return;
            }
            *lost = Some(loss.clone());
        }
        self.tell(|observer| observer.lost(loss));
    }

    /// How many domains were last told of.
    pub(crate) fn count(&self) -> usize {
        locked(&self.known).len()
    }

    /// What was last told of a domain.
    pub(crate) fn known(&self, uuid: Uuid) -> Option<Domain> {
        locked(&self.known).get(&uuid).cloned()
    }

    /// Changes with everything that is told from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.told.subscribe()
    }

    /// Makes a connection the one there is, and tells all that there is: of everything it is asked what
    /// it is made of, since nobody knows what was missed.
    ///
    /// # Errors
    /// libvirt did not answer; nothing was told.
    pub(crate) async fn take_up(&self, client: Arc<Client>) -> Result<Published<'_>, Error> {
        let _turn = self.turn.lock().await;
        let now = survey::all(&client, &Domains::new(), &AllHeard::new()).await?;
        // Whoever is told may ask at once.
        self.client.send_replace(Some(client.clone()));
        let published = Published { link: self, client };
        self.tell_all(now);
        Ok(published)
    }

    /// Asks for all domains, and tells them. Of those that were heard of it is asked what they are made
    /// of, too.
    ///
    /// # Errors
    /// libvirt did not answer; nothing was told.
    pub(crate) async fn survey(&self, client: &Client, heard: &AllHeard) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        let known = locked(&self.known).clone();
        self.tell_all(survey::all(client, &known, heard).await?);
        Ok(())
    }

    fn tell_all(&self, now: Domains) {
        let mut machines: Vec<_> = now.values().map(Domain::told).collect();
        machines.sort_by_key(|machine| machine.id);
        *locked(&self.known) = now;
        *locked(&self.lost) = None;
        self.tell(|observer| observer.all(machines));
    }

    /// Asks for one domain, and tells of it if it is other than it was.
    ///
    /// # Errors
    /// libvirt did not answer; nothing was told.
    pub(crate) async fn refresh(
        &self,
        client: &Client,
        uuid: Uuid,
        heard: Heard,
    ) -> Result<Option<Domain>, Error> {
        let _turn = self.turn.lock().await;
        let mut known = Domains::new();
        known.extend(self.known(uuid).map(|domain| (uuid, domain)));
        let now = survey::one(client, uuid, &known, heard).await?;
        if now.as_ref() == known.get(&uuid) {
            return Ok(now);
        }
        match &now {
            Some(domain) => {
                locked(&self.known).insert(uuid, domain.clone());
                self.tell(|observer| observer.changed(domain.told()));
            }
            None => {
                locked(&self.known).remove(&uuid);
                self.tell(|observer| observer.gone(VmId::from_uuid(uuid)));
            }
        }
        Ok(now)
    }

    /// Notes that libvirt is about to start a domain, until what is returned is dropped.
    pub(crate) fn begin_start(self: &Arc<Self>, uuid: Uuid) -> Starting {
        locked(&self.begun).remove(&uuid);
        locked(&self.starting).insert(uuid, CancellationToken::new());
        Starting { link: self.clone(), uuid }
    }

    /// The run of a domain that was begun over this link last.
    pub(crate) fn begun(&self, uuid: Uuid) -> Option<i64> {
        locked(&self.begun).get(&uuid).copied()
    }

    /// Waits until libvirt has answered a start of a domain that was given up.
    pub(crate) async fn start_answered(&self, uuid: Uuid) {
        let answered = locked(&self.starting).get(&uuid).cloned();
        if let Some(answered) = answered {
            answered.cancelled().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use innkeeper_model::{NeighbourMachine, Timestamp};

    #[derive(Default)]
    struct Ear(Mutex<Vec<ManagerLost>>);

    impl NeighbourObserver for Ear {
        fn all(&self, _: Vec<NeighbourMachine>) {}
        fn changed(&self, _: NeighbourMachine) {}
        fn gone(&self, _: VmId) {}
        fn lost(&self, loss: ManagerLost) {
            locked(&self.0).push(loss);
        }
    }

    /// It is tried every few seconds, for as long as it takes.
    #[test]
    fn a_loss_is_told_once_however_often_it_is_tried_and_anew_for_another_reason() {
        let (link, ear) = (Link::default(), Arc::new(Ear::default()));
        link.tell_to(ear.clone());
        let loss = |second, reason: &str| {
            let hint = Some(format!("mend that {reason}"));
            ManagerLost { at: Timestamp::from_second(second).unwrap(), reason: reason.into(), hint }
        };
        (0..100).for_each(|second| link.lose(loss(second, "it wants a password")));
        link.lose(loss(100, "nobody listens"));
        let told = [loss(0, "it wants a password"), loss(100, "nobody listens")];
        assert_eq!(*locked(&ear.0), told);
        let refusal = link.not_connected();
        assert_eq!(refusal.message, "libvirt cannot be asked: nobody listens");
        assert_eq!(refusal.hint.as_deref(), Some("mend that nobody listens"));
    }
}
