//! `inn project list`, `get`, `set`, `delete`.

use super::{Context, completion};
use crate::{
    client::{Call, Target, decode},
    failure::Failure,
    output::{Cell, Format, Table, Tint},
};
use clap::{ArgGroup, Args, Subcommand};
use clap_complete::engine::ArgValueCompleter;
use innkeeper_model::{ByteSize, Counted, Mebibytes, Project, ProjectName, QuotaSource};
use serde_json::{Map, Value, json};
use std::{fmt::Display, str::FromStr};

/// What takes a bound away.
const NONE: &str = "none";

#[derive(Debug, Subcommand)]
pub(super) enum ProjectCommand {
    /// List projects, and what each has of what it may take
    #[command(visible_alias = "ls")]
    List,
    /// Show what a project may take, and has
    Get(ProjectArg),
    /// Bound what the VMs of a project may take
    Set(Box<Set>),
    /// Take a project's own quota away: what the configuration says holds for it then
    #[command(visible_alias = "rm")]
    Delete(Delete),
}

/// One project.
#[derive(Debug, Args)]
pub(super) struct ProjectArg {
    /// The project's name
    #[arg(value_name = "NAME", add = ArgValueCompleter::new(completion::project_names))]
    name: ProjectName,
}

#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("bounds").required(true).multiple(true)
        .args(["vms", "cpus", "memory", "disk", "addresses"])),
    after_help = "What is not named stays as it is. What the project has already stays, too, and where that \
    is more than it may take now, it gets no more. A project is a name that VMs carry: nobody has to make \
    it first."
)]
pub(super) struct Set {
    #[command(flatten)]
    project: ProjectArg,
    /// How many VMs there may be, running or not; none is without bound, here and below
    #[arg(long, value_name = "N", value_parser = bound::<u64>)]
    vms: Option<Value>,
    /// Virtual CPUs of running VMs
    #[arg(long, value_name = "N", visible_alias = "vcpus", value_parser = bound::<u64>)]
    cpus: Option<Value>,
    /// Memory of running VMs
    #[arg(long, value_name = "SIZE", value_parser = bound::<Mebibytes>)]
    memory: Option<Value>,
    /// What the disks of VMs may grow to, running or not
    #[arg(long, value_name = "SIZE", value_parser = bound::<ByteSize>)]
    disk: Option<Value>,
    /// Addresses that networks keep for their NICs
    #[arg(long, value_name = "N", value_parser = bound::<u64>)]
    addresses: Option<Value>,
}

#[derive(Debug, Args)]
pub(super) struct Delete {
    #[command(flatten)]
    project: ProjectArg,
    /// Though it has VMs, which may lose their bounds; or though what is stored of it is damaged
    #[arg(long)]
    force: bool,
}

/// A bound as JSON; null, where there is to be none.
fn bound<T>(text: &str) -> Result<Value, String>
where
    T: FromStr<Err: Display> + serde::Serialize,
{
    if text == NONE {
        return Ok(Value::Null);
    }
    let bound: T = text.parse().map_err(|problem| format!("{problem}; or write {NONE}"))?;
    Ok(json!(bound))
}

impl Set {
    /// What the flags say, as a merge patch.
    fn changes(self) -> (ProjectName, Map<String, Value>) {
        let Self { project, vms, cpus, memory, disk, addresses } = self;
        let bounds = [vms, cpus, memory, disk, addresses];
        let named = Counted::ALL.into_iter().zip(bounds);
        let changes = named.filter_map(|(counted, bound)| Some((counted.name().into(), bound?)));
        (project.name, changes.collect())
    }
}

pub(super) async fn run(context: &Context, command: ProjectCommand) -> Result<(), Failure> {
    match command {
        ProjectCommand::List => list(context).await,
        ProjectCommand::Get(project) => {
            let answer = context.client.get(target(&project.name)).await?;
            show(context, answer.body)
        }
        ProjectCommand::Set(set) => {
            let (name, changes) = set.changes();
            let call = Call::patch(target(&name)).with_body(changes.into());
            show(context, context.client.call(call).await?.body)
        }
        ProjectCommand::Delete(delete) => {
            let call = Call::delete(target(&delete.project.name));
            let call = if delete.force { call.with_parameter("force", true) } else { call };
            show(context, context.client.call(call).await?.body)
        }
    }
}

fn target(name: &ProjectName) -> Target {
    Target::new("/v1/projects").segment(name)
}

