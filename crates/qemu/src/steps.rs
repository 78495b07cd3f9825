//! This driver's part of every plan, as data.

use crate::{
    adopt::Adopted,
    command_line,
    command_line::Place,
    confine::Confinement,
    nic::{self, NicParts},
    restore,
    run_folder::RunFolder,
    steps_v1,
};
use innkeeper_driver::{Crash, Operation, PlanContext, Step, StepError};
use innkeeper_model::{
    Code, DeviceName, Incarnation, IncarnationId, MachineState, Refusal, config::Nic, network::Plug,
};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// The version of the steps' shape that this binary writes. It reads this one and those before.
const SCHEMA: u32 = 2;

/// One step of this driver.
///
/// `of` is the machine that a step is for. A step that is done again after a crash may find a newer one
/// of the same VM, and does nothing to it. It is absent where nothing was known of the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QemuStep {
    /// Make the run folder and the control groups.
    Prepare {
        of: Option<IncarnationId>,
        /// Whose folder QEMU starts in.
        uid: Option<u32>,
        /// Whether the guest goes on, and with it the logs of the run before.
        #[serde(default)]
        goes_on: bool,
    },
    /// Start QEMU with the CPUs held, and reach it.
    Launch(Box<Incarnation>),
    /// Let the CPUs run.
    Continue {
        of: Option<IncarnationId>,
        /// Whether they go on from a memory image, which is worth nothing from then on. So it must be
        /// known whether they did.
        from_memory: bool,
    },
    /// Hold them.
    Pause {
        of: Option<IncarnationId>,
        /// Whether they ran, and run again when this is undone.
        ran: bool,
    },
    /// Write the memory of a machine that is held to a file.
    SaveMemory {
        of: Option<IncarnationId>,
        /// The file, in storage's folder.
        file: PathBuf,
    },
    /// Have a machine that was launched for it take over a memory image.
    LoadMemory {
        of: Option<IncarnationId>,
        /// The file, in storage's folder.
        file: PathBuf,
        /// The checksum of the image that is meant.
        checksum: String,
    },
    /// Write the guest's memory to a file, for a debugger.
    DumpMemory {
        of: Option<IncarnationId>,
        /// The file, in storage's folder.
        file: PathBuf,
    },
    /// Press the power button until the guest has ended.
    PowerDown {
        of: Option<IncarnationId>,
        /// How long the guest may take, in milliseconds.
        timeout_ms: u64,
    },
    /// Press the reset button.
    Reset { of: Option<IncarnationId> },
    /// End QEMU, politely where its guest has ended.
    Quit { of: Option<IncarnationId> },
    /// End QEMU at once.
    Kill { of: Option<IncarnationId> },
    /// Remove what belonged to the machine, and keep its logs.
    PutAway { of: Option<IncarnationId> },
    /// Plug a NIC in.
    PlugNic { of: Option<IncarnationId>, nic: Box<NicParts> },
    /// Take a NIC out.
    UnplugNic { of: Option<IncarnationId>, nic: Box<NicParts> },
    /// Give a plugged NIC another network, other addresses, another rate or other published ports.
    ChangePlug { of: Option<IncarnationId>, plug: Box<Plug>, before: Box<Plug> },
    /// Plug a NIC's cable in or out.
    SetLink {
        of: Option<IncarnationId>,
        nic: Box<NicParts>,
        up: bool,
        /// What it was.
        before: bool,
    },
    /// Take charge of a QEMU that somebody else started.
    Adopt(Box<Adopted>),
}

