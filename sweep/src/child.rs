//! One phase of a trial: a process of its own. What it found is one JSON document on its output.

use crate::{
    agreement,
    booted::{self, Case},
    daemon::Daemon,
    hooks,
    host::{Host, Kind},
    neighbour, networks,
    scenarios::{Scenario, exercise},
    witness::{Blow, Passed, Trap},
};
use anyhow::Context;
use clap::Args;
use innkeeper_engine::{Site, Witness};
use innkeeper_model::{Task, TaskState, Vm};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

/// How long a task may go on after its cancel was accepted, where the hypervisor answers, as it does in
/// every trial; the 30 s for one that does not are not tried here.
const CANCELLED_WITHIN: Duration = Duration::from_secs(2);
/// How much longer on a host that is busy with other trials, tests and builds. A bound for what is
/// broken: the promise itself is held to by the tests with real guests, while no other guest runs.
const WHERE_BUSY: Duration = Duration::from_secs(8);

/// Whose steps are not the engine's: the first part of their names.
const DRIVERS: [&str; 2] = ["sim", "qemu"];
/// The engine's steps that a cancel ends in their midst, as every driver's step must be.
const HEED_CANCEL: [&str; 10] = [
    "clone-volumes",
    "bring-volumes",
    "seal-memory",
    "verify-memory",
    "check-disks",
    "guard-loopback",
    "wire-nics",
    "wire-network",
    "hook",
    "import-image",
];

/// How long it may take until what follows from something has come to a point.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(5);

/// What a phase is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct Phase {
    #[arg(long)]
    pub(crate) driver: Kind,
    #[arg(long)]
    pub(crate) scenario: String,
    /// Boot a kernel in the guest.
    #[arg(long)]
    pub(crate) booted: bool,
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
    let mut findings = match phase.check {
        true => in_a_runtime(check(&phase))?,
        false => in_a_runtime(act(&phase))?,
    };
    // Its daemon is gone with its runtime, and with it what keeps all others from QEMU's sockets.
    if phase.driver == Kind::Qemu {
        findings.wrong.extend(agreement::contradictions(&*phase.host()?, &findings.vms));
        if phase.check {
            findings.wrong.extend(in_a_runtime(exercise_by_another(&phase))?);
        }
    }
    println!("{}", serde_json::to_string(&findings)?);
    Ok(ExitCode::SUCCESS)
}

/// Runs something in a runtime of its own, which ends with it.
fn in_a_runtime<T>(what: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    threads.worker_threads(2).enable_all().build()?.block_on(what)
}

impl Phase {
    fn scenario(&self) -> anyhow::Result<Scenario> {
        Scenario::named(&self.scenario).context("there is no such scenario")
    }

    fn host(&self) -> anyhow::Result<Arc<Host>> {
        Ok(Arc::new(Host::open(self.driver, self.booted, &self.folder)?))
    }

    async fn daemon(
        &self,
        host: Arc<Host>,
        witness: Option<Arc<dyn Witness>>,
    ) -> anyhow::Result<Daemon> {
        let manager = self.scenario()?.is_beside_a_manager().then(neighbour::manager);
        Daemon::start(self.driver, &self.folder, host, manager, witness).await
    }

    /// The case of a booted guest that this is of.
    fn case(&self) -> anyhow::Result<Option<Case>> {
        let at = self.point.as_deref().zip(self.blow).filter(|_| self.booted);
        Ok(Case::of(self.scenario()?, at))
    }
}

