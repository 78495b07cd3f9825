//! `inn agent`: what the agent in a guest is, and what it does to the guest.

use super::{Context, VmArg};
use crate::{
    client::{Call, Lines, decode, incomprehensible},
    failure::{Exit, Failure},
    figures::parse_duration,
    output::{Format, Table},
};
use clap::{Args, Subcommand};
use innkeeper_model::{GuestSystem, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    io,
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
    time::{Duration, Instant},
};
use tokio::process::Command;

/// How long the daemon may take to answer. A guest may take a minute to write out what it holds back.
const ANSWERED_WITHIN: Duration = Duration::from_secs(90);

#[derive(Debug, Args)]
#[command(after_help = "Needs qemu-guest-agent in the guest. What it says is the guest's word.")]
pub(super) struct Agent {
    #[command(flatten)]
    vm: VmArg,
    #[command(subcommand)]
    verb: AgentVerb,
}

#[derive(Debug, Subcommand)]
enum AgentVerb {
    /// Show what it is, and what it says of its guest
    Info,
    /// Ask whether it is there
    Ping,
    /// Hold the guest's file systems still while a command runs here, or until Ctrl-C
    Freeze(Freeze),
    /// Let the guest's file systems go on, whoever holds them still
    Thaw,
    /// Set the guest's clock
    SetTime(SetTime),
}

#[derive(Debug, Args)]
#[command(
    after_help = "They go on when the command has ended, when this program ends for whatever reason, \
    and when the time is over; then it fails. The exit code is the command's."
)]
struct Freeze {
    /// How long at most, up to 10m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    timeout: Duration,
    /// What to run on this host meanwhile
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Debug, Args)]
struct SetTime {
    /// What to set it to, as 2026-01-31T12:00:00Z; the daemon's clock where nothing is said
    #[arg(value_name = "TIME")]
    time: Option<Timestamp>,
}

/// What the daemon says of an agent.
#[derive(Deserialize)]
struct Known {
    agent: Version,
    #[serde(default)]
    system: System,
    interfaces: Vec<Interface>,
}

#[derive(Deserialize)]
struct Version {
    version: String,
}

#[derive(Default, Deserialize)]
struct System {
    pretty_name: Option<String>,
    kernel_release: Option<String>,
}

#[derive(Deserialize)]
struct Interface {
    name: String,
    mac: Option<String>,
    addresses: Vec<Address>,
}

#[derive(Deserialize)]
struct Address {
    address: String,
    prefix: u8,
}

/// A line of what the daemon says while it holds file systems still.
#[derive(Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum Notice {
    Frozen { file_systems: u64, until: Timestamp },
    Thawed,
    Unknown { problem: String },
}

pub(super) async fn run(context: &Context, agent: Agent) -> Result<(), Failure> {
    let vm = &agent.vm.vm;
    let output = &context.output;
    match agent.verb {
        AgentVerb::Info => info(context, vm).await,
        AgentVerb::Ping => {
            let asked = Instant::now();
            post(context, vm, "ping", None).await?;
            output.talk(format_args!("{vm}: answered in {} ms", asked.elapsed().as_millis()));
            Ok(())
        }
        AgentVerb::Freeze(freeze) => hold(context, vm, freeze).await,
        AgentVerb::Thaw => {
            post(context, vm, "thaw", None).await?;
            output.talk(format_args!("{vm}: thawed"));
            Ok(())
        }
        AgentVerb::SetTime(SetTime { time }) => {
            let body = time.map(|time| json!({ "time": time }));
            post(context, vm, "set-time", body).await?;
            output.talk(format_args!("{vm}: its clock is set"));
            Ok(())
        }
    }
}

fn call(context: &Context, vm: &str, verb: &str, body: Option<Value>) -> Call {
    let call = Call::post(context.of_vm(vm, "agent").segment(verb)).within(ANSWERED_WITHIN);
    match body {
        Some(body) => call.with_body(body),
        None => call,
    }
}

async fn post(context: &Context, vm: &str, verb: &str, body: Option<Value>) -> Result<(), Failure> {
    context.client.open(call(context, vm, verb, body)).await.map(drop)
}

