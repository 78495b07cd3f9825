//! `inn subnet create`, `list`, `get`, `delete`, `reserve`, `release`, `reservations`.

mod reservations;
mod show;

use super::{
    Context, completion,
    dry_run::{self, DryRun},
    network::{RouteFlags, parse_range},
};
use crate::{
    client::{Call, Target},
    failure::Failure,
    mutation::{Job, Shows, Waiting},
};
use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};
use clap_complete::engine::ArgValueCompleter;
use innkeeper_model::{NetworkName, SubnetConfig};
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(super) enum SubnetCommand {
    /// Put a range of addresses on a network
    Create(Create),
    /// List subnets, and how much of them is taken
    #[command(visible_alias = "ls")]
    List(show::List),
    /// Show one subnet
    Get(SubnetArg),
    /// Delete subnets that no guest has an address of
    #[command(visible_alias = "rm")]
    Delete(Delete),
    /// Keep addresses for something other than a VM's NIC
    Reserve(reservations::Reserve),
    /// Give such addresses back
    Release(reservations::Release),
    /// List what a subnet keeps
    Reservations(reservations::List),
}

/// One subnet.
#[derive(Debug, Args)]
pub(super) struct SubnetArg {
    /// The subnet: its range, its name, its id, or the beginning of one of these
    #[arg(
        value_name = "SUBNET",
        value_parser = NonEmptyStringValueParser::new(),
        add = ArgValueCompleter::new(completion::subnet_ranges),
    )]
    subnet: String,
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// The range, such as 10.87.0.0/24 or fd00:87::/64
    #[arg(value_parser = parse_range)]
    range: SubnetConfig,
    /// The network that it is put on
    #[arg(
        long,
        value_parser = NonEmptyStringValueParser::new(),
        add = ArgValueCompleter::new(completion::network_names),
    )]
    network: String,
    /// Its name in its network; the range if nothing is said
    #[arg(long)]
    name: Option<NetworkName>,
    #[command(flatten)]
    routes: RouteFlags,
    #[command(flatten)]
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

#[derive(Debug, Args)]
pub(super) struct Delete {
    /// The subnets: their ranges, their names, their ids, or the beginnings of these
    #[arg(
        value_name = "SUBNET",
        required = true,
        value_parser = NonEmptyStringValueParser::new(),
        add = ArgValueCompleter::new(completion::subnet_ranges),
    )]
    subnets: Vec<String>,
    #[command(flatten)]
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(context: &Context, command: SubnetCommand) -> Result<(), Failure> {
    match command {
        SubnetCommand::Create(subnet) => create(context, subnet).await,
        SubnetCommand::List(list) => show::list(context, list).await,
        SubnetCommand::Get(subnet) => show::get(context, &subnet.subnet).await,
        SubnetCommand::Delete(subnets) => delete(context, subnets).await,
        SubnetCommand::Reserve(reserve) => reservations::reserve(context, reserve).await,
        SubnetCommand::Release(release) => reservations::release(context, release).await,
        SubnetCommand::Reservations(list) => reservations::list(context, list).await,
    }
}

/// The subnet that the caller means.
fn target(subnet: &str) -> Target {
    Target::new("/v1/subnets").segment(subnet)
}

async fn create(context: &Context, create: Create) -> Result<(), Failure> {
    let Create { range: mut config, network, name, routes, planning, waiting } = create;
    routes.apply(std::slice::from_mut(&mut config))?;
    config.name = name;
    let subject = config.range.to_string();
    let mut body = json!(config);
    body["network"] = network.into();
    let call = Call::post(Target::new("/v1/subnets")).with_body(body);
    let job = Job { subject, call, done: "subnet created", shows: Shows::Subnet };
    dry_run::carry_out(context, planning, waiting, vec![job]).await
}

async fn delete(context: &Context, subnets: Delete) -> Result<(), Failure> {
    let job = |subnet: String| {
        let call = Call::delete(target(&subnet));
        Job { subject: subnet, call, done: "subnet deleted", shows: Shows::Task }
    };
    let jobs = subnets.subnets.into_iter().map(job).collect();
    dry_run::carry_out(context, subnets.planning, subnets.waiting, jobs).await
}