async fn act(phase: &Phase) -> anyhow::Result<Findings> {
    let (scenario, case) = (phase.scenario()?, phase.case()?);
    let host = phase.host()?;
    let at = phase.point.clone().zip(phase.blow);
    let trap = Trap::new(host.clone(), phase.folder.clone(), at);
    let witness: Arc<dyn Witness> = trap.clone();
    let daemon = phase.daemon(host, Some(witness)).await?;
    daemon.recover().await?;
    let vm = scenario.prepare(&daemon).await?;
    daemon.idle().await?;
    if let (Some(_), Some(vm)) = (case, vm) {
        booted::note(&daemon, vm).await?;
    }
    trap.arm(&daemon.engine);
    let begun = scenario.begin(&daemon, vm).await?;
    let mut findings = Findings::default();
    let waits = begun.is_none();
    if let Some(accepted) = begun {
        let task = daemon.end_of(&accepted).await?;
        findings.wrong.extend(judge(&daemon, &task, phase));
        if let Some(took) = trap.since_cancel().filter(|took| *took > CANCELLED_WITHIN + WHERE_BUSY)
        {
            findings.wrong.push(format!("ended {took:?} after its cancel was accepted"));
        }
    }
    if phase.blow.is_some() {
        // What follows from something that happened has not begun when it has happened.
        let passed = daemon.until("at the point", |_| trap.was_sprung() || !waits);
        // A point in a wait is not passed by a step that did not wait.
        let _ = tokio::time::timeout(FOLLOWS_WITHIN, passed).await;
    }
    if let Some(case) = case {
        booted::fate_is_met(&daemon, case).await?;
    }
    if phase.blow == Some(Blow::UndoFail) {
        daemon.quiet().await?;
        findings.wrong.extend(leftovers_are_listed(&daemon));
        findings.wrong.extend(begun_is_listed(&daemon, &trap));
        findings.wrong.extend(disagreements_are_owed(&daemon).await);
    } else {
        daemon.idle().await?;
    }
    trap.disarm();
    daemon.engine.settle_now().await;
    daemon.idle().await?;
    findings.wrong.extend(agreement::disagreements(&daemon).await);
    if let Some(case) = case {
        findings.wrong.extend(booted::contradictions(&daemon, case).await?);
    }
    findings.passed = trap.passed();
    findings.visited = trap.was_sprung();
    findings.vms = daemon.vms();
    daemon.engine.stop().await;
    Ok(findings)
}

/// Whether a task ended as what happened to it lets it.
fn judge(daemon: &Daemon, task: &Task, phase: &Phase) -> Option<String> {
    let steps: Vec<&str> = task.steps.iter().map(|step| step.name.as_str()).collect();
    let may: &[TaskState] = match phase.blow {
        None => &[TaskState::Done],
        Some(Blow::Cancel) if phase.point.as_ref().is_some_and(|at| is_too_late(&steps, at)) => {
            &[TaskState::Cancelled, TaskState::Done]
        }
        // It was accepted, or the step would have failed.
        Some(Blow::Cancel) => &[TaskState::Cancelled],
        Some(Blow::Fail | Blow::UndoFail) => &[TaskState::Failed],
        Some(Blow::KillDaemon) => &[],
        Some(Blow::KillHypervisor) => &[TaskState::Failed, TaskState::Done],
    };
    if may.contains(&task.state) {
        return None;
    }
    Some(format!("ended {:?}: {:?}; {:?}", task.state, task.error, daemon.vms()))
}

/// Whether a cancel at a point can come too late: nothing of the plan comes after it that could be left
/// undone. (Past the point of no return none is accepted, and none is tried.)
fn is_too_late(steps: &[&str], point: &str) -> bool {
    let Some((path, site)) = path_and_site(point) else { return false };
    let nothing_after = last_part(steps).contains(&path);
    // The engine's short steps, such as the writing of a file, are not left halfway.
    let deaf = !is_a_drivers(path) && !HEED_CANCEL.iter().any(|step| names_step(path, step));
    nothing_after && (site == Site::AfterAct.name() || (site == Site::InWait.name() && deaf))
}

/// Whether this is the path of this step, whatever group it is in and whatever it is done to.
fn names_step(path: &str, step: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split([':', '#']).next() == Some(step)
}

fn is_a_drivers(path: &str) -> bool {
    path.split('/').any(|part| DRIVERS.contains(&part))
}

/// The last step; where it is one of a group, the whole group, whose steps end in any order.
fn last_part<'a, 'b>(steps: &'b [&'a str]) -> &'b [&'a str] {
    let group = |step: &str| step.split_once('/').map(|(group, _)| group.to_owned());
    // What stands before a driver's step is no group, but whose it is.
    let last = steps.last().and_then(|last| group(last));
    let last = last.filter(|group| !DRIVERS.contains(&group.as_str()));
    let is_of_it = |step: &&&str| last.is_some() && group(step) == last;
    let others = steps.iter().rev().skip(1).take_while(is_of_it).count();
    &steps[steps.len().saturating_sub(1 + others)..]
}

