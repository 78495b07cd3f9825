//! One running machine: its process, its connection, and its facts.
//!
//! A keeper task of its own keeps the facts; see `keeper`.

mod looks;
mod ring;

use crate::{
    console::Seated,
    facts::FactKeeper,
    guest_end,
    keeper::{Keeper, Reach},
    proc::listener,
    process::Process,
    qmp::{
        Qmp, QmpError,
        commands::{Command, SetAction},
    },
    run_folder::{AGENT_SOCKET, RunFolder, SERIAL_SOCKET},
};
use innkeeper_driver::Observer;
use innkeeper_model::{
    Code, Facts, Incarnation, MachineState, Refusal, Timestamp, VmId, diagnosis::DriverError,
};
use rustix::{fd::OwnedFd, process::Signal};
use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::UnixStream,
    sync::{OwnedMutexGuard, mpsc, oneshot, watch},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

/// How often something that QEMU does in the background is asked after, beside its events.
pub(crate) const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How long somebody who has something to tell QEMU waits for a connection to it.
const REACHED_WITHIN: Duration = Duration::from_secs(2);

/// How long a firmware that is reset may take until it has reset the machine once more, as SeaBIOS does
/// to get at its own beginning. It takes 30 ms, and more on a loaded host.
const FIRMWARE_RESETS_WITHIN: Duration = Duration::from_secs(3);

/// A machine whose process lives, or has just died.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) vm: VmId,
    pub(crate) folder: RunFolder,
    pub(crate) process: Process,
    /// Whether it is Innkeeper who ends the process.
    pub(crate) killed: AtomicBool,
    /// Changed by what is plugged in and out.
    incarnation: Mutex<Arc<Incarnation>>,
    connection: watch::Receiver<Option<Arc<Qmp>>>,
    facts: watch::Receiver<Facts>,
    /// Changes whenever something that QEMU does in the background may have come further.
    progress: watch::Receiver<()>,
    /// Who wants QEMU asked how it is, and is told when it has been.
    looks: mpsc::UnboundedSender<oneshot::Sender<()>>,
    /// Why QEMU could not be reached, the last time that it could not.
    trouble: Mutex<Option<DriverError>>,
    /// What will make the guest's reboots end the machine again.
    rearming: Mutex<Option<AbortOnDropHandle<()>>>,
    /// The one place at the serial console.
    console_seat: Arc<tokio::sync::Mutex<()>>,
    /// The one place at the channel to the guest's agent.
    agent_seat: Arc<tokio::sync::Mutex<()>>,
    /// Held while a picture of the screen is taken.
    pub(crate) screen: tokio::sync::Mutex<()>,
    /// What was taken from the serial ring and is not in its file yet. One reader at a time, since
    /// reading empties the ring.
    taken: Arc<tokio::sync::Mutex<Vec<u8>>>,
}

impl Machine {
    /// Takes charge of a process and begins to keep its facts, until the process ends or the handle
    /// is dropped. Until QEMU has said how it is, it is what `begins_as` says.
    pub(crate) fn keep(
        folder: RunFolder,
        process: Process,
        incarnation: Arc<Incarnation>,
        begins_as: MachineState,
        observer: Arc<dyn Observer>,
    ) -> (Arc<Self>, AbortOnDropHandle<()>) {
        let (connection_to, connection) = watch::channel(None);
        let keeper = FactKeeper::new(begins_as, Timestamp::now());
        let (facts_to, facts) = watch::channel(keeper.facts().clone());
        let (progress_to, progress) = watch::channel(());
        let (looks, looks_from) = mpsc::unbounded_channel();
        observer.facts(incarnation.vm, keeper.facts().clone());
        let machine = Arc::new(Self {
            vm: incarnation.vm,
            folder,
            process,
            killed: AtomicBool::new(false),
            incarnation: Mutex::new(incarnation),
            connection,
            facts,
            progress,
            looks,
            trouble: Mutex::default(),
            rearming: Mutex::default(),
            console_seat: Arc::default(),
            agent_seat: Arc::default(),
            screen: tokio::sync::Mutex::default(),
            taken: Arc::default(),
        });
        let keeper = Keeper {
            machine: machine.clone(),
            observer,
            connection: connection_to,
            facts: facts_to,
            progress: progress_to,
            looks: looks_from,
            keeper,
            reach: Reach::default(),
        };
        let keeper = AbortOnDropHandle::new(tokio::spawn(keeper.run()));
        (machine, keeper)
    }

    pub(crate) fn incarnation(&self) -> Arc<Incarnation> {
        self.record().clone()
    }

    /// Has another record from now on, which is on disk already.
    pub(crate) fn becomes(&self, record: Incarnation) -> Arc<Incarnation> {
        let record = Arc::new(record);
        *self.record() = record.clone();
        record
    }

