//! `inn network create`, `list`, `get`, `edit`, `delete`.

mod create;
mod edit;
mod show;

pub(super) use create::{RouteFlags, parse_range};

use super::{
    Context, completion,
    dry_run::{self, DryRun},
};
use crate::{
    client::{Call, Target},
    failure::Failure,
    mutation::{Job, Shows, Waiting},
};
use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};
use clap_complete::engine::ArgValueCompleter;

#[derive(Debug, Subcommand)]
pub(super) enum NetworkCommand {
    /// Create a network, on a bridge of its own or on one of the host's
    Create(create::Create),
    /// List networks
    #[command(visible_alias = "ls")]
    List(show::List),
    /// Show one network
    Get(NetworkArg),
    /// Change a network: with flags, or without any in an editor
    Edit(edit::Edit),
    /// Delete networks that no VM is on, and their subnets
    #[command(visible_alias = "rm")]
    Delete(Delete),
}

/// One network.
#[derive(Debug, Args)]
pub(super) struct NetworkArg {
    /// The network: its name, its id, or the beginning of either
    #[arg(
        value_name = "NETWORK",
        value_parser = NonEmptyStringValueParser::new(),
        add = ArgValueCompleter::new(completion::network_names),
    )]
    network: String,
}

#[derive(Debug, Args)]
pub(super) struct Delete {
    /// The networks: their names, their ids, or the beginnings of either
    #[arg(
        value_name = "NETWORK",
        required = true,
        value_parser = NonEmptyStringValueParser::new(),
        add = ArgValueCompleter::new(completion::network_names),
    )]
    networks: Vec<String>,
    #[command(flatten)]
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(context: &Context, command: NetworkCommand) -> Result<(), Failure> {
    match command {
        NetworkCommand::Create(network) => create::run(context, network).await,
        NetworkCommand::List(list) => show::list(context, list).await,
        NetworkCommand::Get(network) => show::get(context, &network.network).await,
        NetworkCommand::Edit(network) => edit::run(context, network).await,
        NetworkCommand::Delete(networks) => delete(context, networks).await,
    }
}

/// The network that the caller means.
fn target(name: impl std::fmt::Display) -> Target {
    Target::new("/v1/networks").segment(name)
}

async fn delete(context: &Context, networks: Delete) -> Result<(), Failure> {
    let job = |name: String| {
        let call = Call::delete(target(&name));
        Job { subject: name, call, done: "deleted", shows: Shows::Task }
    };
    let jobs = networks.networks.into_iter().map(job).collect();
    dry_run::carry_out(context, networks.planning, networks.waiting, jobs).await
}
