//! Keeps the facts of one machine: listens to its QEMU and watches its process.
//!
//! The only one that writes the machine's facts. It reconnects when the connection is lost while the
//! process lives. It never acts: what follows from a fact is the engine's to decide.

use crate::{
    facts::FactKeeper,
    guest_end,
    machine::Machine,
    qmp::{Event, Qmp, QmpError, commands::QueryStatus},
    run_folder::QMP_SOCKET,
};
use innkeeper_driver::Observer;
use innkeeper_model::{EndReason, Facts, HypervisorEvent, Timestamp};
use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::sync::{mpsc, watch};
use tracing::{debug, warn};

/// How long to wait before connecting again to a QEMU that hung up but lives.
const RECONNECT_AFTER: Duration = Duration::from_millis(500);

/// How often QEMU's log is kept from growing: a guest can make QEMU complain without end.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(60);

/// The keeper of one machine.
pub(crate) struct Keeper {
    pub(crate) machine: Arc<Machine>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) connection: watch::Sender<Option<Arc<Qmp>>>,
    pub(crate) facts: watch::Sender<Facts>,
    pub(crate) progress: watch::Sender<()>,
    pub(crate) keeper: FactKeeper,
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
        let socket = self.machine.folder.connect(QMP_SOCKET).await.map_err(QmpError::Connect)?;
        let (qmp, mut events) = Qmp::negotiate(socket).await?;
        // What happened while nobody listened shows in the status alone.
        let status = qmp.execute(&QueryStatus {}).await?;
        let qmp = Arc::new(qmp);
        let ended = self.why_ended();
        self.update(|keeper, now| keeper.on_status(&status.status, ended, now));
        self.connection.send_replace(Some(qmp.clone()));
        self.progress.send_replace(());
        if self.machine.ends_on_reboot() {
            // A daemon that died in a reset has left it otherwise.
            self.machine.end_on_reboot();
        }
        self.listen(&mut events).await;
        Ok(())
    }

    /// Why the guest ended, if it has: a power-off, unless a reboot is an end, too.
    fn why_ended(&self) -> EndReason {
        if !self.machine.ends_on_reboot() {
            return EndReason::GuestShutdown;
        }
        let log = self.machine.folder.read_output().unwrap_or_default();
        guest_end::reason(&String::from_utf8_lossy(&log))
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
            if matches!(event.name.as_str(), "MIGRATION" | "DUMP_COMPLETED") {
                self.progress.send_replace(());
            }
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
