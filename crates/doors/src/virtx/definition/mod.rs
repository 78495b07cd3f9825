//! What a VM is, in virtx's words and in ours, and back. Pure.
//!
//! What virtx keeps and a VM's configuration has no place for stands in labels under `virtx.`; a VM that
//! was made or changed elsewhere has none of them, or some that do not fit any more, and is shown as it is.

mod disks;
mod foreign;
mod nets;
#[cfg(test)]
mod tests;

use super::{
    numbers::FirmwareType,
    wire::{Cpudef, CustomField, Memory, Numa, Vmdef},
};
use innkeeper_model::{
    Mebibytes, Refusal, SmallMap, Spec, Vm, VmConfig, VmName,
    config::{Boot, Firmware},
};
use innkeeper_view::Snapshot;
use std::fmt::Display;

/// What all labels begin with that are this door's.
const PREFIX: &str = "virtx.";
/// Nodes, sockets, cores and threads, with `/` between.
const CPUDEF: &str = "virtx.cpudef";
/// The VLAN that was asked for.
const VLANID: &str = "virtx.vlanid";
/// The greatest VLAN.
const MAX_VLANID: i16 = 4094;

/// libvirt's names of CPU models, and those that QEMU has for them.
const MODELS: [(&str, &str); 2] = [("host-passthrough", "host"), ("maximum", "max")];
/// libvirt's name for one that it chooses; here, for one that every host of a fleet has.
const CHOSEN_MODEL: &str = "host-model";

/// A VM that is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    /// What it is to be.
    pub(super) config: VmConfig,
    /// What its caller should know.
    pub(super) warnings: Vec<String>,
}

/// The VM that this describes: a new one, or what one becomes.
///
/// # Errors
/// A field is not allowed, by virtx's rules or because there is no such thing here.
pub(super) fn wanted(
    def: &Vmdef,
    before: Option<&Spec>,
    now: &Snapshot,
) -> Result<Wanted, Refusal> {
    let name: VmName =
        def.name.parse().map_err(|problem| Refusal::invalid("name", &def.name, problem))?;
    let mut config = before.map_or_else(|| VmConfig::new(name.clone()), |spec| spec.config.clone());
    config.name = name;
    check_unsupported(def)?;
    config.cpus = cpus(&def.cpudef)?;
    config.cpu_model = model(&def.cpudef)?;
    config.memory = memory(&def.memory)?;
    config.boot = boot(def.firmware, config.boot);
    let mut labels = Labels::default();
    let Cpudef { nodes, sockets, cores, threads, .. } = &def.cpudef;
    labels.add(CPUDEF, format!("{nodes}/{sockets}/{cores}/{threads}"));
    if !(0..=MAX_VLANID).contains(&def.vlanid) {
        let problem = format!("is not in 0..={MAX_VLANID}");
        return Err(Refusal::invalid("vlanid", def.vlanid, problem).with_limit(MAX_VLANID));
    }
    if def.vlanid != 0 {
        labels.add(VLANID, def.vlanid.to_string());
    }
    let mut warnings = Vec::new();
    config.disks = disks::wanted(def, before, &mut labels, &mut warnings)?;
    config.nics = nets::wanted(def, before, now, &mut labels)?;
    custom(&def.custom, before, &mut labels)?;
    config.labels = labels.0.into_iter().collect();
    config.validate()?;
    Ok(Wanted { config, warnings })
}

/// Labels, as they are gathered.
#[derive(Debug, Default)]
struct Labels(Vec<(String, String)>);

impl Labels {
    fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }
}

fn check_unsupported(def: &Vmdef) -> Result<(), Refusal> {
    let refuse = |field: &str, value: &dyn Display| {
        Err(Refusal::invalid(field, value, "is not possible on this host"))
    };
    match def {
        Vmdef { memory: Memory { hp: true, .. }, .. } => refuse("memory.hp", &true),
        Vmdef { numa: Numa { placement: true }, .. } => refuse("numa.placement", &true),
        Vmdef { genid, .. } if !genid.is_empty() => refuse("genid", genid),
        _ => Ok(()),
    }
}

