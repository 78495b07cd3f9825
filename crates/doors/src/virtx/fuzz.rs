//! An entrance for fuzzers: bodies of this door, and the VMs that they describe.

use super::{
    body::read,
    definition::wanted,
    wire::{
        HostListOptions, VmBootOptions, VmCreateOptions, VmDeleteOptions, VmListOptions,
        VmMigrateOptions, VmRegisterOptions, VmShutdownOptions, VmUpdateOptions,
    },
};
use innkeeper_view::{Snapshot, View, ViewOptions};
use std::sync::{Arc, OnceLock};

/// What there is where there is nothing.
pub(crate) fn nothing() -> &'static Snapshot {
    static NOTHING: OnceLock<Arc<Snapshot>> = OnceLock::new();
    NOTHING.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime of one thread needs nothing");
        runtime.block_on(async { View::start(ViewOptions::new(uuid::Uuid::nil())).snapshot() })
    })
}

/// Reads a body as each of those that there are.
///
/// # Panics
/// There is a mistake: a VM was taken that may not be, or reading one failed in a way of its own.
pub fn body(bytes: &[u8]) {
    if let Ok(VmCreateOptions { vmdef, .. }) = read(bytes)
        && let Ok(wanted) = wanted(&vmdef, None, nothing())
    {
        assert_eq!(wanted.config.validate(), Ok(()));
    }
    let _ = read::<VmUpdateOptions>(bytes);
    let _ = read::<VmDeleteOptions>(bytes);
    let _ = read::<VmBootOptions>(bytes);
    let _ = read::<VmShutdownOptions>(bytes);
    let _ = read::<VmMigrateOptions>(bytes);
    let _ = read::<VmRegisterOptions>(bytes);
    let _ = read::<VmListOptions>(bytes);
    let _ = read::<HostListOptions>(bytes);
}
