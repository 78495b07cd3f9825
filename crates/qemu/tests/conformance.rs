//! The QEMU driver passes what every driver must, with real QEMU processes. Their machines have no
//! disk; what runs in them is firmware that finds nothing to boot.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use async_trait::async_trait;
use innkeeper_driver::{
    Driver, Observer,
    conformance::{Fixture, check_all},
};
use innkeeper_model::{Incarnation, Mebibytes, MemoryImage, VmConfig, VmId, config::Display};
use std::{path::PathBuf, sync::Arc};
use support::World;
use tokio_util::sync::CancellationToken;

struct Qemu(World);

#[async_trait]
impl Fixture for Qemu {
    async fn driver(&self, observer: Arc<dyn Observer>) -> Arc<dyn Driver> {
        self.0.driver(observer)
    }

    fn config(&self) -> VmConfig {
        let mut config = VmConfig::new("conforming".parse().unwrap());
        config.memory = Mebibytes(32);
        config.display = Display::None;
        config.spare_ports = 0;
        config
    }

    /// Firmware without anything to boot does not.
    fn lets_go_of_nics(&self) -> bool {
        false
    }

    async fn memory_file(&self, vm: VmId) -> Option<PathBuf> {
        Some(self.0.storage.create_memory(vm).await.unwrap())
    }

    async fn sealed(&self, incarnation: &Incarnation) -> MemoryImage {
        let cancel = CancellationToken::new();
        self.0.storage.seal_memory(incarnation.vm, incarnation, &cancel).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn qemu_conforms() {
    check_all(&Qemu(World::new())).await;
}
