//! A host as chypervisord shows it.

use innkeeper_store::registry::{HostRecord, Resources};
use serde::{Serialize, Serializer};
use std::{collections::BTreeMap, fmt::Display};
use utoipa::ToSchema;

/// A host.
#[derive(Serialize, ToSchema)]
pub(crate) struct Hypervisor<'a> {
    /// Its id, a UUID in lower case.
    #[schema(value_type = String, format = Uuid)]
    id: innkeeper_model::HostId,
    /// Whatever somebody noted about it.
    metadata: &'a BTreeMap<String, String>,
    /// Its address; empty if it is not known.
    #[serde(serialize_with = "or_empty")]
    #[schema(value_type = String)]
    ip: Option<std::net::IpAddr>,
    /// The mask of its network; empty if it is not known.
    #[serde(serialize_with = "or_empty")]
    #[schema(value_type = String)]
    netmask: Option<std::net::IpAddr>,
    /// Its gateway; empty if it is not known.
    #[serde(serialize_with = "or_empty")]
    #[schema(value_type = String)]
    gateway: Option<std::net::IpAddr>,
    /// Its interface's hardware address, in lower case with colons; empty if it is not known.
    #[serde(serialize_with = "or_empty")]
    #[schema(value_type = String)]
    mac: &'a Option<innkeeper_store::registry::HardwareAddress>,
    /// What there is of it for VMs.
    total_resources: Amounts,
    /// What of that is not promised to VMs.
    available_resources: Amounts,
}

/// So much of a host.
#[derive(Serialize, ToSchema)]
#[schema(as = Resources)]
pub(crate) struct Amounts {
    /// Memory, in MiB.
    memory: u64,
    /// Room on disk, in MiB.
    disk: u64,
    /// CPUs.
    cpu: u32,
}

impl From<Resources> for Amounts {
    fn from(resources: Resources) -> Self {
        Self { memory: resources.memory.0, disk: resources.disk.0, cpu: resources.cpu }
    }
}

impl<'a> From<&'a HostRecord> for Hypervisor<'a> {
    fn from(host: &'a HostRecord) -> Self {
        Self {
            id: host.id,
            metadata: &host.metadata,
            ip: host.ip,
            netmask: host.netmask,
            gateway: host.gateway,
            mac: &host.mac,
            total_resources: host.total.into(),
            available_resources: host.available.into(),
        }
    }
}

fn or_empty<S: Serializer>(value: &Option<impl Display>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => to.collect_str(value),
        None => to.serialize_str(""),
    }
}
