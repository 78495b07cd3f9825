//! The real engine over simulated machines in this very process: for what cannot be seen from outside,
//! such as how often a waiting task is woken.

use crate::rig::{cleanup::Folder, specs};
use anyhow::Context;
use innkeeper_engine::{
    Accepted, Caller, Capacity, Engine, EngineOptions, Noticed, PowerVerb, Remembered, Request,
};
use innkeeper_hooks::{Hooks, OwnerRule};
use innkeeper_model::{Host, Mebibytes, VmConfig, VmId};
use innkeeper_network::PaperNetworks;
use innkeeper_sim::{SimDriver, World, WorldOptions};
use innkeeper_storage::{Storage, StorageOptions};
use innkeeper_store::{
    NetworkStore, QuotaStore, SpecStore, TaskHistory,
    journal::{Journal, JournalOptions},
};
use innkeeper_surface::{Performed, perform};
use innkeeper_view::{Update, View, ViewOptions};
use std::{path::Path, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long anything that is asked of it may take.
pub(crate) const DONE_WITHIN: Duration = Duration::from_secs(60);
/// Memory for all that rows make.
const MEMORY: Mebibytes = Mebibytes(1 << 20);

/// A daemon without sockets.
pub(crate) struct House {
    pub(crate) engine: Engine,
    pub(crate) view: View,
    pub(crate) stopping: CancellationToken,
    _folder: Folder,
}

impl House {
    /// One that has so many stored VMs.
    pub(crate) async fn open(folder: Folder, stored: usize) -> anyhow::Result<Self> {
        let path = folder.path();
        specs::store(path, stored)?;
        let view = View::start(ViewOptions::new(Uuid::now_v7()));
        let host = Host { name: "bench".into(), cpus: 1 << 10, memory: MEMORY, ..Host::default() };
        view.barrier(vec![Update::Host(host)]).await?;
        let engine = Engine::open(options(path, view.clone())?).await?;
        engine.recover().await;
        Ok(Self { engine, view, stopping: CancellationToken::new(), _folder: folder })
    }

    /// Makes a VM.
    pub(crate) async fn create(&self, config: VmConfig) -> anyhow::Result<VmId> {
        let request = Request::Create { config: Box::new(config), id: None };
        let asked = (&Caller::innkeeper(), request);
        let done = perform(&self.engine, &self.view, &self.stopping, asked, DONE_WITHIN).await;
        done.and_then(Performed::done)?.accepted.vm.context("what was made has an id")
    }

    /// Has something done to a VM's machine, and does not wait for it.
    pub(crate) async fn begin(&self, vm: VmId, verb: PowerVerb) -> anyhow::Result<Accepted> {
        Ok(self.engine.submit(&Caller::innkeeper(), Request::Power { vm, verb }).await?)
    }
}

fn options(path: &Path, view: View) -> anyhow::Result<EngineOptions> {
    let noticed = Noticed::new(view.clone());
    let world = World::in_memory(WorldOptions::default());
    Ok(EngineOptions {
        view,
        driver: Arc::new(SimDriver::new(world, Arc::new(noticed.clone()))),
        neighbours: Vec::new(),
        noticed,
        specs: SpecStore::open(path.join("vms"))?,
        network_store: NetworkStore::open(path.join("networks"))?,
        networks: Arc::new(PaperNetworks::new()),
        quota_store: QuotaStore::open(path.join("projects"))?,
        metadata: None,
        make_default_network: false,
        storage: Arc::new(Storage::open(StorageOptions::new(path.join("pool")))?),
        journal: Journal::open(JournalOptions::new(path.join("journal")))?,
        history: TaskHistory::open(&path.join("tasks.redb"))?.history,
        remembered: Remembered { count: 1_000, age: DONE_WITHIN },
        shown_tasks: 1_000,
        capacity: Capacity::default(),
        hooks: Hooks::new(path.join("hooks"), DONE_WITHIN, OwnerRule::of_this_process()),
        boot_id: "bench".into(),
        uids: None,
        autostart_parallel: 2,
        witness: None,
    })
}
