//! `inn vmadm`: the command of SmartOS, for those who know it and for their programs.
//!
//! Its words, outputs and exit codes are the ancestor's: data goes to the standard output, what was done is
//! said on the standard error, and it exits with 0, with 1 for whatever failed, or with 2 for what makes no
//! sense. VMs are shown as vminfod's door shows them, by the same code; they are asked of the daemon's own
//! socket, so that no door need be open, except by `events`.

mod change;
mod power;
mod table;

use super::{
    Context, lookup,
    vminfo::{DoorClient, Telling, Words, follow, name},
};
use crate::{
    client::{Answer, Call, Target, decode},
    failure::{Exit, Failure},
    mutation::settle,
    output::plain,
};
use clap::{Args, Parser, Subcommand};
use innkeeper_doors::vminfod;
use innkeeper_model::{Code, Task, Vm};
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;

/// Manage VMs with the words of SmartOS
#[derive(Debug, Parser)]
#[command(name = "inn vmadm", disable_version_flag = true)]
struct Vmadm {
    /// Accepted, and says no more
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Accepted, and says no more
    #[arg(short, long, global = true)]
    debug: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List VMs
    List(table::List),
    /// Find VMs
    Lookup(Lookup),
    /// Show one VM as JSON
    #[command(alias = "json")]
    Get(Uuid),
    /// Make a VM of a payload, and start it unless that says otherwise
    Create(Payload),
    /// Start a VM
    #[command(alias = "boot")]
    Start(power::Start),
    /// Stop a VM
    #[command(alias = "halt")]
    Stop(power::Stop),
    /// Restart a VM
    Reboot(power::Reboot),
    /// Change a VM, by key=value or a payload
    Update(change::Update),
    /// Delete a VM and its disks
    #[command(alias = "destroy")]
    Delete(Uuid),
    /// Show what happens to VMs, by way of vminfod's door
    Events(Events),
}

/// One VM.
#[derive(Debug, Args)]
struct Uuid {
    /// The VM's id
    uuid: String,
}

/// Where a payload comes from.
#[derive(Debug, Args)]
struct Payload {
    /// The file that has it, instead of the standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Lookup {
    /// As a JSON array of VMs, instead of their ids
    #[arg(short, long)]
    json: bool,
    /// Fail unless it is exactly one
    #[arg(short = '1', long)]
    unique: bool,
    /// Only these keys of them, with commas between
    #[arg(short, long, value_name = "KEY,...", value_delimiter = ',', requires = "json")]
    output: Vec<String>,
    /// What it has: key=value or key=~expression
    #[arg(value_name = "KEY=VALUE")]
    filters: Vec<String>,
}

#[derive(Debug, Args)]
struct Events {
    /// With whole dates and ids
    #[arg(short, long)]
    full: bool,
    /// As JSON, an object a line
    #[arg(short, long)]
    json: bool,
    /// The first event too, which has all VMs
    #[arg(short, long)]
    ready: bool,
    /// Only of this VM
    uuid: Option<String>,
}

pub(super) async fn run(context: &Context, words: Words) -> Result<(), Failure> {
    let Some(Vmadm { command, .. }) = words.parse::<Vmadm>(Exit::Usage)? else { return Ok(()) };
    let done = match command {
        Command::List(list) => table::run(context, list).await,
        Command::Lookup(asked) => find(context, asked).await,
        Command::Get(Uuid { uuid }) => get(context, &uuid).await,
        Command::Create(payload) => change::create(context, payload).await,
        Command::Start(start) => power::start(context, start).await,
        Command::Stop(stop) => power::stop(context, stop).await,
        Command::Reboot(reboot) => power::reboot(context, reboot).await,
        Command::Update(update) => change::update(context, update).await,
        Command::Delete(Uuid { uuid }) => change::delete(context, &uuid).await,
        Command::Events(asked) => events(context, asked).await,
    };
    done.map_err(|failure| told(context, failure))
}

/// Says what went wrong as the ancestor does, without a word before it: programs look for some of these
/// texts.
fn told(context: &Context, failure: Failure) -> Failure {
    if !failure.message.is_empty() {
        // Not kept back by --quiet, as no error is.
        context.output.ask(format_args!("{}\n", plain(&failure.to_string())));
    }
    Failure::silent(match failure.exit {
        Exit::Done => Exit::Done,
        Exit::Interrupted => Exit::Interrupted,
        _ => Exit::Failed,
    })
}

/// All VMs, as the protocol shows them and in its order.
///
/// # Errors
/// The daemon cannot be asked.
pub(super) async fn all(context: &Context) -> Result<Vec<Value>, Failure> {
    let target = Target::new("/v1/vms").with_any("project", context.project.as_deref());
    let vms = context.client.list(target).await?.into_iter();
    let mut vms = vms.map(decode::<Vm>).collect::<Result<Vec<_>, _>>()?;
    vminfod::sort(&mut vms);
    Ok(vms.iter().map(vminfod::object).collect())
}

/// The VM with this id.
///
/// # Errors
/// There is none, or the daemon cannot be asked.
async fn one(context: &Context, uuid: &str) -> Result<Vm, Failure> {
    decode(answered(context, uuid).await?.body)
}

/// The same, with the tag of what it is to be.
async fn answered(context: &Context, uuid: &str) -> Result<Answer, Failure> {
    // A name, or the beginning of an id, is none to this command.
    let absent = || Failure::new(Exit::Failed, format!("zoneadm: {uuid}: No such zone configured"));
    let id: innkeeper_model::VmId = uuid.parse().map_err(|_| absent())?;
    match context.client.get(Target::vm(id)).await {
        Err(failure) if failure.code == Some(Code::NotFound) => Err(absent()),
        answered => answered,
    }
}

/// Has something done, to its end.
///
/// # Errors
/// It was refused, or it failed.
async fn perform(context: &Context, call: Call) -> Result<Task, Failure> {
    #[derive(Deserialize)]
    struct Accepted {
        task: Task,
    }
    let answer = context.client.call(call).await?;
    let Accepted { task } = decode(answer.body)?;
    settle(&context.client, &context.output, task).await
}

async fn get(context: &Context, uuid: &str) -> Result<(), Failure> {
    let vm = vminfod::object(&one(context, uuid).await?);
    context.output.line(format_args!("{vm:#}"))
}

async fn find(context: &Context, asked: Lookup) -> Result<(), Failure> {
    let mut found = lookup::find(context, &asked.filters, asked.unique).await?;
    if !asked.json {
        let ids = found.iter().map(|vm| vm["uuid"].as_str().unwrap_or_default());
        return ids.into_iter().try_for_each(|id| context.output.line(id));
    }
    for key in &asked.output {
        table::check(key)?;
    }
    if !asked.output.is_empty() {
        found.iter_mut().filter_map(Value::as_object_mut).for_each(|vm| {
            vm.retain(|key, _| asked.output.contains(key));
        });
    }
    context.output.line(format_args!("{:#}", Value::from(found)))
}

async fn events(context: &Context, asked: Events) -> Result<(), Failure> {
    let Events { full, json, ready, uuid } = asked;
    if let Some(uuid) = &uuid {
        one(context, uuid).await?;
    }
    let door = DoorClient::new(None, &name("vmadm", "VMADM_IDENT"));
    let telling = Telling { json, full, ready, by_uuid: true };
    follow(&context.output, &door, uuid.as_deref(), telling).await
}
