//! Plans: what an operation comes to, as a list of steps. Pure: a plan depends on its context only,
//! and nothing happens until it is performed.
//!
//! One file an operation; what one is planned from stands here.

mod create;
mod delete;
mod edit;
mod files;
mod images;
mod power;

pub(crate) use create::{clone, create};
pub(crate) use delete::delete;
pub(crate) use edit::edit;
pub(crate) use files::machine_files;
pub(crate) use images::{add_image, remove_image};
pub(crate) use power::{put_away, start};

pub(crate) use power::{kill, pause, reboot, reset, resume, stop};

use crate::steps::PlanStep;
use innkeeper_driver::{Driver, Launch, Operation, PlanContext};
use innkeeper_model::{
    Facts, Incarnation, MachineFiles, MachineState, Refusal, Spec, host::Hypervisor,
};
use std::sync::Arc;

/// What a plan for one VM depends on.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) hypervisor: Arc<Hypervisor>,
    pub(crate) spec: Arc<Spec>,
    pub(crate) incarnation: Option<Arc<Incarnation>>,
    pub(crate) facts: Facts,
    pub(crate) files: MachineFiles,
    pub(crate) launch: Launch,
}

impl Context {
    /// The driver's part of an operation.
    fn driver_steps(&self, operation: Operation) -> Result<Vec<PlanStep>, Refusal> {
        let context = PlanContext {
            spec: &self.spec,
            incarnation: self.incarnation.as_deref(),
            facts: &self.facts,
            files: &self.files,
            hypervisor: &self.hypervisor,
            launch: &self.launch,
        };
        let steps = self.driver.plan(&operation, &context)?;
        Ok(steps
            .iter()
            .flat_map(innkeeper_driver::Flow::steps)
            .cloned()
            .map(PlanStep::Driver)
            .collect())
    }

    /// Whether there is something to put away: a process, or the record of one.
    fn has_remains(&self) -> bool {
        self.facts.machine != MachineState::Absent || self.incarnation.is_some()
    }
}
