//! A subnet in a file, with the network that it is on.

use super::{Wanted, network};
use crate::{
    cli::Context,
    client::{Call, Target},
    difference::{differences, show},
    document::{config_of, senseless},
    failure::{Exit, Failure},
    mutation::{Job, Shows},
};
use innkeeper_model::{NetworkName, ShownNetwork, SubnetConfig};
use serde_json::{Map, Value, json};

pub(super) async fn wanted(
    context: &Context,
    mut fields: Map<String, Value>,
    file: &str,
) -> Result<Wanted, Failure> {
    let on = fields.remove("network");
    let config = check(&fields).map_err(|failure| failure.of(file))?;
    let on: Option<NetworkName> = on.and_then(|name| serde_json::from_value(name).ok());
    let on = on.ok_or_else(|| {
        Failure::usage(format!("{file}: network: says not what the subnet is on"))
            .with_hint("write `network:` with the name of one; `inn network list` shows them")
    })?;
    let name = config.range.to_string();
    let found = network::named(context, &on).await?.ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("{file}: there is no network {on}"))
            .with_hint(format!("inn network create {on}"))
    })?;
    let is_there = is_there(&found.network, &config).map_err(|failure| failure.of(file))?;
    let wanted = json!(config);
    let (now, changes) = match is_there {
        true => (Some(wanted), Vec::new()),
        false => (None, differences(&json!({}), &wanted)),
    };
    Ok(Wanted { kind: "subnet", name, now, changes, jobs: vec![creation(&on, &config)] })
}

/// Checks all that can be checked without the daemon.
pub(super) fn check(fields: &Map<String, Value>) -> Result<SubnetConfig, Failure> {
    let config: SubnetConfig = config_of(&fields.clone().into())?;
    config.validate().map_err(senseless)?;
    Ok(config)
}

/// Whether a network has a subnet.
///
/// # Errors
/// It has one of that range that is another: what guests were told of it stays.
pub(super) fn is_there(network: &ShownNetwork, wanted: &SubnetConfig) -> Result<bool, Failure> {
    let mut subnets = network.subnets.iter();
    let Some(has) = subnets.find(|subnet| subnet.config.range == wanted.range) else {
        return Ok(false);
    };
    let changes = differences(&json!(has.config), &json!(wanted));
    if changes.is_empty() {
        return Ok(true);
    }
    let changes: Vec<String> = changes.iter().map(show).collect();
    let message = format!(
        "subnet {} of network {} cannot be changed: {}",
        wanted.range,
        network.config.name,
        changes.join(", ")
    );
    Err(Failure::new(Exit::Refused, message).with_hint(format!(
        "once no guest has an address of it: inn subnet delete {}, and apply this again",
        wanted.range
    )))
}

/// Makes it.
pub(super) fn creation(network: &NetworkName, config: &SubnetConfig) -> Job {
    let mut body = json!(config);
    body["network"] = network.as_str().into();
    let call = Call::post(Target::new("/v1/subnets")).with_body(body);
    let subject = config.range.to_string();
    Job { subject, call, done: "subnet created", shows: Shows::Subnet }
}
