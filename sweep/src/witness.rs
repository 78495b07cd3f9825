//! The witness of a trial: notes every point that is passed, and has something happen at one.

use crate::{hooks, host::Host};
use async_trait::async_trait;
use innkeeper_engine::{Caller, Engine, Point, Site, Witness};
use innkeeper_model::{Code, Refusal, TaskId, VmId};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fmt,
    path::PathBuf,
    str::FromStr,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// What happens at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Blow {
    /// The task is cancelled.
    Cancel,
    /// The step fails.
    Fail,
    /// The step fails, and so does what undoes it and what came before it.
    UndoFail,
    /// The daemon ends by SIGKILL.
    KillDaemon,
    /// The hypervisor does.
    KillHypervisor,
}

impl Blow {
    pub(crate) const ALL: [Self; 5] =
        [Self::Cancel, Self::Fail, Self::UndoFail, Self::KillDaemon, Self::KillHypervisor];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Fail => "fail",
            Self::UndoFail => "undo-fail",
            Self::KillDaemon => "kill-daemon",
            Self::KillHypervisor => "kill-hypervisor",
        }
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Blow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|blow| blow.name() == text).ok_or_else(|| text.into())
    }
}

/// A point that was passed, and what could have happened there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Passed {
    pub(crate) point: String,
    pub(crate) site: Site,
    /// Whether its step says that it waits.
    pub(crate) waits: bool,
    /// Whether the task could still be cancelled.
    pub(crate) way_back: bool,
    /// Whether the VM had a hypervisor that could be killed.
    pub(crate) hypervisor: bool,
}

/// The witness.
pub(crate) struct Trap {
    host: Arc<Host>,
    /// The trial's folder.
    folder: PathBuf,
    engine: OnceLock<Engine>,
    armed: AtomicBool,
    at: Option<(String, Blow)>,
    sprung: AtomicBool,
    /// Whether a hypervisor dies as soon as there is one.
    awaits: Arc<AtomicBool>,
    undo_fails: AtomicBool,
    passed: Mutex<Vec<Passed>>,
    /// The steps that have begun, of which task.
    begun: Mutex<BTreeSet<(TaskId, String)>>,
    /// The task that the blow fell on.
    struck: OnceLock<TaskId>,
    /// When the cancel was accepted.
    cancelled: OnceLock<Instant>,
}

impl Trap {
    pub(crate) fn new(host: Arc<Host>, folder: PathBuf, at: Option<(String, Blow)>) -> Arc<Self> {
        Arc::new(Self {
            host,
            folder,
            engine: OnceLock::new(),
            armed: AtomicBool::new(false),
            at,
            sprung: AtomicBool::new(false),
            awaits: Arc::default(),
            undo_fails: AtomicBool::new(false),
            passed: Mutex::default(),
            begun: Mutex::default(),
            struck: OnceLock::new(),
            cancelled: OnceLock::new(),
        })
    }

    /// From here on points count.
    pub(crate) fn arm(&self, engine: &Engine) {
        let _ = self.engine.set(engine.clone());
        self.armed.store(true, Ordering::SeqCst);
    }

    /// From here on they do not, and nothing fails any more.
    pub(crate) fn disarm(&self) {
        self.armed.store(false, Ordering::SeqCst);
        self.awaits.store(false, Ordering::SeqCst);
        self.undo_fails.store(false, Ordering::SeqCst);
    }

    pub(crate) fn was_sprung(&self) -> bool {
        self.sprung.load(Ordering::SeqCst)
    }

    /// How long ago a cancel was accepted, if one was.
    pub(crate) fn since_cancel(&self) -> Option<Duration> {
        self.cancelled.get().map(Instant::elapsed)
    }

    pub(crate) fn passed(&self) -> Vec<Passed> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The steps that had begun of the task that the blow fell on.
    pub(crate) fn begun(&self) -> Vec<(TaskId, String)> {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.iter().filter(|(task, _)| self.struck.get() == Some(task)).cloned().collect()
    }

    fn note_begun(&self, point: &Point) {
        if matches!(point.site, Site::InWait | Site::AfterAct) {
            let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
            begun.insert((point.task, point.path.clone()));
        }
    }

    fn has_hypervisor(&self, vm: Option<VmId>) -> bool {
        vm.is_some_and(|vm| self.host.has_hypervisor(vm))
    }

    fn note(&self, point: &Point) {
        let engine = self.engine.get();
        let diagnosis = engine.map(Engine::diagnose);
        let task = diagnosis.iter().flat_map(|all| &all.tasks).find(|task| task.id == point.task);
        let passed = Passed {
            point: point.to_string(),
            site: point.site,
            waits: point.waits,
            way_back: task.is_some_and(|task| task.cancellable),
            hypervisor: self.has_hypervisor(point.vm),
        };
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).push(passed);
    }
}

fn as_wanted() -> Refusal {
    Refusal::new(Code::Internal, "as the sweep wants it")
}

impl Trap {
    /// Has happen what is to at this point.
    async fn strike(&self, point: &Point) -> Result<(), Refusal> {
        if !self.armed.load(Ordering::SeqCst) {
            return Ok(());
        }
        let Some((at, blow)) = &self.at else {
            self.note(point);
            return Ok(());
        };
        self.note_begun(point);
        self.awaits.store(false, Ordering::SeqCst);
        if *at != point.to_string() || self.sprung.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let _ = self.struck.set(point.task);
        match blow {
            Blow::Cancel => {
                let caller = Caller { name: "sweep".into(), ..Caller::default() };
                if let Some(engine) = self.engine.get() {
                    engine.cancel(&caller, point.task).await?;
                    let _ = self.cancelled.set(Instant::now());
                }
                Ok(())
            }
            Blow::Fail => Err(as_wanted()),
            Blow::UndoFail => {
                self.undo_fails.store(true, Ordering::SeqCst);
                Err(as_wanted())
            }
            Blow::KillDaemon => {
                let me = rustix::process::getpid();
                let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
                // It is dead before this; nothing may happen after the point.
                std::future::pending().await
            }
            Blow::KillHypervisor => {
                if let Some(vm) = point.vm
                    && !self.host.kill_hypervisor(vm)
                    && point.site == Site::InWait
                {
                    self.kill_coming_hypervisor(vm);
                }
                Ok(())
            }
        }
    }

    /// Has a hypervisor die that a step is about to make, while it comes up: the point in the step's wait is
    /// passed before there is one. By the next point there is one, or never was.
    fn kill_coming_hypervisor(&self, vm: VmId) {
        self.awaits.store(true, Ordering::SeqCst);
        let (host, awaits) = (self.host.clone(), self.awaits.clone());
        tokio::spawn(async move {
            while awaits.load(Ordering::SeqCst) && !host.kill_hypervisor(vm) {
                // Nobody tells of a process that begins.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }

    /// Whether this is where a cancel was to fall.
    fn cancels_at(&self, point: &Point) -> bool {
        let at = self.at.as_ref();
        at.is_some_and(|(at, blow)| *blow == Blow::Cancel && *at == point.to_string())
    }
}

#[async_trait]
impl Witness for Trap {
    async fn passes(&self, point: &Point) -> Result<(), Refusal> {
        self.strike(point).await?;
        // One that was cancelled is ended in its midst, or the cancel has not reached it.
        if !self.cancels_at(point) {
            hooks::let_go(&self.folder, point);
        }
        Ok(())
    }

    async fn undoes(&self, _: &Point) -> Result<(), Refusal> {
        if self.undo_fails.load(Ordering::SeqCst) { Err(as_wanted()) } else { Ok(()) }
    }
}
