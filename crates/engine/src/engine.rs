//! The engine's face: who waits for a task, who cancels one, who reads a log.
//!
//! How it begins is in `opening`, how requests come in in `submit`, how their turn is done in `turn`,
//! and who looks into a machine in `sessions`.

use crate::{
    accept::{request::Caller, reservations::Reservations},
    begin::taking_up::Interrupted,
    diagnose::diagnosis::Interventions,
    journal::{
        Recorder,
        history::History,
        notes::Notes,
        unreadable::{LeftAlone, Unreadable},
    },
    perform::Performer,
    projects::Projects,
    reconcile::{
        LeftOff, by_hand::Displaced, guarding, marks::Marks, noticed::Noticed, owed::Owing,
    },
    sessions::{Agents, Consoles, Sessions},
    turn::{
        live::{AtEnd, Live},
        queues::Queues,
    },
};
use innkeeper_driver::Neighbour;
use innkeeper_model::{Code, Refusal, Statistics, Task, TaskId, Vm, VmId, host::Hypervisor};
use innkeeper_network::UidRange;
use innkeeper_view::{Record, Update, View};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The engine. Clones are one engine.
#[derive(Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) view: View,
    pub(crate) performer: Performer,
    /// The other managers of machines on this host.
    pub(crate) neighbours: Vec<Arc<dyn Neighbour>>,
    pub(crate) noticed: Noticed,
    pub(crate) uids: Option<UidRange>,
    pub(crate) queues: Queues,
    pub(crate) live: Live,
    pub(crate) reservations: Reservations,
    pub(crate) recorder: Recorder,
    pub(crate) history: History,
    pub(crate) owing: Owing,
    pub(crate) notes: Notes,
    pub(crate) displaced: Displaced,
    pub(crate) left_off: LeftOff,
    /// VMs that an operator wants looked at.
    pub(crate) to_examine: Marks,
    pub(crate) interrupted: Interrupted,
    /// Records that cannot be made out; they stay as long as this does.
    pub(crate) unreadable: Vec<Unreadable>,
    /// What is not gone on with for that.
    pub(crate) left_alone: LeftAlone,
    pub(crate) sessions: Sessions,
    pub(crate) consoles: Consoles,
    pub(crate) agents: Agents,
    pub(crate) interventions: Interventions,
    pub(crate) projects: Projects,
    /// The host's boot.
    pub(crate) boot_id: String,
    /// Whether what ran before this daemon has been found; nothing is done to a VM before.
    pub(crate) recovered: watch::Sender<bool>,
    pub(crate) stopping: CancellationToken,
    pub(crate) autostart_parallel: usize,
}

impl Engine {
    /// The view that everything is told to.
    pub fn view(&self) -> &View {
        &self.shared.view
    }

    /// Who may take how much of this host, and has.
    pub fn projects(&self) -> &Projects {
        &self.shared.projects
    }

    /// What the hypervisor is; asks it, the first time that there is one, and tells the view.
    ///
    /// # Errors
    /// There is none that could be used.
    pub async fn hypervisor(&self) -> Result<Arc<Hypervisor>, Refusal> {
        let hypervisor = self.shared.performer.drivers.own().hypervisor().await?;
        // One that was installed after the daemon's start is found by whoever needs it first.
        if self.view().snapshot().host.hypervisor.is_none() {
            self.view().post(Update::Hypervisor(hypervisor.clone()));
        }
        Ok(hypervisor)
    }

    pub(crate) fn vm(&self, vm: VmId) -> Result<Arc<Record<Vm>>, Refusal> {
        let found = self.view().snapshot().vms.get(&vm).cloned();
        found.ok_or_else(|| Refusal::not_found("VM", vm))
    }

    /// Whether a task of this VM has not ended.
    pub(crate) fn is_busy(&self, vm: VmId) -> bool {
        self.shared.live.has_any(vm)
    }

    /// Waits until a task has ended, at most so long, and says how it is then; `None` for a task that
    /// is not known. Dropping the future changes nothing.
    pub async fn wait(&self, task: TaskId, at_most: Duration) -> Option<Task> {
        if let Some(live) = self.shared.live.get(task) {
            let _ = tokio::time::timeout(at_most, live.ended()).await;
            return Some(live.snapshot());
        }
        self.task(task).await
    }