fn cpus(cpudef: &Cpudef) -> Result<u16, Refusal> {
    let Cpudef { nodes, sockets, cores, threads, .. } = cpudef;
    for (field, value, least) in
        [("nodes", nodes, 0), ("sockets", sockets, 1), ("cores", cores, 1), ("threads", threads, 1)]
    {
        if *value < least {
            let problem = format!("is less than {least}");
            return Err(Refusal::invalid(format!("cpudef.{field}"), value, problem));
        }
    }
    if *threads != 1 {
        return Err(Refusal::invalid("cpudef.threads", threads, "is not 1"));
    }
    let count = i32::from(*sockets) * i32::from(*cores);
    u16::try_from(count).map_err(|_| Refusal::invalid("cpudef", count, "are too many CPUs"))
}

fn model(cpudef: &Cpudef) -> Result<Option<String>, Refusal> {
    let asked = cpudef.model.as_str();
    if asked.is_empty() {
        let hint = format!("{CHOSEN_MODEL} is one that is chosen");
        return Err(Refusal::invalid("cpudef.model", asked, "is missing").with_hint(hint));
    }
    let of_libvirt = MODELS.into_iter().find(|(libvirt, _)| *libvirt == asked);
    let name = of_libvirt.map_or(asked, |(_, qemu)| qemu);
    Ok((name != CHOSEN_MODEL).then(|| name.to_owned()))
}

fn memory(memory: &Memory) -> Result<Mebibytes, Refusal> {
    let total = u64::try_from(memory.total).ok().filter(|total| *total >= 1);
    total
        .map(Mebibytes)
        .ok_or_else(|| Refusal::invalid("memory.total", memory.total, "is less than 1 MiB"))
}

/// One that is given its kernel has a firmware too, and goes on to be given it.
fn boot(firmware: FirmwareType, before: Boot) -> Boot {
    match (firmware, before) {
        (FirmwareType::Bios, kernel @ Boot::Kernel(_)) => kernel,
        (FirmwareType::Bios, _) => Boot::Firmware(Firmware::Bios),
        (FirmwareType::Uefi, _) => Boot::Firmware(Firmware::Uefi),
    }
}

/// Names and values of the user's own: of virtx's alphabet, or as they were before. A field without a name
/// is left out, as it always was.
fn custom(
    custom: &[CustomField],
    before: Option<&Spec>,
    labels: &mut Labels,
) -> Result<(), Refusal> {
    let of_alphabet =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let was = |field: &CustomField| {
        let label = before.and_then(|spec| spec.config.labels.get(&field.name));
        label == Some(&field.value) && !field.name.starts_with(PREFIX)
    };
    for (index, field) in custom.iter().enumerate().filter(|(_, field)| !field.name.is_empty()) {
        let CustomField { name, value } = field;
        for (part, text) in [("name", name), ("value", value)] {
            if !of_alphabet(text) && !was(field) {
                let problem = "has other characters than a-z A-Z 0-9 _";
                return Err(Refusal::invalid(format!("custom[{index}].{part}"), text, problem));
            }
        }
        labels.add(name, value);
    }
    Ok(())
}

/// A VM as virtx shows it.
pub(super) fn shown(vm: &Vm, now: &Snapshot) -> Vmdef {
    let shown = match (&vm.spec, &vm.managed) {
        (Some(spec), _) => of_spec(vm, spec, now),
        (None, Some(managed)) => foreign::shown(&managed.machine),
        // A spec that cannot be read.
        (None, None) => Vmdef::default(),
    };
    Vmdef { name: name(vm), ..shown }
}

