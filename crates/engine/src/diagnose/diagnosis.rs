//! What the engine says of itself when something is stuck. Takes short locks only, and waits for nothing.

use crate::{
    accept::request::Caller,
    engine::Engine,
    turn::{live::LiveTask, queues::Resource},
};
use innkeeper_model::{
    ByteSize, Diagnosis, Task, TaskState, Timestamp, Usage, VmId,
    diagnosis::{
        Failure, FeedDiagnosis, Intervention, JournalDiagnosis, MAX_INTERVENTIONS, MAX_READERS,
        OwedDiagnosis, PoolDiagnosis, ReaderDiagnosis, Sizes, SpecsDiagnosis, TaskDiagnosis,
        UsageDiagnosis, VmProblem,
    },
    task::StepState,
};
use innkeeper_view::{ReaderFigures, Snapshot};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many failed tasks are named.
const FAILURES: usize = 20;

impl Engine {
    /// Everything that is going on, and everything that is wrong. Never waits, so it can be asked from
    /// any thread, stuck workers or not.
    pub fn diagnose(&self) -> Diagnosis {
        let snapshot = self.view().snapshot();
        Diagnosis {
            at: Timestamp::now(),
            version: env!("CARGO_PKG_VERSION").into(),
            queues: self.shared.queues.figures(),
            tasks: self.shared.live.all().iter().map(diagnose_task).collect(),
            owed: self.owed_diagnosis(),
            journal: self.journal_diagnosis(),
            specs: self.specs_diagnosis(),
            audit: None,
            feed: self.feed_diagnosis(),
            sessions: self.shared.sessions.all(),
            interventions: self.shared.interventions.all(),
            usage: self.usage_diagnosis(),
            problems: problems(&snapshot),
            failures: failures(&snapshot),
            drivers: self.shared.performer.drivers.diagnose(),
            sizes: sizes(&snapshot),
        }
    }

    fn usage_diagnosis(&self) -> UsageDiagnosis {
        let hands = &self.shared.performer.hands;
        let Usage { vms, cpus, memory, disk, addresses: _ } = hands.accountant.usage();
        let pool = hands.storage.room_seen().map(|seen| PoolDiagnosis {
            at: seen.at,
            folder: seen.folder.display().to_string(),
            size: seen.size,
            free: seen.free,
            promised: seen.promised,
        });
        UsageDiagnosis { vms, cpus, memory, disk, bounds: *hands.accountant.bounds(), pool }
    }

    fn owed_diagnosis(&self) -> Vec<OwedDiagnosis> {
        let owed = |task: Task| OwedDiagnosis {
            task: task.id,
            operation: task.operation,
            vm: task.vm,
            leftovers: task.leftovers,
        };
        self.shared.owing.all().iter().map(|deed| owed(deed.task.snapshot())).collect()
    }

    fn journal_diagnosis(&self) -> JournalDiagnosis {
        let figures = self.shared.recorder.journal().figures();
        JournalDiagnosis {
            segments: figures.segments,
            size: ByteSize(figures.bytes),
            records: figures.records,
            syncs: figures.syncs,
            pending: figures.pending,
            low: figures.low,
            last_error: figures.last_error,
            damage: self.shared.unreadable.iter().map(|one| one.reason.clone()).collect(),
        }
    }

    fn specs_diagnosis(&self) -> SpecsDiagnosis {
        let (unwritten, problem) = self.shared.performer.hands.wishes.waiting();
        SpecsDiagnosis { unwritten, problem }
    }

    fn feed_diagnosis(&self) -> FeedDiagnosis {
        let figures = self.view().figures();
        FeedDiagnosis {
            changes: figures.changes,
            change_bytes: figures.change_bytes,
            readers: figures.subscriptions,
            slowest_lag: figures.slowest_lag,
            reading: self.view().slowest_readers(MAX_READERS).into_iter().map(reader).collect(),
        }
    }