    /// Has this called once a task has ended or is interrupted, with the task as it is then: now, if it is so;
    /// never, where the daemon ends first, or where the task is not in memory. It is called in the midst of the end,
    /// so it must neither wait nor ask for the task.
    pub fn at_end(&self, task: TaskId, call: AtEnd) {
        if let Some(live) = self.shared.live.get(task) {
            live.at_its_end(call);
        } else if let Some(ended) = self.known_task(task) {
            call(&ended);
        }
    }

    /// A task that is in memory, ended or not.
    pub(crate) fn known_task(&self, task: TaskId) -> Option<Task> {
        let live = self.shared.live.get(task).map(|live| live.snapshot());
        let viewed = || {
            let snapshot = self.view().snapshot();
            snapshot.tasks.get(&task).map(|task| task.value().as_ref().clone())
        };
        live.or_else(viewed)
    }

    /// A task, from memory or from the history; `None` for one that is not known any more.
    pub async fn task(&self, task: TaskId) -> Option<Task> {
        if let Some(live) = self.shared.live.get(task) {
            return Some(live.snapshot());
        }
        let mut found = match self.known_task(task) {
            Some(known) => known,
            // Where it settled may have been a place in an earlier daemon's view.
            None => {
                let remembered = self.shared.history.get(task).await.ok().flatten()?;
                Task { settled_at: None, ..remembered }
            }
        };
        // What is not told to have settled ended before this daemon began, or is remembered by the history
        // alone: whatever it did is in the view by now.
        if found.state.is_final() && found.settled_at.is_none() {
            found.settled_at = Some(self.view().snapshot().revision);
        }
        Some(found)
    }

    /// Asks a task to stop and undo what it did.
    ///
    /// # Errors
    /// There is no such task, it has ended, or there is no way back for it any more.
    pub async fn cancel(&self, caller: &Caller, task: TaskId) -> Result<(), Refusal> {
        if let Some(live) = self.shared.live.get(task)
            && !live.is_over()
        {
            live.try_cancel()?;
            info!(%task, caller = caller.name, "cancelled");
            return Ok(());
        }
        match self.task(task).await {
            None => Err(Refusal::not_found("task", task)),
            Some(ended) => {
                let message = format!("task {task} has ended: {:?}", ended.state);
                Err(Refusal::new(Code::WrongState, message.to_lowercase()))
            }
        }
    }

    /// Stops accepting requests, and lets go of what is being done: it is on record, and the next daemon
    /// takes it up. Machines are left as they are.
    pub async fn stop(&self) {
        self.shared.stopping.cancel();
        if let Err(error) = self.shared.performer.hands.wishes.flush().await {
            warn!(%error, "specs stay in the journal until the next start");
        }
        guarding::lift(self).await;
        self.write_last_notes().await;
        let journal = self.shared.recorder.journal().clone();
        let _ = tokio::task::spawn_blocking(move || journal.close()).await;
        self.shared.history.close().await;
    }

    /// The last of what a VM wrote to its serial console, at most 64 KiB.
    ///
    /// # Errors
    /// There is no such VM, or the host refused.
    pub async fn serial_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        self.reader_of(vm)?.serial_log(vm).await
    }

    /// The last of what a VM's hypervisor wrote, at most 64 KiB.
    ///
    /// # Errors
    /// There is no such VM, or the host refused.
    pub async fn hypervisor_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        self.reader_of(vm)?.hypervisor_log(vm).await
    }

    /// What a VM's machine has used of the host.
    ///
    /// # Errors
    /// There is no such VM, it does not run, or its driver cannot tell.
    pub async fn statistics(&self, vm: VmId) -> Result<Statistics, Refusal> {
        let record = self.vm(vm)?;
        if !record.is_on() {
            let message = format!("VM {} has no statistics: it is {}", record.name, record.state);
            return Err(Refusal::new(Code::WrongState, message).with_hint("`inn start` it first"));
        }
        self.shared.performer.drivers.of(&record)?.statistics(vm).await
    }
}

pub(crate) fn stopping() -> Refusal {
    Refusal::new(Code::ShuttingDown, "the daemon is stopping")
        .with_hint("try again when it is back")
}
