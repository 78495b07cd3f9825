//! What a client sends of a host: read with chypervisord's rules.
//!
//! Names of fields match in any case, and fields that nobody knows are ignored. What is absent, null or
//! empty leaves what there is, so an address can be changed and never cleared; metadata is replaced
//! whole. Resources that are not sent become zero.

use super::{body::kind, failure::Failure, this_host::ThisHost};
use http::StatusCode;
use innkeeper_model::{HostId, Mebibytes};
use innkeeper_store::registry::{HardwareAddress, HostRecord, Resources};
use serde::Serialize;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, net::IpAddr, str::FromStr};
use utoipa::ToSchema;

/// What was sent of a host.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) id: Option<HostId>,
    metadata: Option<BTreeMap<String, String>>,
    ip: Option<IpAddr>,
    netmask: Option<IpAddr>,
    gateway: Option<IpAddr>,
    mac: Option<HardwareAddress>,
    total: Amounts,
    available: Amounts,
}

/// What was sent of a host's resources.
#[derive(Debug, Default)]
struct Amounts {
    memory: Option<u64>,
    disk: Option<u64>,
    cpu: Option<u32>,
}

/// The shape of what is sent, for the description of this door.
#[derive(Serialize, ToSchema)]
#[schema(as = HypervisorChange)]
pub(crate) struct Sent {
    /// Its id, a UUID; of a new host, made if it is absent. It never changes.
    id: Option<String>,
    /// Whatever somebody notes about it; in place of all that was noted before.
    metadata: Option<BTreeMap<String, Option<String>>>,
    /// Its address; empty leaves it.
    ip: Option<String>,
    /// The mask of its network; empty leaves it.
    netmask: Option<String>,
    /// Its gateway; empty leaves it.
    gateway: Option<String>,
    /// Its interface's hardware address; empty leaves it.
    mac: Option<String>,
    /// What there is of it for VMs; zero where absent.
    total_resources: Option<SentAmounts>,
    /// What of that is free; zero where absent.
    available_resources: Option<SentAmounts>,
}

/// The shape of sent resources.
#[derive(Serialize, ToSchema)]
#[schema(as = ResourcesChange)]
pub(crate) struct SentAmounts {
    /// Memory, in MiB.
    memory: Option<u64>,
    /// Room on disk, in MiB.
    disk: Option<u64>,
    /// CPUs.
    cpu: Option<u32>,
}

impl Change {
    /// Reads a body.
    ///
    /// # Errors
    /// 400: something is not what it should be.
    pub(super) fn read(body: Value) -> Result<Self, Failure> {
        let Some(body) = object("the body", &body)? else { return Ok(Self::default()) };
        Ok(Self {
            id: text(body, "id", "invalid id")?,
            metadata: metadata(body)?,
            ip: address(body, "ip")?,
            netmask: address(body, "netmask")?,
            gateway: address(body, "gateway")?,
            mac: text(body, "mac", "mac: not a hardware address")?,
            total: Amounts::read(body, "total_resources")?,
            available: Amounts::read(body, "available_resources")?,
        })
    }

    /// Changes a host without a daemon, of which clients say all.
    pub(super) fn apply(&self, host: &mut HostRecord) {
        self.note(host);
        set(&mut host.ip, self.ip.as_ref());
        set(&mut host.mac, self.mac.as_ref());
        host.total = self.total.or_zero();
        host.available = self.available.or_zero();
    }

    /// Changes what clients may say of this host; `shown` is how it is shown now.
    ///
    /// # Errors
    /// 409: it says otherwise of what is the daemon's to say.
    pub(super) fn apply_to_this_host(
        &self,
        host: &mut HostRecord,
        shown: &HostRecord,
    ) -> Result<(), Failure> {
        let differs = |field: &str| ThisHost::is_own(field);
        if self.ip.is_some() && self.ip != shown.ip {
            return Err(differs("ip"));
        }
        if self.mac.is_some() && self.mac != shown.mac {
            return Err(differs("mac"));
        }
        if self.total.differ(shown.total) {
            return Err(differs("total_resources"));
        }
        if self.available.differ(shown.available) {
            return Err(differs("available_resources"));
        }
        self.note(host);
        Ok(())
    }

    /// Refuses to give a host another id.
    ///
    /// # Errors
    /// 409: it names one.
    pub(super) fn check_id(&self, id: HostId) -> Result<(), Failure> {
        if self.id.is_none_or(|named| named == id) {
            return Ok(());
        }
        let message = format!("a hypervisor's id cannot be changed: this is {id}");
        Err(Failure::long(StatusCode::CONFLICT, message))
    }

