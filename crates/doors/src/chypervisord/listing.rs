//! The list of hosts, as bytes: made of the bytes of each, which are made once, and kept until a host
//! changes.

use super::{body::line, shown::Hypervisor};
use axum::body::Bytes;
use innkeeper_model::{HostId, Revision};
use innkeeper_store::registry::{HostRecord, Snapshot};
use std::sync::{Mutex, PoisonError};

/// The list that was made last.
#[derive(Debug, Default)]
pub(super) struct Listing(Mutex<Option<Made>>);

#[derive(Debug)]
struct Made {
    /// Of which hosts.
    revision: Revision,
    /// How this host was shown in it.
    this_host: Vec<u8>,
    list: Bytes,
}

impl Listing {
    /// All hosts, in the order of their ids; `shown` is how this one is shown now.
    pub(super) fn of(&self, now: &Snapshot, shown: Option<&HostRecord>) -> Bytes {
        let this_host = shown.map(encode).unwrap_or_default();
        let revision = now.hosts_revision();
        let is_it = |made: &&Made| made.revision == revision && made.this_host == this_host;
        if let Some(made) = self.last().as_ref().filter(is_it) {
            return made.list.clone();
        }
        // Made outside the lock: two who come at once make it twice, and nobody waits.
        let list = Bytes::from(write(now, shown.map(|host| host.id), &this_host));
        let made = Made { revision, this_host, list: list.clone() };
        *self.last() = Some(made);
        list
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<Made>> {
        // It is there whole, or not at all.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(now: &Snapshot, this_id: Option<HostId>, this_host: &[u8]) -> Vec<u8> {
    let document = |host: &HostRecord| encode(host);
    let encoded = now
        .hosts()
        .map(|host| if Some(host.id) == this_id { this_host } else { host.encoded(document) });
    let encoded: Vec<&[u8]> = encoded.collect();
    let mut list = Vec::with_capacity(encoded.iter().map(|host| host.len() + 1).sum::<usize>() + 3);
    list.push(b'[');
    for (at, host) in encoded.into_iter().enumerate() {
        if at > 0 {
            list.push(b',');
        }
        list.extend_from_slice(host);
    }
    list.extend_from_slice(b"]\n");
    list
}

fn encode(host: &HostRecord) -> Vec<u8> {
    let mut json = line(&Hypervisor::from(host));
    json.pop();
    json
}
