//! `inn nic set`: what is not said stays as it is.

use super::{NicArg, nics, rate};
use crate::{
    cli::{
        Context, completion,
        dry_run::{self, DryRun},
    },
    client::Call,
    failure::{Exit, Failure},
    mutation::Waiting,
};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use innkeeper_model::config::{Attachment, PublishedPort};
use serde_json::{Map, Value, json};

#[derive(Debug, Args)]
pub(in crate::cli) struct Set {
    #[command(flatten)]
    nic: NicArg,
    /// Move it to this network; its guest sees the cable out and in again
    #[arg(long, add = ArgValueCompleter::new(completion::attachments))]
    network: Option<Attachment>,
    /// Plug its cable in
    #[arg(long, conflicts_with = "disconnect")]
    connect: bool,
    /// Pull its cable out
    #[arg(long)]
    disconnect: bool,
    /// The most that goes to the guest, in kbit/s; none for as much as there is
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    in_kbit: Option<Rate>,
    /// The most that comes from it, in kbit/s; none for as much as there is
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    out_kbit: Option<Rate>,
    /// One more port of the host that leads to one of the guest (can be repeated)
    #[arg(long, value_name = "[ADDRESS:]PORT:PORT[/udp]")]
    publish: Vec<PublishedPort>,
    /// One that does not lead there any more (can be repeated)
    #[arg(long, value_name = "[ADDRESS:]PORT:PORT[/udp]")]
    unpublish: Vec<PublishedPort>,
    #[command(flatten)]
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

/// A rate, or none: in JSON a number, or null.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(transparent)]
struct Rate(Option<u32>);

fn parse_rate(text: &str) -> Result<Rate, String> {
    if text == "none" {
        return Ok(Rate(None));
    }
    let rate = text.parse().map_err(|_| "write a number of kbit/s, or none")?;
    Ok(Rate(Some(rate)))
}

pub(super) async fn run(context: &Context, set: Set) -> Result<(), Failure> {
    let mut changes = set.changes();
    let mut etag = None;
    if !(set.publish.is_empty() && set.unpublish.is_empty()) {
        let answer = context.client.get(context.vm(&set.nic.vm.vm)).await?;
        changes.insert("publish".into(), json!(set.published(&answer.body)?));
        // The list is replaced whole, so it must be the one that was read.
        etag = answer.etag;
    }
    if changes.is_empty() {
        return Err(Failure::usage("nothing is said of what the NIC is to become")
            .with_hint("inn nic set --help lists what can be"));
    }
    let call = Call::patch(set.nic.target(context)).if_match(etag).with_body(changes.into());
    let job = set.nic.job(context, call, "NIC changed");
    dry_run::carry_out(context, set.planning, set.waiting, vec![job]).await
}

impl Set {
    /// What the flags say but for published ports, as a merge patch.
    fn changes(&self) -> Map<String, Value> {
        let mut changes = Map::new();
        if let Some(network) = &self.network {
            changes.insert("network".into(), json!(network));
        }
        if self.connect || self.disconnect {
            changes.insert("connected".into(), self.connect.into());
        }
        let rate = rate(&[("in_kbit", &self.in_kbit), ("out_kbit", &self.out_kbit)]);
        if rate.as_object().is_some_and(|rate| !rate.is_empty()) {
            changes.insert("rate".into(), rate);
        }
        changes
    }

    /// The ports that are published then.
    fn published(&self, vm: &Value) -> Result<Vec<PublishedPort>, Failure> {
        let nic = nics(vm)?.into_iter().find(|nic| nic.name == self.nic.nic);
        // That there is no such NIC is the daemon's to say.
        let mut published = nic.map(|nic| nic.publish).unwrap_or_default();
        for port in &self.unpublish {
            let Some(at) = published.iter().position(|published| published == port) else {
                let list: Vec<_> = published.iter().map(ToString::to_string).collect();
                let list = if list.is_empty() { "nothing".into() } else { list.join(", ") };
                let message = format!("{port} is not published by NIC {}", self.nic.nic);
                return Err(
                    Failure::new(Exit::Refused, message).with_hint(format!("it publishes {list}"))
                );
            };
            published.remove(at);
        }
        published.extend(&self.publish);
        Ok(published)
    }
}
