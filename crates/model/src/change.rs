//! Changes: what the feed tells its readers.

use crate::{Timestamp, ids::Revision};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{fmt, str::FromStr};
use utoipa::ToSchema;
use uuid::Uuid;

/// A place in a host's feed: opaque to readers, who hand it back to go on from there.
///
/// Positions of another host or another epoch (each start of a daemon begins one) are never
/// compared; a reader who shows one is told that there is a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// Which run of which host's daemon.
    pub epoch: Uuid,
    /// The last change that was seen.
    pub sequence: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch.simple(), self.sequence)
    }
}

/// A text that no feed gave out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a position of a feed")]
pub struct NotAPosition;

impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let (epoch, sequence) = text.split_once('-').ok_or(NotAPosition)?;
        Ok(Self {
            epoch: Uuid::try_parse(epoch).map_err(|_| NotAPosition)?,
            sequence: sequence.parse().map_err(|_| NotAPosition)?,
        })
    }
}

impl Serialize for Position {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The kind of thing that changed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// A VM.
    Vm,
    /// A task.
    Task,
    /// An image.
    Image,
    /// A network.
    Network,
    /// The host itself.
    Host,
}

/// What happened to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It came to be; `object` has all of it.
    Create,
    /// It changed; `changes` says where, and `object` has the whole where it is small.
    Modify,
    /// It is gone.
    Delete,
    /// The hypervisor reported something; `event` has its words.
    Event,
}

/// One field that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldChange {
    /// Where, from the top: `["facts", "machine"]`. Array elements are named by their index.
    pub path: Vec<String>,
    /// What stood there; absent where nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub old: Option<Value>,
    /// What stands there now; absent where nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub new: Option<Value>,
}

/// Something that a hypervisor reported, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HypervisorEvent {
    /// The event's name, such as `RESET`.
    pub name: String,
    /// When it happened, by the hypervisor's word; absent where it does not say. A change's own
    /// time is when the view applied it, a little later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
    /// What came with it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Object)]
    pub data: Value,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// Where in the feed it stands.
    #[schema(value_type = String)]
    pub position: Position,
    /// The view's revision that it made.
    pub revision: Revision,
    /// When it was applied.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// What kind of thing changed.
    pub kind: ResourceKind,
    /// What happened to it.
    pub action: Action,
    /// The thing's id, or an image's name.
    pub id: String,
    /// The thing's name, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What changed in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FieldChange>,
    /// What the hypervisor reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<HypervisorEvent>,
    /// The whole thing, when it came to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub object: Option<Value>,
}
