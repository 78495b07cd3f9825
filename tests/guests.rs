//! Real guests in real QEMU: few tests, each a story that a user could tell.

mod boot;
mod confinement;
mod copies;
mod deaths;
mod disc;
mod hooks;
mod hostile;
mod kernels;
mod policies;
mod power;
mod reach;
mod rootless;
mod screen;
mod seed;
mod sessions;
mod survival;
mod suspend;
mod ticks;
mod transfers;

use crate::harness::{Daemon, cgroups_of, files_in, guest_file};
use serde_json::{Value, json};
use std::path::Path;

/// The sample guest, booted directly, with these words more on its kernel's command line.
pub(crate) fn tiny(name: &str, cmdline: &str) -> Value {
    json!({
        "name": name,
        "memory": "96MiB",
        "boot": { "kernel": { "image": "tiny", "cmdline": format!("console=ttyS0 quiet {cmdline}") } },
        "display": "none",
    })
}

/// The kernel and the initial RAM disk of that guest.
pub(crate) fn tiny_parts() -> (String, String) {
    (guest_file("tiny/vmlinuz"), guest_file("tiny/initrd.img"))
}

/// That what is left of a run that has ended is its logs and nothing else, on disk and in control
/// groups.
#[track_caller]
fn assert_put_away(daemon: &Daemon, id: &str) {
    let left = files_in(&daemon.run_folder(id));
    let is_log = |path: &Path| path.extension().is_some_and(|extension| extension == "log");
    let others: Vec<_> = left.keys().filter(|path| !is_log(path)).collect();
    assert!(others.is_empty(), "{others:?}");
    for group in cgroups_of(id) {
        assert!(!group.exists(), "{}", group.display());
    }
}
