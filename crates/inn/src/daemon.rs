//! The daemon's wiring: makes each part, gives it what it needs, and ends them in order. It decides
//! nothing else.
//!
//! The sockets are served as soon as the stored specs are in the view. What still runs is found
//! behind that, and requests that change something wait for it.

mod host;
mod sockets;

pub use crate::options::DaemonOptions;

use crate::config::Accelerator;
use anyhow::Context;
use innkeeper_api::ApiState;
use innkeeper_auth::Token;
use innkeeper_engine::{Engine, EngineOptions, Noticed};
use innkeeper_model::Refusal;
use innkeeper_network::UidRange;
use innkeeper_qemu::{AcceleratorChoice, QemuDriver, QemuOptions};
use innkeeper_storage::{HttpRules, Storage, StorageOptions};
use innkeeper_store::{SpecStore, StateLock};
use innkeeper_view::{Update, View, ViewOptions};
use std::{
    fs,
    io::IsTerminal,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

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
    start_log(&options.log_level)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let outcome = runtime.block_on(serve(options));
    // Threads that wait for a disk that hangs do not keep the daemon from ending.
    runtime.shutdown_background();
    outcome
}

/// Reads are answered from memory and writes wait elsewhere, so a few threads serve many callers.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 8))
}

fn start_log(level: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(level).with_context(|| format!("log_level {level:?}"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    Ok(())
}

async fn serve(options: DaemonOptions) -> anyhow::Result<()> {
    make_folder(&options.state_dir, 0o700)?;
    // Others must reach the socket in it; what is in the run folders is closed by each of them.
    make_folder(&options.runtime_dir, 0o755)?;
    let run_folders = options.runtime_dir.join("vms");
    make_folder(&run_folders, 0o700)?;
    let _lock = StateLock::acquire(&options.state_dir).map_err(Refusal::from)?;
    let unix = sockets::bind_unix(&options.socket, &options.socket_group)?;
    let _socket = sockets::RemovedAtTheEnd(&options.socket);
    let tcp = sockets::bind_tcp(&options.listen).await?;
    let token = Token::load_or_create(&options.token_file())?;

    let view = View::start(view_options(&options));
    let storage = Arc::new(Storage::open(storage_options(&options))?);
    let noticed = Noticed::new(view.clone());
    let qemu = QemuOptions {
        program: options.qemu_program.clone(),
        accelerator: accelerator(options.accelerator),
        runtime: run_folders,
        boot_id: host::boot_id()?,
    };
    let driver = QemuDriver::new(qemu, storage.clone(), Arc::new(noticed.clone()));
    let mut host = host::describe();
    view.barrier(vec![Update::Host(host.clone())]).await?;
    let engine = Engine::open(EngineOptions {
        view: view.clone(),
        driver: Arc::new(driver),
        noticed,
        specs: SpecStore::open(options.specs_dir())?,
        storage,
        uids: uids(&options)?,
        autostart_parallel: workers(),
    })
    .await?;
    host.confinement = engine.safeguards();
    view.post(Update::Host(host.clone()));

    let stopping = CancellationToken::new();
    let api = ApiState::new(view.clone(), Arc::new(engine.clone()), stopping.clone());
    let serving = TaskTracker::new();
    serving.spawn(innkeeper_api::serve_unix(unix, api.clone()));
    for listener in tcp {
        serving.spawn(innkeeper_api::serve_tcp(listener, api.clone(), token.clone()));
    }
    serving.close();
    info!(socket = %options.socket.display(), listen = ?options.listen, "serving");

    let background = TaskTracker::new();
    let waking = engine.clone();
    background.spawn(async move { waking.recover().await });
    let asking = engine.clone();
    background.spawn(async move { describe_hypervisor(&asking, host).await });

    told_to_stop().await?;
    info!("stopping; VMs are left running");
    if tokio::time::timeout(TASKS_END_WITHIN, engine.stop()).await.is_err() {
        warn!("some tasks did not end in time");
    }
    stopping.cancel();
    view.stop();
    let _ = tokio::time::timeout(CONNECTIONS_END_WITHIN, serving.wait()).await;
    Ok(())
}

/// Asks the hypervisor what it is, so that `inn host` can say, and so that the first VM's owner need
/// not wait for it.
async fn describe_hypervisor(engine: &Engine, mut host: innkeeper_model::Host) {
    match engine.hypervisor().await {
        Ok(hypervisor) => {
            host.hypervisor = Some((*hypervisor).clone());
            engine.view().post(Update::Host(host));
        }
        Err(refusal) => warn!(hint = refusal.hint, "no hypervisor: {refusal}"),
    }
}

async fn told_to_stop() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

fn make_folder(path: &Path, mode: u32) -> anyhow::Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(mode).create(path);
    made.with_context(|| format!("cannot make the folder {}", path.display()))?;
    // A folder that was there may have been made with other rights.
    let owned = fs::set_permissions(path, fs::Permissions::from_mode(mode));
    owned.with_context(|| format!("cannot set the rights of {}", path.display()))
}

fn view_options(options: &DaemonOptions) -> ViewOptions {
    ViewOptions {
        max_changes: options.limits.feed_changes,
        max_change_bytes: usize::try_from(options.limits.feed_memory.0).unwrap_or(usize::MAX),
        max_finished_tasks: options.limits.finished_tasks,
        ..ViewOptions::new(Uuid::now_v7())
    }
}

fn storage_options(options: &DaemonOptions) -> StorageOptions {
    StorageOptions {
        allowed_paths: options.allowed_paths.clone(),
        private_paths: vec![options.state_dir.clone(), options.runtime_dir.clone()],
        max_virtual_size: options.max_virtual_size,
        max_import_size: options.max_import_size,
        sandbox_uid: is_root().then(|| *options.vm_uids.0.end()),
        http: HttpRules { allow_private: options.allow_private_urls, ..HttpRules::default() },
        ..StorageOptions::new(options.pool.clone())
    }
}

/// The user ids of VMs. The last of the range is left to the tool that reads hostile images.
fn uids(options: &DaemonOptions) -> anyhow::Result<Option<UidRange>> {
    let (first, last) = (*options.vm_uids.0.start(), *options.vm_uids.0.end());
    let range = || UidRange::new(first, last.saturating_sub(1));
    Ok(is_root().then(range).transpose()?)
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