    /// Lets nothing new begin on a VM, or lets it again. What has begun goes on; kill waits, too.
    pub fn pause_queue(&self, caller: &Caller, vm: VmId, paused: bool) {
        let word = if paused { "paused" } else { "let go on" };
        self.intervened(caller, format!("the queue of VM {vm} {word}"));
        self.shared.queues.pause(&Resource::Vm(vm), paused);
    }

    /// Has a VM looked at: its hypervisor is asked, its spec's file and its disks are looked at, what is owed
    /// of it is tried, and what its policy says is done. Equal requests are one.
    pub fn reconcile(&self, caller: &Caller, vm: VmId) {
        self.intervened(caller, format!("VM {vm} reconciled"));
        self.shared.to_examine.mark(vm);
    }
}

impl Engine {
    /// Remembers what an operator did by hand, for the diagnosis. Whoever lets callers in logs it.
    pub fn intervened(&self, caller: &Caller, what: String) {
        self.shared.interventions.put(caller, what);
    }
}

/// What operators did by hand, of late.
#[derive(Debug, Default)]
pub(crate) struct Interventions(Mutex<VecDeque<Intervention>>);

impl Interventions {
    fn list(&self) -> MutexGuard<'_, VecDeque<Intervention>> {
        // Only list operations happen under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, caller: &Caller, what: String) {
        let mut list = self.list();
        list.truncate(MAX_INTERVENTIONS - 1);
        let (at, caller) = (Timestamp::now(), caller.name.clone());
        list.push_front(Intervention { at, caller, what });
    }

    fn all(&self) -> Vec<Intervention> {
        self.list().iter().cloned().collect()
    }
}

fn reader(ReaderFigures { who, since, lag }: ReaderFigures) -> ReaderDiagnosis {
    ReaderDiagnosis { who, since, lag }
}

fn diagnose_task(live: &Arc<LiveTask>) -> TaskDiagnosis {
    let task = live.snapshot();
    let running = task.steps.iter().filter(|step| step.state == StepState::Running);
    let since = running.clone().filter_map(|step| step.started).min().or(task.started);
    let since = since.unwrap_or(task.created);
    let for_ms = Timestamp::now().duration_since(since).as_millis();
    TaskDiagnosis {
        steps: running.map(|step| step.name.to_string()).collect(),
        for_ms: u64::try_from(for_ms).unwrap_or(0),
        state: format!("{:?}", task.state).to_lowercase(),
        id: task.id,
        operation: task.operation,
        vm: task.vm,
        cancellable: task.cancellable,
    }
}

fn problems(snapshot: &Snapshot) -> Vec<VmProblem> {
    let problem = |(id, vm): (&VmId, &Arc<innkeeper_view::Record<innkeeper_model::Vm>>)| {
        Some(VmProblem {
            vm: *id,
            name: vm.name.to_string(),
            state: vm.state.to_string(),
            problem: vm.problem.clone()?,
        })
    };
    snapshot.vms.iter().filter_map(problem).collect()
}

fn failures(snapshot: &Snapshot) -> Vec<Failure> {
    let failed = snapshot.tasks.values().rev().filter(|task| task.state == TaskState::Failed);
    let failure = |task: &Task| Failure {
        task: task.id,
        operation: task.operation.clone(),
        subject: task.subject.clone(),
        at: task.ended,
        error: task.error.as_ref().map(ToString::to_string).unwrap_or_default(),
    };
    failed.take(FAILURES).map(|task| failure(task.value())).collect()
}

/// What the view holds, and what the process takes, by its own account in `/proc/self`.
fn sizes(snapshot: &Snapshot) -> Sizes {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let number = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Sizes {
        vms: snapshot.vms.len(),
        tasks: snapshot.tasks.len(),
        images: snapshot.images.len(),
        resident: ByteSize(number("VmRSS:").unwrap_or(0) * 1024),
        open_files: std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
        threads: usize::try_from(number("Threads:").unwrap_or(0)).unwrap_or(0),
    }
}
