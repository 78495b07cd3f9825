//! Which doors there are.

use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    str::FromStr,
};
use utoipa::ToSchema;

/// One door, by the system whose protocol it speaks.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// triton-vminfod: every VM at once, and what changes.
    Vminfod,
    /// The Formation cloud's VMM service: tenants and their VMs.
    Vmm,
    /// lochness's chypervisord: the registry of hosts.
    Chypervisord,
    /// virtx: a fleet of libvirt hosts.
    Virtx,
}

impl Door {
    /// All doors.
    pub const ALL: [Self; 4] = [Self::Vminfod, Self::Vmm, Self::Chypervisord, Self::Virtx];

    /// The door's name, as it is configured.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vminfod => "vminfod",
            Self::Vmm => "vmm",
            Self::Chypervisord => "chypervisord",
            Self::Virtx => "virtx",
        }
    }

    /// Where its clients look for it.
    pub fn usual_address(self) -> SocketAddr {
        let port = match self {
            Self::Vminfod => 9090,
            Self::Vmm => 3002,
            Self::Chypervisord => 17000,
            Self::Virtx => 8080,
        };
        (Ipv4Addr::LOCALHOST, port).into()
    }

    /// Whether its protocol has a credential. Where it has none, an operator states the role that a
    /// caller has who shows none.
    pub const fn has_credential(self) -> bool {
        matches!(self, Self::Vmm)
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Door {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let door = Self::ALL.into_iter().find(|door| door.as_str() == text);
        door.ok_or_else(|| format!("{text:?} is not a door: vminfod, vmm, chypervisord or virtx"))
    }
}