    fn record(&self) -> std::sync::MutexGuard<'_, Arc<Incarnation>> {
        // Only a pointer is read or written under the lock.
        self.incarnation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn facts(&self) -> Facts {
        self.facts.borrow().clone()
    }

    /// Waits for facts of this kind. When the keeper is gone the process is, too, and its last facts
    /// are what there is.
    pub(crate) async fn wait_for(&self, wanted: impl FnMut(&Facts) -> bool) -> Facts {
        let mut facts = self.facts.clone();
        match facts.wait_for(wanted).await {
            Ok(found) => found.clone(),
            Err(_) => self.facts(),
        }
    }

    /// Waits until the process has ended.
    pub(crate) async fn gone(&self) {
        self.wait_for(|facts| facts.machine == MachineState::Absent).await;
    }

    /// Waits until QEMU has been reached for the first time.
    ///
    /// # Errors
    /// The process ended first; the refusal has QEMU's own words.
    pub(crate) async fn connected(&self) -> Result<(), Refusal> {
        let mut connection = self.connection.clone();
        tokio::select! {
            Ok(_) = connection.wait_for(Option::is_some) => Ok(()),
            () = self.gone() => Err(self.died()),
        }
    }

    /// What to say of a process that ended when it should not have.
    fn died(&self) -> Refusal {
        let refusal = Refusal::new(Code::HypervisorFailed, "QEMU ended before it was done");
        self.with_log(refusal).with_hint("see `inn logs --hypervisor VM`")
    }

    /// The same refusal, with QEMU's own last words.
    pub(crate) fn with_log(&self, mut refusal: Refusal) -> Refusal {
        let output = self.folder.read_own_output().unwrap_or_default();
        let mut last: Vec<_> = output.lines().rev().take(5).map(str::to_owned).collect();
        last.reverse();
        refusal.causes.extend(last);
        refusal
    }

    /// Sends a command over the current connection, or over the next one if that comes soon.
    ///
    /// # Errors
    /// QEMU refused, did not answer, or is not connected.
    pub(crate) async fn execute<C: Command>(&self, command: &C) -> Result<C::Answer, Refusal> {
        let answer = async { self.reached().await?.execute(command).await };
        answer.await.map_err(|error| refusal(&error))
    }

    /// The same with an open file for QEMU.
    ///
    /// # Errors
    /// As above.
    pub(crate) async fn execute_with<C: Command>(
        &self,
        command: &C,
        descriptor: OwnedFd,
    ) -> Result<C::Answer, Refusal> {
        let answer = async { self.reached().await?.execute_with(command, descriptor).await };
        answer.await.map_err(|error| refusal(&error))
    }

    /// The connection to QEMU. A daemon that has just begun is told how a machine is a moment before it
    /// can tell it anything, and who acts upon the one must not fail for want of the other.
    async fn reached(&self) -> Result<Arc<Qmp>, QmpError> {
        if !self.is_connected() {
            let _ = tokio::time::timeout(REACHED_WITHIN, self.connected()).await;
        }
        self.connection.borrow().clone().ok_or(QmpError::Closed)
    }

    /// Changes whenever something that QEMU does in the background may have come further.
    pub(crate) fn progress(&self) -> watch::Receiver<()> {
        self.progress.clone()
    }

    /// Waits until something that QEMU does in the background has come to its end: `ask` asks, and says
    /// `None` while it has not. It is asked again at QEMU's events and every [`ASK_AGAIN_AFTER`], also
    /// after QEMU did not answer: it may be waiting for a disk.
    ///
    /// # Errors
    /// What `ask` refused; QEMU ended.
    pub(crate) async fn until<T>(
        &self,
        ask: impl AsyncFn(&Self) -> Result<Option<T>, Refusal>,
    ) -> Result<T, Refusal> {
        let mut progress = self.progress.clone();
        loop {
            progress.mark_unchanged();
            match ask(self).await {
                Ok(Some(end)) => return Ok(end),
                Ok(None) => {}
                Err(_) if self.facts().machine == MachineState::Absent => return Err(self.died()),
                Err(refusal) if refusal.code == Code::Timeout => {
                    debug!(vm = %self.vm, %refusal, "QEMU is busy");
                }
                Err(refusal) => return Err(refusal),
            }
            if let Ok(Err(_)) = tokio::time::timeout(ASK_AGAIN_AFTER, progress.changed()).await {
                // The keeper is gone: nobody tells any more.
                tokio::time::sleep(ASK_AGAIN_AFTER).await;
            }
        }
    }

    /// Whether the machine ends when its guest reboots.
    pub(crate) fn ends_on_reboot(&self) -> bool {
        guest_end::ends_on_reboot(&self.incarnation().argv)
    }

