//! `inn network list` and `get`.

use super::target;
use crate::{
    cli::Context,
    client::{Target, decode},
    failure::Failure,
    figures::age,
    output::{Cell, Format, Table, Tint},
};
use clap::Args;
use innkeeper_model::{ShownNetwork, ShownSubnet, Timestamp, network::DhcpState};

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Only those with this name; a * at its end stands for anything
    #[arg(long)]
    name: Option<String>,
    /// Only those with this label (can be repeated)
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_label)]
    label: Vec<(String, String)>,
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.into(), value.into()))
}

pub(super) async fn list(context: &Context, list: List) -> Result<(), Failure> {
    let output = &context.output;
    let mut target = Target::new("/v1/networks").with_any("name", list.name);
    for (key, value) in list.label {
        target = target.with(&format!("label.{key}"), value);
    }
    let items = context.client.list(target).await?;
    if matches!(output.format, Format::Json | Format::Yaml) {
        return output.document(&items);
    }
    let networks: Vec<ShownNetwork> = items.into_iter().map(decode).collect::<Result<_, _>>()?;
    if output.format == Format::Name {
        return networks.iter().try_for_each(|network| output.line(&network.config.name));
    }
    if networks.is_empty() {
        output.talk("there are no such networks; make one with inn network create");
        return Ok(());
    }
    let now = Timestamp::now();
    let mut table = Table::new(["NAME", "STATE", "BRIDGE", "SUBNETS", "NAT", "AGE", "NOTE"]);
    for network in networks {
        let ranges: Vec<_> =
            network.subnets.iter().map(|subnet| subnet.config.range.to_string()).collect();
        table.row([
            network.config.name.as_str().into(),
            state(&network),
            network.bridge.as_str().into(),
            ranges.join(",").into(),
            yes(network.config.has_nat()).into(),
            age(network.created, now).into(),
            network.facts.problem.unwrap_or_default().into(),
        ]);
    }
    output.table(&table)
}

pub(super) async fn get(context: &Context, name: &str) -> Result<(), Failure> {
    let output = &context.output;
    let body = context.client.get(target(name)).await?.body;
    match output.format {
        Format::Json | Format::Yaml => output.document(&body),
        Format::Name => output.line(decode::<ShownNetwork>(body)?.config.name),
        Format::Table => output.table(&table(&decode(body)?)),
    }
}

fn table(network: &ShownNetwork) -> Table {
    let ShownNetwork { config, facts, .. } = network;
    let mut table = Table::of_fields();
    table.field("name", config.name.as_str());
    table.field("id", network.id.to_string());
    table.field("state", state(network));
    if let Some(problem) = &facts.problem {
        table.field("problem", Cell::tinted(problem, Tint::Bad));
    }
    for what in facts.mended.iter().flat_map(|mended| &mended.what) {
        table.field("mended", what);
    }
    if let Some(mended) = &facts.mended {
        table.field("mended at", format!("{:.0}", mended.at));
    }
    if !config.description.is_empty() {
        table.field("description", &config.description);
    }
    for (key, value) in config.labels.iter() {
        table.field("label", format!("{key}={value}"));
    }
    let whose = if config.is_made() { "made" } else { "joined" };
    table.field("bridge", format!("{} ({whose})", network.bridge));
    if let Some(vlan) = config.vlan {
        table.field("vlan", vlan.to_string());
    }
    if let Some(mtu) = facts.mtu.or(config.mtu.map(u32::from)) {
        table.field("mtu", mtu.to_string());
    }
    table.field("nat", yes(config.has_nat()));
    table.field("isolated", yes(config.isolated));
    if let Some(dhcp) = facts.dhcp {
        table.field("dhcp", self::dhcp(dhcp));
    }
    for subnet in &network.subnets {
        table.field("subnet", describe(subnet));
    }
    for lease in &facts.leases {
        let mac = lease.mac.map(|mac| format!(", {mac}")).unwrap_or_default();
        let name = lease.hostname.as_ref().map(|name| format!(", {name}")).unwrap_or_default();
        table.field("lease", format!("{}{mac}{name}", lease.address));
    }
    table.field("created", format!("{:.0}", network.created));
    table.field("revision", network.revision.to_string());
    table
}

fn describe(subnet: &ShownSubnet) -> String {
    let ShownSubnet { config, reserved, .. } = subnet;
    let mut text = format!("{}, gateway {}", config.range, config.gateway());
    if let Some(name) = &config.name {
        text = format!("{name}, {text}");
    }
    if *reserved > 0 {
        text.push_str(&format!(", {reserved} reserved"));
    }
    text
}

fn state(network: &ShownNetwork) -> Cell {
    match (network.facts.up, network.facts.dhcp) {
        (false, _) => Cell::tinted("down", Tint::Bad),
        (true, Some(DhcpState::Down)) => Cell::tinted("no dhcp", Tint::Busy),
        (true, _) => Cell::tinted("up", Tint::Good),
    }
}

fn dhcp(state: DhcpState) -> Cell {
    match state {
        DhcpState::Running => Cell::tinted("running", Tint::Good),
        DhcpState::Down => Cell::tinted("down, and being started again", Tint::Busy),
    }
}

const fn yes(whether: bool) -> &'static str {
    if whether { "yes" } else { "no" }
}
