//! The list of VMs: a copy of their cached encodings. One that is not too long is kept until a VM changes,
//! and is then sent as it is; a longer one is made while it is sent.

use super::{
    answer::{self, encode},
    mapping,
    query::{self, Query},
};
use crate::age::oldest_first;
use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use imbl::OrdMap;
use innkeeper_model::{Vm, VmId};
use innkeeper_surface::Seen;
use innkeeper_view::{EncodingSlot, Record, Snapshot};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

/// The size at which a chunk is sent, in bytes: large enough that what a chunk costs does not show, and
/// small enough to stay in the processor's cache between here and the socket.
const CHUNK: usize = 64 << 10;
/// Room for the VM that makes a chunk full, so that it is seldom moved.
const OVERSHOOT: usize = 8 << 10;

/// The longest list that is kept, in bytes.
const MAX_KEPT: usize = 8 << 20;

/// The VMs of a snapshot.
type Vms = OrdMap<VmId, Arc<Record<Vm>>>;

/// The list that was asked for last, with the VMs that it shows.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Option<(Vms, Bytes)>>);

impl Kept {
    /// The list of these VMs, if it is that.
    fn of(&self, vms: &Vms) -> Option<Bytes> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|(shown, _)| shown.ptr_eq(vms)).map(|(_, list)| list.clone())
    }

    fn keep(&self, vms: Vms, list: Option<Bytes>) {
        let new = list.map(|list| (vms, list));
        // What it was is freed when nobody is kept waiting for it.
        let _old =
            std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), new);
    }
}

/// A VM as JSON; made once, however often it is asked for.
pub(crate) fn encoded(vm: &Record<Vm>) -> Bytes {
    vm.encoded(EncodingSlot::Vminfod, |vm| encode(&mapping::object(vm)))
}

/// The VMs that a reader sees and wants to see, as a JSON array.
pub(crate) fn answer(seen: &Seen, query: Query, kept: &Kept) -> Response {
    let is_everything = seen.sight().is_everything() && query.filter.is_everything();
    if query.fields.is_none() && is_everything {
        return everything(seen.whole(), kept);
    }
    let mut list = vec![b'['];
    let matches = |vm: &&Arc<Record<Vm>>| query.filter.matches_encoded(vm.id, || encoded(vm));
    for vm in oldest_first(seen.vms().filter(matches).map(|vm| (vm.id, vm))) {
        if list.len() > 1 {
            list.push(b',');
        }
        match &query.fields {
            None => list.extend_from_slice(&encoded(&vm)),
            Some(fields) => {
                let fields = query::members(&encoded(&vm), |key| fields.contains(&key));
                list.extend_from_slice(&encode(&fields));
            }
        }
    }
    list.push(b']');
    answer::whole(StatusCode::OK, list)
}

fn everything(snapshot: &Snapshot, kept: &Kept) -> Response {
    if let Some(list) = kept.of(&snapshot.vms) {
        return answer::whole(StatusCode::OK, list);
    }
    let vms = snapshot.vms.clone();
    let mut rows = Rows::new(snapshot);
    let length = rows.length();
    if length <= MAX_KEPT {
        let mut list = Vec::with_capacity(length);
        rows.fill(&mut list, usize::MAX);
        let list = Bytes::from(list);
        kept.keep(vms, Some(list.clone()));
        return answer::whole(StatusCode::OK, list);
    }
    kept.keep(vms, None);
    let chunks = stream::iter(rows.map(Ok::<_, Infallible>));
    answer::of_length(StatusCode::OK, length, Body::from_stream(chunks))
}

/// All VMs of a snapshot as a JSON array, in chunks.
pub(crate) struct Rows {
    vms: std::vec::IntoIter<Arc<Record<Vm>>>,
    at: At,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    Rows,
    End,
}

impl Rows {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        let vms = oldest_first(snapshot.vms.iter().map(|(id, vm)| (*id, vm)));
        Self { vms: vms.into_iter(), at: At::Start }
    }

    /// How long the array is, in bytes. To be asked before the first chunk is taken.
    fn length(&self) -> usize {
        let vms = self.vms.as_slice();
        let bytes: usize = vms.iter().map(|vm| encoded(vm).len()).sum();
        // Each but the first has a comma before it.
        bytes + "[]".len() + vms.len().saturating_sub(1)
    }

    /// Appends to the chunk until it has this size or the array has ended.
    fn fill(&mut self, chunk: &mut Vec<u8>, size: usize) {
        if self.at == At::Start {
            chunk.push(b'[');
        }
        while chunk.len() < size {
            let Some(vm) = self.vms.next() else {
                chunk.push(b']');
                self.at = At::End;
                return;
            };
            if self.at == At::Rows {
                chunk.push(b',');
            }
            self.at = At::Rows;
            chunk.extend_from_slice(&encoded(&vm));
        }
    }
}

impl Iterator for Rows {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.at == At::End {
            return None;
        }
        let mut chunk = Vec::with_capacity(CHUNK + OVERSHOOT);
        self.fill(&mut chunk, CHUNK);
        Some(chunk.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::spec;
    use innkeeper_model::VmConfig;
    use innkeeper_view::{Update, View, ViewOptions};

    async fn view(vms: usize) -> View {
        let view = View::start(ViewOptions::new(uuid::Uuid::now_v7()));
        let update = |number: usize| {
            let config = VmConfig::new(format!("vm-{number}").parse().unwrap());
            Update::VmSpec(Arc::new(spec(VmId::new(), config)))
        };
        view.barrier((0..vms).map(update).collect()).await.unwrap();
        view
    }

    #[tokio::test]
    async fn in_chunks_or_whole_it_is_the_same() {
        let snapshot = view(400).await.snapshot();
        let chunks: Vec<Bytes> = Rows::new(&snapshot).collect();
        assert!(chunks.len() > 2);
        let mut whole = Vec::new();
        Rows::new(&snapshot).fill(&mut whole, usize::MAX);
        assert_eq!(chunks.concat(), whole);
        let list: serde_json::Value = serde_json::from_slice(&whole).unwrap();
        assert_eq!(list.as_array().unwrap().len(), 400);
    }

    #[tokio::test]
    async fn a_list_is_kept_until_a_vm_changes_and_no_longer() {
        let view = view(2).await;
        let kept = Kept::default();
        let before = view.snapshot();
        everything(&before, &kept);
        let first = kept.of(&before.vms).unwrap();
        // Something else changed: the list is the very one.
        view.barrier(vec![Update::Host(innkeeper_model::Host { cpus: 3, ..Default::default() })])
            .await
            .unwrap();
        assert_eq!(kept.of(&view.snapshot().vms).unwrap().as_ptr(), first.as_ptr());
        let gone = *before.vms.keys().next().unwrap();
        view.barrier(vec![Update::VmRemoved(gone)]).await.unwrap();
        assert_eq!(kept.of(&view.snapshot().vms), None);
    }
}
