//! From a memory image to the machine that can take it over. Pure.
//!
//! The machine must be the one that was saved, device for device: it is made from the record of that
//! one, not from the VM's spec, which may have been edited since. Only what a guest does not see is new:
//! the program, where it runs, and what becomes of it when its guest ends.

use crate::{command_line::Place, descriptors::Open, driver::NAME, guest_end};
use innkeeper_driver::PlanContext;
use innkeeper_model::{
    Code, Incarnation, MemoryImage, Refusal, VmId, host::Hypervisor, incarnation::SCHEMA,
};

const INCOMING: &str = "-incoming";

/// The machine that takes over a memory image.
///
/// # Errors
/// `incompatible-memory`: this host's hypervisor cannot take it over.
pub(crate) fn rebuild(
    image: &MemoryImage,
    context: &PlanContext<'_>,
    place: Place<'_>,
) -> Result<Incarnation, Refusal> {
    let saved = &image.incarnation;
    let PlanContext { spec, hypervisor, launch, .. } = *context;
    check(saved, spec.id, hypervisor)?;
    let mut argv = vec![hypervisor.program.clone()];
    argv.extend(guest_visible(&saved.argv));
    argv.extend(guest_end::arguments(spec.config.on));
    // The image is read once it can be said how, and by whom.
    argv.extend([INCOMING.to_owned(), "defer".to_owned()]);
    Ok(Incarnation {
        schema: SCHEMA,
        id: launch.incarnation,
        boot_id: place.boot_id.into(),
        created: launch.now,
        hypervisor_version: hypervisor.version.clone(),
        cgroup: place.cgroup.map(Into::into),
        run_folder: place.run_folder.into(),
        argv,
        process: None,
        ..saved.clone()
    })
}

/// Whether a machine with this command line begins by taking over a memory image.
pub(crate) fn takes_over_memory(argv: &[String]) -> bool {
    argv.iter().any(|argument| argument == INCOMING)
}

/// The arguments that make the machine what its guest sees, and the descriptors that go with them.
fn guest_visible(argv: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut arguments = argv.iter().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == INCOMING || guest_end::OPTIONS.contains(&argument.as_str()) {
            // Its value goes with it.
            arguments.next();
        } else {
            kept.push(argument.clone());
        }
    }
    kept
}

/// Whether the hypervisor of this host can take over the memory of a machine.
fn check(saved: &Incarnation, vm: VmId, here: &Hypervisor) -> Result<(), Refusal> {
    let refuse = |problem: &str| Err(incompatible(saved, here, problem));
    if saved.vm != vm {
        return refuse(&format!("it is of another VM, {}", saved.vm));
    }
    if saved.driver != NAME {
        return refuse(&format!("it is another hypervisor's, {}", saved.driver));
    }
    if saved.schema > SCHEMA {
        return refuse("a newer Innkeeper wrote it");
    }
    if saved.adopted || Open::list_from_value(&saved.opens).is_err() {
        return refuse("it does not say what its machine was made of");
    }
    if saved.accelerator != here.accelerator {
        return refuse("the accelerator is another");
    }
    match (numbers(&saved.hypervisor_version), numbers(&here.version)) {
        (Some(then), Some(now)) if now < then => return refuse("the hypervisor is older"),
        (Some(then), Some(now)) if now != then && is_hosts_own(&saved.cpu_model) => {
            return refuse("the CPU model is what a hypervisor makes of its host, and differs");
        }
        (Some(_), Some(_)) => {}
        _ => return refuse("the hypervisor's version is not understood"),
    }
    if is_newer_than_all(&saved.machine, &here.machines) {
        return refuse("the machine type is not known here");
    }
    Ok(())
}

fn incompatible(saved: &Incarnation, here: &Hypervisor, problem: &str) -> Refusal {
    let was = saved.makings();
    let newest = here.machines.first().unwrap_or(&here.default_machine);
    let is = format!(
        "{NAME} {} with machines up to {newest} and accelerator {}",
        here.version, here.accelerator
    );
    let message = format!("the memory image is of {was}; here is {is}: {problem}");
    let mut refusal = Refusal::new(Code::IncompatibleMemory, message).with_limit(is);
    refusal.value = Some(was);
    refusal.with_hint("`inn start VM --discard-memory` starts the VM without it")
}

/// Whether a CPU model is another one on another host or with another QEMU.
fn is_hosts_own(cpu_model: &str) -> bool {
    matches!(cpu_model, "host" | "max")
}

/// The numbers of a version; what a distribution adds to them is left out.
fn numbers(version: &str) -> Option<Vec<u32>> {
    let plain = version.split(|c: char| !(c.is_ascii_digit() || c == '.')).next()?;
    let numbers: Vec<u32> =
        plain.split('.').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    (numbers.len() >= 2).then_some(numbers)
}

/// Whether a machine type came after all that are known here. Those are without the ones that QEMU
/// means to drop and still has, so that an older one than all of them is let through; QEMU knows best.
fn is_newer_than_all(machine: &str, known: &[String]) -> bool {
    let version = |machine: &str| numbers(machine.rsplit('-').next()?);
    let newest = known.iter().filter_map(|known| version(known)).max();
    let is_older = || version(machine).is_some_and(|version| Some(version) < newest);
    !known.iter().any(|known| known == machine) && !is_older()
}

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
