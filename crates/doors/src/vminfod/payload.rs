//! Payloads of `vmadm create` and `vmadm update`: from the protocol's object to a VM's configuration.
//!
//! A key that is not known, or that nothing here could do justice to, is refused by its name. As in the
//! ancestor a number may be written as a text, since `key=value` on a command line has nothing else.

mod devices;
mod keys;

use super::{
    mapping::{self, DEFAULT_PROJECT},
    query,
};
use devices::{change_disks, change_nics, first_first, new_disk, new_nic};
use innkeeper_model::{
    ByteSize, Mebibytes, Secret, SmallMap, Spec, VmConfig, VmId, VmName, Want,
    config::{Autostart, Boot, CloudInit, Firmware},
};
use keys::{Keys, invalid, text};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Where the ancestor's guests find what cloud-init is to do.
const USER_DATA: &str = "cloud-init:user-data";
/// What an update may name, and does not change: as in the ancestor, that is no error.
const UNMODIFIABLE: [&str; 21] = [
    "boot_timestamp",
    "brand",
    "create_timestamp",
    "exit_status",
    "exit_timestamp",
    "failed",
    "hvm",
    "init_restarts",
    "last_modified",
    "managed_by",
    "pid",
    "problem",
    "server_uuid",
    "snapshots",
    "state",
    "type",
    "uuid",
    "v",
    "zone_state",
    "zoneid",
    "zonename",
];

/// Why a payload describes no VM.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPayload {
    /// It is no JSON object.
    #[error("Invalid payload: not a JSON object")]
    NotAnObject,
    /// A key is not known here.
    #[error("Invalid key: {0}")]
    UnknownKey(String),
    /// A key is known, and has a value that it cannot have here.
    #[error("Invalid value for {key}: {problem}")]
    InvalidValue {
        /// The key, from the top.
        key: String,
        /// What is wrong with the value.
        problem: String,
    },
}

/// A VM that a payload describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Its id, where the payload names one.
    pub id: Option<VmId>,
    /// What it is.
    pub config: VmConfig,
    /// Whether it is started when it has been made.
    pub starts: bool,
}

/// The VM that a payload of `vmadm create` describes.
///
/// # Errors
/// The first key that is unknown or has a value that cannot be.
pub fn create(payload: &Value) -> Result<Created, BadPayload> {
    let mut keys = Keys::of(payload)?;
    let id = keys.take("uuid", parse_id)?;
    let alias: Option<VmName> = keys.parsed("alias")?;
    if let Some(brand) = keys.parsed::<String>("brand")?
        && !matches!(&*brand, "kvm" | "bhyve")
    {
        return Err(keys.invalid("brand", format!("{brand:?} is not kvm or bhyve")));
    }
    keys.must_be("hvm", &Value::Bool(true))?;
    let name = match alias {
        Some(alias) => alias,
        None => generated_name(id),
    };
    let mut config = VmConfig::new(name);
    settings(&mut keys, &mut config)?;
    let starts = keys.parsed("autoboot")?.unwrap_or(true);
    if let Some(disks) = keys.array("disks")? {
        for disk in first_first(disks, "boot") {
            let disk = new_disk(&config, &disk)?;
            config.disks.push(disk);
        }
    }
    if let Some(nics) = keys.array("nics")? {
        for nic in first_first(nics, "primary") {
            let nic = new_nic(&config, &nic)?;
            config.nics.push(nic);
        }
    }
    if let Some(tags) = keys.object("tags")? {
        config.labels = labels(&tags)?;
    }
    if let Some(mut metadata) = keys.object("customer_metadata")? {
        if let Some(user_data) = metadata.remove(USER_DATA) {
            let text = text(&user_data)
                .ok_or_else(|| invalid("customer_metadata", "user-data is not a text"))?;
            config.cloud_init =
                Some(CloudInit { user_data: Some(Secret::new(text)), ..CloudInit::default() });
        }
        if let Some((key, _)) = metadata.into_iter().next() {
            return Err(BadPayload::UnknownKey(format!("customer_metadata.{key}")));
        }
    }
    keys.nothing_else()?;
    Ok(Created { id, config, starts })
}

/// A name for a VM whose payload has none, as the ancestor's may.
fn generated_name(id: Option<VmId>) -> VmName {
    let id = id.unwrap_or_else(VmId::new).to_string();
    // The beginning of an id made now is the time, which two may share; its end is chance.
    let name = format!("vm-{}", &id[id.len() - 12..]);
    name.parse().expect("letters, digits and hyphens, a letter first, in bounds")
}

