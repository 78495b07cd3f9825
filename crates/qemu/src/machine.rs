//! One running machine: its process, its connection, and its facts.
//!
//! A keeper task of its own listens to QEMU and watches the process; it is the only one that writes
//! the machine's facts. It reconnects when the connection is lost while the process lives. It never
//! acts: what follows from a fact is the engine's to decide.

use crate::{
    command_line::{SERIAL_RING, SERIAL_RING_ID},
    console,
    facts::FactKeeper,
    process::Process,
    qmp::{
        Event, Qmp, QmpError,
        commands::{Command, QueryStatus, RingbufRead},
    },
    run_folder::{QMP_SOCKET, RunFolder, SERIAL_SOCKET},
    serial,
};
use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use innkeeper_driver::Observer;
use innkeeper_model::{
    Code, Facts, HypervisorEvent, Incarnation, MachineState, Refusal, Timestamp, VmId,
};
use rustix::process::Signal;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::DuplexStream,
    sync::{mpsc, watch},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

/// How long to wait before connecting again to a QEMU that hung up but lives.
const RECONNECT_AFTER: Duration = Duration::from_millis(500);

/// How often QEMU's log is kept from growing: a guest can make QEMU complain without end.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(60);

/// A machine whose process lives, or has just died.
#[derive(Debug)]
pub(crate) struct Machine {
    vm: VmId,
    folder: RunFolder,
    process: Process,
    killed: AtomicBool,
    incarnation: Arc<Incarnation>,
    connection: watch::Receiver<Option<Arc<Qmp>>>,
    facts: watch::Receiver<Facts>,
    /// The one place at the serial console.
    seat: Arc<tokio::sync::Mutex<()>>,
    /// What was taken from the serial ring and is not in its file yet. One reader at a time, since
    /// reading empties the ring.
    taken: tokio::sync::Mutex<Vec<u8>>,
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
        observer.facts(incarnation.vm, keeper.facts().clone());
        let machine = Arc::new(Self {
            vm: incarnation.vm,
            folder,
            process,
            killed: AtomicBool::new(false),
            incarnation,
            connection,
            facts,
            seat: Arc::default(),
            taken: tokio::sync::Mutex::default(),
        });
        let keeper = Keeper {
            machine: machine.clone(),
            observer,
            connection: connection_to,
            facts: facts_to,
            keeper,
        };
        let keeper = AbortOnDropHandle::new(tokio::spawn(keeper.run()));
        (machine, keeper)
    }

    pub(crate) fn incarnation(&self) -> &Arc<Incarnation> {
        &self.incarnation
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
        let output = self.folder.read_output().unwrap_or_default();
        let output = String::from_utf8_lossy(&output);
        let mut refusal = Refusal::new(Code::HypervisorFailed, "QEMU ended before the VM ran");
        refusal.causes.extend(output.lines().rev().take(5).map(str::to_owned));
        refusal.causes.reverse();
        refusal.with_hint("see `inn logs --hypervisor VM`")
    }

    /// Sends a command over the current connection.
    ///
    /// # Errors
    /// QEMU refused, did not answer, or is not connected.
    pub(crate) async fn execute<C: Command>(&self, command: &C) -> Result<C::Answer, Refusal> {
        let qmp = self.connection.borrow().clone();
        let outcome = match qmp {
            Some(qmp) => qmp.execute(command).await,
            None => Err(QmpError::Closed),
        };
        outcome.map_err(|error| {
            let code = match &error {
                QmpError::Timeout(_) => Code::Timeout,
                _ => Code::HypervisorFailed,
            };
            let refusal = Refusal::new(code, error.to_string()).caused_by(&error);
            refusal.with_hint("if the VM does not answer, `inn kill VM` ends it")
        })
    }

    /// Opens the serial console.
    ///
    /// # Errors
    /// Somebody else has it, or QEMU cannot be reached.
    pub(crate) async fn open_console(&self) -> Result<DuplexStream, Refusal> {
        let seat = self.seat.clone().try_lock_owned().map_err(|_| {
            Refusal::new(Code::InUse, "the console has a viewer already")
                .with_hint("`inn logs` shows what the guest wrote without taking the console")
        })?;
        let socket = self.folder.connect(SERIAL_SOCKET).await.map_err(|error| {
            Refusal::new(Code::HypervisorFailed, "the serial console cannot be reached")
                .caused_by(&error)
        })?;
        Ok(console::open(socket, seat))
    }

    /// Ends the process at once.
    pub(crate) fn kill(&self, why: &str) {
        self.killed.store(true, Ordering::Relaxed);
        self.process.signal(Signal::KILL, why);
    }

    /// Takes what the serial ring holds and keeps it in the run folder.
    ///
    /// # Errors
    /// The host refused to keep it.
    pub(crate) async fn keep_serial(&self) -> Result<(), Refusal> {
        let mut taken = self.taken.lock().await;
        let read = RingbufRead { device: SERIAL_RING_ID, size: SERIAL_RING, format: "base64" };
        // A QEMU that does not answer has its ring still.
        if let Ok(read) = self.execute(&read).await {
            taken.extend(BASE64.decode(read).unwrap_or_default());
        }
        // Where the disk is full, what was taken waits here, as much of it as is ever shown.
        let too_many = taken.len().saturating_sub(SERIAL_RING as usize);
        taken.drain(..too_many);
        let (path, bytes) = (self.folder.serial_log(), taken.clone());
        tokio::task::spawn_blocking(move || serial::keep(&path, &bytes))
            .await
            .map_err(|error| Refusal::new(Code::Internal, error.to_string()))??;
        taken.clear();
        Ok(())
    }
}

