//! What an operator writes down about how much is remembered, and how often callers may call.

use innkeeper_auth::limits::{Quota, Quotas};
use innkeeper_model::ByteSize;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How much the daemon remembers, and how often each caller may call. Requests are written as so many in a
/// second, a minute or an hour (`200/s`, `100/min`, `5000/h`); so many may come at once. Whoever comes too
/// often is answered 429, and when to come again. Root and the daemon's own user are not counted on the unix
/// socket. See [limits](limits.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// The most changes that are kept for readers of the feed who are slow or come back.
    pub feed_changes: usize,
    /// The most memory that those may take.
    pub feed_memory: ByteSize,
    /// The most ended tasks that are kept in memory, and in lists.
    pub finished_tasks: usize,
    /// The most ended tasks that are kept on disk; each can be read by its id.
    pub kept_tasks: usize,
    /// For how many days they are.
    pub kept_tasks_days: u32,
    /// Requests of a standard caller at the VMM service's door: reads, changes and streams each.
    #[schema(value_type = String)]
    pub vmm_standard: Quota,
    /// Those of a privileged caller: an administrator, or a token that was issued as privileged.
    #[schema(value_type = String)]
    pub vmm_privileged: Quota,
    /// Reads of a caller by any other entrance.
    #[schema(value_type = String)]
    pub reads: Quota,
    /// What changes something, of a caller by any other entrance.
    #[schema(value_type = String)]
    pub writes: Quota,
    /// Streams and files that a caller opens by any other entrance.
    #[schema(value_type = String)]
    pub streams: Quota,
    /// Requests of one user of this host, or from one address of another, that show no credential that holds; as many that
    /// need none, which is signing in; and as many tokens that wallets and issuers signed and that were not seen before.
    #[schema(value_type = String)]
    pub unauthenticated: Quota,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let quotas = Quotas::default();
        Self {
            feed_changes: 8192,
            feed_memory: ByteSize::from_mebibytes(8),
            finished_tasks: 1000,
            kept_tasks: 100_000,
            kept_tasks_days: 30,
            vmm_standard: quotas.vmm_standard,
            vmm_privileged: quotas.vmm_privileged,
            reads: quotas.reads,
            writes: quotas.writes,
            streams: quotas.streams,
            unauthenticated: quotas.unauthenticated,
        }
    }
}

impl LimitsConfig {
    /// How often who may call.
    pub(crate) fn quotas(&self) -> Quotas {
        Quotas {
            vmm_standard: self.vmm_standard,
            vmm_privileged: self.vmm_privileged,
            reads: self.reads,
            writes: self.writes,
            streams: self.streams,
            unauthenticated: self.unauthenticated,
        }
    }
}