/// The step and the site in `operation/step path/site`.
fn path_and_site(point: &str) -> Option<(&str, &str)> {
    point.split_once('/')?.1.rsplit_once('/')
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

/// Every step that had begun before the blow fell, and cannot be undone now, is named in its task's end.
fn begun_is_listed(daemon: &Daemon, trap: &Trap) -> Vec<String> {
    let snapshot = daemon.engine.view().snapshot();
    let mut wrong = Vec::new();
    for (id, path) in trap.begun() {
        let Some(task) = snapshot.tasks.get(&id).filter(|task| task.state.is_final()) else {
            wrong.push(format!("the task of {path} has no end"));
            continue;
        };
        let stuck = format!("{path} could not be undone");
        if !task.leftovers.iter().any(|left| left.starts_with(&stuck)) {
            wrong.push(format!("{path} had begun, and only {:?} is left", task.leftovers));
        }
    }
    wrong
}

/// Where anything does not agree while nothing can be undone, something is owed.
async fn disagreements_are_owed(daemon: &Daemon) -> Vec<String> {
    let deadline = tokio::time::Instant::now() + FOLLOWS_WITHIN;
    loop {
        let mut found = agreement::disagreements(daemon).await;
        // These say that something is owed themselves, or follow from it.
        found.retain(|one| !one.starts_with("owed:") && !one.starts_with("held:"));
        let listed = !daemon.engine.diagnose().owed.is_empty();
        // What has happened may not have been noticed.
        if found.is_empty() || listed || tokio::time::Instant::now() > deadline {
            return match listed {
                true => Vec::new(),
                false => found.into_iter().map(|one| format!("not listed: {one}")).collect(),
            };
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Goes on with what an earlier daemon left, and looks at it.
async fn check(phase: &Phase) -> anyhow::Result<Findings> {
    hooks::let_all_go(&phase.folder);
    let daemon = phase.daemon(phase.host()?, None).await?;
    let mut findings = Findings::default();
    daemon.recover().await?;
    let case = phase.case()?;
    if let Some(case) = case {
        booted::fate_is_met(&daemon, case).await?;
    }
    daemon.idle().await?;
    daemon.until("settled", |daemon| daemon.engine.diagnose().owed.is_empty()).await?;
    findings.wrong.extend(agreement::disagreements(&daemon).await);
    if let Some(case) = case {
        findings.wrong.extend(booted::contradictions(&daemon, case).await?);
    }
    let unended = daemon.engine.view().snapshot();
    let unended = unended.tasks.values().filter(|task| !task.state.is_final());
    findings.wrong.extend(unended.map(|task| format!("task {:?} has no end", task.value())));
    findings.vms = daemon.vms();
    if phase.driver == Kind::Sim {
        findings.wrong.extend(exercise_all(&daemon).await?);
    }
    daemon.engine.stop().await;
    Ok(findings)
}

async fn exercise_by_another(phase: &Phase) -> anyhow::Result<Vec<String>> {
    let daemon = phase.daemon(phase.host()?, None).await?;
    daemon.recover().await?;
    daemon.idle().await?;
    let left = exercise_all(&daemon).await?;
    daemon.engine.stop().await;
    Ok(left)
}

/// Has everything used once more, and removed. Returns what is left.
async fn exercise_all(daemon: &Daemon) -> anyhow::Result<Vec<String>> {
    for vm in daemon.vms() {
        exercise(daemon, vm.id).await.with_context(|| format!("VM {} afterwards", vm.name))?;
    }
    networks::clear(daemon).await?;
    daemon.idle().await?;
    Ok(agreement::leavings(daemon).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [&str; 4] = ["set-want", "volumes/create-volume:a", "qemu/launch", "qemu/run"];

    #[test]
    fn only_after_the_last_act_can_a_cancel_come_too_late() {
        assert!(is_too_late(&STEPS, "start/qemu/run/after-act"));
        for point in [
            "start/qemu/run/in-wait",
            "start/qemu/run/after-journal",
            "start/qemu/launch/after-act",
            "start/volumes/create-volume:a/after-act",
            "start/set-want/in-wait",
        ] {
            assert!(!is_too_late(&STEPS, point), "{point}");
        }
        assert!(!is_too_late(&[], "start/set-want/after-act"));
    }

    #[test]
    fn a_file_that_is_being_written_last_is_written() {
        assert!(is_too_late(&["qemu/stop", "note-want"], "pause/note-want/in-wait"));
        assert!(!is_too_late(&["qemu/stop", "note-want"], "pause/note-want/before-journal"));
        let hooked = ["note-want", "hook:post-start"];
        assert!(!is_too_late(&hooked, "start/hook:post-start/in-wait"));
    }

    #[test]
    fn the_last_group_is_last_as_a_whole() {
        let steps = ["files/create-nvram", "volumes/create-volume:a", "volumes/create-volume:b"];
        assert!(is_too_late(&steps, "edit/volumes/create-volume:a/after-act"));
        assert!(!is_too_late(&steps, "edit/files/create-nvram/after-act"));
    }
}
