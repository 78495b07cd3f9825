//! How the engine begins: what is stored, what still runs, what should.

use crate::{
    accept::{legality::MachineVerb, request::Caller, reservations::Reservations},
    begin::{
        loading::{self, Loaded, Stored},
        taking_up::Interrupted,
    },
    diagnose::diagnosis::Interventions,
    engine::{Engine, Shared, stopping},
    journal::{
        Recorder,
        history::{History, Remembered},
        notes::Notes,
        unfinished::OnRecord,
        wishes::Wishes,
    },
    neighbours::drivers::Drivers,
    networks::{self, Networks},
    perform::{
        Performer,
        accountant::Capacity,
        hands::{Hands, blocking},
        witness::Witness,
    },
    plan::steps::Share,
    projects::Projects,
    reconcile::{
        self, LeftOff, by_hand::Displaced, examining, guarding, marks::Marks, noticed::Noticed,
        owed::Owing, quotas, survey,
    },
    sessions::{self, Agents, Consoles, Sessions},
    turn::{
        live::{Live, LiveTask},
        planning::disk_size,
        queues::Queues,
    },
};
use futures_util::StreamExt;
use innkeeper_driver::{Driver, Found, Neighbour};
use innkeeper_hooks::Hooks;
use innkeeper_model::{
    MachineState, Refusal, Spec, TaskState, Vm, VmId, VmState, Want, config::Autostart,
};
use innkeeper_network::{HostNetworks, LoopbackGuard, UidRange};
use innkeeper_storage::Storage;
use innkeeper_store::{NetworkStore, QuotaStore, SpecStore, TaskHistory, journal};
use innkeeper_view::{Update, View};
use std::{
    collections::{HashMap, HashSet},
    net::SocketAddrV4,
    sync::Arc,
    time::Duration,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How long the first readers wait for what the host says of its networks.
const NETWORKS_SEEN_WITHIN: Duration = Duration::from_secs(2);

/// What an engine is made of.
pub struct EngineOptions {
    /// Where facts, wishes and deeds are told.
    pub view: View,
    /// The hypervisor.
    pub driver: Arc<dyn Driver>,
    /// The other managers of machines on this host, whose machines are shown, and driven once adopted.
    pub neighbours: Vec<Arc<dyn Neighbour>>,
    /// What the driver was told to tell.
    pub noticed: Noticed,
    /// Where specs are kept.
    pub specs: SpecStore,
    /// Where networks are kept.
    pub network_store: NetworkStore,
    /// The host's own of them.
    pub networks: Arc<dyn HostNetworks>,
    /// Where the quotas of projects are kept.
    pub quota_store: QuotaStore,
    /// Where guests' requests for metadata are answered, as [`innkeeper_network::Desired`] has it; `None` where they are
    /// not.
    pub metadata: Option<SocketAddrV4>,
    /// Whether a network `default` is to be made.
    pub make_default_network: bool,
    /// Where images and volumes are kept.
    pub storage: Arc<Storage>,
    /// What is on record of operations, as it was opened.
    pub journal: journal::Opened,
    /// Where ended tasks are remembered, and for how long.
    pub history: TaskHistory,
    /// How much of them.
    pub remembered: Remembered,
    /// How many ended tasks the view begins with.
    pub shown_tasks: usize,
    /// What this host may give.
    pub capacity: Capacity,
    /// The operator's executables.
    pub hooks: Hooks,
    /// The host's boot (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
    /// The user ids that VMs run as; `None` where the daemon is not root.
    pub uids: Option<UidRange>,
    /// How many VMs are started at once after the host was.
    pub autostart_parallel: usize,
    /// Who is told of every point that plans pass; nobody, but in tests.
    pub witness: Option<Arc<dyn Witness>>,
}

impl Engine {
    /// Loads the stored specs into the view, and begins. What ran before is found by
    /// [`Engine::recover`], which must follow.
    ///
    /// # Errors
    /// The stored specs or images cannot be listed.
    pub async fn open(options: EngineOptions) -> Result<Self, Refusal> {
        let root = options.uids.is_some();
        let journal::Opened { journal, records, damage } = options.journal;
        let recorder = Recorder::new(journal);
        let (specs, storage) = (Arc::new(options.specs), options.storage);
        let reservations = Reservations::default();
        let projects = Projects::open(options.quota_store, options.capacity).await?;
        let accountant = projects.accountant().clone();
        let networks = Networks::new(
            options.network_store,
            options.networks,
            options.metadata,
            accountant.clone(),
        );
        let network_store = networks.store.clone();
        let make_default_network = options.make_default_network;
        let (loaded, specs, storage) = {
            let (reservations, shown) = (reservations.clone(), options.shown_tasks);
            let (history, boot_id) = (options.history, options.boot_id.clone());
            blocking(move || {
                let parts = Stored {
                    specs: &specs,
                    networks: &network_store,
                    storage: &storage,
                    history: &history,
                };
                let loaded =
                    loading::load(&parts, records, damage, &reservations, &boot_id, shown)?;
                Ok(((loaded, history), specs, storage))
            })
            .await?
        };
        let (Loaded { updates, mut on_record, unreadable, left_alone }, history) = loaded;
        let specs_found = stored_specs(&updates);
        let told = options.view.barrier(updates).await;
        told.map_err(|_| stopping())?;
        let wishes = Wishes::new(specs, recorder.clone(), on_record.last_wish);
        wishes.take_up(std::mem::take(&mut on_record.wishes));
        let guard = LoopbackGuard::new(options.uids.clone().unwrap_or_default(), root);
        let view = options.view;
        let vms = view.snapshot();
        let notes = std::mem::take(&mut on_record.notes);
        let notes = Notes::from(notes, vms.vms.keys().copied(), &options.boot_id);
        let hooks = options.hooks;
        let hands =
            Hands { view: view.clone(), wishes, storage, guard, accountant, hooks, networks };
        let drivers = Drivers::new(options.driver, &options.neighbours);
        let engine = Self {
            shared: Arc::new(Shared {
                view,
                performer: Performer { hands, drivers, witness: options.witness },
                neighbours: options.neighbours,
                noticed: options.noticed.clone(),
                uids: options.uids,
                queues: Queues::default(),
                live: Live::default(),
                reservations,
                recorder,
                history: History::start(history, options.remembered),
                owing: Owing::default(),
                notes,
                displaced: Displaced::default(),
                left_off: LeftOff::default(),
                to_examine: Marks::default(),
                interrupted: Interrupted::default(),
                unreadable,
                left_alone,
                sessions: Sessions::default(),
                consoles: Consoles::default(),
                agents: Agents::default(),
                interventions: Interventions::default(),
                projects,
                boot_id: options.boot_id,
                recovered: watch::channel(false).0,
                stopping: CancellationToken::new(),
                autostart_parallel: options.autostart_parallel.max(1),
            }),
        };
        engine.begin_from(on_record, specs_found, options.noticed);
        if make_default_network {
            engine.look_after(networks::keeping::make_default(engine.clone()));
        }
        Ok(engine)
    }

    /// Puts in its place what the journal says of before, and begins to look after things.
    fn begin_from(&self, on_record: OnRecord, specs: HashMap<VmId, Arc<Spec>>, noticed: Noticed) {
        let snapshot = self.view().snapshot();
        let accountant = &self.shared.performer.hands.accountant;
        for vm in snapshot.vms.values().filter(|vm| !vm.is_foreign()) {
            // A quarantined one is its project's, too, though it may not be known how large it is.
            let size = specs.get(&vm.id).map(|spec| disk_size(&spec.config, &snapshot));
            accountant.put_disk(vm.id, &vm.project, size.unwrap_or_default());
        }
        for network in snapshot.networks.values() {
            self.shared.performer.hands.networks.claims.put_network(network.id, Some(network));
        }
        for vm in snapshot.vms.keys() {
            self.shared.performer.hands.hold_claims(*vm);
        }
        for (task, held) in on_record.ended {
            self.shared.history.put(task, Some(held));
        }
        let placed = self.place_unfinished(on_record.unfinished.into_values().collect());
        let owing = self.shared.owing.all();
        for deed in placed.iter().map(|(deed, _)| deed).chain(&owing) {
            self.take_what_was_chosen(&deed.plan);
        }
        for plan in self.shared.left_alone.plans() {
            self.take_what_was_chosen(&plan);
        }
        for (deed, place) in placed {
            let engine = self.clone();
            self.look_after(async move {
                // Nothing is done before it is known what runs.
                if engine.recovered().await.is_ok() {
                    engine.take_up(deed, place, None).await;
                }
            });
        }
        self.hear_neighbours();
        self.look_after(reconcile::run(self.clone(), noticed));
        self.look_after(examining::run(self.clone()));
        self.look_after(self.shared.performer.hands.wishes.clone().run());
        self.look_after(self.clone().settle_by_and_by());
        self.look_after(self.clone().write_notes());
        self.look_after(self.clone().renew_records());
    }

    /// Does something in the background until the engine is stopped.
    pub(crate) fn look_after(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.shared.stopping.clone();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = stopping.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// Finds the machines that an earlier daemon left, goes on with what it was doing, then starts what
    /// should run and does not. Requests that came before are done after.
    pub async fn recover(&self) {
        let found = self.shared.performer.drivers.own().recover().await;
        self.shared.noticed.found(&found, &self.shared.notes.take_before());
        let snapshot = self.view().snapshot();
        let (known, orphans): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|found| snapshot.vms.contains_key(&found.vm));
        for Found { vm, incarnation, .. } in orphans {
            // Its spec is gone, so nobody can ask for anything to be done to it; it is left alone.
            warn!(%vm, process = ?incarnation.process, "a machine runs of which there is no VM");
            self.shared.reservations.withhold_uids(incarnation.uid);
            self.withhold_claims(vm, &incarnation.plugs);
        }
        for Found { vm, incarnation, .. } in &known {
            let project = snapshot.vms.get(vm).map(|vm| vm.project.clone()).unwrap_or_default();
            let accountant = &self.shared.performer.hands.accountant;
            // What is being made in its place has taken its own share already.
            if !accountant.has_machine(*vm) {
                accountant.found(*vm, &project, Share::of(incarnation));
            }
        }
        let _ = self.view().barrier(Vec::new()).await;
        // Whose operation is being taken up is looked at when that has ended.
        let busy = |vm: &VmId| self.is_busy(*vm);
        let vms: HashSet<VmId> = known.iter().map(|found| found.vm).collect();
        let wanted =
            snapshot.vms.values().filter(|vm| self.starts_with_host(vm) && !vms.contains(&vm.id));
        let work = known
            .into_iter()
            .filter(|found| !busy(&found.vm))
            .map(Beginning::Found)
            .chain(wanted.filter(|vm| !busy(&vm.id)).map(|vm| Beginning::Wanted(vm.id)))
            .collect::<Vec<_>>();
        // What machines have, before anybody can ask for it.
        for vm in self.view().snapshot().vms.keys() {
            self.settle_claims(*vm);
        }
        // How networks are, and which addresses guests have, is seen from the first answer on.
        let surveyed = networks::keeping::survey(self);
        if tokio::time::timeout(NETWORKS_SEEN_WITHIN, surveyed).await.is_err() {
            warn!(within = ?NETWORKS_SEEN_WITHIN, "the host's networks are not known yet");
        }
        let _ = self.view().barrier(Vec::new()).await;
        self.shared.recovered.send_replace(true);
        self.look_after(networks::keeping::run(self.clone()));
        self.look_after(guarding::run(self.clone()));
        self.look_after(survey::run(self.clone()));
        self.look_after(quotas::run(self.clone()));
        self.look_after(sessions::asking::run(self.clone()));

        futures_util::stream::iter(work)
            .for_each_concurrent(self.shared.autostart_parallel, |beginning| {
                self.begin_with(beginning)
            })
            .await;
        self.all_are_looked_after();
    }

    /// Whether it is to be started because the host was. Once a boot: what was left off since then is
    /// left off by every daemon.
    fn starts_with_host(&self, vm: &Vm) -> bool {
        is_to_run(vm) && self.shared.notes.waits_for_its_start(vm.id)
    }

    async fn begin_with(&self, beginning: Beginning) {
        match beginning {
            // Somebody may have stopped it before its turn came.
            Beginning::Wanted(vm) if self.vm(vm).is_ok_and(|vm| is_to_run(&vm)) => {
                self.start_with_host(vm).await;
            }
            Beginning::Wanted(_) => {}
            Beginning::Found(found) => self.go_on_with(found).await,
        }
    }

    /// Goes on with a machine that was found. One whose guest has not begun was being started when its
    /// daemon ended: it is let run if that is still wanted, and put away if not.
    async fn go_on_with(&self, Found { vm, facts, ran, .. }: Found) {
        let snapshot = self.view().snapshot();
        let is_quarantined = snapshot.vms.get(&vm).is_some_and(|vm| vm.spec.is_none());
        if is_quarantined {
            // Nobody can tell what is wanted of it, so it is left as it is.
            return;
        }
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
        let suspended = self.vm(vm).is_ok_and(|vm| vm.state == VmState::Suspended);
        let verb = if suspended { MachineVerb::Restore } else { MachineVerb::Start };
        self.see_done(vm, verb).await;
    }

    /// Starts the VM of a task that was taken up, if it should run and does not: it was left out when all
    /// others were started.
    pub(crate) async fn start_if_wanted(&self, task: &LiveTask) {
        let Some(vm) = task.vm else { return };
        let is_off = |vm: &Vm| !vm.is_on() && vm.incarnation.is_none();
        let wanted = self.vm(vm).is_ok_and(|vm| self.starts_with_host(&vm) && is_off(&vm));
        let given_up = task.snapshot().state == TaskState::Cancelled;
        if wanted && !given_up && !self.is_busy(vm) {
            self.start_with_host(vm).await;
        }
        self.is_looked_after(task);
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

/// The specs that are whole, be their VMs quarantined for another reason.
fn stored_specs(updates: &[Update]) -> HashMap<VmId, Arc<Spec>> {
    let specs = updates.iter().filter_map(|update| match update {
        Update::VmSpec(spec) => Some((spec.id, spec.clone())),
        _ => None,
    });
    specs.collect()
}

/// What the engine begins with.
enum Beginning {
    /// A machine that was there.
    Found(Found),
    /// A VM that is wanted running and that nobody has looked after since the host was booted.
    Wanted(VmId),
}

fn is_to_run(vm: &Vm) -> bool {
    vm.spec.as_ref().is_some_and(|spec| {
        // What nobody has confirmed yet is not made a machine of, and another manager starts its own.
        let is_to = spec.want == Want::Running && spec.config.autostart == Autostart::Auto;
        is_to && !spec.draft && spec.driver.is_none()
    })
}
