//! The simulated hypervisor passes what every driver must.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use async_trait::async_trait;
use innkeeper_driver::{
    Driver, Observer,
    conformance::{Fixture, check_all},
};
use innkeeper_model::{VmConfig, VmId};
use innkeeper_sim::{SimDriver, World, WorldOptions};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;

struct Sim {
    folder: TempDir,
    options: WorldOptions,
    world: Mutex<Option<Arc<World>>>,
}

impl Sim {
    fn new(options: WorldOptions) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), options, world: Mutex::default() }
    }

    /// The world is opened once: a driver that lingers has it, too.
    fn world(&self) -> Arc<World> {
        let mut world = self.world.lock().unwrap();
        let open = || World::open(self.folder.path(), self.options.clone()).unwrap();
        world.get_or_insert_with(open).clone()
    }
}

#[async_trait]
impl Fixture for Sim {
    async fn driver(&self, observer: Arc<dyn Observer>) -> Arc<dyn Driver> {
        Arc::new(SimDriver::new(self.world(), observer))
    }

    fn config(&self) -> VmConfig {
        serde_json::from_value(serde_json::json!({
            "name": "conforming",
            "disks": [
                { "name": "root", "size": "1GiB" },
                { "name": "data", "size": "1GiB" },
                { "name": "iso", "size": "1MiB", "read_only": true },
            ],
            "nics": [{ "name": "lan" }, { "name": "wan" }],
            "cloud_init": {},
        }))
        .unwrap()
    }

    async fn memory_file(&self, vm: VmId) -> Option<PathBuf> {
        let path = self.folder.path().join(format!("{vm}.memory"));
        std::fs::write(&path, b"").unwrap();
        Some(path)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulator_conforms() {
    check_all(&Sim::new(WorldOptions::default())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms_when_its_steps_take_their_time() {
    let step_time = Duration::from_micros(100)..=Duration::from_millis(5);
    check_all(&Sim::new(WorldOptions { seed: 1, step_time, ..WorldOptions::default() })).await;
}
