//! What an operator writes down about TLS and about proxies.

use innkeeper_model::Refusal;
use innkeeper_surface::{Front, Proxies};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, path::PathBuf};
use utoipa::ToSchema;

/// TLS of addresses that are written with `,tls` (`listen`, and `listen` of doors). With nothing here, listeners show
/// certificates of this host's own authority, which is made when it is first needed: see [TLS](tls.md).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// The names by which callers know this host, such as `inn.example.org`: they are in its certificate, and a
    /// request for another name is refused.
    pub names: Vec<String>,
    /// A certificate to be shown instead, and what leads from it to what callers trust, in PEM. It is read again when
    /// it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub certificate: Option<PathBuf>,
    /// The key of that, in PEM. Only its owner and its group may read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub key: Option<PathBuf>,
    /// Authorities of callers' certificates, in PEM, beside this host's own. A certificate of theirs is somebody's
    /// once it was made known: see there. It is read again when it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub client_authorities: Option<PathBuf>,
}

/// Proxies that stand before the TCP listeners. Of what they add to requests, `X-Forwarded-For` is believed, and
/// nothing else: its last address that is no listed proxy's counts as the caller's, for limits and the audit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProxiesConfig {
    /// Their addresses, or ranges of them: `10.0.0.1`, `10.0.0.0/24`. Default: none is believed.
    pub trusted: Vec<String>,
}

impl ProxiesConfig {
    /// Which are believed.
    ///
    /// # Errors
    /// One is no address, nor a range of them.
    pub(crate) fn proxies(&self) -> Result<Proxies, Refusal> {
        let range = |text: &String| {
            let address = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
            address.or_else(|_| text.parse::<IpNet>()).map_err(|_| {
                let problem = "is not an address, nor a range such as 10.0.0.0/24";
                Refusal::invalid("proxies.trusted", text, problem)
            })
        };
        Ok(Proxies::new(self.trusted.iter().map(range).collect::<Result<Vec<_>, _>>()?))
    }
}

/// What stands before the TCP listeners.
///
/// # Errors
/// A proxy is no address.
pub(crate) fn front(tls: &TlsConfig, proxies: &ProxiesConfig) -> Result<Front, Refusal> {
    Ok(Front { names: tls.names.clone(), proxies: proxies.proxies()? })
}
