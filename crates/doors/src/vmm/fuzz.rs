//! An entrance for fuzzers: bodies of this door, as far as they are looked at without a VM.

use super::{
    Defaults, answer, boot_args, create,
    wire::{AddDevice, Commit, Create, Ping, RemoveDevice, Stop, Target, TaskTarget},
};
use crate::virtx::fuzz::nothing;

/// Reads a body as each of those that there are.
pub fn body(bytes: &[u8]) {
    if let Ok(wanted) = answer::read::<Create>(bytes) {
        let boot_args = wanted.vm_config.boot_args.clone().unwrap_or_default();
        let (fitted, _) = boot_args::fitted(&boot_args);
        assert_eq!(boot_args::fitted(&fitted).0, fitted, "it fits already");
        let defaults = Defaults { kernel: None, rootfs: None, boot_args };
        let _ = create::config(wanted, &defaults, nothing());
    }
    let _ = answer::read::<Target>(bytes);
    let _ = answer::read::<Stop>(bytes);
    let _ = answer::read::<TaskTarget>(bytes);
    let _ = answer::read::<Ping>(bytes);
    let _ = answer::read::<Commit>(bytes);
    let _ = answer::read::<AddDevice>(bytes);
    let _ = answer::read::<RemoveDevice>(bytes);
}
