//! The bytes of one stored document: how they are written, and all the ways in which they can be damaged.
//!
//! ```text
//! {
//!   "schema": 1,
//!   "checksum": "sha256:…",
//!   "spec": { … }
//! }
//! ```
//!
//! Under `spec` stands the document: a VM's spec, a network, or a project's quota.
//!
//! The checksum is over the text of `spec` exactly as it stands in the file, from its first brace to
//! its last. Whoever repairs a file by hand therefore changes the spec and then the checksum; the
//! right one is in the damage report ([`Damage::Checksum`]), since only a person can know that the
//! text is right.

use crate::document::Document;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// The version of the file's shape that this binary writes, and the newest that it reads.
const SCHEMA: u32 = 1;

/// Why a stored document cannot be used, and what a person can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// It is no JSON, or not such a document's; the source says at which line.
    #[error("it is not readable as what it should be")]
    NotTheDocument(#[source] serde_json::Error),
    /// A newer binary wrote it.
    #[error("it has schema {found}, and this version of Innkeeper knows {SCHEMA}: use a newer one")]
    TooNew {
        /// The schema that the file says it has.
        found: u32,
    },
    /// Its text is not what was written.
    #[error(
        "its checksum does not match: the file says {written}, its spec has {actual}; \
         look through the spec, mend what is wrong, then write the right checksum into the file"
    )]
    Checksum {
        /// The checksum in the file.
        written: String,
        /// The checksum of the spec in the file.
        actual: String,
    },
    /// It is another one's.
    #[error("it is what is stored of {kind} {found}, under the name of another")]
    Other {
        /// What people call such a thing.
        kind: &'static str,
        /// The id inside the file.
        found: String,
    },
}

#[derive(Deserialize)]
struct Head {
    schema: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    schema: u32,
    checksum: String,
    #[serde(borrow)]
    spec: &'a RawValue,
}

/// The bytes of the file that stores this document.
pub(crate) fn write<D: Document>(document: &D) -> Vec<u8> {
    let text = serde_json::to_string_pretty(&*document.stored())
        .expect("a document has no map with keys that are not text, and no writer that can fail");
    // JSON text has newlines between its tokens only, never inside one, so it can be indented.
    let text = text.replace('\n', "\n  ");
    let checksum = checksum(&text);
    format!(
        "{{\n  \"schema\": {SCHEMA},\n  \"checksum\": \"{checksum}\",\n  \"spec\": {text}\n}}\n"
    )
    .into_bytes()
}

/// The document in these bytes, which were read from the file that is named for this id.
pub(crate) fn read<D: Document>(id: D::Id, bytes: &[u8]) -> Result<D, Damage> {
    let envelope: Envelope<'_> = match serde_json::from_slice(bytes) {
        Ok(envelope) => envelope,
        // A newer schema may have another shape, and should be called newer rather than unreadable.
        Err(error) => return Err(newer(bytes).unwrap_or(Damage::NotTheDocument(error))),
    };
    if envelope.schema > SCHEMA {
        return Err(Damage::TooNew { found: envelope.schema });
    }
    let actual = checksum(envelope.spec.get());
    if envelope.checksum != actual {
        return Err(Damage::Checksum { written: envelope.checksum, actual });
    }
    let document: D = serde_json::from_str(envelope.spec.get()).map_err(Damage::NotTheDocument)?;
    if document.id() != id {
        return Err(Damage::Other { kind: D::KIND, found: document.id().to_string() });
    }
    Ok(document.stored().into_owned())
}

fn newer(bytes: &[u8]) -> Option<Damage> {
    let head: Head = serde_json::from_slice(bytes).ok()?;
    (head.schema > SCHEMA).then_some(Damage::TooNew { found: head.schema })
}

fn checksum(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let mut checksum = String::with_capacity("sha256:".len() + 2 * digest.len());
    checksum.push_str("sha256:");
    for byte in digest {
        for nibble in [byte >> 4, byte & 15] {
            checksum.push(char::from_digit(nibble.into(), 16).expect("a nibble is one digit"));
        }
    }
    checksum
}
