//! What is registered of a host.

use innkeeper_model::{HostId, Mebibytes, SubnetId};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, net::IpAddr, str::FromStr};

/// What a host was told, by key.
pub type Config = BTreeMap<ConfigKey, String>;

/// Through which of a host's interfaces it reaches which subnet.
pub type Subnets = BTreeMap<SubnetId, String>;

/// One host, as somebody registered it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostRecord {
    /// Its id.
    pub id: HostId,
    /// Whatever somebody noted about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// The mask of its network, written as an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netmask: Option<IpAddr>,
    /// Its gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Its interface's hardware address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<HardwareAddress>,
    /// What there is of it for guests.
    #[serde(default)]
    pub total: Resources,
    /// What of that is free.
    #[serde(default)]
    pub available: Resources,
}

impl HostRecord {
    /// A host of which nothing but the id is known.
    pub fn new(id: HostId) -> Self {
        Self {
            id,
            metadata: BTreeMap::new(),
            ip: None,
            netmask: None,
            gateway: None,
            mac: None,
            total: Resources::default(),
            available: Resources::default(),
        }
    }
}

/// So much of a host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Memory.
    #[serde(with = "count")]
    pub memory: Mebibytes,
    /// Room on disk.
    #[serde(with = "count")]
    pub disk: Mebibytes,
    /// CPUs.
    pub cpu: u32,
}

/// Mebibytes as their number: callers register what they like, and not all of it has a text in bytes.
mod count {
    use super::Mebibytes;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(size: &Mebibytes, to: S) -> Result<S::Ok, S::Error> {
        size.0.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Mebibytes, D::Error> {
        u64::deserialize(from).map(Mebibytes)
    }
}

/// An address of an interface of any kind: of 6, 8 or 20 bytes, groups included. (A guest's is a
/// [`MacAddress`](innkeeper_model::config::MacAddress), which is narrower.)
///
/// Read from bytes in hexadecimal with colons or hyphens, or in pairs with dots, and always written
/// in lower case with colons.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HardwareAddress(Vec<u8>);

/// A text is no hardware address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a MAC address: write six bytes such as 52:54:00:12:34:56")]
pub struct NotAHardwareAddress(String);

const HARDWARE_ADDRESS_LENGTHS: [usize; 3] = [6, 8, 20];

impl FromStr for HardwareAddress {
    type Err = NotAHardwareAddress;

    fn from_str(text: &str) -> Result<Self, NotAHardwareAddress> {
        let not_one = || NotAHardwareAddress(text.chars().take(64).collect());
        let (separator, digits) = match text.chars().find(|c| !c.is_ascii_hexdigit()) {
            Some(separator @ (':' | '-')) => (separator, 2),
            Some('.') => ('.', 4),
            _ => return Err(not_one()),
        };
        let mut bytes = Vec::with_capacity(6);
        for group in text.split(separator) {
            if group.len() != digits || !group.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(not_one());
            }
            for pair in group.as_bytes().chunks(2) {
                let pair = str::from_utf8(pair).map_err(|_| not_one())?;
                bytes.push(u8::from_str_radix(pair, 16).map_err(|_| not_one())?);
            }
        }
        if !HARDWARE_ADDRESS_LENGTHS.contains(&bytes.len()) {
            return Err(not_one());
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for HardwareAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}

impl TryFrom<String> for HardwareAddress {
    type Error = NotAHardwareAddress;

    fn try_from(text: String) -> Result<Self, NotAHardwareAddress> {
        text.parse()
    }
}

impl From<HardwareAddress> for String {
    fn from(address: HardwareAddress) -> Self {
        address.to_string()
    }
}

/// The key of something that a host was told: not empty, at most 255 bytes, without `/`, `..` and
/// control characters, and not `.`, so that it is one name wherever it becomes part of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConfigKey(String);

const MAX_CONFIG_KEY: usize = 255;

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAConfigKey {
    /// It is empty.
    #[error("empty config key")]
    Empty,
    /// It is longer than a key may be.
    #[error("a config key has at most {MAX_CONFIG_KEY} bytes, and this has {0}")]
    TooLong(usize),
    /// It could be taken for more than one name.
    #[error("{0:?} is no config key: it has no \"/\", no \"..\" and no control characters")]
    NotOneName(String),
}

impl ConfigKey {
    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ConfigKey {
    type Err = NotAConfigKey;

    fn from_str(text: &str) -> Result<Self, NotAConfigKey> {
        if text.is_empty() {
            return Err(NotAConfigKey::Empty);
        }
        if text.len() > MAX_CONFIG_KEY {
            return Err(NotAConfigKey::TooLong(text.len()));
        }
        if text == "." || text.contains("..") || text.contains(|c: char| c == '/' || c.is_control())
        {
            return Err(NotAConfigKey::NotOneName(text.into()));
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for ConfigKey {
    type Error = NotAConfigKey;

    fn try_from(text: String) -> Result<Self, NotAConfigKey> {
        text.parse()
    }
}

impl From<ConfigKey> for String {
    fn from(key: ConfigKey) -> Self {
        key.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hardware_address_is_read_in_three_spellings_and_written_in_one() {
        for text in ["01:23:45:67:89:AB", "01-23-45-67-89-ab", "0123.4567.89aB"] {
            assert_eq!(text.parse::<HardwareAddress>().unwrap().to_string(), "01:23:45:67:89:ab");
        }
        for bytes in [8, 20] {
            let text = vec!["0a"; bytes].join(":");
            assert_eq!(text.parse::<HardwareAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_hardware_address_is_refused() {
        for text in [
            "",
            "01",
            "0123456789ab",
            "01:23:45:67:89",
            "01:23:45:67:89:ab:cd",
            "01:23:45:67-89:ab",
            "1:23:45:67:89:ab",
            "01:23:45:67:89:+b",
            "01:23:45:67:89:ag",
            "012.345.678.9ab",
            "01:23:45:67:89:äb",
        ] {
            assert!(text.parse::<HardwareAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_config_key_is_one_name() {
        for text in ["foo", "FOO_BAR", "a.b", "ключ", "a b", &"x".repeat(255)] {
            assert_eq!(text.parse::<ConfigKey>().unwrap().as_str(), text);
        }
        let long = "x".repeat(256);
        for text in ["", ".", "..", "a/b", "/", "../metadata", "a..b", "a\nb", "a\0", &long] {
            assert!(text.parse::<ConfigKey>().is_err(), "{text:?}");
        }
    }
}
