//! Quotas: what the files of one VM may take of the host's disk.
//!
//! No file system is asked to hold them: a pool may be on any. What would take more than there is room for
//! is refused before it begins: a suspend whose memory would not fit, a smaller quota than what is taken, and
//! the start of a VM that is over its quota. What a running guest writes is looked at every second, and a VM
//! that is over its quota is paused, so that it can be over by no more than its guest writes in that time.
//! Nothing is deleted, and a paused guest loses nothing: it goes on when its quota has been raised.

use crate::{
    accept::{
        legality::MachineVerb,
        request::{Caller, PowerVerb, Request},
    },
    engine::Engine,
    perform::hands::blocking,
};
use innkeeper_model::{ByteSize, Code, MachineState, Refusal, Vm, VmConfig, VmId};
use std::time::Duration;
use tracing::warn;

/// How often the files of running VMs are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// What is said of a VM that is over its quota begins so.
const OVER: &str = "over its quota";

/// Looks for as long as the engine lives.
pub(crate) async fn run(engine: Engine) {
    loop {
        engine.hold_quotas().await;
        // Nothing tells when a file grows.
        tokio::time::sleep(EVERY).await;
    }
}

impl Engine {
    async fn hold_quotas(&self) {
        for vm in self.view().snapshot().vms.values() {
            let is_said = vm.problem.as_ref().is_some_and(|problem| problem.starts_with(OVER));
            let runs = vm.facts.machine == MachineState::Running;
            let is_held = runs && quota(vm).is_some();
            if (is_held || is_said) && !self.is_busy(vm.id) {
                self.hold_quota(vm, runs, is_said).await;
            }
        }
    }

    async fn hold_quota(&self, vm: &Vm, runs: bool, is_said: bool) {
        let id = vm.id;
        let over = match (quota(vm), self.taken(id).await) {
            (Some(quota), Ok(taken)) => (taken > quota).then_some((taken, quota)),
            (None, Ok(_)) => None,
            (_, Err(error)) => return warn!(vm = %id, %error, "its files cannot be looked at"),
        };
        match over {
            Some((taken, quota)) if runs => {
                let problem = format!("{OVER}: {taken} of {quota} taken, and paused for it");
                warn!(vm = %id, problem);
                let paused = self.submit_power(&Caller::innkeeper(), id, MachineVerb::Pause).await;
                let Ok(accepted) = paused else { return };
                self.wait(accepted.task, Duration::MAX).await;
                self.tell_problem(id, Some(problem));
            }
            None if is_said => self.tell_problem(id, None),
            _ => {}
        }
    }

    async fn taken(&self, vm: VmId) -> Result<ByteSize, Refusal> {
        let storage = self.shared.performer.hands.storage.clone();
        blocking(move || Ok(storage.taken(vm)?)).await
    }

    /// Refuses what would take a VM over its quota, or is done to one that is.
    ///
    /// # Errors
    /// There is not so much room.
    pub(crate) async fn check_quota_of(&self, request: &Request) -> Result<(), Refusal> {
        match request {
            Request::Power { vm, verb } => {
                let more = match verb {
                    PowerVerb::Suspend => self.memory_of(*vm),
                    PowerVerb::Start { .. } | PowerVerb::Reboot { .. } | PowerVerb::Resume => {
                        ByteSize(0)
                    }
                    PowerVerb::Stop { .. }
                    | PowerVerb::Kill
                    | PowerVerb::Reset
                    | PowerVerb::Pause => {
                        return Ok(());
                    }
                };
                self.check_quota(*vm, more).await
            }
            Request::Edit { vm, config, .. } => self.check_new_quota(*vm, config).await,
            _ => Ok(()),
        }
    }

    /// The same, for what is planned now.
    ///
    /// # Errors
    /// There is not so much room.
    pub(crate) async fn check_quota_for(&self, vm: VmId, verb: MachineVerb) -> Result<(), Refusal> {
        match verb {
            MachineVerb::Suspend => self.check_quota(vm, self.memory_of(vm)).await,
            verb if verb.makes() || verb == MachineVerb::Resume => {
                self.check_quota(vm, ByteSize(0)).await
            }
            _ => Ok(()),
        }
    }

    async fn check_quota(&self, vm: VmId, more: ByteSize) -> Result<(), Refusal> {
        // One that is not there is refused by whoever needs it.
        let Ok(record) = self.vm(vm) else { return Ok(()) };
        let Some(quota) = quota(&record) else { return Ok(()) };
        let taken = self.taken(vm).await?;
        if taken.0.saturating_add(more.0) <= quota.0 {
            return Ok(());
        }
        let needed = match more {
            ByteSize(0) => String::new(),
            more => format!(", and {more} more would be needed"),
        };
        let message = format!("{} has taken {taken} of its quota of {quota}{needed}", record.name);
        Err(refusal(message, taken, quota).with_hint("raise its quota: inn edit"))
    }

    async fn check_new_quota(&self, vm: VmId, config: &VmConfig) -> Result<(), Refusal> {
        let Some(wanted) = config.quota else { return Ok(()) };
        // One that is over already may be brought nearer to it, and edited otherwise.
        let before = self.vm(vm).ok().and_then(|record| quota(&record));
        if before.is_some_and(|before| wanted >= before) {
            return Ok(());
        }
        let taken = self.taken(vm).await?;
        if taken <= wanted {
            return Ok(());
        }
        let message = format!("a quota of {wanted} is less than what is taken: {taken}");
        Err(refusal(message, wanted, taken))
    }

    /// What its memory would take in a file.
    fn memory_of(&self, vm: VmId) -> ByteSize {
        let memory = |record: &Vm| {
            let machine = record.incarnation.as_ref().map(|machine| machine.memory);
            machine.or_else(|| Some(record.spec.as_ref()?.config.memory))
        };
        let found = self.vm(vm).ok().and_then(|record| memory(&record));
        found.map_or(ByteSize(0), |memory| memory.to_bytes())
    }
}

fn quota(vm: &Vm) -> Option<ByteSize> {
    vm.spec.as_ref()?.config.quota
}

fn refusal(message: String, value: ByteSize, limit: ByteSize) -> Refusal {
    let mut refusal = Refusal::new(Code::OutOfCapacity, message).at("quota").with_limit(limit);
    refusal.value = Some(value.to_string());
    refusal
}