struct Keeper {
    machine: Arc<Machine>,
    observer: Arc<dyn Observer>,
    connection: watch::Sender<Option<Arc<Qmp>>>,
    facts: watch::Sender<Facts>,
    keeper: FactKeeper,
}

impl Keeper {
    async fn run(mut self) {
        let machine = self.machine.clone();
        let mut ended = std::pin::pin!(machine.process.ended());
        loop {
            let served = tokio::select! {
                biased;
                status = &mut ended => break self.exited(status),
                served = self.serve() => served,
            };
            self.connection.send_replace(None);
            if let Err(error) = served {
                self.unreachable(&error);
            }
            tokio::select! {
                biased;
                status = &mut ended => break self.exited(status),
                () = tokio::time::sleep(RECONNECT_AFTER) => {}
            }
        }
    }

    /// Serves one connection until it is lost.
    async fn serve(&mut self) -> Result<(), QmpError> {
        let socket = self.machine.folder.connect(QMP_SOCKET).await.map_err(QmpError::Connect)?;
        let (qmp, mut events) = Qmp::negotiate(socket).await?;
        // What happened while nobody listened shows in the status alone.
        let status = qmp.execute(&QueryStatus {}).await?;
        let qmp = Arc::new(qmp);
        self.update(|keeper, now| keeper.on_status(&status.status, now));
        self.connection.send_replace(Some(qmp.clone()));
        self.listen(&mut events).await;
        Ok(())
    }

    async fn listen(&mut self, events: &mut mpsc::UnboundedReceiver<Event>) {
        let mut housekeeping = tokio::time::interval(HOUSEKEEPING_EVERY);
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                _ = housekeeping.tick() => {
                    if let Err(error) = self.machine.folder.bound_output() {
                        debug!(vm = %self.machine.vm, %error, "cannot shorten QEMU's log");
                    }
                    continue;
                }
            };
            let Some(event) = event else { return };
            self.update(|keeper, now| keeper.on_event(&event, now));
            let event =
                HypervisorEvent { at: event.time.timestamp(), name: event.name, data: event.data };
            self.observer.event(self.machine.vm, event);
        }
    }

    fn unreachable(&mut self, error: &QmpError) {
        match error {
            QmpError::Connect(_) | QmpError::Closed => {
                debug!(vm = %self.machine.vm, %error, "QEMU is not reachable");
            }
            _ => {
                warn!(vm = %self.machine.vm, %error, "QEMU does not answer");
                self.update(FactKeeper::on_silence);
            }
        }
    }

    fn exited(&mut self, status: io::Result<Option<String>>) {
        let killed = self.machine.killed.load(Ordering::Relaxed);
        let status = status.unwrap_or_else(|error| {
            warn!(vm = %self.machine.vm, %error, "cannot watch QEMU's process");
            None
        });
        debug!(vm = %self.machine.vm, ?status, killed, "QEMU has ended");
        self.update(|keeper, now| keeper.on_exit(killed, status, now));
    }

    fn update(&mut self, change: impl FnOnce(&mut FactKeeper, Timestamp)) {
        change(&mut self.keeper, Timestamp::now());
        let new = self.keeper.facts();
        if *self.facts.borrow() == *new {
            return;
        }
        // Told first, so that whoever waits for a fact and then asks the view finds it there.
        self.observer.facts(self.machine.vm, new.clone());
        self.facts.send_replace(new.clone());
    }
}
