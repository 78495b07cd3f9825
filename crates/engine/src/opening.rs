//! How the engine begins: what is stored, what still runs, what should.

use crate::{
    engine::{Engine, Shared, stopping},
    legality::Operation,
    live::Live,
    perform::Performer,
    queues::Queues,
    reconcile::{self, Noticed},
    request::Caller,
    reservations::Reservations,
    steps::{Hands, blocking},
};
use futures_util::StreamExt;
use innkeeper_driver::{Driver, Found};
use innkeeper_model::{Code, ProjectName, Refusal, Spec, VmId, Want, config::Autostart};
use innkeeper_network::{LoopbackGuard, UidRange};
use innkeeper_storage::Storage;
use innkeeper_store::{SpecStore, StoredSpec};
use innkeeper_view::{Update, View};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// What an engine is made of.
pub struct EngineOptions {
    /// Where facts, wishes and deeds are told.
    pub view: View,
    /// The hypervisor.
    pub driver: Arc<dyn Driver>,
    /// What the driver was told to tell.
    pub noticed: Noticed,
    /// Where specs are kept.
    pub specs: SpecStore,
    /// Where images and volumes are kept.
    pub storage: Arc<Storage>,
    /// The user ids that VMs run as; `None` where the daemon is not root.
    pub uids: Option<UidRange>,
    /// How many VMs are started at once after the host was.
    pub autostart_parallel: usize,
}

impl Engine {
    /// Loads the stored specs into the view, and begins. What ran before is found by
    /// [`Engine::recover`], which must follow.
    ///
    /// # Errors
    /// The stored specs or images cannot be listed.
    pub async fn open(options: EngineOptions) -> Result<Self, Refusal> {
        let EngineOptions { view, driver, noticed, specs, storage, uids, autostart_parallel } =
            options;
        let specs = Arc::new(specs);
        let (updates, specs) = {
            let storage = storage.clone();
            blocking(move || Ok((load(&specs, &storage)?, specs))).await?
        };
        let told = view.barrier(updates).await;
        told.map_err(|_| stopping())?;
        let root = uids.is_some();
        let guard = LoopbackGuard::new(uids.clone().unwrap_or_default(), root);
        let hands = Hands { view: view.clone(), specs, storage, guard };
        let engine = Self {
            shared: Arc::new(Shared {
                view,
                performer: Performer { hands, driver },
                noticed: noticed.clone(),
                uids,
                queues: Queues::default(),
                live: Live::default(),
                reservations: Reservations::default(),
                recovered: watch::channel(false).0,
                stopping: CancellationToken::new(),
                autostart_parallel: autostart_parallel.max(1),
            }),
        };
        tokio::spawn(reconcile::run(engine.clone(), noticed));
        Ok(engine)
    }

    /// Finds the machines that an earlier daemon left running, then starts what should run and does
    /// not. Requests that came before are done after.
    pub async fn recover(&self) {
        let found = self.shared.performer.driver.recover().await;
        let snapshot = self.view().snapshot();
        for Found { vm, .. } in found.iter().filter(|found| !snapshot.vms.contains_key(&found.vm)) {
            // Its spec is gone, so nobody can ask for anything to be done to it; it is left alone.
            warn!(%vm, "a machine runs of which there is no VM");
        }
        let known: HashSet<VmId> = found.iter().map(|found| found.vm).collect();
        let _ = self.view().barrier(Vec::new()).await;
        self.shared.recovered.send_replace(true);
        for vm in &known {
            self.shared.noticed.mark(*vm);
        }
        self.autostart(&known).await;
    }

    /// Starts, in the order they were made, the VMs that are wanted running and of which no machine
    /// was found: the host was restarted, or the daemon died before it had made one.
    async fn autostart(&self, found: &HashSet<VmId>) {
        let snapshot = self.view().snapshot();
        let wanted: Vec<VmId> = snapshot
            .vms
            .values()
            .filter(|vm| vm.spec.as_ref().is_some_and(|spec| is_to_run(spec)))
            .map(|vm| vm.id)
            .filter(|vm| !found.contains(vm))
            .collect();
        futures_util::stream::iter(wanted)
            .for_each_concurrent(self.shared.autostart_parallel, |vm| self.start_with_host(vm))
            .await;
    }

    async fn start_with_host(&self, vm: VmId) {
        match self.submit_power(&Caller::innkeeper(), vm, Operation::Start).await {
            Ok(accepted) => drop(self.wait(accepted.task, Duration::MAX).await),
            Err(refusal) => warn!(%vm, %refusal, "not started with the host"),
        }
    }
}

fn is_to_run(spec: &Spec) -> bool {
    spec.want == Want::Running && spec.config.autostart == Autostart::Auto
}

/// Everything that is stored, as updates of the view.
fn load(specs: &SpecStore, storage: &Storage) -> Result<Vec<Update>, Refusal> {
    let mut updates = Vec::new();
    for stored in specs.load()? {
        updates.push(match stored {
            StoredSpec::Whole(spec) => Update::VmSpec(Arc::from(spec)),
            StoredSpec::Damaged { id, file, reason } => {
                let problem = format!("{} is damaged: {reason}", file.display());
                warn!(%id, problem, "quarantined");
                let name = format!("damaged-{}", &id.to_string()[..8]);
                let name = name
                    .parse()
                    .map_err(|error| Refusal::new(Code::Internal, format!("{error}")))?;
                let project = ProjectName::default();
                Update::VmQuarantined { id, name, project, problem }
            }
        });
    }
    let catalogue = storage.images()?;
    for damaged in catalogue.damaged {
        warn!(image = damaged.name, reason = damaged.reason, "an image cannot be read");
    }
    updates.extend(catalogue.images.into_iter().map(Update::Image));
    Ok(updates)
}
