//! A disc that is put into guests' CD-ROM drives.

use crate::harness::Daemon;
use std::fs;

/// What is written on it.
pub(super) const WORD: &str = "PRESSED";
/// Reads that, in a guest.
pub(super) const READ: &str = "dd if=/dev/sr0 bs=2048 skip=17 count=1 2>/dev/null | tr -d '\\0'";

/// Imports it as the image `disc`.
pub(super) fn import(daemon: &Daemon) {
    let file = daemon.scratch().join("disc.iso");
    fs::write(&file, content()).unwrap();
    daemon.inn_ok(&["image", "add", file.to_str().unwrap(), "--name", "disc", "--kind", "iso"]);
}

/// Whether it is as it was imported.
pub(super) fn is_untouched(daemon: &Daemon) -> bool {
    fs::read(daemon.state().join("pool/images/disc/disc.iso")).unwrap() == content()
}

/// A file system as far as its first descriptor, and the word in the sector after that.
fn content() -> Vec<u8> {
    const SECTOR: usize = 2048;
    let mut disc = vec![0; 64 * SECTOR];
    disc[16 * SECTOR..][..7].copy_from_slice(b"\x01CD001\x01");
    disc[17 * SECTOR..][..WORD.len()].copy_from_slice(WORD.as_bytes());
    disc
}
