//! What a guest says of itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A guest, as its agent describes it while its machine runs. It is the guest's word, and no more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GuestSystem {
    /// The name that it gives itself; at most 255 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The name and version of its system; at most 255 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// The release of its kernel; at most 255 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
}
