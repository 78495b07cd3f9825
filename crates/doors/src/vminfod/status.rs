//! `/status`: how the daemon is.

use super::{
    clock::{Clock, length},
    listeners::{Listeners, ShownListener},
    object::IsoTime,
};
use innkeeper_model::{Task, TaskState, Timestamp};
use innkeeper_view::Snapshot;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use uuid::Uuid;

/// How the daemon is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    /// Its process.
    pid: u32,
    /// How long it runs, in seconds.
    uptime: u64,
    /// What it takes of the host's memory.
    memory: Memory,
    /// `running`: a door that is open has loaded everything.
    #[schema(value_type = String)]
    state: &'static str,
    /// The same, for people.
    #[schema(value_type = String)]
    status: &'static str,
    /// How many VMs there are.
    num_vms: usize,
    /// The time of day.
    cur_date: IsoTime,
    /// The time since the door was opened.
    cur_time: String,
    /// What is done, and waits to be.
    queue: Queue,
    /// When everything was last loaded anew; null, since nothing goes stale that would need it.
    #[schema(value_type = Option<String>)]
    last_refresh: (),
    /// What went wrong then.
    #[schema(value_type = Vec<Object>)]
    refresh_errors: [(); 0],
    /// Who follows the events, by the ids of the listeners.
    #[schema(value_type = std::collections::BTreeMap<String, ShownListener>)]
    events_listeners: BTreeMap<Uuid, ShownListener>,
    /// What loading anew changed; with `full` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    refresh_log: Option<[(); 0]>,
    /// The watcher of files, of which there is none; with `full` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    fswatcher: Option<FileWatcher>,
}

/// Memory, in bytes.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Memory {
    /// What is in the host's memory.
    rss: u64,
    /// What the process has asked for.
    heap_total: u64,
    /// What of that is in the host's memory.
    heap_used: u64,
}

/// What is done, and waits to be.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Queue {
    /// The time since the door was opened.
    now: String,
    /// Never: nothing holds the queues of all VMs at once.
    paused: bool,
    /// Whether there is nothing to do.
    idle: bool,
    /// The tasks.
    vasync_queue: Tasks,
}

/// The tasks that have not ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tasks {
    /// How many can be done at a time: as many as there are VMs, one of each.
    concurrency: usize,
    /// How many are being done.
    npending: usize,
    /// How many wait.
    nqueued: usize,
    /// Those that are being done, by their ids.
    pending: BTreeMap<String, PendingTask>,
    /// Those that wait, oldest first.
    queued: Vec<QueuedTask>,
}

/// A task that is being done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PendingTask {
    description: String,
    created_at: String,
    started_at: String,
    created_ago: String,
    started_ago: String,
    start_latency: String,
}

/// A task that waits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueuedTask {
    description: String,
    created_at: String,
    created_ago: String,
}

/// The watcher of files.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FileWatcher {
    /// How many messages came later than so many milliseconds.
    message_delays: BTreeMap<String, u64>,
    /// What is watched.
    #[schema(value_type = Vec<String>)]
    watching: [(); 0],
    /// What will be, when it is there.
    #[schema(value_type = Vec<String>)]
    not_yet_watching: [(); 0],
    /// What it was told and has not done.
    #[schema(value_type = Object)]
    pending_actions: BTreeMap<String, String>,
    /// Its process.
    watcher_pid: Option<u32>,
    /// Whether it runs.
    running: bool,
}

impl Status {
    pub(crate) fn of(
        snapshot: &Snapshot,
        clock: &Clock,
        listeners: &Listeners,
        full: bool,
    ) -> Self {
        let now = length(clock.uptime());
        Self {
            pid: std::process::id(),
            uptime: uptime(snapshot, clock),
            memory: Memory::of_this_process(),
            state: "running",
            status: "working",
            num_vms: snapshot.vms.len(),
            cur_date: IsoTime(Timestamp::now()),
            cur_time: now.clone(),
            queue: Queue::of(snapshot, clock, now),
            last_refresh: (),
            refresh_errors: [],
            events_listeners: listeners.shown(clock),
            refresh_log: full.then_some([]),
            fswatcher: full.then(FileWatcher::none),
        }
    }
}

/// Of the daemon where that is known, else of the door, which is little younger.
fn uptime(snapshot: &Snapshot, clock: &Clock) -> u64 {
    let of_the_daemon = snapshot.host.started.map(|started| clock.ago_by_date(started));
    of_the_daemon.unwrap_or_else(|| clock.uptime()).as_secs()
}

impl Memory {
    fn of_this_process() -> Self {
        // Absent only where there is no /proc, and then nothing else works either.
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            kibibytes.map_or(0, |count: u64| count << 10)
        };
        Self { rss: field("VmRSS:"), heap_total: field("VmData:"), heap_used: field("RssAnon:") }
    }
}

impl Queue {
    fn of(snapshot: &Snapshot, clock: &Clock, now: String) -> Self {
        let tasks = snapshot.tasks.values();
        let in_state = |state| move |task: &&Task| task.state == state;
        let all: Vec<&Task> = tasks.map(|record| &**record.value()).collect();
        let pending: BTreeMap<_, _> = all
            .iter()
            .copied()
            .filter(in_state(TaskState::Running))
            .map(|task| (task.id.to_string(), PendingTask::of(task, clock)))
            .collect();
        let queued: Vec<_> = all
            .iter()
            .copied()
            .filter(in_state(TaskState::Queued))
            .map(|task| QueuedTask::of(task, clock))
            .collect();
        Self {
            now,
            paused: false,
            idle: pending.is_empty() && queued.is_empty(),
            vasync_queue: Tasks {
                concurrency: snapshot.vms.len().max(1),
                npending: pending.len(),
                nqueued: queued.len(),
                pending,
                queued,
            },
        }
    }
}

fn description(task: &Task) -> String {
    format!("{}: {}", task.operation, task.subject)
}

impl PendingTask {
    fn of(task: &Task, clock: &Clock) -> Self {
        let started = task.started.unwrap_or(task.created);
        let (created_ago, started_ago) =
            (clock.ago_by_date(task.created), clock.ago_by_date(started));
        Self {
            description: description(task),
            created_at: clock.at_by_date(task.created),
            started_at: clock.at_by_date(started),
            created_ago: length(created_ago),
            started_ago: length(started_ago),
            start_latency: length(created_ago.saturating_sub(started_ago)),
        }
    }
}

impl QueuedTask {
    fn of(task: &Task, clock: &Clock) -> Self {
        Self {
            description: description(task),
            created_at: clock.at_by_date(task.created),
            created_ago: length(clock.ago_by_date(task.created)),
        }
    }
}

impl FileWatcher {
    fn none() -> Self {
        Self {
            message_delays: ["1", "10", "100", "1000"].map(|delay| (delay.into(), 0)).into(),
            watching: [],
            not_yet_watching: [],
            pending_actions: BTreeMap::new(),
            watcher_pid: None,
            running: false,
        }
    }
}
