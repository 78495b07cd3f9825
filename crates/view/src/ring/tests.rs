use super::*;
use crate::{
    EncodingSlot, Subject, Transition,
    state::State,
    test_data::{facts, resets, second, wish},
};
use bytes::Bytes;
use innkeeper_model::MachineState;
use uuid::Uuid;

const ROOMY: Bounds = Bounds { changes: 1000, bytes: 1 << 20 };

/// So many changes in a row, the first of which has sequence 1.
fn changes(count: u32) -> Vec<Arc<Entry>> {
    let mut state = State::new(Uuid::nil(), 10);
    let mut entries = Vec::new();
    state.apply(wish(1, "web"), second(0), &mut entries);
    for n in 1..count {
        state.apply(resets(1, n), second(0), &mut entries);
    }
    entries.into_iter().map(Arc::new).collect()
}

fn ring(bounds: Bounds, pulses: &[&[Arc<Entry>]]) -> Ring {
    let mut ring = Ring::new(bounds);
    for entries in pulses {
        entries.iter().cloned().for_each(|entry| ring.push(entry));
        ring.pulse();
    }
    ring
}

#[track_caller]
fn check(found: Found, first: u64, last: u64) -> Arc<Batch> {
    let Found::Batch(batch) = found else {
        panic!("{found:?}");
    };
    assert_eq!((batch.first().sequence, batch.last().sequence), (first, last));
    batch
}

#[test]
fn readers_in_step_share_a_batch_and_one_from_its_middle_gets_the_rest() {
    let changes = changes(6);
    let ring = ring(ROOMY, &[&changes[..2], &changes[2..6]]);
    check(ring.after(0, Reach::Sealed), 1, 2);
    let shared = check(ring.after(2, Reach::Sealed), 3, 6);
    assert!(Arc::ptr_eq(&shared, &check(ring.after(2, Reach::All), 3, 6)));
    check(ring.after(4, Reach::Sealed), 5, 6);
    assert!(matches!(ring.after(6, Reach::All), Found::Nothing));
}

#[test]
fn what_nobody_was_woken_for_is_there_for_those_who_ask() {
    let changes = changes(4);
    let mut ring = ring(ROOMY, &[&changes[..2]]);
    changes[2..].iter().cloned().for_each(|entry| ring.push(entry));
    assert!(ring.has_news());
    assert!(matches!(ring.after(2, Reach::Sealed), Found::Nothing));
    check(ring.after(2, Reach::All), 3, 4);
    check(ring.after(3, Reach::All), 4, 4);
    ring.pulse();
    assert!(!ring.has_news());
    check(ring.after(2, Reach::Sealed), 3, 4);
}

#[test]
fn the_number_of_changes_is_bounded_and_what_is_forgotten_is_admitted() {
    let bounds = Bounds { changes: 8, bytes: usize::MAX };
    let mut ring = Ring::new(bounds);
    for entry in changes(100) {
        ring.push(entry);
        assert!(ring.changes() <= bounds.changes);
    }
    let oldest = 100 - ring.changes() as u64;
    assert!(matches!(ring.after(oldest - 1, Reach::All), Found::Forgotten));
    let Found::Batch(batch) = ring.after(oldest, Reach::All) else {
        panic!("the oldest change is gone");
    };
    assert_eq!(batch.first().sequence, oldest + 1);
}

#[test]
fn the_bytes_are_bounded_and_cached_encodings_count() {
    let changes = changes(300);
    let weight: usize = changes.iter().map(|entry| entry.weight()).sum();
    let bounds = Bounds { changes: 1000, bytes: 2 * weight };
    let mut ring = ring(bounds, &[&changes[..298]]);
    let big = Bytes::from(vec![0; 2 * weight]);
    let Found::Batch(batch) = ring.after(0, Reach::All) else {
        panic!("nothing there");
    };
    let before = ring.bytes();
    batch.encoded(EncodingSlot::Native, |_| big.clone());
    batch.encoded(EncodingSlot::Native, |_| unreachable!());
    assert_eq!(ring.bytes(), before + big.len());
    ring.push(Arc::clone(&changes[298]));
    assert!(ring.bytes() <= bounds.bytes, "the encoding went with its batch");
    assert!(matches!(ring.after(0, Reach::All), Found::Forgotten));
    // A reader may still hold the forgotten batch; what it encodes is its own affair.
    let after = ring.bytes();
    batch.encoded(EncodingSlot::Virtx, |_| big);
    assert_eq!(ring.bytes(), after);
}

#[test]
fn a_large_tail_becomes_batches_of_bounded_size() {
    let mut ring = Ring::new(Bounds { changes: 10_000, bytes: usize::MAX });
    changes(1000).into_iter().for_each(|entry| ring.push(entry));
    ring.pulse();
    let mut sequence = 0;
    while let Found::Batch(batch) = ring.after(sequence, Reach::Sealed) {
        assert!(batch.entries().len() <= MAX_BATCH_ENTRIES);
        sequence = batch.last().sequence;
    }
    assert_eq!(sequence, 1000);
}

#[test]
fn an_old_spec_weighs_and_a_shared_one_does_not() {
    let mut state = State::new(Uuid::nil(), 10);
    let mut entries = Vec::new();
    let mut apply = |update| state.apply(update, second(0), &mut entries);
    apply(wish(1, "web"));
    apply(facts(1, MachineState::Running));
    apply(wish(1, "db"));
    let [_, facts, rename] = &entries[..] else {
        panic!("{entries:?}");
    };
    assert!(matches!(&rename.subject, Subject::Vm(Transition::Modified { .. })));
    assert!(rename.weight() > facts.weight() + 100);
}
