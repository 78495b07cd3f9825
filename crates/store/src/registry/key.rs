//! Where a record is.

use innkeeper_model::{HostId, VmId};
use std::{fmt, str::FromStr};

/// The key of a record. Written as a path of fixed words and ids in lower case: nothing that a caller
/// wrote freely is part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A host: `hosts/<id>`.
    Host(HostId),
    /// What it was told: `config/<id>`.
    Config(HostId),
    /// Which subnets it reaches: `subnets/<id>`.
    Subnets(HostId),
    /// That a VM is assigned to a host: `guests/<host>/<vm>`.
    Guest(HostId, VmId),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => write!(f, "hosts/{host}"),
            Self::Config(host) => write!(f, "config/{host}"),
            Self::Subnets(host) => write!(f, "subnets/{host}"),
            Self::Guest(host, vm) => write!(f, "guests/{host}/{vm}"),
        }
    }
}

/// A text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the key of a record")]
pub struct NotAKey;

impl FromStr for Key {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let (kind, name) = text.split_once('/').ok_or(NotAKey)?;
        let key = match kind {
            "hosts" => Self::Host(id(name)?),
            "config" => Self::Config(id(name)?),
            "subnets" => Self::Subnets(id(name)?),
            "guests" => {
                let (host, vm) = name.split_once('/').ok_or(NotAKey)?;
                Self::Guest(id(host)?, id(vm)?)
            }
            _ => return Err(NotAKey),
        };
        // A UUID has other spellings, and one record must not have two keys.
        if key.to_string() == text { Ok(key) } else { Err(NotAKey) }
    }
}

fn id<I: FromStr>(text: &str) -> Result<I, NotAKey> {
    text.parse().map_err(|_| NotAKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_spelling() {
        let (host, vm) = (HostId::new(), VmId::new());
        for key in [Key::Host(host), Key::Config(host), Key::Subnets(host), Key::Guest(host, vm)] {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        let upper = host.to_string().to_uppercase();
        for text in [
            "",
            "hosts",
            "hosts/",
            "hosts/..",
            &format!("hosts/{upper}"),
            &format!("hosts/{{{host}}}"),
            &format!("hosts/{host}/"),
            &format!("guests/{host}"),
            &format!("guests/{host}/../x"),
            &format!("else/{host}"),
        ] {
            assert_eq!(text.parse::<Key>(), Err(NotAKey), "{text}");
        }
    }
}
