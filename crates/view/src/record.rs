//! Records, and the bytes that doors have made of them.

use bytes::Bytes;
use innkeeper_model::{Host, Image, Revision, Task, Vm};
use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
};

/// Where a door keeps its encoding of a record or a batch: one slot a door, so that no door sees
/// another's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodingSlot {
    /// The native API.
    Native,
    /// The door of triton-vminfod.
    Vminfod,
    /// The door of the Formation VMM service.
    Vmm,
    /// The door of chypervisord.
    Chypervisord,
    /// The door of virtx.
    Virtx,
}

const SLOTS: usize = EncodingSlot::Virtx as usize + 1;

/// One encoding a door, each made when it is first asked for.
#[derive(Debug, Default)]
pub(crate) struct Encodings([OnceLock<Bytes>; SLOTS]);

impl Encodings {
    pub(crate) fn get_or_make(&self, slot: EncodingSlot, make: impl FnOnce() -> Bytes) -> Bytes {
        self.0[slot as usize].get_or_init(make).clone()
    }
}

/// A value at one revision, with the encodings that doors have made of it.
///
/// A change makes another record, so an encoding never outlives what it shows.
#[derive(Debug)]
pub struct Record<T> {
    // Apart from the encodings, so that the feed can remember an old value without its bytes.
    value: Arc<T>,
    encodings: Encodings,
}

impl<T> Record<T> {
    pub(crate) fn new(value: Arc<T>) -> Self {
        Self { value, encodings: Encodings::default() }
    }

    /// The value.
    pub fn value(&self) -> &Arc<T> {
        &self.value
    }

    /// This door's encoding of the value; `make` is called only if there is none yet.
    ///
    /// Two threads that ask for a new encoding at once make it once: the second waits for the first,
    /// so `make` must do nothing but encode.
    pub fn encoded(&self, slot: EncodingSlot, make: impl FnOnce(&T) -> Bytes) -> Bytes {
        self.encodings.get_or_make(slot, || make(&self.value))
    }
}

impl<T> Deref for Record<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Something that shows the revision of its last change.
pub(crate) trait Revisioned {
    fn revision(&self) -> Revision;
    fn revision_mut(&mut self) -> &mut Revision;
}

macro_rules! revisioned {
    ($($record:ty),*) => {$(
        impl Revisioned for $record {
            fn revision(&self) -> Revision {
                self.revision
            }

            fn revision_mut(&mut self) -> &mut Revision {
                &mut self.revision
            }
        }
    )*};
}
revisioned!(Vm, Task, Image, Host);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_encodes_a_record_once_and_sees_only_its_own_bytes() {
        let record = Record::new(Arc::new(7));
        let native = |_: &i32| Bytes::from_static(b"native");
        assert_eq!(record.encoded(EncodingSlot::Native, native), "native");
        assert_eq!(record.encoded(EncodingSlot::Native, |_| unreachable!()), "native");
        let virtx = record.encoded(EncodingSlot::Virtx, |n| Bytes::from(format!("virtx {n}")));
        assert_eq!(virtx, "virtx 7");
    }
}
