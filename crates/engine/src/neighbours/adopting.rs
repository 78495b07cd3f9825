//! Adopting a VM of another manager's: a record, and nothing more. Its machine stays as it is, and its
//! manager's.

use crate::{
    accept::{preparing::Prepared, work::Work},
    engine::Engine,
    plan::{self, Plan, steps::Share},
};
use innkeeper_model::{
    Assigned, Code, MachineState, Managed, Refusal, Revision, Spec, Timestamp, Vm, VmConfig, VmId,
    VmName, Want,
    config::{Autostart, MAX_DESCRIPTION},
};
use innkeeper_view::Lookup;
use std::sync::Arc;

impl Engine {
    /// Has a VM of another manager's driven by Innkeeper from now on.
    pub(crate) fn prepare_adopt_managed(
        &self,
        vm: VmId,
        name: Option<VmName>,
    ) -> Result<Prepared, Refusal> {
        let record = self.vm(vm)?;
        let managed = to_adopt(&record)?;
        let named = name.is_some();
        let spec = record_of(&record, managed, name);
        let (project, name) = (&spec.config.project, &spec.config.name);
        let snapshot = self.view().snapshot();
        let reservation = (named && *name != record.name)
            .then(|| {
                let name = (project.clone(), name.clone());
                self.shared.reservations.for_name(&snapshot, name)
            })
            .transpose()?;
        if let Lookup::Ambiguous(_) = snapshot.find_vm(name.as_str(), Some(project))
            && !named
        {
            let message = format!("there is another VM named {name} in project {project}");
            return Err(Refusal::new(Code::NameTaken, message)
                .at("name")
                .with_hint("give it --name"));
        }
        let work = Work::AdoptManaged { spec: Arc::new(spec) };
        Ok(Prepared { reservation, ..Prepared::of(work) })
    }

    /// Plans it, if nobody else was faster.
    pub(crate) fn plan_adopt_managed(&self, spec: &Arc<Spec>) -> Result<Plan, Refusal> {
        to_adopt(&*self.vm(spec.id)?)?;
        Ok(plan::adopt_managed(spec.clone()))
    }

    /// Has the accounts say what the machine of an adopted VM takes: whoever started or ended it.
    pub(crate) fn settle_share(&self, vm: &Vm) {
        let accountant = &self.shared.performer.hands.accountant;
        if self.is_busy(vm.id) {
            // It is looked at again when that has ended.
            return;
        }
        match &vm.managed {
            Some(managed) if vm.spec.is_some() && vm.is_on() => {
                let share = Share { cpus: managed.machine.cpus, memory: managed.machine.memory };
                accountant.found(vm.id, &vm.project, share);
            }
            _ => accountant.release(vm.id),
        }
    }
}

/// What its manager says of a VM that can be adopted.
fn to_adopt(vm: &Vm) -> Result<&Managed, Refusal> {
    let name = &vm.name;
    let refuse =
        |why: String| Refusal::new(Code::WrongState, format!("cannot adopt VM {name}: {why}"));
    match (&vm.managed, &vm.spec) {
        (Some(managed), None) if vm.is_foreign() => match &managed.lost {
            None => Ok(managed),
            Some(reason) => Err(refuse(format!("{} cannot be asked: {reason}", managed.by))
                .with_hint("try again when it is back")),
        },
        (_, Some(spec)) if spec.driver.is_some() => Err(refuse("it was adopted already".into())),
        (_, Some(_)) => Err(refuse("it is Innkeeper's own".into())),
        (_, None) => Err(refuse(format!("it is {}", vm.state))),
    }
}

/// What is stored of it: whose it is, and what its manager says of it now, for whoever cannot ask. No
/// machine is ever made of this.
fn record_of(vm: &Vm, managed: &Managed, name: Option<VmName>) -> Spec {
    let now = Timestamp::now();
    let title = managed.machine.title.clone().filter(|title| title.len() <= MAX_DESCRIPTION);
    let config = VmConfig {
        project: vm.project.clone(),
        description: title.unwrap_or_default(),
        cpus: managed.machine.cpus,
        memory: managed.machine.memory,
        agent: false,
        autostart: Autostart::Never,
        ..VmConfig::new(name.unwrap_or_else(|| vm.name.clone()))
    };
    let want = match vm.facts.machine {
        MachineState::Absent | MachineState::Ended => Want::Stopped,
        MachineState::Paused => Want::Paused,
        MachineState::Created | MachineState::Running | MachineState::Unresponsive => Want::Running,
    };
    Spec {
        id: vm.id,
        revision: Revision(1),
        created: now,
        updated: now,
        want,
        draft: false,
        driver: Some(managed.by.clone()),
        config,
        assigned: Assigned::default(),
    }
}
