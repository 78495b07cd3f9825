//! A diagnosis for people: a section for each thing that goes on or is wrong, and none for what is not.

use crate::{
    failure::Failure,
    figures::{about, age},
    output::{Cell, Output, Table, Tint},
};
use innkeeper_model::{
    AuditDiagnosis, ByteSize, Diagnosis,
    diagnosis::{
        DriverDiagnosis, JournalDiagnosis, PoolDiagnosis, SessionDiagnosis, UsageDiagnosis,
    },
};

pub(super) fn show(output: &Output, diagnosis: &Diagnosis) -> Result<(), Failure> {
    output.table(&figures(diagnosis))?;
    let sections = [
        ("tasks that have not ended", tasks(diagnosis)),
        ("queues", queues(diagnosis)),
        ("left behind, and tried again", owed(diagnosis)),
        ("VMs with something wrong", problems(diagnosis)),
        ("damaged records", damage(&diagnosis.journal)),
        ("what drivers could not do last", driver_errors(diagnosis)),
        ("readers of the feed", readers(diagnosis)),
        ("open sessions", sessions(diagnosis)),
        ("failed last", failures(diagnosis)),
        ("done by hand", interventions(diagnosis)),
    ];
    for (title, table) in sections {
        if let Some(table) = table {
            output.line(format_args!("\n{title}:"))?;
            output.table(&table)?;
        }
    }
    Ok(())
}

fn figures(diagnosis: &Diagnosis) -> Table {
    let Diagnosis { journal, specs, feed, usage, sizes, .. } = diagnosis;
    let mut table = Table::of_fields();
    table.field("innkeeper", format!("{} at {:.3}", diagnosis.version, diagnosis.at));
    for one in &diagnosis.drivers {
        table.field("driver", driver(one));
    }
    let going_on = format!(
        "{} VMs, {} images, {} tasks, {} not ended",
        sizes.vms,
        sizes.images,
        sizes.tasks,
        diagnosis.tasks.len()
    );
    table.field("known", going_on);
    table.field("given", given(usage));
    if let Some(PoolDiagnosis { at, folder, size, free, promised }) = &usage.pool {
        let [size, free, promised] = [*size, *free, *promised].map(about);
        let ago = age(*at, diagnosis.at);
        let room =
            format!("{free} of {size} left {ago} ago, {promised} of that promised; {folder}");
        table.field("pool", room);
    }
    let (segments, size) = (journal.segments, about(journal.size));
    let (records, syncs, pending) = (journal.records, journal.syncs, journal.pending);
    table.field(
        "journal",
        format!("{segments} segments, {size}; {records} records, {syncs} syncs, {pending} waiting"),
    );
    if journal.low {
        table.field("journal", bad("no room could be set aside: the disk is full"));
    }
    if let Some(error) = &journal.last_error {
        table.field("journal", bad(format!("last error: {error}")));
    }
    if specs.unwritten > 0 {
        table.field("specs", format!("{} in the journal, not yet in files", specs.unwritten));
    }
    if let Some(problem) = &specs.problem {
        table.field("specs", bad(problem.as_str()));
    }
    if let Some(kept) = &diagnosis.audit {
        audit(&mut table, kept);
    }
    let kept = about(ByteSize(u64::try_from(feed.change_bytes).unwrap_or(u64::MAX)));
    let (changes, readers, lag) = (feed.changes, feed.readers, feed.slowest_lag);
    table.field(
        "feed",
        format!("{changes} changes, {kept}; {readers} readers, the slowest {lag} behind"),
    );
    let (resident, files, threads) = (about(sizes.resident), sizes.open_files, sizes.threads);
    table.field("process", format!("{resident} resident, {files} open files, {threads} threads"));
    table
}

/// What of the host is given, and how much there may be of it.
fn given(usage: &UsageDiagnosis) -> String {
    let UsageDiagnosis { vms, cpus, memory, disk, bounds, pool: _ } = usage;
    let of = |bound: Option<String>| bound.map(|most| format!(" of {most}")).unwrap_or_default();
    format!(
        "{vms}{} VMs, {cpus}{} CPUs, {memory}{} of memory, {}{} of disk",
        of(bounds.vms.map(|most| most.to_string())),
        of(bounds.cpus.map(|most| most.to_string())),
        of(bounds.memory.map(|most| most.to_string())),
        about(*disk),
        of(bounds.disk.map(about)),
    )
}

fn audit(table: &mut Table, kept: &AuditDiagnosis) {
    let AuditDiagnosis { written, lost, waiting, torn, files, size, problem } = kept;
    let size = about(*size);
    table.field("audit", format!("{files} files, {size}; {written} lines, {waiting} waiting"));
    if *lost > 0 {
        table.field("audit", bad(format!("{lost} lines are lost")));
    }
    if *torn > 0 {
        table.field("audit", format!("{torn} lines were cut short by a kill"));
    }
    if let Some(problem) = problem {
        table.field("audit", bad(format!("it cannot be written: {problem}")));
    }
}

fn bad(text: impl Into<String>) -> Cell {
    Cell::tinted(text, Tint::Bad)
}

fn tasks(diagnosis: &Diagnosis) -> Option<Table> {
    let mut table = Table::new(["ID", "OPERATION", "OF", "STATE", "FOR", "CANCELLABLE", "IN"]);
    for task in &diagnosis.tasks {
        table.row([
            task.id.to_string().into(),
            task.operation.as_str().into(),
            task.vm.map(|vm| vm.to_string()).unwrap_or_default().into(),
            match task.state.as_str() {
                "interrupted" => bad("interrupted"),
                other => other.into(),
            },
            format!("{:.1}s", task.for_ms as f64 / 1e3).into(),
            if task.cancellable { "yes" } else { "no" }.into(),
            task.steps.join(", ").into(),
        ]);
    }
    (!diagnosis.tasks.is_empty()).then_some(table)
}

