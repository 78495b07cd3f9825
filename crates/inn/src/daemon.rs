//! The daemon's wiring: makes each part, gives it what it needs, and ends them in order. It decides
//! nothing else.
//!
//! The sockets are served when it is known what still runs, so that nobody is told anything else because
//! of a restart; or after a while, if some hypervisor does not answer, and requests that change something
//! wait on. The diagnosis is served before.

mod audit;
mod capacity;
mod diagnostics;
mod doors;
pub(crate) mod folder;
mod host;
mod listeners;
mod log;
mod memory;
mod metadata;
mod neighbours;
mod networks;
mod notify;
mod simulator;
mod sockets;
mod this_host;
mod tls;
mod tokens;
mod uids;

pub use crate::options::DaemonOptions;

use crate::config::{self, Accelerator};
use anyhow::Context as _;
use diagnostics::Inside;
use doors::{Doors, House};
use innkeeper_api::ApiState;
use innkeeper_doors::Context;
use innkeeper_driver::Driver;
use innkeeper_engine::{Engine, EngineOptions, Noticed, Remembered};
use innkeeper_hooks::{Hooks, OwnerRule};
use innkeeper_model::{Host, Refusal, Timestamp};
use innkeeper_network::UidRange;
use innkeeper_qemu::{AcceleratorChoice, QemuDriver, QemuOptions};
use innkeeper_storage::{HttpRules, Storage, StorageOptions};
use innkeeper_store::{
    NetworkStore, QuotaStore, SpecStore, StateLock, TaskHistory,
    journal::{Journal, JournalOptions},
};
use innkeeper_view::{Update, View, ViewOptions};
use listeners::Listeners;
use log::Log;
use networks::HostTaps;
use notify::Notice;
use std::{fs, io, path::Path, pin::pin, sync::Arc, time::Duration};
use tls::Tls;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};
use uuid::Uuid;

/// How long those who ask wait at most for it to be known what runs. (Hypervisors that answer do in
/// milliseconds, and one that does not is given 2 s.)
const RECOVERED_WITHIN: Duration = Duration::from_secs(5);
/// How long tasks that are cancelled by the daemon's end may take to undo what they did.
const TASKS_END_WITHIN: Duration = Duration::from_millis(600);
/// How long connections may take to end after that.
const CONNECTIONS_END_WITHIN: Duration = Duration::from_millis(200);

/// Runs the daemon until it is told to stop by SIGTERM or SIGINT, which leaves VMs running.
///
/// # Errors
/// It cannot begin: another daemon has the folder, a socket or port is taken, a folder cannot be
/// made, a stored list cannot be read.
pub fn run(options: DaemonOptions) -> anyhow::Result<()> {
    let log = Log::start(&options.log_level)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .thread_keep_alive(memory::IDLE_THREADS_END_AFTER)
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let outcome = runtime.block_on(serve(options, log, told_to_stop));
    // Threads that wait for a disk that hangs do not keep the daemon from ending.
    runtime.shutdown_background();
    outcome
}

/// Reads are answered from memory and writes wait elsewhere, so half the cores serve many callers, and
/// the other half is the guests'. (Two cores, 16 callers on one of them: one thread answered 115,000
/// reads a second, two answered 100,000.)
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).clamp(1, 8))
}

