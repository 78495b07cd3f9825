//! The bytes of a record: how they are written, and the ways in which they can be damaged.
//!
//! ```text
//! 1 9a6b3c… {"id":"…","total":{…}}
//! ```
//!
//! The number is the version of this shape, then comes a checksum (CRC-64/NVME, in hexadecimal) over
//! the record's key, a newline and the JSON text, so that neither other bytes nor those of another
//! record pass for it. A person can read it in any tool that shows the store.

use super::{
    host::{Config, HostRecord, Subnets},
    key::Key,
};
use innkeeper_model::{HostId, VmId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The version of the shape that this binary writes, and the newest that it reads.
const VERSION: u32 = 1;

/// The most bytes that a record takes in the store, 256 KiB: what is read for one answer has an end.
pub const MAX_RECORD: usize = 256 << 10;

/// Something that is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A host.
    Host(HostRecord),
    /// What a host was told.
    Config(HostId, Config),
    /// Which subnets a host reaches.
    Subnets(HostId, Subnets),
    /// A VM is assigned to a host.
    Guest(HostId, VmId),
}

/// Why a record that is stored cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// No record has such a key.
    #[error("it is stored under what is no key of a record")]
    Key,
    /// It is not what was written, or was written for another key.
    #[error("its checksum does not match")]
    Checksum,
    /// It is no record at all.
    #[error("it is not readable as a record")]
    Unreadable,
    /// It is whole, but is not such a record's JSON.
    #[error("it is not readable as what it should be")]
    NotTheRecord(#[source] serde_json::Error),
    /// It is another host's.
    #[error("it is what is stored of host {0}, under the key of another")]
    Other(HostId),
    /// A newer binary wrote it.
    #[error("it has version {0}, and this version of Innkeeper knows {VERSION}: use a newer one")]
    TooNew(u32),
}

/// What is stored of an assignment: that it is there says all.
#[derive(Serialize, Deserialize)]
struct Assigned {}

impl Record {
    /// Its key.
    pub fn key(&self) -> Key {
        match self {
            Self::Host(host) => Key::Host(host.id),
            Self::Config(host, _) => Key::Config(*host),
            Self::Subnets(host, _) => Key::Subnets(*host),
            Self::Guest(host, vm) => Key::Guest(*host, *vm),
        }
    }
}

/// The bytes that store a record.
pub(crate) fn write(record: &Record) -> Vec<u8> {
    let json = match record {
        Record::Host(host) => serde_json::to_string(host),
        Record::Config(_, config) => serde_json::to_string(config),
        Record::Subnets(_, subnets) => serde_json::to_string(subnets),
        Record::Guest(..) => serde_json::to_string(&Assigned {}),
    };
    let json = json.expect("a record's keys are texts, and the writer is memory");
    let checksum = checksum(&record.key().to_string(), &json);
    format!("{VERSION} {checksum:016x} {json}").into_bytes()
}

/// The record in these bytes, which are stored under this path.
pub(crate) fn read(path: &str, bytes: &[u8]) -> Result<Record, Damage> {
    let key: Key = path.parse().map_err(|_| Damage::Key)?;
    let text = str::from_utf8(bytes).map_err(|_| Damage::Unreadable)?;
    let mut parts = text.splitn(3, ' ');
    let mut part = || parts.next().ok_or(Damage::Unreadable);
    let version: u32 = part()?.parse().map_err(|_| Damage::Unreadable)?;
    match version {
        VERSION => {}
        0 => return Err(Damage::Unreadable),
        newer => return Err(Damage::TooNew(newer)),
    }
    let written = u64::from_str_radix(part()?, 16).map_err(|_| Damage::Unreadable)?;
    let json = part()?;
    if written != checksum(path, json) {
        return Err(Damage::Checksum);
    }
    Ok(match key {
        Key::Host(id) => {
            let host: HostRecord = parse(json)?;
            if host.id != id {
                return Err(Damage::Other(host.id));
            }
            Record::Host(host)
        }
        Key::Config(host) => Record::Config(host, parse(json)?),
        Key::Subnets(host) => Record::Subnets(host, parse(json)?),
        Key::Guest(host, vm) => {
            let Assigned {} = parse(json)?;
            Record::Guest(host, vm)
        }
    })
}

fn parse<T: DeserializeOwned>(json: &str) -> Result<T, Damage> {
    serde_json::from_str(json).map_err(Damage::NotTheRecord)
}

fn checksum(path: &str, json: &str) -> u64 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
    for part in [path, "\n", json] {
        digest.update(part.as_bytes());
    }
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Resources;
    use innkeeper_model::{Mebibytes, SubnetId};

    fn host() -> HostRecord {
        HostRecord {
            ip: Some("10.100.101.35".parse().unwrap()),
            mac: Some("01:23:45:67:89:ac".parse().unwrap()),
            total: Resources { memory: Mebibytes(1024), disk: Mebibytes(u64::MAX), cpu: 1 },
            ..HostRecord::new(HostId::new())
        }
    }

    #[test]
    fn each_kind_is_read_back() {
        let id = HostId::new();
        let config = Config::from([("foo".parse().unwrap(), "bär\n".to_owned())]);
        let subnets = Subnets::from([(SubnetId::new(), String::new())]);
        for record in [
            Record::Host(host()),
            Record::Config(id, config),
            Record::Subnets(id, subnets),
            Record::Guest(id, VmId::new()),
        ] {
            let bytes = write(&record);
            assert_eq!(read(&record.key().to_string(), &bytes).unwrap(), record);
        }
    }

    #[test]
    fn every_byte_counts() {
        let record = Record::Host(host());
        let (path, bytes) = (record.key().to_string(), write(&record));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            // Another character of text; the case of the checksum's digits alone means nothing.
            damaged[at] ^= 1;
            assert!(read(&path, &damaged).is_err(), "{at}");
            assert!(read(&path, &bytes[..at]).is_err(), "{at}");
        }
        let other = Key::Host(HostId::new()).to_string();
        assert!(matches!(read(&other, &bytes), Err(Damage::Checksum)));
        assert!(matches!(read("hosts/..", &bytes), Err(Damage::Key)));
        assert!(matches!(read(&path, b"9 00 {}"), Err(Damage::TooNew(9))));
    }
}