    fn note(&self, host: &mut HostRecord) {
        if let Some(metadata) = &self.metadata {
            host.metadata.clone_from(metadata);
        }
        set(&mut host.netmask, self.netmask.as_ref());
        set(&mut host.gateway, self.gateway.as_ref());
    }
}

impl Amounts {
    fn read(body: &Map<String, Value>, name: &str) -> Result<Self, Failure> {
        let Some(resources) = field(body, name) else { return Ok(Self::default()) };
        let Some(resources) = object(name, resources)? else { return Ok(Self::default()) };
        let amount = |key: &str| match field(resources, key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or_else(|| {
                Failure::short(format!(
                    "{name}.{key}: {value} is not a whole number from 0 to 2^64-1"
                ))
            }),
        };
        let cpu = amount("cpu")?.map(u32::try_from).transpose();
        let cpu = cpu.map_err(|_| Failure::short(format!("{name}.cpu: at most 2^32-1")))?;
        Ok(Self { memory: amount("memory")?, disk: amount("disk")?, cpu })
    }

    fn or_zero(&self) -> Resources {
        Resources {
            memory: Mebibytes(self.memory.unwrap_or(0)),
            disk: Mebibytes(self.disk.unwrap_or(0)),
            cpu: self.cpu.unwrap_or(0),
        }
    }

    /// Whether something is sent that is not so.
    fn differ(&self, now: Resources) -> bool {
        self.memory.is_some_and(|memory| memory != now.memory.0)
            || self.disk.is_some_and(|disk| disk != now.disk.0)
            || self.cpu.is_some_and(|cpu| cpu != now.cpu)
    }
}

fn set<T: Clone>(field: &mut Option<T>, sent: Option<&T>) {
    if let Some(sent) = sent {
        *field = Some(sent.clone());
    }
}

/// A member by its name in any case; the last of several, as when they are read one after another.
fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let exact = object.get(name);
    exact.or_else(|| {
        let mut alike = object.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        alike.next_back().map(|(_, value)| value)
    })
}

/// An object; `None` for null.
fn object<'a>(name: &str, value: &'a Value) -> Result<Option<&'a Map<String, Value>>, Failure> {
    match value {
        Value::Null => Ok(None),
        Value::Object(object) => Ok(Some(object)),
        other => {
            Err(Failure::short(format!("{name}: {} where an object is expected", kind(other))))
        }
    }
}

/// A text that means something; `None` where it is absent, null or empty.
fn text<T: FromStr>(
    body: &Map<String, Value>,
    name: &str,
    otherwise: &str,
) -> Result<Option<T>, Failure> {
    match field(body, name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some).map_err(|_| Failure::short(otherwise)),
        Some(other) => {
            Err(Failure::short(format!("{name}: {} where a string is expected", kind(other))))
        }
    }
}

fn address(body: &Map<String, Value>, name: &str) -> Result<Option<IpAddr>, Failure> {
    let address: Option<IpAddr> = text(body, name, &format!("{name}: not an IP address"))?;
    // One spelling: an IPv4 address is never shown in its IPv6 form.
    Ok(address.map(|address| address.to_canonical()))
}

fn metadata(body: &Map<String, Value>) -> Result<Option<BTreeMap<String, String>>, Failure> {
    let Some(metadata) = field(body, "metadata") else { return Ok(None) };
    object("metadata", metadata)?.map(|metadata| texts("metadata", metadata)).transpose()
}

/// A map of texts, in which null means an empty one.
///
/// # Errors
/// 400: something in it is not a text.
pub(super) fn texts(
    name: &str,
    object: &Map<String, Value>,
) -> Result<BTreeMap<String, String>, Failure> {
    let text = |(key, value): (&String, &Value)| match value {
        Value::Null => Ok((key.clone(), String::new())),
        Value::String(text) => Ok((key.clone(), text.clone())),
        other => Err(Failure::short(format!("{name}: {} where a string is expected", kind(other)))),
    };
    object.iter().map(text).collect()
}

/// The same of a whole body; null is an empty map.
///
/// # Errors
/// 400: it is no object of texts.
pub(super) fn texts_of(body: &Value) -> Result<BTreeMap<String, String>, Failure> {
    let object = object("the body", body)?;
    object.map_or_else(|| Ok(BTreeMap::new()), |object| texts("the body", object))
}
