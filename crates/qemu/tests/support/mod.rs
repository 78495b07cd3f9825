//! What the tests with real QEMUs share: a world for drivers, one VM in it, and guests of one sector.

#![allow(dead_code, reason = "each test file uses its own part of it")]
#![allow(clippy::allow_attributes, reason = "what is unused differs by test file")]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

pub(crate) mod by_hand;
pub(crate) mod guests;
pub(crate) mod kernel;
pub(crate) mod taps;

use innkeeper_driver::{
    Driver, Flow, Launch, NoTaps, Observer, Operation, PlanContext, Step, StepContext, StepError,
    Taps, conformance::Told,
};
use innkeeper_model::{
    DiskFormat, DiskLayers, Facts, HypervisorEvent, Incarnation, IncarnationId, Layer,
    MachineFiles, MachineState, Mebibytes, MemoryImage, Refusal, Revision, Spec, Timestamp,
    VmConfig, VmId, Want,
    config::{Boot, Disk, Display},
    network::Plug,
};
use innkeeper_qemu::{AcceleratorChoice, QemuDriver, QemuOptions};
use innkeeper_storage::{Storage, StorageOptions};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// How long anything here may take; a bound, not a measure.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A folder with a pool and run folders, of which drivers are made again and again.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) storage: Arc<Storage>,
    taps: Arc<dyn Taps>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Arc::new(NoTaps))
    }

    /// One whose machines can be plugged into networks.
    pub(crate) fn with(taps: Arc<dyn Taps>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disks = folder.path().join("disks");
        std::fs::create_dir_all(&disks).unwrap();
        std::fs::create_dir_all(folder.path().join("run")).unwrap();
        let mut options = StorageOptions::new(folder.path().join("pool"));
        options.allowed_paths = [disks].into_iter().chain(kernel::folder()).collect();
        Self { storage: Arc::new(Storage::open(options).unwrap()), folder, taps }
    }

    pub(crate) fn driver(&self, observer: Arc<dyn Observer>) -> Arc<dyn Driver> {
        let options = QemuOptions {
            program: "qemu-system-x86_64".into(),
            accelerator: AcceleratorChoice::Tcg,
            runtime: self.folder.path().join("run"),
            boot_id: "the boot of the test".into(),
            sandbox_uid: None,
        };
        Arc::new(QemuDriver::new(options, self.storage.clone(), self.taps.clone(), observer))
    }

    /// A disk that boots this sector.
    fn disk(&self, sector: &[u8]) -> PathBuf {
        let path = self.folder.path().join("disks").join(format!("{}.raw", VmId::new()));
        std::fs::write(&path, sector).unwrap();
        // The firmware boots no disk of less than a cylinder.
        std::fs::File::options().write(true).open(&path).unwrap().set_len(8 << 20).unwrap();
        path
    }
}

impl Drop for World {
    /// Says what the QEMUs of a failed test said, and ends what it left running: each is named by its
    /// record.
    #[expect(clippy::print_stderr, reason = "a failed test says why")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            for folder in std::fs::read_dir(self.folder.path().join("run")).unwrap().flatten() {
                let log = std::fs::read_to_string(folder.path().join("qemu.log"));
                eprintln!("{}: {}", folder.path().display(), log.unwrap_or_default());
            }
        }
        for record in records(&self.folder.path().join("run")) {
            if let Some(process) = record.process {
                let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid));
                let started = stat.ok().and_then(|stat| {
                    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse::<u64>().ok()
                });
                if started == Some(process.start_ticks) {
                    let pid = process.pid.to_string();
                    let _ =
                        std::process::Command::new("busybox").args(["kill", "-9", &pid]).status();
                }
            }
        }
    }
}

fn records(run: &Path) -> Vec<Incarnation> {
    let folders = std::fs::read_dir(run).into_iter().flatten().flatten();
    let record = |folder: std::fs::DirEntry| {
        let text = std::fs::read(folder.path().join("incarnation.json")).ok()?;
        serde_json::from_slice(&text).ok()
    };
    folders.filter_map(record).collect()
}

