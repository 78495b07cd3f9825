//! Taking over a machine that somebody else made, as data. Pure.

use crate::{command_line::Place, driver::NAME, foreign::Described};
use innkeeper_driver::PlanContext;
use innkeeper_model::{Code, Foreign, Incarnation, Refusal, incarnation::SCHEMA};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf};

/// What is not known of a machine that somebody else made.
const UNKNOWN: &str = "unknown";

/// A machine that is to be taken over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Adopted {
    /// What its record will say, as far as that is known before it is looked at.
    pub(crate) incarnation: Incarnation,
    /// The QMP socket that it listens on.
    pub(crate) socket: PathBuf,
}

impl Adopted {
    /// Plans to take a machine over.
    ///
    /// # Errors
    /// It is another manager's, or cannot be reached.
    pub(crate) fn plan(
        machine: &Foreign,
        context: &PlanContext<'_>,
        place: Place<'_>,
    ) -> Result<Self, Refusal> {
        let refuse = |why: &str| Err(not_adoptable(machine.process.pid, why));
        if machine.driver != NAME {
            return refuse("it is not QEMU's");
        }
        if let Some(why) = &machine.not_adoptable {
            return refuse(why);
        }
        let Some(socket) = machine.socket.clone() else {
            return refuse("it listens on no QMP socket that has a path");
        };
        let config = &context.spec.config;
        let incarnation = Incarnation {
            schema: SCHEMA,
            id: context.launch.incarnation,
            vm: context.spec.id,
            spec_revision: context.spec.revision,
            boot_id: place.boot_id.into(),
            created: context.launch.now,
            driver: NAME.into(),
            hypervisor_version: UNKNOWN.into(),
            machine: UNKNOWN.into(),
            cpu_model: UNKNOWN.into(),
            accelerator: UNKNOWN.into(),
            cpus: machine.cpus.unwrap_or(config.cpus),
            memory: machine.memory.unwrap_or(config.memory),
            uid: Some(machine.uid),
            cgroup: None,
            run_folder: place.run_folder.into(),
            argv: Vec::new(),
            opens: Value::Null,
            adopted: true,
            block_nodes: BTreeMap::new(),
            ports: None,
            plugs: Vec::new(),
            process: Some(machine.process),
        };
        Ok(Self { incarnation, socket })
    }

    /// The record of the machine, now that it has been looked at.
    pub(crate) fn record(&self, argv: Vec<String>, version: String) -> Incarnation {
        let found = Described::of(&argv);
        let known = |word: Option<String>| word.unwrap_or_else(|| UNKNOWN.into());
        Incarnation {
            argv,
            hypervisor_version: version,
            machine: known(found.machine),
            cpu_model: known(found.cpu_model),
            // QEMU's own choice where it is not told.
            accelerator: found.accelerator.unwrap_or_else(|| "tcg".into()),
            ..self.incarnation.clone()
        }
    }
}

pub(crate) fn not_adoptable(pid: u32, why: &str) -> Refusal {
    let message = format!("process {pid} cannot be adopted: {why}");
    Refusal::new(Code::Unsupported, message)
}
