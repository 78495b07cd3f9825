//! `inn subnet list` and `get`.

use super::target;
use crate::{
    cli::{Context, completion},
    client::{Target, decode},
    failure::Failure,
    output::{Format, Table},
};
use clap::{Args, builder::NonEmptyStringValueParser};
use clap_complete::engine::ArgValueCompleter;
use innkeeper_model::{NetworkName, SubnetConfig, SubnetId};
use serde::Deserialize;

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Only those of this network
    #[arg(
        long,
        value_parser = NonEmptyStringValueParser::new(),
        add = ArgValueCompleter::new(completion::network_names),
    )]
    network: Option<String>,
}

/// A subnet as the daemon shows it.
#[derive(Debug, Deserialize)]
struct Shown {
    id: SubnetId,
    config: SubnetConfig,
    network_name: NetworkName,
    reserved: usize,
    size: u64,
    taken: usize,
}

/// What the daemon says where there are more addresses than a JSON number holds.
const MANY: u64 = (1 << 53) - 1;

fn size(size: u64) -> String {
    if size >= MANY { "many".into() } else { size.to_string() }
}

pub(super) async fn list(context: &Context, list: List) -> Result<(), Failure> {
    let output = &context.output;
    let target = Target::new("/v1/subnets").with_any("network", list.network);
    let items = context.client.list(target).await?;
    if matches!(output.format, Format::Json | Format::Yaml) {
        return output.document(&items);
    }
    let subnets: Vec<Shown> = items.into_iter().map(decode).collect::<Result<_, _>>()?;
    if output.format == Format::Name {
        return subnets.iter().try_for_each(|subnet| output.line(subnet.config.range));
    }
    if subnets.is_empty() {
        output.talk("there are no such subnets; make one with inn subnet create");
        return Ok(());
    }
    let headings = ["RANGE", "NAME", "NETWORK", "GATEWAY", "TAKEN", "SIZE", "RESERVED"];
    let mut table = Table::new(headings);
    for Shown { config, network_name, reserved, size, taken, .. } in subnets {
        table.row([
            config.range.to_string().into(),
            config.name.as_ref().map(ToString::to_string).unwrap_or_default().into(),
            network_name.as_str().into(),
            config.gateway().to_string().into(),
            taken.to_string().into(),
            self::size(size).into(),
            reserved.to_string().into(),
        ]);
    }
    output.table(&table)
}

pub(super) async fn get(context: &Context, subnet: &str) -> Result<(), Failure> {
    let output = &context.output;
    let body = context.client.get(target(subnet)).await?.body;
    if matches!(output.format, Format::Json | Format::Yaml) {
        return output.document(&body);
    }
    let Shown { id, config, network_name, reserved, size, taken } = decode(body)?;
    if output.format == Format::Name {
        return output.line(config.range);
    }
    let mut table = Table::of_fields();
    table.field("range", config.range.to_string());
    table.field("id", id.to_string());
    if let Some(name) = &config.name {
        table.field("name", name.as_str());
    }
    table.field("network", network_name.as_str());
    table.field("gateway", config.gateway().to_string());
    for dns in &config.dns {
        table.field("dns", dns.to_string());
    }
    if let Some(dhcp) = config.dhcp {
        table.field("dhcp", if dhcp { "yes" } else { "no" });
    }
    table.field("taken", format!("{taken} of {}", self::size(size)));
    if reserved > 0 {
        table.field("reserved", format!("{reserved} of those: inn subnet reservations {id}"));
    }
    output.table(&table)
}
