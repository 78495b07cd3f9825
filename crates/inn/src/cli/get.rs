//! `inn get`: all of one VM.

mod managed;

use super::{Context, agent, list};
use crate::{
    client::decode,
    failure::Failure,
    figures::{about, age},
    output::{Cell, Format, Table, Tint},
};
use innkeeper_model::{
    DiskFacts, Incarnation, Policies, Spec, Timestamp, Vm,
    config::{Boot, Disk, Nic, RateLimit},
    facts::EndReason,
};
use serde::Serialize;

pub(super) async fn run(context: &Context, name: &str) -> Result<(), Failure> {
    let output = &context.output;
    let body = context.client.get(context.vm(name)).await?.body;
    match output.format {
        Format::Json | Format::Yaml => output.document(&body),
        Format::Name => output.line(decode::<Vm>(body)?.name),
        Format::Table => output.table(&table(&decode(body)?, Timestamp::now())),
    }
}

fn table(vm: &Vm, now: Timestamp) -> Table {
    let mut table = Table::of_fields();
    table.field("name", vm.name.as_str());
    table.field("id", vm.id.to_string());
    table.field("project", vm.project.as_str());
    table.field("state", list::state(vm.state));
    if let Some(since) = vm.facts.since {
        table.field("since", format!("{since:.0} ({} ago)", age(since, now)));
    }
    if let Some(want) = vm.want {
        table.field("wanted", word(&want));
    }
    if let Some(problem) = &vm.problem {
        table.field("problem", problem);
    }
    if let Some(managed) = &vm.managed {
        managed::add(&mut table, vm, managed, now);
    } else if let Some(by) = vm.manager() {
        table.field("manager", by);
    }
    if let Some(end) = &vm.facts.last_end {
        table.field("last end", how(end));
    }
    if let Some(task) = vm.task {
        table.field("task", task.to_string());
    }
    for known in &vm.addresses {
        let nic = known.nic.as_ref().map(|nic| format!(" on {nic}")).unwrap_or_default();
        let source = word(&known.source);
        table.field("address", format!("{}{nic} ({source})", known.address));
    }
    if let Some(guest) = &vm.guest {
        table.field("guest", format!("{} (agent)", agent::in_words(guest)));
    }
    add_kept(&mut table, vm);
    if let Some(spec) = vm.spec.as_ref().filter(|spec| spec.driver.is_none()) {
        add_spec(&mut table, spec, &vm.disks);
        let (free, machine) = (spec.free_ports(vm.incarnation.as_deref()), &vm.incarnation);
        let ports = machine.as_ref().and_then(|machine| machine.ports);
        let ports = ports.unwrap_or(spec.assigned.ports);
        table.field("hotplug", format!("{free} of {ports} ports free"));
    }
    if let Some(incarnation) = &vm.incarnation {
        add_incarnation(&mut table, incarnation);
    }
    table
}

/// What is kept of the VM's last machine, and of an operation that stopped halfway.
fn add_kept(table: &mut Table, vm: &Vm) {
    if let Some(task) = vm.interrupted {
        let what = format!("{task}: inn task resume or inn task undo it");
        table.field("interrupted", Cell::tinted(what, Tint::Bad));
    }
    if let Some(memory) = &vm.memory {
        table.field("kept memory", format!("{}, of {:.0}", about(memory.size), memory.created));
    }
    if let Some(dumped) = vm.dumped {
        table.field("dumped", format!("{dumped:.0}"));
    }
}

