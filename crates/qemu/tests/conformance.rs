//! The QEMU driver passes what every driver must, with real QEMU processes. Their machines have no
//! disk; what runs in them is firmware that finds nothing to boot.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use async_trait::async_trait;
use innkeeper_driver::{
    Driver, Observer,
    conformance::{Fixture, check_all},
};
use innkeeper_model::{Mebibytes, VmConfig, config::Display};
use innkeeper_qemu::{AcceleratorChoice, QemuDriver, QemuOptions};
use innkeeper_storage::{Storage, StorageOptions};
use std::sync::Arc;
use tempfile::TempDir;

struct Qemu {
    folder: TempDir,
}

impl Drop for Qemu {
    /// Ends what a failed check left running: each is named by its record.
    fn drop(&mut self) {
        for entry in
            std::fs::read_dir(self.folder.path().join("run")).into_iter().flatten().flatten()
        {
            let Ok(record) = std::fs::read(entry.path().join("incarnation.json")) else { continue };
            let record: innkeeper_model::Incarnation = serde_json::from_slice(&record).unwrap();
            if let Some(process) = record.process {
                let pid = process.pid.to_string();
                std::process::Command::new("kill").args(["-9", &pid]).status().unwrap();
            }
        }
    }
}

#[async_trait]
impl Fixture for Qemu {
    async fn driver(&self, observer: Arc<dyn Observer>) -> Arc<dyn Driver> {
        let folder = self.folder.path();
        let runtime = folder.join("run");
        std::fs::create_dir_all(&runtime).unwrap();
        let options = QemuOptions {
            program: "qemu-system-x86_64".into(),
            accelerator: AcceleratorChoice::Tcg,
            runtime,
            boot_id: "the boot of the test".into(),
        };
        let storage = Storage::open(StorageOptions::new(folder.join("pool"))).unwrap();
        Arc::new(QemuDriver::new(options, Arc::new(storage), observer))
    }

    fn config(&self) -> VmConfig {
        let mut config = VmConfig::new("conforming".parse().unwrap());
        config.memory = Mebibytes(32);
        config.display = Display::None;
        config.spare_ports = 0;
        config
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn qemu_conforms() {
    check_all(&Qemu { folder: tempfile::tempdir().unwrap() }).await;
}