/// What a driver tells, and what became of QEMU's migrations.
#[derive(Debug, Default)]
pub(crate) struct Watcher {
    told: Arc<Told>,
    migrations: Mutex<Vec<String>>,
}

impl Observer for Watcher {
    fn facts(&self, vm: VmId, facts: Facts) {
        Observer::facts(&*self.told, vm, facts);
    }

    fn incarnation(&self, vm: VmId, incarnation: Option<Arc<Incarnation>>) {
        Observer::incarnation(&*self.told, vm, incarnation);
    }

    fn problem(&self, _: VmId, _: Option<String>) {}

    fn event(&self, _: VmId, event: HypervisorEvent) {
        if event.name == "MIGRATION" {
            let status = event.data["status"].as_str().unwrap_or_default();
            self.migrations.lock().unwrap().push(status.into());
        }
    }
}

/// One VM, and the driver that has it.
pub(crate) struct Vm<'a> {
    pub(crate) world: &'a World,
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) told: Arc<Told>,
    pub(crate) spec: Spec,
    watcher: Arc<Watcher>,
    pub(crate) files: MachineFiles,
    /// What its NICs are connected by.
    pub(crate) plugs: Vec<Plug>,
}

impl<'a> Vm<'a> {
    pub(crate) async fn new(
        world: &'a World,
        sector: &[u8],
        change: impl FnOnce(&mut VmConfig),
    ) -> Self {
        let watcher = Arc::new(Watcher::default());
        let driver = world.driver(watcher.clone());
        let disk = world.disk(sector);
        let mut config = VmConfig::new("tested".parse().unwrap());
        config.memory = Mebibytes(32);
        config.display = Display::None;
        config.spare_ports = 0;
        let text = r#"{"name": "root", "path": "", "format": "raw"}"#;
        let mut root: Disk = serde_json::from_str(text).unwrap();
        root.path = Some(disk.clone());
        config.disks = vec![root];
        change(&mut config);
        let hypervisor = driver.hypervisor().await.unwrap();
        let spec = Spec {
            id: VmId::new(),
            revision: Revision(1),
            created: Timestamp::now(),
            updated: Timestamp::now(),
            want: Want::Running,
            draft: false,
            driver: None,
            assigned: driver.assign(&config, None, &hypervisor).unwrap(),
            config,
        };
        let layers = vec![Layer { path: disk, format: DiskFormat::Raw }];
        let mut files = MachineFiles::default();
        files.disks.insert("root".into(), DiskLayers { layers });
        if matches!(spec.config.boot, Boot::Kernel(_)) {
            files.kernel = Some(kernel::files());
        }
        let (told, plugs) = (watcher.told.clone(), Vec::new());
        Self { world, driver, told, watcher, spec, files, plugs }
    }

    /// Changes its configuration, as an edit does.
    pub(crate) async fn edit(&mut self, change: impl FnOnce(&mut VmConfig)) {
        change(&mut self.spec.config);
        let hypervisor = self.driver.hypervisor().await.unwrap();
        let Spec { config, assigned, .. } = &self.spec;
        self.spec.assigned = self.driver.assign(config, Some(assigned), &hypervisor).unwrap();
    }

    pub(crate) fn id(&self) -> VmId {
        self.spec.id
    }

    /// The same VM in the hands of the next daemon; the one before has ended.
    pub(crate) async fn next_daemon(self) -> Self {
        self.next_daemon_after(|| ()).await
    }

    /// The same, with something done while there is no daemon.
    pub(crate) async fn next_daemon_after(self, meanwhile: impl FnOnce()) -> Self {
        let Self { world, driver, spec, files, plugs, .. } = self;
        drop(driver);
        meanwhile();
        let watcher = Arc::new(Watcher::default());
        let driver = world.driver(watcher.clone());
        driver.recover().await;
        Self { world, driver, told: watcher.told.clone(), watcher, spec, files, plugs }
    }