fn of_spec(vm: &Vm, spec: &Spec, now: &Snapshot) -> Vmdef {
    let config = &spec.config;
    let mut disks = config.disks.iter().map(|disk| disks::shown(spec, disk, &vm.disks));
    let firmware = match config.boot {
        Boot::Firmware(Firmware::Uefi) => FirmwareType::Uefi,
        Boot::Firmware(Firmware::Bios) | Boot::Kernel(_) => FirmwareType::Bios,
    };
    Vmdef {
        cpudef: cpudef(config),
        memory: Memory { total: clamped(config.memory.0), hp: false },
        osdisk: disks.next().unwrap_or_default(),
        disks: disks.collect(),
        nets: config.nics.iter().map(|nic| nets::shown(spec, nic, now)).collect(),
        vlanid: vlanid(&config.labels),
        firmware,
        custom: shown_custom(&config.labels).collect(),
        ..Vmdef::default()
    }
}

fn cpudef(config: &VmConfig) -> Cpudef {
    let model = config.cpu_model.as_deref().unwrap_or(CHOSEN_MODEL);
    let of_qemu = MODELS.into_iter().find(|(_, qemu)| *qemu == model);
    let model = of_qemu.map_or(model, |(libvirt, _)| libvirt).to_owned();
    let [nodes, sockets, cores, threads] =
        asked_cpus(config).unwrap_or([0, 1, cores_of(config.cpus), 1]);
    Cpudef { model, nodes, sockets, cores, threads }
}

/// How its CPUs were asked for, unless they are others by now.
fn asked_cpus(config: &VmConfig) -> Option<[i16; 4]> {
    let mut numbers = config.labels.get(CPUDEF)?.split('/').map(|text| text.parse::<i16>().ok());
    let mut next = || numbers.next().flatten();
    let [nodes, sockets, cores, threads] = [next()?, next()?, next()?, next()?];
    let count = i64::from(sockets) * i64::from(cores) * i64::from(threads);
    (count == i64::from(config.cpus)).then_some([nodes, sockets, cores, threads])
}

fn cores_of(cpus: u16) -> i16 {
    i16::try_from(cpus).unwrap_or(i16::MAX)
}

/// The VLAN of a VM with these labels.
fn vlanid(labels: &SmallMap<String>) -> i16 {
    labels.get(VLANID).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// What of these labels is the user's own.
fn shown_custom(labels: &SmallMap<String>) -> impl Iterator<Item = CustomField> {
    let own = labels.iter().filter(|(name, _)| !name.starts_with(PREFIX));
    own.map(|(name, value)| CustomField { name: name.to_owned(), value: value.clone() })
}

/// What a list shows of a VM's definition.
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) vlanid: i16,
    pub(super) custom: Vec<CustomField>,
}

/// The same as [`shown`] has it, without the rest of it.
pub(super) fn listed(vm: &Vm) -> Listed {
    let labels = vm.spec.as_ref().map(|spec| &spec.config.labels);
    Listed {
        name: name(vm),
        vlanid: labels.map(vlanid).unwrap_or_default(),
        custom: labels.into_iter().flat_map(shown_custom).collect(),
    }
}

/// What a VM is called: one of another manager's by its title, where it has one, as virtx has it.
fn name(vm: &Vm) -> String {
    match (&vm.spec, &vm.managed) {
        (None, Some(managed)) => {
            let machine = &managed.machine;
            machine.title.as_ref().unwrap_or(&machine.name).clone()
        }
        _ => vm.name.to_string(),
    }
}

/// The disks of its own that a VM would lose: each with its path.
pub(super) fn lost_disks<'a>(
    before: &'a Spec,
    after: &'a VmConfig,
) -> impl Iterator<Item = String> + 'a {
    let stays = |disk: &innkeeper_model::config::Disk| {
        after.disks.iter().any(|other| other.name == disk.name)
    };
    own_disks(before).filter(move |disk| !stays(disk)).map(|disk| disks::path(before, disk))
}

/// The disks of a VM's own, which live and die with it.
pub(super) fn own_disks(spec: &Spec) -> impl Iterator<Item = &innkeeper_model::config::Disk> {
    spec.config.disks.iter().filter(|disk| disks::is_own(disk))
}

/// As many as fit.
pub(super) fn clamped<T>(count: T) -> i32
where
    i32: TryFrom<T>,
{
    i32::try_from(count).unwrap_or(i32::MAX)
}
