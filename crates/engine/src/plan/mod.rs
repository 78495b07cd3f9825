//! Plans: what an operation comes to, as data. Pure: a plan depends on its context only, and nothing
//! happens until it is performed.
//!
//! One file an operation, with its variants: delete with letting go of a VM that stays another manager's,
//! adopt of a machine and of a managed one. The operations on images, on networks and on NICs have one file a
//! resource, since each is the same one or two steps. What an operation is planned from, and what a plan says
//! besides its steps, stands here.

mod adopt;
mod clone;
mod create;
mod delete;
mod edit;
mod files;
mod images;
mod import;
mod kill;
mod networks;
mod nics;
mod pause;
mod preserve;
mod put_away;
mod reboot;
mod reset;
mod restore;
mod resume;
mod start;
pub(crate) mod steps;
mod stop;
mod suspend;

pub(crate) use adopt::{adopt, adopt_managed};
pub(crate) use clone::clone;
pub(crate) use create::create;
pub(crate) use delete::{delete, let_go};
pub(crate) use edit::edit;
pub(crate) use files::machine_files;
pub(crate) use images::{add_image, remove_image};
pub(crate) use import::import;
pub(crate) use kill::kill;
pub(crate) use networks::change_network;
pub(crate) use nics::change_nic;
pub(crate) use pause::pause;
pub(crate) use preserve::preserve;
pub(crate) use put_away::put_away;
pub(crate) use reboot::reboot;
pub(crate) use reset::reset;
pub(crate) use restore::restore;
pub(crate) use resume::resume;
pub(crate) use start::start;
pub(crate) use stop::stop;
pub(crate) use suspend::suspend;

use crate::plan::steps::{OwnStep, PlanStep, Share};
use innkeeper_driver::{Crash, Driver, Flow, Launch, Operation, PlanContext, Step};
use innkeeper_hooks::HookEvent;
use innkeeper_model::{
    EndReason, Facts, Incarnation, MachineFiles, MachineState, Managed, MemoryImage, Refusal, Spec,
    Want,
    host::Hypervisor,
    network::Plug,
    task::{PlannedOperation, PlannedStep},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

/// Which way an operation goes when a daemon finds it half done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AfterCrash {
    /// It is finished.
    Forward,
    /// It is undone, unless it had passed its point of no return.
    Back,
}

impl AfterCrash {
    const fn word(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Back => "back",
        }
    }
}

const fn crash_word(crash: Crash) -> &'static str {
    match crash {
        Crash::Probe => "probe",
        Crash::Repeat => "repeat",
        Crash::Once => "once",
    }
}

/// What an operation comes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The steps, in order.
    pub(crate) flow: Vec<Flow<PlanStep>>,
    /// Which way it goes after a crash.
    pub(crate) after_crash: AfterCrash,
    /// The part of the flow from whose beginning on there is no way back: it cannot be cancelled then,
    /// and what fails is owed and tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) no_return: Option<usize>,
    /// Whether it goes on where nothing can be written down, because facts alone tell how far it is.
    #[serde(default)]
    pub(crate) converges: bool,
}

impl Plan {
    fn new(after_crash: AfterCrash) -> Self {
        Self { flow: Vec::new(), after_crash, no_return: None, converges: false }
    }

    fn own(&mut self, step: OwnStep) {
        self.flow.push(Flow::Step(PlanStep::Own(step)));
    }

    /// Adds steps whose order does not matter; one alone needs no group.
    fn together(&mut self, name: &str, steps: impl Iterator<Item = OwnStep>) {
        let mut steps: Vec<PlanStep> = steps.map(PlanStep::Own).collect();
        match steps.len() {
            0 => {}
            1 => self.flow.extend(steps.pop().map(Flow::Step)),
            _ => self.flow.push(Flow::Together { name: name.into(), steps }),
        }
    }

    fn driver(&mut self, flow: Vec<Flow<Step>>) {
        self.flow.extend(flow.into_iter().map(|part| part.map(PlanStep::Driver)));
    }

    /// From the next part on there is no way back.
    fn no_way_back(&mut self) {
        self.no_return = Some(self.flow.len());
    }