impl QemuStep {
    const fn name(&self) -> &'static str {
        match self {
            Self::Prepare { .. } => "qemu/prepare",
            Self::Launch(_) => "qemu/launch",
            Self::Continue { .. } => "qemu/continue",
            Self::Pause { .. } => "qemu/pause",
            Self::SaveMemory { .. } => "qemu/save-memory",
            Self::LoadMemory { .. } => "qemu/load-memory",
            Self::DumpMemory { .. } => "qemu/dump-memory",
            Self::PowerDown { .. } => "qemu/power-down",
            Self::Reset { .. } => "qemu/reset",
            Self::Quit { .. } => "qemu/quit",
            Self::Kill { .. } => "qemu/kill",
            Self::PutAway { .. } => "qemu/put-away",
            Self::PlugNic { .. } => "qemu/plug-nic",
            Self::UnplugNic { .. } => "qemu/unplug-nic",
            Self::ChangePlug { .. } => "qemu/change-plug",
            Self::SetLink { .. } => "qemu/set-link",
            Self::Adopt(_) => "qemu/adopt",
        }
    }

    const fn crash(&self) -> Crash {
        match self {
            Self::Launch(_) | Self::Continue { from_memory: true, .. } => Crash::Probe,
            // Nothing tells afterwards whether a machine was reset.
            Self::Reset { .. } => Crash::Once,
            _ => Crash::Repeat,
        }
    }

    /// As the engine keeps it.
    pub(crate) fn to_step(&self) -> Step {
        let step = Step::new(self.name(), SCHEMA, self.crash(), self);
        match self {
            Self::PlugNic { nic, .. } | Self::UnplugNic { nic, .. } | Self::SetLink { nic, .. } => {
                step.about(nic.name.to_string())
            }
            Self::ChangePlug { plug, .. } => step.about(plug.nic.to_string()),
            _ => step,
        }
    }

    /// From how the engine keeps it.
    ///
    /// # Errors
    /// It was written by a version that this one does not know.
    pub(crate) fn from_step(step: &Step) -> Result<Self, StepError> {
        match step.schema {
            1 => Ok(step.arguments::<steps_v1::QemuStep>()?.into()),
            SCHEMA => step.arguments(),
            newer => {
                let message = format!("step {} version {newer} is not known here", step.name);
                Err(Refusal::new(Code::Internal, message).with_limit(SCHEMA).into())
            }
        }
    }
}

/// Plans this driver's part of an operation. Pure.
///
/// # Errors
/// Something that a start needs is not there, the memory image is none that could be taken over here,
/// or the machine is one that this cannot be done to.
pub(crate) fn plan(
    operation: &Operation,
    context: &PlanContext<'_>,
    runtime: &Path,
    boot_id: &str,
    confinement: &Confinement,
) -> Result<Vec<QemuStep>, Refusal> {
    let folder = RunFolder::of(runtime, context.spec.id);
    let cgroup = confinement.cgroups(context.spec.id).into_iter().next();
    let place = Place { run_folder: folder.path(), cgroup: cgroup.as_deref(), boot_id };
    let of = context.incarnation.map(|incarnation| incarnation.id);
    Ok(match operation {
        Operation::Start => {
            // Cables are in from the start.
            let cut = context.spec.config.nics.iter().filter(|nic| !nic.connected);
            make(command_line::build(context, place)?, None, parts(cut, context)?)
        }
        Operation::Restore { image, memory } => {
            let incarnation = restore::rebuild(image, context, place)?;
            let load = QemuStep::LoadMemory {
                of: Some(incarnation.id),
                file: memory.clone(),
                checksum: image.checksum.clone(),
            };
            // Cables are as they were when it was suspended, and may be wished otherwise since.
            let nics = context.spec.config.nics.iter();
            let plugged = parts(nics.filter(|nic| nic::has(&incarnation, &nic.name)), context)?;
            make(incarnation, Some(load), plugged)
        }
        Operation::Stop { timeout } => {
            let timeout_ms = milliseconds(*timeout);
            vec![
                QemuStep::PowerDown { of, timeout_ms },
                QemuStep::Quit { of },
                QemuStep::PutAway { of },
            ]
        }
        Operation::Kill => vec![QemuStep::Kill { of }, QemuStep::PutAway { of }],
        Operation::PutAway => vec![QemuStep::Quit { of }, QemuStep::PutAway { of }],
        Operation::Reset => vec![QemuStep::Reset { of }],
        Operation::Pause => vec![pause(context)],
        Operation::Resume => vec![QemuStep::Continue { of, from_memory: false }],
        Operation::Suspend { memory } => {
            refuse_adopted(context, "its memory could not be taken over by another machine")?;
            vec![pause(context), QemuStep::SaveMemory { of, file: memory.clone() }]
        }
        Operation::PlugNic { nic } => {
            let (machine, nic) = nic_of(context, nic)?;
            nic.check_room(machine)?;
            vec![QemuStep::PlugNic { of, nic }]
        }
        Operation::UnplugNic { nic } => {
            let (_, nic) = nic_of(context, nic)?;
            if context.facts.machine != MachineState::Running {
                let message = "a guest that does not run cannot let go of a NIC";
                return Err(Refusal::new(Code::WrongState, message)
                    .with_hint("`inn resume` it first, or stop it"));
            }
            vec![QemuStep::UnplugNic { of, nic }]
        }
        Operation::ChangePlug { nic } => {
            let (machine, nic) = nic_of(context, nic)?;
            let before = machine.plugs.iter().find(|plug| plug.nic == nic.name).cloned();
            // One that the running machine has not is left to the next; so is its cable.
            match (before.map(Box::new), nic.plug.map(Box::new)) {
                (Some(before), Some(plug)) if before != plug => {
                    vec![QemuStep::ChangePlug { of, plug, before }]
                }
                _ => Vec::new(),
            }
        }
        Operation::SetLink { nic, up, before } => {
            let (machine, nic) = nic_of(context, nic)?;
            if !nic::has(machine, &nic.name) {
                return Ok(Vec::new());
            }
            vec![QemuStep::SetLink { of, nic, up: *up, before: *before }]
        }
        Operation::Dump { file } => vec![QemuStep::DumpMemory { of, file: file.clone() }],
        Operation::Adopt { machine } => {
            vec![QemuStep::Adopt(Box::new(Adopted::plan(machine, context, place)?))]
        }
    })
}

