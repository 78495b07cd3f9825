//! How the engine begins: what is stored, what still runs, what should.

use crate::{
    engine::{Engine, Shared, stopping},
    guarding,
    legality::MachineVerb,
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
use innkeeper_model::{
    Code, MachineState, ProjectName, Refusal, Vm, VmId, VmName, Want, config::Autostart,
    names::NotAName,
};
use innkeeper_network::{LoopbackGuard, UidRange};
use innkeeper_storage::{Storage, Swept};
use innkeeper_store::{SpecStore, StoredSpec};
use innkeeper_view::{Update, View};
use std::{collections::HashSet, path::Path, sync::Arc, time::Duration};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

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
        let reservations = Reservations::default();
        let (updates, specs) = {
            let (storage, reservations) = (storage.clone(), reservations.clone());
            blocking(move || Ok((load(&specs, &storage, &reservations)?, specs))).await?
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
                reservations,
                recovered: watch::channel(false).0,
                stopping: CancellationToken::new(),
                autostart_parallel: autostart_parallel.max(1),
            }),
        };
        tokio::spawn(reconcile::run(engine.clone(), noticed));
        Ok(engine)
    }

    /// Finds the machines that an earlier daemon left, goes on with what it was doing, then starts what
    /// should run and does not. Requests that came before are done after.
    pub async fn recover(&self) {
        let found = self.shared.performer.driver.recover().await;
        let snapshot = self.view().snapshot();
        let (known, orphans): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|found| snapshot.vms.contains_key(&found.vm));
        for Found { vm, incarnation, .. } in orphans {
            // Its spec is gone, so nobody can ask for anything to be done to it; it is left alone.
            warn!(%vm, process = ?incarnation.process, "a machine runs of which there is no VM");
            self.shared.reservations.withhold_uids(incarnation.uid);
        }
        let _ = self.view().barrier(Vec::new()).await;
        self.shared.recovered.send_replace(true);
        tokio::spawn(guarding::run(self.clone()));

        let vms: HashSet<VmId> = known.iter().map(|found| found.vm).collect();
        let wanted = snapshot.vms.values().filter(|vm| is_to_run(vm) && !vms.contains(&vm.id));
        let work = known
            .into_iter()
            .map(Beginning::Found)
            .chain(wanted.map(|vm| Beginning::Wanted(vm.id)))
            .collect::<Vec<_>>();
        futures_util::stream::iter(work)
            .for_each_concurrent(self.shared.autostart_parallel, |beginning| {
                self.begin_with(beginning)
            })
            .await;
    }

    async fn begin_with(&self, beginning: Beginning) {
        match beginning {
            Beginning::Wanted(vm) => self.start_with_host(vm).await,
            Beginning::Found(found) => self.go_on_with(found).await,
        }
    }

    /// Goes on with a machine that was found. One whose guest has not begun was being started when its
    /// daemon ended: it is let run if that is still wanted, and put away if not.
    async fn go_on_with(&self, Found { vm, facts, ran, .. }: Found) {
        let snapshot = self.view().snapshot();
        let wanted = snapshot.vms.get(&vm).is_some_and(|vm| is_to_run(vm));
        match (ran, facts.machine) {
            (false, MachineState::Absent) => {
                self.see_done(vm, MachineVerb::PutAway).await;
                if wanted {
                    self.start_with_host(vm).await;
                }
            }
            (false, _) if wanted => self.see_done(vm, MachineVerb::Resume).await,
            (false, _) => self.see_done(vm, MachineVerb::Kill).await,
            (true, _) => self.shared.noticed.mark(vm),
        }
    }

    async fn start_with_host(&self, vm: VmId) {
        self.see_done(vm, MachineVerb::Start).await;
    }

    /// Has something done to a VM, and waits until it is.
    async fn see_done(&self, vm: VmId, verb: MachineVerb) {
        match self.submit_power(&Caller::innkeeper(), vm, verb).await {
            Ok(accepted) => drop(self.wait(accepted.task, Duration::MAX).await),
            Err(refusal) => {
                warn!(%vm, %refusal, verb = verb.name(), "not done at the daemon's start");
            }
        }
    }
}

/// What the engine begins with.
enum Beginning {
    /// A machine that was there.
    Found(Found),
    /// A VM that is wanted running and of which there was none: the host was restarted, or the daemon
    /// ended before it had made one.
    Wanted(VmId),
}

fn is_to_run(vm: &Vm) -> bool {
    vm.spec
        .as_ref()
        .is_some_and(|spec| spec.want == Want::Running && spec.config.autostart == Autostart::Auto)
}

/// Everything that is stored, as updates of the view.
fn load(
    specs: &SpecStore,
    storage: &Storage,
    reservations: &Reservations,
) -> Result<Vec<Update>, Refusal> {
    let mut updates = Vec::new();
    let stored = specs.load()?;
    let ids: HashSet<VmId> = stored.iter().map(StoredSpec::id).collect();
    let swept = storage.sweep(|vm| ids.contains(&vm))?;
    if swept != Swept::default() {
        info!(?swept, "cleared up what an earlier daemon had not finished");
    }
    for stored in stored {
        updates.push(match stored {
            StoredSpec::Whole(spec) => Update::VmSpec(Arc::from(spec)),
            StoredSpec::Damaged { id, file, reason } => {
                let problem = format!("{} is damaged: {reason}", file.display());
                warn!(%id, problem, "quarantined");
                let Salvaged { name, project, uid } = salvage(id, &file)?;
                reservations.withhold_uids(uid);
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

/// What can be made out of a damaged spec. Good enough to call the VM by, and not to act on.
struct Salvaged {
    name: VmName,
    project: ProjectName,
    uid: Option<u32>,
}

fn salvage(id: VmId, file: &Path) -> Result<Salvaged, Refusal> {
    let text = std::fs::read(file).unwrap_or_default();
    let document: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    let config = &document["spec"]["config"];
    let name = match config["name"].as_str().and_then(|name| name.parse().ok()) {
        Some(name) => Ok(name),
        None => format!("damaged-{}", &id.to_string()[..8]).parse(),
    };
    Ok(Salvaged {
        name: name.map_err(|error: NotAName| Refusal::new(Code::Internal, error.to_string()))?,
        project: config["project"].as_str().and_then(|name| name.parse().ok()).unwrap_or_default(),
        uid: document["spec"]["assigned"]["uid"].as_u64().and_then(|uid| uid.try_into().ok()),
    })
}
