//! Lists of credentials in a file: tokens and certificates that were issued, and wallets' tokens that were
//! taken back.
//!
//! ```text
//! { "schema": 1, "checksum": "sha256:…", "tokens": [ … ] }
//! ```
//!
//! What is listed stands under its own name, so that the one is never read for the other. The checksum is over the text
//! of the list exactly as it stands in the file. One that was damaged is not taken for one with fewer credentials, or
//! with other rights: the daemon does not start with it.

use crate::{
    digest::Digest,
    private_file::{self, Found},
};
use innkeeper_store::{WriteFailed, write_atomically};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use std::{
    io,
    path::{Path, PathBuf},
};

/// The version of the file's shape that this binary writes, and the only one that it reads.
const SCHEMA: u32 = 1;
/// The most bytes of a file that are read: more than the longest list takes, which is that of 65,536 tokens
/// that were taken back.
const MAX_FILE: u64 = 16 << 20;

/// What a list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    /// Tokens.
    Tokens,
    /// Client certificates.
    Certificates,
}

/// Why it is not known which credentials there are.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The file cannot be read.
    #[error("the list {path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the host says.
        #[source]
        source: io::Error,
    },
    /// Others could have written to the file.
    #[error(
        "the list {path} belongs to user {owner} and has mode {mode:04o}, so others may have \
         written to it: look through it, then give it to the daemon's user alone (chown, chmod 600)"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not what was written.
    #[error(
        "the list {path} is damaged ({problem}): put a copy of it back; or move it away, and \
         the daemon begins with an empty one"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    schema: u32,
    checksum: String,
    #[serde(borrow)]
    tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    certificates: Option<&'a RawValue>,
}

impl Listed {
    /// The name that the list has in its file.
    const fn key(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Certificates => "certificates",
        }
    }
}

/// What is in the file; nothing where there is none.
pub(crate) fn read<T: DeserializeOwned>(path: &Path, of: Listed) -> Result<Vec<T>, TokensError> {
    let Found { bytes, owner, mode } = match private_file::read(path, MAX_FILE) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(TokensError::Unreadable { path: path.into(), source }),
    };
    if mode & 0o077 != 0 || owner != rustix::process::geteuid().as_raw() {
        return Err(TokensError::Exposed { path: path.into(), owner, mode });
    }
    parse(&bytes, of).map_err(|problem| TokensError::Damaged { path: path.into(), problem })
}

fn parse<T: DeserializeOwned>(bytes: &[u8], of: Listed) -> Result<Vec<T>, String> {
    let unreadable = |error: serde_json::Error| error.to_string();
    let envelope: Envelope<'_> = serde_json::from_slice(bytes).map_err(unreadable)?;
    if envelope.schema != SCHEMA {
        let found = envelope.schema;
        return Err(format!("it has schema {found}, and this version of Innkeeper knows {SCHEMA}"));
    }
    let list = match (of, envelope.tokens, envelope.certificates) {
        (Listed::Tokens, Some(list), None) | (Listed::Certificates, None, Some(list)) => list.get(),
        _ => return Err(format!("it is no list of {}", of.key())),
    };
    let actual = checksum(list);
    if envelope.checksum != actual {
        let written = envelope.checksum;
        return Err(format!("its checksum is {written}, and what is on it has {actual}"));
    }
    serde_json::from_str(list).map_err(unreadable)
}

/// Replaces the file with one of these. It waits for the disk.
pub(crate) fn write<T: Serialize>(path: &Path, of: Listed, list: &[T]) -> Result<(), WriteFailed> {
    let text = serde_json::to_string_pretty(list)
        .expect("credentials have no map with keys that are not text, and no writer that can fail");
    let text = text.replace('\n', "\n  ");
    let (checksum, key) = (checksum(&text), of.key());
    let whole = format!(
        "{{\n  \"schema\": {SCHEMA},\n  \"checksum\": \"{checksum}\",\n  \"{key}\": {text}\n}}\n"
    );
    write_atomically(path, whole.as_bytes(), 0o600)
}

fn checksum(text: &str) -> String {
    format!("sha256:{}", Digest::of(text))
}