async fn info(context: &Context, vm: &str) -> Result<(), Failure> {
    let output = &context.output;
    let call = Call::get(context.of_vm(vm, "agent")).within(ANSWERED_WITHIN);
    let body = context.client.call(call).await?.body;
    if !matches!(output.format, Format::Table) {
        return output.document(&body);
    }
    let Known { agent, system, interfaces } = decode(body)?;
    let mut table = Table::of_fields();
    table.field("agent", agent.version);
    for (name, known) in [("system", system.pretty_name), ("kernel", system.kernel_release)] {
        if let Some(known) = known {
            table.field(name, known);
        }
    }
    for Interface { name, mac, addresses } in interfaces {
        let mac = mac.map(|mac| format!(" ({mac})")).unwrap_or_default();
        let addresses =
            addresses.iter().map(|Address { address, prefix }| format!(" {address}/{prefix}"));
        table.field("interface", format!("{name}{mac}:{}", addresses.collect::<String>()));
    }
    output.table(&table)
}

/// What a guest says of itself, in one line.
pub(super) fn in_words(guest: &GuestSystem) -> String {
    let GuestSystem { hostname, os, kernel } = guest;
    let known: Vec<_> = [hostname, os, kernel].into_iter().flatten().map(String::as_str).collect();
    known.join(", ")
}

async fn hold(context: &Context, vm: &str, freeze: Freeze) -> Result<(), Failure> {
    let body = json!({ "timeout_s": freeze.timeout.as_secs().max(1) });
    // Its end, however it comes, is the end of this connection, and of the hold.
    let answer = context.client.open(call(context, vm, "freeze", Some(body))).await?;
    let mut lines = Lines::of(answer.into_body());
    match next(&mut lines).await? {
        Notice::Frozen { file_systems, until } => context.output.talk(format_args!(
            "{vm}: {file_systems} file systems are held still until {until:.0} at most"
        )),
        notice => return over(notice),
    }
    let [program, arguments @ ..] = &*freeze.command else {
        over(next(&mut lines).await?)?;
        context.output.talk(format_args!("{vm}: thawed"));
        return Ok(());
    };
    let mut command = Command::new(program);
    let mut running = command.args(arguments).spawn().map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot run {program}")).because(&error)
    })?;
    tokio::select! {
        biased;
        ended = running.wait() => {
            post(context, vm, "thaw", None).await?;
            over(next(&mut lines).await?)?;
            how_it_ended(program, ended)
        }
        early = next(&mut lines) => {
            // The command is let end: what it does is none of the daemon's affair.
            let _ = running.wait().await;
            over(early?)?;
            let message = format!("the file systems went on before {program} had ended");
            Err(Failure::new(Exit::Timeout, message).with_hint("give it a longer --timeout"))
        }
    }
}

async fn next(lines: &mut Lines) -> Result<Notice, Failure> {
    let line = lines.next().await?.ok_or_else(|| {
        Failure::new(Exit::Unreachable, "the daemon ended before it said that they go on")
            .with_hint("inn agent VM thaw, when it is back")
    })?;
    serde_json::from_slice(&line).map_err(|error| incomprehensible(&error))
}

/// The last line says that they go on.
fn over(notice: Notice) -> Result<(), Failure> {
    match notice {
        Notice::Thawed => Ok(()),
        Notice::Frozen { .. } => Err(Failure::new(Exit::Failed, "they are held still")),
        Notice::Unknown { problem } => {
            let message = "the guest did not say that its file systems go on";
            Err(Failure::new(Exit::Failed, message).with_hint(problem))
        }
    }
}

fn how_it_ended(program: &str, ended: io::Result<ExitStatus>) -> Result<(), Failure> {
    let ended = ended.map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot wait for {program}")).because(&error)
    })?;
    if ended.success() {
        return Ok(());
    }
    let code = ended.code().or(ended.signal().map(|signal| signal + 128));
    let code = code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Err(Failure::silent(Exit::Program(code)))
}
