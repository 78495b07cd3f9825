//! The hypervisors that are swept, as far as a trial sees them from outside.

use crate::{booted, status};
use innkeeper_driver::{Driver, NoTaps, Observer};
use innkeeper_engine::agreement::{Hypervisor, names};
use innkeeper_model::{MachineState, VmConfig, VmId};
use innkeeper_qemu::{AcceleratorChoice, QemuDriver, QemuOptions};
use innkeeper_sim::{Guest, PowerButton, SimDriver, World, WorldOptions};
use innkeeper_storage::Storage;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

/// Which hypervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Sim,
    Qemu,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sim => "sim",
            Self::Qemu => "qemu",
        })
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "sim" => Ok(Self::Sim),
            "qemu" => Ok(Self::Qemu),
            _ => Err(format!("{text:?} is not a driver: sim or qemu")),
        }
    }
}

/// A hypervisor, of which drivers can be made, and at which can be looked past them.
pub(crate) enum Host {
    Sim(Arc<World>),
    Qemu {
        run: PathBuf,
        /// The folder of the guest whose kernel is booted, if one is.
        guest: Option<PathBuf>,
    },
}

impl Host {
    /// The host in a trial's folder.
    pub(crate) fn open(kind: Kind, booted: bool, folder: &Path) -> anyhow::Result<Self> {
        Ok(match kind {
            Kind::Sim => {
                // Slow enough to be waited for, quick enough to be swept.
                let guest = Guest {
                    power_button: PowerButton::PowersOff { after: Duration::from_millis(5) },
                    ..Guest::default()
                };
                let step = Duration::from_millis(1);
                let options =
                    WorldOptions { guest, step_time: step..=step, ..WorldOptions::default() };
                Self::Sim(World::open(folder.join("world"), options)?)
            }
            Kind::Qemu => {
                let guest = booted.then(booted::folder).transpose()?;
                Self::Qemu { run: folder.join("run"), guest }
            }
        })
    }

    pub(crate) fn driver(
        &self,
        storage: &Arc<Storage>,
        observer: Arc<dyn Observer>,
        boot_id: &str,
    ) -> anyhow::Result<Arc<dyn Driver>> {
        Ok(match self {
            Self::Sim(world) => Arc::new(SimDriver::new(world.clone(), observer)),
            Self::Qemu { run, .. } => {
                std::fs::create_dir_all(run)?;
                let options = QemuOptions {
                    program: "qemu-system-x86_64".into(),
                    accelerator: AcceleratorChoice::Tcg,
                    runtime: run.clone(),
                    boot_id: boot_id.into(),
                    sandbox_uid: None,
                };
                Arc::new(QemuDriver::new(options, storage.clone(), Arc::new(NoTaps), observer))
            }
        })
    }

    /// A machine that both can run.
    pub(crate) fn config(&self, name: &str, payload: &Path) -> VmConfig {
        let mut config = VmConfig::new(name.parse().expect("scenarios' names are names"));
        config.memory = innkeeper_model::Mebibytes(32);
        let disks = serde_json::json!([
            { "name": "root", "size": "1MiB" },
            { "name": "data", "size": "1MiB" },
            { "name": "more", "size": "1MiB", "read_only": true },
        ]);
        config.disks = serde_json::from_value(disks).expect("these are disks");
        match self {
            Self::Sim(_) => {
                let nics = serde_json::json!([
                    { "name": "lan", "network": "none" }, { "name": "wan", "network": "none" },
                ]);
                config.nics = serde_json::from_value(nics).expect("these are NICs");
            }
            Self::Qemu { guest: Some(guest), .. } => {
                config.disks.truncate(1);
                booted::furnish(&mut config, guest);
            }
            Self::Qemu { .. } => {
                config.disks.truncate(1);
                config.boot =
                    innkeeper_model::config::Boot::Kernel(innkeeper_model::config::KernelBoot {
                        path: Some(payload.to_owned()),
                        ..Default::default()
                    });
            }
        }
        config
    }

    /// The folder of the guest whose kernel is booted, if one is.
    pub(crate) fn guest(&self) -> Option<&Path> {
        match self {
            Self::Qemu { guest, .. } => guest.as_deref(),
            Self::Sim(_) => None,
        }
    }

    /// Whether its guests have a booted kernel.
    pub(crate) fn boots_a_kernel(&self) -> bool {
        self.guest().is_some()
    }

    /// Ends a VM's hypervisor as by `kill -9`. Whether there was one.
    pub(crate) fn kill_hypervisor(&self, vm: VmId) -> bool {
        match self {
            Self::Sim(world) => world.kill_hypervisor(vm),
            Self::Qemu { run, .. } => {
                let killed = qemu_pid(run, vm).is_some_and(|pid| {
                    rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok()
                });
                // Nothing goes on before it is dead.
                while killed && qemu_pid(run, vm).is_some() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                killed
            }
        }
    }

    /// Whether a VM has a hypervisor that lives.
    pub(crate) fn has_hypervisor(&self, vm: VmId) -> bool {
        match self {
            Self::Sim(world) => {
                world.machine(vm).is_some_and(|seen| seen.facts.machine != MachineState::Absent)
            }
            Self::Qemu { run, .. } => qemu_pid(run, vm).is_some(),
        }
    }

    /// What a VM's hypervisor itself says that its machine is, once no daemon is at it.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) fn says(&self, vm: VmId) -> anyhow::Result<MachineState> {
        match (self, self.machine(vm)) {
            (_, Some(machine)) => Ok(machine),
            (Self::Qemu { run, .. }, None) => status::ask(&run.join(format!("{vm}/qmp.sock"))),
            (Self::Sim(_), None) => Ok(MachineState::Absent),
        }
    }
}

impl Hypervisor for Host {
    fn machine(&self, vm: VmId) -> Option<MachineState> {
        match self {
            Self::Sim(world) => {
                Some(world.machine(vm).map_or(MachineState::Absent, |seen| seen.facts.machine))
            }
            Self::Qemu { run, .. } => qemu_pid(run, vm).is_none().then_some(MachineState::Absent),
        }
    }

    fn leftovers(&self, vm: VmId) -> Vec<String> {
        match self {
            Self::Sim(world) => {
                world.leftovers(vm).into_iter().filter(|left| left != "logs").collect()
            }
            Self::Qemu { run, .. } => qemu_pid(run, vm)
                .map(|pid| format!("process {}", pid.as_raw_nonzero()))
                .into_iter()
                .collect(),
        }
    }

    fn vms(&self) -> Vec<VmId> {
        match self {
            Self::Sim(world) => world.vms(),
            Self::Qemu { run, .. } => {
                names(run).into_iter().filter_map(|name| name.parse().ok()).collect()
            }
        }
    }
}

/// Ends what a trial that went wrong has left running.
pub(crate) fn clear(folder: &Path) {
    while let Some(pid) = qemu_in(&folder.join("run")) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The QEMU that was started for a VM and has not ended.
fn qemu_pid(run: &Path, vm: VmId) -> Option<rustix::process::Pid> {
    qemu_in(&run.join(vm.to_string()))
}

/// A QEMU that was started in this folder or below and has not ended.
fn qemu_in(folder: &Path) -> Option<rustix::process::Pid> {
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.find(|pid| {
        // A process that has ended and was not waited for is nowhere.
        let cwd = std::fs::read_link(format!("/proc/{pid}/cwd"));
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        cwd.is_ok_and(|cwd| cwd.starts_with(folder)) && name.starts_with("qemu-system")
    })
    .and_then(rustix::process::Pid::from_raw)
}
