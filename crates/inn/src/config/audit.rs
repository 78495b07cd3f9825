//! What an operator writes down about the audit.

use innkeeper_model::ByteSize;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The audit: who had what done, and what was refused to whom, in files of their own in the folder `audit` of
/// the state folder. `inn audit` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuditConfig {
    /// Whether one is kept.
    pub enabled: bool,
    /// How large a file becomes before the next begins; 64 KiB at least.
    pub file_size: ByteSize,
    /// The most files; the oldest goes when there is one more. Two at least.
    pub files: usize,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { enabled: true, file_size: ByteSize::from_mebibytes(16), files: 10 }
    }
}