/// The steps that make a machine; `load` is what gives it its memory, where it does not begin without.
/// `cables` are the NICs whose cable is put in or out before it runs.
fn make(incarnation: Incarnation, load: Option<QemuStep>, cables: Vec<NicParts>) -> Vec<QemuStep> {
    let of = Some(incarnation.id);
    let from_memory = load.is_some();
    let mut steps = vec![
        QemuStep::Prepare { of, uid: incarnation.uid, goes_on: from_memory },
        QemuStep::Launch(Box::new(incarnation)),
    ];
    steps.extend(load);
    steps.extend(cables.into_iter().map(|nic| {
        let up = nic.connected;
        // Taken back with its machine.
        QemuStep::SetLink { of, nic: Box::new(nic), up, before: up }
    }));
    steps.push(QemuStep::Continue { of, from_memory });
    steps
}

fn parts<'a>(
    nics: impl Iterator<Item = &'a Nic>,
    context: &PlanContext<'_>,
) -> Result<Vec<NicParts>, Refusal> {
    nics.map(|nic| NicParts::of(nic, context.spec, context.plugs)).collect()
}

/// The machine that is on, and what a NIC of the spec is to it.
fn nic_of<'a>(
    context: &PlanContext<'a>,
    name: &DeviceName,
) -> Result<(&'a Incarnation, Box<NicParts>), Refusal> {
    refuse_adopted(context, "what it was made of is not known")?;
    let machine = context.incarnation.ok_or_else(|| {
        Refusal::new(Code::WrongState, "there is no machine that a NIC could be plugged into")
    })?;
    let nic = context.spec.config.nics.iter().find(|nic| nic.name == *name);
    let nic = nic.ok_or_else(|| Refusal::not_found("NIC", name))?;
    Ok((machine, Box::new(NicParts::of(nic, context.spec, context.plugs)?)))
}

fn pause(context: &PlanContext<'_>) -> QemuStep {
    let ran = context.facts.machine == MachineState::Running;
    QemuStep::Pause { of: context.incarnation.map(|incarnation| incarnation.id), ran }
}

fn refuse_adopted(context: &PlanContext<'_>, because: &str) -> Result<(), Refusal> {
    if context.incarnation.is_some_and(|incarnation| incarnation.adopted) {
        let message = format!("the machine was adopted, and {because}");
        return Err(Refusal::new(Code::Unsupported, message)
            .with_hint("stop it and start it: then it is made from its own spec"));
    }
    Ok(())
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "steps_tests.rs"]
mod tests;
