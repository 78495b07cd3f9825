//! `inn host`: what there is, what runs the guests and why, what keeps them in, and which machines are
//! somebody else's.

use super::Context;
use crate::{
    client::{Target, decode},
    failure::Failure,
    figures::age,
    output::{Cell, Format, Table, Tint},
};
use innkeeper_model::{Host, Timestamp, host::Manager};

pub(super) async fn run(context: &Context) -> Result<(), Failure> {
    let output = &context.output;
    let body = context.client.get(Target::new("/v1/host")).await?.body;
    if matches!(output.format, Format::Json | Format::Yaml) {
        return output.document(&body);
    }
    let host: Host = decode(body)?;
    if output.format == Format::Name {
        return output.line(&host.name);
    }
    output.table(&facts(&host))?;
    if !host.confinement.is_empty() {
        output.data("\n")?;
        output.table(&safeguards(&host))?;
    }
    if !host.foreign.is_empty() {
        output.line("\nmachines that somebody else made, and that are left alone:")?;
        output.table(&foreign(&host))?;
    }
    Ok(())
}

fn facts(host: &Host) -> Table {
    let mut table = Table::of_fields();
    table.field("name", &host.name);
    table.field("cpus", host.cpus.to_string());
    table.field("memory", host.memory.to_string());
    table.field("kernel", &host.kernel);
    table.field("innkeeper", format!("{} (process {})", host.version, host.pid));
    if let Some(started) = host.started {
        table.field("started", format!("{started:.0} ({} ago)", age(started, Timestamp::now())));
    }
    for manager in &host.managers {
        table.field(&manager.name, asked(manager));
    }
    let Some(hypervisor) = &host.hypervisor else {
        table.field(
            "hypervisor",
            Cell::tinted("not known yet; if it stays so, see inn doctor", Tint::Bad),
        );
        return table;
    };
    let program = format!("{} {} ({})", hypervisor.driver, hypervisor.version, hypervisor.program);
    table.field("hypervisor", program);
    let tint = if hypervisor.accelerator == "kvm" { Tint::Good } else { Tint::Busy };
    let accelerator = format!("{}: {}", hypervisor.accelerator, hypervisor.accelerator_reason);
    table.field("accelerator", Cell::tinted(accelerator, tint));
    table.field("machine", &hypervisor.default_machine);
    table.field("cpu model", &hypervisor.default_cpu_model);
    table.field(
        "uefi",
        match &hypervisor.uefi {
            Some(uefi) => uefi.code.display().to_string(),
            None => "not installed".into(),
        },
    );
    table
}

/// Whether another manager can be asked.
fn asked(manager: &Manager) -> Cell {
    match &manager.lost {
        None => Cell::tinted("its machines are shown", Tint::Good),
        Some(loss) => {
            let words = format!("cannot be asked since {:.0}: {}", loss.at, loss.in_words());
            Cell::tinted(words, Tint::Bad)
        }
    }
}

fn safeguards(host: &Host) -> Table {
    let mut table = Table::new(["SAFEGUARD", "ACTIVE", "HOW"]);
    for safeguard in &host.confinement {
        let active = if safeguard.active {
            Cell::tinted("yes", Tint::Good)
        } else {
            Cell::tinted("no", Tint::Bad)
        };
        table.row([safeguard.name.as_str().into(), active, safeguard.detail.as_str().into()]);
    }
    table
}

fn foreign(host: &Host) -> Table {
    let mut table = Table::new(["PID", "NAME", "MADE BY", "USER", "CPUS", "MEMORY", "ADOPT"]);
    for machine in &host.foreign {
        let adopt = match &machine.not_adoptable {
            None => Cell::tinted(format!("inn adopt {}", machine.process.pid), Tint::Good),
            Some(why) => format!("no: {why}").into(),
        };
        table.row([
            machine.process.pid.to_string().into(),
            machine.name.clone().unwrap_or_default().into(),
            machine.manager.clone().unwrap_or_default().into(),
            machine.uid.to_string().into(),
            machine.cpus.map(|cpus| cpus.to_string()).unwrap_or_default().into(),
            machine.memory.map(|memory| memory.to_string()).unwrap_or_default().into(),
            adopt,
        ]);
    }
    table
}
