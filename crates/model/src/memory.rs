//! The memory of a suspended machine, as it is kept in a file.

use crate::{Timestamp, incarnation::Incarnation, units::ByteSize};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The newest shape of [`MemoryImage`] that this version writes and reads.
pub const MEMORY_IMAGE_SCHEMA: u32 = 1;

/// What is known of a memory image: written beside it once it is whole. An image without this is
/// half made and worth nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemoryImage {
    /// The version of this record's shape.
    pub schema: u32,
    /// What the machine was built from whose memory it is; a machine that takes it over is built
    /// from the same.
    pub incarnation: Incarnation,
    /// How long the file is; its holes count.
    pub size: ByteSize,
    /// `crc64nvme:` and the checksum of the file, holes read as zeros, in hexadecimal.
    pub checksum: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
}