/// A VM's configuration as a payload of `vmadm update` changes it.
///
/// # Errors
/// The first key that is unknown or has a value that cannot be, or a disk or NIC that is not there.
pub fn change(before: &Spec, payload: &Value) -> Result<VmConfig, BadPayload> {
    let mut keys = Keys::of(payload)?;
    let mut config = before.config.clone();
    for key in UNMODIFIABLE {
        keys.take(key, |_| Ok(()))?;
    }
    if let Some(alias) = keys.parsed("alias")? {
        config.name = alias;
    }
    settings(&mut keys, &mut config)?;
    if let Some(autoboot) = keys.parsed::<bool>("autoboot")? {
        // Nothing here starts with the host what should not run, and start makes it true.
        if autoboot && before.want == Want::Stopped {
            return Err(keys.invalid("autoboot", "it is stopped; start makes it true"));
        }
        config.autostart = if autoboot { Autostart::Auto } else { Autostart::Never };
    }
    change_tags(&mut keys, &mut config)?;
    change_disks(&mut keys, &mut config)?;
    change_nics(&mut keys, &mut config, &before.assigned)?;
    keys.nothing_else()?;
    Ok(config)
}

/// What creating and updating have in common.
fn settings(keys: &mut Keys, config: &mut VmConfig) -> Result<(), BadPayload> {
    if let Some(ram) = keys.parsed("ram")? {
        config.memory = Mebibytes(ram);
    }
    if let Some(vcpus) = keys.parsed("vcpus")? {
        config.cpus = vcpus;
    }
    if let Some(model) = keys.take("cpu_type", |value| Ok(text(value)))? {
        config.cpu_model = model.filter(|model| !model.is_empty());
    }
    if let Some(quota) = keys.take("quota", parse_quota)? {
        config.quota = quota;
    }
    if let Some(owner) = keys.parsed::<String>("owner_uuid")? {
        let owner = if owner.is_empty() { DEFAULT_PROJECT } else { mapping::project(&owner) };
        config.project = owner.parse().map_err(|error| keys.invalid("owner_uuid", error))?;
    }
    if let Some(protected) = keys.parsed("indestructible_zoneroot")? {
        config.protected = protected;
    }
    if let Some(firmware) = keys.parsed::<String>("bootrom")? {
        config.boot = Boot::Firmware(match &*firmware {
            "bios" => Firmware::Bios,
            "uefi" => Firmware::Uefi,
            other => return Err(keys.invalid("bootrom", format!("{other:?} is not bios or uefi"))),
        });
    }
    // What an object from here has in it, and what nothing here could make anything else of.
    for (key, only) in [
        ("firewall_enabled", Value::Bool(false)),
        ("resolvers", Value::Array(Vec::new())),
        ("routes", Value::Object(Map::new())),
        ("internal_metadata", Value::Object(Map::new())),
    ] {
        keys.must_be(key, &only)?;
    }
    Ok(())
}

fn parse_id(value: &Value) -> Result<VmId, String> {
    let text = value.as_str().ok_or("is not a text")?;
    query::id(text).ok_or_else(|| format!("{text:?} is not a UUID in lower case"))
}

/// In GiB; none, nothing and zero are no quota.
fn parse_quota(value: &Value) -> Result<Option<ByteSize>, String> {
    let text = text(value).unwrap_or_default();
    if text.is_empty() || text == "0" {
        return Ok(None);
    }
    let quota: ByteSize =
        format!("{text}GiB").parse().map_err(|_| format!("{text:?} is not a number of GiB"))?;
    Ok(Some(quota))
}

fn labels(tags: &Map<String, Value>) -> Result<SmallMap<String>, BadPayload> {
    let label = |(key, value): (&String, &Value)| match text(value) {
        Some(text) if !value.is_null() => Ok((key.clone(), text)),
        _ => Err(invalid(format!("tags.{key}"), "is not a text, number or boolean")),
    };
    tags.iter().map(label).collect()
}

fn change_tags(keys: &mut Keys, config: &mut VmConfig) -> Result<(), BadPayload> {
    let pairs = config.labels.iter().map(|(key, value)| (key.to_owned(), value.clone()));
    let mut tags: BTreeMap<String, String> = pairs.collect();
    if let Some(set) = keys.object("set_tags")? {
        let set = labels(&set)?;
        tags.extend(set.iter().map(|(key, value)| (key.to_owned(), value.clone())));
    }
    for gone in keys.array("remove_tags")?.unwrap_or_default() {
        tags.remove(gone.as_str().unwrap_or_default());
    }
    config.labels = tags.into_iter().collect();
    Ok(())
}

#[cfg(test)]
#[path = "payload_tests.rs"]
mod tests;
