//! Keeps the facts of one machine: listens to its QEMU and watches its process.
//!
//! The only one that writes the machine's facts. It reconnects when the connection is lost while the
//! process lives. It never acts: what follows from a fact is the engine's to decide.
//!
//! A process that is stopped, or hangs, says nothing of it. It is looked at on the [`beat`](crate::beat),
//! and asked how it is where that looks so; the answer comes by itself once it goes on.

use crate::{
    beat,
    facts::FactKeeper,
    guest_end,
    machine::Machine,
    proc::Activity,
    qmp::{ANSWER_WITHIN, Event, Qmp, QmpError, commands::QueryStatus},
    run_folder::QMP_SOCKET,
};
use innkeeper_driver::Observer;
use innkeeper_model::{EndReason, Facts, HypervisorEvent, MachineState, Timestamp};
use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{debug, warn};

/// How long to wait before connecting again to a QEMU that hung up but lives.
const RECONNECT_AFTER: Duration = Duration::from_millis(500);

/// How often QEMU's log is kept from growing, since a guest can make QEMU complain without end; and one
/// that seems well is asked how it is, since it may go round in circles.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(60);

/// How long a QEMU that is stuck in the kernel may take to answer, as it does when its host's disk is
/// slow for a moment.
const STUCK_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// How long a QEMU that somebody wants looked at may take.
pub(crate) const LOOKED_AT_WITHIN: Duration = Duration::from_secs(2);

/// What a person is told of a machine whose socket is another's.
const STRANGER: &str = "the machine was adopted, and another process listens on its control socket now: \
                        it can be ended, and nothing else";

type Events = mpsc::UnboundedReceiver<Event>;

/// The keeper of one machine.
pub(crate) struct Keeper {
    pub(crate) machine: Arc<Machine>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) connection: watch::Sender<Option<Arc<Qmp>>>,
    pub(crate) facts: watch::Sender<Facts>,
    pub(crate) progress: watch::Sender<()>,
    pub(crate) looks: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
    pub(crate) keeper: FactKeeper,
    pub(crate) reach: Reach,
}

/// Whether its QEMU could be reached, the last time it was tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It was, or was not tried.
    #[default]
    Fine,
    /// Nobody listened.
    Nobody,
    /// Another process listened.
    Stranger,
}

impl Keeper {
    /// Keeps them until the process ends.
    pub(crate) async fn run(mut self) {
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
        let socket = self.machine.connect(QMP_SOCKET).await?;
        let (qmp, mut events) = Qmp::negotiate(socket).await?;
        // What happened while nobody listened shows in the status alone.
        let status = qmp.execute(&QueryStatus {}).await?;
        let qmp = Arc::new(qmp);
        self.reached(Reach::Fine);
        self.is_as_it_says(&status.status);
        self.connection.send_replace(Some(qmp.clone()));
        self.progress.send_replace(());
        if self.machine.ends_on_reboot() {
            // A daemon that died in a reset has left it otherwise.
            self.machine.end_on_reboot();
        }
        self.listen(&qmp, &mut events).await
    }

    /// Why the guest ended, if it has: a power-off, unless a reboot is an end, too.
    fn why_ended(&self) -> EndReason {
        if !self.machine.ends_on_reboot() {
            return EndReason::GuestShutdown;
        }
        guest_end::reason(&self.machine.folder.read_own_output().unwrap_or_default())
    }