async fn list(context: &Context) -> Result<(), Failure> {
    let output = &context.output;
    let items = context.client.list(Target::new("/v1/projects")).await?;
    if matches!(output.format, Format::Json | Format::Yaml) {
        return output.document(&items);
    }
    let projects: Vec<Project> = items.into_iter().map(decode).collect::<Result<_, _>>()?;
    if output.format == Format::Name {
        return projects.iter().try_for_each(|project| output.line(&project.name));
    }
    if projects.is_empty() {
        output.talk("no project has VMs or bounds; bound one with inn project set");
        return Ok(());
    }
    output.table(&table(&projects))
}

/// What is taken, of how much where there is a bound.
fn table(projects: &[Project]) -> Table {
    let mut table = Table::new(["NAME", "VMS", "CPUS", "MEMORY", "DISK", "ADDRESSES", "QUOTA"]);
    for project in projects {
        let [vms, cpus, memory, disk, addresses] =
            Counted::ALL.map(|counted| amount(project, counted, "/"));
        let name = project.name.as_str().into();
        table.row([name, vms, cpus, memory, disk, addresses, quota_from(project)]);
    }
    table
}

fn show(context: &Context, body: Value) -> Result<(), Failure> {
    let output = &context.output;
    if matches!(output.format, Format::Json | Format::Yaml) {
        return output.document(&body);
    }
    let project: Project = decode(body)?;
    if output.format == Format::Name {
        return output.line(&project.name);
    }
    let mut table = Table::of_fields();
    table.field("name", project.name.as_str());
    table.field("quota", quota_from(&project));
    if let Some(problem) = &project.problem {
        table.field("problem", Cell::tinted(problem, Tint::Bad));
    }
    for counted in Counted::ALL {
        table.field(counted.name(), amount(&project, counted, " of "));
    }
    output.table(&table)
}

fn amount(project: &Project, counted: Counted, of: &str) -> Cell {
    let used = counted.shown(project.used.of(counted));
    match project.quota.of(counted) {
        None => used.into(),
        Some(bound) => {
            let is_over = project.over.iter().any(|over| over == counted.name());
            let tint = if is_over { Tint::Bad } else { Tint::Plain };
            Cell::tinted(format!("{used}{of}{}", counted.shown(bound)), tint)
        }
    }
}

/// Who said what it may take.
fn quota_from(project: &Project) -> Cell {
    match (&project.problem, project.quota_from) {
        (Some(_), _) => Cell::tinted("damaged", Tint::Bad),
        (None, QuotaSource::Default) => Cell::tinted("default", Tint::Faint),
        (None, from) => from.as_str().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        command: ProjectCommand,
    }

    fn changes(flags: &str) -> Result<Value, String> {
        let words = ["project", "set", "web"].into_iter().chain(flags.split_whitespace());
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        let ProjectCommand::Set(set) = line.command else { panic!("{line:?}") };
        let (name, changes) = set.changes();
        assert_eq!(name.as_str(), "web");
        Ok(changes.into())
    }

    #[test]
    fn flags_say_what_changes_and_nothing_else() {
        for (flags, expected) in [
            ("--vms 10", json!({ "vms": 10 })),
            ("--vms none --vcpus 32", json!({ "vms": null, "cpus": 32 })),
            (
                "--cpus 1 --memory 64GiB --disk 1.5TiB --addresses 0",
                json!({ "cpus": 1, "memory": "64GiB", "disk": "1536GiB", "addresses": 0 }),
            ),
        ] {
            assert_eq!(changes(flags), Ok(expected), "{flags}");
        }
    }

    #[test]
    fn what_is_no_bound_is_refused() {
        for (flags, says) in [
            ("", "--vms"),
            ("--vms many", "or write none"),
            ("--vms -1", "-1"),
            ("--memory 64", "no unit"),
            ("--disk all", "or write none"),
        ] {
            let problem = changes(flags).unwrap_err();
            assert!(problem.contains(says), "{flags}: {problem}");
        }
    }

    #[test]
    fn a_row_says_what_is_taken_of_what() {
        let project = json!({
            "name": "web", "revision": 1, "quota_from": "own", "over": ["cpus"],
            "quota": { "vms": 3, "cpus": 1, "memory": "2GiB" },
            "used": { "vms": 3, "cpus": 2, "memory": "1GiB", "disk": "5GiB", "addresses": 7 },
        });
        let projects = [serde_json::from_value(project).unwrap()];
        let text = table(&projects).render(false);
        let row: Vec<_> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row, ["web", "3/3", "2/1", "1GiB/2GiB", "5GiB", "7", "own"]);
    }
}
