//! The calls that are answered at once.

use super::{Agent, AgentError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{net::IpAddr, time::Duration};
use utoipa::ToSchema;

/// How long a guest's clock may take to be set: it may ask its hardware clock.
const SETS_TIME_WITHIN: Duration = Duration::from_secs(30);

/// An agent, as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GuestInfo {
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// What can be asked of it now.
    #[serde(default, rename(deserialize = "supported_commands"), deserialize_with = "enabled")]
    pub commands: Vec<String>,
}

/// A guest's system, as it describes itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all(deserialize = "kebab-case"))]
pub struct OsInfo {
    /// Its name and version, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pretty_name: Option<String>,
    /// Its short name, such as `debian`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The release of its kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_release: Option<String>,
}

/// A network interface, as the guest has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Interface {
    /// The guest's name for it.
    pub name: String,
    /// Its hardware address.
    #[serde(
        default,
        rename(deserialize = "hardware-address"),
        skip_serializing_if = "Option::is_none"
    )]
    pub mac: Option<String>,
    /// Its addresses.
    #[serde(default, rename(deserialize = "ip-addresses"))]
    pub addresses: Vec<Address>,
}

/// An address that a guest says it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Address {
    /// The address.
    #[serde(rename(deserialize = "ip-address"))]
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// The length of its network's prefix.
    #[serde(default)]
    pub prefix: u8,
}

fn enabled<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    struct Call {
        name: String,
        #[serde(default)]
        enabled: bool,
    }
    let calls = Vec::<Call>::deserialize(deserializer)?;
    Ok(calls.into_iter().filter(|call| call.enabled).map(|call| call.name).collect())
}

/// The answer of calls that have none.
#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

impl Agent {
    /// Asks whether it is there.
    ///
    /// # Errors
    /// It is not, or does not answer.
    pub async fn ping(&self) -> Result<(), AgentError> {
        self.ask::<Nothing>("guest-ping", json!({})).await.map(drop)
    }

    /// Asks what it is.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub async fn info(&self) -> Result<GuestInfo, AgentError> {
        self.ask("guest-info", json!({})).await
    }

    /// Asks what system it runs in.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub async fn os_info(&self) -> Result<OsInfo, AgentError> {
        self.ask("guest-get-osinfo", json!({})).await
    }

    /// Asks for the name that the guest gives itself.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub async fn host_name(&self) -> Result<String, AgentError> {
        #[derive(Deserialize)]
        struct Named {
            #[serde(rename = "host-name")]
            name: String,
        }
        let named: Named = self.ask("guest-get-host-name", json!({})).await?;
        Ok(named.name)
    }

    /// Asks for the guest's network interfaces. Addresses that are none are left out.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub async fn interfaces(&self) -> Result<Vec<Interface>, AgentError> {
        const COMMAND: &str = "guest-network-get-interfaces";
        let mut found: Vec<Value> = self.ask(COMMAND, json!({})).await?;
        for interface in &mut found {
            if let Some(addresses) = interface.get_mut("ip-addresses").and_then(Value::as_array_mut)
            {
                addresses.retain(|address| Address::deserialize(address).is_ok());
            }
        }
        serde_json::from_value(Value::Array(found))
            .map_err(|source| AgentError::Incomprehensible { command: COMMAND, source })
    }

    /// Sets the guest's clock to a time since 1970, or, with `None`, from its hardware clock.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub async fn set_time(&self, since_1970: Option<Duration>) -> Result<(), AgentError> {
        let arguments = match since_1970 {
            Some(time) => json!({ "time": i64::try_from(time.as_nanos()).unwrap_or(i64::MAX) }),
            None => json!({}),
        };
        let set = self.call(super::SET_TIME, arguments, SETS_TIME_WITHIN, super::SHORT_LINE);
        set.await.map(|Nothing {}| ())
    }
}
