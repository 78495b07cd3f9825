//! `inn network create`: a network and the subnets that it begins with.

use crate::{
    cli::{
        Context,
        dry_run::{self, DryRun},
    },
    client::{Call, Target},
    failure::Failure,
    mutation::{Job, Shows, Waiting},
};
use clap::Args;
use innkeeper_model::{InterfaceName, NetworkName, SubnetConfig};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// The network's name
    name: NetworkName,
    /// A range of addresses on it, such as 10.87.0.0/24 or fd00:87::/64 (can be repeated)
    #[arg(long, value_name = "RANGE", value_parser = parse_range)]
    subnet: Vec<SubnetConfig>,
    /// Join this bridge of the host, which is never changed nor deleted, in place of making one
    #[arg(long, value_name = "BRIDGE")]
    bridge: Option<InterfaceName>,
    /// The 802.1Q tag that its frames carry on a joined bridge
    #[arg(long, value_name = "TAG")]
    vlan: Option<u16>,
    #[command(flatten)]
    changeable: ChangeableFlags,
    #[command(flatten)]
    routes: RouteFlags,
    #[command(flatten)]
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

/// What can be said of a network at any time.
#[derive(Debug, Args)]
pub(super) struct ChangeableFlags {
    /// Guests reach the outside under the host's address; on a bridge of its own, if nothing is said
    #[arg(long, overrides_with = "no_nat")]
    nat: bool,
    /// They do not
    #[arg(long, overrides_with = "nat")]
    no_nat: bool,
    /// The largest packet, in bytes
    #[arg(long, value_name = "BYTES")]
    mtu: Option<u16>,
    /// Its guests are kept from each other
    #[arg(long)]
    isolated: bool,
    /// Text about it, for people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// A key and a value, for programs (can be repeated)
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_label)]
    label: Vec<(String, String)>,
}

/// What can be said of the subnets of a network, all of them together.
#[derive(Debug, Args)]
pub(in crate::cli) struct RouteFlags {
    /// The router's address in the range that it is of; the first of the range if nothing is said (can be
    /// repeated, for several ranges)
    #[arg(long, value_name = "ADDRESS")]
    gateway: Vec<IpAddr>,
    /// A name server that guests are told; the gateway if nothing is said (can be repeated)
    #[arg(long, value_name = "ADDRESS")]
    dns: Vec<IpAddr>,
    /// Answer DHCP there; on a bridge of its own, if nothing is said
    #[arg(long, overrides_with = "no_dhcp")]
    dhcp: bool,
    /// Do not
    #[arg(long, overrides_with = "dhcp")]
    no_dhcp: bool,
}

/// A subnet of which nothing is said but its range.
pub(in crate::cli) fn parse_range(text: &str) -> Result<SubnetConfig, String> {
    serde_json::from_value(json!({"range": text}))
        .map_err(|_| "is not a range of addresses: write for example 10.87.0.0/24".into())
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err("write KEY=VALUE".into()),
    }
}

impl ChangeableFlags {
    /// The fields that the flags stand for.
    pub(super) fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        if self.nat || self.no_nat {
            fields.insert("nat".into(), self.nat.into());
        }
        if let Some(mtu) = self.mtu {
            fields.insert("mtu".into(), mtu.into());
        }
        if self.isolated {
            fields.insert("isolated".into(), true.into());
        }
        if let Some(description) = &self.description {
            fields.insert("description".into(), description.as_str().into());
        }
        if !self.label.is_empty() {
            let labels: Map<String, Value> = self
                .label
                .iter()
                .map(|(key, value)| (key.clone(), value.as_str().into()))
                .collect();
            fields.insert("labels".into(), labels.into());
        }
        fields
    }
}

impl RouteFlags {
    /// The subnets with what the flags say of them.
    ///
    /// # Errors
    /// A gateway is of none of the ranges, or a name server of the other IP version than all of them.
    pub(in crate::cli) fn apply(&self, subnets: &mut [SubnetConfig]) -> Result<(), Failure> {
        for gateway in &self.gateway {
            let subnet = subnets.iter_mut().find(|subnet| subnet.range.contains(gateway));
            let Some(subnet) = subnet else {
                let message = format!("--gateway {gateway} is not an address of the range");
                return Err(
                    Failure::usage(message).with_hint("say --subnet with the range that it is of")
                );
            };
            subnet.gateway = Some(*gateway);
        }
        for dns in &self.dns {
            let is_of = |subnet: &&mut SubnetConfig| subnet.range.addr().is_ipv6() == dns.is_ipv6();
            let mut told = subnets.iter_mut().filter(is_of).peekable();
            if told.peek().is_none() {
                let message = format!("--dns {dns}: there is no range of its IP version");
                return Err(Failure::usage(message));
            }
            told.for_each(|subnet| subnet.dns.push(*dns));
        }
        if self.dhcp || self.no_dhcp {
            subnets.iter_mut().for_each(|subnet| subnet.dhcp = Some(self.dhcp));
        }
        Ok(())
    }
}

pub(super) async fn run(context: &Context, create: Create) -> Result<(), Failure> {
    let Create { name, subnet: mut subnets, bridge, vlan, changeable, routes, planning, waiting } =
        create;
    routes.apply(&mut subnets)?;
    let mut body = changeable.fields();
    body.insert("name".into(), name.as_str().into());
    if let Some(bridge) = bridge {
        body.insert("bridge".into(), bridge.as_str().into());
    }
    if let Some(vlan) = vlan {
        body.insert("vlan".into(), vlan.into());
    }
    if !subnets.is_empty() {
        body.insert("subnets".into(), json!(subnets));
    }
    let call = Call::post(Target::new("/v1/networks")).with_body(body.into());
    let job = Job { subject: name.to_string(), call, done: "created", shows: Shows::Network };
    dry_run::carry_out(context, planning, waiting, vec![job]).await
}
