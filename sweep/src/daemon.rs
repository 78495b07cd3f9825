//! An engine on a trial's folder, as a daemon would have it.

use crate::{
    host::{Host, Kind},
    neighbour,
};
use anyhow::{Context, ensure};
use innkeeper_driver::conformance::PaperManager;
use innkeeper_engine::{
    Accepted, Caller, Capacity, Engine, EngineOptions, Noticed, Remembered, Request, Witness,
    agreement::{Ground, names},
};
use innkeeper_hooks::{Hooks, OwnerRule};
use innkeeper_model::{Host as HostFacts, Mebibytes, Task, Vm, VmId};
use innkeeper_network::PaperNetworks;
use innkeeper_storage::{Storage, StorageOptions};
use innkeeper_store::{
    NetworkStore, QuotaStore, SpecStore, TaskHistory,
    journal::{Journal, JournalOptions},
};
use innkeeper_view::{Update, View, ViewOptions};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// How long anything here may take: a bound for what is broken, not a measure.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Names the boot that all trials are in.
const BOOT_ID: &str = "one-boot";

/// A daemon without its sockets.
pub(crate) struct Daemon {
    pub(crate) folder: PathBuf,
    pub(crate) host: Arc<Host>,
    pub(crate) storage: Arc<Storage>,
    pub(crate) networks: Arc<PaperNetworks>,
    /// Another manager on the host, if there is one.
    manager: Option<Arc<PaperManager>>,
    pub(crate) engine: Engine,
}

impl Daemon {
    /// Starts on a folder. What an earlier one left is found and gone on with by [`Self::recover`].
    pub(crate) async fn start(
        kind: Kind,
        folder: &Path,
        host: Arc<Host>,
        manager: Option<Arc<PaperManager>>,
        witness: Option<Arc<dyn Witness>>,
    ) -> anyhow::Result<Self> {
        let networks = Arc::new(PaperNetworks::new());
        let view = View::start(ViewOptions::new(uuid::Uuid::now_v7()));
        let noticed = Noticed::new(view.clone());
        let mut allowed_paths = vec![folder.join("allowed")];
        allowed_paths.extend(host.guest().map(Path::to_owned));
        let storage = Arc::new(Storage::open(StorageOptions {
            allowed_paths,
            ..StorageOptions::new(folder.join("pool"))
        })?);
        let driver = host.driver(&storage, Arc::new(noticed.clone()), BOOT_ID)?;
        let facts = HostFacts { cpus: 64, memory: Mebibytes(64 << 10), ..HostFacts::default() };
        view.barrier(vec![Update::Host(facts)]).await?;
        let engine = Engine::open(EngineOptions {
            view,
            driver,
            neighbours: manager.iter().map(PaperManager::neighbour).collect(),
            noticed,
            specs: SpecStore::open(folder.join("vms"))?,
            network_store: NetworkStore::open(folder.join("networks"))?,
            networks: networks.clone(),
            quota_store: QuotaStore::open(folder.join("projects"))?,
            metadata: None,
            make_default_network: false,
            storage: storage.clone(),
            journal: Journal::open(JournalOptions {
                segment_size: 256 << 10,
                ..JournalOptions::new(folder.join("journal"))
            })?,
            history: TaskHistory::open(&folder.join("tasks.redb"))?.history,
            remembered: Remembered { count: 1000, age: LONG },
            shown_tasks: 100,
            capacity: Capacity::default(),
            hooks: Hooks::new(folder.join("hooks"), LONG, OwnerRule::of_this_process()),
            boot_id: BOOT_ID.into(),
            uids: None,
            autostart_parallel: 2,
            witness,
        })
        .await
        .with_context(|| format!("cannot start a daemon for {kind}"))?;
        Ok(Self { folder: folder.into(), host, storage, networks, manager, engine })
    }

    /// Finds what there is, the machine of another manager included.
    pub(crate) async fn recover(&self) -> anyhow::Result<()> {
        self.engine.recover().await;
        match self.manager {
            Some(_) => neighbour::is_seen(self).await,
            None => Ok(()),
        }
    }

    pub(crate) async fn submit(&self, request: Request) -> anyhow::Result<Accepted> {
        let caller = Caller { name: "sweep".into(), ..Caller::default() };
        Ok(self.engine.submit(&caller, request).await?)
    }

    pub(crate) async fn end_of(&self, accepted: &Accepted) -> anyhow::Result<Task> {
        let task = self.engine.wait(accepted.task, LONG).await.context("the task is not known")?;
        ensure!(task.state.is_final(), "{} has not ended in {LONG:?}: {task:?}", task.operation);
        Ok(task)
    }

    /// Has something done that must succeed.
    pub(crate) async fn must(&self, request: Request) -> anyhow::Result<Accepted> {
        let text = format!("{request:?}");
        let accepted = self.submit(request).await.with_context(|| text.clone())?;
        let task = self.end_of(&accepted).await?;
        ensure!(task.state == innkeeper_model::TaskState::Done, "{text}: {task:?}");
        Ok(accepted)
    }

    pub(crate) fn vms(&self) -> Vec<Vm> {
        let snapshot = self.engine.view().snapshot();
        snapshot.vms.values().map(|record| Vm::clone(record)).collect()
    }

    pub(crate) fn vm(&self, vm: VmId) -> Option<Vm> {
        self.engine.view().snapshot().vms.get(&vm).map(|record| Vm::clone(record))
    }

    /// What is looked at when nothing is being done.
    pub(crate) fn ground(&self) -> Ground<'_> {
        let (engine, storage, hypervisor) = (&self.engine, &*self.storage, &*self.host);
        Ground { engine, storage, folder: &self.folder, hypervisor }
    }

    /// Waits until nothing is being done, nothing that was noticed is still to be looked at, and what came in and is
    /// of no use is thrown away, which a thread does for itself.
    pub(crate) async fn idle(&self) -> anyhow::Result<()> {
        let uploads = self.folder.join("pool/uploads");
        let is_idle = |daemon: &Self| daemon.ground().is_idle() && names(&uploads).is_empty();
        self.until("idle", is_idle).await
    }

    /// Waits until nothing is being done, whatever is still to be.
    pub(crate) async fn quiet(&self) -> anyhow::Result<()> {
        self.until("quiet", |daemon| daemon.engine.diagnose().tasks.is_empty()).await
    }

    /// Waits until something holds.
    pub(crate) async fn until(
        &self,
        what: &str,
        holds: impl Fn(&Self) -> bool,
    ) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + LONG;
        while !holds(self) {
            ensure!(
                tokio::time::Instant::now() < deadline,
                "not {what} in {LONG:?}: {:?}; {:?}; {:?}",
                self.engine.diagnose().owed,
                self.engine.diagnose().tasks,
                self.vms().iter().map(|vm| (vm.state, vm.problem.clone())).collect::<Vec<_>>()
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }
}