    pub(crate) async fn plan(&self, operation: Operation) -> Result<Vec<Step>, Refusal> {
        let incarnation = self.told.incarnation_of(self.id());
        let context = PlanContext {
            spec: &self.spec,
            incarnation: incarnation.as_deref(),
            facts: &self.told.facts(self.id()),
            files: &self.files,
            plugs: &self.plugs,
            hypervisor: &self.driver.hypervisor().await.unwrap(),
            launch: &Launch { incarnation: IncarnationId::new(), now: Timestamp::now() },
            managed: None,
        };
        let flow = self.driver.plan(&operation, &context)?;
        Ok(flow.iter().flat_map(Flow::steps).cloned().collect())
    }

    pub(crate) async fn perform(
        &self,
        step: &Step,
        cancelled: &CancellationToken,
    ) -> Result<(), StepError> {
        let context = StepContext { cancelled: cancelled.clone(), ..StepContext::default() };
        let work = self.driver.perform(self.id(), step, &context);
        tokio::time::timeout(DEADLINE, work).await.expect("a step ends")
    }

    /// Does an operation; what it did is undone where it fails.
    pub(crate) async fn try_run(&self, operation: Operation) -> Result<(), StepError> {
        let steps = self.plan(operation).await?;
        for (at, step) in steps.iter().enumerate() {
            if let Err(error) = self.perform(step, &CancellationToken::new()).await {
                self.undo(&steps[..=at]).await;
                return Err(error);
            }
        }
        Ok(())
    }

    pub(crate) async fn run(&self, operation: Operation) {
        let name = format!("{operation:?}");
        self.try_run(operation).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }

    pub(crate) async fn undo(&self, steps: &[Step]) {
        for step in steps.iter().rev() {
            let undone = self.driver.undo(self.id(), step).await;
            undone.unwrap_or_else(|error| panic!("{} cannot be undone: {error}", step.name));
        }
    }

    /// Suspends as the engine does: save, seal, put away.
    pub(crate) async fn suspend(&self) -> Arc<MemoryImage> {
        let memory = self.world.storage.create_memory(self.id()).await.unwrap();
        self.run(Operation::Suspend { memory }).await;
        let image = self.seal().await;
        self.run(Operation::PutAway).await;
        assert_eq!(self.told.facts(self.id()).machine, MachineState::Absent);
        image
    }

    pub(crate) async fn seal(&self) -> Arc<MemoryImage> {
        let incarnation = self.told.incarnation_of(self.id()).unwrap();
        let cancel = CancellationToken::new();
        Arc::new(self.world.storage.seal_memory(self.id(), &incarnation, &cancel).await.unwrap())
    }

    pub(crate) fn restore(&self, image: Arc<MemoryImage>) -> Operation {
        Operation::Restore { image, memory: self.world.storage.memory_path(self.id()) }
    }

    /// How often a migration has ended so.
    pub(crate) fn migrations(&self, end: &str) -> usize {
        self.watcher.migrations.lock().unwrap().iter().filter(|status| *status == end).count()
    }

    /// Stops its process, or has it go on.
    pub(crate) fn hold(&self, held: bool) {
        let process = self.told.incarnation_of(self.id()).unwrap().process.unwrap();
        let (signal, pid) = (if held { "-STOP" } else { "-CONT" }, process.pid.to_string());
        let sent =
            std::process::Command::new("busybox").args(["kill", signal, &pid]).status().unwrap();
        assert!(sent.success());
    }

    pub(crate) async fn until(&self, machine: MachineState) {
        self.told.until(self.id(), machine).await;
    }

    /// What the guest has written, once that is so much.
    pub(crate) async fn written(&self, at_least: usize) -> String {
        let begun = Instant::now();
        loop {
            let log = self.driver.serial_log(self.id()).await.unwrap();
            let text: String =
                log.iter().filter(|b| b.is_ascii_graphic()).map(|b| *b as char).collect();
            let text = text
                .rsplit_once(guests::BANNER)
                .map_or(text.clone(), |(_, after)| format!("{}{after}", guests::BANNER));
            if text.len() >= at_least {
                return text;
            }
            assert!(begun.elapsed() < DEADLINE, "the guest wrote only {text:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