/// Serves until what `told_to_stop` returns has ended; that is called when the rest has begun.
async fn serve<Stop: Future<Output = ()>>(
    options: DaemonOptions,
    log: Log,
    told_to_stop: impl FnOnce() -> io::Result<Stop>,
) -> anyhow::Result<()> {
    let run_folders = options.runtime_dir.join("vms");
    folder::make_all(&[
        (&options.state_dir, 0o700),
        // Others must reach the socket in it; what is in the run folders is closed by each of them.
        (&options.runtime_dir, 0o755),
        (&run_folders, 0o700),
    ])?;
    let _lock = StateLock::acquire(&options.state_dir).map_err(Refusal::from)?;
    let claim = is_root().then(|| claim_uids(&options)).transpose()?;
    let uids = claim.as_ref().map(|claim| &claim.range);
    let unix = sockets::bind_unix(&options.socket, &options.socket_group)?;
    let _socket = sockets::RemovedAtTheEnd(&options.socket);
    let diagnose_socket = options.diagnose_socket();
    let apart = sockets::bind_unix(&diagnose_socket, &options.socket_group)?.into_std()?;
    let _diagnose_socket = sockets::RemovedAtTheEnd(&diagnose_socket);
    let tls = Tls::open(&options, Timestamp::now())?;
    let listeners = Listeners::new(&options, tls.as_ref())?;
    let tcp = listeners.bind_all(&options.listen).await?;
    let doors = Doors::bind(&options, &listeners).await?;
    let doorkeeper = tokens::doorkeeper(&options)?;
    let doorkeeper = match &tls {
        Some(tls) => tls.known_to(doorkeeper),
        None => doorkeeper,
    };

    let view = View::start(view_options(&options));
    let storage = Arc::new(Storage::open(storage_options(&options, uids))?);
    let noticed = Noticed::new(view.clone());
    let boot_id = host::boot_id()?;
    let is_first_start = !options.networks_dir().exists();
    let networks = networks::of_host(&options, uids)?;
    let taps = HostTaps { view: view.clone(), networks: networks.clone() };
    let qemu = qemu_options(&options, &run_folders, &boot_id, uids);
    let driver = driver(&options, qemu, &storage, taps, &noticed)?;
    let host_id = this_host::id(&options.host_id_file())?;
    let host = Host { id: Some(host_id), ..host::describe(options.driver) };
    let capacity = capacity::of(&options, &host, &storage)?;
    let this_host = this_host::describe(host_id, &host, &capacity, storage.total_space()?);
    view.barrier(vec![Update::Host(host)]).await?;
    let history = TaskHistory::open(&options.tasks_file()).map_err(Refusal::from)?;
    if let Some(lost) = history.lost {
        warn!(reason = lost, "the tasks of before are not known any more");
    }
    let metadata = metadata::Service::bind(networks::are_real(&options, uids))?;
    let seeds = storage.clone();
    let engine = Engine::open(EngineOptions {
        view: view.clone(),
        driver,
        neighbours: neighbours::of(&options),
        noticed,
        specs: SpecStore::open(options.specs_dir())?,
        network_store: NetworkStore::open(options.networks_dir())?,
        networks,
        quota_store: QuotaStore::open(options.projects_dir())?,
        metadata: metadata.as_ref().map(metadata::Service::address),
        make_default_network: options.make_default_network && is_first_start,
        storage,
        journal: Journal::open(JournalOptions::new(options.journal_dir()))
            .map_err(Refusal::from)?,
        history: history.history,
        remembered: remembered(&options),
        shown_tasks: options.limits.finished_tasks,
        capacity,
        hooks: hooks(&options),
        boot_id,
        uids: uids.map(for_vms).transpose()?,
        autostart_parallel: std::thread::available_parallelism().map_or(1, usize::from),
        witness: None,
    })
    .await?;

    let stopping = CancellationToken::new();
    let inside = Inside { engine: engine.clone(), options: options.clone(), log };
    let asked = audit::Asked::of(&engine, inside, &options)?;
    let house = House {
        context: Context::new(view.clone(), asked.operations.clone(), stopping.clone()),
        doorkeeper: &doorkeeper,
        host: this_host,
        registry: &options.registry,
    };
    let (operations, inside) = (asked.operations.clone(), Some(asked.diagnostics.clone()));
    let api = ApiState::new(view.clone(), operations, inside, doorkeeper.clone(), stopping.clone());
    let diagnosis_ended = diagnostics::serve_apart(apart, api.clone()).await?;
    let mut told_to_stop = pin!(told_to_stop()?);
    let background = TaskTracker::new();
    let waking = engine.clone();
    background.spawn(async move { waking.recover().await });
    background.spawn(tokens::keep_uses(doorkeeper.clone()));
    let issuers = doorkeeper.clone();
    background.spawn(async move { issuers.keep_keys().await });
    if let Some(tls) = tls {
        api.count_handshakes(tls.settings().handshakes());
        background.spawn(tls.keep());
    }
    let asking = engine.clone();
    background.spawn(async move { asking.refresh_host().await });
    let stops_first = tokio::select! {
        biased;
        () = &mut told_to_stop => true,
        () = is_recovered(&engine) => false,
    };

    let serving = TaskTracker::new();
    serving.spawn(innkeeper_api::serve_unix(unix, api.clone()));
    for listener in tcp {
        serving.spawn(innkeeper_api::serve_tcp(listener, api.clone()));
    }
    doors.open(&serving, house).await;
    if let Some(metadata) = metadata {
        serving.spawn(metadata.serve(view.clone(), seeds, stopping.clone()));
    }
    serving.spawn(async { drop(diagnosis_ended.await) });
    serving.close();
    let listen: Vec<_> = options.listen.iter().map(ToString::to_string).collect();
    info!(socket = %options.socket.display(), ?listen, "serving");
    let status = format!("Serving on {}", options.socket.display());
    notify::tell(Notice::Ready { status: &status });
    background.spawn(memory::let_go_after_start());

    if !stops_first {
        told_to_stop.await;
    }
    info!("stopping; VMs are left running");
    notify::tell(Notice::Stopping { status: "Stopping; VMs are left running" });
    if tokio::time::timeout(TASKS_END_WITHIN, engine.stop()).await.is_err() {
        warn!("some tasks did not end in time");
    }
    stopping.cancel();
    view.stop();
    let _ = tokio::time::timeout(CONNECTIONS_END_WITHIN, serving.wait()).await;
    tokens::save_last_uses(&doorkeeper).await;
    asked.end().await;
    Ok(())
}

