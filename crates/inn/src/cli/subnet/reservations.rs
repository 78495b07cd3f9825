//! `inn subnet reserve`, `release`, `reservations`.

use super::{SubnetArg, target};
use crate::{
    cli::{
        Context,
        dry_run::{self, DryRun},
    },
    client::{Call, decode},
    failure::Failure,
    mutation::{Job, Shows, Waiting},
    output::{Format, Table},
};
use clap::Args;
use innkeeper_model::{NetworkName, config::MacAddress, network::Reservation};
use serde_json::{Value, json};
use std::net::IpAddr;

#[derive(Debug, Args)]
pub(in crate::cli) struct Reserve {
    #[command(flatten)]
    subnet: SubnetArg,
    /// The addresses; without any, so many that are free as --count says, or one
    #[arg(value_name = "ADDRESS")]
    addresses: Vec<IpAddr>,
    /// So many, whichever are free
    #[arg(long, conflicts_with = "addresses", conflicts_with = "mac")]
    count: Option<usize>,
    /// Who gets the address by DHCP
    #[arg(long, value_name = "MAC")]
    mac: Option<MacAddress>,
    /// What they are kept for; inn subnet reservations --name finds them by it
    #[arg(long)]
    name: Option<NetworkName>,
    #[command(flatten)]
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Release {
    #[command(flatten)]
    subnet: SubnetArg,
    /// The addresses
    #[arg(value_name = "ADDRESS", required = true)]
    addresses: Vec<IpAddr>,
    #[command(flatten)]
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    subnet: SubnetArg,
    /// Only what is kept for this
    #[arg(long)]
    name: Option<NetworkName>,
    /// Only what is kept for this hardware address
    #[arg(long, value_name = "MAC")]
    mac: Option<MacAddress>,
}

pub(super) async fn reserve(context: &Context, reserve: Reserve) -> Result<(), Failure> {
    if reserve.mac.is_some() && reserve.addresses.len() > 1 {
        return Err(Failure::usage("--mac is who gets one address, and there are several")
            .with_hint("reserve them one by one"));
    }
    let Reserve { subnet: SubnetArg { subnet }, addresses, count, mac, name, planning, waiting } =
        reserve;
    let wish = |address: Option<&IpAddr>| {
        let mut wish = json!({});
        for (key, value) in
            [("address", json!(address)), ("mac", json!(mac)), ("name", json!(name))]
        {
            if !value.is_null() {
                wish[key] = value;
            }
        }
        wish
    };
    let body: Value = match count {
        Some(count) => {
            let mut body = wish(None);
            body["count"] = count.into();
            body
        }
        None if addresses.is_empty() => json!([wish(None)]),
        None => addresses.iter().map(|address| wish(Some(address))).collect(),
    };
    let call = Call::post(target(&subnet).segment("reservations")).with_body(body);
    let job = Job { subject: subnet, call, done: "addresses reserved", shows: Shows::Subnet };
    dry_run::carry_out(context, planning, waiting, vec![job]).await
}

pub(super) async fn release(context: &Context, release: Release) -> Result<(), Failure> {
    let Release { subnet: SubnetArg { subnet }, addresses, planning, waiting } = release;
    let call = Call::delete(target(&subnet).segment("reservations"))
        .with_body(json!({"addresses": addresses}));
    let job = Job { subject: subnet, call, done: "addresses given back", shows: Shows::Subnet };
    dry_run::carry_out(context, planning, waiting, vec![job]).await
}

pub(super) async fn list(context: &Context, list: List) -> Result<(), Failure> {
    let output = &context.output;
    let target = target(&list.subnet.subnet)
        .segment("reservations")
        .with_any("name", list.name)
        .with_any("mac", list.mac);
    let items = context.client.list(target).await?;
    if matches!(output.format, Format::Json | Format::Yaml) {
        return output.document(&items);
    }
    let kept: Vec<Reservation> = items.into_iter().map(decode).collect::<Result<_, _>>()?;
    if output.format == Format::Name {
        return kept.iter().try_for_each(|kept| output.line(kept.address));
    }
    if kept.is_empty() {
        output.talk("no such address is kept; inn subnet reserve keeps one");
        return Ok(());
    }
    let mut table = Table::new(["ADDRESS", "MAC", "NAME"]);
    for Reservation { address, mac, name } in kept {
        table.row([
            address.to_string().into(),
            mac.map(|mac| mac.to_string()).unwrap_or_default().into(),
            name.map(|name| name.to_string()).unwrap_or_default().into(),
        ]);
    }
    output.table(&table)
}
