//! This driver's part of every plan, as data.

use crate::{command_line::Place, confine::Confinement, descriptors::Open, run_folder::RunFolder};
use innkeeper_driver::{Crash, Operation, PlanContext, Step, StepError};
use innkeeper_model::{Code, Incarnation, Refusal};
use serde::{Deserialize, Serialize};
use std::{path::Path, time::Duration};

/// The version of the steps' shape that this binary writes.
const SCHEMA: u32 = 1;

/// One step of this driver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QemuStep {
    /// Make the run folder and the control groups.
    Prepare {
        /// Whose folder QEMU starts in.
        uid: Option<u32>,
    },
    /// Start QEMU with the CPUs held, and reach it.
    Launch(Box<Launch>),
    /// Let the CPUs run.
    Continue,
    /// Hold them.
    Pause,
    /// Press the power button until the guest has ended.
    PowerDown {
        /// How long the guest may take, in milliseconds.
        timeout_ms: u64,
    },
    /// Press the reset button.
    Reset,
    /// End QEMU, politely where its guest has ended.
    Quit,
    /// End QEMU at once.
    Kill,
    /// Remove what belonged to the running machine, and keep its logs.
    PutAway,
}

/// What a QEMU is started with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Launch {
    pub(crate) incarnation: Incarnation,
    pub(crate) opens: Vec<Open>,
}

impl QemuStep {
    const fn name(&self) -> &'static str {
        match self {
            Self::Prepare { .. } => "qemu/prepare",
            Self::Launch(_) => "qemu/launch",
            Self::Continue => "qemu/continue",
            Self::Pause => "qemu/pause",
            Self::PowerDown { .. } => "qemu/power-down",
            Self::Reset => "qemu/reset",
            Self::Quit => "qemu/quit",
            Self::Kill => "qemu/kill",
            Self::PutAway => "qemu/put-away",
        }
    }

    const fn crash(&self) -> Crash {
        match self {
            Self::Launch(_) => Crash::Probe,
            // Nothing tells afterwards whether a machine was reset.
            Self::Reset => Crash::Once,
            _ => Crash::Repeat,
        }
    }

    /// As the engine keeps it.
    pub(crate) fn to_step(&self) -> Step {
        Step::new(self.name(), SCHEMA, self.crash(), self)
    }

    /// From how the engine keeps it.
    ///
    /// # Errors
    /// It was written by a version that this one does not know.
    pub(crate) fn from_step(step: &Step) -> Result<Self, StepError> {
        step.arguments()
    }
}

/// Plans this driver's part of an operation. Pure.
///
/// # Errors
/// Something that a start needs is not there.
pub(crate) fn plan(
    operation: &Operation,
    context: &PlanContext<'_>,
    runtime: &Path,
    boot_id: &str,
    confinement: &Confinement,
) -> Result<Vec<QemuStep>, Refusal> {
    Ok(match operation {
        Operation::Start => {
            let folder = RunFolder::of(runtime, context.spec.id);
            let cgroup = confinement.cgroups(context.spec.id).into_iter().next();
            let place = Place { run_folder: folder.path(), cgroup: cgroup.as_deref(), boot_id };
            let (incarnation, opens) = crate::command_line::build(context, place)?;
            let launch = Box::new(Launch { incarnation, opens });
            let uid = context.spec.assigned.uid;
            vec![QemuStep::Prepare { uid }, QemuStep::Launch(launch), QemuStep::Continue]
        }
        Operation::Stop { timeout } => {
            vec![
                QemuStep::PowerDown { timeout_ms: milliseconds(*timeout) },
                QemuStep::Quit,
                QemuStep::PutAway,
            ]
        }
        Operation::Kill => vec![QemuStep::Kill, QemuStep::PutAway],
        Operation::PutAway => vec![QemuStep::Quit, QemuStep::PutAway],
        Operation::Reset => vec![QemuStep::Reset],
        Operation::Pause => vec![QemuStep::Pause],
        Operation::Resume => vec![QemuStep::Continue],
        Operation::Suspend { .. }
        | Operation::Restore { .. }
        | Operation::Dump { .. }
        | Operation::Adopt { .. } => {
            return Err(Refusal::new(Code::Unsupported, "the QEMU driver cannot do this yet"));
        }
    })
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
