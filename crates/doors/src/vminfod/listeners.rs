//! Who follows the events.

use super::{clock::Clock, object::IsoTime};
use innkeeper_model::Timestamp;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use utoipa::ToSchema;
use uuid::Uuid;

/// All who follow the events now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listeners(Arc<Mutex<BTreeMap<Uuid, Listener>>>);

#[derive(Debug)]
struct Listener {
    user_agent: String,
    since: Instant,
    date: Timestamp,
}

/// One who follows the events, as long as this lives.
#[derive(Debug)]
pub(crate) struct Listening {
    all: Listeners,
    id: Uuid,
}

/// What is shown of a listener.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Listener)]
pub(crate) struct ShownListener {
    /// What it calls itself; empty where it does not.
    user_agent: String,
    /// Since when, by the daemon's own clock.
    created_time: String,
    /// Since when.
    created_date: IsoTime,
    /// For how long.
    created_ago: String,
}

impl Listeners {
    fn all(&self) -> MutexGuard<'_, BTreeMap<Uuid, Listener>> {
        // Only map operations happen under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more.
    pub(crate) fn enter(&self, user_agent: String) -> Listening {
        let id = Uuid::new_v4();
        let listener = Listener { user_agent, since: Instant::now(), date: Timestamp::now() };
        self.all().insert(id, listener);
        Listening { all: self.clone(), id }
    }

    pub(crate) fn shown(&self, clock: &Clock) -> BTreeMap<Uuid, ShownListener> {
        let show = |(id, listener): (&Uuid, &Listener)| {
            let shown = ShownListener {
                user_agent: listener.user_agent.clone(),
                created_time: clock.at(listener.since),
                created_date: IsoTime(listener.date),
                created_ago: clock.ago(listener.since),
            };
            (*id, shown)
        };
        self.all().iter().map(show).collect()
    }
}

impl Listening {
    /// The listener's id, which names no VM.
    pub(crate) const fn id(&self) -> Uuid {
        self.id
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.all.all().remove(&self.id);
    }
}
