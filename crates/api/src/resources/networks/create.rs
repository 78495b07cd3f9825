//! Making networks.

use crate::{
    protocol::{
        asked::{self, Asked},
        idempotency::fingerprint,
        json,
        mutation::{self, Creation, Outcome, Subject},
        params::Params,
        problem::Answer,
    },
    router::WriteProblems,
    visit::Visit,
};
use axum::body::Body;
use http::HeaderMap;
use innkeeper_engine::{NetworkRequest, Request};
use innkeeper_model::{NetworkConfig, NetworkId, Refusal, SubnetConfig, task::PlannedOperation};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A network to make, with the subnets that it begins with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewNetwork {
    #[serde(flatten)]
    config: NetworkConfig,
    /// The ranges of addresses that it begins with.
    #[schema(required = false)]
    subnets: Vec<SubnetConfig>,
}

impl NewNetwork {
    pub(crate) fn decode(body: &[u8]) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Subnets {
            subnets: Vec<SubnetConfig>,
        }
        let (config, subnets) = split_off::<NetworkConfig>(body, "subnets")?;
        let subnets = match subnets {
            Value::Object(given) if given.is_empty() => Vec::new(),
            given => json::decode_value::<Subnets>(&given)?.subnets,
        };
        config.validate()?;
        for (index, subnet) in subnets.iter().enumerate() {
            subnet.validate().map_err(|refusal| {
                let field = refusal.field.clone().unwrap_or_default();
                refusal.at(format!("subnets[{index}].{field}"))
            })?;
        }
        Ok(Self { config, subnets })
    }
}

/// A configuration, and what stands beside its own fields under this name, as an object of that one
/// member, or of none. Apart from each other, so that a mistake in either is told with its place.
pub(crate) fn split_off<T: DeserializeOwned>(
    body: &[u8],
    name: &str,
) -> Result<(T, Value), Refusal> {
    let mut members: Map<String, Value> = json::decode(body)?;
    let beside = members.remove(name).map(|value| (name.to_owned(), value));
    let config = json::decode_value(&Value::Object(members))?;
    Ok((config, Value::Object(beside.into_iter().collect())))
}

/// Create a network
///
/// On a bridge that Innkeeper makes, or on one of the host's that it joins, never changes and never
/// deletes.
#[utoipa::path(
    post,
    path = "/v1/networks",
    tag = "networks",
    operation_id = "createNetwork",
    params(
        ("id" = Option<String>, Query, description = "Its id, where the caller chooses one; a UUID"),
        ("Idempotency-Key" = Option<String>, Header, description = "Do this once, however often it is sent with this key; remembered for a day"),
        ("dry_run" = Option<bool>, Query, description = "Do nothing, and answer what it would come to"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    request_body = NewNetwork,
    responses(
        (status = 200, description = "Planned, with `dry_run`", body = PlannedOperation),
        (status = 201, description = "Created", body = Outcome),
        (status = 202, description = "Accepted", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn create(
    state: Visit,
    mut params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let id: Option<NetworkId> = params.parsed("id")?;
    let dry_run = params.flag("dry_run")?;
    params.nothing_else()?;
    let key = asked::idempotency_key(&headers)?;
    let body = json::read(&headers, body).await?;
    let NewNetwork { config, subnets } = NewNetwork::decode(&body)?;
    let request = NetworkRequest::Create { config: Box::new(config), id, subnets };
    let request = Request::Network(request);
    if dry_run {
        return mutation::plan(&state, &asked, request).await;
    }

    let own_id = id.map(|id| id.to_string()).unwrap_or_default();
    let creation = Creation {
        fingerprint: fingerprint(&[b"network", own_id.as_bytes(), &body]),
        request,
        start: false,
        subject: Subject::NewNetwork,
        key,
    };
    mutation::create(&state, asked, creation).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn decode(body: Value) -> Result<NewNetwork, Refusal> {
        NewNetwork::decode(body.to_string().as_bytes())
    }

    #[test]
    fn subnets_come_with_the_network() {
        let network = decode(json!({"name": "lan", "subnets": [{"range": "10.0.0.0/24"}]}));
        assert_eq!(network.unwrap().subnets[0].range.to_string(), "10.0.0.0/24");
        assert!(decode(json!({"name": "lan"})).unwrap().subnets.is_empty());
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        for (body, field) in [
            (json!({}), "name"),
            (json!({"name": "user"}), "name"),
            (json!({"name": "lan", "vlan": 5000}), "vlan"),
            (json!({"name": "lan", "colour": 1}), "colour"),
            (json!({"name": "lan", "bridge": "a/b"}), "bridge"),
            (json!({"name": "lan", "subnets": {}}), "subnets"),
            (json!({"name": "lan", "subnets": [{"range": "10.0.0.0"}]}), "subnets[0].range"),
            (json!({"name": "lan", "subnets": [{"range": "10.0.0.1/24"}]}), "subnets[0].range"),
            (
                json!({"name": "lan", "subnets": [{"range": "10.0.0.0/24", "gateway": "10.0.1.1"}]}),
                "subnets[0].gateway",
            ),
        ] {
            let refusal = decode(body.clone()).unwrap_err();
            assert_eq!(refusal.field.as_deref(), Some(field), "{body}");
        }
    }
}