    /// Every step with its path and the part that it is in, in the order in which they are written.
    pub(crate) fn steps(&self) -> impl Iterator<Item = PlacedStep<'_>> {
        let parts = self.flow.iter().enumerate();
        parts.flat_map(|(part, flow)| {
            let group = match flow {
                Flow::Step(_) => None,
                Flow::Together { name, .. } => Some(name.as_str()),
            };
            flow.steps().iter().map(move |step| PlacedStep { part, group, step })
        })
    }

    /// The plan as people see it.
    pub(crate) fn printed(&self, operation: &str) -> PlannedOperation {
        let step = |(placed, path): (PlacedStep<'_>, String)| PlannedStep {
            path,
            part: u32::try_from(placed.part).unwrap_or(u32::MAX),
            crash: crash_word(placed.step.crash()).into(),
            way_back: self.no_return.is_none_or(|no_return| placed.part < no_return),
        };
        PlannedOperation {
            operation: operation.into(),
            after_crash: self.after_crash.word().into(),
            steps: self.steps().zip(self.paths()).map(step).collect(),
        }
    }

    /// The path of each step: unique in its plan, and the same whichever way a group's steps happen
    /// to run.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let unique = |placed: PlacedStep<'_>| {
            let name = placed.step.name();
            let path = placed.group.map_or(name.clone(), |group| format!("{group}/{name}"));
            let again = (2..).map(|nth| format!("{path}#{nth}"));
            let mut paths = std::iter::once(path.clone()).chain(again);
            paths.find(|path| seen.insert(path.clone())).unwrap_or(path)
        };
        self.steps().map(unique).collect()
    }
}

/// A step and where it stands in its plan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlacedStep<'a> {
    pub(crate) part: usize,
    pub(crate) group: Option<&'a str>,
    pub(crate) step: &'a PlanStep,
}

/// What a plan for one VM depends on.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) hypervisor: Arc<Hypervisor>,
    pub(crate) spec: Arc<Spec>,
    pub(crate) incarnation: Option<Arc<Incarnation>>,
    /// What another manager says of the VM, where it has its machine.
    pub(crate) managed: Option<Arc<Managed>>,
    pub(crate) facts: Facts,
    pub(crate) files: MachineFiles,
    /// The connections that the VM's NICs have to networks, those of kept memory included.
    pub(crate) plugs: Vec<Plug>,
    pub(crate) launch: Launch,
    /// The memory that is kept of the VM's last machine.
    pub(crate) memory: Option<Arc<MemoryImage>>,
    /// Why what is kept of it cannot be read, where it cannot.
    pub(crate) memory_problem: Option<Refusal>,
    /// Where it is, or would be.
    pub(crate) memory_file: PathBuf,
    /// Where a dump of its guest's memory goes.
    pub(crate) dump_file: PathBuf,
    /// The events that the operator has executables for.
    pub(crate) hooks: BTreeSet<HookEvent>,
}

impl Context {
    /// The driver's part of an operation.
    fn driver_flow(&self, operation: Operation) -> Result<Vec<Flow<Step>>, Refusal> {
        let context = PlanContext {
            spec: &self.spec,
            incarnation: self.incarnation.as_deref(),
            facts: &self.facts,
            files: &self.files,
            plugs: &self.plugs,
            hypervisor: &self.hypervisor,
            launch: &self.launch,
            managed: self.managed.as_ref().map(|managed| &managed.machine),
        };
        self.driver.plan(&operation, &context)
    }

    /// Whether there is something to put away: a process, or the record of one.
    fn has_remains(&self) -> bool {
        self.facts.machine != MachineState::Absent || self.incarnation.is_some()
    }

    /// Whether the last machine ended as nobody wanted, and is not put away yet.
    fn has_crashed(&self) -> bool {
        let crash = matches!(
            self.facts.last_end,
            Some(EndReason::GuestPanic | EndReason::HypervisorDied { .. })
        );
        crash && self.has_remains()
    }

    /// What a machine that is made from the spec takes of its host.
    fn reserve(&self) -> OwnStep {
        let config = &self.spec.config;
        self.reserve_share(Share { cpus: config.cpus, memory: config.memory })
    }

    /// What a machine takes that is made once more, whatever the spec says by now.
    fn reserve_for(&self, machine: &Incarnation) -> OwnStep {
        self.reserve_share(Share::of(machine))
    }

    fn reserve_share(&self, share: Share) -> OwnStep {
        let project = self.spec.config.project.clone();
        OwnStep::Reserve { vm: self.spec.id, project, share }
    }

    fn release(&self) -> OwnStep {
        OwnStep::Release { vm: self.spec.id }
    }

    fn set_want(&self, want: Want) -> OwnStep {
        OwnStep::SetWant { vm: self.spec.id, want, before: self.spec.want }
    }

    /// The note of what was done, where the deed counts: a guest can be stopped, killed and paused on
    /// a host whose disk is full.
    fn note_want(&self, want: Want) -> OwnStep {
        OwnStep::NoteWant { vm: self.spec.id, want, before: self.spec.want }
    }

    /// Runs the operator's executables for an event, if there are any.
    fn hook(&self, plan: &mut Plan, event: HookEvent, reason: &str) {
        if self.hooks.contains(&event) {
            plan.own(OwnStep::Hook { vm: self.spec.id, event, reason: reason.into() });
        }
    }
}

#[cfg(test)]
mod tests;
