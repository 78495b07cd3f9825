//! One token that was issued: what is stored of it, and what is shown.

use crate::{digest::Digest, role::Role};
use innkeeper_model::{ProjectName, Timestamp, TokenName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What somebody wants a token to be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Its name; tasks and logs know its bearers as `token:NAME`.
    pub name: TokenName,
    /// What its bearers may do.
    pub role: Role,
    /// The only project that is there for them. An owner has one, an admin none.
    #[serde(default)]
    pub project: Option<ProjectName>,
    /// From when on it is refused. Default: it does not expire.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Timestamp>,
    /// Whether they have a privileged caller's room in the limits; admins do in any case.
    #[serde(default)]
    pub privileged: bool,
}

/// A token as it is stored: its digest, and never its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredToken {
    pub(super) name: TokenName,
    pub(super) digest: Digest,
    pub(super) role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) project: Option<ProjectName>,
    #[serde(default)]
    pub(super) privileged: bool,
    pub(super) created: Timestamp,
    pub(super) created_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_used: Option<Timestamp>,
}

/// Whether a token opens anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    /// It does.
    Valid,
    /// Its time is over.
    Expired,
    /// It was revoked, and could not be taken off the list on the disk yet.
    Revoked,
}

/// A token that was issued, as those who answer for it see it: everything but its text, which nobody has
/// but its bearers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownToken {
    /// Its name.
    pub name: TokenName,
    /// Whether it opens anything.
    pub state: TokenState,
    /// What its bearers may do.
    pub role: Role,
    /// The only project that is there for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectName>,
    /// Whether they have a privileged caller's room in the limits.
    pub privileged: bool,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// By whom.
    pub created_by: String,
    /// From when on it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Timestamp>,
    /// When it was last shown, to the second. After a crash it can be a minute early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used: Option<Timestamp>,
}