    /// Lets the machine be reset in place, by the host too: QEMU takes that for a reboot.
    ///
    /// # Errors
    /// QEMU refused or did not answer.
    pub(crate) async fn let_reset(&self) -> Result<(), Refusal> {
        self.rearming().take();
        self.execute(&SetAction { reboot: "reset" }).await.map(drop)
    }

    /// Makes the guest's reboots end the machine again, once it has run for long enough that its
    /// firmware's own are over.
    pub(crate) fn end_on_reboot(self: &Arc<Self>) {
        let rearm = rearm(Arc::downgrade(self), self.facts.clone());
        *self.rearming() = Some(AbortOnDropHandle::new(tokio::spawn(rearm)));
    }

    fn rearming(&self) -> std::sync::MutexGuard<'_, Option<AbortOnDropHandle<()>>> {
        // Only a handle is put in or taken out under the lock.
        self.rearming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects to one of its sockets. That of a machine which somebody else made is at a path of theirs,
    /// and may by now be another's.
    ///
    /// # Errors
    /// Nobody listens, or another process does.
    pub(crate) async fn connect(&self, socket: &str) -> Result<UnixStream, QmpError> {
        let connected = self.folder.connect(socket).await.map_err(QmpError::Connect)?;
        let incarnation = self.incarnation();
        if incarnation.adopted && listener(&connected).ok() != incarnation.process {
            return Err(QmpError::Stranger);
        }
        Ok(connected)
    }

    /// Opens the serial console.
    ///
    /// # Errors
    /// Somebody else has it, or QEMU cannot be reached.
    pub(crate) async fn open_console(&self) -> Result<Seated, Refusal> {
        let seat = self.console_seat.clone().try_lock_owned().map_err(|_| {
            Refusal::new(Code::InUse, "the console has a viewer already")
                .with_hint("`inn logs` shows what the guest wrote without taking the console")
        })?;
        if self.incarnation().adopted && !self.folder.has(SERIAL_SOCKET) {
            let message = "the machine was adopted, and its serial line has no socket";
            return Err(Refusal::new(Code::Unsupported, message));
        }
        self.sit_down(SERIAL_SOCKET, seat, "the serial console cannot be reached").await
    }

    /// Opens the channel to the guest's agent.
    ///
    /// # Errors
    /// There is none, somebody else has it, or QEMU cannot be reached.
    pub(crate) async fn open_agent(&self) -> Result<Seated, Refusal> {
        if !self.folder.has(AGENT_SOCKET) {
            let message = "the machine has no channel to an agent in its guest";
            return Err(Refusal::new(Code::Unsupported, message)
                .at("agent")
                .with_hint("set `agent: true`, and stop and start the VM"));
        }
        let seat =
            self.agent_seat.clone().try_lock_owned().map_err(|_| {
                Refusal::new(Code::InUse, "the channel to the guest's agent is in use")
            })?;
        self.sit_down(AGENT_SOCKET, seat, "the channel to the guest's agent cannot be reached")
            .await
    }

    async fn sit_down(
        &self,
        socket: &str,
        seat: OwnedMutexGuard<()>,
        problem: &str,
    ) -> Result<Seated, Refusal> {
        let socket = self
            .connect(socket)
            .await
            .map_err(|error| Refusal::new(Code::HypervisorFailed, problem).caused_by(&error))?;
        Ok(Seated::new(socket, seat))
    }

    /// Notes that it is Innkeeper who ends the process.
    pub(crate) fn end_is_ours(&self) {
        self.killed.store(true, Ordering::Relaxed);
    }

    /// Ends the process at once.
    pub(crate) fn kill(&self, why: &str) {
        self.end_is_ours();
        self.process.signal(Signal::KILL, why);
    }
}

async fn rearm(machine: Weak<Machine>, mut facts: watch::Receiver<Facts>) {
    let runs = |facts: &Facts| facts.machine == MachineState::Running;
    loop {
        if facts.wait_for(runs).await.is_err() {
            return;
        }
        let held = facts.wait_for(|facts| !runs(facts));
        if tokio::time::timeout(FIRMWARE_RESETS_WITHIN, held).await.is_err() {
            break;
        }
    }
    let Some(machine) = machine.upgrade() else { return };
    if let Err(error) = machine.execute(&SetAction { reboot: "shutdown" }).await {
        // Asked for again at the next connection; until then a reboot is a reset in place.
        warn!(vm = %machine.vm, %error, "a reboot of the guest does not end the machine");
    }
}

fn refusal(error: &QmpError) -> Refusal {
    let code = match error {
        QmpError::Timeout(_) => Code::Timeout,
        _ => Code::HypervisorFailed,
    };
    let refusal = Refusal::new(code, error.to_string()).caused_by(error);
    refusal.with_hint("if the VM does not answer, `inn kill VM` ends it")
}