/// Waits until it is known what runs; not for ever, and it is told if it is not.
async fn is_recovered(engine: &Engine) {
    if tokio::time::timeout(RECOVERED_WITHIN, engine.recovered()).await.is_err() {
        let waited = RECOVERED_WITHIN;
        warn!(
            ?waited,
            "served although it is not known yet what runs: such VMs are shown unresponsive"
        );
    }
}

/// Waits for SIGTERM or SIGINT; from the call on, neither ends the process by itself.
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn qemu_options(
    options: &DaemonOptions,
    run_folders: &Path,
    boot_id: &str,
    uids: Option<&config::UidRange>,
) -> QemuOptions {
    QemuOptions {
        program: options.qemu_program.clone(),
        accelerator: accelerator(options.accelerator),
        runtime: run_folders.into(),
        boot_id: boot_id.into(),
        sandbox_uid: uids.map(sandbox_uid),
    }
}

fn driver(
    options: &DaemonOptions,
    qemu: QemuOptions,
    storage: &Arc<Storage>,
    taps: HostTaps,
    noticed: &Noticed,
) -> anyhow::Result<Arc<dyn Driver>> {
    let observer = Arc::new(noticed.clone());
    Ok(match options.driver {
        config::Driver::Qemu => {
            Arc::new(QemuDriver::new(qemu, storage.clone(), Arc::new(taps), observer))
        }
        config::Driver::Sim => simulator::driver(options, observer)?,
    })
}

/// The operator's hooks. What is wrong with them is told now: later it would fail an operation, or never
/// run and nobody hear of it.
fn hooks(options: &DaemonOptions) -> Hooks {
    let rule = OwnerRule::of_this_process();
    let hooks = Hooks::new(options.hooks.clone(), options.hook_deadline, rule);
    for problem in hooks.problems() {
        warn!(mend = problem.hint, "hooks: {problem}");
    }
    hooks
}

fn remembered(options: &DaemonOptions) -> Remembered {
    let days = u64::from(options.limits.kept_tasks_days);
    Remembered { count: options.limits.kept_tasks, age: Duration::from_secs(days * 24 * 60 * 60) }
}

fn view_options(options: &DaemonOptions) -> ViewOptions {
    ViewOptions {
        max_changes: options.limits.feed_changes,
        max_change_bytes: usize::try_from(options.limits.feed_memory.0).unwrap_or(usize::MAX),
        max_finished_tasks: options.limits.finished_tasks,
        ..ViewOptions::new(Uuid::now_v7())
    }
}

fn storage_options(options: &DaemonOptions, uids: Option<&config::UidRange>) -> StorageOptions {
    StorageOptions {
        allowed_paths: options.allowed_paths.clone(),
        private_paths: vec![options.state_dir.clone(), options.runtime_dir.clone()],
        max_virtual_size: options.max_virtual_size,
        max_import_size: options.max_import_size,
        sandbox_uid: uids.map(sandbox_uid),
        http: HttpRules { allow_private: options.allow_private_urls, ..HttpRules::default() },
        ..StorageOptions::new(options.pool.clone())
    }
}

/// Takes user ids that no other daemon of this host gives its VMs.
fn claim_uids(options: &DaemonOptions) -> Result<uids::Claim, Refusal> {
    // Whatever is there counts: a spec that cannot be read is a VM, too.
    let has_vms = fs::read_dir(options.specs_dir()).is_ok_and(|mut specs| specs.next().is_some());
    uids::Registry::default().claim(uids::Claimant {
        state_dir: &options.state_dir,
        has_vms,
        configured: options.vm_uids.as_ref(),
    })
}

/// Who runs what only looks at images, or tries what this host can do.
const fn sandbox_uid(uids: &config::UidRange) -> u32 {
    *uids.0.end()
}

/// The user ids of VMs. The last of the range is left to the tool that reads hostile images.
fn for_vms(uids: &config::UidRange) -> Result<UidRange, Refusal> {
    UidRange::new(*uids.0.start(), uids.0.end().saturating_sub(1))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

const fn accelerator(accelerator: Accelerator) -> AcceleratorChoice {
    match accelerator {
        Accelerator::Auto => AcceleratorChoice::Auto,
        Accelerator::Kvm => AcceleratorChoice::Kvm,
        Accelerator::Tcg => AcceleratorChoice::Tcg,
    }
}