fn queues(diagnosis: &Diagnosis) -> Option<Table> {
    let mut table = Table::new(["RESOURCE", "HELD BY", "WAITING", "NOTE"]);
    let mut queues: Vec<_> = diagnosis.queues.iter().collect();
    queues.sort_by(|one, other| one.resource.cmp(&other.resource));
    for queue in queues {
        let note = if queue.paused {
            bad("paused; inn diagnose unpause lets it go on")
        } else {
            "".into()
        };
        table.row([
            queue.resource.as_str().into(),
            queue.holders.to_string().into(),
            queue.waiting.to_string().into(),
            note,
        ]);
    }
    (!diagnosis.queues.is_empty()).then_some(table)
}

fn owed(diagnosis: &Diagnosis) -> Option<Table> {
    let mut table = Table::new(["TASK", "OPERATION", "OF", "WHAT IS LEFT"]);
    for owed in &diagnosis.owed {
        for leftover in &owed.leftovers {
            table.row([
                owed.task.to_string().into(),
                owed.operation.as_str().into(),
                owed.vm.map(|vm| vm.to_string()).unwrap_or_default().into(),
                leftover.as_str().into(),
            ]);
        }
    }
    (!diagnosis.owed.is_empty()).then_some(table)
}

/// `qemu 10.0.8 with 3 machines and 2 connections`.
fn driver(driver: &DriverDiagnosis) -> String {
    let DriverDiagnosis { name, machines, connections, .. } = driver;
    let version = driver.version.as_deref().unwrap_or("(not asked yet)");
    format!("{name} {version} with {machines} machines and {connections} connections")
}

fn driver_errors(diagnosis: &Diagnosis) -> Option<Table> {
    let mut table = Table::new(["DRIVER", "AT", "OF", "ERROR"]);
    let mut any = false;
    for driver in &diagnosis.drivers {
        let Some(error) = &driver.last_error else { continue };
        any = true;
        table.row([
            driver.name.as_str().into(),
            format!("{:.0}", error.at).into(),
            error.vm.map(|vm| vm.to_string()).unwrap_or_default().into(),
            error.error.as_str().into(),
        ]);
    }
    any.then_some(table)
}

fn readers(diagnosis: &Diagnosis) -> Option<Table> {
    let mut table = Table::new(["WHO", "SINCE", "BEHIND"]);
    for reader in &diagnosis.feed.reading {
        table.row([
            reader.who.as_deref().unwrap_or("-").into(),
            format!("{:.0}", reader.since).into(),
            reader.lag.to_string().into(),
        ]);
    }
    (!diagnosis.feed.reading.is_empty()).then_some(table)
}

fn sessions(diagnosis: &Diagnosis) -> Option<Table> {
    let mut table = Table::new(["OF", "TO", "BY", "VIEWERS", "SINCE", "SHOWN", "TYPED"]);
    for session in &diagnosis.sessions {
        let [shown, typed] = [session.shown, session.typed].map(|bytes| about(ByteSize(bytes)));
        table.row([
            subject(session).into(),
            session.kind.as_str().into(),
            session.caller.as_str().into(),
            session.viewers.to_string().into(),
            format!("{:.0}", session.since).into(),
            shown.into(),
            typed.into(),
        ]);
    }
    (!diagnosis.sessions.is_empty()).then_some(table)
}

/// What a session is open to, named as in the commands that are about it.
fn subject(session: &SessionDiagnosis) -> String {
    match (session.vm, &session.image) {
        (Some(vm), _) => vm.to_string(),
        (None, Some(image)) => format!("image {image}"),
        (None, None) => "a new VM".into(),
    }
}

fn interventions(diagnosis: &Diagnosis) -> Option<Table> {
    let mut table = Table::new(["AT", "BY", "WHAT"]);
    for done in &diagnosis.interventions {
        let at = format!("{:.0}", done.at);
        table.row([at.into(), done.caller.as_str().into(), done.what.as_str().into()]);
    }
    (!diagnosis.interventions.is_empty()).then_some(table)
}

fn problems(diagnosis: &Diagnosis) -> Option<Table> {
    let mut table = Table::new(["NAME", "ID", "STATE", "PROBLEM"]);
    for vm in &diagnosis.problems {
        let (id, problem) = (vm.vm.to_string(), vm.problem.as_str());
        table.row([vm.name.as_str().into(), id.into(), vm.state.as_str().into(), problem.into()]);
    }
    (!diagnosis.problems.is_empty()).then_some(table)
}

fn damage(journal: &JournalDiagnosis) -> Option<Table> {
    let mut table = Table::new(["WHAT IS DAMAGED"]);
    for damage in &journal.damage {
        table.row([damage.as_str().into()]);
    }
    (!journal.damage.is_empty()).then_some(table)
}

fn failures(diagnosis: &Diagnosis) -> Option<Table> {
    let mut table = Table::new(["TASK", "OPERATION", "OF", "ENDED", "ERROR"]);
    for failure in &diagnosis.failures {
        table.row([
            failure.task.to_string().into(),
            failure.operation.as_str().into(),
            failure.subject.as_str().into(),
            failure.at.map(|at| format!("{at:.0}")).unwrap_or_default().into(),
            failure.error.as_str().into(),
        ]);
    }
    (!diagnosis.failures.is_empty()).then_some(table)
}