fn add_spec(table: &mut Table, spec: &Spec, sizes: &[DiskFacts]) {
    let config = &spec.config;
    if spec.draft {
        let what = "drafted from the machine that was adopted; inn edit confirms it";
        table.field("draft", Cell::tinted(what, Tint::Busy));
    }
    if !config.description.is_empty() {
        table.field("description", &config.description);
    }
    for (key, value) in config.labels.iter() {
        table.field("label", format!("{key}={value}"));
    }
    table.field("cpus", format!("{} ({})", config.cpus, spec.assigned.cpu_model));
    table.field("memory", config.memory.to_string());
    table.field("machine", &spec.assigned.machine);
    table.field("boot", boot(&config.boot));
    for disk in &config.disks {
        let found = sizes.iter().find(|found| found.name == disk.name);
        table.field("disk", describe_disk(disk, found));
    }
    for nic in &config.nics {
        table.field("nic", describe_nic(nic, spec));
    }
    if let Some(quota) = config.quota {
        table.field("quota", quota.to_string());
    }
    table.field("screen", word(&config.display));
    if config.on != Policies::default() {
        let Policies { crash, reboot, shutdown } = config.on;
        let of = |policy| word(&policy);
        table.field(
            "on",
            format!("crash {}, reboot {}, shutdown {}", of(crash), of(reboot), of(shutdown)),
        );
    }
    if config.protected {
        table.field("protected", "yes");
    }
    table.field("created", format!("{:.0}", spec.created));
    table.field("revision", spec.revision.to_string());
}

fn add_incarnation(table: &mut Table, incarnation: &Incarnation) {
    let Incarnation { accelerator, hypervisor_version, run_folder, .. } = incarnation;
    table.field("runs on", format!("{} {hypervisor_version} ({accelerator})", incarnation.driver));
    if let Some(process) = &incarnation.process {
        table.field("process", process.pid.to_string());
    }
    table.field("run folder", run_folder.display().to_string());
}

/// A value of one word, as JSON has it.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

fn boot(boot: &Boot) -> String {
    match boot {
        Boot::Firmware(firmware) => format!("firmware {}", word(firmware)),
        Boot::Kernel(kernel) => {
            let image = kernel.image.as_ref().map(ToString::to_string);
            let path = kernel.path.as_ref().map(|path| path.display().to_string());
            let mut text = format!("kernel {}", image.or(path).unwrap_or_default());
            if !kernel.cmdline.is_empty() {
                text.push_str(&format!(" with {:?}", kernel.cmdline));
            }
            text
        }
    }
}

fn describe_disk(disk: &Disk, found: Option<&DiskFacts>) -> String {
    let mut parts = vec![disk.name.to_string(), word(&disk.effective_bus())];
    parts.extend(disk.image.as_ref().map(|image| format!("image {image}")));
    parts.extend(disk.path.as_ref().map(|path| path.display().to_string()));
    parts.extend(disk.size.map(|size| size.to_string()));
    if disk.is_read_only() {
        parts.push("read-only".into());
    }
    parts.extend(found.map(|found| {
        format!("takes {} for {}", about(found.allocated), about(found.virtual_size))
    }));
    parts.join(", ")
}

fn describe_nic(nic: &Nic, spec: &Spec) -> String {
    let chosen = spec.assigned.macs.get(nic.name.as_str()).copied();
    let mac = nic.mac.or(chosen).map(|mac| format!(", {mac}")).unwrap_or_default();
    let mut parts = vec![format!("{}, {}{mac}", nic.name, nic.network)];
    let given = spec.assigned.addresses.get(nic.name.as_str());
    parts.extend(given.into_iter().flatten().map(ToString::to_string));
    parts.extend(nic.publish.iter().map(|port| format!("publishes {port}")));
    let RateLimit { in_kbit, out_kbit } = nic.rate;
    parts.extend(in_kbit.map(|rate| format!("{rate} kbit/s in")));
    parts.extend(out_kbit.map(|rate| format!("{rate} kbit/s out")));
    parts.extend((!nic.connected).then(|| "unplugged".to_owned()));
    parts.join(", ")
}

fn how(end: &EndReason) -> String {
    match end {
        EndReason::GuestShutdown => "the guest shut down".into(),
        EndReason::GuestPanic => "the guest's kernel panicked".into(),
        EndReason::GuestReset => "the guest reset itself".into(),
        EndReason::Killed => "killed".into(),
        EndReason::HypervisorDied { status: None } => "the hypervisor died".into(),
        EndReason::HypervisorDied { status: Some(status) } => {
            format!("the hypervisor died: {status}")
        }
    }
}
