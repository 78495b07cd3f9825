//! One phase of a trial: a process of its own. What it found is one JSON document on its output.

use crate::{
    agreement,
    daemon::Daemon,
    host::{Host, Kind},
    scenarios::{Scenario, exercise},
    witness::{Blow, Passed, Trap},
};
use anyhow::{Context, ensure};
use clap::Args;
use innkeeper_engine::Witness;
use innkeeper_model::{Task, TaskState, Vm};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, process::ExitCode, sync::Arc};

/// How long it may take until what follows from something has come to a point.
const FOLLOWS_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

/// What a phase is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct Phase {
    #[arg(long)]
    pub(crate) driver: Kind,
    #[arg(long)]
    pub(crate) scenario: String,
    #[arg(long)]
    pub(crate) folder: PathBuf,
    /// Where something happens; without it, points are recorded.
    #[arg(long)]
    pub(crate) point: Option<String>,
    #[arg(long)]
    pub(crate) blow: Option<Blow>,
    /// Look at what an earlier phase left.
    #[arg(long)]
    pub(crate) check: bool,
}

/// What a phase found.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Findings {
    /// The points that were passed, in their order.
    pub(crate) passed: Vec<Passed>,
    /// Whether something happened where it should.
    pub(crate) visited: bool,
    /// What does not hold.
    pub(crate) wrong: Vec<String>,
    /// The VMs as readers see them.
    pub(crate) vms: Vec<Vm>,
}

/// Does a phase.
pub(crate) fn run(phase: Phase) -> anyhow::Result<ExitCode> {
    let threads =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let findings = threads
        .block_on(async { if phase.check { check(&phase).await } else { act(&phase).await } })?;
    println!("{}", serde_json::to_string(&findings)?);
    Ok(ExitCode::SUCCESS)
}

async fn act(phase: &Phase) -> anyhow::Result<Findings> {
    let scenario = Scenario::named(&phase.scenario).context("there is no such scenario")?;
    let host = Arc::new(Host::open(phase.driver, &phase.folder)?);
    let trap = Trap::new(host.clone(), phase.point.clone().zip(phase.blow));
    let witness: Arc<dyn Witness> = trap.clone();
    let daemon = Daemon::start(phase.driver, &phase.folder, host, Some(witness)).await?;
    daemon.recover().await;
    let vm = scenario.prepare(&daemon).await?;
    daemon.idle().await?;
    trap.arm(&daemon.engine);
    let begun = scenario.begin(&daemon, vm).await?;
    let mut findings = Findings::default();
    let waits = begun.is_none();
    if let Some(accepted) = begun {
        let task = daemon.end_of(&accepted).await?;
        findings.wrong.extend(judge(&daemon, &task, phase.blow));
    }
    if phase.blow.is_some() {
        // What follows from something that happened has not begun when it has happened.
        let passed = daemon.until("at the point", |_| trap.was_sprung() || !waits);
        // A point in a wait is not passed by a step that did not wait.
        let _ = tokio::time::timeout(FOLLOWS_WITHIN, passed).await;
    }
    if phase.blow == Some(Blow::UndoFail) {
        daemon.quiet().await?;
        findings.wrong.extend(leftovers_are_listed(&daemon));
    } else {
        daemon.idle().await?;
    }
    trap.disarm();
    daemon.engine.settle_now().await;
    daemon.idle().await?;
    findings.wrong.extend(agreement::disagreements(&daemon).await);
    findings.passed = trap.passed();
    findings.visited = trap.was_sprung();
    findings.vms = daemon.vms();
    daemon.engine.stop().await;
    Ok(findings)
}

/// Whether a task ended as what happened to it lets it.
fn judge(daemon: &Daemon, task: &Task, blow: Option<Blow>) -> Option<String> {
    let may: &[TaskState] = match blow {
        None => &[TaskState::Done],
        // A cancel that comes with the last of the work finds it done.
        Some(Blow::Cancel) => &[TaskState::Cancelled, TaskState::Done],
        Some(Blow::Fail | Blow::UndoFail) => &[TaskState::Failed],
        Some(Blow::KillDaemon) => &[],
        Some(Blow::KillHypervisor) => &[TaskState::Failed, TaskState::Done],
    };
    if may.contains(&task.state) {
        return None;
    }
    Some(format!("ended {:?}: {:?}; {:?}", task.state, task.error, daemon.vms()))
}

/// What could not be undone is listed, for as long as it cannot.
fn leftovers_are_listed(daemon: &Daemon) -> Vec<String> {
    let owed = daemon.engine.diagnose().owed;
    let snapshot = daemon.engine.view().snapshot();
    let mut wrong = Vec::new();
    for task in snapshot.tasks.values().filter(|task| !task.leftovers.is_empty()) {
        let listed = owed.iter().find(|owed| owed.task == task.id);
        if listed.map(|owed| &owed.leftovers) != Some(&task.leftovers) {
            wrong.push(format!("{:?} is left, and {listed:?} listed", task.leftovers));
        }
    }
    wrong
}

async fn check(phase: &Phase) -> anyhow::Result<Findings> {
    let host = Arc::new(Host::open(phase.driver, &phase.folder)?);
    let daemon = Daemon::start(phase.driver, &phase.folder, host, None).await?;
    let mut findings = Findings { vms: daemon.vms(), ..Findings::default() };
    daemon.recover().await;
    daemon.idle().await?;
    daemon.until("settled", |daemon| daemon.engine.diagnose().owed.is_empty()).await?;
    findings.wrong.extend(agreement::disagreements(&daemon).await);
    let unended = daemon.engine.view().snapshot();
    let unended = unended.tasks.values().filter(|task| !task.state.is_final());
    findings.wrong.extend(unended.map(|task| format!("task {:?} has no end", task.value())));
    if phase.blow != Some(Blow::KillDaemon) {
        findings.vms = daemon.vms();
    }
    for vm in daemon.vms() {
        exercise(&daemon, vm.id).await.with_context(|| format!("VM {} afterwards", vm.name))?;
    }
    daemon.idle().await?;
    findings.wrong.extend(agreement::leavings(&daemon));
    daemon.engine.stop().await;
    ensure!(daemon.vms().is_empty(), "a VM is left");
    Ok(findings)
}
