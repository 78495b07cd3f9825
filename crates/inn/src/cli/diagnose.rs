//! `inn diagnose ...`: the daemon when something is stuck, and what an operator can do by hand.

mod archive;
mod bundle;
mod by_hand;
mod sections;

use super::Context;
use crate::{
    client::{Answer, Call, Client, Target, broken, decode},
    failure::{Exit, Failure},
    folders::Surroundings,
    output::Format,
};
use clap::{Args, Subcommand};
use http_body_util::BodyExt;
use std::time::Duration;
use tokio::time::timeout;

/// How long the socket of the diagnosis may take: it waits for nothing.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "It is asked of a socket of its own (diagnose.sock in the runtime folder), which a thread of \
    its own answers while everything else of the daemon is stuck. What is done by hand is on record: \
    inn audit."
)]
pub(super) struct Diagnose {
    #[command(subcommand)]
    command: Option<DiagnoseCommand>,
}

#[derive(Debug, Subcommand)]
enum DiagnoseCommand {
    /// Write everything that helps to find out what is wrong to one file, without secrets
    Bundle(bundle::Bundle),
    /// Have a VM looked at now, as if its hypervisor had told of a change
    Reconcile(super::VmArg),
    /// Let nothing new begin on a VM; what has begun goes on
    Pause(super::VmArg),
    /// Let what waits for a paused VM begin
    Unpause(super::VmArg),
    /// Set how much the daemon logs, until its end
    LogLevel(by_hand::LogLevel),
}

pub(super) async fn run(
    context: &Context,
    surroundings: &Surroundings,
    diagnose: Diagnose,
) -> Result<(), Failure> {
    match diagnose.command {
        None => show(context, surroundings).await,
        Some(DiagnoseCommand::Bundle(bundle)) => bundle::run(context, surroundings, bundle).await,
        Some(DiagnoseCommand::Reconcile(vm)) => by_hand::reconcile(context, &vm.vm).await,
        Some(DiagnoseCommand::Pause(vm)) => by_hand::pause(context, &vm.vm).await,
        Some(DiagnoseCommand::Unpause(vm)) => by_hand::unpause(context, &vm.vm).await,
        Some(DiagnoseCommand::LogLevel(level)) => by_hand::log_level(context, &level).await,
    }
}

async fn show(context: &Context, surroundings: &Surroundings) -> Result<(), Failure> {
    let output = &context.output;
    let body = ask(context, surroundings, diagnosis()).await?.body;
    match output.format {
        Format::Json | Format::Yaml => output.document(&body),
        Format::Name | Format::Table => sections::show(output, &decode(body)?),
    }
}

fn diagnosis() -> Target {
    Target::new("/v1/diagnostics")
}

/// Asks the socket of the diagnosis, or, where that does not answer, the daemon's other one.
async fn ask(
    context: &Context,
    surroundings: &Surroundings,
    target: Target,
) -> Result<Answer, Failure> {
    let call = Call::get(target).within(ANSWERS_WITHIN);
    of_either(context, surroundings, async |client| client.call(call.clone()).await).await
}

/// The same of what is no document: its bytes.
async fn ask_text(
    context: &Context,
    surroundings: &Surroundings,
    target: Target,
) -> Result<Vec<u8>, Failure> {
    of_either(context, surroundings, async |client| text(client, target.clone()).await).await
}

/// What the daemon has at this address, as it came.
async fn text(client: &Client, target: Target) -> Result<Vec<u8>, Failure> {
    let response = client.open(Call::get(target).within(ANSWERS_WITHIN)).await?;
    let body = timeout(ANSWERS_WITHIN, response.into_body().collect())
        .await
        .map_err(|_| Failure::new(Exit::Timeout, "the daemon did not go on with its answer"))?;
    Ok(body.map_err(|error| broken(&error))?.to_bytes().to_vec())
}

async fn of_either<T>(
    context: &Context,
    surroundings: &Surroundings,
    asking: impl AsyncFn(&Client) -> Result<T, Failure>,
) -> Result<T, Failure> {
    // That socket is another host's.
    if context.client.is_elsewhere() {
        return asking(&context.client).await;
    }
    let apart = Client::new(surroundings.diagnose_socket()?);
    match asking(&apart).await {
        Err(failure) if matches!(failure.exit, Exit::Unreachable | Exit::Timeout) => {
            asking(&context.client).await
        }
        answered => answered,
    }
}
