//! A network in a file, with the subnets that it is to have at least.

use super::{Wanted, as_json, find, subnet};
use crate::{
    cli::Context,
    client::{Call, Target, decode},
    difference::differences,
    document::{config_of, senseless},
    failure::Failure,
    mutation::{Job, Shows},
};
use http::HeaderValue;
use innkeeper_model::{NetworkConfig, NetworkName, ShownNetwork, SubnetConfig};
use serde_json::{Map, Value, json};

/// A network that there is.
pub(super) struct Found {
    pub(super) network: ShownNetwork,
    pub(super) body: Value,
    etag: Option<HeaderValue>,
}

/// The network that has this name in full.
pub(super) async fn named(context: &Context, name: &NetworkName) -> Result<Option<Found>, Failure> {
    let target = Target::new("/v1/networks").segment(name);
    let Some(answer) = find(context, target).await? else { return Ok(None) };
    let network: ShownNetwork = decode(answer.body.clone())?;
    let found = Found { network, body: answer.body, etag: answer.etag };
    Ok((found.network.config.name == *name).then_some(found))
}

pub(super) async fn wanted(
    context: &Context,
    fields: Map<String, Value>,
    file: &str,
) -> Result<Wanted, Failure> {
    let (config, subnets) = check(fields.clone()).map_err(|failure| failure.of(file))?;
    let name = config.name.to_string();
    let job = |call: Call, done: &'static str| Job {
        subject: name.clone(),
        call,
        done,
        shows: Shows::Network,
    };
    let Some(found) = named(context, &config.name).await? else {
        let call = Call::post(Target::new("/v1/networks")).with_body(fields.into());
        let changes = differences(&json!({}), &with_subnets(&config, &subnets)?);
        let jobs = vec![job(call, "created")];
        return Ok(Wanted { kind: "network", name, now: None, changes, jobs });
    };
    let has: Vec<SubnetConfig> =
        found.network.subnets.iter().map(|subnet| subnet.config.clone()).collect();
    let mut more = Vec::new();
    for subnet in subnets {
        if !subnet::is_there(&found.network, &subnet).map_err(|failure| failure.of(file))? {
            more.push(subnet);
        }
    }
    let mut jobs = Vec::new();
    if found.network.config != config {
        let target = Target::new("/v1/networks").segment(found.network.id);
        let body = without_subnets(fields);
        jobs.push(job(Call::put(target).if_match(found.etag).with_body(body), "changed"));
    }
    jobs.extend(more.iter().map(|subnet| subnet::creation(&config.name, subnet)));
    let after: Vec<SubnetConfig> = has.iter().chain(&more).cloned().collect();
    let changes =
        differences(&with_subnets(&found.network.config, &has)?, &with_subnets(&config, &after)?);
    Ok(Wanted { kind: "network", name, now: Some(found.body), changes, jobs })
}

/// Checks all that can be checked without the daemon.
fn check(mut fields: Map<String, Value>) -> Result<(NetworkConfig, Vec<SubnetConfig>), Failure> {
    let mut subnets = Vec::new();
    let listed = fields.remove("subnets").unwrap_or_else(|| json!([]));
    let Value::Array(listed) = listed else {
        return Err(Failure::usage("subnets: is not a list"));
    };
    for (index, listed) in listed.into_iter().enumerate() {
        let of_list = |failure: Failure| failure.of(&format!("subnets[{index}]"));
        let Value::Object(listed) = listed else {
            return Err(of_list(Failure::usage("is not an object with a range")));
        };
        subnets.push(subnet::check(&listed).map_err(of_list)?);
    }
    let config: NetworkConfig = config_of(&fields.into())?;
    config.validate().map_err(senseless)?;
    Ok((config, subnets))
}

fn without_subnets(mut fields: Map<String, Value>) -> Value {
    fields.remove("subnets");
    fields.into()
}

fn with_subnets(config: &NetworkConfig, subnets: &[SubnetConfig]) -> Result<Value, Failure> {
    let mut all = as_json(config)?;
    if !subnets.is_empty() {
        all["subnets"] = json!(subnets);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_told_with_its_place() {
        let problem =
            |fields: Value| check(fields.as_object().unwrap().clone()).unwrap_err().to_string();
        assert!(problem(json!({"name": "lan", "vlan": 5000})).contains("vlan"));
        assert!(problem(json!({"name": "lan", "colour": 1, "nat": true})).contains("colour"));
        assert!(problem(json!({"name": "lan", "subnets": {}})).contains("subnets"));
        let range = json!({"name": "lan", "subnets": [{"range": "10.0.0.1/24"}]});
        assert!(problem(range).contains("subnets[0]"));
    }
}
