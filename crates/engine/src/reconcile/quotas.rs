//! Quotas: what the files of one VM may take of the host's disk.
//!
//! No file system is asked to hold them: a pool may be on any. What would take more than there is room for
//! is refused before it begins: a suspend whose memory would not fit, a smaller quota than what is taken, and
//! the start of a VM that is over its quota. What a running guest writes is looked at every second, and a VM
//! that is over its quota is paused, past whatever waits for its guest, so that it can be over by no more than its
//! guest writes in that time.
//! Nothing is deleted, and a paused guest loses nothing: it goes on when its quota has been raised.

use crate::{
    accept::{
        legality::{MachineVerb, Operation},
        request::{Caller, PowerVerb, Request},
    },
    engine::Engine,
    perform::hands::blocking,
    turn::live::LiveTask,
};
use innkeeper_model::{ByteSize, Code, MachineState, Refusal, Task, TaskState, Vm, VmConfig, VmId};
use std::{collections::HashMap, time::Duration};
use tokio::task::{AbortHandle, JoinSet};
use tracing::warn;

/// How often the files of running VMs are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// What is said of a VM that is over its quota begins so.
const OVER: &str = "over its quota";

/// Looks for as long as the engine lives. A VM whose files, or whose hypervisor, take long to answer delays no other.
pub(crate) async fn run(engine: Engine) {
    let mut looks = JoinSet::new();
    let mut looked_at = HashMap::new();
    loop {
        while looks.try_join_next().is_some() {}
        looked_at.retain(|_, look: &mut AbortHandle| !look.is_finished());
        for vm in engine.view().snapshot().vms.values() {
            if (is_held(vm) || is_said(vm)) && !looked_at.contains_key(&vm.id) {
                let (engine, id) = (engine.clone(), vm.id);
                looked_at.insert(id, looks.spawn(async move { engine.hold_quota(id).await }));
            }
        }
        // Nothing tells when a file grows.
        tokio::time::sleep(EVERY).await;
    }
}

/// Whether its guest can write, and may not write all it likes.
fn is_held(vm: &Vm) -> bool {
    vm.facts.machine == MachineState::Running && quota(vm).is_some()
}

/// Whether it is said to be over its quota.
fn is_said(vm: &Vm) -> bool {
    vm.problem.as_ref().is_some_and(|problem| problem.starts_with(OVER))
}

impl Engine {
    async fn hold_quota(&self, id: VmId) {
        let taken = self.taken(id).await;
        let Ok(vm) = self.vm(id) else { return };
        let over = match (quota(&vm), taken) {
            (Some(quota), Ok(taken)) => (taken > quota).then_some((taken, quota)),
            (None, Ok(_)) => None,
            (_, Err(error)) => return warn!(vm = %id, %error, "its files cannot be looked at"),
        };
        match over {
            // Of one that is interrupted nobody knows how far it is, and a person has to decide.
            Some((taken, quota)) if is_held(&vm) && vm.interrupted.is_none() => {
                let problem = format!("{OVER}: {taken} of {quota} taken");
                warn!(vm = %id, problem);
                self.pause_for(id, problem).await;
            }
            None if is_said(&vm) && !self.is_busy(id) => self.tell_problem(id, None),
            _ => {}
        }
    }

    /// Pauses it, whatever is being done to it: its owner may have asked for what waits for its guest, for as long as
    /// that likes.
    async fn pause_for(&self, vm: VmId, problem: String) {
        if self.shared.live.of_vm(vm).iter().any(|task| holds_or_ends(task)) {
            return;
        }
        let paused = self.submit_ahead(&Caller::innkeeper(), vm, MachineVerb::Pause).await;
        let Ok(accepted) = paused else { return };
        match self.wait(accepted.task, Duration::MAX).await {
            Some(Task { state: TaskState::Done, .. }) => {
                self.tell_problem(vm, Some(format!("{problem}, and paused for it")));
            }
            _ if self.vm(vm).is_ok_and(|vm| is_held(&vm)) => {
                self.tell_problem(vm, Some(format!("{problem}, and it could not be paused")));
            }
            // Its machine has ended meanwhile.
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

/// Whether a task's VM writes nothing once it has been done, however long its guest would take.
fn holds_or_ends(task: &LiveTask) -> bool {
    let Some(Operation::Machine(verb)) = task.operation else { return false };
    matches!(verb, MachineVerb::Pause | MachineVerb::Kill)
}

fn quota(vm: &Vm) -> Option<ByteSize> {
    vm.spec.as_ref()?.config.quota
}

fn refusal(message: String, value: ByteSize, limit: ByteSize) -> Refusal {
    let mut refusal = Refusal::new(Code::OutOfCapacity, message).at("quota").with_limit(limit);
    refusal.value = Some(value.to_string());
    refusal
}
