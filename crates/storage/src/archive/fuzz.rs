//! An entrance for fuzzers: a VM as one file.

use super::{
    Arrival,
    header::{BLOCK, padding},
    manifest::Manifest,
};
use crate::Storage;

/// A VM's file, as far as it is looked at while it arrives: as it is, and with the sums of its headers set
/// right, since a changed file has wrong ones and nothing behind them would be looked at.
///
/// # Panics
/// The storage has no room.
pub fn archive(storage: &Storage, bytes: &[u8]) {
    let _ = Manifest::read(bytes);
    receive(storage, bytes);
    receive(storage, &with_sums(bytes));
}

fn receive(storage: &Storage, bytes: &[u8]) {
    let mut arrival = Arrival::new(&storage.shared, None, |_| Ok(())).expect("there is room");
    // In pieces that end anywhere.
    for piece in bytes.chunks(333) {
        if arrival.take(piece).is_err() {
            return;
        }
    }
}

/// The same file with the sums of its headers as they have to be.
fn with_sums(bytes: &[u8]) -> Vec<u8> {
    let mut file = bytes.to_vec();
    let mut at = 0;
    while let Some(block) = file.get_mut(at..at + BLOCK as usize) {
        let mut header = tar::Header::new_old();
        header.as_mut_bytes().copy_from_slice(block);
        if block.iter().any(|byte| *byte != 0) {
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
        let length = header.entry_size().unwrap_or(0).min(bytes.len() as u64);
        at += (BLOCK + length + padding(length)) as usize;
    }
    file
}