    async fn listen(&mut self, qmp: &Qmp, events: &mut Events) -> Result<(), QmpError> {
        let mut beats = beat::beats();
        let mut count = 0;
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.take_in(event),
                    None => return Ok(()),
                },
                Some(answered) = self.looks.recv() => {
                    let status = self.ask(qmp, events, LOOKED_AT_WITHIN).await?;
                    self.is_as_it_says(&status);
                    self.observer.facts(self.machine.vm, self.keeper.facts().clone());
                    let _ = answered.send(());
                }
                _ = beats.tick() => {
                    count = (count + 1) % beat::beats_in(HOUSEKEEPING_EVERY);
                    let patience = match self.machine.process.activity() {
                        Activity::Held => Some(Duration::ZERO),
                        Activity::Stuck => Some(STUCK_ANSWERS_WITHIN),
                        Activity::Able if count == 0 => Some(ANSWER_WITHIN),
                        Activity::Able => None,
                    };
                    if let Some(patience) = patience {
                        let status = self.ask(qmp, events, patience).await?;
                        // Of what answers at once, its events have told.
                        if self.keeper.facts().machine == MachineState::Unresponsive {
                            self.is_as_it_says(&status);
                        }
                    }
                    if count == 0 {
                        self.bound_output();
                    }
                }
            }
        }
    }

    /// Asks a QEMU how it is. One that takes longer than `patience` is unresponsive until it answers.
    async fn ask(
        &mut self,
        qmp: &Qmp,
        events: &mut Events,
        patience: Duration,
    ) -> Result<String, QmpError> {
        let mut answer = std::pin::pin!(qmp.execute_patiently(&QueryStatus {}));
        let mut silent = std::pin::pin!(tokio::time::sleep(patience));
        loop {
            tokio::select! {
                biased;
                // What QEMU said before it answered comes first.
                Some(event) = events.recv() => self.take_in(event),
                status = &mut answer => return Ok(status?.status),
                () = &mut silent, if !silent.is_elapsed() => {
                    debug!(vm = %self.machine.vm, ?patience, "QEMU does not answer");
                    self.update(FactKeeper::on_silence);
                }
            }
        }
    }

    fn is_as_it_says(&mut self, status: &str) {
        let ended = self.why_ended();
        self.update(|keeper, now| keeper.on_status(status, ended, now));
    }

    fn take_in(&mut self, event: Event) {
        self.update(|keeper, now| keeper.on_event(&event, now));
        if matches!(event.name.as_str(), "MIGRATION" | "DUMP_COMPLETED" | "DEVICE_DELETED") {
            self.progress.send_replace(());
        }
        let event =
            HypervisorEvent { at: event.time.timestamp(), name: event.name, data: event.data };
        self.observer.event(self.machine.vm, event);
    }

    fn bound_output(&self) {
        if let Err(error) = self.machine.folder.bound_output() {
            debug!(vm = %self.machine.vm, %error, "cannot shorten QEMU's log");
        }
    }

    fn unreachable(&mut self, error: &QmpError) {
        debug!(vm = %self.machine.vm, %error, "QEMU is not reachable");
        if !matches!(error, QmpError::Closed) {
            self.machine.is_in_trouble(error);
        }
        match error {
            // It hangs up when it ends; one that lives and does not listen is found at the next try.
            QmpError::Closed => {}
            QmpError::Connect(_) => {
                if self.reach != Reach::Fine {
                    self.update(FactKeeper::on_silence);
                }
                self.reached(Reach::Nobody);
            }
            QmpError::Stranger => {
                self.update(FactKeeper::on_silence);
                self.reached(Reach::Stranger);
            }
            _ => {
                warn!(vm = %self.machine.vm, %error, "QEMU does not answer");
                self.update(FactKeeper::on_silence);
            }
        }
    }

    /// Notes how it could be reached. That somebody else listens is for a person to mend.
    fn reached(&mut self, reach: Reach) {
        let before = std::mem::replace(&mut self.reach, reach);
        let problem = match (before, reach) {
            (Reach::Stranger, Reach::Stranger) => return,
            (_, Reach::Stranger) => Some(STRANGER.to_owned()),
            (Reach::Stranger, _) => None,
            _ => return,
        };
        self.observer.problem(self.machine.vm, problem);
    }

    fn exited(&mut self, status: io::Result<Option<String>>) {
        let killed = self.machine.killed.load(Ordering::Relaxed);
        let status = status.unwrap_or_else(|error| {
            warn!(vm = %self.machine.vm, %error, "cannot watch QEMU's process");
            None
        });
        debug!(vm = %self.machine.vm, ?status, killed, "QEMU has ended");
        self.reached(Reach::Fine);
        self.connection.send_replace(None);
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
