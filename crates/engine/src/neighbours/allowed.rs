//! What may be asked of a VM that another manager has: one table, at the entrance.

use crate::{
    accept::request::{PowerVerb, Request},
    engine::Engine,
};
use innkeeper_driver::Driver;
use innkeeper_model::{Code, Refusal, Vm, VmId};
use std::sync::Arc;

/// What can be done to one that was adopted, in the words of the answer.
const CAN: &str = "it can be started, stopped, killed, paused and resumed, and `inn delete` gives it \
                   back to its manager as it is";

impl Request {
    /// The VM that it would change, what that is called, and whether a neighbour's driver can do it.
    const fn changes(&self) -> Option<(VmId, &'static str, bool)> {
        Some(match self {
            Self::Power { vm, verb } => (*vm, verb.name(), verb.is_for_any_driver()),
            Self::Delete { vm, .. } => (*vm, "delete", true),
            Self::Edit { vm, .. } => (*vm, "edit", false),
            Self::Clone { vm, .. } => (*vm, "clone", false),
            Self::Nic { vm, .. } => (*vm, "change the NICs of", false),
            Self::AddImage(image) => match image.vm() {
                Some(vm) => (vm, "commit", false),
                None => return None,
            },
            Self::Create { .. }
            | Self::Adopt { .. }
            | Self::AdoptManaged { .. }
            | Self::Import(_)
            | Self::Network(_)
            | Self::RemoveImage { .. } => return None,
        })
    }
}

impl PowerVerb {
    /// Whether every driver can do it, a neighbour's included.
    const fn is_for_any_driver(self) -> bool {
        match self {
            Self::Start { .. } | Self::Stop { .. } | Self::Kill | Self::Pause | Self::Resume => {
                true
            }
            Self::Reboot { .. } | Self::Reset | Self::Suspend => false,
        }
    }
}

impl Engine {
    /// Refuses what is not to be done to another manager's VM.
    ///
    /// # Errors
    /// It was not adopted; or it was, and its manager's driver cannot do this.
    pub(crate) fn check_allowed(&self, request: &Request) -> Result<(), Refusal> {
        let Some((vm, verb, any_driver)) = request.changes() else { return Ok(()) };
        // One that is not there, or not yet, is refused by whoever needs it.
        self.vm(vm).map_or(Ok(()), |record| check(&record, verb, any_driver))
    }

    /// What drives a VM's machine, for somebody who wants to do something in it.
    ///
    /// # Errors
    /// There is no such VM, or another manager has it and it was not adopted.
    pub(crate) fn driver_of(&self, vm: VmId) -> Result<Arc<dyn Driver>, Refusal> {
        let record = self.vm(vm)?;
        record.check_adopted("go into")?;
        self.shared.performer.drivers.of(&record).cloned()
    }

    /// The same, for somebody who only looks.
    ///
    /// # Errors
    /// There is no such VM.
    pub(crate) fn reader_of(&self, vm: VmId) -> Result<Arc<dyn Driver>, Refusal> {
        let record = self.vm(vm)?;
        self.shared.performer.drivers.of(&record).cloned()
    }
}

fn check(vm: &Vm, verb: &str, any_driver: bool) -> Result<(), Refusal> {
    vm.check_adopted(verb)?;
    match vm.manager() {
        Some(by) if !any_driver => {
            let name = &vm.name;
            let message = format!("cannot {verb} VM {name}: that is unsupported by driver {by}");
            Err(Refusal::new(Code::Unsupported, message).with_hint(CAN))
        }
        _ => Ok(()),
    }
}
