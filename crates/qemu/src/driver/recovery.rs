//! Finding the machines that an earlier daemon left.

use super::{QemuDriver, blocking, unreadable};
use crate::{
    process::Process,
    records::{Record, read_record},
};
use innkeeper_driver::Found;
use innkeeper_model::{EndReason, Facts, Incarnation, MachineState, Refusal, VmId};
use std::{sync::Arc, time::Duration};
use tracing::{info, warn};

/// How long a start of the daemon waits for a machine that it found to say how it is.
const RECOGNISED_WITHIN: Duration = Duration::from_secs(2);

impl QemuDriver {
    /// What a record of before comes to: a machine that runs, or one that died meanwhile. What an
    /// earlier boot of the host left is put away.
    pub(super) async fn recognise(&self, record: Record) -> Option<Found> {
        match record {
            Record::Running(process, incarnation) => {
                Some(self.recognise_running(process, *incarnation).await)
            }
            Record::Died { incarnation, ran } => {
                let vm = incarnation.vm;
                let facts = Facts {
                    last_end: ran.then_some(EndReason::HypervisorDied { status: None }),
                    ..Facts::default()
                };
                let incarnation = Arc::new(*incarnation);
                self.observer.incarnation(vm, Some(incarnation.clone()));
                self.observer.facts(vm, facts.clone());
                Some(Found { vm, incarnation, facts, ran })
            }
            Record::Remains(vm) => {
                if let Err(error) = self.put_away(vm, None).await {
                    warn!(%vm, %error, "cannot put away what is left of a machine");
                }
                None
            }
            Record::Unreadable { vm, problem } => {
                warn!(%vm, problem);
                let facts = Facts { machine: MachineState::Unresponsive, ..Facts::default() };
                self.observer.facts(vm, facts);
                self.observer.problem(vm, Some(problem));
                None
            }
        }
    }

    async fn recognise_running(&self, process: Process, incarnation: Incarnation) -> Found {
        let machine = self.watch(process, incarnation, MachineState::Unresponsive);
        // One that does not answer is found, too, as that.
        let _ = tokio::time::timeout(RECOGNISED_WITHIN, machine.connected()).await;
        let incarnation = machine.incarnation();
        info!(vm = %incarnation.vm, pid = ?incarnation.process, "found a running VM");
        let facts = machine.facts();
        let has_begun = match facts.machine {
            MachineState::Created => false,
            // One that took over a memory image is held until it is let run.
            MachineState::Paused => !crate::restore::takes_over_memory(&incarnation.argv),
            _ => true,
        };
        let ran = has_begun || self.folder(incarnation.vm).it_ran();
        Found { vm: incarnation.vm, incarnation, facts, ran }
    }

    /// Takes charge of a process that a record names and this daemon has not met.
    pub(super) async fn adopt_unknown(&self, vm: VmId) -> Result<(), Refusal> {
        let folder = self.folder(vm);
        let boot_id = self.options.boot_id.clone();
        match blocking(move || Ok(read_record(&folder, vm, &boot_id))).await? {
            Some(Record::Running(process, incarnation)) => {
                self.watch(process, *incarnation, MachineState::Unresponsive);
                Ok(())
            }
            Some(Record::Unreadable { problem, .. }) => Err(unreadable(problem)),
            _ => Ok(()),
        }
    }
}
