//! What an operator writes down about doors.

use innkeeper_auth::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Doors: the APIs of other systems, for programs that were written for those. A door is open that has
/// a section here, or that `--door` names; none is by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DoorsConfig {
    /// triton-vminfod's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vminfod: Option<DoorConfig>,
    /// The Formation VMM service's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vmm: Option<VmmDoorConfig>,
    /// chypervisord's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chypervisord: Option<DoorConfig>,
    /// virtx's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtx: Option<DoorConfig>,
}

/// A door whose protocol has no credential: `vminfod`, `chypervisord` or `virtx`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DoorConfig {
    /// Where it listens: a loopback address, or any with TLS (`0.0.0.0:9090,tls`). Default: where its clients look
    /// for it, `127.0.0.1:9090` of `vminfod`, `127.0.0.1:17000` of `chypervisord`, `127.0.0.1:8080` of `virtx`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// What its callers may do, of whom nothing is known but their local user: `viewer` (read),
    /// `operator` (start and stop, too) or `admin` (everything). It must be stated, but with TLS: then it may be
    /// left out, and callers show a token or a certificate. On an address that is not loopback it must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub anonymous: Option<Role>,
    /// What the `aud` of a token must name that a wallet signed. Default: that of `[wallets]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The ids of the local users whose processes are let in. Default: root, and the daemon's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uids: Option<Vec<u32>>,
}

/// The VMM service's door. Its callers show a token: the daemon's, one that was issued, or one that a wallet
/// signed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VmmDoorConfig {
    /// Where it listens: a loopback address, or any with TLS (`0.0.0.0:3002,tls`). Default: `127.0.0.1:3002`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// What the `aud` of a token must name that a wallet signed. Default: that of `[wallets]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The image of the kernel of a VM whose request names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// The image of its first disk where the request names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rootfs: Option<String>,
    /// The kernel's command line where the request has none. Default:
    /// `console=ttyS0 reboot=k panic=1 root=/dev/vda rw`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_args: Option<String>,
}
