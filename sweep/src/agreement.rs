//! What must hold after every trial, beside what always holds when nothing is being done: nothing is owed or
//! held, no address was ever of two VMs, nothing waits to become an image, each VM is shown as what its
//! hypervisor itself says that it is, and the cables of its NICs are where its spec has them. What each project
//! has taken is among what always holds; in the end it is nothing.

use crate::{daemon::Daemon, host::Host};
use innkeeper_engine::agreement::{half_written, names};
use innkeeper_model::{MachineState, Usage, Vm, VmState};

/// What does not hold. Nothing, if all is well.
pub(crate) async fn disagreements(daemon: &Daemon) -> Vec<String> {
    let mut found = daemon.ground().disagreements().await;
    found.extend(half_written(&daemon.folder.join("run")));
    let uploads = names(&daemon.folder.join("pool/uploads")).into_iter();
    found.extend(uploads.map(|name| format!("upload {name} is left")));
    let twice = daemon.networks.given_twice();
    found.extend(twice.map(|address| format!("{address} was given to two VMs at once")));
    found.extend(cables(daemon));
    let diagnosis = daemon.engine.diagnose();
    found.extend(diagnosis.owed.iter().map(|owed| format!("owed: {owed:?}")));
    found.extend(diagnosis.queues.iter().map(|queue| format!("held: {queue:?}")));
    found
}

/// Which VMs are shown as something else than their hypervisors say, when no daemon is any more.
pub(crate) fn contradictions(host: &Host, vms: &[Vm]) -> Vec<String> {
    let mut found = Vec::new();
    for vm in vms {
        let shown = match vm.state {
            VmState::Running => MachineState::Running,
            VmState::Paused => MachineState::Paused,
            VmState::Ended => MachineState::Ended,
            _ => MachineState::Absent,
        };
        match host.says(vm.id) {
            Ok(said) if said == shown => {}
            Ok(said) => {
                found.push(format!("{} is shown as {}, and is {said:?}", vm.name, vm.state))
            }
            Err(error) => found.push(format!("{} is shown as {}: {error:#}", vm.name, vm.state)),
        }
    }
    found
}

/// Whose NICs have cables that are not where the spec has them. Nothing is swept that changes them for the next
/// machine alone.
fn cables(daemon: &Daemon) -> Vec<String> {
    let Host::Sim(world) = &*daemon.host else { return Vec::new() };
    let of_vm = |vm: Vm| {
        let machine = world.machine(vm.id)?;
        let spec = vm.spec.filter(|_| machine.facts.machine != MachineState::Absent)?;
        let nics = spec.config.nics.iter().filter(|nic| !nic.connected);
        let mut wanted: Vec<&str> = nics.map(|nic| nic.name.as_str()).collect();
        wanted.sort_unstable();
        let out = machine.cables_out;
        (out != wanted).then(|| format!("cables of {} are out: {out:?}, not {wanted:?}", vm.name))
    };
    daemon.vms().into_iter().filter_map(of_vm).collect()
}

/// What must hold when everything has been deleted.
pub(crate) async fn leavings(daemon: &Daemon) -> Vec<String> {
    let mut found = disagreements(daemon).await;
    found.extend(daemon.ground().of_nobody(&[]));
    let projects = daemon.engine.projects().all().into_iter();
    let taken = projects.filter(|project| project.used != Usage::default());
    found.extend(taken.map(|it| format!("project {} has {:?} still", it.name, it.used)));
    // What was adopted has been given back to its manager, and stays.
    let left = daemon.vms().into_iter().filter(|vm| !vm.is_foreign());
    found.extend(left.map(|vm| format!("VM {} is still there", vm.name)));
    let networks = names(&daemon.folder.join("networks")).into_iter();
    found.extend(networks.map(|name| format!("network {name} is still there")));
    found
}
